//! Feeds [`hangu_fuzz::proxy_header`] from libFuzzer.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hangu_fuzz::proxy_header(bytes));

#[cfg(not(fuzzing))]
fn main() {}
