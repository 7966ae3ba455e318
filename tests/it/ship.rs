//! Sinks of the audit log: whatever becomes of a receiver, every record arrives there, in order and at least once.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hangu_tests::{Answer, RunningGateway, TestUpstream, UpstreamTls, wait_for, wait_until};
use serde_json::Value;

use crate::support::{field, gateway, records};

mod collector;
mod outage;
mod rsyslog;

use rsyslog::Rsyslog;

/// Sends `count` requests over one connection.
fn requests(gateway: &RunningGateway, count: usize) {
    let mut connection = gateway.client("clerk").connect().unwrap();
    for number in 0..count {
        assert_eq!(connection.get(&format!("/a/{number}")).unwrap().status, 200);
    }
}

fn lag(gateway: &RunningGateway, sink: &str) -> f64 {
    gateway
        .metrics()
        .sum("hangu_audit_sink_lag_records", &[("sink", sink)])
}

/// The number of the last record once at least `least` are there.
fn last_record(gateway: &RunningGateway, least: u64) -> u64 {
    wait_for("the records", || {
        let last = gateway.audit().records().last()?["seq"].as_u64()?;
        (last >= least).then_some(last)
    })
}

fn all_up_to(last: u64) -> BTreeSet<u64> {
    (1..=last).collect()
}

#[test]
fn a_syslog_receiver_that_is_killed_under_load_gets_every_record() {
    let Some(mut receiver) = Rsyslog::new() else {
        return;
    };
    let upstream = TestUpstream::answering(|_| Answer::ok("the records"));
    let world = gateway().records(upstream.address());
    receiver.trust(world.pki());
    receiver.start();
    let gateway = world
        .table(&receiver.sink("soc", "settle = \"2s\""))
        .start();
    requests(&gateway, 50);
    wait_until("the first records", || receiver.sequences().len() > 50);

    std::thread::scope(|scope| {
        let load = scope.spawn(|| requests(&gateway, 400));
        let before = receiver.sequences().len();
        wait_until("some more", || receiver.sequences().len() > before + 20);
        receiver.kill();
        load.join().unwrap();
    });
    requests(&gateway, 20);
    gateway.wait_for_metric("hangu_audit_sink_failures_total", &[("sink", "soc")], 1.0);
    wait_until("the lag to be told", || {
        lag(&gateway, "soc") > 0.0
            && gateway
                .metrics()
                .sum("hangu_audit_sink_lag_seconds", &[("sink", "soc")])
                > 0.0
    });
    assert_eq!(
        gateway
            .metrics()
            .sum("hangu_audit_sink_up", &[("sink", "soc")]),
        0.0
    );

    receiver.start();
    let last = last_record(&gateway, 471);
    wait_until("every record", || {
        receiver.sequences().is_superset(&all_up_to(last))
    });
    wait_until("no lag", || lag(&gateway, "soc") == 0.0);
    assert_eq!(
        gateway
            .metrics()
            .sum("hangu_audit_sink_dropped_total", &[("sink", "soc")]),
        0.0
    );
    // What arrives is the log's own line, that still verifies.
    let line = receiver.message(3);
    assert!(line.starts_with("{\"v\":2,\"seq\":3,"), "{line}");
    assert!(line.ends_with("\"}"), "{line}");
}

#[test]
fn a_syslog_receiver_must_prove_its_name_and_sees_a_certificate() {
    let Some(mut receiver) = Rsyslog::new() else {
        return;
    };
    let upstream = TestUpstream::answering(|_| Answer::ok("the records"));
    let world = gateway().records(upstream.address());
    receiver.trust(world.pki());
    receiver.start();
    let named = "server_name = \"other.test\"\n";
    let gateway = world
        .table(&receiver.sink("good", ""))
        .table(&receiver.sink("misnamed", named))
        .table(&receiver.anonymous_sink("anonymous"))
        .start();
    requests(&gateway, 3);
    for sink in ["misnamed", "anonymous"] {
        gateway.wait_for_metric("hangu_audit_sink_failures_total", &[("sink", sink)], 2.0);
    }
    let last = last_record(&gateway, 4);
    wait_until("every record of the good one", || {
        receiver.sequences().is_superset(&all_up_to(last))
    });
    let sent = |sink| {
        gateway
            .metrics()
            .sum("hangu_audit_sink_sent_total", &[("sink", sink)])
    };
    assert_eq!(sent("misnamed"), 0.0);
    assert!(sent("good") >= last as f64);
    assert!(
        gateway
            .stderr()
            .contains("audit sink `misnamed`: no connection to"),
        "{}",
        gateway.stderr()
    );
}

/// What a collector was posted: the key of each batch that it took, and the records' numbers in order.
#[derive(Debug, Default)]
struct Posted {
    keys: Vec<String>,
    numbers: Vec<u64>,
}

fn posted(collector: &TestUpstream, refused: usize) -> Posted {
    let mut posted = Posted::default();
    for request in collector.seen().iter().skip(refused) {
        let key = request.fields.get("idempotency-key").unwrap();
        posted.keys.push(key.to_owned());
        for line in std::str::from_utf8(&request.body).unwrap().lines() {
            let event: Value = serde_json::from_str(line).unwrap();
            assert!(event["class_uid"].as_u64().unwrap() >= 4_000);
            posted
                .numbers
                .push(event["metadata"]["sequence"].as_u64().unwrap());
        }
    }
    posted
}

#[test]
fn a_collector_gets_each_batch_under_one_key_until_it_takes_it() {
    const REFUSED: usize = 3;
    let upstream = TestUpstream::answering(|_| Answer::ok("the records"));
    let world = gateway().records(upstream.address());
    let calls = Arc::new(AtomicUsize::new(0));
    let collector = TestUpstream::tls(
        &UpstreamTls {
            certificate: world.pki().server(&["127.0.0.1"]),
            clients: Some(world.pki().clients_roots()),
        },
        move |_| match calls.fetch_add(1, Ordering::AcqRel) {
            call if call < REFUSED => Answer::Reply(503, Vec::new(), Vec::new()),
            _ => Answer::Reply(202, Vec::new(), b"{}".to_vec()),
        },
    );
    let sink = format!(
        "[[audit.sinks]]\nname = \"collector\"\nkind = \"http\"\nformat = \"ocsf\"\nurl = \"https://{}/hangu\"\n\
         token = \"token\"\nca = \"certs/servers-ca.pem\"\ncertificate = \"certs/gateway-client.pem\"\n\
         key = \"certs/gateway-client.key\"\nbatch = 20",
        collector.address()
    );
    let folder = world.table(&sink).prepare();
    folder.write("token", "a-secret-token\n");
    let gateway = folder.start();
    requests(&gateway, 60);
    let last = last_record(&gateway, 61);
    wait_until("no lag", || {
        lag(&gateway, "collector") == 0.0
            && posted(&collector, REFUSED).numbers.last() == Some(&last)
    });
    let seen = collector.seen();
    for request in &seen {
        assert_eq!((&*request.method, &*request.target), ("POST", "/hangu"));
        assert_eq!(
            request.fields.get("authorization"),
            Some("Bearer a-secret-token")
        );
        assert!(request.showed_certificate);
    }
    let key = |at: usize| seen[at].fields.get("idempotency-key").unwrap();
    assert!(
        (1..=REFUSED).all(|at| key(at) == key(0)),
        "one key until it is taken"
    );
    let posted = posted(&collector, REFUSED);
    assert_eq!(posted.numbers, (1..=last).collect::<Vec<_>>());
    let distinct: BTreeSet<_> = posted.keys.iter().collect();
    assert_eq!(distinct.len(), posted.keys.len());
    let log_id = &gateway.audit().records()[0];
    assert!(key(0).starts_with(field(log_id, "hash")), "{}", key(0));
    assert!(!gateway.stderr().contains("a-secret-token"));
}

/// The numbers of the records in a folder's files, in the order of their names.
fn numbers_in(folder: &Path) -> Vec<u64> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "jsonl"))
        .collect();
    files.sort();
    let mut numbers = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.ends_with('\n'), "{} is whole", file.display());
        for line in text.lines() {
            let record: Value = serde_json::from_str(line).unwrap();
            numbers.push(record["seq"].as_u64().unwrap());
        }
    }
    numbers
}

const FOLDER_SINK: &str = "[[audit.sinks]]\nname = \"agent\"\nkind = \"folder\"\nfolder = \"out\"";

#[test]
fn a_reload_adds_a_sink_that_gets_the_whole_log_and_a_restart_goes_on_behind_it() {
    let (mut gateway, upstream) = records();
    requests(&gateway, 10);
    gateway.change(|world| world.table(FOLDER_SINK));
    let last = last_record(&gateway, 12);
    let out = gateway.folder().path("out");
    wait_until("the files", || numbers_in(&out).last() == Some(&last));
    assert_eq!(numbers_in(&out), (1..=last).collect::<Vec<_>>());

    // Killed while it goes on: what was delivered may come again, nothing is left out.
    let folder = gateway.into_folder();
    let gateway = folder.start();
    requests(&gateway, 10);
    let last = last_record(&gateway, last + 11);
    wait_until("the other files", || numbers_in(&out).last() == Some(&last));
    let arrived: BTreeSet<_> = numbers_in(&out).into_iter().collect();
    assert_eq!(arrived, all_up_to(last));
    drop(upstream);
}

#[test]
fn a_sink_that_is_taken_out_is_forgotten() {
    let upstream = TestUpstream::answering(|_| Answer::ok("the records"));
    let mut gateway = gateway().records(upstream.address()).start();
    gateway.change(|world| world.table(FOLDER_SINK));
    gateway.wait_for_metric("hangu_audit_sink_sent_total", &[("sink", "agent")], 1.0);
    let config = gateway.folder().read("hangu.toml");
    gateway
        .folder()
        .write("hangu.toml", &config.replace(FOLDER_SINK, ""));
    gateway.reload();
    wait_until("its metrics to go", || {
        !gateway.metrics().has("hangu_audit_sink_lag_records")
    });
}

#[test]
fn a_sink_that_cannot_work_is_refused_by_its_place() {
    let upstream = TestUpstream::answering(|_| Answer::ok("the records"));
    for (sink, what) in [
        (
            "kind = \"http\"\nurl = \"http://soc.example/\"",
            "`http://` is for loopback addresses only",
        ),
        (
            "kind = \"http\"\nurl = \"https://u:p@soc.example/\"",
            "keep credentials out of the URL",
        ),
        (
            "kind = \"http\"\nurl = \"https://soc.example/\"",
            "a sink of kind `http` needs `ca`",
        ),
        (
            "kind = \"syslog\"\nca = \"certs/servers-ca.pem\"\naddress = \"soc.example\"",
            "is not a host and port",
        ),
        (
            "kind = \"syslog\"\naddress = \"soc.example:6514\"",
            "a sink of kind `syslog` needs `ca`",
        ),
        (
            "kind = \"syslog\"\naddress = \"soc.example:6514\"\nca = \"certs/server.key\"",
            "audit sink `soc` cannot use it: it holds no certificate",
        ),
        (
            "kind = \"syslog\"\naddress = \"soc.example:6514\"\nca = \"certs/servers-ca.pem\"\nkey = \"certs/server.key\"",
            "one half of a pair",
        ),
        (
            "kind = \"folder\"\nfolder = \"out\"\nurl = \"https://soc.example/\"",
            "this kind of sink has no such key",
        ),
        (
            "kind = \"http\"\nformat = \"cef\"\nurl = \"http://127.0.0.1:9/\"",
            "`cef` is not JSON",
        ),
        (
            "kind = \"folder\"\nfolder = \"out\"\n[[audit.sinks]]\nname = \"soc\"\nkind = \"folder\"\nfolder = \"out\"",
            "there is a sink `soc` above",
        ),
    ] {
        let sink = format!("[[audit.sinks]]\nname = \"soc\"\n{sink}");
        let output = gateway()
            .records(upstream.address())
            .table(&sink)
            .prepare()
            .check();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !output.status.success() && said.contains(what),
            "{sink}\n{said}"
        );
    }
}
