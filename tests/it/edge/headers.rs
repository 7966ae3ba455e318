//! What a client may not say in the gateway's name, and what the application hears instead.

use hangu_tests::{Answer, Application, TestUpstream};

use crate::support::{assert_allowed, assert_refused, gateway, head, records};

/// Spellings under which servers would take a client's word for the gateway's.
const CLAIMS: &[&str] = &[
    "X-Hangu-Subject",
    "x-hangu-subject",
    "X-HANGU-SUBJECT",
    "X_Hangu_Subject",
    "x-hangu_subject",
    "X-Hangu-Tenant",
    "X_HANGU_TENANT",
    "X-Hangu-Request-Id",
    "X-Hangu-Anything-At-All",
    "X-Forwarded-For",
    "X_Forwarded_For",
    "X-Forwarded-Proto",
    "X-Forwarded-Host",
    "X-Forwarded-Client-Cert",
    "Forwarded",
    "FORWARDED",
    "X-Real-IP",
    "X-Client-Cert",
    "SSL_CLIENT_S_DN",
    "X-SSL-Client-Verify",
    "Client-Cert",
    "Remote-User",
    "REMOTE_USER",
    "X-Original-URL",
    "X-Rewrite-Url",
    "X-HTTP-Method-Override",
    "X-Client-Identity",
    "x_client_identity",
    "X-Client_Identity",
];

#[test]
fn whatever_a_client_says_in_our_name_is_gone_before_the_application_hears_it() {
    let upstream = TestUpstream::named("records");
    let records = Application::new("records")
        .header("X-Client-Identity", "{san.uri}")
        .upstream(upstream.address());
    let gateway = gateway().application(records).start();
    let mut connection = gateway.client("clerk").connect().unwrap();
    for claim in CLAIMS {
        for value in ["spiffe://gov.test/minister", "", "a, b"] {
            let request = format!(
                "{}{claim}: {value}\r\nX-Mine: stays\r\n\r\n",
                head("GET", "/")
            );
            let response = connection.exchange(request.as_bytes()).unwrap();
            assert_eq!(response.status, 200, "{claim}");
            assert_untouched_by(&upstream, claim, &response.request_id());
        }
    }
    let all: String = CLAIMS
        .iter()
        .map(|claim| format!("{claim}: spiffe://gov.test/minister\r\n"))
        .collect();
    let response = connection
        .exchange(format!("{}{all}X-Mine: stays\r\n\r\n", head("GET", "/")).as_bytes())
        .unwrap();
    assert_allowed(&gateway, &response);
    assert_untouched_by(&upstream, "all at once", &response.request_id());
}

/// The application got the gateway's own words, each once, and no other spelling of them.
#[track_caller]
pub(super) fn assert_untouched_by(upstream: &TestUpstream, claim: &str, request_id: &str) {
    let seen = upstream.last();
    let text = String::from_utf8_lossy(&seen.head).into_owned();
    assert!(!text.contains("minister"), "{claim}: {text}");
    for (name, expected) in [
        ("x-hangu-subject", "spiffe://gov.test/clerk"),
        ("x-hangu-tenant", "civil"),
        ("x-hangu-request-id", request_id),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-proto", "https"),
        (
            "forwarded",
            "for=127.0.0.1;host=\"records.test\";proto=https",
        ),
        ("x-client-identity", "spiffe://gov.test/clerk"),
    ] {
        let folded = |own: &String| own.replace('_', "-") == name;
        assert_eq!(
            seen.fields.names().into_iter().filter(folded).count(),
            1,
            "{claim}: {name} in {text}"
        );
        assert_eq!(seen.fields.get(name), Some(expected), "{claim}: {name}");
    }
    let ours: Vec<_> = seen
        .fields
        .names()
        .into_iter()
        .filter(|name| name.replace('_', "-").starts_with("x-hangu-"))
        .collect();
    assert_eq!(ours.len(), 3, "{claim}: {ours:?}");
    assert_eq!(seen.fields.get("x-mine"), Some("stays"), "{claim}");
}

#[test]
fn fields_of_the_connection_stay_on_the_connection() {
    let (gateway, upstream) = records();
    let request = format!(
        "{}Connection: keep-alive, X-Private, X-Hangu-Subject\r\nX-Private: 1\r\nKeep-Alive: timeout=5\r\n\
         Proxy-Connection: keep-alive\r\nProxy-Authorization: Basic eA==\r\nTE: trailers\r\nUpgrade: h2c\r\n\
         HTTP2-Settings: AAAA\r\nAccept: text/plain\r\nCookie: a=b\r\nAuthorization: Bearer x\r\n\r\n",
        head("GET", "/")
    );
    let response = gateway
        .client("clerk")
        .exchange(request.as_bytes())
        .unwrap();
    assert_allowed(&gateway, &response);
    let seen = upstream.last();
    for name in [
        "x-private",
        "keep-alive",
        "proxy-connection",
        "proxy-authorization",
        "te",
        "upgrade",
        "http2-settings",
    ] {
        assert_eq!(seen.fields.count(name), 0, "{name} in {:?}", seen.fields);
    }
    assert_eq!(
        seen.fields.get("x-hangu-subject"),
        Some("spiffe://gov.test/clerk"),
        "naming it takes nothing away"
    );
    for (name, value) in [
        ("accept", "text/plain"),
        ("cookie", "a=b"),
        ("authorization", "Bearer x"),
        ("host", "records.test"),
    ] {
        assert_eq!(seen.fields.get(name), Some(value), "{name}");
    }
}

#[test]
fn a_field_that_the_next_hop_needs_cannot_be_declared_to_be_of_the_connection() {
    let (gateway, upstream) = records();
    for named in [
        "host",
        "close, Host",
        "content-length",
        "transfer-encoding",
        "x-forwarded-for",
        "forwarded",
    ] {
        let request = format!("{}Connection: {named}\r\n\r\n", head("GET", "/"));
        let mut connection = gateway.client("clerk").connect().unwrap();
        let response = connection.exchange(request.as_bytes()).unwrap();
        assert_refused(&gateway, &response, 400, "edge.head_malformed");
        connection.expect_close().unwrap();
    }
    assert_eq!(upstream.count(), 0);
}

#[test]
fn a_good_trace_goes_on_and_a_bad_one_is_begun_anew() {
    let (gateway, upstream) = records();
    let mut connection = gateway.client("clerk").connect().unwrap();
    let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let request = format!(
        "{}traceparent: {good}\r\ntracestate: a=b\r\n\r\n",
        head("GET", "/")
    );
    let response = connection.exchange(request.as_bytes()).unwrap();
    assert_eq!(upstream.last().fields.get("traceparent"), Some(good));
    assert_eq!(upstream.last().fields.get("tracestate"), Some("a=b"));
    let record = gateway.audit().of_request(&response.request_id());
    assert_eq!(record["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");

    for bad in [
        "00-0-0-0",
        "",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "x",
    ] {
        let request = format!(
            "{}traceparent: {bad}\r\ntracestate: a=b\r\n\r\n",
            head("GET", "/")
        );
        let response = connection.exchange(request.as_bytes()).unwrap();
        let seen = upstream.last();
        let begun = seen.fields.get("traceparent").unwrap();
        assert_eq!(
            begun.split('-').nth(1),
            Some(response.request_id().as_str()),
            "{bad}: {begun}"
        );
        assert_eq!(
            (
                begun.len(),
                seen.fields.count("traceparent"),
                seen.fields.count("tracestate")
            ),
            (55, 1, 0),
            "{bad}"
        );
    }
}

#[test]
fn the_answer_carries_our_request_id_and_not_the_applications() {
    let forged = vec![
        ("X-Hangu-Request-Id".to_owned(), "forged".to_owned()),
        ("X-App".to_owned(), "1".to_owned()),
    ];
    let upstream =
        TestUpstream::answering(move |_| Answer::Reply(200, forged.clone(), b"x".to_vec()));
    let gateway = gateway().records(upstream.address()).start();
    let response = gateway.client("clerk").get("/").unwrap();
    assert_allowed(&gateway, &response);
    assert_eq!(response.fields.count("x-hangu-request-id"), 1);
    assert_ne!(response.request_id(), "forged");
    assert_eq!(response.fields.get("x-app"), Some("1"));
}

#[test]
fn a_template_whose_field_the_certificate_lacks_sets_nothing() {
    let upstream = TestUpstream::named("records");
    let records = Application::new("records")
        .header("X-Mail", "{san.email}")
        .upstream(upstream.address());
    let gateway = gateway().application(records).start();
    let request = format!("{}X-Mail: minister@gov.test\r\n\r\n", head("GET", "/"));
    assert_eq!(
        gateway
            .client("clerk")
            .exchange(request.as_bytes())
            .unwrap()
            .status,
        200
    );
    assert_eq!(
        upstream.last().fields.count("x-mail"),
        0,
        "and the client's own is gone all the same"
    );
}
