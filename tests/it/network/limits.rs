//! Named limits: whom they count, that they refuse exactly, that they say which one refused, and that they give back.

use hangu_certs::{ClientRequest, SpiffeId, Validity};
use hangu_tests::{
    Answer, Application, Client, Gate, HandUpstream, Response, RunningGateway, TestGateway,
    TestUpstream, now, wait_until,
};

use crate::support::{assert_allowed, assert_refused, field, gateway, head, records_with};

/// A gateway with these tables of limits.
fn limited(tables: &str) -> (RunningGateway, TestUpstream) {
    records_with(|world| world.table(tables))
}

/// A rate of so many requests and no more for a long time.
fn few(name: &str, by: &str, burst: u32, rest: &str) -> String {
    format!(
        "[[limits.rates]]\nname = \"{name}\"\nby = {by}\nrequests = 1\nper = \"24h\"\nburst = {burst}\n{rest}\n"
    )
}

fn statuses(client: &Client, path: &str, times: usize) -> Vec<u16> {
    let mut connection = client.connect().unwrap();
    (0..times)
        .map(|_| connection.get(path).unwrap().status)
        .collect()
}

/// The refusal names its limit in the record and in the metrics.
#[track_caller]
fn assert_limited(gateway: &RunningGateway, response: &Response, reason: &str, limit: &str) {
    assert_refused(gateway, response, 429, reason);
    let record = gateway.audit().of_request(&response.request_id());
    let detail = format!("refused by limit `{limit}`");
    assert_eq!(field(&record, "detail"), detail, "{record:#}");
    gateway.wait_for_metric("hangu_limit_refusals_total", &[("limit", limit)], 1.0);
}

#[test]
fn a_limit_counts_by_what_it_says_and_by_each_combination() {
    let upstream = TestUpstream::named("both");
    let limits = [
        few(
            "person-and-application",
            "[\"identity\", \"application\"]",
            3,
            "",
        ),
        few("busy-route", "[\"route\"]", 4, "routes = [\"/open\"]"),
        few(
            "tax-alone",
            "[\"application\"]",
            2,
            "applications = [\"tax\"]",
        ),
    ];
    let gateway = gateway()
        .records(upstream.address())
        .application(Application::new("tax").upstream(upstream.address()))
        .table(&limits.concat())
        .start();
    let (clerk, reader) = (gateway.client("clerk"), gateway.client("reader"));
    let tax = |client: &Client| client.clone().named("tax.test");

    assert_eq!(statuses(&clerk, "/", 4), [200, 200, 200, 429]);
    let over = clerk.get("/").unwrap();
    assert_limited(
        &gateway,
        &over,
        "network.rate_identity",
        "person-and-application",
    );
    assert_eq!(
        statuses(&tax(&clerk), "/", 2),
        [200, 200],
        "another application, another count"
    );
    let over = tax(&reader).get("/").unwrap();
    assert_limited(&gateway, &over, "network.rate_application", "tax-alone");
    assert_eq!(statuses(&reader, "/open/1", 3), [200, 200, 200]);
    let others = gateway.client("nobody");
    assert_eq!(
        statuses(&others, "/open/1", 2),
        [403, 429],
        "the fifth request of the route, whoever sends it"
    );
    let over = others.get("/open/1").unwrap();
    assert_limited(&gateway, &over, "network.rate_route", "busy-route");
}

#[test]
fn an_organisation_has_one_count_for_all_its_members() {
    let (gateway, _upstream) = records_with(|world| {
        world
            .table("[identity]\norganisation = \"{subject.o}\"")
            .table(&few("ministry", "[\"organisation\"]", 3, ""))
    });
    let of = |name: &str, organisation: &str| {
        let id = SpiffeId::parse(&format!("spiffe://gov.test/{name}")).unwrap();
        let mut request = ClientRequest::spiffe(&id, Validity::days(now() - 60, 1));
        request.organisation = Some(organisation.to_owned());
        gateway.client_with(Some(&gateway.pki().client_of(&request)))
    };
    assert_eq!(statuses(&of("clerk", "Tax"), "/", 2), [200, 200]);
    assert_eq!(statuses(&of("reader", "Tax"), "/", 2), [200, 429]);
    let over = of("clerk", "Tax").get("/").unwrap();
    assert_limited(&gateway, &over, "network.rate_organisation", "ministry");
    assert_eq!(statuses(&of("clerk", "Health"), "/", 1), [200]);
}

#[test]
fn the_tightest_limit_is_named_and_a_flood_uses_up_no_other() {
    let limits =
        few("person", "[\"identity\"]", 2, "") + few("all", "[\"application\"]", 4, "").as_str();
    let (gateway, _upstream) = limited(&limits);
    let (clerk, reader) = (gateway.client("clerk"), gateway.client("reader"));
    assert_eq!(statuses(&clerk, "/", 20)[..3], [200, 200, 429]);
    let over = clerk.get("/").unwrap();
    assert_limited(&gateway, &over, "network.rate_identity", "person");
    assert_eq!(
        statuses(&reader, "/", 2),
        [200, 200],
        "the flood took nothing from the others' share"
    );
    let late = gateway.client("late").get("/").unwrap();
    assert_limited(&gateway, &late, "network.rate_application", "all");
}

#[test]
fn a_limit_in_shadow_mode_counts_and_records_and_lets_through() {
    let limits = few("trial", "[\"identity\"]", 1, "shadow = true")
        + "[[limits.quotas]]\nname = \"trial-day\"\nby = [\"identity\"]\nrequests = 1\nshadow = true\n\
           [[limits.sources]]\nname = \"trial-source\"\nclients = \"all\"\nrequests = 1\nper = \"24h\"\nburst = 1\nshadow = true\n";
    let (gateway, upstream) = limited(&limits);
    let client = gateway.client("clerk");
    let first = client.get("/").unwrap();
    assert_allowed(&gateway, &first);
    assert_eq!(
        field(&gateway.audit().of_request(&first.request_id()), "detail"),
        ""
    );
    let second = client.get("/").unwrap();
    assert_allowed(&gateway, &second);
    assert_eq!(second.fields.get("ratelimit"), None, "a trial tells nobody");
    let record = gateway.audit().of_request(&second.request_id());
    assert_eq!(
        field(&record, "detail"),
        "would be refused by shadow limit `trial-source`; would be refused by shadow limit `trial`; \
         would be refused by shadow limit `trial-day`"
    );
    for limit in ["trial", "trial-day", "trial-source"] {
        let labels = [("limit", limit)];
        gateway.wait_for_metric("hangu_limit_shadow_refusals_total", &labels, 1.0);
        assert!(gateway.metrics().sum("hangu_limit_refusals_total", &labels) < 1.0);
    }
    assert_eq!(upstream.count(), 2);
}

#[test]
fn a_reload_forgets_nothing_of_what_was_counted() {
    let rate = |burst| few("person", "[\"identity\"]", burst, "");
    let quota = "[[limits.quotas]]\nname = \"day\"\nby = [\"identity\"]\nrequests = 5\n";
    let source = |burst: u32| {
        format!(
            "[[limits.sources]]\nname = \"net\"\nclients = \"all\"\nrequests = 1\nper = \"24h\"\nburst = {burst}\n"
        )
    };
    let upstream = TestUpstream::named("records");
    let world = gateway().records(upstream.address());
    let with = |tables: &str| world.clone().table(tables);
    let mut gateway = with(&(rate(3) + source(9).as_str())).start();
    let client = gateway.client("clerk");
    let mut kept = client.connect().unwrap();
    let mut get = || kept.get("/").unwrap().status;
    assert_eq!([get(), get(), get(), get()], [200, 200, 200, 429]);

    // Another burst, and another limit beside it: three of five are used.
    let pki = |world: TestGateway, tables: &str| world.without_tables().table(tables);
    gateway.change(|world| pki(world, &(rate(5) + quota + source(9).as_str())));
    assert_eq!([get(), get(), get()], [200, 200, 429]);

    // The rate is gone. The source has counted all along: two of nine are left. The quota has counted two of five, and now two more.
    gateway.change(|world| pki(world, &(quota.to_owned() + source(9).as_str())));
    assert_eq!([get(), get(), get()], [200, 200, 429]);
    let over = client.get("/").unwrap();
    assert_limited(&gateway, &over, "network.rate_source", "net");
    gateway.change(|world| pki(world, quota));
    assert_eq!([get(), get(), get()], [200, 429, 429]);
    let over = client.get("/").unwrap();
    assert_limited(&gateway, &over, "network.quota", "day");
}

#[test]
fn unproven_clients_of_one_network_share_a_rate_and_are_told_nothing() {
    let (gateway, _upstream) = records_with(|world| {
        world.listener("client_authentication = \"optional\"").table(
            "[[limits.sources]]\nname = \"strangers\"\nby = \"prefix\"\nrequests = 1\nper = \"24h\"\nburst = 3",
        )
    });
    let stranger = |source: &str| gateway.client_with(None).from(source);
    for source in ["127.0.5.1", "127.0.5.77", "127.0.5.200"] {
        let response = stranger(source).get("/open/laws").unwrap();
        assert_allowed(&gateway, &response);
        assert_eq!(response.fields.get("ratelimit"), None);
    }
    let over = stranger("127.0.5.2").get("/open/laws").unwrap();
    assert_limited(&gateway, &over, "network.rate_source", "strangers");
    for name in ["retry-after", "ratelimit", "ratelimit-policy"] {
        assert_eq!(over.fields.get(name), None, "{name}");
    }
    assert_eq!(stranger("127.0.6.2").get("/open/laws").unwrap().status, 200);
    let known = gateway.client("clerk").from("127.0.5.2");
    assert_eq!(known.get("/open/laws").unwrap().status, 200, "a proven one");
}

#[test]
fn a_caller_is_told_his_limits_and_how_near_they_are() {
    let limits = few("person", "[\"identity\"]", 3, "")
        + few("everybody", "[\"application\"]", 2, "").as_str()
        + "[[limits.quotas]]\nname = \"day\"\nby = [\"identity\"]\nrequests = 100\n\
           [[limits.quotas]]\nname = \"volume\"\nby = [\"organisation\"]\nbytes = \"1GiB\"\n";
    let (gateway, _upstream) = limited(&limits);
    let client = gateway.client("clerk");
    let first = client.get("/").unwrap();
    assert_allowed(&gateway, &first);
    let policy = "\"person\";q=3;w=259200, \"day\";q=100;w=86400, \"volume\";q=1073741824;qu=\"content-bytes\";w=86400";
    assert_eq!(first.fields.get("ratelimit-policy"), Some(policy));
    let told = first.fields.get("ratelimit").unwrap();
    assert!(
        told.starts_with("\"day\";r=99;t=") && !told.contains("everybody"),
        "the nearest rate is that of all, which is not his to know: {told}"
    );
    assert_eq!(client.get("/").unwrap().status, 200);
    let over = client.get("/").unwrap();
    assert_limited(&gateway, &over, "network.rate_application", "everybody");
    let wait = over.fields.get("retry-after").unwrap();
    let told = format!("\"everybody\";r=0;t={wait}");
    assert_eq!(over.fields.get("ratelimit"), Some(told.as_str()));

    let (gateway, _upstream) = limited(&few("person", "[\"identity\"]", 3, ""));
    let answer = gateway.client("clerk").get("/sealed/1").unwrap();
    assert_eq!(answer.status, 403);
    let told = answer.fields.get("ratelimit").unwrap();
    assert!(
        told.starts_with("\"person\";r=2;t=86"),
        "also on refusals that came later: {told}"
    );
}

#[test]
fn so_many_requests_of_a_person_are_under_way_and_every_end_gives_a_place_back() {
    let gate = Gate::new();
    let held = gate.clone();
    let upstream = TestUpstream::answering(move |seen| match seen.target.as_str() {
        "/slow" => Answer::ok("at last").held_by(&held),
        _ => Answer::ok("quick"),
    });
    let gateway = gateway()
        .records(upstream.address())
        .table("[[limits.concurrency]]\nname = \"two\"\nby = [\"identity\"]\nmax = 2")
        .start();
    let client = gateway.client("clerk");
    let slow = || {
        let mut connection = client.connect().unwrap();
        let request = head("GET", "/slow") + "\r\n";
        connection.send(request.as_bytes()).unwrap();
        connection
    };
    let (mut first, second) = (slow(), slow());
    wait_until("both to be under way", || gate.held() == 2);
    let over = client.get("/").unwrap();
    assert_limited(&gateway, &over, "network.concurrency", "two");
    assert_eq!(over.fields.get("retry-after"), Some("1"));
    assert_eq!(gateway.client("reader").get("/").unwrap().status, 200);
    // One goes away in the middle: its place is free again.
    second.abort();
    wait_until("the place of the aborted one", || {
        client.get("/").unwrap().status == 200
    });
    gate.open();
    assert_eq!(first.read_response(true).unwrap().status, 200);
    assert_eq!(statuses(&client, "/", 5), [200; 5]);
    assert_eq!(client.get("/sealed/1").unwrap().status, 403);
    assert_eq!(
        statuses(&client, "/", 3),
        [200; 3],
        "a refused one held its place no longer than its answer"
    );
}

#[test]
fn an_upstream_gets_no_more_at_once_than_its_limit() {
    let gate = Gate::new();
    let held = gate.clone();
    let slow = TestUpstream::answering(move |_| Answer::ok("at last").held_by(&held));
    let gateway = gateway()
        .records(slow.address())
        .table("[[limits.concurrency]]\nname = \"gentle\"\nby = [\"upstream\"]\nmax = 1")
        .start();
    let client = gateway.client("clerk");
    let mut first = client.connect().unwrap();
    first.send((head("GET", "/") + "\r\n").as_bytes()).unwrap();
    wait_until("the first to be there", || gate.held() == 1);
    let busy = gateway.client("reader").get("/").unwrap();
    assert_refused(&gateway, &busy, 503, "cloud.upstreams_busy");
    let record = gateway.audit().of_request(&busy.request_id());
    assert_eq!(field(&record, "detail"), "refused by limit `gentle`");
    gateway.wait_for_metric("hangu_limit_refusals_total", &[("limit", "gentle")], 1.0);
    gate.open();
    assert_eq!(first.read_response(true).unwrap().status, 200);
    assert_eq!(statuses(&client, "/", 3), [200; 3]);
    assert_eq!(slow.count(), 4);
}

#[test]
fn slow_bodies_of_one_caller_take_no_more_than_half_of_an_upstream() {
    let upstream = HandUpstream::new();
    let gateway = gateway()
        .records(upstream.address())
        .table("[[limits.concurrency]]\nname = \"gentle\"\nby = [\"upstream\"]\nmax = 4")
        .start();
    let post = head("POST", "/slow") + "Content-Length: 1000\r\n\r\nhalf";
    let begin = |id: &str| {
        let mut connection = gateway.client(id).connect().unwrap();
        connection.send(post.as_bytes()).unwrap();
        connection
    };
    // A place is taken with the head: the application is told of a body that has not come.
    let _first = (begin("clerk"), upstream.accept());
    let _second = (begin("clerk"), upstream.accept());
    let over = begin("clerk").read_response(true).unwrap();
    assert_limited(&gateway, &over, "network.concurrency", "gentle");
    let mut neighbour = gateway.client("reader").connect().unwrap();
    let get = head("GET", "/") + "\r\n";
    neighbour.send(get.as_bytes()).unwrap();
    let mut application = upstream.accept();
    application.head();
    application
        .send(b"HTTP/1.1 204 No Content\r\n\r\n")
        .unwrap();
    assert_eq!(neighbour.read_response(true).unwrap().status, 204);
}

#[test]
fn who_limits_callers_himself_is_not_limited_to_half_an_upstream() {
    let gate = Gate::new();
    let held = gate.clone();
    let upstream = TestUpstream::answering(move |seen| match seen.target.as_str() {
        "/slow" => Answer::ok("at last").held_by(&held),
        _ => Answer::ok("quick"),
    });
    let gateway = gateway()
        .records(upstream.address())
        .table("[[limits.concurrency]]\nname = \"gentle\"\nby = [\"upstream\"]\nmax = 4")
        .table("[[limits.concurrency]]\nname = \"three\"\nby = [\"identity\"]\nmax = 3")
        .start();
    let client = gateway.client("clerk");
    let mut under_way = Vec::new();
    for _ in 0..3 {
        let mut connection = client.connect().unwrap();
        let request = head("GET", "/slow") + "\r\n";
        connection.send(request.as_bytes()).unwrap();
        under_way.push(connection);
    }
    wait_until("all three to be there", || gate.held() == 3);
    let over = client.get("/").unwrap();
    assert_limited(&gateway, &over, "network.concurrency", "three");
    gate.open();
    for mut connection in under_way {
        assert_eq!(connection.read_response(true).unwrap().status, 200);
    }
}

#[test]
fn a_source_has_so_many_connections_and_no_more() {
    let (gateway, _upstream) =
        limited("[[limits.concurrency]]\nname = \"sockets\"\nby = [\"source\"]\nmax = 2\n");
    let client = gateway.client("clerk");
    let (first, mut second) = (client.connect().unwrap(), client.connect().unwrap());
    assert_eq!(second.get("/").unwrap().status, 200);
    assert!(client.connect().is_err(), "the third is closed at once");
    gateway.wait_for_metric("hangu_limit_refusals_total", &[("limit", "sockets")], 1.0);
    let record = gateway
        .audit()
        .wait_for("the refused connection", |record| {
            field(record, "reason") == "network.connections_source"
        });
    assert_eq!(field(&record, "detail"), "refused by limit `sockets`");
    let elsewhere = client.clone().from("127.0.0.9");
    assert_eq!(elsewhere.get("/").unwrap().status, 200);
    first.abort();
    wait_until("its place to be free", || client.get("/").is_ok());
}

#[test]
fn bytes_of_a_day_are_counted_both_ways_as_they_flow() {
    let upstream = TestUpstream::answering(|seen| match seen.target.as_str() {
        "/big" => Answer::Reply(200, Vec::new(), vec![b'x'; BODY]),
        _ => Answer::ok("ok"),
    });
    let gateway = gateway()
        .records(upstream.address())
        .table("[[limits.quotas]]\nname = \"volume\"\nby = [\"identity\"]\nbytes = \"10MiB\"\n")
        .start();
    let client = gateway.client("clerk");
    let post = |bytes: usize| {
        let mut request =
            head("POST", "/upload") + format!("Content-Length: {bytes}\r\n\r\n").as_str();
        request.push_str(&"y".repeat(bytes));
        client.exchange(request.as_bytes())
    };
    assert_eq!(client.get("/big").unwrap().body.len(), BODY);
    assert_eq!(post(BODY).unwrap().status, 200);
    let cut = client.get("/big");
    assert!(cut.is_err(), "the third body does not fit: {cut:?}");
    let record = gateway
        .audit()
        .wait_for("the answer that was cut", |record| {
            field(record, "reason") == "network.quota"
        });
    assert_eq!(field(&record, "detail"), "refused by limit `volume`");
    let over = post(10).unwrap();
    assert_limited(&gateway, &over, "network.quota", "volume");
    let wait: u64 = over.fields.get("retry-after").unwrap().parse().unwrap();
    assert!((1..=86_400).contains(&wait), "until midnight: {wait}");
    assert_eq!(
        gateway.client("reader").get("/big").unwrap().body.len(),
        BODY
    );
}

const BODY: usize = 4_000_000;

#[test]
fn an_upload_beyond_the_quota_is_refused_in_its_middle() {
    let (gateway, upstream) =
        limited("[[limits.quotas]]\nname = \"volume\"\nby = [\"identity\"]\nbytes = \"50KiB\"\n");
    let request =
        head("POST", "/upload") + "Content-Length: 200000\r\n\r\n" + "y".repeat(200_000).as_str();
    let refused = gateway
        .client("clerk")
        .exchange(request.as_bytes())
        .unwrap();
    assert_eq!(refused.status, 429);
    assert!(refused.fields.get("retry-after").is_some(), "{refused:?}");
    let record = gateway.audit().of_request(&refused.request_id());
    assert_eq!(field(&record, "reason"), "network.quota");
    assert_eq!(field(&record, "detail"), "refused by limit `volume`");
    assert_eq!(
        upstream.count(),
        0,
        "no whole request came to the application"
    );
}
