//! Clients that send or take as slowly as they can: each costs its own connection or stream, and nobody else's.

use std::time::{Duration, Instant};

use hangu_tests::{
    Answer, Application, HandUpstream, RawH2Answer, RunningGateway, TestUpstream, frame,
    header_block, resident_bytes, wait_until,
};
use serde_json::Value;

use crate::support::{
    assert_allowed, assert_refused_at, field, gateway, head, records_with, walked,
};

/// The last record of the one request for this path: of its end, where its answer had begun.
fn last_of(gateway: &RunningGateway, path: &str, reason: &str) -> Value {
    let begun = gateway
        .audit()
        .wait_for(path, |record| field(record, "path") == path);
    if field(&begun, "reason") == reason {
        return begun;
    }
    let end = gateway.audit().end_of_request(field(&begun, "request_id"));
    assert_eq!(field(&end, "reason"), reason, "{end:#}");
    end
}

/// An application whose `/large` has more than all buffers on the way hold.
fn large() -> TestUpstream {
    let large = vec![b'x'; 64 << 20];
    TestUpstream::answering(move |request| match request.target.as_str() {
        "/large" => Answer::Reply(200, Vec::new(), large.clone()),
        _ => Answer::ok("small"),
    })
}

#[test]
fn who_takes_nothing_of_an_answer_is_cut_off_and_holds_little() {
    let upstream = large();
    let gateway = gateway()
        .records(upstream.address())
        .listener("idle_timeout = \"1s\"")
        .start();
    assert_allowed(&gateway, &gateway.client("clerk").get("/warm").unwrap());
    let before = resident_bytes(gateway.process_id());
    let mut slow = gateway.client("clerk").connect().unwrap();
    slow.send(format!("{}\r\n", head("GET", "/large")).as_bytes())
        .unwrap();
    // A byte now and then opens no window.
    let mut sipped = Instant::now();
    let mut most = before;
    wait_until("the slow reader to be cut off", || {
        if sipped.elapsed() > Duration::from_millis(250) {
            drop(slow.sip(1));
            sipped = Instant::now();
        }
        most = most.max(resident_bytes(gateway.process_id()));
        let live = gateway.client("clerk").get("/meanwhile").unwrap();
        assert_eq!(live.text(), "small", "others are served");
        let ends = gateway.audit().of_kind("end");
        ends.iter()
            .any(|record| field(record, "reason") == "client.slow")
    });
    let record = last_of(&gateway, "/large", "client.slow");
    assert_eq!(field(&record, "decision"), "aborted", "{record:#}");
    let grown = most.saturating_sub(before);
    assert!(grown < 16 << 20, "it held {grown} bytes");
}

#[test]
fn who_takes_an_answer_below_the_least_rate_is_cut_off() {
    let upstream = large();
    let gateway = gateway()
        .records(upstream.address())
        .listener("idle_timeout = \"2s\"")
        .listener("body_rate_min = \"1MiB\"")
        .start();
    let mut slow = gateway.client("clerk").connect().unwrap();
    slow.send(format!("{}\r\n", head("GET", "/large")).as_bytes())
        .unwrap();
    // Some at each look: never nothing for long, and never enough.
    wait_until("the slow reader to be cut off", || {
        drop(slow.sip(4 * 1024));
        let ends = gateway.audit().of_kind("end");
        ends.iter()
            .any(|record| field(record, "reason") == "client.slow")
    });
    last_of(&gateway, "/large", "client.slow");
}

#[test]
fn a_window_that_stays_shut_or_opens_byte_by_byte_ends_its_stream_and_no_other() {
    let upstream = large();
    let gateway = gateway()
        .records(upstream.address())
        .listener("idle_timeout = \"1s\"")
        .start();
    let mut client = gateway.client("clerk").connect_raw_h2().unwrap();
    let get = |path: &[u8], stream| {
        frame(
            HEADERS,
            END_HEADERS | END_STREAM,
            stream,
            &block(b"GET", path),
        )
    };
    client.send(&get(b"/large", 1)).unwrap();
    assert_eq!(client.next_answer().unwrap(), RawH2Answer::Status(200));
    let mut opened = Instant::now();
    wait_until("the stream to be cut off", || {
        if opened.elapsed() > Duration::from_millis(100) {
            for stream in [0, 1] {
                drop(client.send(&frame(WINDOW_UPDATE, 0, stream, &[0, 0, 0, 1])));
            }
            opened = Instant::now();
        }
        let ends = gateway.audit().of_kind("end");
        ends.iter()
            .any(|record| field(record, "reason") == "client.slow")
    });
    last_of(&gateway, "/large", "client.slow");
    let mut answer = client.next_answer().unwrap();
    while !matches!(answer, RawH2Answer::Reset(_)) {
        answer = client.next_answer().unwrap();
    }
    client
        .send(&frame(WINDOW_UPDATE, 0, 0, &[0, 1, 0, 0]))
        .unwrap();
    client.send(&get(b"/small", 3)).unwrap();
    assert_eq!(
        client.next_answer().unwrap(),
        RawH2Answer::Status(200),
        "the connection lives on"
    );
}

#[test]
fn a_connection_whose_answers_stall_one_after_the_other_is_ended() {
    let upstream = large();
    let gateway = gateway()
        .records(upstream.address())
        .listener("idle_timeout = \"1s\"")
        .start();
    let before = resident_bytes(gateway.process_id());
    let mut client = gateway.client("clerk").connect_raw_h2().unwrap();
    // The first takes the whole window of the connection, so that all stall.
    for stream in (1..80).step_by(2) {
        let get = block(b"GET", b"/large");
        client
            .send(&frame(HEADERS, END_HEADERS | END_STREAM, stream, &get))
            .unwrap();
    }
    let goaway = loop {
        match client.next_answer().unwrap() {
            RawH2Answer::GoAway(code) => break code,
            RawH2Answer::Status(200) | RawH2Answer::Reset(_) => {}
            other @ (RawH2Answer::Status(_) | RawH2Answer::Closed) => panic!("{other:?}"),
        }
    };
    assert_eq!(goaway, ENHANCE_YOUR_CALM);
    let labels = [("reason", "stall_flood")];
    gateway.wait_for_metric("hangu_http2_connections_ended_total", &labels, 1.0);
    gateway.audit().wait_for("the connection's end", |record| {
        field(record, "reason") == "edge.http2_flood"
    });
    let grown = resident_bytes(gateway.process_id()).saturating_sub(before);
    assert!(grown < 32 << 20, "{grown} bytes for 40 stalled answers");
    let neighbour = gateway.client("reader").get("/small").unwrap();
    assert_eq!(neighbour.status, 200);
}

#[test]
fn a_body_that_falls_silent_is_cut_long_before_the_application_gives_up() {
    let (gateway, upstream) = records_with(|world| world.listener("header_timeout = \"300ms\""));
    let begun = Instant::now();
    for framing in ["Content-Length: 1000", "Transfer-Encoding: chunked"] {
        let mut client = gateway.client("clerk").connect().unwrap();
        let request = format!("{}{framing}\r\n\r\n4\r\nhalf", head("POST", "/silent"));
        client.send(request.as_bytes()).unwrap();
        let response = client.read_response(true).unwrap();
        assert_refused_at(&gateway, &response, 408, "edge.body_timeout", "prpppp");
        client.expect_close().unwrap();
    }
    let mut client = gateway.client("clerk").connect_raw_h2().unwrap();
    client
        .send(&frame(
            HEADERS,
            END_HEADERS,
            1,
            &block(b"POST", b"/silent-h2"),
        ))
        .unwrap();
    client.send(&frame(0, 0, 1, b"half")).unwrap();
    assert!(matches!(
        client.next_answer().unwrap(),
        RawH2Answer::Reset(_)
    ));
    client
        .send(&frame(
            HEADERS,
            END_HEADERS | END_STREAM,
            3,
            &block(b"GET", b"/next"),
        ))
        .unwrap();
    assert_eq!(
        client.next_answer().unwrap(),
        RawH2Answer::Status(200),
        "the connection lives on"
    );
    let record = last_of(&gateway, "/silent-h2", "edge.body_timeout");
    assert_eq!(walked(&record), "prpppp", "{record:#}");
    let read_timeout = Duration::from_secs(30);
    assert!(begun.elapsed() < read_timeout, "{:?}", begun.elapsed());
    assert_eq!(upstream.count(), 1, "of the others it got no whole request");
    assert_eq!(gateway.metrics().sum("hangu_upstreams_out", &[]), 0.0);
}

#[test]
fn a_body_of_a_streaming_route_may_pause() {
    let upstream = HandUpstream::new();
    let records = Application::new("records")
        .route("prefix = \"/\", streaming = true")
        .upstream(upstream.address());
    let gateway = gateway()
        .application(records)
        .listener("header_timeout = \"100ms\"")
        .listener("body_rate_min = \"1MiB\"")
        .start();
    let mut client = gateway.client("clerk").connect().unwrap();
    let request = format!("{}Content-Length: 8\r\n\r\nhalf", head("POST", "/pause"));
    client.send(request.as_bytes()).unwrap();
    let mut application = upstream.accept();
    application.head();
    let begun = Instant::now();
    wait_until("a pause", || begun.elapsed() > Duration::from_millis(500));
    client.send(b"half").unwrap();
    assert_eq!(application.exactly(8).unwrap(), b"halfhalf");
    application
        .send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        .unwrap();
    assert_allowed(&gateway, &client.read_response(true).unwrap());
}

#[test]
fn an_answer_has_its_time_from_the_head_of_the_request_to_its_last_byte() {
    let upstream = HandUpstream::new();
    let records = Application::new("records")
        .key("response_timeout = \"700ms\"")
        .route("prefix = \"/\"")
        .route("prefix = \"/long\", response_timeout = \"1h\"")
        .health("failures = 1\nretry_after = \"1h\"")
        .upstream(upstream.address());
    let gateway = gateway().application(records).start();
    // Silent from the beginning.
    let mut client = gateway.client("clerk").connect().unwrap();
    client
        .send(format!("{}\r\n", head("GET", "/silent")).as_bytes())
        .unwrap();
    let mut application = upstream.accept();
    application.head();
    let response = client.read_response(true).unwrap();
    assert_refused_at(&gateway, &response, 504, "cloud.response_timeout", "ppprpp");
    let mut h2 = gateway.client("clerk").connect_h2().unwrap();
    let request = h2.get("/silent-h2");
    let mut stream = h2.stream(&request).unwrap();
    stream.finish().unwrap();
    let mut application = upstream.accept();
    application.head();
    assert_eq!(stream.head().unwrap().0, 504);
    last_of(&gateway, "/silent-h2", "cloud.response_timeout");
    // Never silent, and never done.
    let mut h1 = gateway.client("clerk").connect().unwrap();
    h1.send(format!("{}\r\n", head("GET", "/drip")).as_bytes())
        .unwrap();
    drip(&upstream);
    last_of(&gateway, "/drip", "cloud.response_timeout");
    let mut h2 = gateway.client("clerk").connect_h2().unwrap();
    let request = h2.get("/drip-h2");
    let mut stream = h2.stream(&request).unwrap();
    stream.finish().unwrap();
    drip(&upstream);
    last_of(&gateway, "/drip-h2", "cloud.response_timeout");
    // Begun, and silent ever since.
    let mut h2 = gateway.client("clerk").connect_h2().unwrap();
    let request = h2.get("/begun");
    let mut stream = h2.stream(&request).unwrap();
    stream.finish().unwrap();
    let mut application = upstream.accept();
    application.head();
    application
        .send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no")
        .unwrap();
    assert_eq!(stream.head().unwrap().0, 200);
    last_of(&gateway, "/begun", "cloud.response_timeout");
    // Elsewhere there is more time.
    let mut client = gateway.client("clerk").connect().unwrap();
    client
        .send(format!("{}\r\n", head("GET", "/long")).as_bytes())
        .unwrap();
    let mut application = upstream.accept();
    application.head();
    let begun = Instant::now();
    wait_until("the time to pass that others have", || {
        begun.elapsed() > Duration::from_millis(900)
    });
    application
        .send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        .unwrap();
    assert_allowed(&gateway, &client.read_response(true).unwrap());
}

/// An application that is never silent, and never done.
fn drip(upstream: &HandUpstream) {
    let mut application = upstream.accept();
    application.head();
    application
        .send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        .unwrap();
    wait_until("the answer to be cut off", || {
        application.send(b"1\r\nx\r\n").is_err()
    });
}

fn block(method: &[u8], path: &[u8]) -> Vec<u8> {
    header_block(&[
        (b":method", method),
        (b":scheme", b"https"),
        (b":authority", b"records.test"),
        (b":path", path),
    ])
}

const HEADERS: u8 = 1;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// RFC 9113 section 7.
const ENHANCE_YOUR_CALM: u32 = 11;
