//! Policies under trial: asked, counted and recorded, never enforced; and the counters of rules.

use std::time::{Duration, UNIX_EPOCH};

use hangu_tests::{GatewayFolder, Response, RunningGateway, TestUpstream, now};
use serde_json::Value;

use crate::support::{assert_allowed, assert_refused, field, gateway};

const POLICY: &str = "\
p, clerk, civil, /*,     GET, allow
p, clerk, civil, /shut/*, *,  deny
g, spiffe://gov.test/clerk, clerk, civil
g2, clerk, sensitive
g2, sensitive, internal
g2, internal, public
";

/// A gateway that tries `text` as `what` says, not started yet.
fn desk(what: &str, text: &str, seconds: i64) -> (GatewayFolder, TestUpstream) {
    let upstream = TestUpstream::named("records");
    let seconds = u64::try_from(now() + seconds).unwrap();
    let expires = hangu_audit::Timestamp::from(UNIX_EPOCH + Duration::from_secs(seconds));
    let shadow = format!("[policy.shadow]\n{what} = \"policy/tried.csv\"\nexpires = \"{expires}\"");
    let folder = gateway()
        .records(upstream.address())
        .policy(POLICY)
        .table(&shadow)
        .prepare();
    folder.write("policy/tried.csv", text);
    (folder, upstream)
}

fn record(gateway: &RunningGateway, response: &Response) -> Value {
    gateway.audit().of_request(&response.request_id())
}

#[test]
fn extra_rules_are_tried_and_bind_nobody() {
    let tried = "p, clerk, civil, /residents/*, GET, deny\n";
    let (folder, upstream) = desk("extra", tried, 3600);
    let gateway = folder.start();
    let client = gateway.client("clerk");
    for (path, status, tried, rule) in [
        ("/residents/7", 200, "denied", "tried.csv:1"),
        ("/other/7", 200, "allowed", "policy.csv:1"),
        ("/shut/7", 403, "denied", "policy.csv:2"),
    ] {
        let response = client.get(path).unwrap();
        assert_eq!(response.status, status, "{path}");
        let record = record(&gateway, &response);
        assert_eq!(field(&record, "shadow_decision"), tried, "{record:#}");
        assert_eq!(field(&record, "shadow_rule"), rule, "{record:#}");
        assert_eq!(field(&record, "shadow_policy").len(), 64);
    }
    assert_eq!(upstream.count(), 2);
    for (result, count) in [("would_deny", 1.0), ("same", 2.0), ("would_allow", 0.0)] {
        let labels = [("app", "records"), ("result", result)];
        let sum = gateway.metrics().sum("hangu_policy_shadow_total", &labels);
        assert_eq!(sum, count, "{result}");
    }
}

#[test]
fn a_whole_candidate_can_want_more_or_less_and_its_clearance_counts() {
    let tried = "p, clerk, civil, /shut/*, GET, allow\np, clerk, civil, /secret/*, GET, allow\n\
         g, spiffe://gov.test/clerk, clerk, civil\ng2, clerk, internal\n";
    let (folder, _upstream) = desk("rules", tried, 3600);
    let gateway = folder.start();
    for (path, status, tried, rule) in [
        ("/shut/7", 403, "allowed", "tried.csv:1"),
        ("/residents/7", 200, "denied", ""),
        ("/secret/7", 200, "denied", ""),
    ] {
        let response = gateway.client("clerk").get(path).unwrap();
        assert_eq!(response.status, status, "{path}");
        let record = record(&gateway, &response);
        assert_eq!(field(&record, "shadow_decision"), tried, "{record:#}");
        assert_eq!(field(&record, "shadow_rule"), rule, "{record:#}");
    }
    let labels = [("app", "records"), ("result", "would_allow")];
    gateway.wait_for_metric("hangu_policy_shadow_total", &labels, 1.0);
}

#[test]
fn an_expired_trial_is_not_asked_any_more_and_a_metric_says_so() {
    let (folder, _upstream) = desk("extra", "p, clerk, civil, /*, GET, deny\n", -60);
    let gateway = folder.start();
    let response = gateway.client("clerk").get("/residents/7").unwrap();
    assert_allowed(&gateway, &response);
    assert_eq!(field(&record(&gateway, &response), "shadow_decision"), "");
    let metrics = gateway.metrics();
    assert_eq!(metrics.sum("hangu_policy_shadow_total", &[]), 0.0);
    let expires = metrics.sum("hangu_policy_shadow_expires_timestamp_seconds", &[]);
    assert!(expires > 0.0 && expires < now() as f64);
}

#[test]
fn a_broken_trial_never_replaces_a_good_generation() {
    let (folder, _upstream) = desk("extra", "p, clerk, civil, /a, GET, deny\n", 3600);
    let gateway = folder.start();
    let folder = gateway.folder();
    folder.write("policy/tried.csv", "p, clerk, civil, /a, GET, maybe\n");
    gateway.reload_refused();
    let denied = gateway.client("clerk").get("/shut/7").unwrap();
    assert_refused(&gateway, &denied, 403, "application.explicit_deny");
}

/// What `hangu policy hits` says, as JSON.
fn hits(gateway: &RunningGateway, more: &[&str]) -> Value {
    let config = gateway.folder().config().display().to_string();
    let asked = [&["policy", "hits", "--json", "--config", &config], more].concat();
    let output = gateway.folder().hangu(&asked);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn every_rule_that_decides_is_counted_and_goes_on_counting_over_reloads() {
    let upstream = TestUpstream::named("records");
    let mut gateway = gateway().records(upstream.address()).policy(POLICY).start();
    for path in ["/a", "/b", "/shut/7"] {
        gateway.client("clerk").get(path).unwrap();
    }
    let unused = "p, clerk, civil, /never/*, POST, allow\n";
    let policy = format!("# another line\n{unused}{POLICY}");
    gateway.change(|world| world.policy(&policy));
    gateway.client("clerk").get("/c").unwrap();
    let counted = hits(&gateway, &[]);
    let rows = counted["rules"].as_array().unwrap();
    let row = |rule: &str| {
        let found = rows.iter().find(|row| row["rule"] == rule);
        found.map_or(0, |row| row["hits"].as_u64().unwrap())
    };
    assert_eq!((row("policy.csv:3"), row("policy.csv:4")), (3, 1));
    assert_eq!(
        (&counted["total"], &counted["used"]),
        (&3.into(), &2.into())
    );
    let unused = hits(&gateway, &["--unused"]);
    assert_eq!(unused["rules"].as_array().unwrap().len(), 1);
    assert_eq!(unused["rules"][0]["rule"], "policy.csv:2");
}
