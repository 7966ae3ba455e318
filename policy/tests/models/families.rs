//! Access control lists, roles, effects, several sections.

use crate::{
    ALLOW, ALLOW_AND_DENY, NONE_WRONG, NOT_DENY, PRIORITY, compile, model, object, permitted_by,
    text, texts, wrong,
};
use hangu_policy::{Decision, Refusal, Value};

#[test]
fn access_control_lists() {
    assert_eq!(
        wrong(
            &model(
                "sub, obj, act",
                "sub, obj, act",
                "",
                ALLOW,
                "r.sub == p.sub && r.obj == p.obj && r.act == p.act",
            ),
            "p, alice, data1, read\np, bob, data2, write\n",
            &[
                ("alice data1 read", Some(1)),
                ("alice data1 write", None),
                ("bob data2 write", Some(2)),
                ("bob data1 write", None),
            ],
        ),
        NONE_WRONG
    );
    assert_eq!(
        wrong(
            &model(
                "sub, act",
                "sub, act",
                "",
                ALLOW,
                "r.sub == p.sub && r.act == p.act",
            ),
            "p, alice, read\n",
            &[("alice read", Some(1)), ("bob read", None)],
        ),
        NONE_WRONG
    );
    assert_eq!(
        wrong(
            &model(
                "obj, act",
                "obj, act",
                "",
                ALLOW,
                "r.obj == p.obj && r.act == p.act",
            ),
            "p, data1, read\n",
            &[("data1 read", Some(1)), ("data2 read", None)],
        ),
        NONE_WRONG
    );
}

#[test]
fn a_superuser_is_permitted_with_and_without_rows() {
    let model = model(
        "sub, obj, act",
        "sub, obj, act",
        "",
        ALLOW,
        "r.sub == p.sub && r.obj == p.obj && r.act == p.act || r.sub == \"root\"",
    );
    assert_eq!(
        wrong(
            &model,
            "p, alice, data1, read\np, bob, data1, read\n",
            &[
                ("root x y", Some(1)),
                ("bob data1 read", Some(2)),
                ("bob x y", None),
            ],
        ),
        NONE_WRONG
    );
    assert_eq!(
        wrong(
            &model,
            "",
            &[("root x y", Some(0)), ("alice data1 read", None)],
        ),
        NONE_WRONG
    );
}

#[test]
fn without_rows_what_casbin_cannot_evaluate_permits_nobody() {
    let old = object(&[("age", Value::Number(40.0))]);
    let file = object(&[("path", text("/a"))]);
    for (matcher, object, permits) in [
        (
            "keyMatch2(r.obj.path, p.obj) && r.act == p.act || r.sub.age > 18",
            text("/a"),
            false,
        ),
        (
            "keyMatch2(r.obj.path, p.obj) && r.act == p.act || r.sub.age > 18",
            file.clone(),
            true,
        ),
        (
            "r.sub.age > 18 || keyMatch2(r.obj.path, p.obj)",
            text("/a"),
            true,
        ),
        // The first term is not met without rows, so the second is never looked at.
        (
            "r.act == p.act && r.obj.path == p.obj || r.sub.age > 18",
            text("/a"),
            true,
        ),
        (
            "r.act != p.act && r.obj.path == p.obj || r.sub.age > 18",
            text("/a"),
            false,
        ),
        (
            "regexMatch(r.act, p.act) && r.obj.path == p.obj || r.sub.age > 18",
            text("/a"),
            false,
        ),
        (
            "globMatch(r.obj, p.obj) || r.sub.age > 18",
            text("/a"),
            true,
        ),
        ("ipMatch(r.act, p.act) || r.sub.age > 18", text("/a"), false),
        (
            "!(r.obj.path == p.obj) && r.act == p.act || r.sub.age > 18",
            text("/a"),
            false,
        ),
    ] {
        let text_of = model("sub, obj, act", "sub, obj, act", "", ALLOW, matcher);
        let policy = compile(&text_of, "").unwrap();
        let arguments = [old.clone(), object, text("10.0.0.1")];
        let decision = policy.decide_arguments(1, &arguments);
        let as_wanted = match decision {
            Decision::Permit(_) => permits,
            Decision::Deny(Refusal::EvaluationError(..)) => !permits,
            Decision::Deny(_) => false,
        };
        assert!(as_wanted, "{matcher} {:?}: {decision:?}", arguments.get(1));
    }
}

#[test]
fn matchers_with_in_and_not() {
    assert_eq!(
        wrong(
            &model(
                "sub, obj, act",
                "sub, obj, act",
                "g = _, _",
                ALLOW,
                "g(r.sub, p.sub) && r.obj == p.obj && r.act == p.act || r.obj in ('data2', \"data3\") && r.sub != 'eve'",
            ),
            "p, alice, data1, read\n",
            &[
                ("alice data1 read", Some(1)),
                ("bob data2 x", Some(1)),
                ("eve data2 x", None),
                ("bob data1 read", None),
            ],
        ),
        NONE_WRONG
    );
}

#[test]
fn effects() {
    let matcher = "g(r.sub, p.sub) && r.obj == p.obj && r.act == p.act";
    let rules = "p, alice, data1, read, allow\np, admin, data2, read, allow\np, alice, data2, read, deny\n\
                 p, alice, data2, read, allow\ng, alice, admin\n";
    for (effect, first, second, third) in [
        (ALLOW, Some(1), Some(2), None),
        (NOT_DENY, Some(1), None, Some(0)),
        (ALLOW_AND_DENY, Some(1), None, None),
        (PRIORITY, Some(1), Some(2), None),
    ] {
        assert_eq!(
            wrong(
                &model(
                    "sub, obj, act",
                    "sub, obj, act, eft",
                    "g = _, _",
                    effect,
                    matcher,
                ),
                rules,
                &[
                    ("alice data1 read", first),
                    ("alice data2 read", second),
                    ("alice data3 read", third),
                ],
            ),
            NONE_WRONG
        );
    }
}

#[test]
fn several_sections_are_told_apart() {
    let model = "[request_definition]\nr = sub, obj, act\nr2 = sub, act\n[policy_definition]\np = sub, obj, act\n\
                 p2 = sub, act, eft\n[policy_effect]\ne = some(where (p.eft == allow))\n\
                 e2 = some(where (p.eft == allow)) && !some(where (p.eft == deny))\n[matchers]\n\
                 m = r.sub == p.sub && r.obj == p.obj && r.act == p.act\nm2 = r2.sub == p2.sub && r2.act == p2.act\n";
    let rules = "p, alice, data1, read\np2, alice, write, allow\np2, bob, write, allow\np2, bob, write, deny\n";
    let policy = compile(model, rules).unwrap();
    for (context, request, expected) in [
        (1, "alice data1 read", Some(1)),
        (1, "alice data1 write", None),
        (2, "alice write", Some(2)),
        (2, "bob write", None),
        (2, "alice data1 read", None),
        (3, "alice write", None),
    ] {
        assert_eq!(
            permitted_by(&policy, context, &texts(request)),
            expected,
            "{context} {request}"
        );
    }
}
