//! A body that stops, or is none: its client's affair alone.

use hangu_tests::{Application, TestUpstream, wait_until};

use crate::support::{assert_allowed, assert_refused_at, field, gateway, head, records};

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
