//! `cargo +nightly fuzz run about_token`
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuuffy_fuzz::about_token(data));

#[cfg(not(fuzzing))]
fn main() {}
