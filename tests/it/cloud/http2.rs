//! Applications that speak HTTP/2: answers as whole, trailers and resets as their own, and no client in the way of another.

use h2::Reason;
use hangu_tests::{
    Answer, Application, H2Answer, H2Upstream, RunningGateway, TestUpstream, UpstreamTls,
    wait_until,
};

use crate::support::{assert_allowed, assert_refused, field, gateway};

fn serving(upstream: &H2Upstream) -> RunningGateway {
    let records = Application::new("records")
        .key("upstream_protocol = \"h2\"")
        .upstream(upstream.address());
    gateway().application(records).start()
}

fn ok(body: &[u8]) -> H2Answer {
    H2Answer {
        status: 200,
        body: body.to_vec(),
        ..H2Answer::default()
    }
}

#[test]
fn an_application_of_http2_serves_clients_of_both_versions() {
    let upstream = H2Upstream::answering(|_| ok(b"the records"));
    let gateway = serving(&upstream);
    let response = gateway.client("clerk").get("/a?b=c").unwrap();
    assert_allowed(&gateway, &response);
    assert_eq!(response.text(), "the records");
    let mut connection = gateway.client("clerk").connect_h2().unwrap();
    let request = connection.get("/h2").method("POST").body(b"hello");
    let response = connection.send(&request).unwrap();
    assert_allowed(&gateway, &response);
    let seen = upstream.seen();
    let heads: Vec<_> = seen
        .iter()
        .map(|seen| (&*seen.authority, &*seen.path, &*seen.body))
        .collect();
    assert_eq!(
        heads,
        [
            ("records.test", "/a?b=c", &b""[..]),
            ("records.test", "/h2", b"hello"),
        ]
    );
    for seen in &seen {
        assert_eq!(
            seen.fields.get("x-hangu-subject"),
            Some("spiffe://gov.test/clerk")
        );
        assert_eq!(seen.fields.count("host"), 0, "{:?}", seen.fields);
    }
}

#[test]
fn fields_behind_an_answer_arrive_unless_they_belong_in_front_of_it() {
    let upstream = H2Upstream::answering(|_| H2Answer {
        trailers: vec![
            ("x-checksum", "1"),
            ("grpc-status", "0"),
            ("content-length", "100"),
            ("set-cookie", "a=b"),
            ("x-hangu-request-id", "forged"),
        ],
        ..ok(b"body")
    });
    let gateway = serving(&upstream);
    let mut connection = gateway.client("clerk").connect_h2().unwrap();
    let request = connection.get("/");
    let mut stream = connection.stream(&request).unwrap();
    stream.finish().unwrap();
    assert_eq!(stream.head().unwrap().0, 200);
    assert_eq!(stream.data().unwrap().as_deref(), Some(&b"body"[..]));
    assert_eq!(stream.data().unwrap(), None);
    let mut names = stream.trailers().unwrap().names();
    names.sort();
    assert_eq!(names, ["grpc-status", "x-checksum"]);
    // Over HTTP/1.1 they are left away, as RFC 9110 section 6.5.1 allows; the answer is whole.
    let response = gateway.client("clerk").get("/").unwrap();
    assert_eq!(response.text(), "body");
}

#[test]
fn an_answer_that_the_application_resets_is_broken_off_for_the_client_too() {
    let upstream = H2Upstream::answering(|_| H2Answer {
        reset: Some(Reason::INTERNAL_ERROR),
        ..ok(b"half")
    });
    let gateway = serving(&upstream);
    // An error where nothing had gone out, and half of it otherwise.
    let is_broken = |status: Option<u16>| status.is_none_or(|status| status == 502);
    let answer = gateway.client("clerk").get("/one");
    let status = answer.as_ref().map(|answer| answer.status);
    assert!(is_broken(status.ok()), "{answer:?}");
    let mut connection = gateway.client("clerk").connect_h2().unwrap();
    let request = connection.get("/two");
    let answer = connection.send(&request);
    let status = answer.as_ref().map(|answer| answer.status);
    assert!(is_broken(status.ok()), "{answer:?}");
    wait_until("both ends to be written down", || {
        let records = gateway.audit().records();
        let broken = records
            .iter()
            .filter(|record| field(record, "reason") == "cloud.upstream_broken");
        broken.count() == 2
    });
}

#[test]
fn an_answer_before_the_body_is_whole_reaches_the_client() {
    let upstream = H2Upstream::answering(|_| H2Answer {
        status: 413,
        is_early: true,
        ..ok(b"too much")
    });
    let gateway = serving(&upstream);
    let mut connection = gateway.client("clerk").connect_h2().unwrap();
    let request = connection.get("/").method("POST");
    let mut stream = connection.stream(&request).unwrap();
    stream.send(b"some of it").unwrap();
    assert_eq!(stream.head().unwrap().0, 413);
    assert_eq!(stream.data().unwrap().as_deref(), Some(&b"too much"[..]));
}

#[test]
fn an_application_of_http2_proves_itself_like_any_other() {
    let world = gateway();
    for (name, is_right) in [("app.internal", true), ("other.internal", false)] {
        let tls = UpstreamTls {
            certificate: world.pki().server(&[name]),
            clients: None,
        };
        let upstream = H2Upstream::tls(&tls, |_| ok(b"proven"));
        let records = Application::new("records")
            .key("upstream_protocol = \"h2\"")
            .upstream_tls("ca = \"certs/servers-ca.pem\"\nserver_name = \"app.internal\"")
            .upstream(upstream.address());
        let gateway = world.clone().application(records).start();
        let response = gateway.client("clerk").get("/").unwrap();
        if is_right {
            assert_allowed(&gateway, &response);
        } else {
            assert_refused(&gateway, &response, 502, "cloud.upstream_identity");
            assert!(upstream.seen().is_empty(), "nothing may be said to it");
        }
    }
}

#[test]
fn an_application_of_http2_that_agrees_to_no_http2_hears_nothing() {
    let world = gateway();
    let tls = UpstreamTls {
        certificate: world.pki().server(&["app.internal"]),
        clients: None,
    };
    // It is who it must be, and its TLS knows no ALPN: what it would be told is HTTP/1.1.
    let upstream = TestUpstream::tls(&tls, |_| Answer::ok("proven"));
    let records = Application::new("records")
        .key("upstream_protocol = \"h2\"")
        .upstream_tls("ca = \"certs/servers-ca.pem\"\nserver_name = \"app.internal\"")
        .upstream(upstream.address());
    let gateway = world.application(records).start();
    let response = gateway.client("clerk").get("/").unwrap();
    assert_refused(&gateway, &response, 502, "cloud.upstream_protocol");
    let mut connection = gateway.client("clerk").connect_h2().unwrap();
    let call = connection.get("/package.Service/Method").method("POST");
    let call = call.field("content-type", "application/grpc").body(b"");
    let response = connection.send(&call).unwrap();
    assert_refused(&gateway, &response, 502, "cloud.upstream_protocol");
    assert_eq!(upstream.count(), 0);
}

#[test]
fn another_upstream_serves_when_one_does_not_agree_to_http2() {
    let world = gateway();
    let tls = UpstreamTls {
        certificate: world.pki().server(&["app.internal"]),
        clients: None,
    };
    let unfit = TestUpstream::tls(&tls, |_| Answer::ok("over HTTP/1.1"));
    let fit = H2Upstream::tls(&tls, |_| ok(b"over HTTP/2"));
    let records = Application::new("records")
        .key("upstream_protocol = \"h2\"")
        .upstream_tls("ca = \"certs/servers-ca.pem\"\nserver_name = \"app.internal\"")
        .upstream(unfit.address())
        .upstream(fit.address());
    let gateway = world.application(records).start();
    let mut connection = gateway.client("clerk").connect_h2().unwrap();
    // Not idempotent, and still asked twice: the first heard nothing of it.
    for _ in 0..4 {
        let call = connection.get("/paid").method("POST").body(b"1");
        let response = connection.send(&call).unwrap();
        assert_eq!((response.status, &*response.text()), (200, "over HTTP/2"));
    }
    assert_eq!((unfit.count(), fit.seen().len()), (0, 4));
    let labels = [("app", "records"), ("result", "cloud.upstream_protocol")];
    assert!(
        gateway
            .metrics()
            .sum("hangu_upstream_results_total", &labels)
            >= 1.0
    );
}

#[test]
fn a_client_that_takes_nothing_stands_in_nobodys_way_on_the_way_to_the_application() {
    let large = vec![b'x'; 4 << 20];
    let upstream = H2Upstream::answering(move |seen| match seen.path.as_str() {
        "/large" => ok(&large),
        _ => ok(b"small"),
    });
    let gateway = serving(&upstream);
    // More than one connection of the gateway's would hold at once if each could fill it.
    let mut idle: Vec<_> = (0..8)
        .map(|_| {
            let mut connection = gateway.client("clerk").connect_raw_h2().unwrap();
            let fields: [(&[u8], &[u8]); 4] = [
                (b":method", b"GET"),
                (b":scheme", b"https"),
                (b":authority", b"records.test"),
                (b":path", b"/large"),
            ];
            connection.request(&fields).unwrap();
            connection
        })
        .collect();
    for _ in 0..4 {
        let response = gateway.client("clerk").get("/small").unwrap();
        assert_eq!(response.text(), "small");
    }
    assert!(idle.iter_mut().all(|client| client.send(b"").is_ok()));
}
