//! The law of the index: it answers what walking every row answers, for every matcher, policy and request.

use crate::decision::Decision;
use crate::engine::index::Index;
use crate::policy::Policy;
use crate::problem::Source;
use crate::value::Value;
use proptest::prelude::*;
use proptest::sample::select;

/// Terms that matchers are made of; some can fail, when an argument is no text or lacks an attribute.
const TERMS: [&str; 22] = [
    "r.sub == p.sub",
    "p.obj == r.obj",
    "r.act == p.act",
    "g(r.sub, p.sub)",
    "g2(r.obj, p.obj)",
    "g3(r.sub, p.sub, r.act)",
    "keyMatch(r.obj, p.obj)",
    "keyMatch2(r.obj, p.obj)",
    "keyMatch3(r.obj, p.obj)",
    "keyMatch5(r.obj, p.obj)",
    "p.sub == \"*\"",
    "p.obj == \"*\"",
    "(r.act == p.act || p.act == \"*\")",
    "(keyMatch2(r.obj, p.obj) || p.obj == \"*\" || keyMatch(r.obj, p.obj))",
    "r.sub == \"root\"",
    "r.sub != p.obj",
    "r.sub.age > 18",
    "r.obj.owner == p.sub",
    "r.act in (\"GET\", \"PUT\")",
    "!g(r.sub, p.sub)",
    "globMatch(r.obj, p.obj)",
    "regexMatch(r.act, '^P')",
];
const EFFECTS: [&str; 4] = [
    "some(where (p.eft == allow))",
    "!some(where (p.eft == deny))",
    "some(where (p.eft == allow)) && !some(where (p.eft == deny))",
    "priority(p.eft) || deny",
];
const SUBJECTS: [&str; 5] = ["alice", "bob", "root", "clerk", "*"];
const OBJECTS: [&str; 10] = [
    "/a", "/a/b", "/a/:x", "/:y/b", "/a/*", "/*", "*", "/a.b", "/a/b*", "/:x/b",
];
const METHODS: [&str; 4] = ["GET", "PUT", "*", "clerk"];

fn matcher() -> impl Strategy<Value = String> {
    let clause =
        prop::collection::vec(select(&TERMS[..]), 1..5).prop_map(|terms| terms.join(" && "));
    prop::collection::vec(clause, 1..4).prop_map(|clauses| clauses.join(" || "))
}

fn rules() -> impl Strategy<Value = String> {
    let rule = (
        select(&SUBJECTS[..]),
        select(&OBJECTS[..]),
        select(&METHODS[..]),
        select(&["allow", "deny"][..]),
    )
        .prop_map(|(sub, obj, act, eft)| format!("p, {sub}, {obj}, {act}, {eft}\n"));
    let role =
        (select(&SUBJECTS[..]), select(&SUBJECTS[..])).prop_map(|(a, b)| format!("g, {a}, {b}\n"));
    let group =
        (select(&OBJECTS[..]), select(&OBJECTS[..])).prop_map(|(a, b)| format!("g2, {a}, {b}\n"));
    let third = (
        select(&SUBJECTS[..]),
        select(&SUBJECTS[..]),
        select(&METHODS[..]),
    )
        .prop_map(|(a, b, c)| format!("g3, {a}, {b}, {c}\n"));
    (
        prop::collection::vec(rule, 0..40),
        prop::collection::vec(role, 0..4),
        prop::collection::vec(group, 0..4),
        prop::collection::vec(third, 0..4),
    )
        .prop_map(|(a, b, c, d)| [a, b, c, d].concat().concat())
}

fn argument(texts: &'static [&'static str]) -> impl Strategy<Value = Value> {
    let text = || select(texts).prop_map(|text| Value::Text(text.to_owned()));
    let object = (text(), 0..40_u8).prop_map(|(owner, age)| {
        Value::Object(vec![
            ("owner".to_owned(), owner),
            ("age".to_owned(), Value::Number(f64::from(age))),
        ])
    });
    prop_oneof![8 => text(), 1 => object, 1 => Just(Value::Number(7.0))]
}

/// The decision without the proof in it.
fn shown(decision: &Decision) -> String {
    format!("{decision:?}")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_index_answers_as_walking_every_row(
        matcher in matcher(),
        effect in select(&EFFECTS[..]),
        rules in rules(),
        requests in prop::collection::vec(
            (argument(&SUBJECTS), argument(&OBJECTS), argument(&METHODS)),
            1..20,
        ),
    ) {
        let model = format!(
            "[request_definition]\nr = sub, obj, act\n[policy_definition]\np = sub, obj, act, eft\n\
             [role_definition]\ng = _, _\ng2 = _, _\ng3 = _, _, _\n[policy_effect]\ne = {effect}\n\
             [matchers]\nm = {matcher}\n"
        );
        let compile = || {
            Policy::compile_positional(
                Source { name: "m", text: &model },
                Source { name: "p", text: &rules },
            )
        };
        // `/a/{x}` is refused where it is taken for a regular expression.
        let (Ok(indexed), Ok(mut walking)) = (compile(), compile()) else {
            return Ok(());
        };
        for section in &mut walking.sections {
            section.index = Index::walking();
        }
        for (sub, obj, act) in requests {
            let request = [sub, obj, act];
            let expected = shown(&walking.decide_arguments(1, &request));
            let found = shown(&indexed.decide_arguments(1, &request));
            prop_assert_eq!(found, expected, "{} {:?}\n{}", matcher, request, rules);
        }
    }
}
