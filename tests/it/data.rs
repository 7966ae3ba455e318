//! 数 data, over real sockets: what class of data may leave to whom.

use hangu_tests::{Application, TestUpstream};

use crate::support::{assert_allowed, assert_refused, field, gateway, records};

#[test]
fn clearance_reaches_a_subject_through_its_role_and_a_label_through_a_higher_one() {
    let (gateway, upstream) = records();
    for (name, path) in [
        ("clerk", "/secret/1"),
        ("clerk", "/residents/7"),
        ("clerk", "/open/laws"),
        ("reader", "/residents/7"),
        ("reader", "/open/laws"),
    ] {
        let response = gateway.client(name).get(path).unwrap();
        assert_allowed(&gateway, &response);
    }
    assert_eq!(upstream.count(), 5);
}

#[test]
fn a_label_without_clearance_is_refused_although_a_rule_permits_the_path() {
    let (gateway, upstream) = records();
    let response = gateway.client("reader").get("/secret/1").unwrap();
    assert_refused(&gateway, &response, 403, "data.label");
    let record = gateway.audit().of_request(&response.request_id());
    assert_eq!(
        (field(&record, "label"), field(&record, "route")),
        ("sensitive", "/secret")
    );
    assert_eq!(upstream.count(), 0);
}

#[test]
fn clearance_with_one_tenant_is_none_with_another() {
    let upstream = TestUpstream::named("both");
    let gateway = gateway()
        .application(Application::new("records").upstream(upstream.address()))
        .application(
            Application::new("parcels")
                .tenant("land")
                .upstream(upstream.address()),
        )
        .policy(
            "p, clerk, civil, /*, *, allow\np, clerk, land, /*, *, allow\n\
             p, spiffe://gov.test/clerk, land, /*, *, allow\n\
             g, spiffe://gov.test/clerk, clerk, civil\ng2, clerk, internal\n",
        )
        .start();
    assert_allowed(&gateway, &gateway.client("clerk").get("/").unwrap());
    let elsewhere = gateway
        .client("clerk")
        .named("parcels.test")
        .get("/")
        .unwrap();
    assert_refused(&gateway, &elsewhere, 403, "data.label");
    assert_eq!(upstream.count(), 1);
}

#[test]
fn a_label_cannot_be_slipped_past_by_spelling_its_path_otherwise() {
    let (gateway, upstream) = records();
    let client = gateway.client("reader");
    for path in [
        "/secret",
        "/secret/",
        "/secret/1?x=/open",
        "/%73ecret/1",
        "/secret/%31",
        "/secret/open/laws",
    ] {
        assert_refused(&gateway, &client.get(path).unwrap(), 403, "data.label");
    }
    for path in [
        "/open/../secret/1",
        "/open/%2e%2e/secret/1",
        "//secret/1",
        "/secret;/1",
        "/open%2f..%2fsecret/1",
    ] {
        assert_eq!(client.get(path).unwrap().status, 400, "{path}");
    }
    assert_eq!(upstream.count(), 0);
    assert_eq!(
        client.get("/secrets").unwrap().status,
        200,
        "another segment is another path"
    );
    assert_eq!(
        client.get("/Secret/1").unwrap().status,
        400,
        "a route in another case is ambiguous"
    );
}
