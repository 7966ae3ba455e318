//! `hangu audit`: what is found out about a log, and how it reads.

use std::fs;
use std::path::PathBuf;

use hangu_tests::RunningGateway;

use super::{stderr, stdout};
use crate::support::{assert_allowed, first, records};

#[test]
fn audit_verify_finds_what_was_done_to_a_log() {
    let (gateway, segment) = a_log_of_seven_records();
    let folder = gateway.audit().folder().display().to_string();
    let verify = || gateway.folder().hangu(&["audit", "verify", &folder]);
    let output = verify();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stdout(&output).contains("7 records"), "{}", stdout(&output));

    let good = fs::read_to_string(&segment).unwrap();
    for (what, text, place) in damages(&good) {
        fs::write(&segment, &text).unwrap();
        let output = verify();
        let said = stderr(&output);
        assert_eq!(
            output.status.code(),
            Some(1),
            "{what}: {} {said}",
            stdout(&output)
        );
        assert!(said.contains(place), "{what}: {said}");
    }
    fs::write(&segment, &good).unwrap();
    assert_eq!(verify().status.code(), Some(0));
    fs::remove_file(&segment).unwrap();
    assert_eq!(
        verify().status.code(),
        Some(1),
        "a missing segment: {}",
        stdout(&verify())
    );
    let nothing = gateway.folder().hangu(&["audit", "verify", "/nowhere"]);
    assert_eq!(nothing.status.code(), Some(2), "{}", stderr(&nothing));
}

/// Start, five requests, stop; the process has ended.
fn a_log_of_seven_records() -> (RunningGateway, PathBuf) {
    let (mut gateway, _upstream) = records();
    for number in 0..5 {
        let response = gateway
            .client("clerk")
            .get(&format!("/residents/{number}"))
            .unwrap();
        assert_allowed(&gateway, &response);
    }
    gateway.signal("TERM");
    assert_eq!(gateway.wait_for_end().status.code(), Some(0));
    let segment = gateway.audit().segments().pop().unwrap();
    (gateway, segment)
}

/// What was done, the text then, and the place that must be named.
fn damages(good: &str) -> Vec<(&'static str, String, &'static str)> {
    let lines: Vec<&str> = good.lines().collect();
    let mut missing = lines.clone();
    missing.remove(3);
    let mut swapped = lines.clone();
    swapped.swap(2, 3);
    let mut doubled = lines.clone();
    doubled.push(lines[6]);
    vec![
        (
            "a changed record",
            good.replace("/residents/2", "/residents/9"),
            ".jsonl:4:",
        ),
        (
            "a changed decision",
            good.replacen("\"allowed\"", "\"denied\"", 1),
            ".jsonl:2:",
        ),
        ("a deleted record", joined(&missing), ".jsonl:4:"),
        ("two swapped records", joined(&swapped), ".jsonl:3:"),
        ("a cut tail", joined(&lines[..6]), ".jsonl:7:"),
        ("a doubled record", joined(&doubled), ".jsonl:8:"),
        (
            "half a record",
            first(good, good.len() - 40).to_owned(),
            ".jsonl:7:",
        ),
        ("nothing left", String::new(), ""),
    ]
}

fn joined(lines: &[&str]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

#[test]
fn audit_tail_shows_a_log_readably() {
    let (gateway, _upstream) = records();
    let allowed = gateway.client("clerk").get("/residents/7").unwrap();
    let denied = gateway.client("clerk").get("/sealed/1").unwrap();
    gateway.audit().of_request(&allowed.request_id());
    gateway.audit().of_request(&denied.request_id());
    let folder = gateway.audit().folder().display().to_string();
    let output = gateway
        .folder()
        .hangu(&["audit", "tail", &folder, "--last", "100", "--once"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = stdout(&output);
    for part in [
        "/residents/7",
        "/sealed/1",
        "spiffe://gov.test/clerk",
        "application.explicit_deny",
        "GET",
    ] {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
    assert_eq!(text.lines().count(), 3, "{text}");
}
