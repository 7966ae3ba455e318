//! Policies that would take for ever, or all memory, if nothing bounded them.

use crate::decision::{Decision, Refusal};
use crate::engine::eval::EvaluationFault;
use crate::policy::Policy;
use crate::problem::{Problem, Source};
use crate::value::Value;
use std::fmt::Write as _;

fn compile(relations: &str, matcher: &str, rules: &str) -> Result<Policy, Vec<Problem>> {
    let model = format!(
        "[request_definition]\nr = sub, obj\n[policy_definition]\np = sub, obj, eft\n{relations}\
         [policy_effect]\ne = some(where (p.eft == allow))\n[matchers]\nm = {matcher}\n"
    );
    let source = |name, text| Source { name, text };
    Policy::compile_positional(source("m", &model), source("p", rules))
}

fn refused(relations: &str, matcher: &str, rules: &str) -> String {
    let problems = compile(relations, matcher, rules).unwrap_err();
    problems.first().unwrap().to_string()
}

fn decide(policy: &Policy) -> Decision {
    let arguments = ["alice", "/a"].map(|text| Value::Text(text.to_owned()));
    policy.decide_arguments(1, &arguments)
}

#[test]
fn a_decision_takes_a_bounded_number_of_steps() {
    let mut rules = String::new();
    for number in 0..200 {
        writeln!(rules, "p, alice, /{number}, allow").unwrap();
    }
    rules.push_str("p, alice, /a, allow\n");
    for matcher in [
        "r.sub != p.obj && !(r.obj != p.obj)",
        "r.sub == p.sub && globMatch(r.obj, p.obj)",
        "r.sub == p.sub && regexMatch(r.obj, p.obj) && r.obj == p.obj",
    ] {
        let mut policy = compile("", matcher, &rules).unwrap();
        assert!(matches!(decide(&policy), Decision::Permit(_)), "{matcher}");
        for section in &mut policy.sections {
            section.index.cost.steps_max = 500;
        }
        let decision = decide(&policy);
        let denied = matches!(
            decision,
            Decision::Deny(Refusal::EvaluationError(_, EvaluationFault::TooManySteps))
        );
        // The third finds its row by the object.
        assert_eq!(
            denied,
            !matcher.ends_with("== p.obj"),
            "{matcher}: {decision:?}"
        );
    }
}

#[test]
fn rows_times_regular_expressions_stay_under_the_bound_of_a_decision() {
    let path = format!("/{}", "a".repeat(8_000));
    let arguments = ["alice", &path].map(|text| Value::Text(text.to_owned()));
    let took = |rows: usize| {
        let mut rules = String::new();
        for number in 0..rows {
            writeln!(rules, "p, alice, ^/[a-z]*{number}$, allow").unwrap();
        }
        let policy = compile("", "regexMatch(r.obj, p.obj)", &rules).unwrap();
        let start = std::time::Instant::now();
        let decision = policy.decide_arguments(1, &arguments);
        (decision, start.elapsed())
    };
    // Two thousand steps a row: below a million they are all compared, and no more than a million is ever taken.
    let (decision, below) = took(490);
    assert!(matches!(decision, Decision::Deny(Refusal::NoRule)));
    let (decision, beyond) = took(600);
    eprintln!("below the bound {below:?}, beyond {beyond:?}");
    assert!(matches!(
        decision,
        Decision::Deny(Refusal::EvaluationError(_, EvaluationFault::TooManySteps))
    ));
}

#[test]
fn roles_that_all_hold_each_other_are_refused_before_they_are_followed() {
    let mut rules = String::from("p, alice, /a, allow\n");
    for from in 0..420 {
        for to in 0..420 {
            writeln!(rules, "g, r{from}, r{to}").unwrap();
        }
    }
    let problem = refused("[role_definition]\ng = _, _\n", "g(r.sub, p.sub)", &rules);
    assert!(
        problem.contains("more than 64000000 links to follow"),
        "{problem}"
    );
}

#[test]
fn domains_that_are_patterns_of_each_other_are_bounded() {
    let mut rules = String::new();
    for number in 0..9_000 {
        writeln!(rules, "g, alice, clerk, d{number}*").unwrap();
    }
    let matcher = "g(r.sub, p.sub, r.obj) && keyMatch(r.obj, p.obj)";
    let relation = "[role_definition]\ng = _, _, _\n";
    let problem = refused(relation, matcher, &rules);
    assert!(
        problem.contains("9000 patterns for 9000 domains are too many to try"),
        "{problem}"
    );
}

#[test]
fn globs_that_unfold_are_bounded_together() {
    let mut rules = String::new();
    for number in 0..400 {
        let braces = "{a,b}".repeat(6);
        writeln!(
            rules,
            "p, alice, \"/{number}/{braces}{}\", allow",
            "x".repeat(4_000)
        )
        .unwrap();
    }
    let problem = refused("", "globMatch(r.obj, p.obj)", &rules);
    assert!(
        problem.contains("268435456 bytes of them, have to be compiled"),
        "{problem}"
    );
}

#[test]
fn roles_for_a_time_are_bounded_for_each_name() {
    let mut rules = String::from("p, alice, /a, allow\n");
    for number in 0..1_001 {
        writeln!(rules, "g, alice, r{number}, _, _").unwrap();
    }
    let relation = "[role_definition]\ng = _, _, (_, _)\n";
    let problem = refused(relation, "g(r.sub, p.sub)", &rules);
    assert!(
        problem.contains("more than 1000 roles for a time"),
        "{problem}"
    );
}
