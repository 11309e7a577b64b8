//! `cargo +nightly fuzz run audit_log`
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuuffy_fuzz::audit_log(data));

#[cfg(not(fuzzing))]
fn main() {}
