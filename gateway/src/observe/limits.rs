//! Metrics of limits, by the names that the configuration gives them.

use prometheus::{Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use super::metrics::Maker;

/// Shared by all threads.
#[derive(Debug)]
pub struct LimitsMetrics {
    refusals: IntCounterVec,
    shadow_refusals: IntCounterVec,
    shared_fallbacks: IntCounterVec,
    /// Keys that limits hold, by kind, set when the metrics are read.
    pub keys: IntGaugeVec,
    /// Of the server that limits are shared by.
    pub shared: SharedMetrics,
}

/// What is counted of the server that limits are shared by.
#[derive(Clone, Debug)]
pub struct SharedMetrics {
    /// 1 while it answers, 0 while the fallback decides; 0 also when no limit is shared.
    pub up: IntGauge,
    /// How long it takes to answer, or until nobody waits any more.
    pub seconds: Histogram,
}

/// What is counted for one limit, found when the snapshot is built.
#[derive(Clone, Debug)]
pub struct LimitMetrics {
    /// What it refused.
    pub refused: IntCounter,
    /// What it would have refused, in shadow mode.
    pub would_refuse: IntCounter,
    /// Requests that the fallback decided, since the server did not.
    pub fallbacks: IntCounter,
}

impl LimitsMetrics {
    pub(super) fn new(make: &Maker) -> Result<Self, prometheus::Error> {
        Ok(Self {
            refusals: make.counters(
                "limit_refusals_total",
                "Requests and connections that a limit refused.",
                &["limit"],
            )?,
            shadow_refusals: make.counters(
                "limit_shadow_refusals_total",
                "Requests and connections that a limit in shadow mode would have refused.",
                &["limit"],
            )?,
            shared_fallbacks: make.counters(
                "limit_shared_fallbacks_total",
                "Requests that the fallback decided, since no server answered.",
                &["limit"],
            )?,
            shared: SharedMetrics {
                up: make.gauge(
                    "limit_shared_up",
                    "Whether the server of shared limits answers (1) or the fallback decides (0).",
                )?,
                seconds: make.histogram(
                    "limit_shared_seconds",
                    "From the question to the server of shared limits to its answer.",
                    SHARED_BUCKETS,
                )?,
            },
            keys: make.gauges("limit_keys", "Keys that limits hold in memory.", &["kind"])?,
        })
    }

    /// The handles of one limit.
    #[must_use]
    pub fn of(&self, name: &str) -> LimitMetrics {
        LimitMetrics {
            refused: self.refusals.with_label_values(&[name]),
            would_refuse: self.shadow_refusals.with_label_values(&[name]),
            fallbacks: self.shared_fallbacks.with_label_values(&[name]),
        }
    }
}

/// From a twentieth of a millisecond to a second.
const SHARED_BUCKETS: &[f64] = &[
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002, 0.003, 0.005, 0.01, 0.1, 1.0,
];
