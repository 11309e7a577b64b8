//! `cargo +nightly fuzz run client_cert`
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuuffy_fuzz::client_cert(data));

#[cfg(not(fuzzing))]
fn main() {}
