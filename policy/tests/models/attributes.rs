//! Attributes, conditions in rows, and the built-in functions.

use crate::{ALLOW, NONE_WRONG, compile, model, object, permitted_by, text, texts, wrong};
use hangu_policy::{Decision, Policy, Refusal, Request, RouteParameter, Source, Value};

#[test]
fn attributes_of_the_request() {
    let model = model(
        "sub, obj, act",
        "sub, obj, act",
        "",
        ALLOW,
        "r.sub.name == r.obj.owner && r.sub.age >= 18",
    );
    let subject = |age: f64| object(&[("name", text("alice")), ("age", Value::Number(age))]);
    let data = object(&[("owner", text("alice"))]);
    for rules in ["", "p, x, y, z\n"] {
        let policy = compile(&model, rules).unwrap();
        assert!(permitted_by(&policy, 1, &[subject(18.0), data.clone(), text("read")]).is_some());
        assert_eq!(
            permitted_by(&policy, 1, &[subject(17.5), data.clone(), text("read")]),
            None
        );
        for incomplete in [
            object(&[("name", text("alice"))]),
            text("alice"),
            Value::Null,
        ] {
            let decision = policy.decide_arguments(1, &[incomplete, data.clone(), text("read")]);
            assert!(
                matches!(decision, Decision::Deny(Refusal::EvaluationError(..))),
                "{decision:?}"
            );
        }
    }
}

#[test]
fn conditions_in_rows() {
    let model = model(
        "sub, obj, act",
        "sub_rule, obj, act",
        "",
        ALLOW,
        "eval(p.sub_rule) && r.obj == p.obj && r.act == p.act",
    );
    let rules = "p, r.sub.Age > 18, /data1, read\np, r.sub.Age < 60, /data2, write\n\
                 p, \"r.sub.Name == \"\"bob\"\" || r.sub.Age in (7, 8)\", /data3, read\n";
    let policy = compile(&model, rules).unwrap();
    let subject =
        |age: f64, name: &str| object(&[("Age", Value::Number(age)), ("Name", text(name))]);
    for (age, name, request, expected) in [
        (16.0, "eve", "/data1 read", None),
        (20.0, "eve", "/data1 read", Some(1)),
        (20.0, "eve", "/data1 write", None),
        (60.0, "eve", "/data2 write", None),
        (59.9, "eve", "/data2 write", Some(2)),
        (59.9, "bob", "/data3 read", Some(3)),
        (8.0, "eve", "/data3 read", Some(3)),
        (9.0, "eve", "/data3 read", None),
    ] {
        let mut arguments = vec![subject(age, name)];
        arguments.extend(texts(request));
        assert_eq!(
            permitted_by(&policy, 1, &arguments),
            expected,
            "{age} {name} {request}"
        );
    }
    // Casbin evaluates the first row's condition first, whatever its object, and fails on the missing attribute.
    let mut arguments = vec![object(&[("Age", Value::Number(20.0))])];
    arguments.extend(texts("/data3 read"));
    let decision = policy.decide_arguments(1, &arguments);
    assert!(
        matches!(decision, Decision::Deny(Refusal::EvaluationError(..))),
        "{decision:?}"
    );
}

#[test]
fn globs_and_regular_expressions() {
    let matcher = "r.sub == p.sub && globMatch(r.obj, p.obj) && regexMatch(r.act, p.act)";
    assert_eq!(
        wrong(
            &model("sub, obj, act", "sub, obj, act", "", ALLOW, matcher),
            "p, u1, /foo/*, ^(GET|PUT)$\np, u2, /foo/**, GET\np, u3, \"/{a,b}/x\", ^\\w+$\n",
            &[
                ("u1 /foo/x GET", Some(1)),
                ("u1 /foo/x TARGET", None),
                ("u1 /foo/x/y GET", None),
                ("u2 /foo/x/y TARGET", Some(2)),
                ("u3 /a/x é", None),
                ("u3 /b/x e", Some(3)),
            ],
        ),
        NONE_WRONG
    );
}

#[test]
fn parts_of_a_path() {
    let matcher = "(keyGet2(r.obj, p.obj, 'resource') == r.sub || keyGet(r.obj, '/own/*') == r.sub) && r.act == p.act";
    assert_eq!(
        wrong(
            &model("sub, obj, act", "sub, obj, act", "", ALLOW, matcher),
            "p, x, /users/:resource/*, GET\n",
            &[
                ("alice /users/alice/data GET", Some(1)),
                ("alice /users/bob/data GET", None),
                ("alice /own/alice GET", Some(1)),
                ("alice /own/bob GET", None),
            ]
        ),
        NONE_WRONG
    );
}

#[test]
fn addresses_in_networks() {
    let model = model(
        "sub, obj, act",
        "sub, obj, act",
        "",
        ALLOW,
        "ipMatch(r.sub, p.sub) && r.obj == p.obj",
    );
    let rules = "p, 192.168.2.0/24, data1, read\np, 10.0.0.0/16, data2, write\n";
    assert_eq!(
        wrong(
            &model,
            rules,
            &[
                ("192.168.2.123 data1 x", Some(1)),
                ("192.168.3.1 data1 x", None),
                ("::ffff:10.0.11.3 data2 x", Some(2)),
                ("10.0.11.3:80 data2 x", None),
                ("alice data2 x", None),
            ]
        ),
        NONE_WRONG
    );
}

#[test]
fn a_rule_reads_the_parameters_of_the_route() {
    let text = model(
        "sub, obj, act, route",
        "obj, act, when",
        "",
        ALLOW,
        "keyMatch2(r.obj, p.obj) && r.act == p.act && eval(p.when)",
    );
    let rules = "p, /citizens/:x/records, GET, \"r.route.id == r.sub\"\n\
                 p, /forms/*, GET, \"r.route == '/forms/:form'\"\n";
    let policy = Policy::compile(
        Source {
            name: "m",
            text: &text,
        },
        Source {
            name: "p",
            text: rules,
        },
    )
    .unwrap();
    let parameter = |name: &str, segment| {
        vec![RouteParameter {
            name: name.into(),
            segment,
        }]
    };
    for (subject, path, route, parameters, permitted) in [
        (
            "7",
            "/citizens/7/records",
            "/citizens/:id/records",
            parameter("id", 1),
            true,
        ),
        (
            "8",
            "/citizens/7/records",
            "/citizens/:id/records",
            parameter("id", 1),
            false,
        ),
        (
            "",
            "/citizens//records",
            "/citizens/:id/records",
            parameter("id", 1),
            false,
        ),
        (
            "7",
            "/citizens/7/records",
            "/citizens/:n/records",
            parameter("n", 1),
            false,
        ),
        ("7", "/citizens/7/records", "/citizens", vec![], false),
        (
            "citizens",
            "/citizens/7/records",
            "/:id",
            parameter("id", 0),
            true,
        ),
        ("x", "/forms/a", "/forms/:form", parameter("form", 1), true),
        ("x", "/forms/a", "/forms", vec![], false),
    ] {
        let request = Request {
            subject,
            path,
            method: "GET",
            route,
            route_parameters: &parameters,
            ..Request::default()
        };
        let decided = matches!(policy.decide(&request), Decision::Permit(_));
        assert_eq!(decided, permitted, "{request:?}");
    }
    assert_eq!(Vec::from_iter(policy.attributes_read(1, "route")), ["id"]);
}
