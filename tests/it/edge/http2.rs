//! HTTP/2: the same walk, the same answers, and what only HTTP/2 lets a client say.

use hangu_tests::{Application, H2Connection, RawH2Answer, Response, RunningGateway, TestUpstream};

use super::headers::assert_untouched_by;
use super::requests::AMBIGUOUS_PATHS;
use crate::support::{assert_allowed, assert_refused, field, gateway, records, records_with};

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
    // Pingora's own answer: it comes before the gateway sees a request.
    for hosts in [&["other.test"][..], &["records.test", "records.test"]] {
        let request = hosts.iter().fold(connection.get("/"), |request, host| {
            request.field("host", host)
        });
        assert_eq!(connection.send(&request).unwrap().status, 400, "{hosts:?}");
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
        501,
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

    for (what, fields) in hostile_heads() {
        let answer = raw(&gateway, &fields);
        let refused = match answer {
            RawH2Answer::Status(status) => (400..500).contains(&status) || status == 501,
            RawH2Answer::Reset(_) | RawH2Answer::GoAway(_) | RawH2Answer::Closed => true,
        };
        assert!(refused, "{what}: {answer:?}");
        assert_eq!(upstream.count(), 1, "{what}: {:?}", upstream.last());
    }
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

fn hostile_heads() -> Vec<(&'static str, Vec<Field>)> {
    vec![
        ("a capital in a name", with(b"X-Hangu-Subject", b"x")),
        (
            "a line break in a value",
            with(b"x-a", b"1\r\nx-hangu-subject: minister"),
        ),
        ("NUL in a value", with(b"x-a", b"1\0")),
        ("a line break in a name", with(b"x-a: 1\r\nx-b", b"2")),
        ("a field of the connection", with(b"connection", b"close")),
        ("a coding", with(b"transfer-encoding", b"chunked")),
        ("a second path", with(b":path", b"/secret")),
        ("a second method", with(b":method", b"POST")),
        ("a second authority", with(b":authority", b"other.test")),
        ("an unknown pseudo-header", with(b":user", b"minister")),
        ("a pseudo-header of answers", with(b":status", b"200")),
        ("no path", without(b":path")),
        ("no method", without(b":method")),
        ("an empty path", instead(b":path", b"")),
        ("a path without a slash", instead(b":path", b"secret")),
        ("a space in the path", instead(b":path", b"/a b")),
        (
            "a line break in the path",
            instead(b":path", b"/ HTTP/1.1\r\nHost: other.test\r\n\r\n"),
        ),
        ("NUL in the path", instead(b":path", b"/secret\0")),
        (
            "a backslash in the path",
            instead(b":path", b"/open\\..\\secret"),
        ),
        ("dot segments", instead(b":path", b"/open/../secret")),
        (
            "a line break in the authority",
            instead(b":authority", b"records.test\r\nx: y"),
        ),
        (
            "a user in the authority",
            instead(b":authority", b"minister@records.test"),
        ),
        ("a method with a space", instead(b":method", b"GET /secret")),
        ("a length that is none", with(b"content-length", b"x")),
        ("a length without a body", with(b"content-length", b"5")),
    ]
}

#[test]
fn a_fragment_is_cut_off_before_the_path_is_judged_and_stays_cut_off() {
    let (gateway, upstream) = records();
    let fields: [(&[u8], &[u8]); 4] = [
        (b":method", b"GET"),
        (b":scheme", b"https"),
        (b":authority", b"records.test"),
        (b":path", b"/sealed/1#/../../open"),
    ];
    assert_eq!(raw(&gateway, &fields), RawH2Answer::Status(403));
    assert_eq!(upstream.count(), 0);
    let record = gateway.audit().wait_for("the sealed record", |record| {
        field(record, "path") == "/sealed/1"
    });
    assert_eq!(field(&record, "reason"), "application.explicit_deny");
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
    let answer = raw(&gateway, &fields);
    assert_ne!(answer, RawH2Answer::Status(200));
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
