//! A body that stops, or is none: its client's affair alone.

use hangu_tests::{Application, TestUpstream, wait_until};

use crate::support::{
    assert_allowed, assert_refused, assert_refused_at, field, gateway, head, records,
};

#[test]
fn clients_that_stop_in_the_middle_of_their_bodies_take_the_upstream_from_nobody() {
    const FAILURES: usize = 3;
    let upstream = TestUpstream::named("records");
    let records = Application::new("records")
        .key("read_timeout = \"1s\"")
        .health(&format!("failures = {FAILURES}\nretry_after = \"1h\""))
        .upstream(upstream.address());
    let gateway = gateway().application(records).start();
    let begun = format!("{}Content-Length: 1000\r\n\r\nhalf", head("POST", "/half"));
    let mut halting: Vec<_> = (0..FAILURES)
        .map(|_| gateway.client("clerk").connect().unwrap())
        .collect();
    for connection in &mut halting {
        connection.send(begun.as_bytes()).unwrap();
    }
    let response = gateway.client("clerk").get("/meanwhile").unwrap();
    assert_allowed(&gateway, &response);
    for connection in &mut halting {
        // It may also be closed without a word.
        if let Ok(response) = connection.read_response(true) {
            assert_refused_at(&gateway, &response, 408, "edge.body_timeout", "prpppp");
        }
    }
    let timed_out = || {
        let requests = gateway.audit().of_kind("request");
        let all = requests
            .iter()
            .filter(|record| field(record, "reason") == "edge.body_timeout");
        all.count()
    };
    wait_until("the records of all who stopped", || timed_out() == FAILURES);
    assert_eq!(upstream.count(), 1, "of theirs it got no whole request");
    let response = gateway.client("clerk").get("/").unwrap();
    assert_allowed(&gateway, &response);
    assert_eq!(gateway.metrics().sum("hangu_upstreams_out", &[]), 0.0);
}

#[test]
fn a_chunk_that_is_none_is_written_down_and_reaches_no_application_as_a_request() {
    for (what, chunk) in [
        ("no number", "zz\r\nhalf\r\n0\r\n\r\n"),
        ("a negative number", "-4\r\nhalf\r\n0\r\n\r\n"),
        ("an extension", "4;a=b\r\nhalf\r\n0\r\n\r\n"),
        ("a bare line feed", "4\nhalf\r\n0\r\n\r\n"),
        ("no size", "\r\n\r\n"),
        ("a length as a trailer", "0\r\nContent-Length: 3\r\n\r\n"),
        (
            "a number without end",
            "fffffffffffffffff\r\nhalf\r\n0\r\n\r\n",
        ),
    ] {
        let (gateway, upstream) = records();
        let request = format!(
            "{}Transfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n{chunk}",
            head("POST", "/chunked")
        );
        let mut connection = gateway.client("clerk").connect().unwrap();
        // The answer may be lost with what was still on its way.
        if let Ok(response) = connection.exchange(request.as_bytes()) {
            assert_eq!(response.status, 400, "{what}");
        }
        let record = gateway
            .audit()
            .wait_for(what, |record| field(record, "path") == "/chunked");
        assert_eq!(
            field(&record, "reason"),
            "edge.body_malformed",
            "{what}: {record:#}"
        );
        assert_eq!(upstream.count(), 0, "{what}");
        assert_eq!(gateway.client("clerk").get("/").unwrap().status, 200);
    }
}

#[test]
fn what_follows_a_chunked_body_is_the_next_request_and_is_judged() {
    let (gateway, upstream) = records();
    let mut connection = gateway.client("clerk").connect().unwrap();
    let both = format!(
        "{}Transfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n0\r\nX-Sum: 1\r\n\r\n{}\r\n",
        head("POST", "/first"),
        head("GET", "/sealed/second")
    );
    assert_eq!(connection.exchange(both.as_bytes()).unwrap().status, 200);
    let second = connection.read_response(true).unwrap();
    assert_eq!(second.status, 403, "{second:?}");
    assert_eq!(upstream.count(), 1);
    assert_eq!(upstream.last().body, b"good");
}

#[test]
fn what_follows_a_request_to_leave_http_is_no_request_and_no_tunnel_before_the_application_agrees()
{
    let (gateway, upstream) = records();
    let upgrade = format!(
        "{}Connection: upgrade\r\nUpgrade: websocket\r\n",
        head("GET", "/socket")
    );
    let smuggled = format!("{}\r\n", head("GET", "/smuggled"));
    let mut connection = gateway.client("clerk").connect().unwrap();
    let answer = connection.exchange(format!("{upgrade}\r\n{smuggled}").as_bytes());
    assert_eq!(answer.unwrap().status, 200, "the application did not agree");
    // The rest is judged as a request, or the connection ends: never is it passed on unseen.
    if let Ok(next) = connection.read_response(true) {
        assert_allowed(&gateway, &next);
    }
    for seen in upstream.seen() {
        assert!(seen.body.is_empty(), "{seen:?}");
        assert!(seen.fields.get("x-hangu-subject").is_some(), "{seen:?}");
    }
    let with_body = format!("{upgrade}Content-Length: 4\r\n\r\nbody");
    let response = gateway
        .client("clerk")
        .exchange(with_body.as_bytes())
        .unwrap();
    assert_refused(&gateway, &response, 400, "edge.framing_ambiguous");
}

#[test]
fn an_expectation_is_passed_on_when_it_is_known() {
    let (gateway, upstream) = records();
    let expecting = |what: &str| {
        let request = format!(
            "{}Expect: {what}\r\nContent-Length: 4\r\n\r\nbody",
            head("POST", "/")
        );
        gateway
            .client("clerk")
            .exchange(request.as_bytes())
            .unwrap()
    };
    assert_allowed(&gateway, &expecting("100-Continue"));
    assert_eq!(upstream.last().body, b"body");
    for unknown in ["200-ok", "100-continue, other", "100-continue;q=1", ""] {
        let response = expecting(unknown);
        assert_refused(&gateway, &response, 417, "edge.expectation_unknown");
    }
    assert_eq!(upstream.count(), 1);
}
