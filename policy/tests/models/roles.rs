//! Whose roles count where and when, and in which order rows are decided.

use crate::{ALLOW, NONE_WRONG, PRIORITY, compile, model, texts, wrong};
use hangu_policy::Decision;

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
    // Go looks for the call to the letter: without the blank its domains are plain texts, which nobody means.
    let problems = compile(&with("keyMatch(r.dom,p.dom)"), rules).unwrap_err();
    assert!(
        problems[0]
            .to_string()
            .starts_with("policy.csv:3:18: domain `tax/*` in `g` looks like a pattern"),
        "{problems:?}"
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

/// `model` with what code around Casbin says by `AddNamedMatchingFunc` and `AddNamedDomainMatchingFunc`.
fn matching(text: &str, names: &str, domains: &str) -> String {
    format!("{text}[role_matching]\n{names}\n[domain_matching]\n{domains}\n")
}

#[test]
fn names_and_domains_of_roles_are_patterns_where_the_model_says_so() {
    // Casbin's example of patterns for resources, and of everybody.
    let plain = model(
        "sub, obj, act",
        "sub, obj, act",
        "g = _, _\ng2 = _, _",
        ALLOW,
        "g(r.sub, p.sub) && g2(r.obj, p.obj) && r.act == p.act",
    );
    assert_eq!(
        wrong(
            &matching(&plain, "g = keyMatch\ng2 = keyMatch2", ""),
            "p, alice, book_group, read\np, alice, /pen/1, read\np, admin, pen_group, write\np, anyone, lobby, read\n\
             g, bob, admin\ng, *, anyone\ng2, /book/:id, book_group\ng2, /pen/:id, pen_group\ng2, pen_group, lobby\n",
            &[
                ("alice /book/1 read", Some(1)),
                ("alice /book/unheard-of read", Some(1)),
                ("alice /book/1/page read", None),
                ("alice /pen/1 read", Some(2)),
                ("bob /book/1 read", None),
                ("bob /pen/2 write", Some(3)),
                ("bob /pen/2 read", Some(4)),
                ("zoe /pen/2 read", Some(4)),
                ("zoe /pen/2 write", None),
            ]
        ),
        NONE_WRONG
    );
    // Casbin's example of a role held in all domains.
    let text = model(
        "sub, dom, obj, act",
        "sub, dom, obj, act",
        "g = _, _, _",
        ALLOW,
        "g(r.sub, p.sub, r.dom) && r.dom == p.dom && r.obj == p.obj && r.act == p.act",
    );
    let text = matching(&text, "", "g = keyMatch");
    let rules = "p, admin, domain1, data1, read\np, admin, domain2, data2, write\n\
                 g, alice, admin, *\ng, bob, admin, domain2\n";
    assert_eq!(
        wrong(
            &text,
            rules,
            &[
                ("alice domain1 data1 read", Some(1)),
                ("alice domain2 data2 write", Some(2)),
                ("bob domain1 data1 read", None),
                ("bob domain2 data2 write", Some(2)),
                ("carol domain2 data2 write", None),
            ]
        ),
        NONE_WRONG
    );
}

#[test]
fn tools_do_not_call_a_list_complete_where_names_of_roles_are_patterns() {
    use hangu_policy::analysis::{diff, what_can, who_can};
    let text = model(
        "sub, obj",
        "sub, obj",
        "g = _, _",
        ALLOW,
        "g(r.sub, p.sub) && r.obj == p.obj",
    );
    let rules = "p, admin, data\ng, al*, admin\ng, alice, nobody\n";
    let policy = compile(&matching(&text, "g = keyMatch", ""), rules).unwrap();
    let who = who_can(&policy, 1, &texts("x data"), None, None);
    assert!(
        who.incomplete
            .is_some_and(|why| why.contains("matches names of roles"))
    );
    assert!(who.allowed.iter().any(|allowed| allowed.subject == "alice"));
    let what = what_can(&policy, 1, "alan", None, None);
    assert!(
        what.incomplete
            .is_some_and(|why| why.contains("matches names of roles"))
    );
    let other = compile(&matching(&text, "g = keyMatch", ""), "p, admin, data\n").unwrap();
    let found = diff(&policy, &other, 1, None);
    assert!(
        found
            .unwrap()
            .inexact
            .iter()
            .any(|why| why.contains("patterns"))
    );
}

#[test]
fn denials_behind_patterns_of_roles_count() {
    let text = model(
        "sub, obj",
        "sub, obj, eft",
        "g = _, _",
        crate::ALLOW_AND_DENY,
        "g(r.obj, p.obj) && r.sub == p.sub",
    );
    assert_eq!(
        wrong(
            &matching(&text, "g = keyMatch2", ""),
            "p, alice, open, allow\np, alice, sealed, deny\ng, /files/:id, open\ng, /files/1, sealed\ng, /files/9*, sealed\n",
            &[
                ("alice /files/1", None),
                ("alice /files/2", Some(1)),
                ("alice /rest", None),
            ]
        ),
        NONE_WRONG
    );
}
