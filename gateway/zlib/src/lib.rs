//! The names that `flate2` expects of `libz-ng-sys`, given by stock zlib, so that building Hangu needs no cmake.
//!
//! zlib-ng in its native mode and stock zlib share their C interface; only the speed differs, and Hangu compresses nothing.
pub use libz_sys::*;
