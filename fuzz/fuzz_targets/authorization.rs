//! `cargo +nightly fuzz run authorization`
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuuffy_fuzz::authorization(data));

#[cfg(not(fuzzing))]
fn main() {}
