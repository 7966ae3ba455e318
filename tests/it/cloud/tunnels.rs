//! Connections that become tunnels, such as WebSockets: allowed as a request is, and then as long as both sides want.

use std::time::{Duration, Instant};

use hangu_tests::{Answer, Application, ClientConnection, TestUpstream, wait_until};

use crate::support::{assert_allowed, field, gateway, head, walked};

#[test]
fn a_tunnel_carries_bytes_both_ways_outlives_silence_and_ends_as_allowed() {
    const READ_TIMEOUT: Duration = Duration::from_millis(500);
    let upstream = TestUpstream::answering(|request| match request.target.as_str() {
        "/tunnel" => Answer::Echo,
        _ => Answer::ok("well"),
    });
    let records = Application::new("records")
        .key(&format!(
            "read_timeout = \"{}ms\"",
            READ_TIMEOUT.as_millis()
        ))
        .health("failures = 1\nretry_after = \"1h\"")
        .upstream(upstream.address());
    let gateway = gateway().application(records).start();
    let mut tunnel = gateway.client("clerk").connect().unwrap();
    let request = format!(
        "{}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
        head("GET", "/tunnel")
    );
    tunnel.send(request.as_bytes()).unwrap();
    let answer = tunnel.read_head().unwrap();
    assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
    let seen = upstream.last();
    assert_eq!(seen.fields.get("upgrade"), Some("websocket"));

    echo(&mut tunnel, b"are you there");
    let silent_since = Instant::now();
    wait_until("a silence of several read timeouts", || {
        silent_since.elapsed() > READ_TIMEOUT * 3
    });
    echo(&mut tunnel, b"and still");

    tunnel.abort();
    let record = gateway
        .audit()
        .wait_for("the tunnel", |record| field(record, "path") == "/tunnel");
    assert_eq!(field(&record, "decision"), "allowed", "{record:#}");
    assert_eq!(record["status"], 101, "{record:#}");
    assert_eq!(walked(&record), "pppppp");
    assert_allowed(&gateway, &gateway.client("clerk").get("/").unwrap());
    assert_eq!(gateway.metrics().sum("hangu_upstreams_out", &[]), 0.0);
}

fn echo(tunnel: &mut ClientConnection, bytes: &[u8]) {
    tunnel.send(bytes).unwrap();
    assert_eq!(tunnel.read_exactly(bytes.len()).unwrap(), bytes);
}
