//! Every metric of the gateway, in one struct. Label values are closed sets: layers, results, reason codes, and names from the
//! configuration. Never a subject, path, address or serial number.

use hangu_audit::Decision;
use prometheus::{
    Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec,
    IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};

use crate::denial::Denial;
use crate::layers::Layer;
use crate::layers::application::shadow::Compared;
use crate::observe::boundary::Boundary;
use crate::observe::crl::Crl;
use crate::observe::limits::LimitsMetrics;
use crate::observe::live::LiveMetrics;
use crate::observe::policy::PolicyMetrics;
use crate::observe::retention::RetentionMetrics;
use crate::observe::shipping::ShippingMetrics;

/// Shared by all threads.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    layer_verdicts: IntCounterVec,
    request_seconds: HistogramVec,
    /// Time that the policy took to decide.
    pub decision_seconds: Histogram,
    handshakes: IntCounterVec,
    /// Open connections that are ended.
    pub live: LiveMetrics,
    /// Open client connections by listener.
    pub connections: IntGaugeVec,
    upstream_results: IntCounterVec,
    upstreams_out: IntGaugeVec,
    /// Of the audit log.
    pub audit: AuditMetrics,
    /// Lines of the access log that could not be written.
    pub access_log_dropped: IntCounter,
    /// When a certificate ends, in seconds since 1970, by kind and name.
    pub cert_not_after: GaugeVec,
    /// When a revocation list is due, in seconds since 1970, by listener and file.
    pub crl_next_update: GaugeVec,
    /// Number of the configuration that serves, from 1.
    pub config_generation: IntGauge,
    /// When the last reload was tried, in seconds since 1970.
    pub config_last_reload: Gauge,
    /// 1 when the last reload was taken, 0 when the last good configuration serves on instead.
    pub config_last_reload_successful: IntGauge,
    /// Reloads by result.
    pub config_reloads: IntCounterVec,
    /// Of what is kept of the audit log.
    pub retention: RetentionMetrics,
    /// Of the audit sinks.
    pub shipping: ShippingMetrics,
    other_refusals: IntCounterVec,
    /// What the boundary refuses without a request.
    pub boundary: Boundary,
    /// Revocation lists.
    pub crl: Crl,
    /// About the policy that serves and those that were refused.
    pub policy: PolicyMetrics,
    /// What limits refuse.
    pub limits: LimitsMetrics,
}

/// What is counted for one application, found when the snapshot is built.
#[derive(Clone, Debug)]
pub struct ApplicationMetrics {
    passes: [IntCounter; 6],
    /// Whole requests, from head to last byte.
    pub request_seconds: Histogram,
    /// Answers of the upstream.
    pub upstream_ok: IntCounter,
    /// Upstreams that are out now.
    pub upstreams_out: IntGauge,
    trials: [IntCounter; 3],
}

/// What is counted of the audit log.
#[derive(Debug)]
pub struct AuditMetrics {
    /// Places taken in the audit queue, set when the metrics are read.
    pub queue: IntGauge,
    /// Records written and synced, by result.
    pub records: AuditRecords,
    /// From the handing in of a record until the disk has it.
    pub durable_seconds: Histogram,
    /// Age of the oldest record that no signed checkpoint covers; 0 when all are covered; set when the metrics are read.
    pub checkpoint_age: Gauge,
    /// Age of the oldest checkpoint that the witness has not cosigned; 0 when there is none, and without a witness; set when the metrics
    /// are read.
    pub witness_age: Gauge,
    /// 1 while the witness refuses the log, since it has seen another one.
    pub witness_refuses: IntGauge,
    /// 1 while the signer in another process refuses the log.
    pub signer_refuses: IntGauge,
    /// Bytes of the audit folder.
    pub disk_bytes: IntGauge,
    /// Share of the disk, or of the bound, that is used: 0 to 1.
    pub disk_used: Gauge,
    /// 1 while the blocks of the open segment are kept for it.
    pub reserved: IntGauge,
    /// Records that could not be taken (refused handshakes when the queue is full).
    pub dropped: IntCounter,
    /// Requests refused since the log could not take their record.
    pub refused: IntCounter,
    /// Failed writes; the batch is kept and tried again.
    pub write_errors: IntCounter,
}

impl AuditMetrics {
    fn new(make: &Maker) -> Result<Self, prometheus::Error> {
        Ok(Self {
            queue: make.gauge(
                "audit_queue_records",
                "Places taken: requests in flight and records that wait for the disk.",
            )?,
            records: AuditRecords::of(&make.counters(
                "audit_records_total",
                "Records written and synced.",
                &["result"],
            )?),
            durable_seconds: make.histogram(
                "audit_durable_seconds",
                "From the handing in of a record until the disk has it.",
                DURABLE_BUCKETS,
            )?,
            checkpoint_age: make.float_gauge(
                "audit_checkpoint_age_seconds",
                "Age of the oldest record that no signed checkpoint covers.",
            )?,
            witness_age: make.float_gauge(
                "audit_witness_age_seconds",
                "Age of the oldest checkpoint that the witness has not cosigned.",
            )?,
            witness_refuses: make.gauge(
                "audit_witness_refuses",
                "Whether the witness refuses the log (1), since it has seen another one.",
            )?,
            signer_refuses: make.gauge(
                "audit_signer_refuses",
                "Whether the signer refuses the log (1), since it has signed another one.",
            )?,
            disk_bytes: make.gauge("audit_disk_bytes", "Bytes of the audit folder.")?,
            disk_used: make.float_gauge(
                "audit_disk_used_ratio",
                "Share of the disk, or of `audit.disk_max`, that is used.",
            )?,
            reserved: make.gauge(
                "audit_segment_reserved",
                "Whether the room of the open segment is kept for it (1).",
            )?,
            dropped: make.counter(
                "audit_dropped_total",
                "Records that the full queue could not take.",
            )?,
            refused: make.counter(
                "audit_refused_total",
                "Requests refused for want of a place in the log.",
            )?,
            write_errors: make.counter(
                "audit_write_errors_total",
                "Failed writes of the log, tried again.",
            )?,
        })
    }
}

/// Records by result, found once.
#[derive(Clone, Debug)]
pub struct AuditRecords {
    allowed: IntCounter,
    denied: IntCounter,
    refused: IntCounter,
    aborted: IntCounter,
    event: IntCounter,
}

impl AuditRecords {
    fn of(counters: &IntCounterVec) -> Self {
        let counter = |result: &str| counters.with_label_values(&[result]);
        Self {
            allowed: counter("allowed"),
            denied: counter("denied"),
            refused: counter("refused"),
            aborted: counter("aborted"),
            event: counter("event"),
        }
    }

    /// The counter of records with this decision; of events, without one.
    #[must_use]
    pub fn with(&self, decision: Option<Decision>) -> &IntCounter {
        match decision {
            Some(Decision::Allowed) => &self.allowed,
            Some(Decision::Denied) => &self.denied,
            Some(Decision::Refused) => &self.refused,
            Some(Decision::Aborted) => &self.aborted,
            None => &self.event,
        }
    }
}

/// The `app` label of a request that no application was found for.
pub const NO_APPLICATION: &str = "none";

impl Metrics {
    /// All metrics, registered.
    ///
    /// # Errors
    /// Never for the names below; a name given twice would be one.
    pub fn new() -> Result<Self, prometheus::Error> {
        let make = Maker(Registry::new_custom(Some("hangu".to_owned()), None)?);
        let metrics = Self {
            layer_verdicts: make.counters(
                "layer_verdicts_total",
                "Verdicts of the six layers.",
                &["layer", "result", "reason", "app"],
            )?,
            request_seconds: make.histograms("request_duration_seconds", "Whole requests.", &["app"], REQUEST_BUCKETS)?,
            decision_seconds: make.histogram("decision_duration_seconds", "Policy decisions.", DECISION_BUCKETS)?,
            handshakes: make.counters("handshakes_total", "TLS handshakes by result.", &["listener", "result"])?,
            live: LiveMetrics::new(&make)?,
            connections: make.gauges("connections", "Open client connections.", &["listener"])?,
            upstream_results: make.counters("upstream_results_total", "Upstream attempts by result.", &["app", "result"])?,
            upstreams_out: make.gauges("upstreams_out", "Upstreams that are out after failures.", &["app"])?,
            audit: AuditMetrics::new(&make)?,
            access_log_dropped: make.counter("access_log_dropped_total", "Access log lines that could not be written.")?,
            cert_not_after: make.float_gauges(
                "cert_not_after_timestamp_seconds",
                "When a certificate ends.",
                &["kind", "name"],
            )?,
            crl_next_update: make.float_gauges(
                "crl_next_update_timestamp_seconds",
                "When a revocation list is due.",
                &["listener", "name"],
            )?,
            config_generation: make.gauge("config_generation", "Number of the configuration that serves.")?,
            config_last_reload: make.float_gauge(
                "config_last_reload_timestamp_seconds",
                "When a reload was last tried.",
            )?,
            config_last_reload_successful: make.gauge(
                "config_last_reload_successful",
                "Whether the last reload was taken (1) or the last good configuration serves on (0).",
            )?,
            config_reloads: make.counters("config_reloads_total", "Reloads by result.", &["result"])?,
            other_refusals: make.counters(
                "other_refusals_total",
                "Requests that no layer refused and that still got no whole answer.",
                &["reason", "app"],
            )?,
            boundary: Boundary::new(&make)?,
            crl: Crl::new(&make)?,
            policy: PolicyMetrics::new(&make)?,
            limits: LimitsMetrics::new(&make)?,
            retention: RetentionMetrics::new(&make)?,
            shipping: ShippingMetrics::new(&make)?,
            registry: make.0.clone(),
        };
        make.gauges("build_info", "The running build.", &["version"])?
            .with_label_values(&[env!("CARGO_PKG_VERSION")])
            .set(1);
        for result in ["taken", "refused"] {
            metrics
                .config_reloads
                .with_label_values(&[result])
                .inc_by(0);
        }
        Ok(metrics)
    }

    /// The handles of one application.
    #[must_use]
    pub fn application(&self, name: &str) -> ApplicationMetrics {
        ApplicationMetrics {
            passes: Layer::ALL.map(|layer| {
                self.layer_verdicts
                    .with_label_values(&[layer.name(), "pass", "", name])
            }),
            request_seconds: self.request_seconds.with_label_values(&[name]),
            upstream_ok: self.upstream_results.with_label_values(&[name, "ok"]),
            upstreams_out: self.upstreams_out.with_label_values(&[name]),
            trials: self.policy.trials_of(name),
        }
    }

    /// Counts a refusal by its layer; the layers that had passed before are counted by the caller.
    pub fn refused(&self, denial: Denial, application: &str) {
        match denial.layer() {
            Some(layer) => self
                .layer_verdicts
                .with_label_values(&[layer.name(), "refuse", denial.code(), application])
                .inc(),
            None => self
                .other_refusals
                .with_label_values(&[denial.code(), application])
                .inc(),
        }
    }

    /// Counts a layer that passed in a request that found no application.
    pub fn passed_without_application(&self, layer: Layer) {
        self.layer_verdicts
            .with_label_values(&[layer.name(), "pass", "", NO_APPLICATION])
            .inc();
    }

    /// Counts a handshake: `ok` or the code of the denial.
    pub fn handshake(&self, listener: &str, denial: Option<Denial>) {
        let result = denial.map_or("ok", Denial::code);
        self.handshakes.with_label_values(&[listener, result]).inc();
    }

    /// Counts a failed attempt at an upstream.
    pub fn upstream_failed(&self, application: &str, denial: Denial) {
        self.upstream_results
            .with_label_values(&[application, denial.code()])
            .inc();
    }

    /// Everything in the Prometheus text format, version 0.0.4.
    ///
    /// # Errors
    /// Never for registered metrics.
    pub fn encode(&self) -> Result<String, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

impl ApplicationMetrics {
    /// Counts what a policy under trial would have said.
    pub fn tried(&self, compared: Compared) {
        let of = Compared::ALL.iter().zip(&self.trials);
        for (_, counter) in of.filter(|(known, _)| **known == compared) {
            counter.inc();
        }
    }

    /// Counts a layer that passed.
    pub fn passed(&self, layer: Layer) {
        if let Some(counter) = self.passes.get(layer.index()) {
            counter.inc();
        }
    }
}

/// Makes and registers in one step.
pub(super) struct Maker(Registry);

impl Maker {
    fn register<M: prometheus::core::Collector + Clone + 'static>(
        &self,
        metric: M,
    ) -> Result<M, prometheus::Error> {
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    pub(super) fn counter(&self, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
        self.register(IntCounter::new(name, help)?)
    }

    pub(super) fn counters(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<IntCounterVec, prometheus::Error> {
        self.register(IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    pub(super) fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
        self.register(IntGauge::new(name, help)?)
    }

    pub(super) fn gauges(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<IntGaugeVec, prometheus::Error> {
        self.register(IntGaugeVec::new(Opts::new(name, help), labels)?)
    }

    pub(super) fn float_gauge(&self, name: &str, help: &str) -> Result<Gauge, prometheus::Error> {
        self.register(Gauge::new(name, help)?)
    }

    pub(super) fn float_gauges(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<GaugeVec, prometheus::Error> {
        self.register(GaugeVec::new(Opts::new(name, help), labels)?)
    }

    pub(super) fn histogram(
        &self,
        name: &str,
        help: &str,
        buckets: &[f64],
    ) -> Result<Histogram, prometheus::Error> {
        self.register(Histogram::with_opts(
            HistogramOpts::new(name, help).buckets(buckets.to_vec()),
        )?)
    }

    pub(super) fn histograms(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
        buckets: &[f64],
    ) -> Result<HistogramVec, prometheus::Error> {
        self.register(HistogramVec::new(
            HistogramOpts::new(name, help).buckets(buckets.to_vec()),
            labels,
        )?)
    }
}

/// From a tenth of a millisecond to five seconds.
const DURABLE_BUCKETS: &[f64] = &[
    0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0,
];
/// From half a millisecond to a minute.
const REQUEST_BUCKETS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0,
];
/// From a quarter of a microsecond to ten milliseconds.
const DECISION_BUCKETS: &[f64] = &[
    0.000_000_25,
    0.000_000_5,
    0.000_001,
    0.000_003,
    0.000_01,
    0.000_1,
    0.001,
    0.01,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_and_passes_are_counted_by_layer() {
        let metrics = Metrics::new().unwrap();
        metrics.application("records").passed(Layer::Edge);
        metrics.refused(Denial::NoRule, "records");
        metrics.refused(Denial::AuditUnavailable, "records");
        let text = metrics.encode().unwrap();
        assert!(text.contains(r#"hangu_layer_verdicts_total{app="records",layer="edge",reason="",result="pass"} 1"#), "{text}");
        assert!(
            text.contains(
                r#"hangu_layer_verdicts_total{app="records",layer="application",reason="application.no_rule",result="refuse"} 1"#
            ),
            "{text}"
        );
        assert!(
            text.contains(
                r#"hangu_other_refusals_total{app="records",reason="audit.unavailable"} 1"#
            ),
            "{text}"
        );
    }
}
