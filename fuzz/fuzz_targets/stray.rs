//! `cargo +nightly fuzz run stray`
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuuffy_fuzz::stray(data));

#[cfg(not(fuzzing))]
fn main() {}
