//! A limit on everything: bytes, fields and time of a head, bytes of a body.

use hangu_tests::{Application, ClientError, TestUpstream, wait_until};

use crate::support::{
    assert_refused, assert_refused_at, field, first, gateway, head, records_with, walked,
};

#[test]
fn a_head_over_its_bounds_is_refused() {
    let (gateway, upstream) = records_with(|world| {
        world
            .listener("headers_max = 10")
            .listener("header_bytes_max = \"2KiB\"")
    });
    let client = gateway.client("clerk");
    let fields = |count: usize| {
        (1..count)
            .map(|number| format!("X-{number}: 1\r\n"))
            .collect::<String>()
    };
    let many = format!("{}{}\r\n", head("GET", "/"), fields(11));
    assert_refused(
        &gateway,
        &client.exchange(many.as_bytes()).unwrap(),
        431,
        "edge.head_too_large",
    );
    let long = format!("{}X-A: {}\r\n\r\n", head("GET", "/"), "a".repeat(2048));
    assert_refused(
        &gateway,
        &client.exchange(long.as_bytes()).unwrap(),
        431,
        "edge.head_too_large",
    );
    let endless = format!("{}X-A: {}", head("GET", "/"), "a".repeat(8192));
    assert_refused(
        &gateway,
        &client.exchange(endless.as_bytes()).unwrap(),
        431,
        "edge.head_too_large",
    );
    assert_eq!(upstream.count(), 0);

    let just = format!("{}{}\r\n", head("GET", "/"), fields(10));
    assert_eq!(
        client.exchange(just.as_bytes()).unwrap().status,
        200,
        "ten fields are ten"
    );
}

#[test]
fn a_target_that_is_too_long_is_refused() {
    let (gateway, upstream) = records_with(|world| world.listener("header_bytes_max = \"64KiB\""));
    let client = gateway.client("clerk");
    let long = "a".repeat(8 * 1024);
    for target in [format!("/{long}"), format!("/?{long}a")] {
        assert_refused(
            &gateway,
            &client.get(&target).unwrap(),
            414,
            "edge.path_too_long",
        );
    }
    assert_eq!(upstream.count(), 0);
}

#[test]
fn a_head_that_does_not_come_is_not_waited_for() {
    let (gateway, upstream) = records_with(|world| world.listener("header_timeout = \"200ms\""));
    let mut connection = gateway.client("clerk").connect().unwrap();
    let response = connection.exchange(b"GET / HTTP/1.1\r\nHost: rec").unwrap();
    assert_refused(&gateway, &response, 408, "edge.head_timeout");
    connection.expect_close().unwrap();
    assert_eq!(upstream.count(), 0);
}

#[test]
fn a_head_that_drips_gains_no_time() {
    let (gateway, upstream) = records_with(|world| world.listener("header_timeout = \"300ms\""));
    let mut connection = gateway.client("clerk").connect().unwrap();
    connection.send(head("GET", "/").as_bytes()).unwrap();
    wait_until("the gateway to give up", || connection.send(b"a").is_err());
    let record = gateway.audit().wait_for("the dripped head", |record| {
        field(record, "reason") == "edge.head_timeout"
    });
    assert_eq!(walked(&record), "-r----");
    assert_eq!(upstream.count(), 0);
}

#[test]
fn a_connection_that_says_nothing_is_closed_without_a_word() {
    let (gateway, _upstream) = records_with(|world| world.listener("idle_timeout = \"1s\""));
    let mut connection = gateway.client("clerk").connect().unwrap();
    assert_eq!(connection.get("/").unwrap().status, 200);
    connection.expect_close().unwrap();
    let requests = gateway.audit().of_kind("request");
    assert_eq!(requests.len(), 1, "silence is not a request: {requests:#?}");
}

#[test]
fn a_body_over_the_bound_of_its_application_is_refused() {
    let upstream = TestUpstream::named("records");
    let records = Application::new("records")
        .key("request_body_max = \"1KiB\"")
        .upstream(upstream.address());
    let gateway = gateway().application(records).start();
    let client = gateway.client("clerk");
    let body = "b".repeat(1025);
    let declared = format!("{}Content-Length: 1025\r\n\r\n{body}", head("POST", "/"));
    assert_refused(
        &gateway,
        &client.exchange(declared.as_bytes()).unwrap(),
        413,
        "edge.body_too_large",
    );
    assert_eq!(upstream.count(), 0);

    let chunked = format!(
        "{}Transfer-Encoding: chunked\r\n\r\n401\r\n{body}\r\n0\r\n\r\n",
        head("POST", "/")
    );
    let response = client.exchange(chunked.as_bytes()).unwrap();
    assert_refused_at(&gateway, &response, 413, "edge.body_too_large", "prpppp");
    assert_eq!(
        upstream.count(),
        0,
        "the application never got a whole request"
    );

    let just = format!(
        "{}Content-Length: 1024\r\n\r\n{}",
        head("POST", "/"),
        first(&body, 1024)
    );
    assert_eq!(client.exchange(just.as_bytes()).unwrap().status, 200);
}

#[test]
fn a_client_that_leaves_in_the_middle_of_its_body_is_written_down_as_gone() {
    let (gateway, upstream) = records_with(|world| world);
    let mut connection = gateway.client("clerk").connect().unwrap();
    connection
        .send(format!("{}Content-Length: 1000\r\n\r\nhalf", head("POST", "/left")).as_bytes())
        .unwrap();
    wait_until("the request to be on its way", || {
        upstream.connections() > 0
    });
    connection.abort();
    let record = gateway.audit().wait_for("the one who left", |record| {
        field(record, "path") == "/left"
    });
    assert_eq!(
        (field(&record, "decision"), field(&record, "reason")),
        ("aborted", "client.gone"),
        "{record:#}"
    );
    assert_eq!(upstream.count(), 0);
}

#[test]
fn an_endless_stream_of_small_requests_on_one_connection_is_served() {
    let (gateway, upstream) = records_with(|world| world);
    let mut connection = gateway.client("clerk").connect().unwrap();
    for number in 0..300 {
        let response = connection
            .get(&format!("/{number}"))
            .unwrap_or_else(|error: ClientError| panic!("{number}: {error:?}"));
        assert_eq!(response.status, 200);
    }
    assert_eq!(upstream.count(), 300);
    assert!(
        upstream.connections() < 30,
        "connections to the application are reused: {}",
        upstream.connections()
    );
}
