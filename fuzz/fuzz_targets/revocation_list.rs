//! Feeds [`hangu_fuzz::revocation_list`] from libFuzzer.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hangu_fuzz::revocation_list(bytes));

#[cfg(not(fuzzing))]
fn main() {}
