//! What a policy may read of a request, and the purpose that a request states.

use hangu_tests::{Application, Response, RunningGateway, TestGateway, TestUpstream};

use crate::support::{assert_allowed, assert_refused, field, gateway, head};

/// Reads every fact that the gateway knows of a request by itself.
const MODEL: &str = r#"
[request_definition]
r = sub, dom, obj, act, label, zone, device, purpose, address, app, time
[policy_definition]
p = sub, dom, obj, act, purpose, network, since
[role_definition]
g = _, _, _
g2 = _, _
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = g(r.sub, p.sub, r.dom) && r.dom == p.dom && keyMatch2(r.obj, p.obj) && r.act == p.act && r.purpose == p.purpose && ipMatch(r.address, p.network) && r.time > 1700000000 && r.zone == "bureau" && r.label == "internal" && r.app == "records" && r.device != "kiosk"
"#;
const POLICY: &str = "\
p, clerk, civil, /residents/:id, GET, audit, 127.0.0.0/8, 2026
p, clerk, civil, /far/:id,       GET, audit, 10.0.0.0/8,  2026
g, spiffe://gov.test/clerk, clerk, civil
g2, clerk, sensitive
g2, sensitive, internal
g2, internal, public
";

fn world(upstream: &TestUpstream, purpose: &str) -> TestGateway {
    gateway()
        .records(upstream.address())
        .model(MODEL)
        .policy(POLICY)
        .table(purpose)
}

fn ask(gateway: &RunningGateway, path: &str, fields: &str) -> Response {
    let request = format!("{}{fields}\r\n", head("GET", path));
    gateway
        .client("clerk")
        .exchange(request.as_bytes())
        .unwrap()
}

#[test]
fn a_policy_reads_every_fact_that_the_gateway_knows() {
    let upstream = TestUpstream::named("records");
    let purpose = "[purpose]\nheader = \"X-Purpose\"\nnames = [\"audit\", \"statistics\"]";
    let gateway = world(&upstream, purpose).start();
    let response = ask(&gateway, "/residents/7", "X-Purpose: audit\r\n");
    assert_allowed(&gateway, &response);
    let record = gateway.audit().of_request(&response.request_id());
    assert_eq!(field(&record, "purpose"), "audit");
    for (path, fields) in [
        ("/residents/7", ""),
        ("/residents/7", "X-Purpose: statistics\r\n"),
        ("/residents/7/8", "X-Purpose: audit\r\n"),
        ("/far/7", "X-Purpose: audit\r\n"),
    ] {
        let response = ask(&gateway, path, fields);
        assert_refused(&gateway, &response, 403, "application.no_rule");
    }
    assert_eq!(upstream.count(), 1);
}

#[test]
fn a_purpose_that_is_not_in_the_list_or_stated_twice_is_refused() {
    let upstream = TestUpstream::named("records");
    let purpose = "[purpose]\nheader = \"X-Purpose\"\nnames = [\"audit\"]\nforward = false";
    let gateway = world(&upstream, purpose).start();
    for (fields, status, reason) in [
        ("X-Purpose: curiosity\r\n", 403, "data.purpose_unknown"),
        ("X-Purpose: AUDIT\r\n", 403, "data.purpose_unknown"),
        ("X-Purpose:\r\n", 403, "data.purpose_unknown"),
        (
            "X-Purpose: audit\r\nX-Purpose: audit\r\n",
            400,
            "data.purpose_malformed",
        ),
        (
            "X-Purpose: audit\r\nx_purpose: curiosity\r\n",
            400,
            "data.purpose_malformed",
        ),
    ] {
        let response = ask(&gateway, "/residents/7", fields);
        assert_refused(&gateway, &response, status, reason);
    }
    assert_eq!(upstream.count(), 0);
    let response = ask(&gateway, "/residents/7", "X-Purpose: audit\r\n");
    assert_allowed(&gateway, &response);
    assert_eq!(upstream.seen()[0].fields.get("x-purpose"), None);
}

#[test]
fn an_application_takes_the_purposes_that_it_names_and_is_told_them() {
    let upstream = TestUpstream::named("both");
    let policy = "p, clerk, civil, /*, *, allow\ng, spiffe://gov.test/clerk, clerk, civil\ng2, clerk, internal\n";
    let gateway = gateway()
        .application(Application::new("records").upstream(upstream.address()))
        .application(
            Application::new("counts")
                .key("purposes = [\"statistics\"]")
                .upstream(upstream.address()),
        )
        .policy(policy)
        .table("[purpose]\nheader = \"Data-Purpose\"\nnames = [\"audit\", \"statistics\"]")
        .start();
    for (host, purpose, status) in [
        ("records.test", "audit", 200),
        ("counts.test", "statistics", 200),
        ("counts.test", "audit", 403),
    ] {
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nData-Purpose: {purpose}\r\n\r\n");
        let client = gateway.client("clerk").named(host);
        let response = client.exchange(request.as_bytes()).unwrap();
        assert_eq!(response.status, status, "{host} {purpose}");
    }
    let told = upstream.seen();
    let told = told.iter().map(|seen| seen.fields.get("data-purpose"));
    assert_eq!(
        told.collect::<Vec<_>>(),
        [Some("audit"), Some("statistics")]
    );
}

#[test]
fn a_model_that_reads_a_purpose_needs_a_way_to_state_one() {
    let upstream = TestUpstream::named("records");
    let checked = world(&upstream, "").prepare().check();
    let said = String::from_utf8_lossy(&checked.stderr);
    assert!(!checked.status.success());
    assert!(
        said.contains("`r` names `purpose`, and no request can state one; add `[purpose]`"),
        "{said}"
    );
}
