//! Feeds [`hangu_fuzz::policy_csv`] from libFuzzer.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hangu_fuzz::policy_csv(bytes));

#[cfg(not(fuzzing))]
fn main() {}
