//! Metrics of revocation lists: what was fetched, and what does not count.

use prometheus::{GaugeVec, IntCounterVec, IntGaugeVec};

use super::metrics::Maker;

/// Shared by all threads.
#[derive(Debug)]
pub struct Crl {
    /// Attempts to fetch a list, by URL of the configuration and result.
    pub fetches: IntCounterVec,
    /// When a list, or the word that it is unchanged, last came from a URL.
    pub fetched: GaugeVec,
    /// Lists past their end, by listener.
    pub overdue: IntGaugeVec,
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
            overdue: make.gauges(
                "crl_overdue",
                "Revocation lists past their end, whether they count by grace or refuse.",
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
