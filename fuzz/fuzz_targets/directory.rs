//! Feeds [`hangu_fuzz::directory`] from libFuzzer.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hangu_fuzz::directory(bytes));

#[cfg(not(fuzzing))]
fn main() {}
