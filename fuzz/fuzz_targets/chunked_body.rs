//! Feeds [`hangu_fuzz::chunked_body`] from libFuzzer.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hangu_fuzz::chunked_body(bytes));

#[cfg(not(fuzzing))]
fn main() {}
