//! The PROXY protocol: who may say where a client is, and what follows from it.

use hangu_tests::{Client, RunningGateway, TestUpstream};

use crate::support::{assert_allowed, assert_refused, field, gateway, records_with};

const V1: &[u8] = b"PROXY TCP4 127.9.9.9 127.0.0.1 5555 443\r\n";
/// The same in version 2, with an extension behind.
const V2: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x11\x7f\x09\x09\x09\x7f\0\0\x01\x15\xb3\x01\xbb\x04\0\x02ab";
const LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";

/// A gateway behind the balancer 127.0.0.2, where clients of 127.9.0.0/16 may reach what is internal and no others.
fn behind_a_balancer() -> (RunningGateway, TestUpstream) {
    records_with(|world| {
        world
            .listener("proxy_protocol = \"required\"")
            .listener("balancers = [\"127.0.0.2/32\"]")
            .listener("proxy_timeout = \"300ms\"")
            .zones("bureau = [\"127.9.0.0/16\"]\nelsewhere = [\"127.0.0.0/8\"]")
            .matrix("bureau = [\"internal\"]")
    })
}

fn balancer(gateway: &RunningGateway, header: &[u8]) -> Client {
    gateway.client("clerk").from("127.0.0.2").preamble(header)
}

#[test]
fn the_client_is_where_its_balancer_says() {
    let (gateway, upstream) = behind_a_balancer();
    for header in [V1, V2] {
        let response = balancer(&gateway, header).get("/").unwrap();
        assert_allowed(&gateway, &response);
        let record = gateway.audit().of_request(&response.request_id());
        assert_eq!(field(&record, "client"), "127.9.9.9:5555");
        assert_eq!(field(&record, "zone"), "bureau");
        let seen = upstream.last();
        assert_eq!(seen.fields.get("x-forwarded-for"), Some("127.9.9.9"));
    }
    let mut connection = balancer(&gateway, V2).connect_h2().unwrap();
    let request = connection.get("/");
    assert_allowed(&gateway, &connection.send(&request).unwrap());

    let elsewhere = b"PROXY TCP4 127.8.8.8 127.0.0.1 5555 443\r\n";
    let response = balancer(&gateway, elsewhere).get("/").unwrap();
    assert_refused(&gateway, &response, 403, "network.zone_label");
    // A health check of the balancer itself comes from where it is.
    let response = balancer(&gateway, LOCAL).get("/").unwrap();
    assert_refused(&gateway, &response, 403, "network.zone_label");
    let record = gateway.audit().of_request(&response.request_id());
    assert!(field(&record, "client").starts_with("127.0.0.2:"));
    assert_eq!(upstream.count(), 3);
}

#[test]
fn nobody_but_a_listed_balancer_is_heard() {
    let (gateway, upstream) = behind_a_balancer();
    for header in [V1, V2, b""] {
        let client = gateway.client("clerk").from("127.0.0.3").preamble(header);
        client.get("/").unwrap_err();
    }
    let refused = |record: &serde_json::Value| field(record, "reason") == "edge.proxy_untrusted";
    let record = gateway.audit().wait_for("a stranger", refused);
    assert!(
        field(&record, "client").starts_with("127.0.0.3:"),
        "{record:#}"
    );
    gateway.wait_for_metric(
        "hangu_handshakes_total",
        &[("result", "edge.proxy_untrusted")],
        3.0,
    );
    assert_eq!(upstream.count(), 0);
}

#[test]
fn a_connection_without_a_whole_header_is_refused() {
    let (gateway, upstream) = behind_a_balancer();
    let long = [&b"PROXY TCP4 "[..], &[b'1'; 200]].concat();
    for (header, reason) in [
        (&b""[..], "edge.proxy_malformed"),
        (b"PROXY UNKNOWN\r\n", "edge.proxy_malformed"),
        (
            b"PROXY TCP4 127.9.9.9 127.0.0.1 5555\r\n",
            "edge.proxy_malformed",
        ),
        (&long, "edge.proxy_malformed"),
    ] {
        balancer(&gateway, header).get("/").unwrap_err();
        let refused = |record: &serde_json::Value| field(record, "reason") == reason;
        gateway.audit().wait_for(reason, refused);
    }
    let mut silent = balancer(&gateway, &V2[..20]).connect_tcp().unwrap();
    let mut rest = Vec::new();
    // Reset or closed: both are an end.
    drop(std::io::Read::read_to_end(&mut silent, &mut rest));
    assert_eq!(rest, b"");
    let late = |record: &serde_json::Value| field(record, "reason") == "edge.proxy_timeout";
    gateway.audit().wait_for("a late header", late);
    gateway.wait_for_metric(
        "hangu_handshakes_total",
        &[("result", "edge.proxy_malformed")],
        4.0,
    );
    assert_eq!(upstream.count(), 0);
}

#[test]
fn a_listener_without_balancers_takes_no_header() {
    let upstream = TestUpstream::named("records");
    let gateway = gateway().records(upstream.address()).start();
    for header in [V1, V2] {
        let client = gateway.client("clerk").preamble(header);
        client.get("/").unwrap_err();
    }
    gateway.wait_for_metric(
        "hangu_handshakes_total",
        &[("result", "edge.tls_failed")],
        2.0,
    );
    assert_eq!(upstream.count(), 0);
    assert_allowed(&gateway, &gateway.client("clerk").get("/").unwrap());
}
