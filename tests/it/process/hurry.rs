//! SIGINT: an end at once that still leaves a whole log.

use hangu_tests::{Gate, wait_until};

use super::slow_upstream;
use crate::support::{field, gateway, head};

#[test]
fn a_request_that_sigint_cuts_off_is_written_down_once_as_aborted() {
    let gate = Gate::new();
    let upstream = slow_upstream(&gate);
    let mut gateway = gateway().records(upstream.address()).start();
    let mut in_flight = gateway.client("clerk").connect().unwrap();
    in_flight
        .send(format!("{}\r\n", head("GET", "/slow")).as_bytes())
        .unwrap();
    wait_until("the request to be in flight", || gate.held() == 1);
    gateway.signal("INT");
    assert_eq!(gateway.wait_for_end().status.code(), Some(0));
    gate.open();
    let requests = gateway.audit().of_kind("request");
    assert_eq!(requests.len(), 1, "{requests:#?}");
    assert_eq!(field(&requests[0], "path"), "/slow");
    assert_eq!(field(&requests[0], "decision"), "aborted", "{requests:#?}");
    let last = gateway.audit().records().pop().unwrap();
    assert_eq!(field(&last, "kind"), "stop");
    hangu_audit::verify(gateway.audit().folder(), |_| ()).unwrap();
}

#[test]
fn an_http2_stream_that_sigint_cuts_off_is_written_down_once_as_aborted() {
    let gate = Gate::new();
    let upstream = slow_upstream(&gate);
    let mut gateway = gateway().records(upstream.address()).start();
    let mut connection = gateway.client("clerk").connect_h2().unwrap();
    let answer = std::thread::spawn(move || {
        let request = connection.get("/slow");
        connection.send(&request)
    });
    wait_until("the request to be in flight", || gate.held() == 1);
    gateway.signal("INT");
    assert_eq!(gateway.wait_for_end().status.code(), Some(0));
    gate.open();
    assert!(answer.join().unwrap().is_err());
    let requests = gateway.audit().of_kind("request");
    assert_eq!(requests.len(), 1, "{requests:#?}");
    assert_eq!(field(&requests[0], "decision"), "aborted", "{requests:#?}");
    hangu_audit::verify(gateway.audit().folder(), |_| ()).unwrap();
}

#[test]
fn sigint_after_sigterm_ends_a_long_drain_at_once() {
    let gate = Gate::new();
    let upstream = slow_upstream(&gate);
    let mut gateway = gateway()
        .server("drain = \"1h\"")
        .records(upstream.address())
        .start();
    let mut in_flight = gateway.client("clerk").connect().unwrap();
    in_flight
        .send(format!("{}\r\n", head("GET", "/slow")).as_bytes())
        .unwrap();
    wait_until("the request to be in flight", || gate.held() == 1);
    gateway.signal("TERM");
    let newcomer = gateway.client("clerk");
    wait_until("the listener to close", || newcomer.connect_tcp().is_err());
    assert!(gateway.process().status().is_none(), "it drains");
    gateway.signal("INT");
    assert_eq!(gateway.wait_for_end().status.code(), Some(0));
    assert!(in_flight.read_response(true).is_err());
    gate.open();
    hangu_audit::verify(gateway.audit().folder(), |_| ()).unwrap();
}
