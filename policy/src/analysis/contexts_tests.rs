//! Every tool works for every context of a model.

use super::*;
use crate::{Decision, Policy, Request, Source, Value};
use std::num::NonZeroU8;

const MODEL: &str = "[request_definition]\nr = sub, obj, act\nr2 = sub, dom\n\
    [policy_definition]\np = sub, obj, act\np2 = sub, dom\n[role_definition]\ng = _, _\n\
    [policy_effect]\ne = some(where (p.eft == allow))\ne2 = some(where (p.eft == allow))\n\
    [matchers]\nm = g(r.sub, p.sub) && keyMatch2(r.obj, p.obj) && r.act == p.act\nm2 = r2.sub == p2.sub && r2.dom == p2.dom\n";
const RULES: &str = "p, clerk, /a/:id, GET\np2, bob, tax\np2, carol, land\ng, alice, clerk\n";

fn source(name: &'static str, text: &'static str) -> Source<'static> {
    Source { name, text }
}

fn compiled(rules: &'static str) -> Policy {
    Policy::compile(source("model.conf", MODEL), source("policy.csv", rules)).unwrap()
}

fn texts(values: &[&str]) -> Vec<Value> {
    values
        .iter()
        .map(|text| Value::Text((*text).to_owned()))
        .collect()
}

#[test]
fn a_request_is_explained_in_the_context_that_is_meant() {
    let policy = compiled(RULES);
    let authored = Authored {
        model: source("model.conf", MODEL),
        rules: source("policy.csv", RULES),
        policy: &policy,
    };
    let found = explain(authored, 2, &texts(&["bob", "land"]), None).unwrap();
    assert!(!found.permitted);
    let near: Vec<_> = found.near.iter().map(|near| near.rule.line).collect();
    assert_eq!(near, [2, 3]);
    assert_eq!(found.changes, [Change::Add("p2, bob, land".to_owned())]);
    assert!(
        explain(authored, 1, &texts(&["alice", "/a/7", "GET"]), None)
            .unwrap()
            .permitted
    );
    assert!(explain(authored, 3, &texts(&["alice"]), None).is_none());
}

#[test]
fn who_and_what_are_listed_in_the_context_that_is_meant() {
    let policy = compiled(RULES);
    let who = who_can(&policy, 2, &texts(&["", "tax"]), Some("tax"), None);
    let named: Vec<_> = who.allowed.iter().map(|one| one.subject.as_str()).collect();
    assert_eq!(named, ["bob"]);
    let lines = |context, subject| -> Vec<usize> {
        let found = what_can(&policy, context, subject, None, None);
        found.rules.iter().map(|one| one.rule.line).collect()
    };
    assert_eq!((lines(1, "alice"), lines(2, "alice")), (vec![1], vec![]));
    assert_eq!((lines(1, "carol"), lines(2, "carol")), (vec![], vec![3]));
}

#[test]
fn a_change_in_one_context_is_no_change_in_the_other() {
    let (old, new) = (
        compiled(RULES),
        compiled("p, clerk, /a/:id, GET\np2, bob, tax\ng, alice, clerk\n"),
    );
    assert!(diff(&old, &new, 1, None).unwrap().deltas.is_empty());
    let found = diff(&old, &new, 2, None).unwrap();
    let lost: Vec<_> = found
        .deltas
        .iter()
        .map(|delta| (delta.direction, delta.role.as_str()))
        .collect();
    assert_eq!(lost, [(Direction::Loses, "carol")]);
    assert!(diff(&old, &new, 3, None).is_err());
}

#[test]
fn rules_of_every_context_are_covered_by_requests_in_it() {
    let policy = compiled(RULES);
    let mut coverage = Coverage::new(&policy);
    coverage.add(1, &texts(&["alice", "/a/7", "GET"]), None);
    coverage.add(2, &texts(&["bob", "tax"]), None);
    let unreached: Vec<_> = coverage.unreached().iter().map(|rule| rule.line).collect();
    assert_eq!((coverage.rules(), unreached), (3, vec![3]));
}

#[test]
fn a_gateways_request_is_decided_in_the_context_that_it_names() {
    let policy = compiled(RULES);
    let permits = |context: Option<u8>, subject| {
        let request = Request {
            subject,
            domain: "tax",
            path: "/a/7",
            method: "GET",
            context: context.and_then(NonZeroU8::new),
            ..Request::default()
        };
        matches!(policy.decide(&request), Decision::Permit(_))
    };
    for (context, alice, bob) in [
        (None, true, false),
        (Some(1), true, false),
        (Some(2), false, true),
        (Some(3), false, false),
    ] {
        assert_eq!(
            (permits(context, "alice"), permits(context, "bob")),
            (alice, bob),
            "{context:?}"
        );
    }
}

#[test]
fn names_that_no_gateway_asks_for_are_told_from_paths_and_methods() {
    let plain = |context, rules| -> Vec<bool> {
        let names = argument_names(&compiled(rules), context);
        names.iter().map(|name| name.is_plain).collect()
    };
    assert_eq!(plain(1, "p, alice, data1, read\n"), [false, true, true]);
    assert_eq!(plain(1, "p, alice, /data1, GET\n"), [false, false, false]);
    assert_eq!(
        plain(1, "p, alice, data1, read\np, bob, /x, get\n"),
        [false, false, false]
    );
    assert_eq!(plain(1, ""), [false, false, false]);
    assert_eq!(plain(2, RULES), [false, false]);
}
