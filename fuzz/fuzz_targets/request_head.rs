//! Feeds [`hangu_fuzz::request_head`] from libFuzzer.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hangu_fuzz::request_head(bytes));

#[cfg(not(fuzzing))]
fn main() {}
