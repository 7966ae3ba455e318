//! HTTP/2 connections before their first request.

use hangu_tests::{Client, RunningGateway};

use crate::support::records_with;

#[test]
fn an_http2_connection_without_its_preface_is_not_waited_for() {
    let (gateway, upstream) = records_with(|world| {
        world
            .listener("header_timeout = \"200ms\"")
            .listener("idle_timeout = \"1h\"")
    });
    for (what, begun) in [
        ("nothing", &b""[..]),
        ("one byte", b"P"),
        ("all but the last byte", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r"),
    ] {
        let mut silent = h2_client(&gateway).connect().unwrap();
        assert_eq!(silent.protocol().as_deref(), Some("h2"), "{what}");
        if !begun.is_empty() {
            silent.send(begun).unwrap();
        }
        silent
            .expect_close()
            .unwrap_or_else(|error| panic!("{what}: {error:?}"));
    }
    assert_eq!(upstream.count(), 0);
    let mut talking = gateway.client("clerk").connect_h2().unwrap();
    let request = talking.get("/");
    assert_eq!(talking.send(&request).unwrap().status, 200);
}

fn h2_client(gateway: &RunningGateway) -> Client {
    gateway.client("clerk").alpn(&["h2"])
}
