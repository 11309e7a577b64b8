//! `cargo +nightly fuzz run plain_request`
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuuffy_fuzz::plain_request(data));

#[cfg(not(fuzzing))]
fn main() {}
