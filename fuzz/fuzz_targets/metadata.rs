//! `cargo +nightly fuzz run metadata`
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuuffy_fuzz::metadata(data));

#[cfg(not(fuzzing))]
fn main() {}
