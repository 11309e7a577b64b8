//! `cargo +nightly fuzz run client_certificate`
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuuffy_fuzz::client_certificate(data));

#[cfg(not(fuzzing))]
fn main() {}
