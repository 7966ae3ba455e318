//! The law: our answer is casbin's, for every generated policy and request.
//!
//! The alphabet is small, so that generated requests meet generated rules, and holds the texts that patterns and
//! comparisons trip over. What diverges knowingly is kept out here and tested by name in `divergences.rs`.

use hangu_policy::{Decision, Policy, RBAC_WITH_DOMAINS, Request, Source};
use hangu_policy_casbin::Oracle;
use proptest::prelude::*;
use proptest::sample::select;
use support::{compile, permits};

mod support;

const SUBJECTS: [&str; 6] = ["alice", "bob", "clerk", "head", "张三", ""];
/// Those without the empty one: a role row with an empty name is refused, for it is likely cut off.
const NAMED: usize = 5;
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
        select(&SUBJECTS[..NAMED]),
        select(&SUBJECTS[..NAMED]),
        select(&DOMAINS[..]),
    )
        .prop_map(|(a, b, domain)| format!("g, {a}, {b}, {domain}\n"));
    let clearance = (select(&SUBJECTS[..NAMED]), select(&SUBJECTS[..NAMED]))
        .prop_map(|(a, b)| format!("g2, {a}, {b}\n"));
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

/// Terms that both understand, over texts.
const TERMS: [&str; 20] = [
    "r.sub == p.sub",
    "r.obj == p.obj",
    "r.act == p.act",
    "g(r.sub, p.sub)",
    "g(p.sub, r.sub)",
    "keyMatch(r.obj, p.obj)",
    "keyMatch2(r.obj, p.obj)",
    "keyMatch3(r.obj, p.obj)",
    "keyMatch4(r.obj, p.obj)",
    "keyMatch5(r.obj, p.obj)",
    "regexMatch(r.act, p.act)",
    "p.act == \"*\"",
    "p.sub == \"clerk\"",
    "r.sub == \"root\"",
    "r.sub != p.sub",
    "(r.act == p.act || p.act == \"*\")",
    "(g(r.sub, p.sub) || p.sub == \"*\")",
    "r.act in [\"GET\", \"POST\"]",
    "!keyMatch(r.obj, p.obj)",
    "!(r.sub == p.sub && r.act == p.act)",
];
const EFFECTS: [&str; 4] = [
    "some(where (p.eft == allow))",
    "!some(where (p.eft == deny))",
    "some(where (p.eft == allow)) && !some(where (p.eft == deny))",
    "priority(p.eft) || deny",
];
const NAMES: [&str; 6] = ["alice", "bob", "clerk", "root", "*", "admin"];
/// Patterns that each of the functions compiles, and none reads in its own way.
const OBJECTS: [&str; 14] = [
    "/a", "/a/", "/a/*", "/*", "/", "/a/:id", "/:x/b", "/a/b", "/a.b", "/a|/b", "/a*", "/a/*/b",
    "/A", "/a/b?q=1",
];
const ACTIONS: [&str; 5] = ["GET", "POST", "^GET$", "(GET)|(PUT)", ""];
const REQUESTED: [&str; 5] = ["GET", "POST", "PUT", "TARGET", ""];

fn matcher() -> impl Strategy<Value = String> {
    let clause =
        prop::collection::vec(select(&TERMS[..]), 1..4).prop_map(|terms| terms.join(" && "));
    prop::collection::vec(clause, 1..3)
        .prop_map(|clauses| clauses.join(" || "))
        // Without a field of the rows Go asks the request alone, Rust asks it for each row.
        .prop_filter("reads rows", |matcher| matcher.contains("p."))
}

/// Rows in an order, none twice: Rust moves a repeated row to the end.
fn rows() -> impl Strategy<Value = String> {
    let rule = (
        select(&NAMES[..]),
        select(&OBJECTS[..]),
        select(&ACTIONS[..]),
        select(&["allow", "deny"][..]),
    )
        .prop_map(|(sub, obj, act, eft)| format!("p, {sub}, {obj}, {act}, {eft}\n"));
    let role = (select(&NAMES[..]), select(&NAMES[..])).prop_map(|(a, b)| format!("g, {a}, {b}\n"));
    let rows = prop::collection::vec(prop_oneof![3 => rule, 1 => role], 1..12);
    rows.prop_map(|mut rows| {
        let mut seen = std::collections::HashSet::new();
        rows.retain(|row| seen.insert(row.clone()));
        rows.concat()
    })
    .prop_filter("holds a rule", |rows| rows.contains("p, "))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn generated_models_answer_as_casbin(
        matcher in matcher(),
        effect in select(&EFFECTS[..]),
        rules in rows(),
        requests in prop::collection::vec(
            (select(&NAMES[..]), select(&PATHS[..]), select(&REQUESTED[..])),
            1..16,
        ),
    ) {
        let model = format!(
            "[request_definition]\nr = sub, obj, act\n[policy_definition]\np = sub, obj, act, eft\n\
             [role_definition]\ng = _, _\n[policy_effect]\ne = {effect}\n[matchers]\nm = {matcher}\n"
        );
        let oracle = Oracle::new(&model, &rules).unwrap();
        // A pattern that is no regular expression is refused.
        let Ok(policy) = compile(&model, &rules) else {
            return Ok(());
        };
        for (sub, obj, act) in requests {
            // Rust cuts a path inside a character and panics.
            let Ok(expected) = oracle.decide(&[sub, obj, act]) else {
                continue;
            };
            let found = permits(&policy, &[sub, obj, act]);
            prop_assert_eq!(found, expected, "{} {:?}\n{}\n{}", matcher, (sub, obj, act), effect, rules);
        }
    }
}

#[test]
fn parts_of_segments_are_what_casbin_takes() {
    let patterns = [
        ("keyGet2", "/proj_:id/a"),
        ("keyGet2", "/a/:id/*"),
        ("keyGet3", "/proj_{id}/a"),
        ("keyGet3", "/{id}_admin/x"),
        ("keyGet3", "/a/v{id}b/*"),
        ("keyGet3", "/{x}/{id}_admin/info"),
        ("keyGet3", "/{x}-{id}"),
        ("keyGet3", "/{id}-{x}/a"),
        ("keyGet3", "/a/{x}{id}{y}"),
        ("keyGet3", "/{id}-{id}"),
        ("keyGet3", "/{x}--{id}-{y}-z/*"),
    ];
    let paths = [
        "/proj_7/a",
        "/proj_/a",
        "/proj_7_8/a",
        "/7_admin/x",
        "/_admin/x",
        "/7_user/x",
        "/7_admin_admin/x",
        "/a/v1b/c",
        "/a/v1b",
        "/a/v1b/",
        "/a/vb/c",
        "/a/1/b",
        "/g/p_admin/info",
        "/g/p_admin/info/more",
        "/p-7",
        "/7-p",
        "/7--1",
        "/--7",
        "/-7",
        "/7-",
        "/7-1/a",
        "/p--7-1-z/more",
        "/p--7-z/more",
        "/p---7-1-z-z/more",
        "/a/p7",
        "/a/p71",
        "/a/p7\u{5f20}\u{4e09}",
        "/",
        "",
    ];
    for (function, pattern) in patterns {
        for wanted in [
            "7", "7_8", "7_admin", "1", "p", "v1b", "-1", "-7", "1-z", "-", "",
        ] {
            let model = format!(
                "[request_definition]\nr = sub, obj, act\n[policy_definition]\np = sub, obj, act, eft\n\
                 [policy_effect]\ne = some(where (p.eft == allow))\n\
                 [matchers]\nm = {function}(r.obj, \"{pattern}\", \"id\") == r.sub && r.act == p.act\n"
            );
            let rules = "p, any, any, GET, allow\n";
            let oracle = Oracle::new(&model, rules).unwrap();
            let policy = compile(&model, rules).unwrap();
            for path in paths {
                let asked = [wanted, path, "GET"];
                let expected = oracle.decide(&asked).unwrap();
                let found = permits(&policy, &asked);
                assert_eq!(
                    found, expected,
                    "{function}({path}, {pattern}) == {wanted:?}"
                );
            }
        }
    }
}
