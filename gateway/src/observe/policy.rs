//! Metrics of the policy: what serves, and what was refused.

use prometheus::{Gauge, GaugeVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use super::metrics::Maker;
use crate::bundle::PolicyRefusal;
use crate::layers::application::shadow::Compared;
use crate::snapshot::Snapshot;

/// About the policy that serves and those that were refused.
#[derive(Debug)]
pub struct PolicyMetrics {
    info: IntGaugeVec,
    rules: IntGauge,
    last_load: Gauge,
    last_load_successful: IntGauge,
    refused: IntCounterVec,
    trials: IntCounterVec,
    /// Until when the policy under trial is asked, in seconds since 1970, by file.
    pub shadow_expires: GaugeVec,
    /// Until when the bundle that serves may serve, in seconds since 1970, by file.
    pub not_after: GaugeVec,
}

impl PolicyMetrics {
    pub(super) fn new(make: &Maker) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            info: make.gauges(
                "policy_info",
                "The policy that serves: its bundle's epoch, 0 for plain files, and the digest.",
                &["epoch", "digest"],
            )?,
            rules: make.gauge("policy_rules", "Rules in the policy that serves.")?,
            last_load: make.float_gauge(
                "policy_last_load_timestamp_seconds",
                "When a policy was last loaded and taken.",
            )?,
            last_load_successful: make.gauge(
                "policy_last_load_successful",
                "Whether the policy that was looked at last was good (1) or the last good one serves on (0).",
            )?,
            refused: make.counters(
                "policy_refused_total",
                "Policies that were refused, by what was wrong.",
                &["reason"],
            )?,
            trials: make.counters(
                "policy_shadow_total",
                "What the policy under trial would have said, compared to what was decided.",
                &["app", "result"],
            )?,
            shadow_expires: make.float_gauges(
                "policy_shadow_expires_timestamp_seconds",
                "Until when the policy under trial is asked.",
                &["name"],
            )?,
            not_after: make.float_gauges(
                "policy_bundle_not_after_timestamp_seconds",
                "Until when the bundle that serves may serve.",
                &["name"],
            )?,
        };
        for refusal in PolicyRefusal::ALL {
            metrics
                .refused
                .with_label_values(&[refusal.word()])
                .inc_by(0);
        }
        Ok(metrics)
    }

    /// The counters of one application, in the order of [`Compared::ALL`].
    pub(super) fn trials_of(&self, application: &str) -> [IntCounter; 3] {
        Compared::ALL.map(|result| self.trials.with_label_values(&[application, result.word()]))
    }

    /// A policy was looked at; `refusals` is what was wrong with it, each once.
    pub fn loaded(&self, refusals: &[PolicyRefusal]) {
        self.last_load_successful
            .set(i64::from(refusals.is_empty()));
        for refusal in refusals {
            self.refused.with_label_values(&[refusal.word()]).inc();
        }
    }

    /// A generation begins to serve in the place of `before`, at `now` in seconds since 1970.
    pub fn serves(&self, snapshot: &Snapshot, before: Option<&Snapshot>, now: i64) {
        let count = i64::try_from(snapshot.policy.rule_count()).unwrap_or(i64::MAX);
        self.rules.set(count);
        let labels = |of: &Snapshot| {
            let own = of.bundle.as_ref().map(|own| own.epoch);
            let number = own.unwrap_or(0);
            [number.to_string(), of.basis.policy_digest.clone()]
        };
        let (new, old) = (labels(snapshot), before.map(labels));
        if let Some(old) = old.filter(|old| *old != new) {
            // What is no longer there fails to be removed twice, which is as good.
            drop(self.info.remove_label_values(&old));
        }
        self.info.with_label_values(&new).set(1);
        #[expect(
            clippy::cast_precision_loss,
            reason = "seconds since 1970 fit a double until the year 285,000,000"
        )]
        self.last_load.set(now as f64);
    }
}
