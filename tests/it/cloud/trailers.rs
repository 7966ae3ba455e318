//! Fields behind a body, in every combination of versions: what is left away is left away whole, and nobody loses step.

use hangu_tests::{Application, H2Answer, H2Upstream, HandUpstream, RunningGateway};

use crate::support::{gateway, head};

const CHUNKED: &str = "Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n";
const BODY: &str = "4\r\nbody\r\n0\r\nX-Sum: 1\r\nX-Hangu-Subject: forged\r\n\r\n";

const DROPPED: &str = "hangu_trailers_dropped_total";

fn serving(upstream: &HandUpstream) -> RunningGateway {
    gateway().records(upstream.address()).start()
}

fn serving_h2() -> (RunningGateway, H2Upstream) {
    let upstream = H2Upstream::answering(|_| H2Answer {
        status: 200,
        body: b"fine".to_vec(),
        ..H2Answer::default()
    });
    let records = Application::new("records")
        .key("upstream_protocol = \"h2\"")
        .upstream(upstream.address());
    (gateway().application(records).start(), upstream)
}

fn sum() -> http::HeaderMap {
    let mut trailers = http::HeaderMap::new();
    trailers.insert("x-sum", http::HeaderValue::from_static("1"));
    trailers
}

#[test]
fn trailers_over_http1_are_left_away_and_both_connections_stay_in_step() {
    let upstream = HandUpstream::new();
    let gateway = serving(&upstream);
    let mut client = gateway.client("clerk").connect().unwrap();
    let mut application = None;
    for path in ["/one", "/two"] {
        let request = format!("{}{CHUNKED}{BODY}", head("POST", path));
        client.send(request.as_bytes()).unwrap();
        let application = application.get_or_insert_with(|| upstream.accept());
        let got = application.head();
        assert!(got.starts_with(&format!("POST {path} ")), "{got}");
        assert_eq!(application.exactly(14).unwrap(), b"4\r\nbody\r\n0\r\n\r\n");
        let answer = format!("HTTP/1.1 200 OK\r\n{CHUNKED}{BODY}");
        application.send(answer.as_bytes()).unwrap();
        let answer = client.read_head().unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert_eq!(client.read_exactly(14).unwrap(), b"4\r\nbody\r\n0\r\n\r\n");
    }
    gateway.wait_for_metric(DROPPED, &[("behind", "http1_request")], 2.0);
}

#[test]
fn trailers_from_http1_to_http2_are_left_away_both_ways() {
    let (gateway, upstream) = serving_h2();
    let mut client = gateway.client("clerk").connect().unwrap();
    for path in ["/one", "/two"] {
        let request = format!("{}{CHUNKED}{BODY}", head("POST", path));
        let response = client.exchange(request.as_bytes()).unwrap();
        assert_eq!((response.status, &*response.text()), (200, "fine"));
    }
    for seen in upstream.seen() {
        assert_eq!(seen.body, b"body");
        assert!(seen.trailers.names().is_empty(), "{:?}", seen.trailers);
    }
    assert_eq!(upstream.seen().len(), 2);
    gateway.wait_for_metric(DROPPED, &[("behind", "http1_request")], 2.0);

    let upstream = HandUpstream::new();
    let gateway = serving(&upstream);
    let mut client = gateway.client("clerk").connect_h2().unwrap();
    let request = client.get("/one");
    let mut stream = client.stream(&request).unwrap();
    stream.finish().unwrap();
    let mut application = upstream.accept();
    application.head();
    let answer = format!("HTTP/1.1 200 OK\r\n{CHUNKED}{BODY}");
    application.send(answer.as_bytes()).unwrap();
    assert_eq!(stream.head().unwrap().0, 200);
    assert_eq!(stream.data().unwrap().as_deref(), Some(&b"body"[..]));
    while let Some(rest) = stream.data().unwrap() {
        assert!(rest.is_empty(), "{rest:?}");
    }
    assert!(stream.trailers().unwrap().names().is_empty());
}

#[test]
fn trailers_of_a_request_over_http2_are_left_away() {
    let (gateway, upstream) = serving_h2();
    let mut client = gateway.client("clerk").connect_h2().unwrap();
    let request = client.get("/one").method("POST");
    let mut stream = client.stream(&request).unwrap();
    stream.send(b"body").unwrap();
    stream.finish_with(sum()).unwrap();
    assert_eq!(stream.head().unwrap().0, 200);
    let seen = upstream.seen();
    let [seen] = &seen[..] else {
        panic!("one request: {seen:?}")
    };
    assert_eq!(seen.body, b"body");
    assert!(seen.trailers.names().is_empty(), "{:?}", seen.trailers);
    gateway.wait_for_metric(DROPPED, &[("behind", "http2_request")], 1.0);

    let upstream = HandUpstream::new();
    let gateway = serving(&upstream);
    let mut client = gateway.client("clerk").connect_h2().unwrap();
    let request = client.get("/two").method("POST");
    let mut stream = client.stream(&request).unwrap();
    stream.send(b"body").unwrap();
    stream.finish_with(sum()).unwrap();
    let mut application = upstream.accept();
    let got = application.head();
    assert!(!got.to_ascii_lowercase().contains("x-sum"), "{got}");
    assert_eq!(application.exactly(14).unwrap(), b"4\r\nbody\r\n0\r\n\r\n");
    application
        .send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        .unwrap();
    assert_eq!(stream.head().unwrap().0, 200);
}
