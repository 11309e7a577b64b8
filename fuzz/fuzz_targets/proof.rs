//! `cargo +nightly fuzz run proof`
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuuffy_fuzz::proof(data));

#[cfg(not(fuzzing))]
fn main() {}
