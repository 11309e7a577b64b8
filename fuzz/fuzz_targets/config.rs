//! `cargo +nightly fuzz run config`
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuuffy_fuzz::config_file(data));

#[cfg(not(fuzzing))]
fn main() {}
