//! Feeds [`hangu_fuzz::backup`] from libFuzzer.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hangu_fuzz::backup(bytes));

#[cfg(not(fuzzing))]
fn main() {}
