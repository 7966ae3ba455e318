//! The time in which two processes share one audit folder.

use hangu_tests::wait_until;

use super::slow_upstream;
use crate::support::{assert_allowed, first, gateway, head};

#[test]
fn what_the_new_process_answers_before_it_has_the_log_outlives_it() {
    let gate = hangu_tests::Gate::new();
    let upstream = slow_upstream(&gate);
    let mut gateway = gateway()
        .server("drain = \"30s\"")
        .records(upstream.address())
        .start();
    let client = gateway.client("clerk");
    let before = client.get("/").unwrap().request_id();
    let mut in_flight = client.connect().unwrap();
    in_flight
        .send(format!("{}\r\n", head("GET", "/slow")).as_bytes())
        .unwrap();
    wait_until("the request to be in flight", || gate.held() == 1);

    let new = gateway.spawn_upgrade();
    wait_until("the new process to wait for the sockets", || {
        gateway.folder().path("run/upgrade.sock").exists()
    });
    let mut old = gateway.replace_process(new);
    old.signal("QUIT");
    let mut answered = None;
    wait_until("the new process to answer", || {
        let id = client.get("/").unwrap().request_id();
        answered = (first(&id, 16) != first(&before, 16)).then_some(id);
        answered.is_some()
    });
    let answered = answered.unwrap();
    assert!(old.status().is_none(), "the old one has the log still");
    assert!(
        gateway.folder().path("audit/waiting").exists(),
        "so the new one writes its own"
    );
    gateway.signal("KILL");
    gateway.process().wait_for_end();
    gate.open();
    assert_eq!(
        in_flight.read_response(true).unwrap().text(),
        "slow but sure"
    );
    assert_eq!(old.wait_for_end().code(), Some(0));

    let mut gateway = gateway.into_folder().start();
    assert_allowed(&gateway, &gateway.client("clerk").get("/").unwrap());
    gateway.audit().of_request(&answered);
    gateway.audit().wait_for("what was taken over", |record| {
        let told = record["detail"].as_str().unwrap_or_default();
        record["kind"] == "recovered" && told.contains("ended while it waited for the log")
    });
    gateway.signal("TERM");
    assert_eq!(gateway.wait_for_end().status.code(), Some(0));
    hangu_audit::verify(gateway.audit().folder(), |_| ()).unwrap();
    let waiting = std::fs::read_dir(gateway.folder().path("audit/waiting")).unwrap();
    assert_eq!(waiting.count(), 0);
}
