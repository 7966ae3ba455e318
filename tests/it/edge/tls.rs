//! The handshake as far as the edge has a say in it: time, versions, protocols, names.

use std::io::{Read, Write};

use hangu_tests::{Client, ClientError, RunningGateway};
use rustls::AlertDescription;
use serde_json::Value;

use crate::support::{field, records, records_with, walked};

#[test]
fn a_handshake_that_does_not_come_is_not_waited_for() {
    let (gateway, _upstream) =
        records_with(|world| world.listener("handshake_timeout = \"200ms\""));
    let mut silent = gateway.client("clerk").connect_tcp().unwrap();
    assert_eq!(
        silent.read(&mut [0; 1]).unwrap_or(0),
        0,
        "it is closed without a word"
    );
    let record = refused(&gateway, "edge.handshake_timeout");
    assert_eq!(walked(&record), "-r----");

    let mut halting = gateway.client("clerk").connect_tcp().unwrap();
    halting.write_all(&[22, 3, 1, 2, 0, 1]).unwrap();
    assert_eq!(halting.read(&mut [0; 1]).unwrap_or(0), 0);
    gateway.wait_for_metric(
        "hangu_handshakes_total",
        &[("result", "edge.handshake_timeout")],
        2.0,
    );
}

#[test]
fn a_client_that_speaks_no_tls_is_refused() {
    let (gateway, upstream) = records();
    let mut plain = gateway.client("clerk").connect_tcp().unwrap();
    plain
        .write_all(b"GET / HTTP/1.1\r\nHost: records.test\r\n\r\n")
        .unwrap();
    let mut heard = Vec::new();
    // It may end by a reset.
    drop(plain.read_to_end(&mut heard));
    assert!(!heard.starts_with(b"HTTP/"), "{heard:?}");
    refused(&gateway, "edge.tls_failed");
    assert_eq!(upstream.count(), 0);
    assert_eq!(gateway.client("clerk").get("/").unwrap().status, 200);
}

#[test]
fn an_old_version_of_tls_is_spoken_only_where_the_listener_allows_it() {
    let (gateway, _upstream) = records();
    let old =
        |gateway: &RunningGateway| gateway.client("clerk").tls_version(&rustls::version::TLS12);
    match old(&gateway).get("/") {
        Err(ClientError::Alert(AlertDescription::ProtocolVersion)) => {}
        other => panic!("{other:?}"),
    }
    refused(&gateway, "edge.tls_failed");

    let (gateway, _upstream) = records_with(|world| world.listener("tls_min = \"1.2\""));
    let response = old(&gateway).get("/").unwrap();
    assert_eq!(response.status, 200);
    let record = gateway.audit().of_request(&response.request_id());
    assert_eq!(field(&record, "channel"), "TLSv1.2/http/1.1");
}

#[test]
fn a_name_that_no_certificate_covers_ends_the_handshake() {
    let (gateway, upstream) = records();
    match gateway.client("clerk").named("unknown.test").get("/") {
        Err(ClientError::Alert(_)) => {}
        other => panic!("{other:?}"),
    }
    refused(&gateway, "edge.tls_failed");
    assert_eq!(upstream.count(), 0);
}

#[test]
fn the_protocol_is_agreed_on_by_alpn() {
    let (gateway, _upstream) = records();
    let chosen = |protocols: &[&str]| {
        gateway
            .client("clerk")
            .alpn(protocols)
            .connect()
            .map(|mut connection| connection.protocol())
    };
    assert_eq!(chosen(&["h2", "http/1.1"]).unwrap().as_deref(), Some("h2"));
    assert_eq!(
        chosen(&["http/1.1", "h2"]).unwrap().as_deref(),
        Some("h2"),
        "the gateway's preference counts"
    );
    assert_eq!(chosen(&["http/1.1"]).unwrap().as_deref(), Some("http/1.1"));
    assert_eq!(chosen(&[]).unwrap(), None);
    assert!(matches!(
        chosen(&["spdy/3"]),
        Err(ClientError::Alert(AlertDescription::NoApplicationProtocol))
    ));
    assert_eq!(
        gateway.client("clerk").alpn(&[]).get("/").unwrap().status,
        200,
        "no ALPN means HTTP/1.1"
    );
}

#[test]
fn one_slot_for_handshakes_serves_many_clients_one_after_the_other() {
    let (gateway, _upstream) = records_with(|world| {
        world
            .listener("handshakes_max = 1")
            .listener("handshake_timeout = \"10s\"")
    });
    let client = gateway.client("clerk");
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| client.get("/").map(|response| response.status)))
            .collect();
        for one in all {
            assert_eq!(one.join().unwrap().unwrap(), 200);
        }
    });
}

#[test]
fn handshakes_that_hang_in_all_slots_keep_nobody_out_for_longer_than_their_deadline() {
    let (gateway, _upstream) = records_with(|world| {
        world
            .listener("handshakes_max = 2")
            .listener("handshake_timeout = \"400ms\"")
    });
    let client: Client = gateway.client("clerk");
    let hanging: Vec<_> = (0..2).map(|_| client.connect_tcp().unwrap()).collect();
    hangu_tests::wait_until("a good client to get in", || client.get("/").is_ok());
    drop(hanging);
}

fn refused(gateway: &RunningGateway, reason: &str) -> Value {
    let record = gateway
        .audit()
        .wait_for(reason, |record| field(record, "reason") == reason);
    assert_eq!(field(&record, "kind"), "handshake");
    assert_eq!(field(&record, "decision"), "refused");
    gateway.wait_for_metric(
        "hangu_handshakes_total",
        &[("listener", "edge"), ("result", reason)],
        1.0,
    );
    record
}
