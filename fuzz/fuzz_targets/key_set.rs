//! `cargo +nightly fuzz run key_set`
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuuffy_fuzz::key_set(data));

#[cfg(not(fuzzing))]
fn main() {}
