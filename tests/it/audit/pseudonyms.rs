//! A log that names nobody, and is still of use to whoever has the key.

use std::fs;
use std::path::Path;
use std::process::Output;

use hangu_tests::{RunningGateway, TestUpstream, must, wait_for};

use crate::support::{field, gateway, records, records_with};

const CLERK: &str = "spiffe://gov.test/clerk";

/// A key for pseudonyms in the folder.
fn key(folder: &Path, name: &str) -> String {
    let file = folder.join(name).display().to_string();
    let made = hangu(&["audit", "key", &file, "--pseudonyms"]);
    assert!(made.status.success(), "{made:?}");
    file
}

fn table(key: &str) -> String {
    format!("[audit.pseudonyms]\nkey = \"{key}\"")
}

fn hangu(arguments: &[&str]) -> Output {
    let binary = env!("CARGO_BIN_EXE_hangu-under-test");
    let mut command = std::process::Command::new(binary);
    must(command.args(arguments).output(), "run hangu")
}

/// How many records a search finds.
fn found(gateway: &RunningGateway, options: &[&str]) -> usize {
    let audit = gateway.folder().path("audit").display().to_string();
    let output = hangu(&[&["audit", "search", &audit, "--json"], options].concat());
    String::from_utf8(output.stdout).unwrap().lines().count()
}

/// A gateway whose log holds pseudonyms by the key in this file.
fn hiding(key: &str) -> (RunningGateway, TestUpstream) {
    records_with(|world| world.table(&table(key)))
}

#[test]
fn with_pseudonyms_the_log_names_nobody_and_whoever_has_the_key_finds_everybody() {
    let keys = must(tempfile::tempdir(), "a folder for keys");
    let key = key(keys.path(), "pseudonyms.key");
    let (gateway, _upstream) = hiding(&key);
    let client = gateway.client("clerk");
    assert_eq!(client.get("/residents/7").unwrap().status, 200);
    assert_eq!(client.get("/sealed/1").unwrap().status, 403);
    let malformed = client.get("/residents//8").unwrap();
    assert_eq!(malformed.status, 400);
    let config = gateway.folder().config().display().to_string();
    let kill = ["sessions", "kill", "--subject", CLERK, "--config", &config];
    let ended = gateway.folder().hangu(&kill);
    assert!(ended.status.success(), "{ended:?}");
    let record = gateway.audit().of_request(&malformed.request_id());
    let hash = field(&record, "path_hash");
    assert!(
        hash.starts_with("p:") && record.get("path").is_none(),
        "{record:#}"
    );

    let text = must(
        fs::read_to_string(&gateway.audit().segments()[0]),
        "read the log",
    );
    assert!(text.contains("\"certificate\":\"p:"), "{text}");
    assert!(text.contains("\"object\":\"subject:p:"), "{text}");
    for secret in [
        "gov.test/clerk",
        "\"client\":\"127.",
        "/residents/",
        "/sealed/1",
    ] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    for (options, records) in [
        (&["--subject", CLERK][..], 0),
        (&["--subject", CLERK, "--pseudonym-key", &key], 3),
        (&["--subject", "x", "--pseudonym-key", &key], 0),
        (&["--path", "/residents/7", "--pseudonym-key", &key], 1),
        (&["--path", "/residents//8", "--pseudonym-key", &key], 1),
        (&["--client", "127.0.0.1", "--pseudonym-key", &key], 3),
        (&["--client", "127.0.0.2", "--pseudonym-key", &key], 0),
    ] {
        let options = [&["--kind", "request"], options].concat();
        assert_eq!(found(&gateway, &options), records, "{options:?}");
    }
}

#[test]
fn a_policy_reads_the_address_that_the_log_hides() {
    let keys = must(tempfile::tempdir(), "a folder for keys");
    let key = key(keys.path(), "pseudonyms.key");
    let upstream = TestUpstream::named("records");
    let model = r#"
[request_definition]
r = sub, obj, address
[policy_definition]
p = sub, obj, network
[role_definition]
g = _, _
g2 = _, _
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = g(r.sub, p.sub) && keyMatch2(r.obj, p.obj) && ipMatch(r.address, p.network)
"#;
    let policy = format!(
        "p, {CLERK}, /residents/:id, 127.0.0.0/8\np, {CLERK}, /far/:id, 10.0.0.0/8\ng2, {CLERK}, sensitive\ng2, sensitive, internal\ng2, internal, public\n"
    );
    let gateway = gateway()
        .records(upstream.address())
        .model(model)
        .policy(&policy)
        .table(&table(&key))
        .start();
    let client = gateway.client("clerk");
    assert_eq!(client.get("/residents/7").unwrap().status, 200);
    assert_eq!(client.get("/far/7").unwrap().status, 403);
}

#[test]
fn another_key_begins_other_pseudonyms_and_both_find_everything() {
    let keys = must(tempfile::tempdir(), "a folder for keys");
    let (one, two) = (key(keys.path(), "one.key"), key(keys.path(), "two.key"));
    let in_use = keys.path().join("in-use.key").display().to_string();
    must(fs::copy(&one, &in_use), "put the first key into use");
    let (gateway, _upstream) = hiding(&in_use);
    let client = gateway.client("clerk");
    assert_eq!(client.get("/residents/7").unwrap().status, 200);
    must(fs::copy(&two, &in_use), "put the second key into use");
    gateway.reload();
    let again = gateway.client("clerk").get("/residents/7").unwrap();
    gateway.audit().of_request(&again.request_id());

    // The log says where.
    let named = |record: &serde_json::Value| {
        let detail = field(record, "detail").to_owned();
        let (_, key) = detail.split_once("pseudonyms by key ").unwrap();
        key.to_owned()
    };
    let start = gateway.audit().of_kind("start");
    let reload = wait_for("the record of the reload", || {
        gateway.audit().of_kind("reload").pop()
    });
    assert_ne!(named(&start[0]), named(&reload));
    for (keys, records) in [
        (&["--pseudonym-key", &*one][..], 1),
        (&["--pseudonym-key", &two], 1),
        (&["--pseudonym-key", &one, "--pseudonym-key", &two], 2),
    ] {
        let options = [&["--path", "/residents/7"], keys].concat();
        assert_eq!(found(&gateway, &options), records, "{keys:?}");
    }
}

#[test]
fn what_holds_pseudonyms_cannot_be_decided_again_and_replay_says_so() {
    let keys = must(tempfile::tempdir(), "a folder for keys");
    let key = key(keys.path(), "pseudonyms.key");
    let (gateway, _upstream) = hiding(&key);
    let response = gateway.client("clerk").get("/residents/7").unwrap();
    gateway.audit().of_request(&response.request_id());
    let audit = gateway.folder().path("audit").display().to_string();
    let policy = gateway.folder().path("policy/policy.csv");
    let policy = policy.display().to_string();
    let replayed = hangu(&["policy", "replay", "--audit", &audit, "--policy", &policy]);
    let said = String::from_utf8(replayed.stdout).unwrap();
    assert!(said.contains("or hold pseudonyms"), "{said}");
    assert_eq!(replayed.status.code(), Some(1));
}

#[test]
fn a_key_for_pseudonyms_that_is_no_secret_or_no_key_is_refused() {
    let keys = must(tempfile::tempdir(), "a folder for keys");
    let file = key(keys.path(), "open.key");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    must(fs::set_permissions(&file, mode), "open it");
    let (mut gateway, _upstream) = records();
    gateway.change_refused(|world| world.table(&table(&file)));
    assert!(gateway.stderr().contains("everybody may read it"));
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    must(fs::set_permissions(&file, mode), "close it");
    must(fs::write(&file, "secret\n"), "write nonsense");
    gateway.reload_refused();
    assert!(
        gateway
            .stderr()
            .contains("`hangu audit key --pseudonyms` makes one")
    );
}
