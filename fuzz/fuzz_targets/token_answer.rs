//! `cargo +nightly fuzz run token_answer`
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| fuuffy_fuzz::token_answer(data));

#[cfg(not(fuzzing))]
fn main() {}
