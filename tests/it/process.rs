//! The process: it drains, stops, reloads and hands over without losing what was promised.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use hangu_tests::{Answer, Gate, TestUpstream, wait_until};

use crate::support::{assert_allowed, field, first, gateway, head, records, records_with};

mod hurry;
mod rotation;
mod upgrade;

/// An application whose `/slow` answers once the gate is open.
fn slow_upstream(gate: &Gate) -> TestUpstream {
    let gate = gate.clone();
    TestUpstream::answering(move |request| match request.target.as_str() {
        "/slow" => Answer::ok("slow but sure").held_by(&gate),
        _ => Answer::ok("quick"),
    })
}

#[test]
fn sigterm_lets_a_request_in_flight_end_and_takes_no_new_one() {
    let gate = Gate::new();
    let upstream = slow_upstream(&gate);
    let mut gateway = gateway().records(upstream.address()).start();
    let mut in_flight = gateway.client("clerk").connect().unwrap();
    let mut idle = gateway.client("clerk").connect().unwrap();
    assert_eq!(idle.get("/").unwrap().status, 200);
    in_flight
        .send(format!("{}\r\n", head("GET", "/slow")).as_bytes())
        .unwrap();
    wait_until("the request to be in flight", || gate.held() == 1);

    gateway.signal("TERM");
    let newcomer = gateway.client("clerk");
    wait_until("the listener to close", || newcomer.connect_tcp().is_err());
    idle.expect_close().unwrap();
    assert!(
        gateway.process().status().is_none(),
        "it waits for the request in flight"
    );
    gate.open();
    let response = in_flight.read_response(true).unwrap();
    assert_eq!(
        (response.status, response.text().as_str()),
        (200, "slow but sure")
    );
    in_flight.expect_close().unwrap();

    let ended = gateway.wait_for_end();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    let record = gateway.audit().of_request(&response.request_id());
    assert_eq!(field(&record, "decision"), "allowed");
    let last = gateway.audit().records().pop().unwrap();
    assert_eq!(field(&last, "kind"), "stop");
    hangu_audit::verify(gateway.audit().folder(), |_| ()).unwrap();
}

#[test]
fn sigterm_lets_an_http2_stream_in_flight_end() {
    let gate = Gate::new();
    let upstream = slow_upstream(&gate);
    let mut gateway = gateway().records(upstream.address()).start();
    let mut connection = gateway.client("clerk").connect_h2().unwrap();
    let answer = std::thread::spawn(move || {
        let request = connection.get("/slow");
        connection.send(&request)
    });
    wait_until("the request to be in flight", || gate.held() == 1);
    gateway.signal("TERM");
    let newcomer = gateway.client("clerk");
    wait_until("the listener to close", || newcomer.connect_tcp().is_err());
    gate.open();
    let response = answer.join().unwrap().unwrap();
    assert_eq!(
        (response.status, response.text().as_str()),
        (200, "slow but sure")
    );
    assert_eq!(gateway.wait_for_end().status.code(), Some(0));
}

#[test]
fn a_drain_ends_at_its_deadline_whatever_is_still_in_flight() {
    let gate = Gate::new();
    let upstream = slow_upstream(&gate);
    let mut gateway = gateway()
        .server("drain = \"300ms\"")
        .records(upstream.address())
        .start();
    let mut in_flight = gateway.client("clerk").connect().unwrap();
    in_flight
        .send(format!("{}\r\n", head("GET", "/slow")).as_bytes())
        .unwrap();
    wait_until("the request to be in flight", || gate.held() == 1);
    gateway.signal("TERM");
    assert_eq!(gateway.wait_for_end().status.code(), Some(0));
    gate.open();
    hangu_audit::verify(gateway.audit().folder(), |_| ()).unwrap();
}

#[test]
fn sigint_stops_at_once() {
    let gate = Gate::new();
    let upstream = slow_upstream(&gate);
    let mut gateway = gateway()
        .server("drain = \"1h\"")
        .records(upstream.address())
        .start();
    let mut in_flight = gateway.client("clerk").connect().unwrap();
    in_flight
        .send(format!("{}\r\n", head("GET", "/slow")).as_bytes())
        .unwrap();
    wait_until("the request to be in flight", || gate.held() == 1);
    gateway.signal("INT");
    assert_eq!(gateway.wait_for_end().status.code(), Some(0));
    assert!(in_flight.read_response(true).is_err());
    gate.open();
    hangu_audit::verify(gateway.audit().folder(), |_| ()).unwrap();
}

#[test]
fn a_broken_file_never_replaces_a_good_one() {
    let (gateway, _upstream) = records();
    let mut connection = gateway.client("clerk").connect().unwrap();
    let config = gateway.folder().read("hangu.toml");
    let other_key = gateway.pki().server(&["records.test"]).key_pem;
    let policy = gateway.folder().read("policy/policy.csv");
    for (what, file, text) in [
        ("no TOML", "hangu.toml", "this is = = no TOML"),
        (
            "an unknown key",
            "hangu.toml",
            &*format!("{config}\n[serv]\nthreads = 1\n"),
        ),
        ("a cut file", "hangu.toml", first(&config, config.len() / 2)),
        ("nothing", "hangu.toml", ""),
        (
            "another address",
            "hangu.toml",
            &*config.replace("127.0.0.1:", "127.0.0.2:"),
        ),
        ("a cut rule", "policy/policy.csv", first(&policy, 12)),
        ("no rule at all", "policy/policy.csv", "# nothing\n"),
        ("an empty policy", "policy/policy.csv", ""),
        (
            "a broken model",
            "policy/model.conf",
            "[request_definition]\nr = sub\n",
        ),
        (
            "no PEM",
            "certs/clients.crl.pem",
            "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n",
        ),
        ("an empty list of authorities", "certs/clients-ca.pem", ""),
        ("another's key", "certs/server.key", &other_key),
    ] {
        let good = gateway.folder().read(file);
        gateway.folder().write(file, text);
        gateway.reload_refused();
        let metrics = gateway.metrics();
        assert_eq!(
            metrics.sum("hangu_config_last_reload_successful", &[]),
            0.0,
            "{what}"
        );
        assert_eq!(
            connection.get("/").unwrap().status,
            200,
            "{what}: the last good generation serves on"
        );
        gateway.folder().write(file, &good);
    }
    let reload = gateway.audit().wait_for("a refused reload", |record| {
        field(record, "kind") == "reload"
    });
    assert!(
        field(&reload, "detail").starts_with("refused, generation "),
        "{reload:#}"
    );
    assert_eq!(gateway.client("clerk").get("/").unwrap().status, 200);
    gateway.reload();
    wait_until("the alarm to end", || {
        gateway
            .metrics()
            .sum("hangu_config_last_reload_successful", &[])
            == 1.0
    });
    assert_allowed(&gateway, &connection.get("/").unwrap());
}

#[test]
fn a_changed_file_is_taken_without_a_signal() {
    let (gateway, _upstream) = records();
    let mut connection = gateway.client("clerk").connect().unwrap();
    assert_eq!(connection.get("/").unwrap().status, 200);
    let policy = gateway.folder().read("policy/policy.csv");
    gateway.folder().write(
        "policy/policy.csv",
        &policy.replace("p, clerk,     civil, /*,        *,   allow\n", ""),
    );
    wait_until("the new policy to count", || {
        connection.get("/").unwrap().status == 403
    });
    gateway.folder().write("policy/policy.csv", "nonsense");
    gateway.wait_for_metric("hangu_config_reloads_total", &[("result", "refused")], 1.0);
    gateway.folder().write("policy/policy.csv", &policy);
    wait_until("the old policy to count again", || {
        connection.get("/").unwrap().status == 200
    });
}

#[test]
fn a_reload_under_load_loses_no_request() {
    const RELOADS: usize = 20;
    const REQUESTS_MAX: usize = 5_000;
    let (gateway, upstream) = records();
    let done = AtomicBool::new(false);
    let served = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for name in ["clerk", "reader", "clerk"] {
            let client = gateway.client(name);
            let (done, served) = (&done, &served);
            scope.spawn(move || {
                let mut connection = client.connect().unwrap();
                for number in 0..REQUESTS_MAX {
                    let response = connection
                        .get("/")
                        .unwrap_or_else(|error| panic!("{name}, request {number}: {error:?}"));
                    assert_eq!(response.status, 200, "{name}, request {number}");
                    served.fetch_add(1, Ordering::Relaxed);
                    if done.load(Ordering::Relaxed) {
                        break;
                    }
                }
            });
        }
        let client = gateway.client("clerk");
        scope.spawn({
            let (done, served) = (&done, &served);
            move || {
                while !done.load(Ordering::Relaxed) {
                    assert_eq!(client.get("/").expect("a new connection").status, 200);
                    served.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        let policy = gateway.folder().read("policy/policy.csv");
        for number in 0..RELOADS {
            gateway.folder().write(
                "policy/policy.csv",
                &format!("{policy}# generation {number}\n"),
            );
            gateway.reload();
            let before = served.load(Ordering::Relaxed);
            wait_until("some requests of this generation", || {
                served.load(Ordering::Relaxed) >= before + 8
            });
        }
        done.store(true, Ordering::Relaxed);
    });
    let served = served.load(Ordering::Relaxed);
    assert!(served >= RELOADS * 8);
    assert_eq!(upstream.count(), served);
    assert!(gateway.metrics().sum("hangu_config_generation", &[]) >= 21.0);
}

#[test]
fn an_upgrade_loses_no_connection_attempt() {
    let gate = Gate::new();
    let upstream = slow_upstream(&gate);
    let mut gateway = gateway()
        .server("drain = \"10s\"")
        .records(upstream.address())
        .start();
    let client = gateway.client("clerk");
    let mut in_flight = client.connect().unwrap();
    in_flight
        .send(format!("{}\r\n", head("GET", "/slow")).as_bytes())
        .unwrap();
    wait_until("the request to be in flight", || gate.held() == 1);

    let new = gateway.spawn_upgrade();
    wait_until("the new process to wait for the sockets", || {
        gateway.folder().path("run/upgrade.sock").exists()
    });
    let mut old = gateway.replace_process(new);
    old.signal("QUIT");
    let mut attempts = 0;
    let mut boots = std::collections::BTreeSet::new();
    let opened = gate.clone();
    while old.status().is_none() {
        attempts += 1;
        let response = client
            .get("/")
            .unwrap_or_else(|error| panic!("attempt {attempts}: {error:?}"));
        assert_eq!(response.status, 200);
        boots.insert(first(&response.request_id(), 16).to_owned());
        if boots.len() == 2 {
            // The new process answers: now the one request that the old one still has may end.
            opened.open();
        }
    }
    assert_eq!(
        boots.len(),
        2,
        "both processes answered, in {attempts} attempts"
    );
    assert_eq!(
        in_flight.read_response(true).unwrap().text(),
        "slow but sure"
    );
    assert_eq!(client.get("/").unwrap().status, 200);
    assert_eq!(old.status().and_then(|status| status.code()), Some(0));

    gateway.signal("TERM");
    assert_eq!(gateway.process().wait_for_end().code(), Some(0));
    assert_eq!(
        gateway.audit().of_kind("request").len(),
        attempts + 2,
        "the log of both is one"
    );
    hangu_audit::verify(gateway.audit().folder(), |_| ()).unwrap();
}

#[test]
fn an_upgrade_to_a_broken_configuration_leaves_the_old_process_serving() {
    let (gateway, _upstream) = records();
    let mut connection = gateway.client("clerk").connect().unwrap();
    let config = gateway.folder().read("hangu.toml");
    gateway.folder().write("hangu.toml", "no configuration");
    let mut new = gateway.spawn_upgrade();
    assert_eq!(new.wait_for_end().code(), Some(1));
    assert_eq!(connection.get("/").unwrap().status, 200);
    assert_eq!(gateway.client("clerk").get("/").unwrap().status, 200);
    gateway.folder().write("hangu.toml", &config);
}

#[test]
fn the_folder_of_the_upgrade_socket_is_closed_to_others() {
    let upstream = TestUpstream::named("records");
    let folder = gateway().records(upstream.address()).prepare();
    std::fs::create_dir(folder.path("run")).unwrap();
    std::fs::set_permissions(folder.path("run"), Permissions::from_mode(0o777)).unwrap();
    let ended = folder.run_to_end();
    assert_eq!(ended.status.code(), Some(1));
    assert!(
        ended.stderr.contains("it is open to others"),
        "{}",
        ended.stderr
    );

    std::fs::remove_dir(folder.path("run")).unwrap();
    let gateway = folder.start();
    let mode = |name: &str| {
        std::fs::metadata(gateway.folder().path(name))
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(mode("run"), 0o700);
    assert_eq!(
        mode("audit") & 0o027,
        0,
        "the group may read the log, and nobody else anything"
    );
}

#[test]
fn a_taken_address_is_named_with_the_way_out() {
    let upstream = TestUpstream::named("records");
    let folder = gateway().records(upstream.address()).prepare();
    let taken = std::net::TcpListener::bind(folder.listener()).unwrap();
    let ended = folder.run_to_end();
    drop(taken);
    assert_eq!(ended.status.code(), Some(1));
    let expected = format!("listener `edge`: cannot listen on `{}`", folder.listener());
    assert!(
        ended.stderr.contains(&expected) && ended.stderr.contains("choose a free address"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_broken_configuration_does_not_start() {
    let upstream = TestUpstream::named("records");
    let folder = gateway().records(upstream.address()).prepare();
    folder.write("policy/policy.csv", "p, clerk, civil\n");
    folder.write("certs/server.key", "no key");
    let ended = folder.run_to_end();
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.stderr.contains("policy.csv:1:"), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("the key file holds no private key"),
        "every problem, not only the first: {}",
        ended.stderr
    );
}

#[test]
fn an_access_log_is_written_and_reopened_after_it_was_moved() {
    let (gateway, _upstream) =
        records_with(|world| world.table("[access_log]\nto = \"access.log\""));
    let mut connection = gateway.client("clerk").connect().unwrap();
    let first = connection.get("/residents/7?name=Li").unwrap().request_id();
    let lines = |file: &str| -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(gateway.folder().path(file)).unwrap_or_default();
        text.lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    };
    wait_until("the first line", || lines("access.log").len() == 1);
    let line = &lines("access.log")[0];
    for (name, value) in [
        ("request_id", first.as_str()),
        ("identity", "spiffe://gov.test/clerk"),
        ("method", "GET"),
        ("path", "/residents/7"),
        ("decision", "allowed"),
        ("application", "records"),
    ] {
        assert_eq!(field(line, name), value);
    }
    assert_eq!(line["status"], 200);
    std::fs::rename(
        gateway.folder().path("access.log"),
        gateway.folder().path("access.log.1"),
    )
    .unwrap();
    gateway.signal("USR1");
    wait_until("a line in the new file", || {
        connection.get("/sealed/1").unwrap();
        !lines("access.log").is_empty()
    });
    let line = lines("access.log").pop().unwrap();
    assert_eq!(
        (field(&line, "decision"), field(&line, "reason")),
        ("denied", "application.explicit_deny")
    );
}

#[test]
fn a_gateway_that_was_killed_starts_again_on_its_own_log() {
    let (gateway, _upstream) = records();
    for _ in 0..5 {
        let response = gateway.client("clerk").get("/").unwrap();
        assert_allowed(&gateway, &response);
    }
    let folder = gateway.into_folder();
    let before = hangu_tests::Audit::new(&folder.path("audit"))
        .records()
        .len();
    let gateway = folder.start();
    assert_allowed(&gateway, &gateway.client("clerk").get("/").unwrap());
    assert!(gateway.audit().records().len() > before);
    gateway.signal("TERM");
    let folder = gateway.into_folder();
    hangu_audit::verify(&folder.path("audit"), |_| ()).unwrap();
}
