//! What rules read of a query, and queries that say it twice.

use hangu_tests::{Application, TestUpstream};

use crate::support::{assert_allowed, assert_refused, gateway};

const MODEL: &str = "\
[request_definition]
r = sub, dom, obj, act, query
[policy_definition]
p = sub, dom, obj, act, year, eft
[role_definition]
g = _, _, _
g2 = _, _
[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
[matchers]
m = g(r.sub, p.sub, r.dom) && r.dom == p.dom && keyMatch2(r.obj, p.obj) && (r.act == p.act || p.act == \"*\") && (p.year == \"*\" || r.query.year == p.year)
";

#[test]
fn a_rule_reads_a_declared_parameter_and_nobody_can_say_it_twice() {
    let upstream = TestUpstream::named("records");
    let records = Application::new("records")
        .key("query_parameters = [\"year\"]")
        .upstream(upstream.address());
    let policy = "p, clerk, civil, /reports, GET, 2026, allow\n\
                  g, spiffe://gov.test/clerk, clerk, civil\ng2, clerk, sensitive\ng2, sensitive, internal\n";
    let gateway = gateway()
        .application(records)
        .model(MODEL)
        .policy(policy)
        .start();
    let mut connection = gateway.client("clerk").connect().unwrap();
    for target in [
        "/reports?year=2026",
        "/reports?a=b&ye%61r=%3202%36&a=c&a=%20;x",
    ] {
        assert_allowed(&gateway, &connection.get(target).unwrap());
        assert_eq!(upstream.last().target, target, "untouched");
    }
    let response = connection.get("/reports?year=2025").unwrap();
    assert_refused(&gateway, &response, 403, "application.no_rule");
    for target in ["/reports", "/reports?years=2026"] {
        let response = connection.get(target).unwrap();
        assert_eq!(response.status, 403, "{target}");
    }
    let mut h2 = gateway.client("clerk").connect_h2().unwrap();
    for target in [
        "/reports?year=2026&year=2025",
        "/reports?year=2026&year=2026",
        "/reports?year=2026&ye%61r=2025",
        "/reports?year=2026&Year=2025",
        "/reports?year=2026&year[]=2025",
        "/reports?a=1;year=2026",
        "/reports?year=2026;year=2025",
        "/reports?year=%ff",
    ] {
        let response = connection.get(target).unwrap();
        assert_refused(&gateway, &response, 400, "edge.query_ambiguous");
        let request = h2.get(target);
        let response = h2.send(&request).unwrap();
        assert_refused(&gateway, &response, 400, "edge.query_ambiguous");
    }
    assert_eq!(upstream.count(), 2);
}

#[test]
fn a_decision_by_a_value_of_the_query_is_not_made_again_without_it() {
    let upstream = TestUpstream::named("records");
    let records = Application::new("records")
        .key("query_parameters = [\"year\"]")
        .upstream(upstream.address());
    let gateway = gateway()
        .application(records)
        .model(MODEL)
        .policy(
            "p, clerk, civil, /reports, GET, 2026, allow\np, clerk, civil, /open, GET, *, allow\n\
             g, spiffe://gov.test/clerk, clerk, civil\ng2, clerk, sensitive\ng2, sensitive, internal\n",
        )
        .start();
    let mut connection = gateway.client("clerk").connect().unwrap();
    for (target, status) in [
        ("/reports?year=2026", 200),
        ("/reports?ye%61r=2026", 200),
        ("/reports?year=2025", 403),
        ("/open?page=2", 200),
        ("/open", 200),
    ] {
        assert_eq!(connection.get(target).unwrap().status, status, "{target}");
    }
    let folder = gateway.into_folder();
    let path = |name: &str| folder.path(name).display().to_string();
    let (audit, model) = (path("audit"), path("policy/model.conf"));
    let policy = path("policy/policy.csv");
    let replayed = folder.hangu(&[
        "policy", "replay", "--json", "--audit", &audit, "--model", &model, "--policy", &policy,
    ]);
    let found: serde_json::Value = serde_json::from_slice(&replayed.stdout).unwrap();
    for (name, number) in [("decided", 2), ("without_query_values", 3), ("lost", 0)] {
        assert_eq!(found[name], number, "{name}: {found:#}");
    }
    assert_eq!(replayed.status.code(), Some(1), "some are not decided");
}
