//! Feeds [`hangu_fuzz::certificate_identity`] from libFuzzer.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hangu_fuzz::certificate_identity(bytes));

#[cfg(not(fuzzing))]
fn main() {}
