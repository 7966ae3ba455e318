//! HTTP/2 connections that break the frame layer or flood: each ends, is counted once and leaves one record, and nobody else notices.

use hangu_tests::{RawH2, RawH2Answer, RunningGateway, frame, header_block};

use crate::support::{field, records, records_with};

const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const CANCEL: [u8; 4] = [0, 0, 0, 8];

fn good_block() -> Vec<u8> {
    header_block(&[
        (b":method", b"GET"),
        (b":scheme", b"https"),
        (b":authority", b"records.test"),
        (b":path", b"/"),
    ])
}

fn connect(gateway: &RunningGateway) -> RawH2 {
    gateway.client("clerk").connect_raw_h2().unwrap()
}

/// The end is counted under its reason and written down once.
#[track_caller]
fn assert_ended(gateway: &RunningGateway, answer: RawH2Answer, ending: &str, reason: &str) {
    assert!(
        matches!(answer, RawH2Answer::GoAway(_) | RawH2Answer::Closed),
        "{ending}: {answer:?}"
    );
    let detail = format!("the connection was ended: {ending}");
    let record = gateway
        .audit()
        .wait_for(ending, |record| field(record, "detail") == detail);
    assert_eq!(field(&record, "reason"), reason);
    assert_eq!(field(&record, "subject"), "spiffe://gov.test/clerk");
    let labels = [("listener", "edge"), ("reason", ending)];
    gateway.wait_for_metric("hangu_http2_connections_ended_total", &labels, 1.0);
    let counted = gateway
        .metrics()
        .sum("hangu_http2_connections_ended_total", &labels);
    assert!((counted - 1.0).abs() < f64::EPSILON, "{ending}: {counted}");
}

#[test]
fn floods_end_their_connection_and_no_other() {
    let (gateway, _upstream) = records();
    let mut neighbour = gateway.client("reader").connect_h2().unwrap();
    for (ending, before, one) in [
        ("ping_flood", Vec::new(), frame(PING, 0, 0, &[0; 8])),
        ("settings_flood", Vec::new(), frame(SETTINGS, 0, 0, &[])),
        (
            "empty_flood",
            frame(HEADERS, END_HEADERS, 1, &post_block()),
            frame(0, 0, 1, &[]),
        ),
        (
            "ignored_flood",
            Vec::new(),
            frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 7]),
        ),
        (
            "window_flood",
            Vec::new(),
            frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]),
        ),
        (
            "head_flood",
            frame(HEADERS, 0, 1, &[]),
            frame(CONTINUATION, 0, 1, &[0x82]),
        ),
    ] {
        let mut client = connect(&gateway);
        client.send(&before).unwrap();
        let answer = client.flood(&one, 20_000).unwrap();
        assert_ended(&gateway, answer, ending, "edge.http2_flood");
        let request = neighbour.get("/");
        assert_eq!(neighbour.send(&request).unwrap().status, 200, "{ending}");
    }
}

fn post_block() -> Vec<u8> {
    header_block(&[
        (b":method", b"POST"),
        (b":scheme", b"https"),
        (b":authority", b"records.test"),
        (b":path", b"/"),
    ])
}

#[test]
fn streams_that_are_opened_and_reset_at_once_end_the_connection() {
    let (gateway, _upstream) = records();
    let mut client = connect(&gateway);
    let block = good_block();
    for number in 0..2_000 {
        let stream = 1 + 2 * number;
        let open = frame(HEADERS, END_HEADERS | END_STREAM, stream, &block);
        let reset = frame(RST_STREAM, 0, stream, &CANCEL);
        if client.send(&[open, reset].concat()).is_err() {
            break;
        }
    }
    let answer = client.end().unwrap();
    assert!(
        matches!(answer, RawH2Answer::GoAway(_) | RawH2Answer::Closed),
        "{answer:?}"
    );
    // The HTTP/2 library may lose its patience before ours ends: it counts streams that nobody has looked at yet.
    let record = gateway.audit().wait_for("the end", |record| {
        field(record, "detail").starts_with("the connection was ended: ")
    });
    let ending = field(&record, "detail")
        .rsplit(' ')
        .next()
        .unwrap()
        .to_owned();
    assert!(ending == "reset_flood" || ending == "library", "{ending}");
}

#[test]
fn broken_frames_end_their_connection() {
    let (gateway, upstream) = records();
    for (ending, bytes) in [
        ("frame", frame(PING, 0, 0, &[0; 7])),
        (
            "compression",
            frame(HEADERS, END_HEADERS | END_STREAM, 1, &[0x80]),
        ),
        (
            "trailers",
            [
                frame(HEADERS, END_HEADERS, 1, &post_block()),
                frame(
                    HEADERS,
                    END_HEADERS | END_STREAM,
                    1,
                    &header_block(&[(b"content-length", b"9")]),
                ),
            ]
            .concat(),
        ),
    ] {
        let mut client = connect(&gateway);
        client.send(&bytes).unwrap();
        assert_ended(
            &gateway,
            client.end().unwrap(),
            ending,
            "edge.http2_malformed",
        );
    }
    // What only the library knows, such as DATA on a stream that was never opened, is told all the same.
    let mut client = connect(&gateway);
    client.send(&frame(0, END_STREAM, 7, b"x")).unwrap();
    assert_ended(
        &gateway,
        client.end().unwrap(),
        "library",
        "edge.http2_malformed",
    );
    assert_eq!(upstream.count(), 0);
}

#[test]
fn a_preface_that_is_none_ends_the_connection() {
    let (gateway, upstream) = records();
    let mut client = gateway.client("clerk").alpn(&["h2"]).connect().unwrap();
    client
        .send(b"GET / HTTP/1.1\r\nHost: records.test\r\n\r\n")
        .unwrap();
    client.expect_close().unwrap();
    gateway.wait_for_metric(
        "hangu_http2_connections_ended_total",
        &[("reason", "preface")],
        1.0,
    );
    assert_eq!(upstream.count(), 0);
}

#[test]
fn a_head_that_drips_over_http2_gains_no_time() {
    let (gateway, upstream) = records_with(|world| world.listener("header_timeout = \"200ms\""));
    for begun in [
        frame(HEADERS, END_STREAM, 3, &good_block()),
        frame(HEADERS, END_HEADERS | END_STREAM, 3, &good_block())[..20].to_vec(),
    ] {
        let mut client = connect(&gateway);
        let whole = frame(HEADERS, END_HEADERS | END_STREAM, 1, &good_block());
        client.send(&whole).unwrap();
        assert_eq!(client.next_answer().unwrap(), RawH2Answer::Status(200));
        client.send(&begun).unwrap();
        client.end().unwrap();
    }
    let labels = [("reason", "head_timeout")];
    gateway.wait_for_metric("hangu_http2_connections_ended_total", &labels, 2.0);
    let record = gateway.audit().wait_for("a late head", |record| {
        field(record, "reason") == "edge.head_timeout"
    });
    assert_eq!(
        field(&record, "detail"),
        "the connection was ended: head_timeout"
    );
    assert_eq!(upstream.count(), 2);
}

#[test]
fn a_body_of_another_length_than_declared_is_no_request_to_the_application() {
    let (gateway, upstream) = records();
    for body in [&b"four"[..], b"sixty6"] {
        let mut client = connect(&gateway);
        let block = [post_block(), header_block(&[(b"content-length", b"5")])].concat();
        client
            .send(&frame(HEADERS, END_HEADERS, 1, &block))
            .unwrap();
        client.send(&frame(0, END_STREAM, 1, body)).unwrap();
        let answer = client.next_answer().unwrap();
        assert!(
            !matches!(answer, RawH2Answer::Status(200..400)),
            "{answer:?}"
        );
    }
    let records = || {
        let all = gateway.audit().records();
        all.into_iter()
            .filter(|record| field(record, "kind") == "request")
            .collect::<Vec<_>>()
    };
    hangu_tests::wait_until("two records", || records().len() == 2);
    for record in records() {
        assert_eq!(
            field(&record, "reason"),
            "edge.body_malformed",
            "{record:#}"
        );
    }
    assert_eq!(upstream.count(), 0);
}
