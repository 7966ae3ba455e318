//! The law: our answer is casbin's, for every generated policy and request.
//!
//! The alphabet is small, so that generated requests meet generated rules, and holds the texts that patterns and
//! comparisons trip over. What diverges knowingly is kept out here and tested by name in `divergences.rs`.

use hangu_policy::{Decision, Policy, Problem, RBAC_WITH_DOMAINS, Request, Source, Value};
use hangu_policy_casbin::Oracle;
use proptest::prelude::*;
use proptest::sample::select;

const SUBJECTS: [&str; 6] = ["alice", "bob", "clerk", "head", "", "张三"];
const DOMAINS: [&str; 3] = ["tax", "land", "TAX"];
const METHODS: [&str; 5] = ["GET", "POST", "*", "get", ""];
const PATTERNS: [&str; 16] = [
    "/a", "/a/", "/a/:id", "/a/*", "/*", "/", "/:x/b", "/a/:id/b", "/a/:id/*", "/a/*/b", "/a.b",
    "/a|/b", "/资/:id", "/a/b:c", "/A", "*",
];
const PATHS: [&str; 18] = [
    "/", "/a", "/a/", "/a/b", "/a/b/", "/a/b/b", "/a/x/b", "/b/b", "/a.b", "/axb", "/a|/b",
    "/a/evil", "/资/一", "/a/b:c", "/A", "/a/..", "", "/a/b\nc",
];

fn compile(model: &str, rules: &str) -> Result<Policy, Vec<Problem>> {
    let model = Source {
        name: "m",
        text: model,
    };
    let rules = Source {
        name: "p",
        text: rules,
    };
    Policy::compile_positional(model, rules)
}

fn permits(policy: &Policy, arguments: &[&str]) -> bool {
    let values: Vec<_> = arguments
        .iter()
        .map(|a| Value::Text((*a).to_owned()))
        .collect();
    matches!(policy.decide_arguments(1, &values), Decision::Permit(_))
}

/// Rows of the model that we ship, at least one of them a rule.
fn shipped_rules() -> impl Strategy<Value = String> {
    let rule = (
        select(&SUBJECTS[..]),
        select(&DOMAINS[..]),
        select(&PATTERNS[..]),
        select(&METHODS[..]),
        prop::bool::weighted(0.2),
    )
        .prop_map(|(subject, domain, pattern, method, deny)| {
            let effect = if deny { "deny" } else { "allow" };
            format!("p, {subject}, {domain}, {pattern}, {method}, {effect}\n")
        });
    let role = (
        select(&SUBJECTS[..]),
        select(&SUBJECTS[..]),
        select(&DOMAINS[..]),
    )
        .prop_map(|(a, b, domain)| format!("g, {a}, {b}, {domain}\n"));
    let clearance =
        (select(&SUBJECTS[..]), select(&SUBJECTS[..])).prop_map(|(a, b)| format!("g2, {a}, {b}\n"));
    (
        prop::collection::vec(rule, 1..10),
        prop::collection::vec(role, 0..6),
        prop::collection::vec(clearance, 0..3),
    )
        .prop_map(|(rules, roles, clearances)| [rules, roles, clearances].concat().concat())
}

fn request() -> impl Strategy<Value = [&'static str; 4]> {
    (
        select(&SUBJECTS[..]),
        select(&DOMAINS[..]),
        select(&PATHS[..]),
        select(&METHODS[..]),
    )
        .prop_map(|(subject, domain, path, method)| [subject, domain, path, method])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn the_shipped_model_answers_as_casbin(
        rules in shipped_rules(),
        requests in prop::collection::vec(request(), 1..24),
    ) {
        let oracle = Oracle::new(RBAC_WITH_DOMAINS, &rules).unwrap();
        let positional = compile(RBAC_WITH_DOMAINS, &rules).unwrap();
        let model = Source { name: "m", text: RBAC_WITH_DOMAINS };
        let named = Policy::compile(model, Source { name: "p", text: &rules }).unwrap();
        for arguments in requests {
            let expected = oracle.decide(&arguments).unwrap();
            let [subject, domain, path, method] = arguments;
            let request = Request { subject, domain, path, method, ..Request::default() };
            let by_name = matches!(named.decide(&request), Decision::Permit(_));
            prop_assert_eq!(by_name, expected, "{:?} on\n{}", arguments, rules);
            prop_assert_eq!(permits(&positional, &arguments), expected, "{:?} on\n{}", arguments, rules);
        }
    }
}
