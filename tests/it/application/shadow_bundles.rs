//! Policies under trial that signed bundles bring, and trials that have ended.

use std::fs;

use hangu_tests::{RunningGateway, now};
use serde_json::Value;

use super::bundles::{Draft, desk};
use crate::support::{assert_refused, field};

/// What is asked, and what the record says of the trial.
fn tried(gateway: &RunningGateway, path: &str) -> (u16, String, String) {
    let response = gateway.client("clerk").get(path).unwrap();
    let record: Value = gateway.audit().of_request(&response.request_id());
    let word = |name: &str| field(&record, name).to_owned();
    (
        response.status,
        word("shadow_decision"),
        word("shadow_rule"),
    )
}

/// A bundle with one rule that is tried.
fn with_rule(epoch: u64, rule: &str, expires: i64) -> String {
    let draft = Draft::new(epoch).with(|draft| {
        draft
            .files
            .push(("shadow.csv", format!("# tried\n{rule}\n")));
        draft.shadow_expires = Some(expires);
    });
    draft.write()
}

#[test]
fn single_rules_of_a_signed_bundle_are_tried_and_bind_nobody() {
    let rule = "p, clerk, civil, /residents/*, GET, deny";
    let (folder, upstream) = desk(&with_rule(1, rule, now() + 3600));
    let gateway = folder.start();
    let owned = |status, decision: &str, rule: &str| (status, decision.to_owned(), rule.to_owned());
    assert_eq!(
        tried(&gateway, "/residents/7"),
        owned(200, "denied", "shadow.csv:2")
    );
    assert_eq!(
        tried(&gateway, "/other"),
        owned(200, "allowed", "policy.csv:1")
    );
    assert_eq!(upstream.count(), 2);
    let labels = [("result", "would_deny")];
    assert_eq!(
        gateway.metrics().sum("hangu_policy_shadow_total", &labels),
        1.0
    );
    // Who takes the rule out of the bundle ends the trial.
    gateway
        .folder()
        .write("policy.bundle", &Draft::new(2).write());
    gateway.wait_for_metric("hangu_policy_info", &[("epoch", "2")], 1.0);
    assert_eq!(tried(&gateway, "/residents/7"), owned(200, "", ""));
}

#[test]
fn a_whole_bundle_is_tried_before_its_day() {
    let (folder, _upstream) = desk(&Draft::new(1).write());
    let candidate = Draft::new(9)
        .replacing(
            "policy.csv",
            "/sealed/*, *,   deny",
            "/residents/*, *, deny",
        )
        .write();
    folder.write("candidate.bundle", &candidate);
    let expires = super::bundles::rfc3339(now() + 3600);
    let config = fs::read_to_string(folder.config()).unwrap();
    let shadow =
        format!("[policy.shadow]\nbundle = \"candidate.bundle\"\nexpires = \"{expires}\"\n");
    fs::write(folder.config(), format!("{config}\n{shadow}")).unwrap();
    let gateway = folder.start();
    let (status, decision, rule) = tried(&gateway, "/residents/7");
    assert_eq!(
        (status, &*decision, &*rule),
        (200, "denied", "policy.csv:2")
    );
    let (status, decision, _) = tried(&gateway, "/sealed/7");
    assert_eq!((status, &*decision), (403, "allowed"));
    let response = gateway.client("clerk").get("/residents/7").unwrap();
    let record = gateway.audit().of_request(&response.request_id());
    assert_eq!(field(&record, "shadow_policy"), "epoch 9");
}

#[test]
fn a_trial_that_has_ended_is_told_at_check_in_the_log_and_in_the_records() {
    let rule = "p, clerk, civil, /residents/*, GET, deny";
    let (folder, _upstream) = desk(&with_rule(1, rule, now() - 60));
    let output = folder.check();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success() && said.contains("warning: the policy under trial expired at "),
        "{said}"
    );
    let gateway = folder.start();
    let (status, decision, _) = tried(&gateway, "/residents/7");
    assert_eq!((status, &*decision), (200, ""));
    let told =
        |record: &Value| field(record, "detail").starts_with("the policy under trial expired at ");
    gateway.audit().wait_for("the end of a trial", told);
    assert!(
        gateway
            .stderr()
            .contains("the policy under trial expired at ")
    );
    let at = gateway
        .metrics()
        .sum("hangu_policy_shadow_expires_timestamp_seconds", &[]);
    assert!(at > 0.0 && at < now() as f64);
}

#[test]
fn rules_to_be_tried_that_do_not_load_or_have_no_end_are_refused() {
    let good = desk(&Draft::new(1).write()).0.start();
    let endless = Draft::new(2).with(|draft| {
        draft
            .files
            .push(("shadow.csv", "p, clerk, civil, /a, GET, deny\n".to_owned()))
    });
    for (bundle, reason) in [
        (
            with_rule(2, "p, clerk, civil, /a, GET, maybe", now() + 3600),
            "policy",
        ),
        (endless.write(), "damaged"),
    ] {
        good.folder().write("policy.bundle", &bundle);
        good.wait_for_metric("hangu_policy_refused_total", &[("reason", reason)], 1.0);
        let denied = good.client("clerk").get("/sealed/7").unwrap();
        assert_refused(&good, &denied, 403, "application.explicit_deny");
    }
}
