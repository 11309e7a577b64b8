//! `cargo +nightly fuzz run form`
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuuffy_fuzz::form(data));

#[cfg(not(fuzzing))]
fn main() {}
