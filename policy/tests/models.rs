//! The model families of Casbin's documentation: each compiles, and answers as documented.

use hangu_policy::{Decision, Policy, Problem, Refusal, Source, Value};

fn compile(model: &str, rules: &str) -> Result<Policy, Vec<Problem>> {
    let model = Source {
        name: "model.conf",
        text: model,
    };
    let rules = Source {
        name: "policy.csv",
        text: rules,
    };
    Policy::compile_positional(model, rules)
}

/// A model from its `r`, `p`, further sections, effect and matcher.
fn model(r: &str, p: &str, g: &str, e: &str, m: &str) -> String {
    let roles = if g.is_empty() {
        String::new()
    } else {
        format!("[role_definition]\n{g}\n")
    };
    format!(
        "[request_definition]\nr = {r}\n[policy_definition]\np = {p}\n{roles}[policy_effect]\ne = {e}\n\
         [matchers]\nm = {m}\n"
    )
}

const ALLOW: &str = "some(where (p.eft == allow))";
const NOT_DENY: &str = "!some(where (p.eft == deny))";
const ALLOW_AND_DENY: &str = "some(where (p.eft == allow)) && !some(where (p.eft == deny))";
const PRIORITY: &str = "priority(p.eft) || deny";

/// The line of the rule that permits, `0` for a line of the model; `None` for a denial.
fn permitted_by(policy: &Policy, context: usize, arguments: &[Value]) -> Option<usize> {
    match policy.decide_arguments(context, arguments) {
        Decision::Permit(permit) => {
            let rule = policy.rule(permit.rule());
            Some(if rule.is_row() { rule.line } else { 0 })
        }
        Decision::Deny(_) => None,
    }
}

fn texts(line: &str) -> Vec<Value> {
    line.split(' ')
        .map(|text| Value::Text(text.to_owned()))
        .collect()
}

fn object(fields: &[(&str, Value)]) -> Value {
    let fields = fields
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()));
    Value::Object(fields.collect())
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

/// The requests that another line permits than the one beside them.
fn wrong(
    model: &str,
    rules: &str,
    requests: &[(&str, Option<usize>)],
) -> Result<Vec<String>, Vec<Problem>> {
    let policy = compile(model, rules)?;
    let wrong = requests.iter().filter_map(|(request, expected)| {
        let found = permitted_by(&policy, 1, &texts(request));
        (found != *expected).then(|| format!("{request}: {found:?}"))
    });
    Ok(wrong.collect())
}

const NONE_WRONG: Result<Vec<String>, Vec<Problem>> = Ok(Vec::new());

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
fn roles_and_resource_roles() {
    assert_eq!(
        wrong(
            &model(
                "sub, obj, act",
                "sub, obj, act",
                "g = _, _",
                ALLOW,
                "g(r.sub, p.sub) && r.obj == p.obj && r.act == p.act",
            ),
            "p, alice, data1, read\np, admin, data2, read\ng, alice, admin\n",
            &[
                ("alice data1 read", Some(1)),
                ("alice data2 read", Some(2)),
                ("admin data2 read", Some(2)),
                ("bob data2 read", None),
            ],
        ),
        NONE_WRONG
    );
    assert_eq!(
        wrong(
            &model(
                "sub, obj, act",
                "sub, obj, act",
                "g = _, _\ng2 = _, _",
                ALLOW,
                "g(r.sub, p.sub) && g2(r.obj, p.obj) && r.act == p.act",
            ),
            "p, admin, group, write\ng, alice, admin\ng2, data1, group\n",
            &[
                ("alice data1 write", Some(1)),
                ("alice group write", Some(1)),
                ("alice data2 write", None),
                ("bob data1 write", None),
            ],
        ),
        NONE_WRONG
    );
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
fn the_priority_column_orders_the_rows_as_in_go() {
    assert_eq!(
        wrong(
            &model(
                "sub, obj, act",
                "priority, sub, obj, act, eft",
                "g = _, _",
                PRIORITY,
                "g(r.sub, p.sub) && r.obj == p.obj && r.act == p.act",
            ),
            "p, 10, group, data1, write, allow\np, 5, alice, data1, write, deny\np, -1, bob, data1, write, allow\n\
         p, 1, bob, data1, write, deny\ng, alice, group\ng, bob, group\n",
            &[
                ("alice data1 write", None),
                ("bob data1 write", Some(3)),
                ("group data1 write", Some(1)),
            ],
        ),
        NONE_WRONG
    );
    let problems = compile(
        &model("sub", "priority, sub", "", PRIORITY, "r.sub == p.sub"),
        "p, high, alice\n",
    )
    .unwrap_err();
    assert_eq!(
        problems[0].to_string(),
        "policy.csv:1:4: priority `high` is not a whole number; write for example `10`; the smallest is decided first"
    );
}

#[test]
fn the_deepest_subject_decides_as_in_go() {
    let by_subject = "subjectPriority(p.eft) || deny";
    let matcher = "g(r.sub, p.sub) && r.obj == p.obj && r.act == p.act";
    let flat = model(
        "sub, obj, act",
        "sub, obj, act, eft",
        "g = _, _",
        by_subject,
        matcher,
    );
    assert_eq!(
        wrong(
            &flat,
            "p, root, data1, read, deny\np, admin, data1, read, deny\np, editor, data1, read, deny\n\
             p, subscriber, data1, read, deny\np, jane, data1, read, allow\np, alice, data1, read, allow\n\
             g, admin, root\ng, editor, admin\ng, subscriber, admin\ng, jane, editor\ng, alice, subscriber\n",
            &[
                ("jane data1 read", Some(5)),
                ("alice data1 read", Some(6)),
                ("editor data1 read", None),
            ]
        ),
        NONE_WRONG
    );
    let matcher = "g(r.sub, p.sub, r.dom) && r.dom == p.dom && r.obj == p.obj && r.act == p.act";
    assert_eq!(
        wrong(
            &model(
                "sub, dom, obj, act",
                "sub, dom, obj, act, eft",
                "g = _, _, _",
                by_subject,
                matcher
            ),
            "p, admin, d1, data1, write, deny\np, alice, d1, data1, write, allow\np, admin, d2, data2, write, deny\n\
             p, bob, d2, data2, write, allow\ng, alice, admin, d1\ng, bob, admin, d2\n",
            &[
                ("alice d1 data1 write", Some(2)),
                ("bob d2 data2 write", Some(4)),
                ("alice d2 data2 write", None),
                ("admin d1 data1 write", None),
            ]
        ),
        NONE_WRONG
    );
    for (rules, expected) in [
        (
            "g, a, b\ng, b, c\ng, c, b\ng, c, root\n",
            "policy.csv:3:1: roles in a cycle",
        ),
        (
            "g, a, b\ng, a, c\ng, c, d\n",
            "policy.csv:1:1: `a` stands at several depths",
        ),
    ] {
        let problems = compile(&flat, rules).unwrap_err();
        assert!(
            problems[0].to_string().starts_with(expected),
            "{problems:?}"
        );
    }
}

#[test]
fn domains_of_roles_are_patterns_where_go_takes_them_so() {
    let with = |domains: &str| {
        let matcher =
            format!("g(r.sub, p.sub, r.dom) && {domains} && r.obj == p.obj && r.act == p.act");
        model(
            "sub, dom, obj, act",
            "sub, dom, obj, act",
            "g = _, _, _",
            ALLOW,
            &matcher,
        )
    };
    let rules = "p, admin, tax/*, data, read\np, head, *, data, write\ng, alice, admin, tax/*\ng, admin, head, tax/north/*\n\
                 g, bob, admin, tax/north\n";
    assert_eq!(
        wrong(
            &with("keyMatch(r.dom, p.dom)"),
            rules,
            &[
                ("alice tax/north data read", Some(1)),
                ("alice tax/unheard-of data read", Some(1)),
                ("alice land/1 data read", None),
                ("bob tax/north data read", Some(1)),
                ("bob tax/south data read", None),
                ("alice tax/north/1 data write", Some(2)),
                ("alice tax/south data write", None),
                ("admin tax/north/2 data write", Some(2)),
            ]
        ),
        NONE_WRONG
    );
    // Go looks for the call to the letter: without the blank its domains are plain texts.
    assert_eq!(
        wrong(
            &with("keyMatch(r.dom,p.dom)"),
            rules,
            &[
                ("alice tax/south data read", None),
                ("bob tax/north data read", Some(1)),
                ("alice tax/* data read", Some(1))
            ]
        ),
        NONE_WRONG
    );
}

#[test]
fn roles_held_for_a_time_count_only_then() {
    let matcher = "g(r.sub, p.sub) && r.obj == p.obj && r.act == p.act";
    let text = model(
        "sub, obj, act",
        "sub, obj, act",
        "g = _, _, (_, _)",
        ALLOW,
        matcher,
    );
    let rules = "p, admin, data, read\ng, alice, admin, 2026-01-01 00:00:00, 2026-12-31 23:59:59\n\
                 g, bob, alice, _, 2026-06-30 00:00:00\ng, carol, admin, _, _\n";
    let policy = compile(&text, rules).unwrap();
    const YEAR: i64 = 1_767_225_600_000;
    const SUMMER: i64 = 1_782_777_600_000;
    for (subject, time, expected) in [
        ("alice", Some(YEAR), false),
        ("alice", Some(YEAR + 1), true),
        ("alice", Some(SUMMER), true),
        ("alice", Some(YEAR + 366 * 86_400_000), false),
        ("alice", None, false),
        ("bob", Some(SUMMER - 1), true),
        ("bob", Some(SUMMER), false),
        ("bob", Some(YEAR), false),
        ("carol", None, true),
        ("carol", Some(0), true),
        ("admin", None, true),
        ("dave", Some(SUMMER), false),
    ] {
        let decision = policy.decide_arguments_at(1, &texts(&format!("{subject} data read")), time);
        assert_eq!(
            matches!(decision, Decision::Permit(_)),
            expected,
            "{subject} {time:?}"
        );
    }
    for (rules, expected) in [
        ("g, a, b, today, _\n", "policy.csv:1:1: `today` is no time"),
        (
            "g, a, b, _, _\ng, a, b, _, _\n",
            "policy.csv:2:1: a second window of `g`",
        ),
        (
            "g, a, b\n",
            "policy.csv:1:1: row has 2 fields after `g`, the model wants 4",
        ),
    ] {
        let problems = compile(&text, rules).unwrap_err();
        assert!(
            problems[0].to_string().starts_with(expected),
            "{problems:?}"
        );
    }
}

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
fn a_bad_condition_is_refused_with_its_place() {
    let model = model(
        "sub, obj",
        "sub_rule, obj",
        "",
        ALLOW,
        "eval(p.sub_rule) && r.obj == p.obj",
    );
    for (rules, expected) in [
        (
            "p, r.sub.Age >, /x\n",
            "policy.csv:1:15: expression ends too early",
        ),
        (
            "p, r.subject == 'a', /x\n",
            "policy.csv:1:4: `r.subject` is not defined",
        ),
        (
            "p, eval(p.obj), /x\n",
            "policy.csv:1:4: `eval` inside a condition",
        ),
        (
            "p, loop { }, /x\n",
            "policy.csv:1:9: character '{' has no meaning here",
        ),
        (
            "p, r.sub.x == 'a\\b', /x\n",
            "policy.csv:1:15: backslash in quotes",
        ),
        (
            "p, 'yes', /x\n",
            "policy.csv:1:4: a value where a condition is needed",
        ),
    ] {
        let problems = compile(&model, rules).unwrap_err();
        assert!(
            problems[0].to_string().starts_with(expected),
            "{rules} {problems:?}"
        );
    }
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

#[test]
fn what_is_not_compiled_is_refused_by_name_and_place() {
    let with = |m: &str| model("sub, obj, act", "sub, obj, act", "g = _, _", ALLOW, m);
    let matcher = |m: &str| compile(&with(m), "").unwrap_err()[0].to_string();
    for (m, expected) in [
        (
            "myMatch(r.sub, p.sub)",
            "model.conf:10:5: function `myMatch` is not compiled; use one of `keyMatch`",
        ),
        (
            "r.sub == p.dom",
            "model.conf:10:14: `p.dom` is not defined; use one of `r.sub`",
        ),
        ("r.sub == admin", "model.conf:10:14: `admin` is not defined"),
        (
            "g(r.sub)",
            "model.conf:10:5: `g` is defined with 2 `_`, called with 1 arguments",
        ),
        (
            "g3(r.sub, p.sub)",
            "model.conf:10:5: function `g3` is not compiled",
        ),
        (
            "regexMatch(p.obj, r.obj)",
            "model.conf:10:23: the pattern of `regexMatch` comes from the request",
        ),
        (
            "keyMatch2(r.obj, '/a(')",
            "model.conf:10:22: pattern `/a(` is no regular expression",
        ),
        (
            "r.sub == 'see p.sub'",
            "model.conf:10:14: `see p.sub` holds `r.` or `p.`",
        ),
        (
            "p.act > 5",
            "model.conf:10:5: these two cannot be compared so",
        ),
        ("r.sub in ['a']", "model.conf:10:5: a list of one"),
        (
            "r.sub in 'abc'",
            "model.conf:10:5: these two cannot be compared so",
        ),
        (
            "'yes'",
            "model.conf:10:5: a value where a condition is needed",
        ),
        (
            "r.sub == p.sub && (r.obj",
            "model.conf:10:29: `)` is missing",
        ),
        (
            "r2.sub == p.sub",
            "model.conf:10:5: `r2.sub` is not defined",
        ),
    ] {
        assert!(matcher(m).starts_with(expected), "{m}: {}", matcher(m));
    }
}

#[test]
fn a_definition_that_is_not_compiled_is_refused_by_name_and_place() {
    let with = |m: &str| model("sub, obj, act", "sub, obj, act", "g = _, _", ALLOW, m);
    for (text, expected) in [
        (
            with("r.sub == p.sub").replace("_, _", "_, _, _, _"),
            "model.conf:6:5: role definition `_, _, _, _` is not compiled",
        ),
        (
            with("r.sub == p.sub").replace("(p.eft == allow)", "(p.eft==allow)"),
            "model.conf:8:5: policy effect",
        ),
        (
            with("r.sub == p.sub").replace("r = sub", "r = sub, sub"),
            "model.conf:2:10: `sub` is named twice",
        ),
        (
            with("r.sub == p.sub").replace("[matchers]\nm", "[matchers]\nm2"),
            "model.conf:10:1: `m2` is never read",
        ),
        (
            with("r.sub == p.sub") + "[constraint_definition]\nc = x\n",
            "model.conf:11:1: section `constraint_definition` is not known",
        ),
    ] {
        let problems = compile(&text, "").unwrap_err();
        assert!(
            problems[0].to_string().starts_with(expected),
            "{text}\n{problems:?}"
        );
    }
}

#[test]
fn a_request_argument_that_the_gateway_does_not_know_is_refused_by_name() {
    let text = model("sub, shoe_size", "sub", "", ALLOW, "r.sub == p.sub");
    let model = Source {
        name: "model.conf",
        text: &text,
    };
    let rules = Source {
        name: "policy.csv",
        text: "",
    };
    let problems = Policy::compile(model, rules).unwrap_err();
    assert!(
        problems[0].to_string().starts_with(
            "model.conf:2:10: the gateway knows no request argument `shoe_size`; use one of `sub`"
        ),
        "{problems:?}"
    );
}
