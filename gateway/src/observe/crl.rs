//! Metrics of revocation lists: what was fetched, and what does not count.

use prometheus::{GaugeVec, IntCounterVec, IntGauge, IntGaugeVec};

use super::metrics::Maker;

/// Shared by all threads.
#[derive(Debug)]
pub struct Crl {
    /// Attempts to fetch a list, by URL of the configuration and result.
    pub fetches: IntCounterVec,
    /// When a list, or the word that it is unchanged, last came from a URL.
    pub fetched: GaugeVec,
    /// Distribution points that are followed.
    pub points: IntGauge,
    /// Distribution points that are not, by why.
    pub points_refused: IntCounterVec,
    /// Lists past their end, by listener.
    pub overdue: IntGaugeVec,
    /// Lists whose file is gone or unreadable, by listener.
    pub missing: IntGaugeVec,
    /// Lists that do not count, by listener.
    pub ignored: IntGaugeVec,
}

impl Crl {
    pub(super) fn new(make: &Maker) -> Result<Self, prometheus::Error> {
        Ok(Self {
            fetches: make.counters(
                "crl_fetches_total",
                "Attempts to fetch a revocation list.",
                &["url", "result"],
            )?,
            fetched: make.float_gauges(
                "crl_fetched_timestamp_seconds",
                "When a revocation list, or the word that it is unchanged, last came.",
                &["url"],
            )?,
            points: make.gauge(
                "crl_points",
                "Distribution points of certificates that are followed.",
            )?,
            points_refused: make.counters(
                "crl_points_refused_total",
                "Distribution points of certificates that were met and not followed.",
                &["reason"],
            )?,
            overdue: make.gauges(
                "crl_overdue",
                "Revocation lists past their end, whether they count by grace or refuse.",
                &["listener"],
            )?,
            missing: make.gauges(
                "crl_missing",
                "Revocation lists whose file is gone or unreadable: a copy counts by grace, then refuses.",
                &["listener"],
            )?,
            ignored: make.gauges(
                "crl_ignored",
                "Revocation lists that do not count.",
                &["listener"],
            )?,
        })
    }
}
