//! The audit log in its place: what is written where nobody will find it is not written.

use std::fs;

use hangu_tests::wait_until;

use crate::support::{assert_problem, field, records};

#[test]
fn a_log_that_was_taken_away_stops_the_gateway_until_it_is_back() {
    let (mut gateway, upstream) = records();
    let mut connection = gateway.client("clerk").connect().unwrap();
    let first = connection.get("/before").unwrap();
    assert_eq!(first.status, 200);
    gateway.audit().of_request(&first.request_id());

    let (here, away) = (
        gateway.folder().path("audit"),
        gateway.folder().path("away"),
    );
    fs::rename(&here, &away).unwrap();
    let mut refused = None;
    wait_until("the gateway to miss its log", || {
        let response = connection.get("/without").unwrap();
        refused = (response.status == 503).then_some(response);
        refused.is_some()
    });
    let refused = refused.unwrap();
    assert_problem(&refused, 503, &refused.request_id());
    assert_eq!(gateway.admin_get("/readyz").unwrap().0, 503);
    assert!(gateway.metrics().sum("hangu_audit_refused_total", &[]) >= 1.0);
    let served = upstream.count();
    assert_eq!(connection.get("/without").unwrap().status, 503);
    assert_eq!(upstream.count(), served, "nothing is forwarded meanwhile");

    fs::rename(&away, &here).unwrap();
    wait_until("the gateway to serve again", || {
        connection.get("/after").unwrap().status == 200
    });
    wait_until("readiness", || {
        gateway.admin_get("/readyz").unwrap().0 == 200
    });
    gateway.signal("TERM");
    assert_eq!(gateway.wait_for_end().status.code(), Some(0));
    hangu_audit::verify(gateway.audit().folder(), |_| ()).unwrap();
    let requests = gateway.audit().of_kind("request");
    let allowed = requests
        .iter()
        .filter(|record| field(record, "decision") == "allowed");
    assert_eq!(
        allowed.count(),
        upstream.count(),
        "whatever was forwarded is in the log"
    );
}
