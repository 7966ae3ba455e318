//! Feeds [`hangu_fuzz::spiffe_id`] from libFuzzer.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hangu_fuzz::spiffe_id(bytes));

#[cfg(not(fuzzing))]
fn main() {}
