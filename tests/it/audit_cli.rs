//! `hangu audit`: what an analyst, an auditor and a script get from a log that a gateway wrote.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use hangu_tests::{GatewayFolder, RunningGateway, must, wait_until};
use serde_json::Value;

use crate::support::{field, records};

/// The folder of a gateway that has allowed four requests, denied one, and ended.
struct Ended {
    folder: GatewayFolder,
    denied: String,
}

impl Ended {
    fn new() -> Self {
        let (mut gateway, _upstream) = records();
        let denied = some_requests(&gateway);
        gateway.signal("TERM");
        assert_eq!(gateway.wait_for_end().status.code(), Some(0));
        Self {
            folder: gateway.into_folder(),
            denied,
        }
    }

    fn log(&self) -> String {
        self.folder.path("audit").display().to_string()
    }

    fn audit(&self, verb: &str, arguments: &[&str]) -> Output {
        let log = self.log();
        self.folder
            .hangu(&[&["audit", verb, &log], arguments].concat())
    }

    /// What a command that succeeds has to say.
    #[track_caller]
    fn good(&self, verb: &str, arguments: &[&str]) -> String {
        let output = self.audit(verb, arguments);
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        stdout(&output)
    }

    fn key(&self) -> String {
        self.folder.path("audit.key.pub").display().to_string()
    }
}

/// The id of the one that was denied.
fn some_requests(gateway: &RunningGateway) -> String {
    let client = gateway.client("clerk");
    let mut ids = Vec::new();
    for number in 0..4 {
        let response = must(
            client.get(&format!("/residents/{number}")),
            "ask for records",
        );
        assert_eq!(response.status, 200);
        ids.push(response.request_id());
    }
    let denied = must(client.get("/sealed/1"), "ask for what is sealed");
    assert_eq!(denied.status, 403);
    for id in &ids {
        gateway.audit().of_request(id);
    }
    gateway.audit().of_request(&denied.request_id());
    denied.request_id()
}

#[test]
fn verify_says_how_far_the_key_has_signed_and_refuses_other_keys_and_older_logs() {
    let log = Ended::new();
    let text = log.good("verify", &["--key", &log.key()]);
    assert!(text.contains("good; 7 records"), "{text}");
    assert!(text.contains("signed by the key up to record 7"), "{text}");
    let json: Value =
        serde_json::from_str(&log.good("verify", &["--key", &log.key(), "--json"])).unwrap();
    assert_eq!((&json["good"], &json["signed"]), (&true.into(), &7.into()));

    let other = log.folder.path("other.key");
    let other = other.display().to_string();
    let made = log
        .folder
        .hangu(&["audit", "key", &other, "--name", "gate-2/audit"]);
    assert_eq!(made.status.code(), Some(0), "{}", stderr(&made));
    let output = log.audit("verify", &["--key", &format!("{other}.pub")]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("no known key"),
        "{}",
        stderr(&output)
    );
    let output = log.audit("verify", &["--key", "gate-1"]);
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));

    // An older log, put back whole, is good by itself and contradicts the checkpoint that was kept elsewhere.
    let kept = log.folder.path("kept");
    fs::copy(log.folder.path("audit/checkpoint"), &kept).unwrap();
    let segment = log.folder.path("audit/audit-000000000001.jsonl");
    let lines = fs::read_to_string(&segment).unwrap();
    let older: String = lines
        .lines()
        .take(3)
        .map(|line| format!("{line}\n"))
        .collect();
    fs::write(&segment, &older).unwrap();
    let last: Value = serde_json::from_str(older.lines().last().unwrap()).unwrap();
    let head = format!(
        "{{\"v\":2,\"seq\":3,\"hash\":\"{}\"}}\n",
        field(&last, "hash")
    );
    log.folder.write("audit/head.json", &head);
    fs::remove_file(log.folder.path("audit/checkpoint")).unwrap();
    fs::remove_dir_all(log.folder.path("audit/tree")).unwrap();
    log.good("verify", &[]);
    let kept = kept.display().to_string();
    let output = log.audit("verify", &["--checkpoint", &kept, "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let json: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(json["record"], 4, "the first that is missing");
}

#[test]
fn search_finds_by_every_field_and_says_when_there_is_none() {
    let log = Ended::new();
    let found = |arguments: &[&str]| log.good("search", arguments).lines().count();
    assert_eq!(found(&["--request-id", &log.denied]), 1);
    assert_eq!(found(&["--decision", "allowed"]), 4);
    assert_eq!(found(&["--decision", "allowed", "--limit", "2"]), 2);
    assert_eq!(found(&["--reason", "application.explicit_deny"]), 1);
    assert_eq!(found(&["--subject", "spiffe://gov.test/clerk"]), 5);
    assert_eq!(
        found(&["--client", "127.0.0.1", "--application", "records"]),
        5
    );
    assert_eq!(found(&["--kind", "stop", "--since", "1h"]), 1);
    let text = log.good("search", &["--request-id", &log.denied, "--json"]);
    let record: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(field(&record, "decision"), "denied");
    let certificate = field(&record, "certificate");
    assert_eq!(
        found(&["--certificate", certificate, "--label", "internal"]),
        5
    );
    let client = field(&record, "client");
    assert_eq!(found(&["--client", client]), 1, "with its port");

    let none = log.audit("search", &["--subject", "nobody"]);
    assert_eq!(none.status.code(), Some(1));
    let none = log.audit("search", &["--until", "1h"]);
    assert_eq!(none.status.code(), Some(1), "all of it is younger");
    let wrong = log.audit("search", &["--since", "yesterday"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(stderr(&wrong).contains("is no time"), "{}", stderr(&wrong));
}

/// Nothing found is an answer that somebody acts on; a slip must not look like it.
#[test]
fn a_filter_that_no_record_can_match_is_an_error_of_use() {
    let log = Ended::new();
    let short = "ab".repeat(31);
    let cut = log.denied.strip_suffix(|_: char| true).unwrap();
    for (arguments, said) in [
        (
            ["--decision", "deny"],
            "`--decision deny` is in no record; did you mean `denied`?",
        ),
        (
            ["--decision", "rejected"],
            "use one of `allowed`, `denied`, `refused`, `aborted`",
        ),
        (
            ["--reason", "endpoint.revokd"],
            "did you mean `endpoint.revoked`?",
        ),
        (
            ["--reason", "explicit_deny"],
            "did you mean `application.explicit_deny`?",
        ),
        (["--reason", "revocation"], "use one of `"),
        (["--kind", "requests"], "did you mean `request`?"),
        (["--request-id", cut], "is no id of 32 hexadecimal digits"),
        (
            ["--request-id", "7"],
            "`--request-id 7` is no id of 32 hexadecimal digits; give the one of a record",
        ),
        (["--trace-id", "x"], "is no id of 32 hexadecimal digits"),
        (
            ["--certificate", &short],
            "is no SHA-256 of 64 hexadecimal digits",
        ),
        (
            ["--serial", "0x7"],
            "is no serial number of 1 to 40 hexadecimal digits",
        ),
        (["--since", "yesterday"], "`yesterday` is no time"),
        (["--until", "2026-13-01"], "`2026-13-01` is no time"),
        (
            ["--since=1h", "--until=2h"],
            "`--since` must be the earlier one",
        ),
    ] {
        for (verb, more) in [
            ("search", &[][..]),
            ("stats", &[]),
            ("tail", &["--once"]),
            ("export", &["--format", "native"]),
        ] {
            let output = log.audit(verb, &[&arguments, more].concat());
            assert_eq!(output.status.code(), Some(2), "{verb} {arguments:?}");
            assert!(
                stderr(&output).contains(said),
                "{arguments:?}: {}",
                stderr(&output)
            );
            assert_eq!(stdout(&output), "", "{verb} {arguments:?}");
        }
    }
    // As other tools print it.
    let record = log.good("search", &["--request-id", &log.denied, "--json"]);
    let record: Value = serde_json::from_str(&record).unwrap();
    let spelt = field(&record, "certificate").to_uppercase();
    let spelt: Vec<char> = spelt.chars().collect();
    let pairs: Vec<String> = spelt.chunks(2).map(|pair| pair.iter().collect()).collect();
    let found = log.good("search", &["--certificate", &pairs.join(":")]);
    assert_eq!(found.lines().count(), 5);
    let unknown = log.audit("search", &["--request-id", &"0".repeat(32)]);
    assert_eq!(unknown.status.code(), Some(1), "{}", stderr(&unknown));
}

#[test]
fn tail_shows_what_matches_as_it_comes() {
    let (gateway, _upstream) = records();
    let log = gateway.folder().path("audit").display().to_string();
    let shown = gateway.folder().path("shown");
    let mut tail = Command::new(env!("CARGO_BIN_EXE_hangu-under-test"))
        .args(["audit", "tail", &log, "--decision", "denied"])
        .stdout(fs::File::create(&shown).unwrap())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let denied = some_requests(&gateway);
    wait_until("the denial to be shown", || {
        fs::read_to_string(&shown).unwrap().contains(&denied)
    });
    tail.kill().unwrap();
    tail.wait().unwrap();
    let text = fs::read_to_string(&shown).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[test]
fn stats_count_as_a_table_as_json_and_as_a_picture() {
    let log = Ended::new();
    let svg = log.folder.path("stats.svg");
    let text = log.good("stats", &["--svg", &svg.display().to_string()]);
    assert!(
        text.contains("7 records") && text.contains("4  allowed"),
        "{text}"
    );
    let picture = fs::read_to_string(&svg).unwrap();
    assert!(
        picture.starts_with("<svg") && picture.contains("denied 1"),
        "{picture}"
    );
    let json: Value =
        serde_json::from_str(&log.good("stats", &["--json", "--kind", "request"])).unwrap();
    assert_eq!(json["records"], 5);
    assert_eq!(json["decisions"]["allowed"], 4);
    assert_eq!(json["reasons"][0]["value"], "application.explicit_deny");
    assert_eq!(json["timeline"][0]["counts"]["denied"], 1);
}

#[test]
fn export_speaks_every_format_and_what_it_writes_natively_is_the_log() {
    let log = Ended::new();
    let segment = fs::read_to_string(log.folder.path("audit/audit-000000000001.jsonl")).unwrap();
    assert_eq!(log.good("export", &["--format", "native"]), segment);
    let one = |format: &str| {
        let text = log.good("export", &["--format", format, "--request-id", &log.denied]);
        assert_eq!(text.lines().count(), 1, "{text}");
        text
    };
    let ocsf: Value = serde_json::from_str(&one("ocsf")).unwrap();
    assert_eq!(
        (&ocsf["class_uid"], &ocsf["action_id"]),
        (&4002.into(), &2.into())
    );
    let ecs: Value = serde_json::from_str(&one("ecs")).unwrap();
    assert_eq!(ecs["event"]["reason"], "application.explicit_deny");
    assert!(one("cef").starts_with("CEF:0|"));
    assert!(one("rfc5424").starts_with('<'));

    let reader = Command::new("sh")
        .args([
            "-c",
            "\"$0\" audit export \"$1\" --format native | head -c 10",
        ])
        .args([env!("CARGO_BIN_EXE_hangu-under-test"), &log.log()])
        .output()
        .unwrap();
    assert_eq!(stderr(&reader), "", "a reader that goes is no failure");
}

#[test]
fn a_record_is_proven_to_somebody_who_has_nothing_but_the_key() {
    let log = Ended::new();
    let [proof, record] = ["proof", "record"].map(|name| log.folder.path(name));
    let record_path = record.display().to_string();
    let text = log.good("prove", &["3", "--record", &record_path]);
    fs::write(&proof, text).unwrap();
    let proof_path = proof.display().to_string();
    let check = || {
        log.folder.hangu(&[
            "audit",
            "check-proof",
            &proof_path,
            &record_path,
            "--key",
            &log.key(),
        ])
    };
    let output = check();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).contains("record 3 is in the log"));
    let line = fs::read_to_string(&record).unwrap();
    fs::write(&record, line.replace("/residents/", "/residence/")).unwrap();
    let output = check();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));

    assert_eq!(log.audit("prove", &["8"]).status.code(), Some(2));
    let json = log.good("prove-consistency", &["3", "7", "--json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&json["old"]["size"], &json["new"]["size"]),
        (&3.into(), &7.into())
    );
    assert!(!json["proof"].as_array().unwrap().is_empty());
    let swapped = log.audit("prove-consistency", &["7", "3"]);
    assert_eq!(swapped.status.code(), Some(2));
}

#[test]
fn where_there_is_no_log_every_verb_says_so() {
    let log = Ended::new();
    let nowhere: PathBuf = log.folder.path("nowhere");
    let nowhere = nowhere.display().to_string();
    for verb in [&["verify"][..], &["prove"], &["prove-consistency"]] {
        let numbers: &[&str] = match verb[0] {
            "prove" => &["1"],
            "prove-consistency" => &["1", "2"],
            _ => &[],
        };
        let output = log
            .folder
            .hangu(&[&["audit"], verb, &[&nowhere], numbers].concat());
        assert_eq!(output.status.code(), Some(2), "{verb:?}");
        assert!(stderr(&output).contains("nowhere"), "{}", stderr(&output));
    }
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}
