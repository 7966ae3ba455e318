//! Limits that several gateways hold together, over a real redis-server: one limit for all, and what happens when it is gone.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hangu_tests::{GatewayFolder, RunningGateway, TestRedis, TestUpstream, free_port, wait_until};

use crate::support::{assert_refused, field, gateway};

/// A rate of so many requests of one person, and no more for a long time, held together through a server.
fn table(burst: usize, url: &str, rest: &str) -> String {
    format!(
        "[[limits.rates]]\nname = \"person\"\nby = [\"identity\"]\nrequests = 1\nper = \"24h\"\nburst = {burst}\nshared = true\n\
         [limits.shared]\nurls = [\"{url}\"]\n{rest}\n"
    )
}

fn prepared(upstream: &TestUpstream, tables: &str) -> GatewayFolder {
    gateway()
        .records(upstream.address())
        .table(tables)
        .prepare()
}

/// A gateway that has found its server.
fn connected(upstream: &TestUpstream, tables: &str) -> RunningGateway {
    let gateway = prepared(upstream, tables).start();
    let is_up = || gateway.metrics().sum("hangu_limit_shared_up", &[]) >= 1.0;
    let begun = Instant::now();
    wait_until("the gateway to find its server", || {
        is_up() || begun.elapsed() > Duration::from_secs(8)
    });
    assert!(is_up(), "{}", gateway.stderr());
    gateway
}

fn url(redis: &TestRedis) -> String {
    format!("redis://127.0.0.1:{}", redis.port())
}

/// How many of so many requests over one connection are answered 200; the others are 429.
fn served(gateway: &RunningGateway, times: usize) -> usize {
    let mut connection = gateway.client("clerk").connect().unwrap();
    let statuses = (0..times).map(|_| connection.get("/").unwrap().status);
    statuses
        .filter(|status| {
            assert!([200, 429].contains(status), "{status}");
            *status == 200
        })
        .count()
}

/// Calls of the script that the server has seen.
fn asked(redis: &TestRedis) -> usize {
    let stats = redis.command("INFO commandstats");
    let calls = stats
        .lines()
        .find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
    calls
        .and_then(|rest| rest.split(',').next()?.parse().ok())
        .unwrap_or(0)
}

#[test]
fn two_gateways_hold_one_limit_to_the_request() {
    const BURST: usize = 300;
    let Some(redis) = TestRedis::start(&[]) else {
        return;
    };
    let upstream = TestUpstream::named("records");
    // Long enough that a busy machine does not fall back.
    let tables = table(BURST, &url(&redis), "deadline = \"1s\"");
    let gateways = [connected(&upstream, &tables), connected(&upstream, &tables)];
    let total = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for gateway in gateways.iter().chain(&gateways) {
            let total = &total;
            scope.spawn(move || total.fetch_add(served(gateway, 150), Ordering::Relaxed));
        }
    });
    assert_eq!(
        total.into_inner(),
        BURST,
        "600 asked, 300 may: not one in a hundred more or less"
    );
    assert_eq!(upstream.count(), BURST);
    let refused = gateways[0].client("clerk").get("/").unwrap();
    assert_refused(&gateways[0], &refused, 429, "network.rate_identity");
    let record = gateways[0].audit().of_request(&refused.request_id());
    assert_eq!(field(&record, "detail"), "refused by limit `person`");
    assert!(refused.fields.get("retry-after").is_some());
    assert_eq!(
        gateways[1].client("reader").get("/").unwrap().status,
        200,
        "another identity has its own"
    );
    assert!(
        !redis.command("KEYS *").contains("clerk"),
        "no name lies in the server"
    );
}

#[test]
fn the_flood_of_one_identity_does_not_reach_the_server() {
    let Some(redis) = TestRedis::start(&[]) else {
        return;
    };
    let upstream = TestUpstream::named("records");
    let tables = table(5, &url(&redis), "deadline = \"1s\"");
    let (one, other) = (connected(&upstream, &tables), connected(&upstream, &tables));
    assert_eq!(served(&one, 200), 5);
    assert_eq!(asked(&redis), 5, "what one gateway knows is not asked");
    assert_eq!(served(&other, 200), 0);
    assert_eq!(
        asked(&redis),
        6,
        "what the server has refused is asked again only when it may have changed"
    );
}

#[test]
fn when_the_server_is_killed_the_fallback_decides_at_once_and_all_recovers_by_itself() {
    let Some(mut redis) = TestRedis::start(&[]) else {
        return;
    };
    let upstream = TestUpstream::named("records");
    let share = connected(&upstream, &table(100, &url(&redis), "gateways = 4"));
    let allow = connected(&upstream, &table(100, &url(&redis), "fallback = \"allow\""));
    // A server that is slow because the machine is does not count as gone.
    let rest = "fallback = \"deny\"\ndeadline = \"1s\"";
    let deny = connected(&upstream, &table(100, &url(&redis), rest));
    let mut loaded = deny.client("reader").connect().unwrap();
    assert_eq!(loaded.get("/").unwrap().status, 200);
    redis.kill();
    for gateway in [&share, &allow, &deny] {
        wait_until("the gateway to notice", || {
            let _any = gateway.client("reader").get("/").unwrap();
            gateway.metrics().sum("hangu_limit_shared_up", &[]) < 1.0
        });
    }
    assert_eq!(served(&share, 40), 25, "a fourth of a hundred");
    assert_eq!(served(&allow, 40), 40);
    let refused = deny.client("clerk").get("/").unwrap();
    assert_refused(&deny, &refused, 503, "network.shared_limit_unavailable");
    let labels = [("limit", "person")];
    share.wait_for_metric("hangu_limit_shared_fallbacks_total", &labels, 40.0);
    assert_eq!(loaded.get("/").unwrap().status, 503);

    redis.restart();
    for gateway in [&share, &allow, &deny] {
        gateway.wait_for_metric("hangu_limit_shared_up", &[], 1.0);
    }
    assert_eq!(loaded.get("/").unwrap().status, 200);
    assert_eq!(asked(&redis), 1, "it is asked again");
}

#[test]
fn a_server_that_hangs_costs_a_request_its_deadline_at_most_and_soon_nothing() {
    const DEADLINE: Duration = Duration::from_millis(300);
    let Some(redis) = TestRedis::start(&[]) else {
        return;
    };
    let upstream = TestUpstream::named("records");
    let rest = "deadline = \"300ms\"\nfallback = \"allow\"";
    let gateway = connected(&upstream, &table(1_000, &url(&redis), rest));
    let mut connection = gateway.client("clerk").connect().unwrap();
    assert_eq!(connection.get("/").unwrap().status, 200);
    redis.signal("STOP");
    let times: Vec<Duration> = (0..20)
        .map(|_| {
            let begun = Instant::now();
            assert_eq!(connection.get("/").unwrap().status, 200);
            begun.elapsed()
        })
        .collect();
    let waited = times.iter().filter(|time| **time >= DEADLINE).count();
    assert!((1..=3).contains(&waited), "{times:?}");
    assert!(times.iter().all(|time| *time < 2 * DEADLINE), "{times:?}");
    redis.signal("CONT");
    gateway.wait_for_metric("hangu_limit_shared_up", &[], 1.0);
}

#[test]
fn a_gateway_starts_and_serves_while_no_server_is_there() {
    let Some(mut redis) = TestRedis::start(&[]) else {
        return;
    };
    redis.kill();
    let upstream = TestUpstream::named("records");
    let gateway = prepared(&upstream, &table(10, &url(&redis), "gateways = 2")).start();
    assert_eq!(served(&gateway, 20), 5, "its share of ten");
    redis.restart();
    gateway.wait_for_metric("hangu_limit_shared_up", &[], 1.0);
    assert_eq!(
        served(&gateway, 20),
        5,
        "the server has counted none yet, this gateway five of ten"
    );
}

#[test]
fn the_server_is_spoken_to_over_tls_with_user_and_password() {
    let upstream = TestUpstream::named("records");
    let Some(redis) = TestRedis::start(&[]) else {
        return;
    };
    let tls_port = free_port();
    let url = format!("rediss://127.0.0.1:{tls_port}");
    let rest = "deadline = \"1s\"\nca = \"certs/servers-ca.pem\"\nuser = \"gateway\"\npassword_file = \"password\"";
    let folder = gateway().records(upstream.address()).prepare();
    let server = folder.pki().server(&["127.0.0.1"]);
    folder.write("password", "a secret\n");
    folder.write("redis.pem", &server.chain_pem);
    folder.write("redis.key", &server.key_pem);
    let file = |name: &str| folder.path(name).display().to_string();
    drop(redis);
    let redis = TestRedis::start(&[
        "--tls-port",
        &tls_port.to_string(),
        "--tls-cert-file",
        &file("redis.pem"),
        "--tls-key-file",
        &file("redis.key"),
        "--tls-ca-cert-file",
        &file("certs/servers-ca.pem"),
        "--tls-auth-clients",
        "no",
    ])
    .unwrap();
    let allowed = redis.command("ACL SETUSER gateway on \">a secret\" ~hangu:* +@all");
    assert!(allowed.starts_with("+OK"), "{allowed}");
    let closed = redis.command("ACL SETUSER default -@all +info +acl|whoami +ping");
    assert!(closed.starts_with("+OK"), "{closed}");
    let mut folder = folder;
    folder.change(|world| world.table(&table(3, &url, rest)));
    let gateway = folder.start();
    gateway.wait_for_metric("hangu_limit_shared_up", &[], 1.0);
    assert_eq!(served(&gateway, 10), 3);
    assert_eq!(asked(&redis), 3);
}

#[test]
fn a_cluster_holds_limits_too() {
    // Its usual place is 10,000 above the other port, where another test may listen.
    let bus = free_port().to_string();
    let arguments = [
        "--cluster-port",
        &bus,
        "--cluster-enabled",
        "yes",
        "--cluster-announce-ip",
        "127.0.0.1",
    ];
    let Some(node) = TestRedis::start(&arguments) else {
        return;
    };
    let upstream = TestUpstream::named("records");
    let slots = node.command("CLUSTER ADDSLOTSRANGE 0 16383");
    assert!(slots.starts_with("+OK"), "{slots}");
    wait_until("the cluster to be whole", || {
        node.command("CLUSTER INFO").contains("cluster_state:ok")
    });
    let rest = "kind = \"cluster\"\ndeadline = \"1s\"";
    let gateway = connected(&upstream, &table(4, &url(&node), rest));
    assert_eq!(served(&gateway, 10), 4);
    assert_eq!(asked(&node), 4);
}

#[test]
fn a_server_behind_sentinels_holds_limits_too() {
    let Some(server) = TestRedis::start(&[]) else {
        return;
    };
    let upstream = TestUpstream::named("records");
    let sentinel = server.sentinel("limits");
    let rest = "kind = \"sentinel\"\nservice = \"limits\"\ndeadline = \"1s\"";
    let gateway = connected(&upstream, &table(4, &url(&sentinel), rest));
    assert_eq!(served(&gateway, 10), 4);
    assert_eq!(asked(&server), 4);
}
