//! `cargo +nightly fuzz run framing`
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuuffy_fuzz::framing(data));

#[cfg(not(fuzzing))]
fn main() {}
