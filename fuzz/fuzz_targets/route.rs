//! `cargo +nightly fuzz run route`
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuuffy_fuzz::route(data));

#[cfg(not(fuzzing))]
fn main() {}
