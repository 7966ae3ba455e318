//! Open Cybersecurity Schema Framework 1.3. What it has no field for is in `unmapped`, which is its place for that.

use serde_json::Value;

use super::fields::{Fields, own};
use super::{Severity, address_and_port, is_address, is_refused_action, severity};
use crate::entry::Entry;
use crate::time::Timestamp;

pub(super) fn event(entry: &Entry) -> Value {
    let class = class(entry);
    let (activity, activity_name) = activity(entry, class);
    let time = Timestamp::parse(&entry.time).map(Timestamp::unix_ms);
    let (status, status_name) = status(entry);
    let fields = Fields::new()
        .number("category_uid", class / 1_000)
        .number("class_uid", class)
        .number("activity_id", activity)
        .text("activity_name", activity_name)
        .number("type_uid", class * 100 + activity)
        .maybe("time", time)
        .number("severity_id", severity_id(entry))
        .number("status_id", status)
        .text("status", status_name)
        .text("status_detail", status_detail(entry))
        .text("message", &entry.detail)
        .object("metadata", metadata(entry))
        .object("device", device(entry))
        .object("unmapped", unmapped(entry));
    match class {
        HTTP_ACTIVITY => network(http(decided(fields, entry), entry), entry),
        NETWORK_ACTIVITY => network(decided(fields, entry), entry),
        API_ACTIVITY => api(fields, entry),
        _ => fields.object("app", product()),
    }
    .into()
}

/// What the security control profile asks for.
fn decided(fields: Fields, entry: &Entry) -> Fields {
    let (action, disposition) = action(entry);
    fields
        .number("action_id", action)
        .number("disposition_id", disposition)
}

/// What an administrator did.
fn api(fields: Fields, entry: &Entry) -> Fields {
    let resource = Fields::new().text("name", &entry.object);
    let (address, port) = address_and_port(&entry.client);
    let mut source = endpoint(address, port);
    if entry.client.is_empty() {
        // By the control socket, which is on the machine itself.
        source = source.text("hostname", &entry.node);
    }
    fields
        .object(
            "actor",
            Fields::new().object("user", Fields::new().text("name", &entry.actor)),
        )
        .object("api", Fields::new().text("operation", &entry.action))
        .object("src_endpoint", source)
        .list(
            "resources",
            (!entry.object.is_empty()).then(|| resource.into()),
        )
}

/// An address where an address stands; its pseudonym where a name may.
fn endpoint(address: &str, port: Option<u16>) -> Fields {
    let name = if is_address(address) { "ip" } else { "uid" };
    Fields::new().text(name, address).maybe("port", port)
}

fn device(entry: &Entry) -> Fields {
    Fields::new()
        .number("type_id", SERVER)
        .text("hostname", &entry.node)
}

fn product() -> Fields {
    Fields::new()
        .text("name", "hangu")
        .text("vendor_name", "Hangu")
        .text("version", env!("CARGO_PKG_VERSION"))
}

fn status(entry: &Entry) -> (u64, &'static str) {
    let failed = matches!(entry.decision.as_str(), "denied" | "refused" | "aborted")
        || entry.kind == "dropped"
        || is_refused_action(entry);
    if failed {
        (2, "Failure")
    } else {
        (1, "Success")
    }
}

fn status_detail(entry: &Entry) -> &str {
    if entry.reason.is_empty() {
        &entry.outcome
    } else {
        &entry.reason
    }
}

fn class(entry: &Entry) -> u64 {
    match entry.kind.as_str() {
        "request" | "end" => HTTP_ACTIVITY,
        "handshake" | "connection" => NETWORK_ACTIVITY,
        "admin" => API_ACTIVITY,
        _ => APPLICATION_LIFECYCLE,
    }
}

fn activity(entry: &Entry, class: u64) -> (u64, &str) {
    if class == HTTP_ACTIVITY {
        let known = METHODS
            .into_iter()
            .find(|(method, _)| *method == entry.method);
        let other = if entry.method.is_empty() {
            entry.kind.as_str()
        } else {
            &entry.method
        };
        return known.map_or((OTHER, other), |(method, activity)| (activity, method));
    }
    match entry.kind.as_str() {
        "admin" => match entry.action.as_str() {
            "revoke" => (1, "Create"),
            "lift revocation" | "end sessions" => (4, "Delete"),
            other => (OTHER, other),
        },
        "start" => (3, "Start"),
        "stop" => (4, "Stop"),
        "handshake" | "connection" if entry.decision == "aborted" => (3, "Reset"),
        "handshake" | "connection" => (5, "Refuse"),
        other => (OTHER, other),
    }
}

/// Allowed or denied, and how.
fn action(entry: &Entry) -> (u64, u64) {
    match entry.decision.as_str() {
        "allowed" => (1, 1),
        "denied" => (2, 2),
        "refused" => (2, 25),
        // It ended underneath us: neither allowed nor denied, an error.
        "aborted" => (0, 27),
        _ => (1, 17),
    }
}

fn severity_id(entry: &Entry) -> u64 {
    match severity(entry) {
        Severity::Information => 1,
        Severity::Notice => 3,
        Severity::Alarm => 4,
    }
}

fn metadata(entry: &Entry) -> Fields {
    let control = matches!(class(entry), HTTP_ACTIVITY | NETWORK_ACTIVITY);
    let profiles = control.then_some("security_control").into_iter();
    Fields::new()
        .text("version", "1.3.0")
        .object("product", product())
        .text("log_name", "audit")
        .text("uid", &entry.hash)
        .number("sequence", entry.seq)
        .text("correlation_uid", &entry.trace_id)
        .list("profiles", profiles.chain(["host"]).map(Value::from))
}

fn http(fields: Fields, entry: &Entry) -> Fields {
    let request = Fields::new()
        .text("uid", &entry.request_id)
        .text("http_method", &entry.method)
        .object("url", Fields::new().text("path", &entry.path))
        .number("length", entry.bytes_in);
    // Without a status nothing was answered.
    let response = entry.status.map_or_else(Fields::new, |status| {
        Fields::new()
            .number("code", status)
            .number("length", entry.bytes_out)
            .number("latency", entry.duration_us / 1_000)
    });
    let policy = Fields::new()
        .text("uid", &entry.policy_digest)
        .text("version", &entry.policy_generation.to_string());
    fields
        .object("http_request", request)
        .object("http_response", response)
        .number("duration", entry.duration_us / 1_000)
        .object("firewall_rule", Fields::new().text("name", &entry.rule))
        .object("policy", policy)
}

fn network(fields: Fields, entry: &Entry) -> Fields {
    let (address, port) = address_and_port(&entry.client);
    let (upstream, upstream_port) = address_and_port(&entry.upstream);
    let fingerprint = Fields::new()
        .number("algorithm_id", SHA256)
        .text("value", &entry.certificate);
    let certificate = Fields::new()
        .text(
            "subject",
            if entry.certificate.is_empty() {
                ""
            } else {
                &entry.subject
            },
        )
        .text("issuer", &entry.issuer)
        .text("serial_number", &entry.serial)
        .list(
            "fingerprints",
            (!entry.certificate.is_empty()).then(|| fingerprint.into()),
        );
    let tls = Fields::new()
        .text(
            "version",
            entry.channel.split('/').next().unwrap_or_default(),
        )
        .object("certificate", certificate);
    let upstream = endpoint(upstream, upstream_port).text("svc_name", &entry.application);
    fields
        .object(
            "src_endpoint",
            endpoint(address, port).text("zone", &entry.zone),
        )
        .object("dst_endpoint", upstream)
        .object(
            "actor",
            Fields::new().object("user", Fields::new().text("name", &entry.subject)),
        )
        .object("tls", tls)
}

fn unmapped(entry: &Entry) -> Fields {
    let mut layers = Fields::new();
    if let Some(steps) = &entry.layers {
        for (name, step) in steps.named() {
            layers = layers.text(name, step);
        }
    }
    own(entry).object("layers", layers)
}

const HTTP_ACTIVITY: u64 = 4002;
const NETWORK_ACTIVITY: u64 = 4001;
const APPLICATION_LIFECYCLE: u64 = 6002;
const API_ACTIVITY: u64 = 6003;
const OTHER: u64 = 99;
const SHA256: u64 = 3;

/// Of a device.
const SERVER: u64 = 1;

/// PATCH has a number of its own in later versions of the schema only.
const METHODS: [(&str, u64); 8] = [
    ("CONNECT", 1),
    ("DELETE", 2),
    ("GET", 3),
    ("HEAD", 4),
    ("OPTIONS", 5),
    ("POST", 6),
    ("PUT", 7),
    ("TRACE", 8),
];
