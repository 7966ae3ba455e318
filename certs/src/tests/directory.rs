//! The directory: who is found, and what is refused.

use super::craft::Draft;
use super::{DAY, NOW};
use crate::directory::Directory;
use crate::identity::Identity;
use crate::name::hex;

fn alice() -> Identity {
    Identity::from_chain(&[Draft::leaf("alice").self_signed().der.into()]).unwrap()
}

fn load(csv: &str) -> Result<Directory, Vec<String>> {
    Directory::from_csv("people.csv", csv.as_bytes())
        .map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

#[test]
fn the_closest_row_wins_whole() {
    let alice = alice();
    let (certificate, key) = (
        hex(&alice.fingerprint),
        hex(&alice.key_fingerprint).to_uppercase(),
    );
    let by_match = "certificate,key,match,subject,organisation,roles\n,,alice,by-match,Tax Office,\"auditor; clerk\"\n";
    let by_key = format!("{by_match},{key},,by-key,,\n");
    let by_certificate = format!("{by_key}{certificate},,,by-certificate,,\n");
    for (csv, subject) in [
        (by_match.to_owned(), "by-match"),
        (by_key, "by-key"),
        (by_certificate, "by-certificate"),
    ] {
        let directory = load(&csv).unwrap();
        assert_eq!(
            directory.find(&alice, "alice").unwrap().subject.as_deref(),
            Some(subject)
        );
    }
    let directory = load(by_match).unwrap();
    let entry = directory.find(&alice, "alice").unwrap();
    assert_eq!(entry.roles, ["auditor", "clerk"]);
    assert_eq!(entry.organisation.as_deref(), Some("Tax Office"));
    assert_eq!(directory.find(&alice, "bob"), None);
}

#[test]
fn posture_that_is_stale_missing_or_from_the_future_is_the_worst() {
    // NOW is 2026-09-21T14:13:20Z.
    let posture = |fields: &str, now: i64| {
        let directory = load(&format!("match,posture,posture_at\nalice,{fields}\n")).unwrap();
        directory
            .find(&alice(), "alice")
            .unwrap()
            .posture(now, 3600)
    };
    let measured = "80,2026-09-21T22:13:20+08:00";
    for (now, expected) in [
        (NOW - 1, 0),
        (NOW, 80),
        (NOW + 3600, 80),
        (NOW + 3601, 0),
        (NOW + DAY, 0),
        (i64::MIN, 0),
        (i64::MAX, 0),
    ] {
        assert_eq!(posture(measured, now), expected, "{now}");
    }
    assert_eq!(posture(",", NOW), 0);
}

#[test]
fn every_wrong_line_is_said_with_its_number() {
    let key = "ab".repeat(32);
    let csv = format!(
        "key,match,roles,posture,posture_at\n\
         {key},,,,\n\
         {key},,,,\n\
         ,,a,,\n\
         {key},alice,a,,\n\
         abcd,,a,,\n\
         ,bob,a;a,,\n\
         ,carol,a,101,2026-01-01T00:00:00Z\n\
         ,dave,a,50,yesterday\n\
         ,erin,a,50,\n\
         ,frank,a\n\
         ,g\u{202e}race,a,,\n"
    );
    let at = |line: usize, what: &str| format!("directory `people.csv`, line {line}: {what}");
    assert_eq!(
        load(&csv).unwrap_err(),
        [
            at(
                3,
                "an earlier line is about the same holder; keep one of them"
            ),
            at(
                4,
                "exactly one of `certificate`, `key` and `match` must be filled in"
            ),
            at(
                5,
                "exactly one of `certificate`, `key` and `match` must be filled in"
            ),
            at(6, "`abcd` is not a SHA-256: 64 hexadecimal digits"),
            at(7, "roles are 1 to 64 different names with `;` between"),
            at(8, "`101` is not a posture: a whole number from 0 to 100"),
            at(
                9,
                "`yesterday` is not a time such as `2026-11-24T08:00:00+08:00`"
            ),
            at(
                10,
                "`posture` and `posture_at` belong together; fill in both or neither"
            ),
            at(
                11,
                "it has 3 fields and the first line 5; write `\"` around a field with a comma in it"
            ),
            at(
                12,
                "a field is unusable: a name has control or invisible characters"
            ),
        ]
    );
}

#[test]
fn a_header_that_is_not_understood_is_refused() {
    for (csv, part) in [
        ("", "the first line must name the columns"),
        ("subject,roles\n", "no column says whom a row is about"),
        ("key,key\n", "the column `key` is there twice"),
        ("key,rolls\n", "there is no column `rolls`; the columns are"),
    ] {
        let errors = load(csv).unwrap_err();
        assert!(errors[0].contains(part), "{errors:?}");
    }
    assert!(load("key,roles\n").unwrap().is_empty());
}

#[test]
fn roles_and_clearance_go_to_policy_subjects() {
    let key = "ab".repeat(32);
    let directory = load(&format!(
        "key,match,subject,roles,clearance\n,alice,,clerk;auditor@tax,internal\n{key},,bob,,sensitive\n,carol,,,\n,dave,alice,clerk;auditor@tax,internal\n"
    ))
    .unwrap();
    let mut members: Vec<_> = directory
        .members()
        .map(|(subject, holder, line)| {
            let roles = holder.roles.join(" ");
            (subject, roles, holder.clearance.clone(), line)
        })
        .collect();
    members.sort();
    assert_eq!(
        members,
        [
            (
                "alice",
                "clerk auditor@tax".to_owned(),
                Some("internal".to_owned()),
                2
            ),
            ("bob", String::new(), Some("sensitive".to_owned()), 3),
        ]
    );
    for (row, why) in [
        (format!("{key},,,clerk,"), "fill in `subject`"),
        (format!("{key},,,,internal"), "fill in `subject`"),
        (format!("{key},,alice,,"), "other roles"),
        (format!("{key},,alice,clerk,sensitive"), "another clearance"),
    ] {
        let csv = format!("key,match,subject,roles,clearance\n,alice,,clerk,internal\n{row}\n");
        let problems = load(&csv).unwrap_err();
        assert!(
            problems[0].contains("line 3") && problems[0].contains(why),
            "{problems:?}"
        );
    }
}

#[test]
fn what_is_shown_of_a_wrong_line_fits_a_terminal() {
    let long = "x".repeat(500);
    for (csv, shown) in [
        ("ma\u{1}tch\n", "`ma\u{fffd}tch`".to_owned()),
        (&format!("{long}\n"), format!("`{}…`", "x".repeat(80))),
    ] {
        let problems = Directory::from_csv("people.csv", csv.as_bytes()).unwrap_err();
        let said = problems[0].to_string();
        assert!(said.contains(&shown), "{said}");
        assert!(!said.chars().any(char::is_control), "{said:?}");
    }
}
