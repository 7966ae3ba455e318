//! Feeds [`hangu_fuzz::name_template`] from libFuzzer.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hangu_fuzz::name_template(bytes));

#[cfg(not(fuzzing))]
fn main() {}
