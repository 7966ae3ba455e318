//! What is refused, and what the author is told.

use crate::{ALLOW, compile, model};
use hangu_policy::{Decision, Policy, Refusal, Request, Source};

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
            "r.sub == '2026-01-31'",
            "model.conf:10:14: `2026-01-31` in quotes is a time to Go",
        ),
        (
            "r.sub == '3:04PM'",
            "model.conf:10:14: `3:04PM` in quotes is a time to Go",
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
fn names_of_roles_that_are_patterns_are_refused_by_name_and_place() {
    let text = model(
        "sub, dom, obj",
        "sub, dom, obj, eft",
        "g = _, _, _\ng2 = _, _",
        crate::ALLOW_AND_DENY,
        "(g(r.sub, p.sub, r.dom) || g(r.sub, p.sub, '*')) && g2(r.obj, p.obj)",
    );
    let rule = "p, clerk, tax, sealed, deny\n";
    for (row, expected) in [
        (
            "g2, /sealed/*, sealed",
            Some("policy.csv:2:5: name `/sealed/*` in `g2`"),
        ),
        (
            "g2, /files/:id, sealed",
            Some("policy.csv:2:5: name `/files/:id` in `g2`"),
        ),
        (
            "g2, \"/files/{id}\", sealed",
            Some("policy.csv:2:5: name `/files/{id}` in `g2`"),
        ),
        (
            "g, alice, cl*, tax",
            Some("policy.csv:2:11: role `cl*` in `g`"),
        ),
        (
            "g, alice, clerk, ta*",
            Some("policy.csv:2:18: domain `ta*` in `g`"),
        ),
        // The matcher asks for this text itself.
        ("g, alice, clerk, *", None),
        ("g, spiffe://gov/ns/tax, role:clerk, tax", None),
    ] {
        let found = compile(&text, &format!("{rule}{row}\n")).err();
        let found = found.map(|problems| problems[0].to_string());
        match expected {
            None => assert_eq!(found, None, "{row}"),
            Some(start) => assert!(
                found.as_ref().is_some_and(|found| found.starts_with(start)),
                "{row}: {found:?}"
            ),
        }
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
fn the_gateway_gives_attributes_of_the_subject_alone() {
    let matcher = "r.sub.department == p.sub && r.obj == p.obj";
    let text = model("sub, obj", "sub, obj", "", ALLOW, matcher);
    let rules = Source {
        name: "policy.csv",
        text: "p, audit, /x\n",
    };
    let policy = Policy::compile(
        Source {
            name: "model.conf",
            text: &text,
        },
        rules,
    )
    .unwrap();
    let attributes = [("department".to_owned(), crate::text("audit"))];
    let request = |attributes| Request {
        subject: "alice",
        subject_attributes: attributes,
        path: "/x",
        ..Request::default()
    };
    assert!(matches!(
        policy.decide(&request(&attributes[..])),
        Decision::Permit(_)
    ));
    assert!(matches!(
        policy.decide(&request(&[])),
        Decision::Deny(Refusal::EvaluationError(..))
    ));
    let other = text.replace("r.sub.department == p.sub", "r.obj.owner == p.sub");
    let problems = Policy::compile(
        Source {
            name: "model.conf",
            text: &other,
        },
        rules,
    )
    .unwrap_err();
    assert!(
        problems[0]
            .to_string()
            .starts_with("model.conf:8:5: the gateway knows no attributes of `r.obj`"),
        "{problems:?}"
    );
}

/// It would be an empty text: `!=` would always hold, and a pattern for everything match it.
#[test]
fn a_query_without_the_name_of_a_parameter_is_refused_by_place() {
    let refused = |matcher: &str, rule: &str| {
        let text = model("sub, query", "sub, when", "", ALLOW, matcher);
        let [model, rules] = [("model.conf", text.as_str()), ("policy.csv", rule)]
            .map(|(name, text)| Source { name, text });
        Policy::compile(model, rules)
            .err()
            .map(|problems| problems[0].to_string())
    };
    let rule = "p, alice, x\n";
    let fix = "`r.query` has parameters and is no text itself: it would be empty whatever is asked; read one parameter, such as `r.query.year`";
    for (matcher, rule, place) in [
        (
            "r.sub == p.sub && r.query != p.when",
            rule,
            "model.conf:8:23",
        ),
        (
            "r.sub == p.sub && r.query == p.when",
            rule,
            "model.conf:8:23",
        ),
        ("keyMatch(r.query, p.when)", rule, "model.conf:8:14"),
        (
            "r.sub == p.sub && !(r.query in ('a', 'b'))",
            rule,
            "model.conf:8:25",
        ),
        (
            "r.sub == p.sub && eval(p.when)",
            "p, alice, r.query != 'x'\n",
            "policy.csv:1:11",
        ),
    ] {
        assert_eq!(
            refused(matcher, rule),
            Some(format!("{place}: {fix}")),
            "{matcher}"
        );
    }
    assert_eq!(
        refused("r.sub == p.sub && r.query.year != p.when", rule),
        None
    );
    // Arguments that are given in order may have any names.
    let text = model(
        "sub, query",
        "sub, query",
        "",
        ALLOW,
        "r.sub == p.sub && r.query == p.query",
    );
    assert!(compile(&text, "p, alice, x\n").is_ok());
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

#[test]
fn what_does_not_match_names_of_roles_is_refused_by_name_and_place() {
    let with = |g: &str, sections: &str| {
        let text = model("sub", "sub", g, ALLOW, "g(r.sub, p.sub)");
        format!("{text}{sections}\n")
    };
    for (text, row, expected) in [
        (
            with("g = _, _", "[role_matching]\ng = myMatch"),
            "",
            "model.conf:12:5: `myMatch` does not match names",
        ),
        (
            with("g = _, _", "[role_matching]\ng = regexMatch"),
            "",
            "model.conf:12:5: `regexMatch` does not match names",
        ),
        (
            with("g = _, _", "[role_matching]\ng2 = keyMatch"),
            "",
            "model.conf:12:1: `g2` is not defined",
        ),
        (
            with("g = _, _", "[domain_matching]\ng = keyMatch"),
            "",
            "model.conf:12:5: `g` has no domains",
        ),
        (
            with("g = _, _, (_, _)", "[role_matching]\ng = keyMatch"),
            "",
            "model.conf:6:5: roles held for a time in a",
        ),
        (
            with("g = _, _", "[role_matching]\ng = keyMatch"),
            "g, /a/:id, b",
            "policy.csv:2:4: name `/a/:id` in `g` looks",
        ),
        (
            with("g = _, _", "[role_matching]\ng = keyMatch2"),
            "g, \"/a/(\", b",
            "policy.csv:2:1: ",
        ),
        (
            with("g = _, _", "[role_matching]\ng = keyMatch")
                .replace("g(r.sub, p.sub)", "g(p.sub, r.sub)"),
            "",
            "policy.csv:1:1: the model matches names of roles and asks for a role that comes",
        ),
    ] {
        let found = compile(&text, &format!("p, a\n{row}\n")).err();
        let found = found.map(|problems| problems[0].to_string());
        assert!(
            found
                .as_ref()
                .is_some_and(|found| found.starts_with(expected)),
            "{text}{row}: {found:?}"
        );
    }
}
