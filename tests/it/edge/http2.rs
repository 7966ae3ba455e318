//! HTTP/2: the same walk, the same answers, and what only HTTP/2 lets a client say.

use hangu_tests::{Application, H2Connection, RawH2Answer, Response, RunningGateway, TestUpstream};

use hangu_gateway::denial::Denial;
use hangu_tests::wait_until;
use serde_json::Value;

use super::headers::assert_untouched_by;
use super::requests::AMBIGUOUS_PATHS;
use crate::support::{
    assert_allowed, assert_refused, field, gateway, records, records_with, walked,
};

#[test]
fn a_request_over_http2_walks_the_same_six_layers() {
    let (gateway, upstream) = records();
    let mut connection = gateway.client("clerk").connect_h2().unwrap();
    let request = connection
        .get("/residents/7?a=b")
        .body(b"hello")
        .method("POST");
    let response = connection.send(&request).unwrap();
    assert_allowed(&gateway, &response);
    let seen = upstream.last();
    assert_eq!(
        (seen.method.as_str(), seen.target.as_str()),
        ("POST", "/residents/7?a=b")
    );
    assert_eq!(seen.body, b"hello");
    assert_eq!(seen.fields.get("host"), Some("records.test"));
    assert_eq!(
        seen.fields.get("x-hangu-subject"),
        Some("spiffe://gov.test/clerk")
    );
    let record = gateway.audit().of_request(&response.request_id());
    assert_eq!(field(&record, "channel"), "TLSv1.3/h2");
}

#[test]
fn a_path_that_two_parsers_read_differently_is_refused_over_http2_too() {
    let (gateway, upstream) = records();
    let mut connection = gateway.client("clerk").connect_h2().unwrap();
    let mut tried = 0;
    // The client library cuts fragments off.
    for (path, why) in AMBIGUOUS_PATHS
        .iter()
        .filter(|(path, _)| !path.contains('#'))
    {
        // The client library itself refuses some; those are sent by hand below.
        let request = connection.get(path);
        let Ok(response) = connection.send(&request) else {
            continue;
        };
        tried += 1;
        assert_eq!(response.status, 400, "{why}: {path}");
        assert_refused(&gateway, &response, 400, "edge.path_ambiguous");
    }
    assert!(tried > 20, "only {tried} could be tried");
    assert_eq!(upstream.count(), 0);
}

#[test]
fn an_authority_that_is_not_the_name_of_the_session_is_misdirected() {
    let upstream = TestUpstream::named("both");
    let gateway = gateway()
        .records(upstream.address())
        .application(Application::new("other").upstream(upstream.address()))
        .start();
    let mut connection = gateway.client("clerk").connect_h2().unwrap();
    let request = connection.get("/").authority("other.test");
    assert_refused(
        &gateway,
        &connection.send(&request).unwrap(),
        421,
        "edge.host_mismatch",
    );
    for (hosts, status, reason) in [
        (&["other.test"][..], 421, "edge.host_mismatch"),
        (
            &["records.test", "records.test"],
            400,
            "edge.host_duplicate",
        ),
    ] {
        let request = hosts.iter().fold(connection.get("/"), |request, host| {
            request.field("host", host)
        });
        let response = connection.send(&request).unwrap();
        assert_refused(&gateway, &response, status, reason);
    }
    assert_eq!(upstream.count(), 0);
}

#[test]
fn claims_in_our_name_are_removed_over_http2_too() {
    let upstream = TestUpstream::named("records");
    let records = Application::new("records")
        .header("X-Client-Identity", "{san.uri}")
        .upstream(upstream.address());
    let gateway = gateway().application(records).start();
    let mut connection = gateway.client("clerk").connect_h2().unwrap();
    let mut request = connection.get("/").field("x-mine", "stays");
    for claim in [
        "x-hangu-subject",
        "x_hangu_subject",
        "x-hangu_tenant",
        "x-forwarded-for",
        "forwarded",
        "x-client_identity",
    ] {
        request = request.field(claim, "spiffe://gov.test/minister");
    }
    let response = connection.send(&request).unwrap();
    assert_allowed(&gateway, &response);
    assert_untouched_by(&upstream, "over HTTP/2", &response.request_id());
}

#[test]
fn cookies_that_came_in_several_fields_reach_the_application_in_one() {
    let (gateway, upstream) = records();
    let mut connection = gateway.client("clerk").connect_h2().unwrap();
    let request = ["a=1", "b=2; c=3", "d=4"]
        .iter()
        .fold(connection.get("/"), |request, cookie| {
            request.field("cookie", cookie)
        });
    assert_allowed(&gateway, &connection.send(&request).unwrap());
    let seen = upstream.last();
    assert_eq!(seen.fields.count("cookie"), 1, "{:?}", seen.fields);
    assert_eq!(seen.fields.get("cookie"), Some("a=1; b=2; c=3; d=4"));
}

#[test]
fn methods_bodies_and_heads_have_the_same_bounds_over_http2() {
    let upstream = TestUpstream::named("records");
    let records = Application::new("records")
        .key("request_body_max = \"1KiB\"")
        .upstream(upstream.address());
    let gateway = gateway()
        .application(records)
        .listener("headers_max = 20")
        .start();
    let mut connection = gateway.client("clerk").connect_h2().unwrap();
    let send = |connection: &mut H2Connection, method: &str, body: usize, fields: usize| {
        let mut request = connection.get("/").method(method).body(&vec![b'b'; body]);
        for number in 0..fields {
            request = request.field(&format!("x-{number}"), "1");
        }
        connection.send(&request).unwrap()
    };
    assert_refused(
        &gateway,
        &send(&mut connection, "TRACE", 0, 0),
        405,
        "edge.method_unknown",
    );
    assert_refused(
        &gateway,
        &send(&mut connection, "GET", 0, 40),
        431,
        "edge.head_too_large",
    );
    assert_eq!(upstream.count(), 0);
    let response: Response = send(&mut connection, "POST", 1025, 0);
    assert_eq!(response.status, 413);
    assert_eq!(upstream.count(), 0);
    assert_eq!(send(&mut connection, "POST", 1024, 0).status, 200);
}

#[test]
fn heads_that_no_library_would_send_reach_nobody() {
    let (gateway, upstream) = records();
    assert_eq!(
        raw(&gateway, &GOOD),
        RawH2Answer::Status(200),
        "by hand, but right"
    );
    assert_eq!(upstream.count(), 1);

    for (number, (what, reason, fields)) in (1..).zip(hostile_heads()) {
        let denial = denial(reason);
        assert_eq!(
            raw(&gateway, &fields),
            RawH2Answer::Status(denial.status()),
            "{what}"
        );
        assert_eq!(upstream.count(), 1, "{what}: {:?}", upstream.last());
        // One audit record and one count for each.
        let refused = |record: &Value| field(record, "decision") == "denied";
        let count = || {
            gateway
                .audit()
                .records()
                .iter()
                .filter(|record| refused(record))
                .count()
        };
        wait_until(what, || count() >= number);
        assert_eq!(count(), number, "{what}");
        let record = gateway.audit().wait_for(what, |record| {
            field(record, "reason") == reason && refused(record)
        });
        assert_eq!(walked(&record), "-r----", "{what}");
        assert_eq!(field(&record, "subject"), "spiffe://gov.test/clerk");
    }
}

fn denial(reason: &str) -> Denial {
    let found = Denial::ALL.iter().find(|denial| denial.code() == reason);
    *found.expect(reason)
}

type Field = (&'static [u8], &'static [u8]);

const GOOD: [Field; 4] = [
    (b":method", b"GET"),
    (b":scheme", b"https"),
    (b":authority", b"records.test"),
    (b":path", b"/"),
];

fn with(name: &'static [u8], value: &'static [u8]) -> Vec<Field> {
    GOOD.into_iter().chain([(name, value)]).collect()
}

fn instead(name: &'static [u8], value: &'static [u8]) -> Vec<Field> {
    GOOD.into_iter()
        .map(|own| if own.0 == name { (name, value) } else { own })
        .collect()
}

fn without(name: &'static [u8]) -> Vec<Field> {
    GOOD.into_iter().filter(|own| own.0 != name).collect()
}

#[rustfmt::skip]
fn hostile_heads() -> Vec<(&'static str, &'static str, Vec<Field>)> {
    let (malformed, path) = ("edge.head_malformed", "edge.path_ambiguous");
    let (host, framing) = ("edge.host_malformed", "edge.framing_ambiguous");
    vec![
        ("a capital in a name", malformed, with(b"X-Hangu-Subject", b"x")),
        ("a line break in a value", malformed, with(b"x-a", b"1\r\nx-hangu-subject: minister")),
        ("NUL in a value", malformed, with(b"x-a", b"1\0")),
        ("a space before a value", malformed, with(b"x-a", b" 1")),
        ("a line break in a name", malformed, with(b"x-a: 1\r\nx-b", b"2")),
        ("a field of the connection", malformed, with(b"connection", b"close")),
        ("a coding", malformed, with(b"transfer-encoding", b"chunked")),
        ("an upgrade", malformed, with(b"upgrade", b"websocket")),
        ("a coding that is not trailers", malformed, with(b"te", b"gzip")),
        ("a second path", malformed, with(b":path", b"/secret")),
        ("a second method", malformed, with(b":method", b"POST")),
        ("a second authority", malformed, with(b":authority", b"other.test")),
        ("an unknown pseudo-header", malformed, with(b":user", b"minister")),
        ("a pseudo-header of answers", malformed, with(b":status", b"200")),
        ("an extended CONNECT", malformed, with(b":protocol", b"websocket")),
        ("CONNECT", "edge.method_unknown", instead(b":method", b"CONNECT")),
        ("plain text by its scheme", malformed, instead(b":scheme", b"http")),
        ("no path", malformed, without(b":path")),
        ("no method", malformed, without(b":method")),
        ("no scheme", malformed, without(b":scheme")),
        ("no authority", "edge.host_missing", without(b":authority")),
        ("an empty path", path, instead(b":path", b"")),
        ("a path without a slash", path, instead(b":path", b"secret")),
        ("another server's path", path, instead(b":path", b"https://other.test/")),
        ("a space in the path", path, instead(b":path", b"/a b")),
        ("a line break in the path", path, instead(b":path", b"/ HTTP/1.1\r\nHost: other.test\r\n\r\n")),
        ("NUL in the path", path, instead(b":path", b"/secret\0")),
        ("a backslash in the path", path, instead(b":path", b"/open\\..\\secret")),
        ("dot segments", path, instead(b":path", b"/open/../secret")),
        ("a fragment", path, instead(b":path", b"/sealed/1#/../../open")),
        ("a line break in the authority", host, instead(b":authority", b"records.test\r\nx: y")),
        ("a user in the authority", host, instead(b":authority", b"minister@records.test")),
        ("a method with a space", malformed, instead(b":method", b"GET /secret")),
        ("a length that is none", framing, with(b"content-length", b"x")),
        ("a length without a body", framing, with(b"content-length", b"5")),
    ]
}

#[test]
fn a_head_list_over_its_bytes_is_refused_over_http2() {
    let (gateway, upstream) = records_with(|world| world.listener("header_bytes_max = \"2KiB\""));
    let long = [b'a'; 4000];
    let fields: [(&[u8], &[u8]); 5] = [
        (b":method", b"GET"),
        (b":scheme", b"https"),
        (b":authority", b"records.test"),
        (b":path", b"/"),
        (b"x-a", &long),
    ];
    assert_eq!(raw(&gateway, &fields), RawH2Answer::Status(431));
    assert_eq!(upstream.count(), 0);
}

#[test]
fn many_streams_of_one_connection_are_served() {
    let (gateway, upstream) = records();
    let mut connection = gateway.client("clerk").connect_h2().unwrap();
    for number in 0..50 {
        let request = connection.get(&format!("/{number}"));
        assert_eq!(connection.send(&request).unwrap().status, 200);
    }
    assert_eq!(upstream.count(), 50);
}

fn raw(gateway: &RunningGateway, fields: &[(&[u8], &[u8])]) -> RawH2Answer {
    gateway
        .client("clerk")
        .connect_raw_h2()
        .unwrap()
        .request(fields)
        .unwrap()
}
