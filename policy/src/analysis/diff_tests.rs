//! The laws of the comparison of two policies.

use super::diff::{ClearanceDelta, Delta, Diff, Direction, diff};
use crate::{Decision, Policy, RBAC_WITH_DOMAINS, Request, Source};
use proptest::prelude::*;
use proptest::sample::select;

fn compile(rules: &str) -> Policy {
    let model = Source {
        name: "model.conf",
        text: RBAC_WITH_DOMAINS,
    };
    let rules = Source {
        name: "policy.csv",
        text: rules,
    };
    Policy::compile(model, rules).unwrap()
}

fn compared(old: &str, new: &str) -> Diff {
    diff(&compile(old), &compile(new), 1, None).unwrap()
}

fn shown(delta: &Delta) -> String {
    let wants = |wants: &[(String, String)]| -> String {
        let values: Vec<_> = wants
            .iter()
            .rev()
            .map(|(_, value)| value.as_str())
            .collect();
        values.join(" ")
    };
    let subjects: Vec<_> = delta.subjects.iter().map(String::as_str).collect();
    let except: Vec<_> = delta
        .except
        .iter()
        .map(|except| format!(" except {}", wants(except)))
        .collect();
    format!(
        "{}/{} {:?} {}{} ({})",
        delta.domain,
        delta.role,
        delta.direction,
        wants(&delta.wants),
        except.concat(),
        subjects.join(", ")
    )
}

const BASE: &str = "p, clerk, tax, /returns/:id, GET, allow\np, clerk, tax, /returns/9, *, deny\ng, alice, clerk, tax\ng, bob, head, tax\ng, head, clerk, tax\n";

#[test]
fn what_a_change_does_is_told_by_organisation_and_role() {
    let more = |row: &str| format!("{BASE}{row}\n");
    for (old, new, expected) in [
        (BASE.to_owned(), BASE.replace(":id", ":number"), vec![]),
        (
            BASE.to_owned(),
            more("p, head, tax, /returns/:id, DELETE, allow"),
            vec!["tax/head Gains DELETE /returns/:any except DELETE /returns/9 (bob, head)"],
        ),
        (
            BASE.to_owned(),
            more("p, clerk, tax, /returns/*, GET, allow"),
            vec![
                "tax/clerk Gains GET /returns/* except GET /returns/:any (alice, bob, clerk, head)",
            ],
        ),
        (
            BASE.to_owned(),
            more("g, carol, clerk, tax"),
            vec!["tax/clerk Gains GET /returns/:any except GET /returns/9 (carol)"],
        ),
        (
            more("g, carol, clerk, tax"),
            BASE.to_owned(),
            vec!["tax/clerk Loses GET /returns/:any except GET /returns/9 (carol)"],
        ),
        (
            BASE.to_owned(),
            BASE.replace("p, clerk, tax, /returns/9, *, deny\n", ""),
            vec!["tax/clerk Gains GET /returns/9 (alice, bob, clerk, head)"],
        ),
        (
            BASE.to_owned(),
            more("p, head, tax, /returns/5, GET, allow"),
            vec![],
        ),
    ] {
        let found = compared(&old, &new);
        let deltas: Vec<_> = found.deltas.iter().map(shown).collect();
        assert_eq!(deltas, expected, "{new}");
        assert!(found.inexact.is_empty());
    }
}

#[test]
fn clearances_are_compared_with_what_they_include() {
    let old = format!("{BASE}g2, clerk, internal\n");
    let new = format!("{BASE}g2, clerk, secret\ng2, secret, internal\n");
    let found = compared(&old, &new);
    assert_eq!(
        clearances(&found),
        ["clerk gains secret", "secret gains internal"]
    );
}

/// A window that is moved gains where it is new and loses where it was; what the label includes moves with it.
#[test]
fn clearances_for_a_time_are_compared_with_their_times() {
    let model = RBAC_WITH_DOMAINS.replace("g2 = _, _", "g2 = _, _, (_, _)");
    let compile = |rules: &str| {
        let [model, rules] =
            [("m", model.as_str()), ("p", rules)].map(|(name, text)| Source { name, text });
        Policy::compile(model, rules).unwrap()
    };
    let row = |who: &str, label: &str, from: &str, to: &str| {
        format!("g2, {who}, {label}, {from}, {to}\n")
    };
    let hour = |hour: u32| format!("1970-01-01 {hour:02}:00:00");
    let includes = row("secret", "internal", "_", "_");
    for (old, new, expected) in [
        (
            row("clerk", "internal", &hour(2), &hour(5)),
            row("clerk", "internal", &hour(4), &hour(8)),
            &[
                "clerk gains internal 5:0-1..8:0",
                "clerk loses internal 2:0..4:0+1",
            ][..],
        ),
        (
            row("clerk", "internal", "_", &hour(5)),
            row("clerk", "internal", "_", "_"),
            &["clerk gains internal 5:0-1.."],
        ),
        (
            includes.clone(),
            row("clerk", "secret", &hour(1), &hour(9)) + &row("secret", "internal", &hour(3), "_"),
            &[
                "clerk gains internal 3:0..9:0",
                "clerk gains secret 1:0..9:0",
                "secret loses internal ..3:0+1",
            ],
        ),
        (
            row("clerk", "secret", &hour(1), &hour(2)) + &includes,
            row("clerk", "secret", &hour(1), &hour(2)) + &includes,
            &[],
        ),
    ] {
        let found = diff(&compile(&old), &compile(&new), 1, None).unwrap();
        assert_eq!(clearances(&found), expected, "{new}");
        assert!(found.inexact.is_empty());
    }
}

/// As text; times in hours, `+1` and `-1` for a millisecond.
fn clearances(found: &Diff) -> Vec<String> {
    let time = |ms: Option<i64>| {
        ms.map_or(String::new(), |ms| {
            let hour = (ms + 1) / 3_600_000;
            match ms - hour * 3_600_000 {
                0 => format!("{hour}:0"),
                more => format!("{hour}:0{more:+}"),
            }
        })
    };
    let shown = |one: &ClearanceDelta| {
        let way = format!("{:?}", one.direction).to_lowercase();
        let (after, before) = (time(one.after_unix_ms), time(one.before_unix_ms));
        let when = format!(" {after}..{before}");
        let when = if when == " .." { "" } else { &when };
        format!("{} {way} {}{when}", one.name, one.label)
    };
    found.clearances.iter().map(shown).collect()
}

#[test]
fn what_cannot_be_told_exactly_is_said() {
    let conditional = "p, clerk, tax, /a.b, GET, deny\n";
    for (old, new) in [
        (BASE.to_owned(), format!("{BASE}{conditional}")),
        (
            format!("{BASE}{conditional}"),
            format!("{BASE}{conditional}p, clerk, tax, /x, GET, allow\n"),
        ),
    ] {
        assert!(!compared(&old, &new).inexact.is_empty(), "{new}");
    }
}

const SUBJECTS: [&str; 5] = ["alice", "bob", "clerk", "head", "stranger"];
const PATTERNS: [&str; 8] = [
    "/a", "/a/:x", "/a/*", "/:x/b", "/a/b", "/*", "/:x/:y/*", "/a/:x/c",
];
const PATHS: [&str; 9] = [
    "/a", "/z", "/a/b", "/a/z", "/z/b", "/a/b/c", "/a/z/c", "/z/z/z", "/a/z/z/z",
];
const METHODS: [&str; 3] = ["GET", "PUT", "*"];

fn rules() -> impl Strategy<Value = String> {
    let rule = (
        select(&SUBJECTS[..4]),
        select(&PATTERNS[..]),
        select(&METHODS[..]),
        prop::bool::weighted(0.3),
    )
        .prop_map(|(sub, path, method, deny)| {
            format!(
                "p, {sub}, tax, {path}, {method}, {}\n",
                if deny { "deny" } else { "allow" }
            )
        });
    let role = (select(&SUBJECTS[..2]), select(&SUBJECTS[2..4]))
        .prop_map(|(a, b)| format!("g, {a}, {b}, tax\n"));
    (
        prop::collection::vec(rule, 1..6),
        prop::collection::vec(role, 0..4),
    )
        .prop_map(|(rules, roles)| rules.concat() + &roles.concat())
}

/// Whether a path is meant by a region as it is shown.
fn meant(wants: &[(String, String)], path: &str, method: &str) -> bool {
    let value = |name: &str| {
        wants
            .iter()
            .find(|(known, _)| known == name)
            .map_or("*", |(_, value)| value)
    };
    let places =
        super::places::Places::of(crate::engine::pattern::Matching::KeyMatch2, value("obj"));
    let path = value("obj") == "*" || places.holds(path) == Some(true);
    path && (value("act") == "*" || value("act") == method)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn the_deltas_are_exactly_the_requests_whose_answer_changes(old in rules(), new in rules()) {
        let (before, after) = (compile(&old), compile(&new));
        let found = diff(&before, &after, 1, None).unwrap();
        for subject in SUBJECTS {
            for path in PATHS {
                for method in ["GET", "PUT", "DELETE"] {
                    let request = Request { subject, domain: "tax", path, method, ..Request::default() };
                    let permits = |policy: &Policy| matches!(policy.decide(&request), Decision::Permit(_));
                    let expected = match (permits(&before), permits(&after)) {
                        (false, true) => Some(Direction::Gains),
                        (true, false) => Some(Direction::Loses),
                        _ => None,
                    };
                    let name = if subject == "stranger" { "anyone else" } else { subject };
                    let told: Vec<_> = found.deltas.iter().filter(|delta| {
                        delta.subjects.contains(name)
                            && meant(&delta.wants, path, method)
                            && !delta.except.iter().any(|except| meant(except, path, method))
                    }).collect();
                    prop_assert_eq!(told.is_empty(), expected.is_none(), "{} {} {}\n{}\n{}\n{:?}", subject, path, method, old, new, told);
                    prop_assert!(told.iter().all(|delta| Some(delta.direction) == expected), "{} {} {}\n{}\n{}\n{:?}", subject, path, method, old, new, told);
                }
            }
        }
    }
}
