//! Feeds [`hangu_fuzz::http2_frames`] from libFuzzer.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| hangu_fuzz::http2_frames(bytes));

#[cfg(not(fuzzing))]
fn main() {}
