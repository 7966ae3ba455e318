//! Feeds [`hangu_fuzz::canonicalise`] from libFuzzer.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hangu_fuzz::canonicalise(bytes));

#[cfg(not(fuzzing))]
fn main() {}
