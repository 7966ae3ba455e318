//! What a head may hold and what parsers forgive.

use proptest::prelude::*;

use super::*;

const LIMITS: HeadLimits = HeadLimits {
    bytes_max: 256,
    fields_max: 8,
};

#[test]
fn a_plain_head_is_taken() {
    for head in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.0\r\nHost: a\r\n\r\n",
        "POST /x HTTP/1.1\r\nhost: a\r\nContent-Length: 5\r\n\r\n",
        "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET /x HTTP/1.1\r\nHost: a\r\nX: \tcaf\u{e9} \r\n\r\n",
        "GET https://a/x HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET https://a:1?q HTTP/1.1\r\nHost: a:1\r\n\r\n",
    ] {
        assert!(check_head(head.as_bytes(), LIMITS).is_ok(), "{head:?}");
    }
}

#[test]
fn a_head_says_how_long_its_body_is() {
    for (fields, body) in [
        ("", Body::Fixed(0)),
        ("Content-Length: 005\r\n", Body::Fixed(5)),
        ("Transfer-Encoding: chunked\r\n", Body::Chunked),
        (
            "Connection: upgrade\r\nUpgrade: websocket\r\n",
            Body::Tunnel,
        ),
    ] {
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        assert_eq!(check_head(head.as_bytes(), LIMITS), Ok(body), "{fields}");
    }
}

/// What lenient parsers let pass, and what we say to it.
const FORGIVEN: &[(&str, Denial)] = &[
    (
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: close, HOST\r\n\r\n",
        Denial::HeadMalformed,
    ),
    (
        "GET https://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
        Denial::HostMismatch,
    ),
    (
        "GET https://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        Denial::HostMismatch,
    ),
    (
        "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        Denial::PathAmbiguous,
    ),
    (
        "GET //b/ HTTP/1.1\r\nHost: a\r\n\r\n",
        Denial::PathAmbiguous,
    ),
    (
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        Denial::PathAmbiguous,
    ),
    (
        "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
        Denial::MethodUnknown,
    ),
    ("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", Denial::HostMalformed),
    ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", Denial::HostMalformed),
    ("GET / HTTP/1.1\r\nHost:\r\n\r\n", Denial::HostMissing),
    ("GET / HTTP/1.1\r\n\r\n", Denial::HostMissing),
    (
        "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        Denial::HostDuplicate,
    ),
    (
        "GET / HTTP/1.1\r\nHost: a\r\nHOST: b\r\n\r\n",
        Denial::HostDuplicate,
    ),
    ("GET / HTTP/1.1\nHost: a\r\n\r\n", Denial::HeadMalformed),
    ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", Denial::HeadMalformed),
    ("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", Denial::HeadMalformed),
    ("GET /\r\nHost: a\r\n\r\n", Denial::HeadMalformed),
    (
        "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
        Denial::VersionUnsupported,
    ),
    ("GET / http/1.1\r\nHost: a\r\n\r\n", Denial::HeadMalformed),
    ("G(T / HTTP/1.1\r\nHost: a\r\n\r\n", Denial::HeadMalformed),
    (
        "GET /\u{7f} HTTP/1.1\r\nHost: a\r\n\r\n",
        Denial::PathAmbiguous,
    ),
    (
        "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n",
        Denial::PathAmbiguous,
    ),
    (
        "GET /a?b=\"c\" HTTP/1.1\r\nHost: a\r\n\r\n",
        Denial::PathAmbiguous,
    ),
    (
        "GET /a\tb HTTP/1.1\r\nHost: a\r\n\r\n",
        Denial::PathAmbiguous,
    ),
    ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", Denial::HeadMalformed),
    ("GET / HTTP/1.1\r\n Host: a\r\n\r\n", Denial::HeadMalformed),
    (
        "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n folded\r\n\r\n",
        Denial::HeadMalformed,
    ),
    (
        "GET / HTTP/1.1\r\nHost: a\r\nX: 1\n2\r\n\r\n",
        Denial::HeadMalformed,
    ),
    (
        "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r2\r\n\r\n",
        Denial::HeadMalformed,
    ),
    (
        "GET / HTTP/1.1\r\nHost: a\r\nX: 1\0\r\n\r\n",
        Denial::HeadMalformed,
    ),
    (
        "GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
        Denial::HeadMalformed,
    ),
    (
        "GET / HTTP/1.1\r\nHost: a\r\n: no name\r\n\r\n",
        Denial::HeadMalformed,
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        Denial::FramingAmbiguous,
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
        Denial::FramingAmbiguous,
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\n",
        Denial::FramingAmbiguous,
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n",
        Denial::FramingAmbiguous,
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\n",
        Denial::FramingAmbiguous,
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
        Denial::FramingAmbiguous,
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        Denial::FramingAmbiguous,
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n",
        Denial::FramingAmbiguous,
    ),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        Denial::FramingAmbiguous,
    ),
    (
        "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        Denial::FramingAmbiguous,
    ),
];

#[test]
fn what_parsers_forgive_is_refused() {
    for (head, denial) in FORGIVEN {
        assert_eq!(
            check_head(head.as_bytes(), LIMITS),
            Err(*denial),
            "{head:?}"
        );
    }
}

#[test]
fn a_head_over_its_bounds_is_too_large() {
    let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: 1\r\n".repeat(8));
    assert_eq!(
        check_head(many.as_bytes(), LIMITS),
        Err(Denial::HeadTooLarge)
    );
    let long = format!(
        "GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n",
        "a".repeat(300)
    );
    assert_eq!(
        check_head(long.as_bytes(), LIMITS),
        Err(Denial::HeadTooLarge)
    );
}

proptest! {
    #[test]
    fn the_end_is_found_wherever_the_reads_were_cut(before in "[a\r\n]{0,20}", cut in 0_usize..30) {
        let bytes = format!("{before}\r\n\r\nrest").into_bytes();
        let whole = head_end(&bytes, 0);
        let cut = cut.min(bytes.len());
        let in_two = head_end(&bytes[..cut], 0).or_else(|| head_end(&bytes, cut));
        prop_assert_eq!(whole, in_two);
    }

    #[test]
    fn no_bytes_panic(head in proptest::collection::vec(any::<u8>(), 0..200)) {
        let verdict = check_head(&head, LIMITS);
        prop_assert!(verdict.is_err() || head.ends_with(b"\r\n\r\n"));
    }
}

#[test]
fn of_a_refused_head_its_line_is_told_where_it_can_be_told_apart() {
    for (head, told) in [
        ("GET /a?b=c HTTP/1.1\r\nHo", Some(("GET", "/a"))),
        ("GET /a HTTP/9.9\r\n", Some(("GET", "/a"))),
        ("GET /a HTTP/1.1", None),
        ("GET  /a HTTP/1.1\r\n", None),
        ("GET /a b HTTP/1.1\r\n", None),
        ("G(T /a HTTP/1.1\r\n", None),
        ("GET a HTTP/1.1\r\n", None),
        ("GET /\x07 HTTP/1.1\r\n", None),
        (" /a HTTP/1.1\r\n", None),
        ("", None),
    ] {
        assert_eq!(told_line(head.as_bytes()), told, "{head:?}");
    }
    let long = format!("GET /{} HTTP/1.1\r\n", "a".repeat(TOLD_PATH_BYTES_MAX));
    assert_eq!(told_line(long.as_bytes()), None);
}
