//! `cargo +nightly fuzz run assertion`
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuuffy_fuzz::assertion(data));

#[cfg(not(fuzzing))]
fn main() {}
