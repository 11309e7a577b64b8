//! `cargo +nightly fuzz run base_url`
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuuffy_fuzz::base_url(data));

#[cfg(not(fuzzing))]
fn main() {}
