//! The admin listener: metrics that a scraper and a human can trust, and health.

use std::collections::BTreeSet;
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

use hangu_tests::RunningGateway;

use crate::support::{LAYERS, records, records_with};

/// Files of a test's gateway whose ends are told.
const EXPIRING: [&str; 3] = [
    "certs/server.pem",
    "certs/clients-ca.pem",
    "certs/clients.crl.pem",
];

/// One of everything: an allowed request, refusals of every layer, a refused handshake, a reload that is refused.
fn a_busy_morning() -> (RunningGateway, hangu_tests::TestUpstream) {
    let limits = "[limits]\nidentity = { requests = 1, per = \"1h\", burst = 6 }";
    let (gateway, upstream) = records_with(|world| world.table(limits));
    let clerk = gateway.client("clerk");
    for path in [
        "/",
        "/a/../b",
        "/sealed/1",
        "/residents/110101199003074233?name=Li",
    ] {
        clerk.get(path).unwrap();
    }
    let delete = "DELETE /read-only/1 HTTP/1.1\r\nHost: records.test\r\nContent-Length: 0\r\n\r\n";
    clerk.exchange(delete.as_bytes()).unwrap();
    gateway.client("reader").get("/secret/1").unwrap();
    for _ in 0..5 {
        clerk.get("/").unwrap();
    }
    assert!(gateway.client_with(None).get("/").is_err());
    let policy = gateway.folder().read("policy/policy.csv");
    gateway.folder().write("policy/policy.csv", "nonsense");
    gateway.reload_refused();
    gateway.folder().write("policy/policy.csv", &policy);
    (gateway, upstream)
}

#[test]
fn the_metrics_are_clean_in_the_eyes_of_promtool() {
    let (gateway, _upstream) = a_busy_morning();
    let text = gateway.metrics().text;
    promtool_agrees(&["check", "metrics"], &text, |said| said.trim().is_empty());
}

#[test]
fn the_alerts_do_what_their_test_says() {
    let tests = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../deploy/prometheus/alerts_test.yml"
    );
    promtool_agrees(&["test", "rules", tests], "", |said| {
        said.contains("SUCCESS")
    });
}

/// Runs `promtool` where it is: it must end well and say what is wanted.
fn promtool_agrees(arguments: &[&str], input: &str, is_wanted: impl FnOnce(&str) -> bool) {
    let child = Command::new("promtool")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) if std::env::var_os("CI").is_none() => {
            println!(
                "skipped: promtool cannot be run here ({error}); it is part of the package `prometheus`"
            );
            return;
        }
        Err(error) => panic!("promtool cannot be run: {error}; install the package `prometheus`"),
    };
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(
        output.status.success() && is_wanted(&said),
        "{said}\n{input}"
    );
}

#[test]
fn every_metric_that_operators_were_promised_is_there() {
    let (gateway, _upstream) = a_busy_morning();
    let metrics = gateway.metrics();
    for name in [
        "hangu_layer_verdicts_total",
        "hangu_request_duration_seconds_bucket",
        "hangu_decision_duration_seconds_bucket",
        "hangu_handshakes_total",
        "hangu_connections",
        "hangu_upstream_results_total",
        "hangu_upstreams_out",
        "hangu_audit_queue_records",
        "hangu_audit_records_total",
        "hangu_audit_dropped_total",
        "hangu_audit_refused_total",
        "hangu_cert_not_after_timestamp_seconds",
        "hangu_crl_next_update_timestamp_seconds",
        "hangu_config_generation",
        "hangu_config_last_reload_timestamp_seconds",
        "hangu_config_last_reload_successful",
        "hangu_config_reloads_total",
        "hangu_policy_rules",
        "hangu_policy_last_load_timestamp_seconds",
        "hangu_policy_last_load_successful",
        "hangu_policy_refused_total",
        "hangu_build_info",
    ] {
        assert!(metrics.has(name), "{name} is not in:\n{}", metrics.text);
    }
    let now = hangu_tests::now() as f64;
    let soon = |name: &str, labels: &[(&str, &str)]| {
        let at = metrics.sum(name, labels);
        assert!(
            at > now && at < now + 2.0 * 24.0 * 3600.0,
            "{name}{labels:?}: {at}"
        );
    };
    // By their whole paths: two files of one name would hide one another.
    let [server, clients_ca, crl] = EXPIRING.map(|name| gateway.folder().path(name));
    let text = |path: &Path| path.display().to_string();
    soon(
        "hangu_cert_not_after_timestamp_seconds",
        &[("kind", "server"), ("name", &text(&server))],
    );
    soon(
        "hangu_cert_not_after_timestamp_seconds",
        &[("kind", "client_ca"), ("name", &text(&clients_ca))],
    );
    soon(
        "hangu_crl_next_update_timestamp_seconds",
        &[("listener", "edge"), ("name", &text(&crl))],
    );
    assert!(metrics.sum("hangu_decision_duration_seconds_count", &[]) >= 4.0);
    assert_eq!(metrics.sum("hangu_config_generation", &[]), 1.0);
}

#[test]
fn no_label_carries_anything_that_a_client_chose() {
    let (gateway, _upstream) = a_busy_morning();
    let metrics = gateway.metrics();
    let mut values: BTreeSet<(String, String)> = BTreeSet::new();
    for (_, label, value) in metrics.label_values() {
        values.insert((label, value));
    }
    let known = |label: &str, value: &str| match label {
        "layer" => LAYERS.contains(&value),
        "result" | "reason" => {
            ["", "pass", "refuse", "ok", "taken", "refused"].contains(&value)
                || ["allowed", "denied", "aborted", "event"].contains(&value)
                || ["same", "would_deny", "would_allow"].contains(&value)
                || hangu_gateway::bundle::PolicyRefusal::ALL
                    .iter()
                    .any(|refusal| refusal.word() == value)
                || hangu_gateway::denial::Denial::ALL
                    .iter()
                    .any(|denial| denial.code() == value)
        }
        "app" => ["records", "none"].contains(&value),
        "listener" => value == "edge",
        "behind" => ["http1_request", "http2_request", "http2_answer"].contains(&value),
        "limit" => value == "identity",
        "kind" => {
            ["server", "client_ca", "upstream_ca", "upstream_client"].contains(&value)
                || ["rate", "quota", "requests", "connections"].contains(&value)
        }
        "name" => EXPIRING
            .iter()
            .any(|name| gateway.folder().path(name) == Path::new(value)),
        "version" => value == env!("CARGO_PKG_VERSION"),
        "epoch" => value.parse::<u64>().is_ok(),
        "digest" => value.len() == 64 && value.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "le" => value == "+Inf" || value.parse::<f64>().is_ok(),
        _ => false,
    };
    for (label, value) in &values {
        assert!(known(label, value), "{label}=\"{value}\"");
    }
    // The letters of a temporary folder are anybody's.
    let folder = gateway.folder().path("").display().to_string();
    let samples = metrics.text.replace(&folder, "");
    for secret in [
        "clerk",
        "gov.test",
        "residents",
        "110101199003074233",
        "127.0.0.1",
        "Li",
    ] {
        let in_samples = samples
            .lines()
            .filter(|line| !line.starts_with('#'))
            .any(|line| line.contains(secret));
        assert!(!in_samples, "{secret} in:\n{}", metrics.text);
    }
}

#[test]
fn health_and_readiness_are_answered_and_nothing_else_is() {
    let (gateway, _upstream) = records();
    for (path, status) in [
        ("/healthz", 200),
        ("/readyz", 200),
        ("/metrics", 200),
        ("/", 404),
        ("/metrics/", 404),
        ("/debug", 404),
        ("/healthz/../metrics", 404),
    ] {
        assert_eq!(gateway.admin_get(path).unwrap().0, status, "{path}");
    }
    let mut stream = TcpStream::connect(gateway.folder().admin()).unwrap();
    stream
        .write_all(
            b"POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        )
        .unwrap();
    let answer = std::io::read_to_string(stream).unwrap();
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
}

#[test]
fn the_admin_listener_is_not_for_the_network_unless_that_is_said() {
    let (gateway, _upstream) = records();
    let folder = gateway.into_folder();
    let config = folder.read("hangu.toml");
    let open = config.replace(
        &format!("address = \"{}\"", folder.admin()),
        "address = \"0.0.0.0:9180\"",
    );
    folder.write("hangu.toml", &open);
    let output = folder.check();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("0.0.0.0:9180") && said.contains("expose"),
        "{said}"
    );
}
