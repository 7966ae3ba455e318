//! What every test says: a gateway of the binary under test, and what a refused or an allowed request must leave behind.

use hangu_tests::{Answer, Response, RunningGateway, TestGateway, TestUpstream};
use serde_json::Value;

/// A gateway of the binary that was built with these tests.
pub(crate) fn gateway() -> TestGateway {
    TestGateway::new(env!("CARGO_BIN_EXE_hangu-under-test"))
}

/// A gateway in front of the application `records`, and that application.
pub(crate) fn records() -> (RunningGateway, TestUpstream) {
    records_with(|gateway| gateway)
}

/// The same, changed.
pub(crate) fn records_with(
    change: impl FnOnce(TestGateway) -> TestGateway,
) -> (RunningGateway, TestUpstream) {
    let upstream = TestUpstream::answering(|_| Answer::ok("the records"));
    let gateway = change(gateway().records(upstream.address())).start();
    (gateway, upstream)
}

/// A request that was refused: the client learns status, title and request id and nothing else (RFC 9457); the audit record holds the
/// reason and how far the request came; the metric counts it under its layer.
#[track_caller]
pub(crate) fn assert_refused(
    gateway: &RunningGateway,
    response: &Response,
    status: u16,
    reason: &str,
) {
    assert_refused_at(gateway, response, status, reason, steps(reason));
}

/// The same, for a refusal that came later than its reason usually does.
#[track_caller]
pub(crate) fn assert_refused_at(
    gateway: &RunningGateway,
    response: &Response,
    status: u16,
    reason: &str,
    steps: &str,
) {
    let id = response.request_id();
    let record = gateway.audit().of_request(&id);
    assert_eq!(field(&record, "reason"), reason, "{record:#}");
    assert_eq!(response.status, status, "{response:?}");
    assert_problem_with(response, status, &id, told(reason));
    assert_eq!(field(&record, "kind"), "request");
    assert_eq!(field(&record, "decision"), "denied");
    assert_eq!(record["status"], status);
    assert_eq!(
        walked(&record),
        steps,
        "how far it came: endpoint, edge, network, cloud, data, application"
    );
    let layer = reason.split('.').next().unwrap();
    gateway.wait_for_metric(
        "hangu_layer_verdicts_total",
        &[("layer", layer), ("result", "refuse"), ("reason", reason)],
        1.0,
    );
}

/// The body of a refusal that says no reason, byte for byte in meaning.
#[track_caller]
pub(crate) fn assert_problem(response: &Response, status: u16, request_id: &str) {
    assert_problem_with(response, status, request_id, None);
}

#[track_caller]
fn assert_problem_with(response: &Response, status: u16, request_id: &str, reason: Option<&str>) {
    assert_eq!(
        response.fields.get("content-type"),
        Some("application/problem+json")
    );
    assert_eq!(response.fields.get("cache-control"), Some("no-store"));
    let mut expected = serde_json::json!({
        "type": "about:blank", "title": title(status), "status": status, "request_id": request_id,
    });
    if let Some(reason) = reason {
        expected["reason"] = reason.into();
    }
    assert_eq!(response.json(), expected);
}

/// A request that went through: all six layers agreed, and the record and the metrics say so.
#[track_caller]
pub(crate) fn assert_allowed(gateway: &RunningGateway, response: &Response) {
    assert_eq!(response.status, 200, "{response:?} {}", response.text());
    let record = gateway.audit().of_request(&response.request_id());
    assert_eq!(field(&record, "decision"), "allowed", "{record:#}");
    assert_eq!(walked(&record), "pppppp");
    assert!(record.get("reason").is_none(), "{record:#}");
    let application = field(&record, "application").to_owned();
    for layer in LAYERS {
        gateway.wait_for_metric(
            "hangu_layer_verdicts_total",
            &[("layer", layer), ("result", "pass"), ("app", &application)],
            1.0,
        );
    }
}

/// A text field of a record; empty when it is not there.
pub(crate) fn field<'r>(record: &'r Value, name: &str) -> &'r str {
    record.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The six steps as one word: `p`ass, `r`efuse, `-` for not reached.
pub(crate) fn walked(record: &Value) -> String {
    let step = |layer: &&str| match record["layers"][layer].as_str() {
        Some("pass") => 'p',
        Some("refuse") => 'r',
        Some("not_reached") => '-',
        other => panic!("an unknown step: {other:?}"),
    };
    LAYERS.iter().map(step).collect()
}

/// The request line and the Host field of a request for `records.test`, to be followed by further fields and a blank line.
pub(crate) fn head(method: &str, target: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: records.test\r\n")
}

/// The first bytes of a text: what is left of a file that broke off.
pub(crate) fn first(text: &str, bytes: usize) -> &str {
    text.get(..bytes).expect("ASCII")
}

/// In the order of the audit record.
pub(crate) const LAYERS: [&str; 6] = [
    "endpoint",
    "edge",
    "network",
    "cloud",
    "data",
    "application",
];

/// How far a request comes that is refused for this reason. The walk goes 边 云 端 网 数 用.
fn steps(reason: &str) -> &'static str {
    match reason {
        "cloud.no_application" | "cloud.no_route" | "cloud.method_not_allowed" => "-p-r--",
        _ => match reason.split('.').next() {
            Some("edge") => "-r----",
            Some("endpoint") => "rp-p--",
            Some("network") => "pprp--",
            Some("data") => "ppppr-",
            Some("application") => "pppppr",
            Some("cloud") => "ppprpp",
            other => panic!("an unknown layer: {other:?}"),
        },
    }
}

/// What of a reason the client is told: of messages that break the standard, all.
fn told(reason: &str) -> Option<&str> {
    let is_our_affair = matches!(
        reason,
        "edge.query_ambiguous" | "edge.origin_refused" | "edge.host_mismatch"
    );
    (reason.starts_with("edge.") && !is_our_affair).then_some(reason)
}

fn title(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        414 => "URI Too Long",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        other => panic!("no refusal has status {other}"),
    }
}
