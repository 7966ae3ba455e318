//! Requests that two parsers could read differently, and those that everybody reads alike.

use hangu_tests::Answer;

use crate::support::{assert_allowed, assert_refused, field, gateway, head, records};

#[test]
fn a_head_that_is_not_right_in_every_byte_is_refused_and_its_connection_closed() {
    let (gateway, upstream) = records();
    let client = gateway.client("clerk");
    for (what, request, status, reason) in HOSTILE_HEADS {
        let mut connection = client.connect().unwrap();
        let response = connection
            .exchange(request.as_bytes())
            .unwrap_or_else(|error| panic!("{what}: {error:?}"));
        assert_eq!(response.status, *status, "{what}");
        assert_refused(&gateway, &response, *status, reason);
        assert_eq!(response.fields.get("connection"), Some("close"), "{what}");
        connection
            .expect_close()
            .unwrap_or_else(|error| panic!("{what}: still open, {error:?}"));
    }
    assert_eq!(upstream.count(), 0, "nothing may reach the application");
}

const HOSTILE_HEADS: &[(&str, &str, u16, &str)] = &[
    (
        "both lengths",
        "POST / HTTP/1.1\r\nHost: records.test\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
        "edge.framing_ambiguous",
    ),
    (
        "two lengths",
        "POST / HTTP/1.1\r\nHost: records.test\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcd",
        400,
        "edge.framing_ambiguous",
    ),
    (
        "a list of lengths",
        "POST / HTTP/1.1\r\nHost: records.test\r\nContent-Length: 4, 4\r\n\r\nabcd",
        400,
        "edge.framing_ambiguous",
    ),
    (
        "a signed length",
        "POST / HTTP/1.1\r\nHost: records.test\r\nContent-Length: +4\r\n\r\nabcd",
        400,
        "edge.framing_ambiguous",
    ),
    (
        "a coding that only some know",
        "POST / HTTP/1.1\r\nHost: records.test\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        400,
        "edge.framing_ambiguous",
    ),
    (
        "a list of codings",
        "POST / HTTP/1.1\r\nHost: records.test\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        400,
        "edge.framing_ambiguous",
    ),
    (
        "a coding in HTTP/1.0",
        "POST / HTTP/1.0\r\nHost: records.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
        "edge.framing_ambiguous",
    ),
    (
        "a space before the colon",
        "GET / HTTP/1.1\r\nHost : records.test\r\n\r\n",
        400,
        "edge.head_malformed",
    ),
    (
        "a folded line",
        "GET / HTTP/1.1\r\nHost: records.test\r\nX-A: 1\r\n 2\r\n\r\n",
        400,
        "edge.head_malformed",
    ),
    (
        "a bare line feed",
        "GET / HTTP/1.1\r\nHost: records.test\r\nX-A: 1\nX-B: 2\r\n\r\n",
        400,
        "edge.head_malformed",
    ),
    (
        "a bare carriage return",
        "GET / HTTP/1.1\r\nHost: records.test\r\nX-A: 1\rX-B: 2\r\n\r\n",
        400,
        "edge.head_malformed",
    ),
    (
        "NUL in a value",
        "GET / HTTP/1.1\r\nHost: records.test\r\nX-A: 1\0\r\n\r\n",
        400,
        "edge.head_malformed",
    ),
    (
        "NUL in the target",
        "GET /a\0b HTTP/1.1\r\nHost: records.test\r\n\r\n",
        400,
        "edge.path_ambiguous",
    ),
    (
        "no colon",
        "GET / HTTP/1.1\r\nHost: records.test\r\nX-A\r\n\r\n",
        400,
        "edge.head_malformed",
    ),
    (
        "a name that is no token",
        "GET / HTTP/1.1\r\nHost: records.test\r\nX(A): 1\r\n\r\n",
        400,
        "edge.head_malformed",
    ),
    (
        "two spaces in the request line",
        "GET  / HTTP/1.1\r\nHost: records.test\r\n\r\n",
        400,
        "edge.head_malformed",
    ),
    (
        "no version",
        "GET /\r\nHost: records.test\r\n\r\n",
        400,
        "edge.head_malformed",
    ),
    (
        "a version that is none",
        "GET / HTTP/1.x\r\nHost: records.test\r\n\r\n",
        400,
        "edge.version_unsupported",
    ),
    (
        "the next version in plain",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        400,
        "edge.version_unsupported",
    ),
    (
        "no Host",
        "GET / HTTP/1.1\r\nX-A: 1\r\n\r\n",
        400,
        "edge.host_missing",
    ),
    (
        "two Hosts",
        "GET / HTTP/1.1\r\nHost: records.test\r\nHost: records.test\r\n\r\n",
        400,
        "edge.host_duplicate",
    ),
    (
        "two Hosts in two spellings",
        "GET / HTTP/1.1\r\nHost: records.test\r\nhOST: other.test\r\n\r\n",
        400,
        "edge.host_duplicate",
    ),
];

/// A request with this byte in some place.
type With = fn(&[u8]) -> Vec<u8>;

#[test]
fn whatever_byte_stands_anywhere_the_answer_is_ours_and_written_down() {
    let (gateway, upstream) = records();
    let client = gateway.client("clerk");
    let places: [(&str, With); 6] = [
        ("method", |byte| {
            [b"G", byte, b"T / HTTP/1.1\r\nHost: records.test\r\n\r\n"].concat()
        }),
        ("path", |byte| {
            [b"GET /a", byte, b"b HTTP/1.1\r\nHost: records.test\r\n\r\n"].concat()
        }),
        ("query", |byte| {
            [
                b"GET /a?b",
                byte,
                b"c HTTP/1.1\r\nHost: records.test\r\n\r\n",
            ]
            .concat()
        }),
        ("host", |byte| {
            [b"GET / HTTP/1.1\r\nHost: records", byte, b"test\r\n\r\n"].concat()
        }),
        ("field name", |byte| {
            [
                b"GET / HTTP/1.1\r\nHost: records.test\r\nX",
                byte,
                b"A: 1\r\n\r\n",
            ]
            .concat()
        }),
        ("field value", |byte| {
            [
                b"GET / HTTP/1.1\r\nHost: records.test\r\nX-A: 1",
                byte,
                b"2\r\n\r\n",
            ]
            .concat()
        }),
    ];
    let mut ids = std::collections::BTreeSet::new();
    for (place, request) in places {
        for byte in (0..=0x80).chain([0xa0, 0xad, 0xc3, 0xff]) {
            let what = format!("byte {byte:#04x} in the {place}");
            let response = client
                .exchange(&request(&[byte]))
                .unwrap_or_else(|error| panic!("{what}: {error:?}"));
            assert_eq!(response.fields.get("server"), None, "{what}: {response:?}");
            ids.insert(response.request_id());
        }
    }
    assert_eq!(ids.len(), 6 * 133);
    hangu_tests::wait_until("a record for each", || {
        gateway.audit().of_kind("request").len() == ids.len()
    });
    for seen in upstream.seen() {
        assert!(
            seen.head
                .iter()
                .all(|byte| *byte == b'\r' || *byte == b'\n' || *byte == b'\t' || *byte >= b' '),
            "{seen:?}"
        );
    }
}

#[test]
fn a_bare_line_feed_ends_no_head() {
    let (gateway, upstream) = records_with_short_deadline();
    let mut connection = gateway.client("clerk").connect().unwrap();
    let response = connection
        .exchange(b"GET / HTTP/1.1\nHost: records.test\n\n")
        .unwrap();
    assert_refused(&gateway, &response, 408, "edge.head_timeout");
    assert_eq!(upstream.count(), 0);
}

fn records_with_short_deadline() -> (hangu_tests::RunningGateway, hangu_tests::TestUpstream) {
    crate::support::records_with(|world| world.listener("header_timeout = \"200ms\""))
}

#[test]
fn a_path_that_two_parsers_read_differently_is_refused() {
    let (gateway, upstream) = records();
    let client = gateway.client("clerk");
    for (path, why) in AMBIGUOUS_PATHS {
        let response = client
            .get(path)
            .unwrap_or_else(|error| panic!("{why}: {error:?}"));
        assert_eq!(response.status, 400, "{why}: {path}");
        assert_refused(&gateway, &response, 400, "edge.path_ambiguous");
    }
    assert_eq!(upstream.count(), 0, "nothing may reach the application");
}

/// Each of these has been a way around some access control. All are well formed for HTTP itself.
pub(super) const AMBIGUOUS_PATHS: &[(&str, &str)] = &[
    ("/open/../secret", "dot segments"),
    ("/open/./a", "a single dot"),
    ("/open/..", "dot segments at the end"),
    ("/open/%2e%2e/secret", "encoded dots"),
    ("/open/.%2e/secret", "half-encoded dots"),
    ("/open/%2E%2E%2Fsecret", "encoded dots and slash"),
    ("/open%2f..%2fsecret", "encoded slashes"),
    ("/open%5c..%5csecret", "encoded backslashes"),
    ("/open\\..\\secret", "backslashes"),
    ("/open/..;/secret", "a parameter that hides dots"),
    ("/secret;a=b/x", "a parameter"),
    ("/secret%3b/x", "an encoded parameter"),
    ("//secret", "an empty segment at the start"),
    ("/open//secret", "an empty segment"),
    ("/secret%00", "an encoded NUL"),
    ("/secret%00.html", "an encoded NUL before an ending"),
    ("/secret%0d%0aX-A:1", "an encoded line break"),
    ("/secret%20", "an encoded space at the end"),
    ("/open/%252e%252e/secret", "double encoding"),
    ("/open/%c0%ae%c0%ae/secret", "overlong UTF-8"),
    ("/open/%ff", "bad UTF-8"),
    ("/open/%e2%88%95secret", "a character that becomes a slash"),
    ("/secret%", "a cut escape"),
    ("/secret%2", "a cut escape"),
    ("/secret%zz", "an escape that is none"),
    ("/secret%3fa", "an encoded question mark"),
    ("/secret%23a", "an encoded hash"),
    ("/secret#a", "a fragment"),
    ("/secret?a=b#c", "a fragment behind a query"),
    ("/secret?a=\\b", "a backslash in a query"),
    ("secret", "no slash at the start"),
    ("*", "asterisk-form"),
    ("http://records.test/secret", "absolute-form of plain HTTP"),
];

#[test]
fn what_was_judged_is_what_the_application_sees() {
    let (gateway, upstream) = records();
    let mut connection = gateway.client("clerk").connect().unwrap();
    for (sent, seen, judged) in [
        ("/", "/", "/"),
        ("/residents/7", "/residents/7", "/residents/7"),
        ("/residents/", "/residents/", "/residents/"),
        ("/%72esidents/%37", "/residents/7", "/residents/7"),
        (
            "/%e5%b1%85%e6%b0%91",
            "/%E5%B1%85%E6%B0%91",
            "/%E5%B1%85%E6%B0%91",
        ),
        ("/a?b=c&d=%2e%2e", "/a?b=c&d=%2e%2e", "/a"),
        ("/%61?b", "/a?b", "/a"),
        ("/a?", "/a?", "/a"),
        ("/a:b@c,d=e+f!", "/a:b@c,d=e+f!", "/a:b@c,d=e+f!"),
        (
            "https://records.test/residents/7?a=b",
            "/residents/7?a=b",
            "/residents/7",
        ),
    ] {
        let response = connection.get(sent).unwrap();
        assert_eq!(response.status, 200, "{sent}");
        assert_eq!(upstream.last().target, seen, "{sent}");
        let record = gateway.audit().of_request(&response.request_id());
        assert_eq!(field(&record, "path"), judged, "{sent}");
    }
}

#[test]
fn the_log_names_the_parameters_of_a_query_and_never_their_values() {
    let (gateway, _upstream) = records();
    let response = gateway
        .client("clerk")
        .get("/residents?name=Li&id=110101199003074233")
        .unwrap();
    let record = gateway.audit().of_request(&response.request_id());
    assert_eq!(record["query_keys"], serde_json::json!(["name", "id"]));
    assert!(!record.to_string().contains("110101199003074233"));
}

#[test]
fn an_encoded_path_is_held_against_the_policy_as_it_is_meant() {
    let (gateway, upstream) = records();
    let response = gateway.client("clerk").get("/s%65aled/1").unwrap();
    assert_refused(&gateway, &response, 403, "application.explicit_deny");
    assert_eq!(upstream.count(), 0);
}

#[test]
fn the_host_must_be_the_name_that_tls_was_opened_for() {
    let upstream = hangu_tests::TestUpstream::named("both");
    let gateway = gateway()
        .records(upstream.address())
        .application(hangu_tests::Application::new("other").upstream(upstream.address()))
        .host("nobody.test")
        .start();
    let client = gateway.client("clerk");
    for (host, status, reason) in [
        ("other.test", 421, "edge.host_mismatch"),
        ("127.0.0.1", 421, "edge.host_mismatch"),
        ("records.test.", 400, "edge.host_malformed"),
        ("records.test:x", 400, "edge.host_malformed"),
        ("a@records.test", 400, "edge.host_malformed"),
        ("records.test,other.test", 400, "edge.host_malformed"),
        ("", 400, "edge.host_missing"),
    ] {
        let response = client
            .exchange(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes())
            .unwrap();
        assert_eq!(response.status, status, "{host}");
        assert_refused(&gateway, &response, status, reason);
    }
    let absolute = b"GET https://other.test/ HTTP/1.1\r\nHost: records.test\r\n\r\n";
    assert_refused(
        &gateway,
        &client.exchange(absolute).unwrap(),
        421,
        "edge.host_mismatch",
    );
    assert_eq!(upstream.count(), 0);

    for host in ["records.test", "RECORDS.Test", "records.test:443"] {
        let response = client
            .exchange(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes())
            .unwrap();
        assert_allowed(&gateway, &response);
    }
    let nobody = client.named("nobody.test").get("/").unwrap();
    assert_refused(&gateway, &nobody, 404, "cloud.no_application");
}

#[test]
fn a_method_that_is_never_forwarded_is_refused() {
    let (gateway, upstream) = records();
    let client = gateway.client("clerk");
    for method in ["TRACE", "CONNECT", "PROPFIND", "get", "FOO", "HACK!"] {
        let target = if method == "CONNECT" {
            "records.test:443"
        } else {
            "/"
        };
        let response = client
            .exchange(format!("{}\r\n", head(method, target)).as_bytes())
            .unwrap();
        assert_eq!(response.status, 405, "{method}");
        assert_refused(&gateway, &response, 405, "edge.method_unknown");
    }
    assert_eq!(upstream.count(), 0);
}

#[test]
fn requests_that_are_sent_together_are_answered_in_turn_and_judged_each() {
    let upstream = hangu_tests::TestUpstream::answering(|request| Answer::ok(&request.target));
    let gateway = gateway().records(upstream.address()).start();
    let mut connection = gateway.client("clerk").connect().unwrap();
    let three = ["/1", "/sealed/2", "/3"]
        .map(|path| format!("{}\r\n", head("GET", path)))
        .concat();
    connection.send(three.as_bytes()).unwrap();
    let answers: Vec<_> = (0..3)
        .map(|_| connection.read_response(true).unwrap())
        .collect();
    assert_eq!((answers[0].status, answers[0].text().as_str()), (200, "/1"));
    assert_refused(&gateway, &answers[1], 403, "application.explicit_deny");
    assert_eq!((answers[2].status, answers[2].text().as_str()), (200, "/3"));
    assert_eq!(upstream.count(), 2);
}

#[test]
fn the_body_of_a_refused_request_is_never_read_as_the_next_request() {
    let (gateway, upstream) = records();
    let inner = format!("{}\r\n", head("GET", "/residents/7"));
    let smuggled = format!(
        "{}Content-Length: {}\r\n\r\n{inner}",
        head("POST", "/sealed/1"),
        inner.len()
    );
    let mut connection = gateway.client("clerk").connect().unwrap();
    let response = connection.exchange(smuggled.as_bytes()).unwrap();
    assert_refused(&gateway, &response, 403, "application.explicit_deny");
    connection.expect_close().unwrap();
    assert_eq!(upstream.count(), 0);
}

#[test]
fn a_body_comes_through_whole_however_it_is_framed() {
    let (gateway, upstream) = records();
    let mut connection = gateway.client("clerk").connect().unwrap();
    let long = "0123456789".repeat(20_000);
    let by_length = format!(
        "{}Content-Length: {}\r\n\r\n{long}",
        head("POST", "/a"),
        long.len()
    );
    assert_eq!(
        connection.exchange(by_length.as_bytes()).unwrap().status,
        200
    );
    assert_eq!(upstream.last().body, long.as_bytes());

    let chunks = "5\r\nhello\r\n06\r\n world\r\n0\r\nX-Sum: 1\r\n\r\n";
    let chunked = format!(
        "{}Transfer-Encoding: chunked\r\n\r\n{chunks}",
        head("PUT", "/b")
    );
    let response = connection.exchange(chunked.as_bytes()).unwrap();
    assert_eq!(response.status, 200);
    assert_eq!(upstream.last().body, b"hello world");
    let record = gateway.audit().of_request(&response.request_id());
    assert_eq!(
        (record["bytes_in"].as_u64(), record["bytes_out"].as_u64()),
        (Some(11), Some(11))
    );
    assert_eq!(
        connection.get("/c").unwrap().status,
        200,
        "the connection is still in step"
    );
}

#[test]
fn http_1_0_and_head_are_served() {
    let (gateway, upstream) = records();
    let client = gateway.client("clerk");
    let response = client
        .exchange(b"GET /old HTTP/1.0\r\nHost: records.test\r\n\r\n")
        .unwrap();
    assert_allowed(&gateway, &response);
    let mut connection = client.connect().unwrap();
    let response = connection
        .exchange(format!("{}\r\n", head("HEAD", "/old")).as_bytes())
        .unwrap();
    assert_eq!((response.status, response.body.len()), (200, 0));
    assert_eq!(upstream.last().method, "HEAD");
    let refused = connection
        .exchange(format!("{}\r\n", head("HEAD", "/sealed/1")).as_bytes())
        .unwrap();
    assert_eq!((refused.status, refused.body.len()), (403, 0));
    assert_eq!(connection.get("/still-in-step").unwrap().status, 200);
}
