//! Elastic Common Schema 8.11. What it has no field for is under `hangu`.

use serde_json::Value;

use super::fields::{Fields, own};
use super::{Severity, address_and_port, is_address, is_refused_action, severity};
use crate::entry::Entry;
use crate::pseudonym::Pseudonyms;

pub(super) fn event(entry: &Entry) -> Value {
    let (address, port) = address_and_port(&entry.client);
    let ip = if is_address(address) { address } else { "" };
    let source = || {
        Fields::new()
            .text("address", address)
            .text("ip", ip)
            .maybe("port", port)
    };
    let user = if entry.kind == "admin" {
        &entry.actor
    } else {
        &entry.subject
    };
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
        .object("user", Fields::new().text("name", user))
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
        .object("hangu", beside(entry))
        .into()
}

fn meta(entry: &Entry) -> Fields {
    let (kind, categories): (_, &[&str]) = match entry.kind.as_str() {
        "request" if entry.decision == "aborted" => ("error", &["web", "network"]),
        "request" => ("access", &["web", "network"]),
        "end" => ("end", &["web", "network"]),
        "handshake" | "connection" => ("connection", &["network"]),
        "start" => ("start", &["process"]),
        "stop" => ("end", &["process"]),
        "admin" => ("admin", &["iam"]),
        "reload" => ("change", &["configuration"]),
        "recovered" | "dropped" => ("info", &["host"]),
        _ => ("change", &["host"]),
    };
    let (outcome, verdict) = match entry.decision.as_str() {
        "denied" | "refused" => ("failure", Some("denied")),
        "aborted" => ("failure", None),
        "allowed" => ("success", Some("allowed")),
        _ if entry.kind == "dropped" || is_refused_action(entry) => ("failure", None),
        _ if entry.kind == "admin" => ("success", None),
        _ => ("unknown", None),
    };
    let action = if entry.action.is_empty() {
        &entry.kind
    } else {
        &entry.action
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
        .list("category", categories.iter().map(|word| Value::from(*word)))
        .list("type", [kind].into_iter().chain(verdict).map(Value::from))
        .text("action", action)
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
        .object(
            "hash",
            Fields::new().text("sha256", &spelled(&entry.certificate)),
        )
        .object(
            "x509",
            Fields::new().text("serial_number", &spelled(&entry.serial)),
        );
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

fn beside(entry: &Entry) -> Fields {
    let mut layers = Fields::new();
    if let Some(steps) = &entry.layers {
        for (name, step) in steps.named() {
            layers = layers.text(name, step);
        }
    }
    own(entry)
        .text("decision", &entry.decision)
        .object("layers", layers)
        .text("object", &entry.object)
        .text("outcome", &entry.outcome)
}

/// Digits as the schema spells them; a pseudonym as it is.
fn spelled(hex: &str) -> String {
    if Pseudonyms::is_one(hex) {
        hex.to_owned()
    } else {
        hex.to_uppercase()
    }
}
