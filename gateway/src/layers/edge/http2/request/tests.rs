use super::super::hpack::Decoder;
use super::*;

type Field<'a> = (&'a [u8], &'a [u8]);

const LIMITS: ListLimits = ListLimits {
    bytes_max: 2_000,
    fields_max: 10,
};
const GOOD: [Field<'static>; 4] = [
    (b":method", b"GET"),
    (b":scheme", b"https"),
    (b":authority", b"records.test"),
    (b":path", b"/a?b"),
];

fn judged(fields: &[Field<'_>], ends: bool) -> Result<Vec<(String, String)>, Denial> {
    let mut check = HeadCheck::new(LIMITS);
    for (name, value) in fields {
        check.field(name, value);
    }
    let block = check.finish(ends);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let mut read = Vec::new();
    Decoder::default()
        .decode(&block, |name, value| read.push((text(name), text(value))))
        .unwrap();
    match read.iter().find(|(name, _)| name == REFUSED_HEAD) {
        None => Ok(read),
        Some((_, value)) => {
            let mut map = http::HeaderMap::new();
            map.insert(REFUSED_HEAD, value.parse().unwrap());
            Err(refused_head(&map).unwrap().0)
        }
    }
}

fn with<'a>(more: &[Field<'a>]) -> Vec<Field<'a>> {
    GOOD.into_iter().chain(more.iter().copied()).collect()
}

fn instead<'a>(name: &'a [u8], value: &'a [u8]) -> Vec<Field<'a>> {
    GOOD.into_iter()
        .map(|own| if own.0 == name { (name, value) } else { own })
        .collect()
}

#[test]
fn a_good_head_is_handed_on_as_it_is() {
    let head = with(&[
        (b"host", b"Records.test"),
        (b"te", b"trailers"),
        (b"content-length", b"5"),
        (b"cookie", b"a"),
        (b"cookie", b"b"),
        (b"x-utf8", "\u{8bb0}".as_bytes()),
    ]);
    let read = judged(&head, false).unwrap();
    let sent: Vec<_> = head
        .iter()
        .map(|(name, value)| {
            (
                String::from_utf8(name.to_vec()).unwrap(),
                String::from_utf8(value.to_vec()).unwrap(),
            )
        })
        .collect();
    assert_eq!(read, sent);
}

#[test]
fn what_breaks_the_standard_is_refused_for_its_reason() {
    for (head, denial) in broken_heads().into_iter().chain(broken_targets()) {
        assert_eq!(judged(&head, true), Err(denial), "{head:?}");
    }
}

#[test]
fn a_head_has_bounds() {
    let long = [b'a'; 2_001];
    assert_eq!(
        judged(&with(&[(b"x-a", &long)]), true),
        Err(Denial::HeadTooLarge)
    );
    let many = vec![(&b"x-a"[..], &b"1"[..]); 11];
    assert_eq!(judged(&with(&many), true), Err(Denial::HeadTooLarge));
}

#[rustfmt::skip]
fn broken_heads() -> Vec<(Vec<Field<'static>>, Denial)> {
    use Denial::{FramingAmbiguous, HeadMalformed};
    vec![
        (with(&[(b"X-A", b"1")]), HeadMalformed),
        (with(&[(b"", b"1")]), HeadMalformed),
        (with(&[(b"x a", b"1")]), HeadMalformed),
        (with(&[(b"x-a:", b"1")]), HeadMalformed),
        (with(&[(b"x-a", b"1\r\n")]), HeadMalformed),
        (with(&[(b"x-a", b"1\0")]), HeadMalformed),
        (with(&[(b"x-a", b" 1")]), HeadMalformed),
        (with(&[(b"x-a", b"1\t")]), HeadMalformed),
        (with(&[(b"connection", b"x")]), HeadMalformed),
        (with(&[(b"proxy-connection", b"x")]), HeadMalformed),
        (with(&[(b"keep-alive", b"x")]), HeadMalformed),
        (with(&[(b"transfer-encoding", b"chunked")]), HeadMalformed),
        (with(&[(b"upgrade", b"websocket")]), HeadMalformed),
        (with(&[(b"te", b"gzip")]), HeadMalformed),
        (with(&[(b":path", b"/b")]), HeadMalformed),
        (with(&[(b":status", b"200")]), HeadMalformed),
        (with(&[(b":protocol", b"websocket")]), HeadMalformed),
        (with(&[(b"x-a", b"1"), (b":authority", b"records.test")]), HeadMalformed),
        (with(&[(b"content-length", b"+1")]), FramingAmbiguous),
        (with(&[(b"content-length", b"1"), (b"content-length", b"1")]), FramingAmbiguous),
        (with(&[(b"content-length", b"1")]), FramingAmbiguous),
    ]
}

#[rustfmt::skip]
fn broken_targets() -> Vec<(Vec<Field<'static>>, Denial)> {
    use Denial::{HeadMalformed, HostDuplicate, HostMalformed, HostMismatch, HostMissing, MethodUnknown, PathAmbiguous};
    let without = |name: &[u8]| GOOD.iter().copied().filter(|own| own.0 != name).collect();
    vec![
        (instead(b":scheme", b"http"), HeadMalformed),
        (instead(b":method", b"CONNECT"), MethodUnknown),
        (instead(b":method", b"GET /b"), HeadMalformed),
        (instead(b":method", b""), HeadMalformed),
        (instead(b":path", b""), PathAmbiguous),
        (instead(b":path", b"*"), PathAmbiguous),
        (instead(b":path", b"https://records.test/"), PathAmbiguous),
        (instead(b":path", b"//records.test/"), PathAmbiguous),
        (instead(b":path", b"/a b"), PathAmbiguous),
        (instead(b":path", b"/a#b"), PathAmbiguous),
        (instead(b":path", b"/a\0"), PathAmbiguous),
        (instead(b":authority", b""), HostMissing),
        (instead(b":authority", b"minister@records.test"), HostMalformed),
        (instead(b":authority", b"records.test\r\n"), HostMalformed),
        (without(b":authority"), HostMissing),
        (without(b":path"), HeadMalformed),
        (with(&[(b"host", b"other.test")]), HostMismatch),
        (with(&[(b"host", b"records.test"), (b"host", b"records.test")]), HostDuplicate),
    ]
}

#[test]
fn a_client_cannot_say_that_it_was_refused() {
    let read = judged(
        &with(&[(REFUSED_HEAD.as_bytes(), b"told client.gone")]),
        true,
    )
    .unwrap();
    assert_eq!(read.len(), GOOD.len());
}

#[test]
fn trailers_say_nothing_about_the_message() {
    let judged = |fields: &[Field<'_>]| {
        let mut check = TrailerCheck::new(LIMITS);
        for (name, value) in fields {
            check.field(name, value);
        }
        check.finish().is_some()
    };
    assert!(judged(&[(b"grpc-status", b"0"), (b"x-checksum", b"1")]));
    for field in [
        (&b":path"[..], &b"/"[..]),
        (b"content-length", b"1"),
        (b"transfer-encoding", b"chunked"),
        (b"host", b"a"),
        (b"authorization", b"a"),
        (b"X-A", b"1"),
        (b"x-a", b"1\n"),
    ] {
        assert!(!judged(&[(b"x-a", b"1"), field]), "{field:?}");
    }
}
