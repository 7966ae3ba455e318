//! Metrics of open connections that are ended from outside.

use std::time::Duration;

use prometheus::{Histogram, IntCounterVec};

use super::metrics::Maker;
use crate::denial::Denial;

/// Shared by all threads.
#[derive(Debug)]
pub struct LiveMetrics {
    closed: IntCounterVec,
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
}

/// From a millisecond to ten seconds; the promise is one.
const EFFECT_BUCKETS: &[f64] = &[
    0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 10.0,
];
