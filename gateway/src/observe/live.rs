//! Metrics of open connections that are ended from outside.

use std::time::Duration;

use prometheus::{Histogram, IntCounterVec};

use super::metrics::Maker;
use crate::denial::Denial;
use crate::live::Ended;

/// Shared by all threads.
#[derive(Debug)]
pub struct LiveMetrics {
    closed: IntCounterVec,
    streams_closed: IntCounterVec,
    revocation_effect: Histogram,
}

impl LiveMetrics {
    pub(super) fn new(make: &Maker) -> Result<Self, prometheus::Error> {
        Ok(Self {
            closed: make.counters(
                "connections_closed_total",
                "Client connections that the gateway ended while they were open.",
                &["reason"],
            )?,
            streams_closed: make.counters(
                "requests_cut_total",
                "Requests under way that were cut, since a new generation would not permit them.",
                &["reason"],
            )?,
            revocation_effect: make.histogram(
                "revocation_effect_seconds",
                "From learning that a connection must end to its end.",
                EFFECT_BUCKETS,
            )?,
        })
    }

    /// Counts a connection that was ended from outside, so long after its reason was learned.
    pub fn closed(&self, denial: Denial, after: Duration) {
        self.closed.with_label_values(&[denial.code()]).inc();
        self.revocation_effect.observe(after.as_secs_f64());
    }

    /// Counts a request that was ended while the rest of the gateway, and of its connection with HTTP/2, went on.
    pub fn stream_closed(&self, ended: Ended) {
        let reason = ended.denial.code();
        self.streams_closed.with_label_values(&[reason]).inc();
        let effect = ended.learned.elapsed().as_secs_f64();
        self.revocation_effect.observe(effect);
    }
}

/// From a millisecond to ten seconds; the promise is one.
const EFFECT_BUCKETS: &[f64] = &[
    0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 10.0,
];
