//! Where we knowingly answer otherwise than Rust casbin 2.20: each with the right answer, and why.

use hangu_policy::{Decision, Policy, RBAC_WITH_DOMAINS, Refusal, Source, Value};
use hangu_policy_casbin::{Oracle, OracleError};
use std::collections::HashMap;

fn ours(model: &str, rules: &str) -> Result<Policy, String> {
    let model = Source {
        name: "m",
        text: model,
    };
    let rules = Source {
        name: "p",
        text: rules,
    };
    Policy::compile_positional(model, rules).map_err(|problems| format!("{problems:?}"))
}

fn permits(policy: &Policy, arguments: &[&str]) -> bool {
    let values: Vec<_> = arguments
        .iter()
        .map(|a| Value::Text((*a).to_owned()))
        .collect();
    matches!(policy.decide_arguments(1, &values), Decision::Permit(_))
}

fn model(effect: &str, matcher: &str) -> String {
    format!(
        "[request_definition]\nr = sub, obj, act\n[policy_definition]\np = sub, obj, act, eft\n\
         [role_definition]\ng = _, _\n[policy_effect]\ne = {effect}\n[matchers]\nm = {matcher}\n"
    )
}

const ALLOW: &str = "some(where (p.eft == allow))";
const NOT_DENY: &str = "!some(where (p.eft == deny))";
const EXACT: &str = "r.sub == p.sub && r.obj == p.obj && r.act == p.act";

#[test]
fn ten_role_links_are_followed() {
    let mut rules = String::from("p, r10, tax, /x, GET, allow\n");
    for n in 0..10 {
        rules.push_str(&format!("g, r{n}, r{}, tax\n", n + 1));
    }
    let request = ["r0", "tax", "/x", "GET"];
    // Go follows ten links, Rust nine: where they differ we follow Go.
    assert!(permits(&ours(RBAC_WITH_DOMAINS, &rules).unwrap(), &request));
    assert!(
        !Oracle::new(RBAC_WITH_DOMAINS, &rules)
            .unwrap()
            .decide(&request)
            .unwrap()
    );
}

#[test]
fn an_empty_policy_permits_nothing_even_without_denials() {
    // Both casbins permit everything when the policy is gone; zero rules must never open the gate.
    let model = model(NOT_DENY, EXACT);
    assert!(!permits(&ours(&model, "").unwrap(), &["a", "/x", "GET"]));
    assert!(
        Oracle::new(&model, "")
            .unwrap()
            .decide(&["a", "/x", "GET"])
            .unwrap()
    );
}

#[test]
fn an_empty_policy_matches_no_empty_request() {
    // Casbin compares with empty fields where there are no rows; a field of no row equals nothing.
    let model = model(ALLOW, EXACT);
    assert!(!permits(&ours(&model, "").unwrap(), &["", "", ""]));
    assert!(
        Oracle::new(&model, "")
            .unwrap()
            .decide(&["", "", ""])
            .unwrap()
    );
    let matching = self::model(ALLOW, "regexMatch(r.obj, p.obj)");
    assert!(!permits(&ours(&matching, "").unwrap(), &["a", "/x", "GET"]));
    assert!(
        Oracle::new(&matching, "")
            .unwrap()
            .decide(&["a", "/x", "GET"])
            .unwrap()
    );
}

#[test]
fn rows_that_rust_drops_silently_are_refused() {
    let model = model(NOT_DENY, EXACT);
    for row in [
        "P, a, /x, GET, deny",
        "p2, a, /x, GET, deny",
        "p, a, /x, GET, Deny",
        "p, a, /x, GET, deny # note",
    ] {
        let rules = format!("p, a, /y, GET, allow\n{row}\n");
        assert!(ours(&model, &rules).is_err(), "{row}");
        let oracle = Oracle::new(&model, &rules).unwrap();
        assert!(oracle.decide(&["a", "/x", "GET"]).unwrap(), "{row}");
    }
}

#[test]
fn a_repeated_deny_keeps_its_place_under_priority() {
    // Rust moves a repeated row to the end; Go keeps the first, and so do we.
    let model = model("priority(p.eft) || deny", EXACT);
    let rules = "p, a, /x, GET, deny\np, a, /x, GET, allow\np, a, /x, GET, deny\n";
    assert!(!permits(&ours(&model, rules).unwrap(), &["a", "/x", "GET"]));
    assert!(
        Oracle::new(&model, rules)
            .unwrap()
            .decide(&["a", "/x", "GET"])
            .unwrap()
    );
}

#[test]
fn key_match_on_a_multi_byte_path_is_answered() {
    // Rust cuts the path inside a character and panics; Go compares bytes.
    let model = model(ALLOW, "keyMatch(r.obj, p.obj)");
    let rules = "p, a, /x/yz/*, GET, allow\n";
    let request = ["a", "/x/y中中中", "GET"];
    assert!(!permits(&ours(&model, rules).unwrap(), &request));
    let oracle = Oracle::new(&model, rules).unwrap();
    assert!(matches!(oracle.decide(&request), Err(OracleError::Panic)));
}

#[test]
fn what_rust_panics_on_is_refused_at_load() {
    for (effect, matcher, rules) in [
        (ALLOW, "regexMatch(r.obj, p.obj)", "p, a, [, GET, allow\n"),
        (ALLOW, "keyMatch2(r.obj, p.obj)", "p, a, /x/(, GET, allow\n"),
        (
            "some(where (p.eft==allow))",
            EXACT,
            "p, a, /x, GET, allow\n",
        ),
    ] {
        let model = model(effect, matcher);
        assert!(ours(&model, rules).is_err(), "{rules}");
        let oracle = Oracle::new(&model, rules).unwrap();
        assert!(
            matches!(oracle.decide(&["a", "/x", "GET"]), Err(OracleError::Panic)),
            "{rules}"
        );
    }
}

#[test]
fn a_bare_colon_in_a_key_match2_pattern_is_a_colon() {
    // Rust takes `:` with nothing after it for a parameter; Go wants a name.
    let model = model(ALLOW, "keyMatch2(r.obj, p.obj)");
    let rules = "p, a, /x/:, GET, allow\n";
    let policy = ours(&model, rules).unwrap();
    let oracle = Oracle::new(&model, rules).unwrap();
    assert!(permits(&policy, &["a", "/x/:", "GET"]));
    assert!(!permits(&policy, &["a", "/x/y", "GET"]));
    assert!(oracle.decide(&["a", "/x/y", "GET"]).unwrap());
}

#[test]
fn two_relations_do_not_share_a_graph() {
    // Rust keeps `g` and `g2` in one graph, so that a resource's group can make a subject an administrator.
    let model = "[request_definition]\nr = sub, obj, act\n[policy_definition]\np = sub, obj, act\n\
                 [role_definition]\ng = _, _\ng2 = _, _\n[policy_effect]\ne = some(where (p.eft == allow))\n\
                 [matchers]\nm = g(r.sub, p.sub) && g2(r.obj, p.obj) && r.act == p.act\n";
    let rules = "p, admin, vault, open\ng2, alice, admin\ng2, door, vault\n";
    assert!(!permits(
        &ours(model, rules).unwrap(),
        &["alice", "door", "open"]
    ));
    assert!(
        Oracle::new(model, rules)
            .unwrap()
            .decide(&["alice", "door", "open"])
            .unwrap()
    );
}

#[test]
fn a_deny_row_of_a_second_section_denies() {
    // Rust looks for the effect under the first section's name and lets a deny row of `p2` grant.
    let model = "[request_definition]\nr = sub\nr2 = sub\n[policy_definition]\np = sub\np2 = sub, eft\n\
                 [policy_effect]\ne = some(where (p.eft == allow))\ne2 = some(where (p.eft == allow))\n\
                 [matchers]\nm = r.sub == p.sub\nm2 = r2.sub == p2.sub\n";
    let policy = ours(model, "p2, alice, deny\np2, bob, allow\n").unwrap();
    let decide = |sub: &str| policy.decide_arguments(2, &[Value::Text(sub.to_owned())]);
    assert!(matches!(decide("alice"), Decision::Deny(_)));
    assert!(matches!(decide("bob"), Decision::Permit(_)));
}

#[test]
fn the_priority_column_counts() {
    // Rust ignores the column and takes the rows as they stand.
    let model = "[request_definition]\nr = sub\n[policy_definition]\np = priority, sub, eft\n\
                 [policy_effect]\ne = priority(p.eft) || deny\n[matchers]\nm = r.sub == p.sub\n";
    let rules = "p, 10, alice, allow\np, 1, alice, deny\n";
    assert!(!permits(&ours(model, rules).unwrap(), &["alice"]));
    assert!(
        Oracle::new(model, rules)
            .unwrap()
            .decide(&["alice"])
            .unwrap()
    );
}

#[test]
fn classes_of_regular_expressions_know_ascii_only() {
    // Go's do; Rust's know every script's digits and letters.
    let model = model(ALLOW, "regexMatch(r.obj, p.obj)");
    let rules = "p, a, ^/\\d+$, GET, allow\n";
    assert!(permits(&ours(&model, rules).unwrap(), &["a", "/12", "GET"]));
    assert!(!permits(
        &ours(&model, rules).unwrap(),
        &["a", "/١٢", "GET"]
    ));
    assert!(
        Oracle::new(&model, rules)
            .unwrap()
            .decide(&["a", "/١٢", "GET"])
            .unwrap()
    );
}

#[test]
fn a_loose_brace_in_a_pattern_is_a_character() {
    // Go takes it for one, Rust panics.
    let model = model(ALLOW, "keyMatch2(r.obj, p.obj)");
    let rules = "p, a, /x/{y}, GET, allow\n";
    let request = ["a", "/x/{y}", "GET"];
    assert!(permits(&ours(&model, rules).unwrap(), &request));
    assert!(matches!(
        Oracle::new(&model, rules).unwrap().decide(&request),
        Err(OracleError::Panic)
    ));
}

#[test]
fn a_condition_cannot_loop() {
    // Rust hands a row's condition to its script interpreter, where `loop { }` never ends.
    let model = "[request_definition]\nr = sub, obj\n[policy_definition]\np = rule, obj\n\
                 [policy_effect]\ne = some(where (p.eft == allow))\n[matchers]\nm = eval(p.rule) && r.obj == p.obj\n";
    assert!(
        ours(model, "p, loop { }, /x\n")
            .unwrap_err()
            .contains("has no meaning here")
    );
}

#[test]
fn a_matcher_of_the_request_alone_asks_no_row() {
    // Go asks it once and permits; Rust asks it for each row and takes the row's effect, here a denial.
    let model = model(
        "some(where (p.eft == allow)) && !some(where (p.eft == deny))",
        "r.sub == \"root\"",
    );
    let rules = "p, x, y, z, deny\n";
    assert!(permits(
        &ours(&model, rules).unwrap(),
        &["root", "/x", "GET"]
    ));
    assert!(
        !Oracle::new(&model, rules)
            .unwrap()
            .decide(&["root", "/x", "GET"])
            .unwrap()
    );
}

#[test]
fn a_text_that_casbin_rewrites_is_refused() {
    // Both turn `p.` in quotes into `p_`; what the author meant cannot be compared.
    let model = model(ALLOW, "r.sub == \"see p.sub\"");
    assert!(ours(&model, "").is_err());
}

/// What we and casbin decide of a subject with attributes.
fn asked_of_attributes(matcher: &str, attributes: &[(&str, &str)]) -> Option<(Decision, bool)> {
    let model = format!(
        "[request_definition]\nr = sub\n[policy_definition]\np = sub\n\
         [policy_effect]\ne = {ALLOW}\n[matchers]\nm = {matcher}\n"
    );
    let text = |text: &str| text.to_owned();
    let fields = attributes
        .iter()
        .map(|(name, value)| (text(name), Value::Text(text(value))));
    let policy = ours(&model, "p, alice\n").ok()?;
    let decision = policy.decide_arguments(1, &[Value::Object(fields.collect())]);
    let oracle = Oracle::new(&model, "p, alice\n").ok()?;
    let subject: HashMap<_, _> = attributes.iter().copied().collect();
    Some((decision, oracle.decide_values(1, &[subject]).ok()?))
}

#[test]
fn a_missing_attribute_is_an_error() {
    // Go's evaluator fails and nothing is permitted; Rust compares nothing, which differs from everything.
    let matcher = "r.sub.name == p.sub && r.sub.state != \"barred\"";
    let (ours, theirs) = asked_of_attributes(matcher, &[("name", "alice")]).unwrap();
    assert!(matches!(ours, Decision::Deny(Refusal::EvaluationError(..))));
    assert!(theirs);
}

#[test]
fn a_value_of_another_type_is_an_error() {
    // Go's evaluator fails where numbers are compared with texts; Rust answers no, and `!` makes it yes.
    let matcher = "r.sub.name == p.sub && !(r.sub.age > 18)";
    let attributes = [("name", "alice"), ("age", "old")];
    let (ours, theirs) = asked_of_attributes(matcher, &attributes).unwrap();
    assert!(matches!(ours, Decision::Deny(Refusal::EvaluationError(..))));
    assert!(theirs);
}

#[test]
fn an_ipv4_address_in_ipv6_form_is_that_address() {
    // Go takes `::ffff:10.1.1.1` for 10.1.1.1, as a socket of both families tells it; Rust takes it for another.
    let model = model(ALLOW, "ipMatch(r.obj, p.obj)");
    let rules = "p, a, 10.0.0.0/8, GET, allow\n";
    let request = ["a", "::ffff:10.1.1.1", "GET"];
    assert!(permits(&ours(&model, rules).unwrap(), &request));
    assert!(
        !Oracle::new(&model, rules)
            .unwrap()
            .decide(&request)
            .unwrap()
    );
}

#[test]
fn a_glob_that_ends_in_two_stars_also_matches_what_stands_before() {
    // Go's library takes `/a/**` for `/a` and all below, Rust's for what is below.
    let model = model(ALLOW, "globMatch(r.obj, p.obj)");
    let rules = "p, a, /a/**, GET, allow\n";
    let oracle = Oracle::new(&model, rules).unwrap();
    for (path, rust) in [("/a", false), ("/a/b", true)] {
        assert!(permits(&ours(&model, rules).unwrap(), &["a", path, "GET"]));
        assert_eq!(oracle.decide(&["a", path, "GET"]).unwrap(), rust);
    }
}

#[test]
fn braces_without_a_name_are_characters_for_key_match4() {
    // Rust answers no where `keyMatch4` cannot read a pattern; Go reads the braces as characters.
    let model = model(ALLOW, "keyMatch4(r.obj, p.obj)");
    let rules = "p, a, /a/{}, GET, allow\n";
    let request = ["a", "/a/{}", "GET"];
    assert!(permits(&ours(&model, rules).unwrap(), &request));
    assert!(
        !Oracle::new(&model, rules)
            .unwrap()
            .decide(&request)
            .unwrap()
    );
}
