//! Answers on their way back: whole, unchanged, and without what concerns only the connection to the application.

use hangu_tests::{Answer, Gate, TestUpstream, wait_until};

use super::serving;
use crate::support::{assert_allowed, field, gateway, head};

#[test]
fn an_application_that_closes_after_each_answer_fails_nobody() {
    let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec();
    let upstream = TestUpstream::answering(move |_| Answer::Raw(whole.clone()));
    let gateway = serving(&[upstream.address()], |application| application);
    let mut connection = gateway.client("clerk").connect().unwrap();
    for number in 0..30 {
        let response = connection.get(&format!("/{number}")).unwrap();
        assert_eq!(
            (response.status, response.text().as_str()),
            (200, "ok"),
            "request {number}"
        );
    }
    assert_eq!(upstream.count(), 30, "each was sent once");
    assert_eq!(gateway.metrics().sum("hangu_upstreams_out", &[]), 0.0);
}

#[test]
fn a_large_answer_arrives_whole_over_both_versions_of_http() {
    let large: Vec<u8> = (0..3_000_000_u32)
        .map(|number| u8::try_from(number % 251).unwrap())
        .collect();
    let body = large.clone();
    let upstream = TestUpstream::answering(move |_| Answer::Reply(200, Vec::new(), body.clone()));
    let gateway = serving(&[upstream.address()], |application| application);
    let response = gateway.client("clerk").get("/large").unwrap();
    assert!(response.body == large, "{} bytes", response.body.len());
    let record = gateway.audit().of_request(&response.request_id());
    assert_eq!(record["bytes_out"], 3_000_000);
    let mut connection = gateway.client("clerk").connect_h2().unwrap();
    let request = connection.get("/large");
    let response = connection.send(&request).unwrap();
    assert!(response.body == large, "{} bytes", response.body.len());
}

#[test]
fn a_chunked_answer_and_one_without_a_length_arrive_whole() {
    for (what, raw) in [
        ("chunked", &b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n"[..]),
        ("until close", b"HTTP/1.1 200 OK\r\n\r\nabcdef"),
        ("HTTP/1.0", b"HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\nabcdef"),
        ("after interim answers", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabcdef"),
    ] {
        let raw = raw.to_vec();
        let upstream = TestUpstream::answering(move |_| Answer::Raw(raw.clone()));
        let gateway = serving(&[upstream.address()], |application| application);
        let response = gateway.client("clerk").get("/").unwrap_or_else(|error| panic!("{what}: {error:?}"));
        assert_eq!((response.status, response.text().as_str()), (200, "abcdef"), "{what}");
        assert_allowed(&gateway, &response);
    }
}

#[test]
fn answers_without_a_body_leave_the_connection_in_step() {
    let upstream = TestUpstream::answering(|request| match request.target.as_str() {
        "/204" => Answer::Raw(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()),
        "/304" => Answer::Raw(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n".to_vec()),
        _ => Answer::ok("body"),
    });
    let gateway = serving(&[upstream.address()], |application| application);
    let mut connection = gateway.client("clerk").connect().unwrap();
    for (path, status, text) in [
        ("/204", 204, ""),
        ("/200", 200, "body"),
        ("/304", 304, ""),
        ("/200", 200, "body"),
    ] {
        let response = connection
            .get(path)
            .unwrap_or_else(|error| panic!("{path}: {error:?}"));
        assert_eq!(
            (response.status, response.text().as_str()),
            (status, text),
            "{path}"
        );
    }
}

#[test]
fn answers_without_a_body_end_their_streams_over_http2_too() {
    let upstream = TestUpstream::answering(|request| match request.target.as_str() {
        "/204" => Answer::Raw(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()),
        "/304" => Answer::Raw(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\n\r\n".to_vec()),
        _ => Answer::ok("body"),
    });
    let gateway = serving(&[upstream.address()], |application| application);
    let mut connection = gateway.client("clerk").connect_h2().unwrap();
    for (method, path, status, text) in [
        ("GET", "/204", 204, ""),
        ("HEAD", "/200", 200, ""),
        ("GET", "/304", 304, ""),
        ("HEAD", "/304", 304, ""),
        ("GET", "/200", 200, "body"),
    ] {
        let request = connection.get(path).method(method);
        let response = connection
            .send(&request)
            .unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        let got = (response.status, response.text());
        assert_eq!(got, (status, text.to_owned()), "{method} {path}");
        if method == "HEAD" && status == 200 {
            assert_eq!(response.fields.get("content-length"), Some("4"));
        }
    }
}

#[test]
fn fields_of_the_applications_connection_stop_at_the_gateway() {
    let raw = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: X-Internal\r\nX-Internal: 10.0.0.7\r\n\
        Keep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\nX-App: 1\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\nok";
    let upstream = TestUpstream::answering(|_| Answer::Raw(raw.to_vec()));
    let gateway = serving(&[upstream.address()], |application| application);
    let response = gateway.client("clerk").get("/").unwrap();
    assert_eq!(response.text(), "ok");
    for name in ["x-internal", "keep-alive", "proxy-authenticate"] {
        assert_eq!(
            response.fields.count(name),
            0,
            "{name} in {:?}",
            response.fields
        );
    }
    assert_eq!(response.fields.get("x-app"), Some("1"));
    assert_eq!(response.fields.count("set-cookie"), 2);
}

#[test]
fn an_answer_with_two_lengths_reaches_nobody() {
    for raw in [
        &b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!"[..],
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ] {
        let raw = raw.to_vec();
        let upstream = TestUpstream::answering(move |_| Answer::Raw(raw.clone()));
        let gateway = serving(&[upstream.address()], |application| application);
        if let Ok(response) = gateway.client("clerk").get("/") {
            let lengths = response.fields.count("content-length") + response.fields.count("transfer-encoding");
            assert!(lengths <= 1, "two lengths were passed on: {response:?}");
            assert!(response.status == 502 || response.text() == "ok", "{response:?}");
        }
    }
}

#[test]
fn a_client_that_leaves_before_its_answer_is_written_down_as_gone() {
    let gate = Gate::new();
    let held = gate.clone();
    let large = vec![b'x'; 4_000_000];
    let upstream = TestUpstream::answering(move |_| {
        Answer::Reply(200, Vec::new(), large.clone()).held_by(&held)
    });
    let gateway = serving(&[upstream.address()], |application| application);
    let mut connection = gateway.client("clerk").connect().unwrap();
    connection
        .send(format!("{}\r\n", head("GET", "/left")).as_bytes())
        .unwrap();
    wait_until("the request to be held", || gate.held() == 1);
    connection.abort();
    gate.open();
    let mut record = gateway.audit().wait_for("the one who left", |record| {
        field(record, "path") == "/left"
    });
    if field(&record, "decision") == "allowed" {
        // The answer came before the gateway heard of it.
        record = gateway.audit().end_of_request(field(&record, "request_id"));
    }
    assert_eq!(
        (field(&record, "decision"), field(&record, "reason")),
        ("aborted", "client.gone"),
        "{record:#}"
    );
}

#[test]
fn a_request_that_expects_to_be_told_to_continue_is_served() {
    let upstream = TestUpstream::named("records");
    let gateway = gateway().records(upstream.address()).start();
    let mut connection = gateway.client("clerk").connect().unwrap();
    let request = format!(
        "{}Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
        head("POST", "/")
    );
    let response = connection.exchange(request.as_bytes()).unwrap();
    assert_allowed(&gateway, &response);
    assert_eq!(upstream.last().body, b"hello");
}
