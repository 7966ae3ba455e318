//! Answers that never end, under a policy that changes: whoever would not get them any more loses them, and nobody else.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Instant;

use hangu_tests::{ClientConnection, DEADLINE, RunningGateway, TestRedis, wait_until};
use tungstenite::Message;
use tungstenite::protocol::frame::coding::CloseCode;

use super::websocket::{close_of, open, server};
use crate::support::{field, gateway};

/// An application whose every answer is one event, and then silence for as long as somebody listens.
fn events() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || answer(stream.unwrap()));
        }
    });
    address
}

fn answer(mut stream: TcpStream) {
    let mut byte = [0];
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return,
        }
    }
    let event = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
                 Transfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n";
    stream.write_all(event.as_bytes()).unwrap();
    // Until the gateway goes; however it does.
    drop(stream.read(&mut byte));
}

const EVENT: &[u8] = b"9\r\ndata: 1\n\n\r\n";

fn listen(gateway: &RunningGateway, who: &str, path: &str) -> ClientConnection {
    let mut connection = gateway.client(who).connect().unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: records.test\r\n\r\n");
    connection.send(request.as_bytes()).unwrap();
    assert!(connection.read_head().unwrap().starts_with("HTTP/1.1 200"));
    assert_eq!(connection.read_exactly(EVENT.len()).unwrap(), EVENT);
    connection
}

/// The rules of the harness, without that of the reader.
const WITHOUT_READER: &str = "\
p, clerk,     civil, /*,        *,   allow
g, spiffe://gov.test/clerk,  clerk,  civil
g, spiffe://gov.test/reader, reader, civil
g2, clerk,     sensitive
g2, sensitive, internal
g2, internal,  public
g2, reader,    internal
";

#[test]
fn an_event_stream_that_a_new_policy_does_not_permit_ends_within_the_second() {
    let gateway = gateway().records(events()).start();
    let mut reader = listen(&gateway, "reader", "/feed");
    let mut clerk = listen(&gateway, "clerk", "/feed");
    gateway.folder().write("policy/policy.csv", WITHOUT_READER);
    let published = Instant::now();
    let closed = reader.expect_close();
    assert!(closed.is_ok(), "{closed:?}: {}", gateway.stderr());
    assert!(published.elapsed() < DEADLINE, "cut, not timed out");

    let reason = [("reason", "application.no_rule")];
    gateway.wait_for_metric("hangu_requests_cut_total", &reason, 1.0);
    gateway.wait_for_metric("hangu_connections_closed_total", &reason, 1.0);
    let metrics = gateway.metrics();
    let within = |seconds| [("le", seconds)];
    assert_eq!(
        metrics.sum("hangu_revocation_effect_seconds_bucket", &within("1")),
        metrics.sum("hangu_revocation_effect_seconds_bucket", &within("+Inf")),
        "{}",
        metrics.text
    );
    let record = gateway
        .audit()
        .wait_for("its end", |record| field(record, "kind") == "end");
    assert_eq!(field(&record, "decision"), "aborted", "{record:#}");
    assert_eq!(field(&record, "reason"), "application.no_rule");

    // The clerk's is judged too, and goes on: nothing was counted for it, and it is still there to be ended by the test.
    assert_eq!(gateway.metrics().sum("hangu_requests_cut_total", &[]), 1.0);
    assert_eq!(
        gateway.metrics().sum("hangu_connections_closed_total", &[]),
        1.0
    );
    let kill = ["sessions", "kill", "--subject", "spiffe://gov.test/clerk"];
    assert!(super::told(&super::hangu(&gateway, &kill)).starts_with("1 "));
    clerk.expect_close().unwrap();
}

#[test]
fn a_request_that_waits_while_the_policy_changes_does_not_outlive_it() {
    let Some(redis) = TestRedis::start(&[]) else {
        return;
    };
    let limits = format!(
        "[[limits.rates]]\nname = \"person\"\nby = [\"identity\"]\nrequests = 1000\nper = \"1s\"\nburst = 1000\nshared = true\n\
         [limits.shared]\nurls = [\"redis://127.0.0.1:{}\"]\ndeadline = \"1s\"\nfallback = \"allow\"\n",
        redis.port()
    );
    let gateway = gateway().records(events()).table(&limits).start();
    gateway.wait_for_metric("hangu_limit_shared_up", &[], 1.0);
    let mut reader = gateway.client("reader").connect().unwrap();
    redis.signal("STOP");
    // Judged by the old policy once the server has kept it waiting, after the new one has looked at all that is under way.
    let request = "GET /feed HTTP/1.1\r\nHost: records.test\r\n\r\n";
    reader.send(request.as_bytes()).unwrap();
    gateway.folder().write("policy/policy.csv", WITHOUT_READER);
    // Cut before or after its first event came.
    while reader.read_exactly(1).is_ok() {}
    let reason = [("reason", "application.no_rule")];
    gateway.wait_for_metric("hangu_requests_cut_total", &reason, 1.0);
}

#[test]
fn of_two_streams_of_one_connection_only_the_refused_one_is_reset() {
    let gateway = gateway().records(events()).start();
    let mut clerk = gateway.client("clerk").connect_h2().unwrap();
    let (open, closed) = (clerk.get("/open-to-me"), clerk.get("/closed"));
    let (_, mut goes_on) = clerk.open(&open).unwrap();
    let (_, mut ends) = clerk.open(&closed).unwrap();
    for body in [&mut goes_on, &mut ends] {
        assert_eq!(clerk.next_of(body).unwrap().unwrap(), b"data: 1\n\n");
    }
    let policy = gateway.folder().read("policy/policy.csv");
    let closed = format!("{policy}p, clerk, civil, /closed, *, deny\n");
    gateway.folder().write("policy/policy.csv", &closed);
    let reset = clerk.next_of(&mut ends).unwrap_err();
    assert!(reset.contains("stream"), "{reset}");

    let (status, _) = clerk.open(&open).unwrap();
    assert_eq!(status, 200, "the connection lives");
    let reason = [("reason", "application.explicit_deny")];
    gateway.wait_for_metric("hangu_requests_cut_total", &reason, 1.0);
    assert_eq!(gateway.metrics().sum("hangu_requests_cut_total", &[]), 1.0);
    assert_eq!(
        gateway.metrics().sum("hangu_connections_closed_total", &[]),
        0.0
    );
    let record = gateway
        .audit()
        .wait_for("its end", |record| field(record, "kind") == "end");
    assert_eq!(
        field(&record, "reason"),
        "application.explicit_deny",
        "{record:#}"
    );
    assert!(goes_on.is_end_stream().eq(&false));
}

#[test]
fn a_websocket_whose_holder_loses_a_role_in_the_directory_is_told_so() {
    let (address, _ended) = server(|mut socket| {
        thread::spawn(move || while socket.read().is_ok() {});
    });
    let folder = gateway()
        .records(address)
        .table("[identity]\ndirectory = \"people.csv\"")
        .prepare();
    let rows = |role: &str| format!("match,roles\nspiffe://gov.test/newcomer,{role}\n");
    folder.write("people.csv", &rows("clerk"));
    let gateway = folder.start();
    let mut newcomer = open(&gateway, "newcomer");
    newcomer.send(Message::text("hello")).unwrap();
    gateway.folder().write("people.csv", &rows(""));
    let (close, _) = close_of(&mut newcomer);
    assert_eq!(
        close,
        Some((CloseCode::Policy, "no longer permitted".to_owned()))
    );
    wait_until("the record", || {
        let ends = gateway.audit().of_kind("end");
        ends.iter()
            .any(|record| field(record, "reason") == "data.label")
    });
}
