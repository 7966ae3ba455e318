use super::*;
use crate::RBAC_WITH_DOMAINS;
use crate::decision::Refusal;
use proptest::prelude::*;
use proptest::sample::select;

const DOMAINS: [&str; 4] = ["tax", "land", "社保", ""];
const NAMES: [&str; 5] = ["alice", "bob", "clerk", "head", "*"];
const PATTERNS: [&str; 8] = ["/a", "/a/:id", "/a/*", "/*", "/:x/b", "/a.b", "/a|/b", "*"];
const PATHS: [&str; 7] = ["/a", "/a/b", "/a/b/c", "/b/b", "/a.b", "/axb", "/"];
const METHODS: [&str; 3] = ["GET", "POST", "*"];
const EFFECTS: [&str; 3] = [
    "some(where (p.eft == allow))",
    "some(where (p.eft == allow)) && !some(where (p.eft == deny))",
    "priority(p.eft) || deny",
];
const MATCHERS: [&str; 4] = [
    "g(r.sub, p.sub, r.dom) && r.dom == p.dom && keyMatch2(r.obj, p.obj) && (r.act == p.act || p.act == \"*\")",
    "p.dom == r.dom && (g(r.sub, p.sub, r.dom) || p.sub == \"*\") && keyMatch(r.obj, p.obj)",
    "r.dom == p.dom && g2(r.sub, p.sub) && r.act != p.act || r.sub == \"root\" && r.dom == p.dom",
    "r.dom == p.dom && !g(r.sub, p.sub, r.dom) && regexMatch(r.obj, p.obj)",
];

fn model(matcher: &str, effect: &str) -> String {
    format!(
        "[request_definition]\nr = sub, dom, obj, act\n[policy_definition]\np = sub, dom, obj, act, eft\n\
         [role_definition]\ng = _, _, _\ng2 = _, _\n[policy_effect]\ne = {effect}\n[matchers]\nm = {matcher}\n"
    )
}

fn source<'a>(name: &'a str, text: &'a str) -> Source<'a> {
    Source { name, text }
}

/// A row, and the organisation that it is of.
type Row = (Option<&'static str>, String);

fn row() -> impl Strategy<Value = Row> {
    let names = || select(&NAMES[..]);
    let rule = (
        names(),
        select(&DOMAINS[..]),
        select(&PATTERNS[..7]),
        select(&METHODS[..]),
        prop::bool::weighted(0.25),
    )
        .prop_map(|(name, domain, pattern, method, deny)| {
            let effect = if deny { "deny" } else { "allow" };
            (
                Some(domain),
                format!("p, {name}, {domain}, {pattern}, {method}, {effect}"),
            )
        });
    let role = (names(), names(), select(&DOMAINS[..3]))
        .prop_map(|(a, b, domain)| (Some(domain), format!("g, {a}, {b}, {domain}")));
    let clearance = (names(), names()).prop_map(|(a, b)| (None, format!("g2, {a}, {b}")));
    let comment = Just((None, "# a remark".to_owned()));
    prop_oneof![6 => rule, 2 => role, 1 => clearance, 1 => comment]
}

fn file(rows: &[Row]) -> String {
    rows.iter().map(|(_, row)| format!("{row}\n")).collect()
}

type Asked = (&'static str, &'static str, &'static str, &'static str);

fn asked() -> impl Strategy<Value = Asked> {
    (
        select(&["alice", "bob", "clerk", "root", "nobody"][..]),
        select(&["tax", "land", "社保", "", "unknown"][..]),
        select(&PATHS[..]),
        select(&["GET", "PUT"][..]),
    )
}

fn request((subject, domain, path, method): Asked) -> Request<'static> {
    Request {
        subject,
        domain,
        path,
        method,
        ..Request::default()
    }
}

/// The answer, with the place and the text of the rule.
fn shown<'a>(decision: &Decision, rule: impl Fn(RuleId) -> RuleView<'a>) -> String {
    match decision {
        Decision::Permit(permit) => {
            let rule = rule(permit.rule());
            format!("allow by {rule}: {}", rule.text())
        }
        Decision::Deny(Refusal::NoRule) => "no rule".to_owned(),
        Decision::Deny(Refusal::ExplicitDeny(id)) => {
            let rule = rule(*id);
            format!("deny by {rule}: {}", rule.text())
        }
        Decision::Deny(Refusal::EvaluationError(_, fault)) => format!("error: {fault:?}"),
    }
}

/// That both answer alike, also about clearances.
fn same(
    parted: &PartitionedPolicy,
    flat: &Policy,
    requests: &[Asked],
) -> Result<(), TestCaseError> {
    prop_assert_eq!(parted.rule_count(), flat.rule_count());
    for asked in requests {
        let request = request(*asked);
        let expected = shown(&flat.decide(&request), |id| flat.rule(id));
        let found = shown(&parted.decide(&request), |id| parted.rule(id));
        prop_assert_eq!(found, expected, "{:?}", asked);
        for label in NAMES {
            prop_assert_eq!(
                parted.clears(asked.0, asked.1, label, None),
                flat.clears(asked.0, asked.1, label, None)
            );
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn partitions_answer_as_the_whole_also_when_one_is_replaced(
        matcher in select(&MATCHERS[..]),
        effect in select(&EFFECTS[..]),
        before in prop::collection::vec(row(), 0..30),
        replaced in select(&DOMAINS[..]),
        rows in prop::collection::vec(row(), 0..10),
        at in any::<prop::sample::Index>(),
        requests in prop::collection::vec(asked(), 1..24),
    ) {
        let text = model(matcher, effect);
        let model = source("m", &text);
        let rules = file(&before);
        // `*` is no regular expression.
        let Ok(flat) = Policy::compile(model, source("p", &rules)) else {
            return Ok(());
        };
        let parted = PartitionedPolicy::compile(model, source("p", &rules)).unwrap();
        prop_assert!(parted.parted);
        same(&parted, &flat, &requests)?;

        // The rows of one organisation change, somewhere in the file.
        let (mut after, own): (Vec<_>, Vec<_>) = (
            before.iter().filter(|(domain, _)| *domain != Some(replaced)).cloned().collect(),
            rows.iter().filter(|(domain, _)| *domain == Some(replaced)).cloned().collect(),
        );
        let at = at.index(after.len() + 1);
        after.splice(at..at, own.iter().cloned());
        let rules = file(&after);
        let Ok(flat) = Policy::compile(model, source("p", &rules)) else {
            return Ok(());
        };
        let reloaded = PartitionedPolicy::compile_after(Some(&parted), model, source("p", &rules)).unwrap();
        same(&reloaded, &flat, &requests)?;
        let kept = parted.parts.iter().filter(|part| *part.domain != *replaced).count();
        prop_assert!(reloaded.partitions_shared_with(&parted) >= kept);

        // The same from a file of its own.
        let own = file(&own);
        let swapped = parted.with_partition(replaced, source("own", &own)).unwrap();
        for asked in &requests {
            let request = request(*asked);
            let without_place = |shown: String| shown.split_once(": ").map_or(shown.clone(), |(_, text)| text.to_owned());
            let expected = without_place(shown(&flat.decide(&request), |id| flat.rule(id)));
            let found = without_place(shown(&swapped.decide(&request), |id| swapped.rule(id)));
            prop_assert_eq!(found, expected, "{:?}", asked);
        }
    }
}

#[test]
fn what_cannot_be_parted_is_one_partition_and_answers_the_same() {
    let shipped = RBAC_WITH_DOMAINS;
    for (what, text) in [
        (
            "rows of any organisation",
            shipped.replace("r.dom == p.dom && ", ""),
        ),
        (
            "one alternative without it",
            shipped.replace("\nm = ", "\nm = r.sub == p.sub || "),
        ),
        (
            "permitted unless denied",
            shipped.replace("some(where (p.eft == allow)) && ", ""),
        ),
        (
            "roles of another organisation",
            shipped.replace("p.sub, r.dom", "p.sub, \"hq\""),
        ),
        (
            "a term that fails",
            shipped.replace("\nm = ", "\nm = r.sub.age > 3 && "),
        ),
        (
            "the row's own organisation",
            shipped.replace("p.sub, r.dom", "p.sub, p.dom"),
        ),
    ] {
        assert_ne!(text, shipped, "{what}");
        let rules =
            "p, clerk, tax, /a, GET, allow\np, clerk, land, /a, GET, allow\ng, alice, clerk, tax\n";
        let parted =
            PartitionedPolicy::compile(source("m", &text), source("p", rules)).expect(what);
        let flat = Policy::compile(source("m", &text), source("p", rules)).expect(what);
        assert!(!parted.parted, "{what}");
        assert!(parted.with_partition("tax", source("p", "")).is_err());
        let asked = [
            ("alice", "tax", "/a", "GET"),
            ("alice", "land", "/a", "GET"),
        ];
        same(&parted, &flat, &asked).expect(what);
    }
}

#[test]
fn a_file_that_is_refused_whole_is_refused_in_parts_with_the_same_words() {
    for rules in [
        "p, a, tax, /x, GET, Allow\n",
        "p, a, tax\n",
        "q, a, tax, /x, GET, allow\n",
        "p, a, tax, /x(, GET, allow\np, a, land, /x, GET, allow\n",
        "g, a, , tax\n",
        "p, a, \"tax, /x, GET, allow\n",
    ] {
        let model = source("m", RBAC_WITH_DOMAINS);
        let parted = PartitionedPolicy::compile(model, source("p", rules)).unwrap_err();
        let flat = Policy::compile(model, source("p", rules)).unwrap_err();
        assert_eq!(parted, flat, "{rules}");
    }
}

#[test]
fn rows_of_another_organisation_do_not_get_in_by_a_swap() {
    let model = source("m", RBAC_WITH_DOMAINS);
    let rules = "p, clerk, tax, /a, GET, allow\ng, alice, clerk, tax\ng2, clerk, open\n";
    let parted = PartitionedPolicy::compile(model, source("p", rules)).unwrap();
    for (row, expected) in [
        (
            "p, clerk, land, /a, GET, allow",
            "own:1:1: this row is of `land`, not of `tax`",
        ),
        (
            "g, bob, clerk, land",
            "own:1:1: this row is of `land`, not of `tax`",
        ),
        (
            "g2, bob, secret",
            "own:1:1: this row is of no organisation, not of `tax`",
        ),
        ("p, clerk, tax, /a", "own:1:1: row has 3 fields after `p`"),
        (
            "x, clerk, tax, /a",
            "own:1:1: row type `x` is not in the model",
        ),
    ] {
        let problems = parted
            .with_partition("tax", source("own", row))
            .unwrap_err();
        assert!(
            problems[0].to_string().starts_with(expected),
            "{row}: {}",
            problems[0]
        );
    }
    let gone = parted
        .with_partition("tax", source("own", "# nothing\n"))
        .unwrap();
    assert_eq!((gone.rule_count(), gone.domains().count()), (0, 0));
    assert!(parted.clears("alice", "tax", "open", None));
    assert!(!gone.clears("alice", "tax", "open", None));
    assert!(gone.clears("clerk", "tax", "open", None));
}

#[test]
fn lines_that_move_are_told_where_they_stand_now() {
    let model = source("m", RBAC_WITH_DOMAINS);
    let before = "p, alice, tax, /a, GET, allow\np, bob, land, /b, GET, allow\n";
    let after = format!("# a remark\n\np, zoe, tax, /z, GET, allow\n{before}");
    let first = PartitionedPolicy::compile(model, source("p", before)).unwrap();
    let second =
        PartitionedPolicy::compile_after(Some(&first), model, source("p", &after)).unwrap();
    assert_eq!(second.partitions_shared_with(&first), 1);
    let Decision::Permit(permit) = second.decide(&request(("bob", "land", "/b", "GET"))) else {
        panic!("bob is permitted");
    };
    assert_eq!(second.rule(permit.rule()).to_string(), "p:5");
}
