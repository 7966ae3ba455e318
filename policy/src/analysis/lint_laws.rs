//! The law of needless rules: what lint calls needless can go, and no answer changes.

use super::lint::lint;
use crate::{Decision, Policy, RBAC_WITH_DOMAINS, Source, Value};
use proptest::prelude::*;
use proptest::sample::select;

const NAMES: [&str; 4] = ["alice", "bob", "clerk", "head"];
const PATTERNS: [&str; 9] = [
    "/a", "/a/:x", "/a/*", "/:x/b", "/a/b", "/*", "/:x/:y/*", "/a/:x/c", "/a.b",
];
const PATHS: [&str; 11] = [
    "/a", "/z", "/a/", "/a/b", "/a/z", "/z/b", "/a/b/c", "/a/z/c", "/z/z/z", "/a.b", "/axb",
];
const EFFECTS: [&str; 4] = [
    "some(where (p.eft == allow))",
    "!some(where (p.eft == deny))",
    "some(where (p.eft == allow)) && !some(where (p.eft == deny))",
    "priority(p.eft) || deny",
];

fn rules() -> impl Strategy<Value = String> {
    let rule = (
        select(&NAMES[..]),
        select(&["tax", "land"][..]),
        select(&PATTERNS[..]),
        select(&["GET", "*"][..]),
        prop::bool::weighted(0.3),
    )
        .prop_map(|(sub, domain, path, method, deny)| {
            let effect = if deny { "deny" } else { "allow" };
            format!("p, {sub}, {domain}, {path}, {method}, {effect}\n")
        });
    let role = (
        select(&NAMES[..]),
        select(&NAMES[2..]),
        select(&["tax", "land"][..]),
    )
        .prop_map(|(a, b, domain)| format!("g, {a}, {b}, {domain}\n"));
    (
        prop::collection::vec(rule, 1..7),
        prop::collection::vec(role, 0..4),
    )
        .prop_map(|(rules, roles)| rules.concat() + &roles.concat())
}

fn compile(model: &str, rules: &str) -> Policy {
    let model = Source {
        name: "model.conf",
        text: model,
    };
    let rules = Source {
        name: "policy.csv",
        text: rules,
    };
    Policy::compile(model, rules).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn a_rule_that_is_called_needless_can_go(rules in rules(), effect in select(&EFFECTS[..])) {
        let model = RBAC_WITH_DOMAINS.replace(EFFECTS[2], effect);
        let before = compile(&model, &rules);
        let source = Source { name: "policy.csv", text: &rules };
        let needless = ["duplicate", "shadowed", "never-in-effect", "contradictory", "effect-ignores-rule"];
        for finding in lint(&before, source, |_| false, None) {
            // Without any rule, casbin answers by other means.
            if !needless.contains(&finding.kind) || before.rule_count() == 1 {
                continue;
            }
            let kept: Vec<_> = (1..)
                .zip(rules.split('\n'))
                .map(|(line, text)| if line == finding.problem.line { "" } else { text })
                .collect();
            let after = compile(&model, &kept.join("\n"));
            for subject in NAMES.iter().chain(&["stranger"]) {
                for domain in ["tax", "land", "sea"] {
                    for path in PATHS {
                        for method in ["GET", "PUT"] {
                            let asked = [*subject, domain, path, method].map(|text| Value::Text(text.to_owned()));
                            let permits = |policy: &Policy| matches!(policy.decide_arguments(1, &asked), Decision::Permit(_));
                            prop_assert_eq!(permits(&before), permits(&after), "{}\n{}\n{:?}", finding, rules, asked);
                        }
                    }
                }
            }
        }
    }
}
