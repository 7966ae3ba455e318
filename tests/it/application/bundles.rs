//! Policies that come in signed bundles: what is taken, and what never replaces a good one.

use std::process::Output;
use std::time::{Duration, UNIX_EPOCH};

use hangu_audit::key::{KeyKind, KeyName, Signer};
use hangu_gateway::bundle::archive;
use hangu_gateway::bundle::manifest::{Listed, Manifest};
use hangu_policy::RBAC_WITH_DOMAINS;
use hangu_tests::{GatewayFolder, RunningGateway, TestUpstream, now, wait_until};

use crate::support::{assert_allowed, field, gateway};

const POLICY: &str = "\
p, clerk, civil, /*,        GET, allow
p, clerk, civil, /sealed/*, *,   deny
g, spiffe://gov.test/clerk, clerk, civil
g2, clerk, sensitive
g2, sensitive, internal
g2, internal, public
";
const TEST: &str = "[[test]]\nname = \"a clerk reads\"\nwhen = { subject = \"spiffe://gov.test/clerk\", domain = \"civil\", \
     method = \"GET\", path = \"/1\" }\nexpect = \"allow\"\n";
const LABELS: &str = "order = [\"public\", \"internal\", \"sensitive\"]\n";

/// A bundle that is good but for what a test changes.
pub(super) struct Draft {
    pub(super) files: Vec<(&'static str, String)>,
    epoch: u64,
    rules: usize,
    not_before: i64,
    not_after: i64,
    pub(super) shadow_expires: Option<i64>,
    signers: Vec<&'static str>,
}

impl Draft {
    pub(super) fn new(epoch: u64) -> Self {
        let files = [
            ("model.conf", RBAC_WITH_DOMAINS),
            ("policy.csv", POLICY),
            ("labels.toml", LABELS),
            ("tests/a.toml", TEST),
        ];
        Self {
            files: files.map(|(name, text)| (name, text.to_owned())).into(),
            epoch,
            rules: 2,
            not_before: now() - 60,
            not_after: now() + 3600,
            shadow_expires: None,
            signers: vec!["li", "chen"],
        }
    }

    pub(super) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    pub(super) fn replacing(mut self, name: &str, from: &str, to: &str) -> Self {
        for (_, text) in self.files.iter_mut().filter(|(known, _)| *known == name) {
            assert!(text.contains(from), "{name} has no `{from}`");
            *text = text.replace(from, to);
        }
        self
    }

    pub(super) fn write(self) -> String {
        let listed = |(name, text): &(&str, String)| Listed::of(name, text.as_bytes());
        let manifest = Manifest {
            bundle: 1,
            epoch: self.epoch,
            not_before: rfc3339(self.not_before),
            not_after: rfc3339(self.not_after),
            rules: self.rules,
            shadow_expires: self.shadow_expires.map(rfc3339),
            file: self.files.iter().map(listed).collect(),
        };
        let manifest = manifest.to_text().unwrap();
        let lines = self
            .signers
            .iter()
            .map(|name| signer(name).sign(&manifest, 0));
        let lines: String = lines.map(|line| format!("{line}\n")).collect();
        let mut files = vec![("manifest.toml", manifest)];
        files.extend(self.files);
        files.push(("signatures", lines));
        let files = files
            .into_iter()
            .map(|(name, text)| (name.to_owned(), text.into_bytes()));
        String::from_utf8(archive::write(&files.collect()).unwrap()).unwrap()
    }
}

/// The same person has the same key in every test.
fn signer(name: &str) -> Signer {
    let seed = [name.as_bytes()[0]; 32];
    Signer::from_seed(KeyName::new(name).unwrap(), KeyKind::Note, &seed).unwrap()
}

pub(super) fn rfc3339(seconds: i64) -> String {
    let seconds = Duration::from_secs(u64::try_from(seconds).unwrap());
    hangu_audit::Timestamp::from(UNIX_EPOCH + seconds).to_string()
}

/// A gateway that takes bundles which two of Li, Chen and Wang have signed, not started yet.
pub(super) fn desk(bundle: &str) -> (GatewayFolder, TestUpstream) {
    let upstream = TestUpstream::named("records");
    let keys = ["li", "chen", "wang"].map(|name| signer(name).verifier().to_string());
    let table = format!(
        "bundle = \"policy.bundle\"\nkeys = {keys:?}\nstate = \"policy.state\"\nsignatures = 2"
    );
    let folder = gateway()
        .records(upstream.address())
        .policy_table(&table)
        .prepare();
    folder.write("policy.bundle", bundle);
    (folder, upstream)
}

fn said(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

fn serves_epoch(gateway: &RunningGateway, epoch: u64) {
    let epoch = epoch.to_string();
    gateway.wait_for_metric("hangu_policy_info", &[("epoch", &epoch)], 1.0);
    assert_eq!(gateway.metrics().sum("hangu_policy_info", &[]), 1.0);
}

#[test]
fn a_bundle_that_two_people_signed_decides() {
    let (folder, upstream) = desk(&Draft::new(7).write());
    let checked = folder.check();
    assert!(checked.status.success(), "{}", said(&checked));
    assert!(
        !folder.path("policy.state").exists(),
        "a check takes nothing, so it has nothing to remember"
    );
    let gateway = folder.start();
    let response = gateway.client("clerk").get("/1").unwrap();
    assert_allowed(&gateway, &response);
    let record = gateway.audit().of_request(&response.request_id());
    assert_eq!(field(&record, "rule"), "policy.csv:1");
    assert_eq!(record["policy_epoch"], 7);
    assert_eq!(field(&record, "policy_digest").len(), 64);
    serves_epoch(&gateway, 7);
    assert_eq!(
        gateway.client("clerk").get("/sealed/1").unwrap().status,
        403
    );
    assert_eq!(upstream.count(), 1);
}

#[test]
fn whatever_is_wrong_with_a_bundle_the_last_good_one_serves_on() {
    let (folder, _upstream) = desk(&Draft::new(7).write());
    let gateway = folder.start();
    let foreign = Draft::new(8).with(|draft| draft.signers = vec!["li", "mallory"]);
    let cut = Draft::new(8).replacing("policy.csv", "p, clerk, civil, /sealed/*, *,   deny\n", "");
    let mut changed = Draft::new(8).write();
    changed = changed.replace("/sealed/*, *,   deny", "/sealed/*, *,   allo");
    for (bundle, reason, what) in [
        (
            String::from("no bundle at all"),
            "damaged",
            "it ends too early",
        ),
        (
            Draft::new(8)
                .with(|draft| draft.signers = vec!["li"])
                .write(),
            "signature",
            "1 of 2 signatures are there (li)",
        ),
        (
            foreign.write(),
            "signature",
            "1 of 2 signatures are there (li)",
        ),
        (changed, "changed", "`policy.csv` is not what was signed"),
        (Draft::new(6).write(), "epoch", "epoch 6 is older than 7"),
        (
            Draft::new(7).with(|draft| draft.not_after += 1).write(),
            "epoch",
            "epoch 7 was taken already with the digest",
        ),
        (
            Draft::new(8)
                .with(|draft| draft.not_before = now() + 600)
                .write(),
            "early",
            "the bundle may serve from",
        ),
        (
            Draft::new(8)
                .with(|draft| draft.not_after = now() - 5)
                .write(),
            "late",
            "the bundle was good until",
        ),
        (
            cut.write(),
            "rule_count",
            "the policy has 1 rules, the manifest says 2",
        ),
        (
            Draft::new(8)
                .replacing("policy.csv", "p, clerk, civil, /*, ", "p, clerk, /*, ")
                .write(),
            "policy",
            "policy.csv:1:1: row has 4 fields",
        ),
        (
            Draft::new(8)
                .replacing("tests/a.toml", "\"allow\"", "\"deny\"")
                .write(),
            "test",
            "a test fails: tests/a.toml:1: a clerk reads: expected deny",
        ),
        (
            Draft::new(8)
                .replacing("labels.toml", "\"sensitive\"", "\"secret\"")
                .write(),
            "label",
            "the bundle is for the label `secret`",
        ),
        (
            Draft::new(8)
                .replacing(
                    "policy.csv",
                    "g2, clerk, sensitive\ng2, sensitive, internal\n",
                    "",
                )
                .write(),
            "label",
            "gives nobody clearance for the label `internal`",
        ),
    ] {
        gateway.folder().write("policy.bundle", &bundle);
        gateway.reload_refused();
        gateway.wait_for_metric("hangu_policy_refused_total", &[("reason", reason)], 1.0);
        let metrics = gateway.metrics();
        assert_eq!(
            metrics.sum("hangu_policy_last_load_successful", &[]),
            0.0,
            "{what}"
        );
        gateway.audit().wait_for(what, |record| {
            field(record, "kind") == "reload" && field(record, "detail").contains(what)
        });
        let response = gateway.client("clerk").get("/1").unwrap();
        assert_eq!(response.status, 200, "{what}");
        let record = gateway.audit().of_request(&response.request_id());
        assert_eq!(record["policy_epoch"], 7, "{what}");
        // The desk hears the same from both tools, but for what a bundle alone cannot tell.
        let checked = said(&gateway.folder().check());
        assert!(checked.contains(what), "{what}: {checked}");
        if !what.starts_with("gives nobody") {
            let config = gateway.folder().config().display().to_string();
            let path = gateway.folder().path("policy.bundle").display().to_string();
            let verified = gateway
                .folder()
                .hangu(&["policy", "verify", "--config", &config, &path]);
            let verified = said(&verified);
            assert!(verified.contains(what), "{what}: {verified}");
            assert!(
                checked.contains(verified.trim_end()),
                "{checked}\n{verified}"
            );
        }
    }
    gateway
        .folder()
        .write("policy.bundle", &Draft::new(8).write());
    gateway.reload();
    serves_epoch(&gateway, 8);
    let metrics = gateway.metrics();
    assert_eq!(metrics.sum("hangu_policy_last_load_successful", &[]), 1.0);
    assert!(metrics.sum("hangu_policy_last_load_timestamp_seconds", &[]) >= (now() - 60) as f64);
}

#[test]
fn an_older_bundle_is_refused_after_a_restart_too() {
    let (folder, _upstream) = desk(&Draft::new(8).write());
    let mut gateway = folder.start();
    serves_epoch(&gateway, 8);
    assert_allowed(&gateway, &gateway.client("clerk").get("/1").unwrap());
    gateway.signal("TERM");
    assert!(gateway.wait_for_end().status.success());
    let folder = gateway.into_folder();
    folder.write("policy.bundle", &Draft::new(7).write());
    let ended = folder.run_to_end();
    assert!(!ended.status.success());
    assert!(
        ended.stderr.contains("epoch 7 is older than 8"),
        "{}",
        ended.stderr
    );
    folder.write("policy.state", "epoch = 99999999999999999999\n");
    let ended = folder.run_to_end();
    assert!(!ended.status.success());
    assert!(ended.stderr.contains("policy.state"), "{}", ended.stderr);
    // The way back that the guide describes: somebody who may write there removes the file.
    std::fs::remove_file(folder.path("policy.state")).unwrap();
    let gateway = folder.start();
    serves_epoch(&gateway, 7);
}

#[test]
fn what_cannot_be_remembered_is_not_taken() {
    let (folder, _upstream) = desk(&Draft::new(7).write());
    let gateway = folder.start();
    serves_epoch(&gateway, 7);
    // Where the new state would be written first, something stands in the way.
    std::fs::create_dir(gateway.folder().path("policy.state.new")).unwrap();
    gateway
        .folder()
        .write("policy.bundle", &Draft::new(8).write());
    gateway.reload_refused();
    gateway.wait_for_metric("hangu_policy_refused_total", &[("reason", "state")], 1.0);
    serves_epoch(&gateway, 7);
    std::fs::remove_dir(gateway.folder().path("policy.state.new")).unwrap();
    gateway.reload();
    serves_epoch(&gateway, 8);
}

#[test]
fn a_bundle_that_ends_while_it_serves_serves_on_with_an_alarm() {
    let end = now() + 2;
    let bundle = Draft::new(7).with(|draft| draft.not_after = end).write();
    let (folder, _upstream) = desk(&bundle);
    let mut gateway = folder.start();
    let alarm = |gateway: &RunningGateway| {
        gateway
            .metrics()
            .sum("hangu_policy_bundle_not_after_timestamp_seconds", &[])
    };
    assert_eq!(alarm(&gateway), end as f64);
    wait_until("the bundle to end", || now() > end);
    // Another file may change meanwhile and is taken: a late bundle must not hold up a revocation list.
    gateway.reload();
    serves_epoch(&gateway, 7);
    assert_allowed(&gateway, &gateway.client("clerk").get("/1").unwrap());
    assert_eq!(alarm(&gateway), end as f64);
    gateway.signal("TERM");
    assert!(gateway.wait_for_end().status.success());
    let ended = gateway.into_folder().run_to_end();
    assert!(!ended.status.success(), "a start has no last good policy");
    assert!(
        ended.stderr.contains("the bundle was good until"),
        "{}",
        ended.stderr
    );
}
