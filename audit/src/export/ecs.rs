//! Elastic Common Schema 8.11. What it has no field for is under `hangu`.

use serde_json::Value;

use super::fields::Fields;
use super::{Severity, address_and_port, severity};
use crate::entry::Entry;

pub(super) fn event(entry: &Entry) -> Value {
    let (address, port) = address_and_port(&entry.client);
    let source = || Fields::new().text("ip", address).maybe("port", port);
    let rule = Fields::new()
        .text("name", &entry.rule)
        .text("ruleset", &entry.policy_digest);
    Fields::new()
        .text("@timestamp", &entry.time)
        .object("ecs", Fields::new().text("version", "8.11.0"))
        .text("message", &entry.detail)
        .object("event", meta(entry))
        .object("http", http(entry))
        .object("url", Fields::new().text("path", &entry.path))
        .object("source", source())
        .object("client", source())
        .object("user", Fields::new().text("name", &entry.subject))
        .object("tls", tls(entry))
        .object("rule", rule)
        .object("trace", Fields::new().text("id", &entry.trace_id))
        .object(
            "service",
            Fields::new()
                .text("name", &entry.application)
                .text("address", &entry.upstream),
        )
        .object("organization", Fields::new().text("id", &entry.tenant))
        .object("observer", observer(entry))
        .object("hangu", own(entry))
        .into()
}

fn meta(entry: &Entry) -> Fields {
    let (kind, category) = match entry.kind.as_str() {
        "request" => ("access", "web"),
        "end" => ("end", "web"),
        "handshake" | "connection" => ("connection", "network"),
        "start" => ("start", "process"),
        "stop" => ("end", "process"),
        "admin" => ("admin", "iam"),
        "recovered" | "dropped" => ("error", "process"),
        _ => ("change", "configuration"),
    };
    let (outcome, verdict) = match entry.decision.as_str() {
        "denied" | "refused" => ("failure", Some("denied")),
        "aborted" => ("failure", None),
        "allowed" => ("success", Some("allowed")),
        _ => ("unknown", None),
    };
    let severity: u64 = match severity(entry) {
        Severity::Information => 1,
        Severity::Notice => 3,
        Severity::Alarm => 4,
    };
    let mut fields = Fields::new()
        .text("kind", "event")
        .text("module", "hangu")
        .text("dataset", "hangu.audit")
        .list("category", [category.into()])
        .list("type", [kind].into_iter().chain(verdict).map(Value::from))
        .text("action", &entry.kind)
        .text("outcome", outcome)
        .text("reason", &entry.reason)
        .text("id", &entry.request_id)
        .number("sequence", entry.seq)
        .text("hash", &entry.hash)
        .number("severity", severity);
    if entry.kind == "request" {
        fields = fields.number("duration", entry.duration_us.saturating_mul(1_000));
    }
    fields
}

fn http(entry: &Entry) -> Fields {
    if entry.method.is_empty() {
        return Fields::new();
    }
    let body = |bytes: u64| Fields::new().number("bytes", bytes);
    let request = Fields::new()
        .text("method", &entry.method)
        .text("id", &entry.request_id)
        .object("body", body(entry.bytes_in));
    let response = Fields::new()
        .maybe("status_code", entry.status)
        .object("body", body(entry.bytes_out));
    Fields::new()
        .object("request", request)
        .object("response", response)
}

fn tls(entry: &Entry) -> Fields {
    // `TLSv1.3/h2`: the schema parts protocol, version and the protocol inside.
    let mut parts = entry.channel.split('/');
    let (protocol, version) = parts
        .next()
        .unwrap_or_default()
        .split_once('v')
        .unwrap_or_default();
    let client = Fields::new()
        .text("issuer", &entry.issuer)
        .object("hash", Fields::new().text("sha256", &entry.certificate))
        .object("x509", Fields::new().text("serial_number", &entry.serial));
    Fields::new()
        .text("version_protocol", &protocol.to_lowercase())
        .text("version", version)
        .text("next_protocol", parts.next().unwrap_or_default())
        .object("client", client)
}

fn observer(entry: &Entry) -> Fields {
    Fields::new()
        .text("hostname", &entry.node)
        .text("vendor", "Hangu")
        .text("product", "hangu")
        .text("type", "proxy")
        .text("version", env!("CARGO_PKG_VERSION"))
        .object("ingress", Fields::new().text("zone", &entry.zone))
}

fn own(entry: &Entry) -> Fields {
    let mut layers = Fields::new();
    if let Some(steps) = &entry.layers {
        for (name, step) in steps.named() {
            layers = layers.text(name, step);
        }
    }
    Fields::new()
        .text("boot", &entry.boot)
        .text("listener", &entry.listener)
        .text("decision", &entry.decision)
        .text("route", &entry.route)
        .text("label", &entry.label)
        .object("layers", layers)
        .list(
            "query_keys",
            entry.query_keys.iter().map(|key| key.as_str().into()),
        )
        .number("config_generation", entry.config_generation)
        .number("policy_generation", entry.policy_generation)
        .list("cut", entry.cut.iter().map(|name| name.as_str().into()))
}
