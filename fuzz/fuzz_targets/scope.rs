//! `cargo +nightly fuzz run scope`
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuuffy_fuzz::scope(data));

#[cfg(not(fuzzing))]
fn main() {}
