//! Metrics of the audit sinks.

use prometheus::{Gauge, GaugeVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use super::metrics::Maker;

/// About all sinks.
#[derive(Debug)]
pub struct ShippingMetrics {
    /// The last record that is durable; sinks are sent nothing beyond.
    pub committed: IntGauge,
    up: IntGaugeVec,
    lag_records: IntGaugeVec,
    lag_seconds: GaugeVec,
    sent: IntCounterVec,
    failures: IntCounterVec,
    dropped: IntCounterVec,
}

/// About one sink.
#[derive(Clone, Debug)]
pub struct SinkMetrics {
    /// Whether the last attempt succeeded.
    pub up: IntGauge,
    /// Records that it has not been sent.
    pub lag_records: IntGauge,
    /// Age of the oldest of them.
    pub lag_seconds: Gauge,
    /// Records sent; some of them again.
    pub sent: IntCounter,
    /// Attempts that failed.
    pub failures: IntCounter,
    /// Records that were removed from the log before it was sent them.
    pub dropped: IntCounter,
}

impl ShippingMetrics {
    pub(super) fn new(make: &Maker) -> Result<Self, prometheus::Error> {
        Ok(Self {
            committed: make.gauge(
                "audit_committed_sequence",
                "Number of the last record that is durable.",
            )?,
            up: make.gauges(
                "audit_sink_up",
                "Whether the last attempt to send to a sink succeeded.",
                &["sink"],
            )?,
            lag_records: make.gauges(
                "audit_sink_lag_records",
                "Records that a sink has not been sent.",
                &["sink"],
            )?,
            lag_seconds: make.float_gauges(
                "audit_sink_lag_seconds",
                "Age of the oldest record that a sink has not been sent.",
                &["sink"],
            )?,
            sent: make.counters(
                "audit_sink_sent_total",
                "Records sent to a sink, those sent again included.",
                &["sink"],
            )?,
            failures: make.counters(
                "audit_sink_failures_total",
                "Attempts to send to a sink that failed; tried again.",
                &["sink"],
            )?,
            dropped: make.counters(
                "audit_sink_dropped_total",
                "Records removed from the log before a sink was sent them.",
                &["sink"],
            )?,
        })
    }

    /// The handles of one sink.
    #[must_use]
    pub fn sink(&self, name: &str) -> SinkMetrics {
        SinkMetrics {
            up: self.up.with_label_values(&[name]),
            lag_records: self.lag_records.with_label_values(&[name]),
            lag_seconds: self.lag_seconds.with_label_values(&[name]),
            sent: self.sent.with_label_values(&[name]),
            failures: self.failures.with_label_values(&[name]),
            dropped: self.dropped.with_label_values(&[name]),
        }
    }

    /// Takes a sink that is gone out of the scrapes.
    pub fn forget(&self, name: &str) {
        // What was never there fails to be removed, which is as good.
        drop(self.up.remove_label_values(&[name]));
        drop(self.lag_records.remove_label_values(&[name]));
        drop(self.lag_seconds.remove_label_values(&[name]));
        drop(self.sent.remove_label_values(&[name]));
        drop(self.failures.remove_label_values(&[name]));
        drop(self.dropped.remove_label_values(&[name]));
    }
}
