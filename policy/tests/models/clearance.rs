//! Who is cleared for which label, whatever the model's relations look like.

use crate::{ALLOW, compile, model};

#[test]
fn roles_without_domains_clear_whoever_holds_them() {
    let policy = compile(
        &model(
            "sub, obj, act",
            "sub, obj, act",
            "g = _, _\ng2 = _, _",
            ALLOW,
            "g(r.sub, p.sub) && r.obj == p.obj && r.act == p.act",
        ),
        "p, clerk, /a, GET\ng, alice, clerk\ng, bob, head\ng, head, clerk\ng2, clerk, internal\ng2, internal, public\n",
    )
    .unwrap();
    for (subject, domain, label, expected) in [
        ("alice", "tax", "internal", true),
        ("alice", "", "public", true),
        ("bob", "tax", "internal", true),
        ("clerk", "tax", "internal", true),
        ("alice", "tax", "clerk", false),
        ("alice", "tax", "sensitive", false),
        ("carol", "tax", "internal", false),
    ] {
        let cleared = policy.clears(subject, domain, label, None);
        assert_eq!(cleared, expected, "{subject} {label}");
    }
}

#[test]
fn a_single_relation_is_both_roles_and_clearance() {
    let policy = compile(
        &model("sub", "sub", "g = _, _", ALLOW, "g(r.sub, p.sub)"),
        "p, clerk\ng, alice, clerk\ng, clerk, internal\n",
    )
    .unwrap();
    assert!(policy.clears("alice", "tax", "internal", None));
    assert!(!policy.clears("bob", "tax", "internal", None));
}

#[test]
fn roles_and_clearances_held_for_a_time_clear_in_that_time_alone() {
    let at = |roles: &str, rows: &str, time: Option<i64>| {
        let policy = compile(
            &model(
                "sub, dom",
                "sub, dom",
                roles,
                ALLOW,
                "g(r.sub, p.sub, r.dom) && r.dom == p.dom",
            ),
            rows,
        )
        .unwrap();
        policy.clears("alice", "tax", "internal", time)
    };
    let role = "g = _, _, _, (_, _)\ng2 = _, _";
    let held = "p, clerk, tax\ng, alice, clerk, tax, 1970-01-01 00:00:01, 1970-01-01 00:00:03\ng2, clerk, internal\n";
    let label = "g = _, _, _\ng2 = _, _, (_, _)";
    let cleared = "p, clerk, tax\ng, alice, clerk, tax\ng2, clerk, internal, 1970-01-01 00:00:01, 1970-01-01 00:00:03\n";
    for (roles, rows) in [(role, held), (label, cleared)] {
        for (time, expected) in [
            (Some(2_000), true),
            (Some(0), false),
            (Some(3_000), false),
            (None, false),
        ] {
            assert_eq!(at(roles, rows, time), expected, "{roles} at {time:?}");
        }
    }
}
