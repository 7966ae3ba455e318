//! 网 network, over real sockets: may this zone talk to that label, and how fast.

mod limits;
mod shared;

use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};

use hangu_tests::{Response, TestUpstream};

use crate::support::{assert_allowed, assert_refused, field, gateway, records_with};

/// One application address space, three zones inside one another: the longest prefix decides alone.
const ZONES: &str = "\
bureau = [\"127.0.0.0/8\"]
field  = [\"127.1.0.0/16\"]
guest  = [\"127.1.2.0/24\", \"127.9.9.9/32\"]
";
const MATRIX: &str = "\
bureau = [\"public\", \"internal\", \"sensitive\"]
field  = [\"public\", \"internal\"]
guest  = [\"public\"]
";

#[test]
fn a_zone_reaches_the_labels_of_its_row_and_no_other() {
    let (gateway, upstream) = records_with(|world| world.zones(ZONES).matrix(MATRIX));
    let client = gateway.client("clerk");
    let mut allowed = 0;
    for (source, zone, open, internal, secret) in [
        ("127.0.0.2", "bureau", true, true, true),
        ("127.200.0.1", "bureau", true, true, true),
        ("127.1.0.5", "field", true, true, false),
        ("127.1.3.1", "field", true, true, false),
        ("127.1.2.1", "guest", true, false, false),
        ("127.9.9.9", "guest", true, false, false),
        ("127.9.9.8", "bureau", true, true, true),
    ] {
        let client = client.clone().from(source);
        for (path, reaches) in [
            ("/open/laws", open),
            ("/residents/7", internal),
            ("/secret/1", secret),
        ] {
            let response = client.get(path).unwrap();
            if reaches {
                assert_allowed(&gateway, &response);
                allowed += 1;
            } else {
                assert_refused(&gateway, &response, 403, "network.zone_label");
            }
            let record = gateway.audit().of_request(&response.request_id());
            assert_eq!(field(&record, "zone"), zone, "{source}");
            assert!(
                field(&record, "client").starts_with(&format!("{source}:")),
                "{record:#}"
            );
            assert_eq!(upstream.count(), allowed, "{source} {path}");
        }
    }
}

#[test]
fn a_client_that_is_in_no_zone_is_refused_unless_its_listener_names_one() {
    let elsewhere = "bureau = [\"127.7.0.0/16\"]\nguest = []\n";
    let (gateway, upstream) = records_with(|world| world.zones(elsewhere).matrix(MATRIX_OF_TWO));
    let response = gateway.client("clerk").get("/open/laws").unwrap();
    assert_refused(&gateway, &response, 403, "network.no_zone");
    assert_eq!(upstream.count(), 0);

    let (gateway, upstream) = records_with(|world| {
        world
            .zones(elsewhere)
            .matrix(MATRIX_OF_TWO)
            .listener("zone = \"guest\"")
    });
    assert_allowed(
        &gateway,
        &gateway.client("clerk").get("/open/laws").unwrap(),
    );
    assert_refused(
        &gateway,
        &gateway.client("clerk").get("/residents/7").unwrap(),
        403,
        "network.zone_label",
    );
    assert_allowed(
        &gateway,
        &gateway
            .client("clerk")
            .from("127.7.1.1")
            .get("/residents/7")
            .unwrap(),
    );
    assert_eq!(upstream.count(), 2);
}

const MATRIX_OF_TWO: &str =
    "bureau = [\"public\", \"internal\", \"sensitive\"]\nguest = [\"public\"]\n";

#[test]
fn a_zone_without_a_row_reaches_nothing() {
    let (gateway, upstream) = records_with(|world| world.matrix(""));
    let response = gateway.client("clerk").get("/open/laws").unwrap();
    assert_refused(&gateway, &response, 403, "network.zone_label");
    assert_eq!(upstream.count(), 0);
}

#[test]
fn ipv6_clients_have_zones_of_their_own() {
    let upstream = TestUpstream::named("records");
    let gateway = gateway()
        .records(upstream.address())
        .ip(IpAddr::V6(Ipv6Addr::LOCALHOST))
        .zones("bureau = [\"127.0.0.0/8\", \"0.0.0.0/0\"]\nguest = [\"::1/128\"]\n")
        .matrix(MATRIX_OF_TWO)
        .start();
    let client = gateway.client("clerk");
    assert_allowed(&gateway, &client.get("/open/laws").unwrap());
    assert_refused(
        &gateway,
        &client.get("/residents/7").unwrap(),
        403,
        "network.zone_label",
    );
    let seen = upstream.last();
    assert_eq!(seen.fields.get("x-forwarded-for"), Some("::1"));
    assert_eq!(
        seen.fields.get("forwarded"),
        Some("for=\"[::1]\";host=\"records.test\";proto=https")
    );
}

#[test]
fn an_identity_has_exactly_its_rate_over_all_its_connections() {
    let (gateway, upstream) = records_with(|world| {
        world.table("[limits]\nidentity = { requests = 1, per = \"1h\", burst = 5 }")
    });
    let credentials = gateway.pki().client("clerk");
    let client = gateway.client_with(Some(&credentials));
    let mut first = client.connect().unwrap();
    let mut second = client.connect().unwrap();
    let mut third = client.connect_h2().unwrap();
    let over_http2 = third.get("/");
    let mut answers: Vec<Response> = Vec::new();
    for _ in 0..2 {
        answers.push(first.get("/").unwrap());
        answers.push(second.get("/").unwrap());
        answers.push(third.send(&over_http2).unwrap());
    }
    let renewed = gateway.client("clerk");
    answers.push(renewed.get("/").unwrap());
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(
        statuses,
        [200, 200, 200, 200, 200, 429, 429],
        "five and no more, with a new certificate too"
    );
    for refused in &answers[5..] {
        assert_refused(&gateway, refused, 429, "network.rate_identity");
        assert_wait(refused, 3600);
    }
    assert_eq!(upstream.count(), 5);
    assert_eq!(
        gateway.client("reader").get("/").unwrap().status,
        200,
        "another identity has its own"
    );
}

#[test]
fn a_source_has_exactly_its_rate_whoever_speaks_from_there() {
    let (gateway, upstream) = records_with(|world| {
        world.table("[limits]\nsource = { requests = 1, per = \"1h\", burst = 4 }")
    });
    let (clerk, reader) = (gateway.client("clerk"), gateway.client("reader"));
    for client in [&clerk, &reader, &clerk, &reader] {
        assert_eq!(client.get("/").unwrap().status, 200);
    }
    for client in [&clerk, &reader] {
        let refused = client.get("/").unwrap();
        assert_refused(&gateway, &refused, 429, "network.rate_source");
        assert_wait(&refused, 3600);
    }
    assert_eq!(upstream.count(), 4);
    assert_eq!(
        clerk.clone().from("127.0.0.77").get("/").unwrap().status,
        200,
        "another source has its own"
    );
}

#[test]
fn the_rate_is_exact_when_many_ask_at_once() {
    const BURST: usize = 40;
    const EACH: usize = 25;
    let limits = format!("[limits]\nidentity = {{ requests = 1, per = \"1h\", burst = {BURST} }}");
    let (gateway, upstream) = records_with(|world| world.table(&limits));
    let served = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let (client, served) = (gateway.client("clerk"), &served);
            scope.spawn(move || {
                let mut connection = client.connect().unwrap();
                for _ in 0..EACH {
                    match connection.get("/").unwrap().status {
                        200 => drop(served.fetch_add(1, Ordering::Relaxed)),
                        status => assert_eq!(status, 429),
                    }
                }
            });
        }
    });
    assert_eq!(served.load(Ordering::Relaxed), BURST);
    assert_eq!(upstream.count(), BURST);
}

#[test]
fn who_waits_as_long_as_told_is_let_in() {
    let (gateway, _upstream) = records_with(|world| {
        world.table("[limits]\nidentity = { requests = 1, per = \"1s\", burst = 1 }")
    });
    let mut connection = gateway.client("clerk").connect().unwrap();
    assert_eq!(connection.get("/").unwrap().status, 200);
    let refused = connection.get("/").unwrap();
    assert_refused(&gateway, &refused, 429, "network.rate_identity");
    assert_wait(&refused, 1);
    hangu_tests::wait_until("the rate to let one in", || {
        connection.get("/").unwrap().status == 200
    });
}

#[test]
fn a_refused_request_of_another_layer_costs_no_rate_where_it_comes_before() {
    let (gateway, upstream) = records_with(|world| {
        world.table("[limits]\nidentity = { requests = 1, per = \"1h\", burst = 2 }")
    });
    let mut connection = gateway.client("clerk").connect().unwrap();
    for _ in 0..5 {
        assert_eq!(connection.get("/open/../x").unwrap().status, 400);
    }
    assert_eq!(connection.get("/").unwrap().status, 200);
    assert_eq!(
        connection.get("/sealed/1").unwrap().status,
        403,
        "the policy comes after: this one was counted"
    );
    assert_eq!(connection.get("/").unwrap().status, 429);
    assert_eq!(upstream.count(), 1);
}

/// Retry-After in whole seconds, no longer than this and no shorter than a little less.
#[track_caller]
fn assert_wait(response: &Response, most: u64) {
    let wait: u64 = response
        .fields
        .get("retry-after")
        .expect("Retry-After")
        .parse()
        .expect("whole seconds");
    assert!(
        (most.saturating_sub(60)..=most).contains(&wait) && wait > 0,
        "{wait} of {most}"
    );
}
