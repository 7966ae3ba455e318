//! 云 cloud, over real sockets: which workload serves this, is it really that one, and is it well.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use hangu_tests::{
    Answer, Application, DeadPort, Gate, RunningGateway, TestGateway, TestUpstream, UpstreamTls,
    wait_until,
};

use crate::support::{assert_allowed, assert_refused, field, gateway, head, records};

mod answers;
mod grpc;
mod http2;
mod identity;
mod parameters;
mod streams;
mod trailers;
mod tunnels;

#[test]
fn what_no_route_covers_does_not_exist() {
    let upstream = TestUpstream::named("records");
    let records = Application::new("records")
        .route("prefix = \"/residents\", methods = [\"GET\", \"POST\"]")
        .route("prefix = \"/residents/archive\", methods = [\"GET\"]")
        .upstream(upstream.address());
    let gateway = gateway().application(records).start();
    let client = gateway.client("clerk");
    for (method, path, status, reason) in [
        ("GET", "/", 404, "cloud.no_route"),
        ("GET", "/residentsx", 404, "cloud.no_route"),
        ("GET", "/Residents", 404, "cloud.no_route"),
        ("DELETE", "/residents/7", 405, "cloud.method_not_allowed"),
        (
            "POST",
            "/residents/archive/7",
            405,
            "cloud.method_not_allowed",
        ),
    ] {
        let request = format!("{}Content-Length: 0\r\n\r\n", head(method, path));
        let response = client.exchange(request.as_bytes()).unwrap();
        assert_eq!(response.status, status, "{method} {path}");
        assert_refused(&gateway, &response, status, reason);
    }
    assert_eq!(upstream.count(), 0);
    for path in [
        "/residents",
        "/residents/",
        "/residents/7",
        "/residents/archive/7",
    ] {
        assert_eq!(client.get(path).unwrap().status, 200, "{path}");
    }
}

#[test]
fn each_host_is_served_by_its_own_application() {
    let (civil, land) = (TestUpstream::named("civil"), TestUpstream::named("land"));
    let gateway = gateway()
        .application(Application::new("records").upstream(civil.address()))
        .application(Application::new("parcels").tenant("land").upstream(land.address()))
        .policy(
            "p, clerk, civil, /*, *, allow\np, clerk, land, /*, *, allow\n\
             g, spiffe://gov.test/clerk, clerk, civil\ng, spiffe://gov.test/clerk, clerk, land\ng2, clerk, internal\n",
        )
        .start();
    for (host, text, tenant) in [
        ("records.test", "civil", "civil"),
        ("parcels.test", "land", "land"),
    ] {
        let response = gateway.client("clerk").named(host).get("/").unwrap();
        assert_allowed(&gateway, &response);
        assert_eq!(response.text(), text);
        let record = gateway.audit().of_request(&response.request_id());
        assert_eq!(field(&record, "tenant"), tenant);
    }
    assert_eq!(land.last().fields.get("x-hangu-tenant"), Some("land"));
}

#[test]
fn healthy_upstreams_take_turns() {
    let (one, two) = (TestUpstream::named("one"), TestUpstream::named("two"));
    let gateway = serving(&[one.address(), two.address()], |application| application);
    let mut connection = gateway.client("clerk").connect().unwrap();
    let mut answers: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..10 {
        *answers
            .entry(connection.get("/").unwrap().text())
            .or_default() += 1;
    }
    assert_eq!(
        answers,
        BTreeMap::from([("one".to_owned(), 5), ("two".to_owned(), 5)])
    );
}

#[test]
fn the_least_busy_upstream_is_chosen_where_that_is_asked_for() {
    let gate = Gate::new();
    let held = gate.clone();
    let slow = TestUpstream::answering(move |request| {
        if request.target == "/slow" {
            Answer::ok("slow").held_by(&held)
        } else {
            Answer::ok("slow")
        }
    });
    let quick = TestUpstream::answering({
        let gate = gate.clone();
        move |request| {
            if request.target == "/slow" {
                Answer::ok("quick").held_by(&gate)
            } else {
                Answer::ok("quick")
            }
        }
    });
    let gateway = serving(&[slow.address(), quick.address()], |application| {
        application.key("balance = \"least_connections\"")
    });
    let mut holding = gateway.client("clerk").connect().unwrap();
    holding
        .send(format!("{}\r\n", head("GET", "/slow")).as_bytes())
        .unwrap();
    wait_until("the request to be held", || gate.held() == 1);
    let idle = if slow.count() == 1 { "quick" } else { "slow" };
    let mut connection = gateway.client("clerk").connect().unwrap();
    for _ in 0..6 {
        assert_eq!(connection.get("/").unwrap().text(), idle);
    }
    gate.open();
    assert_eq!(holding.read_response(true).unwrap().status, 200);
}

#[test]
fn when_one_upstream_dies_the_other_answers_and_the_dead_one_is_taken_out() {
    let (one, two) = (TestUpstream::named("one"), TestUpstream::named("two"));
    let gateway = serving(&[one.address(), two.address()], |application| {
        application.health("failures = 2\nretry_after = \"1h\"")
    });
    let mut connection = gateway.client("clerk").connect().unwrap();
    for _ in 0..4 {
        assert_eq!(connection.get("/").unwrap().status, 200);
    }
    one.stop();
    for number in 0..10 {
        let response = connection.get("/").unwrap();
        assert_eq!(
            (response.status, response.text().as_str()),
            (200, "two"),
            "request {number}"
        );
    }
    gateway.wait_for_metric("hangu_upstreams_out", &[("app", "records")], 1.0);
    let failures = gateway.metrics().sum(
        "hangu_upstream_results_total",
        &[("result", "cloud.upstream_connect")],
    );
    assert!(
        failures <= 3.0,
        "it is out after two and not asked again: {failures}"
    );
    assert!(
        gateway
            .stderr()
            .contains(&format!("upstream {} of records is out", one.address())),
        "{}",
        gateway.stderr()
    );
}

#[test]
fn an_upstream_that_is_out_is_tried_again_and_comes_back() {
    let upstream = TestUpstream::answering(|request| match request.target.as_str() {
        "/broken" => Answer::Close,
        _ => Answer::ok("well"),
    });
    let gateway = serving(&[upstream.address()], |application| {
        application.health("failures = 1\nretry_after = \"200ms\"")
    });
    let client = gateway.client("clerk");
    assert_refused(
        &gateway,
        &client.get("/broken").unwrap(),
        502,
        "cloud.upstream_broken",
    );
    let mut refused = 0;
    wait_until("the upstream to be tried again", || {
        let response = client.get("/").unwrap();
        if response.status == 503 {
            assert_refused(&gateway, &response, 503, "cloud.no_healthy_upstream");
            refused += 1;
        }
        response.status == 200
    });
    assert!(refused > 0, "while it was out it was not asked");
    wait_until("the metric to fall", || {
        gateway.metrics().sum("hangu_upstreams_out", &[]) == 0.0
    });
}

#[test]
fn when_all_upstreams_are_dead_the_answer_is_quick_and_honest() {
    let (one, two) = (DeadPort::new(), DeadPort::new());
    let gateway = serving(&[one.address(), two.address()], |application| {
        application.health("failures = 1\nretry_after = \"1h\"")
    });
    let client = gateway.client("clerk");
    assert_refused(
        &gateway,
        &client.get("/").unwrap(),
        502,
        "cloud.upstream_connect",
    );
    for _ in 0..3 {
        assert_refused(
            &gateway,
            &client.get("/").unwrap(),
            503,
            "cloud.no_healthy_upstream",
        );
    }
    assert_eq!(
        gateway
            .metrics()
            .sum("hangu_upstreams_out", &[("app", "records")]),
        2.0
    );
}

#[test]
fn an_upstream_that_refuses_connections_is_a_bad_gateway() {
    let dead = DeadPort::new();
    let gateway = serving(&[dead.address()], |application| application);
    let response = gateway.client("clerk").get("/").unwrap();
    assert_refused(&gateway, &response, 502, "cloud.upstream_connect");
    gateway.wait_for_metric(
        "hangu_upstream_results_total",
        &[("app", "records"), ("result", "cloud.upstream_connect")],
        1.0,
    );
}

#[test]
fn an_upstream_that_does_not_answer_in_time_is_a_gateway_timeout() {
    let upstream = TestUpstream::answering(|_| Answer::Silence);
    let gateway = serving(&[upstream.address()], |application| {
        application.key("read_timeout = \"300ms\"")
    });
    let response = gateway.client("clerk").get("/").unwrap();
    assert_refused(&gateway, &response, 504, "cloud.upstream_timeout");
    assert_eq!(
        upstream.count(),
        1,
        "what may have had an effect is not sent again"
    );
}

#[test]
fn an_upstream_that_answers_no_http_is_a_bad_gateway() {
    for (what, answer) in [
        (
            "garbage",
            Answer::Raw(b"\x00\x01\x02 this is no HTTP\r\n\r\n".to_vec()),
        ),
        ("an early close", Answer::Close),
        (
            "half a head",
            Answer::Raw(b"HTTP/1.1 200 OK\r\nContent-Le".to_vec()),
        ),
        (
            "an endless head",
            Answer::Raw(format!("HTTP/1.1 200 OK\r\nX: {}", "a".repeat(2_000_000)).into_bytes()),
        ),
    ] {
        let upstream = TestUpstream::answering(move |_| answer.clone());
        let gateway = serving(&[upstream.address()], |application| application);
        let response = gateway
            .client("clerk")
            .get("/")
            .unwrap_or_else(|error| panic!("{what}: {error:?}"));
        assert_eq!(response.status, 502, "{what}");
        assert_refused(&gateway, &response, 502, "cloud.upstream_broken");
        assert_eq!(
            gateway.client("clerk").get("/open/../x").unwrap().status,
            400,
            "{what}: the gateway lives"
        );
    }
}

#[test]
fn an_answer_that_breaks_off_is_passed_on_as_broken_off() {
    let upstream = TestUpstream::answering(|_| {
        Answer::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this".to_vec())
    });
    let gateway = serving(&[upstream.address()], |application| application);
    let answer = gateway.client("clerk").get("/half");
    assert!(
        answer.is_err(),
        "the client must not take half an answer for a whole one: {answer:?}"
    );
    let begun = gateway
        .audit()
        .wait_for("its beginning", |record| field(record, "path") == "/half");
    let record = gateway.audit().end_of_request(field(&begun, "request_id"));
    assert_eq!(
        (field(&record, "decision"), field(&record, "reason")),
        ("denied", "cloud.upstream_broken"),
        "{record:#}"
    );
}

#[test]
fn a_request_with_an_effect_is_never_sent_twice() {
    let upstream = TestUpstream::answering(|_| Answer::Close);
    let other = TestUpstream::answering(|_| Answer::Close);
    let gateway = serving(&[upstream.address(), other.address()], |application| {
        application
    });
    let request = format!("{}Content-Length: 2\r\n\r\n{{}}", head("POST", "/transfer"));
    let response = gateway
        .client("clerk")
        .exchange(request.as_bytes())
        .unwrap();
    assert_refused(&gateway, &response, 502, "cloud.upstream_broken");
    assert_eq!(upstream.count() + other.count(), 1);
}

#[test]
fn an_error_of_the_application_is_the_applications_own_word() {
    let upstream = TestUpstream::answering(|request| match request.target.as_str() {
        "/404" => Answer::Reply(404, Vec::new(), b"no such resident".to_vec()),
        _ => Answer::Reply(500, Vec::new(), b"oops".to_vec()),
    });
    let gateway = serving(&[upstream.address()], |application| {
        application.health("failures = 1\nretry_after = \"1h\"")
    });
    for _ in 0..3 {
        let response = gateway.client("clerk").get("/500").unwrap();
        assert_eq!((response.status, response.text().as_str()), (500, "oops"));
        let record = gateway.audit().of_request(&response.request_id());
        assert_eq!(
            (field(&record, "decision"), record["status"].as_u64()),
            ("allowed", Some(500))
        );
    }
    assert_eq!(
        gateway.client("clerk").get("/404").unwrap().text(),
        "no such resident"
    );
}

#[test]
fn an_upstream_must_prove_by_tls_that_it_is_the_workload() {
    let world = gateway();
    let good = world.pki().server(&["app.internal"]);
    let wrong_name = world.pki().server(&["other.internal"]);
    let foreign = world.pki().foreign_server(&["app.internal"]);
    for (what, certificate, proves) in [
        ("its own", good, true),
        ("another's name", wrong_name, false),
        ("a stranger's signature", foreign, false),
    ] {
        let upstream = TestUpstream::tls(
            &UpstreamTls {
                certificate,
                clients: None,
            },
            |_| Answer::ok("proven"),
        );
        let gateway = over_tls(world.clone(), upstream.address(), "");
        let response = gateway.client("clerk").get("/").unwrap();
        if proves {
            assert_allowed(&gateway, &response);
            assert_eq!(response.text(), "proven");
        } else {
            assert_refused(&gateway, &response, 502, "cloud.upstream_identity");
            assert_eq!(upstream.count(), 0, "{what}: nothing may be said to it");
        }
    }
}

#[test]
fn an_upstream_that_speaks_plain_http_where_tls_is_asked_for_hears_nothing() {
    let plain = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let gateway = over_tls(gateway(), plain.local_addr().unwrap(), "");
    let heard = std::thread::spawn(move || {
        let mut stream = plain.accept().unwrap().0;
        let mut heard = vec![0; 4096];
        let read = stream.read(&mut heard).unwrap();
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            .unwrap();
        heard.truncate(read);
        heard
    });
    let response = gateway.client("clerk").get("/residents/7").unwrap();
    assert_refused(&gateway, &response, 502, "cloud.upstream_identity");
    let heard = String::from_utf8_lossy(&heard.join().unwrap()).into_owned();
    assert!(!heard.contains("residents"), "{heard}");
}

#[test]
fn the_gateway_proves_itself_to_an_upstream_that_asks() {
    let world = gateway();
    let tls = UpstreamTls {
        certificate: world.pki().server(&["app.internal"]),
        clients: Some(world.pki().clients_roots()),
    };
    let upstream = TestUpstream::tls(&tls, |_| Answer::ok("proven"));
    let own = "certificate = \"certs/gateway-client.pem\"\nkey = \"certs/gateway-client.key\"";
    let with = over_tls(world.clone(), upstream.address(), own);
    assert_allowed(&with, &with.client("clerk").get("/").unwrap());
    assert!(upstream.last().showed_certificate);

    let without = over_tls(world, upstream.address(), "");
    let response = without.client("clerk").get("/").unwrap();
    assert_eq!(response.status, 502);
    assert_eq!(upstream.count(), 1);
}

#[test]
fn a_query_and_a_body_reach_the_upstream_unchanged() {
    let (gateway, upstream) = records();
    let request = format!(
        "{}Content-Type: application/json\r\nContent-Length: 7\r\n\r\n{{\"a\":1}}",
        head("POST", "/x?y=%20z&q=1")
    );
    assert_eq!(
        gateway
            .client("clerk")
            .exchange(request.as_bytes())
            .unwrap()
            .status,
        200
    );
    let seen = upstream.last();
    assert_eq!(
        (seen.target.as_str(), seen.body.as_slice()),
        ("/x?y=%20z&q=1", &b"{\"a\":1}"[..])
    );
    assert_eq!(seen.fields.get("content-type"), Some("application/json"));
}

/// The application `records` with these upstreams, changed.
fn serving(
    upstreams: &[SocketAddr],
    change: impl FnOnce(Application) -> Application,
) -> RunningGateway {
    let records = upstreams
        .iter()
        .fold(Application::new("records"), |application, address| {
            application.upstream(*address)
        });
    gateway().application(change(records)).start()
}

pub(crate) fn over_tls(world: TestGateway, upstream: SocketAddr, more: &str) -> RunningGateway {
    let tls = format!("ca = \"certs/servers-ca.pem\"\nserver_name = \"app.internal\"\n{more}");
    world
        .application(
            Application::new("records")
                .upstream(upstream)
                .upstream_tls(&tls),
        )
        .start()
}
