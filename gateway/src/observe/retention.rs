//! Metrics of the audit log's retention.

use prometheus::{Gauge, IntCounter, IntGauge};

use super::metrics::Maker;

/// About what is kept and what goes.
#[derive(Debug)]
pub struct RetentionMetrics {
    /// When the oldest record that is there was made, in seconds since 1970; 0 until it was looked for.
    pub oldest: Gauge,
    /// Records removed.
    pub removed: IntCounter,
    /// Segments that are old enough to go and that a sink has not been sent.
    pub held: IntGauge,
    /// Rounds that failed.
    pub failures: IntCounter,
    /// Bytes saved by compression.
    pub saved_bytes: IntCounter,
}

impl RetentionMetrics {
    pub(super) fn new(make: &Maker) -> Result<Self, prometheus::Error> {
        Ok(Self {
            oldest: make.float_gauge(
                "audit_oldest_timestamp_seconds",
                "When the oldest record that is there was made.",
            )?,
            removed: make.counter(
                "audit_retention_removed_total",
                "Records removed after their time.",
            )?,
            held: make.gauge(
                "audit_retention_held_segments",
                "Segments that are old enough to go and that a sink has not been sent.",
            )?,
            failures: make.counter(
                "audit_retention_failures_total",
                "Rounds of compressing, archiving and removing that failed.",
            )?,
            saved_bytes: make.counter(
                "audit_retention_saved_bytes_total",
                "Bytes saved by compressing segments.",
            )?,
        })
    }
}
