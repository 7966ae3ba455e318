//! Metrics of limits, by the names that the configuration gives them.

use prometheus::{IntCounter, IntCounterVec, IntGaugeVec};

use super::metrics::Maker;

/// Shared by all threads.
#[derive(Debug)]
pub struct LimitsMetrics {
    refusals: IntCounterVec,
    shadow_refusals: IntCounterVec,
    /// Keys that limits hold, by kind, set when the metrics are read.
    pub keys: IntGaugeVec,
}

/// What is counted for one limit, found when the snapshot is built.
#[derive(Clone, Debug)]
pub struct LimitMetrics {
    /// What it refused.
    pub refused: IntCounter,
    /// What it would have refused, in shadow mode.
    pub would_refuse: IntCounter,
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
            keys: make.gauges("limit_keys", "Keys that limits hold in memory.", &["kind"])?,
        })
    }

    /// The handles of one limit.
    #[must_use]
    pub fn of(&self, name: &str) -> LimitMetrics {
        LimitMetrics {
            refused: self.refusals.with_label_values(&[name]),
            would_refuse: self.shadow_refusals.with_label_values(&[name]),
        }
    }
}
