//! Rate and concurrency arithmetic. Layer: 网 network.
//!
//! A gateway in front of everything is the first thing flooded, and the flood must cost the flooder only. This crate
//! answers one question, *may this one go on now?*, with integers and atomics: no lock on the path of a request, no
//! clock (time is an argument, [`Nanos`] of any monotonic clock), no HTTP, no I/O, no allocation after a key is known.
//!
//! | type | what it is | cost of a check |
//! |---|---|---|
//! | [`Cell`] | exact rate limit (GCRA) of one key: one atomic word | one compare-and-swap |
//! | [`Cells`] | key → [`Cell`], bounded, forgets only what changes nothing | one lock of one shard; once a connection |
//! | [`check_all`] | several limits on one request, the tightest named | a read and a compare-and-swap a limit |
//! | [`Sketch`] | rate limit of unproven sources in fixed memory | a hash and four cells |
//! | [`Quota`] | how much in a day | one compare-and-swap |
//! | [`Slots`] | how many are inside at once | one compare-and-swap |
//!
//! Deliberately not here: which key a request belongs to, what the refusal says to the client, and configuration.
//! The rate is an argument of each check, never a part of the state, so that a reload changes rates and forgets nothing.

mod combine;
mod keyed;
mod quota;
mod rate;
mod sketch;
mod slots;
mod source;

pub use combine::{Combined, Limit, Limited, Mode, Outcome, check_all, peek_all};
pub use keyed::{Blank, Cells, Full, Held, Keyed};
pub use quota::{AMOUNT_MAX, Allowance, AllowanceError, Quota, Use};
pub use rate::{Cell, Nanos, Rate, RateError, Verdict};
pub use sketch::Sketch;
pub use slots::{Slot, Slots};
pub use source::{prefix_of, source_of};
