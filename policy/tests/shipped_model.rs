//! The model that we ship: what it permits, what it refuses, and what its loader says of bad files.

use hangu_policy::{Decision, Policy, RBAC_WITH_DOMAINS, Refusal, Request, Source};

const RULES: &str = "\
# clerks read returns, auditors everything but the secret ones
p, clerk,   tax, /returns/:id,    GET, allow
p, clerk,   tax, /returns,        *,   allow
p, auditor, tax, /*,              *,   allow
p, auditor, tax, /secret/*,       GET, deny
p, clerk,   land, /plots/*,       GET, allow

g, alice,   clerk,   tax
g, bob,     auditor, tax
g, head,    auditor, tax
g, carol,   head,    tax

g2, auditor,   sensitive
g2, sensitive, internal
g2, dora,      internal
";

fn compile(rules: &str) -> Result<Policy, Vec<String>> {
    let model = Source {
        name: "model.conf",
        text: RBAC_WITH_DOMAINS,
    };
    let rules = Source {
        name: "policy.csv",
        text: rules,
    };
    Policy::compile(model, rules)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

/// `permit policy.csv:3`, `deny policy.csv:5` or `no rule`.
fn answer(policy: &Policy, (subject, domain, method, path): (&str, &str, &str, &str)) -> String {
    let request = Request {
        subject,
        domain,
        path,
        method,
        ..Request::default()
    };
    match policy.decide(&request) {
        Decision::Permit(permit) => format!("permit {}", policy.rule(permit.rule())),
        Decision::Deny(Refusal::ExplicitDeny(rule)) => format!("deny {}", policy.rule(rule)),
        Decision::Deny(Refusal::NoRule) => "no rule".to_owned(),
        Decision::Deny(Refusal::EvaluationError(_, fault)) => fault.to_string(),
    }
}

#[test]
fn a_request_gets_the_answer_of_the_first_rule_that_decides() {
    let policy = compile(RULES).unwrap();
    for (request, expected) in [
        (("alice", "tax", "GET", "/returns/7"), "permit policy.csv:2"),
        (("alice", "tax", "POST", "/returns/7"), "no rule"),
        (("alice", "tax", "POST", "/returns"), "permit policy.csv:3"),
        (("alice", "tax", "GET", "/returns/7/lines"), "no rule"),
        (("alice", "land", "GET", "/plots/1"), "no rule"),
        (("clerk", "land", "GET", "/plots/1"), "permit policy.csv:6"),
        (("bob", "tax", "GET", "/returns/7"), "permit policy.csv:4"),
        (("bob", "tax", "GET", "/secret/7"), "deny policy.csv:5"),
        (("bob", "tax", "PUT", "/secret/7"), "permit policy.csv:4"),
        (("carol", "tax", "GET", "/secret/7"), "deny policy.csv:5"),
        (("carol", "tax", "GET", "/x"), "permit policy.csv:4"),
        (("nobody", "tax", "GET", "/x"), "no rule"),
        (("", "", "", ""), "no rule"),
        (("alice", "TAX", "GET", "/returns/7"), "no rule"),
        (("alice", "tax", "get", "/returns/7"), "no rule"),
        (
            ("alice", "tax", "GET", "/returns/\u{0}\u{fffd}"),
            "permit policy.csv:2",
        ),
    ] {
        assert_eq!(answer(&policy, request), expected, "{request:?}");
    }
}

#[test]
fn clearance_goes_from_subject_through_roles_and_labels() {
    let policy = compile(RULES).unwrap();
    for (subject, domain, label, expected) in [
        ("bob", "tax", "sensitive", true),
        ("bob", "tax", "internal", true),
        ("carol", "tax", "internal", true),
        ("bob", "land", "internal", false),
        ("auditor", "land", "internal", true),
        ("dora", "anywhere", "internal", true),
        ("dora", "tax", "sensitive", false),
        ("alice", "tax", "internal", false),
        ("bob", "tax", "unknown", false),
        ("unknown", "tax", "internal", false),
        ("internal", "tax", "internal", false),
    ] {
        assert_eq!(
            policy.clears(subject, domain, label, None),
            expected,
            "{subject} {domain} {label}"
        );
    }
    let labels: Vec<_> = policy.clearance_labels().collect();
    assert_eq!(labels, ["sensitive", "internal"]);
    let domains: Vec<_> = policy.domains().collect();
    assert_eq!(domains, ["tax", "land"]);
}

#[test]
fn no_rules_permit_nothing() {
    for rules in ["", "# nothing\n", "g, alice, clerk, tax\n"] {
        let policy = compile(rules).unwrap();
        assert_eq!(policy.rule_count(), 0);
        assert_eq!(answer(&policy, ("alice", "tax", "GET", "/x")), "no rule");
        assert_eq!(answer(&policy, ("", "", "", "")), "no rule");
    }
}

#[test]
fn what_casbin_would_drop_or_misread_is_refused() {
    for (rules, expected) in [
        (
            "P, a, tax, /x, GET, allow",
            "policy.csv:1:1: row type `P` is not in the model, casbin would ignore the row; start the row with one of `p`, `g`, `g2`",
        ),
        (
            "p2, a, tax, /x, GET, deny",
            "policy.csv:1:1: row type `p2` is not in the model",
        ),
        (
            "p, a, tax, /x, GET",
            "policy.csv:1:1: row has 4 fields after `p`, the model wants 5; write `p, sub, dom, obj, act, eft`",
        ),
        (
            "p, a, tax, /x, GET, allow, x",
            "policy.csv:1:28: row has 6 fields after `p`",
        ),
        (
            "p, a, tax, /x, GET, Deny",
            "policy.csv:1:21: `Deny` is no effect",
        ),
        (
            "p, a, tax, /x, GET, deny # note",
            "policy.csv:1:26: `#` after a value",
        ),
        ("p, a, tax, /x, GET, ", "policy.csv:1:20: `` is no effect"),
        (
            "p, a, tax, /x(, GET, allow",
            "policy.csv:1:12: pattern `/x(` is no regular expression",
        ),
        (
            "g2, alice,",
            "policy.csv:1:11: a field of this `g2` row is empty",
        ),
        (
            "g, alice, clerk",
            "policy.csv:1:1: row has 2 fields after `g`, the model wants 3",
        ),
        ("\n\np a, tax", "policy.csv:3:1: row type `p a`"),
        (
            "g2, anonymous,",
            "policy.csv:1:15: a field of this `g2` row is empty",
        ),
    ] {
        let problems = compile(rules).unwrap_err();
        assert!(problems[0].starts_with(expected), "{rules}: {problems:?}");
    }
}

#[test]
fn every_problem_is_reported_with_its_line() {
    let problems = compile("p, a\nP, b\np, a, tax, /x, GET, perhaps\n").unwrap_err();
    let places: Vec<_> = problems
        .iter()
        .map(|p| p.split(' ').next().unwrap())
        .collect();
    assert_eq!(
        places,
        ["policy.csv:1:1:", "policy.csv:2:1:", "policy.csv:3:21:"]
    );
}

#[test]
fn a_role_chain_is_followed_ten_links_as_in_go_and_refused_beyond() {
    let chain = |links: usize| {
        let mut rules = format!("p, r{links}, tax, /x, GET, allow\n");
        for n in 0..links {
            rules.push_str(&format!("g, r{n}, r{}, tax\n", n + 1));
        }
        rules
    };
    let policy = compile(&chain(10)).unwrap();
    assert_eq!(
        answer(&policy, ("r0", "tax", "GET", "/x")),
        "permit policy.csv:1"
    );
    let problems = compile(&chain(11)).unwrap_err();
    assert_eq!(
        problems,
        [
            "policy.csv:12:1: more than 10 links from `r0` in `g`; shorten the chain; casbin follows no further"
        ]
    );
}

#[test]
fn roles_in_a_cycle_hold_each_others_rights_as_in_go() {
    let policy = compile(
        "p, b, tax, /x, GET, allow\ng, a, b, tax\ng, b, c, tax\ng, c, a, tax\ng, c, c, tax\n",
    )
    .unwrap();
    for subject in ["a", "b", "c"] {
        assert_eq!(
            answer(&policy, (subject, "tax", "GET", "/x")),
            "permit policy.csv:1"
        );
    }
    assert_eq!(answer(&policy, ("d", "tax", "GET", "/x")), "no rule");
}

#[test]
fn a_rule_shows_its_place_and_its_text() {
    let policy = compile("\r\np, \"a, b\", tax, /x, GET, allow\r\n").unwrap();
    let request = Request {
        subject: "a, b",
        domain: "tax",
        path: "/x",
        method: "GET",
        ..Request::default()
    };
    let Decision::Permit(permit) = policy.decide(&request) else {
        panic!("must permit");
    };
    let view = policy.rule(permit.rule());
    assert_eq!(
        (view.file, view.line, view.is_row()),
        ("policy.csv", 2, true)
    );
    assert_eq!(view.text(), "p, a, b, tax, /x, GET, allow");
    assert_eq!(view.field("obj"), Some("/x"));
    assert_eq!(view.field("owner"), None);
}
