//! Handshakes of one source are bounded before anybody has shown a certificate, and a flood of them is counted rather than recorded.

use std::io::{ErrorKind, Read};
use std::time::Duration;

use hangu_tests::wait_until;

use crate::support::{field, records_with, walked};

#[test]
fn one_source_cannot_take_the_handshakes_of_others() {
    let (gateway, _upstream) = records_with(|gateway| {
        gateway.listener("handshakes_per_source = 2\nhandshake_timeout = \"1m\"")
    });
    let client = gateway.client("clerk").from("127.0.0.7");
    // Whichever two the gateway takes are held, in whatever order it sees them.
    let mut held = Vec::new();
    let mut is_refused = || {
        let mut socket = client.connect_tcp().unwrap();
        let patience = Duration::from_millis(500);
        socket.set_read_timeout(Some(patience)).unwrap();
        let is_refused = match socket.read(&mut [0; 1]) {
            Ok(read) => read == 0,
            Err(error) => error.kind() == ErrorKind::ConnectionReset,
        };
        if !is_refused {
            held.push(socket);
        }
        is_refused
    };
    wait_until(
        "the third of a source to be closed at once",
        &mut is_refused,
    );
    let refused = (0..50).filter(|_| is_refused()).count();
    assert_eq!(refused, 50);
    let other = gateway.client("clerk").from("127.0.0.8");
    assert_eq!(other.get("/").unwrap().status, 200);
    let reason = "edge.handshakes_per_source";
    gateway.wait_for_metric("hangu_handshakes_total", &[("result", reason)], 51.0);
    let record = gateway.audit().wait_for("a record of the flood", |record| {
        field(record, "reason") == reason
    });
    assert_eq!(walked(&record), "-r----");
    drop(held);
    wait_until("the source to be let in again", || {
        client.get("/").is_ok_and(|response| response.status == 200)
    });
    let records = gateway.audit().records();
    let of_flood = records
        .iter()
        .filter(|record| field(record, "reason") == reason);
    assert!(
        of_flood.count() < 20,
        "a record for each second, not for each connection"
    );
}

#[test]
fn a_source_begins_handshakes_at_its_rate() {
    let (gateway, _upstream) = records_with(|gateway| {
        gateway.table("[limits.handshake]\nrequests = 1\nper = \"1h\"\nburst = 3")
    });
    let client = gateway.client("clerk").from("127.0.0.7");
    for _ in 0..3 {
        assert_eq!(client.get("/").unwrap().status, 200);
    }
    assert!(client.get("/").is_err());
    let reason = "edge.handshake_rate";
    gateway.wait_for_metric("hangu_handshakes_total", &[("result", reason)], 1.0);
    let other = gateway.client("clerk").from("127.0.0.8");
    assert_eq!(other.get("/").unwrap().status, 200);
    gateway.wait_for_metric("hangu_limit_refusals_total", &[("limit", "handshake")], 1.0);
}

#[test]
fn a_rate_of_handshakes_in_shadow_mode_counts_and_lets_in() {
    let (gateway, _upstream) = records_with(|gateway| {
        gateway.table("[limits.handshake]\nrequests = 1\nper = \"1h\"\nburst = 1\nshadow = true")
    });
    let client = gateway.client("clerk").from("127.0.0.7");
    for _ in 0..3 {
        assert_eq!(client.get("/").unwrap().status, 200);
    }
    let limit = [("limit", "handshake")];
    gateway.wait_for_metric("hangu_limit_shadow_refusals_total", &limit, 2.0);
    assert_eq!(
        gateway.metrics().sum("hangu_limit_refusals_total", &limit),
        0.0
    );
}

#[test]
fn the_short_forms_of_limits_have_a_shadow_mode_too() {
    let (gateway, _upstream) = records_with(|gateway| {
        gateway.table(
            "[limits]\nidentity = { requests = 1, per = \"1h\", burst = 1, shadow = true }\n\
             source = { requests = 1, per = \"1h\", burst = 1, shadow = true }",
        )
    });
    let client = gateway.client("clerk");
    for _ in 0..2 {
        assert_eq!(client.get("/").unwrap().status, 200);
    }
    for name in ["identity", "source"] {
        gateway.wait_for_metric("hangu_limit_shadow_refusals_total", &[("limit", name)], 1.0);
    }
}
