//! The audit log: every decision once, without gaps, and no forwarding without a place in it.

use std::collections::BTreeSet;
use std::process::Command;

use hangu_tests::{Answer, Gate, RunningGateway, TestUpstream, wait_until};

use crate::support::{assert_problem, field, gateway, head, records, records_with};

mod complete;
mod fsync;
mod kill;
mod place;
mod pseudonyms;
mod signed;
mod signer;
mod told;
mod witness;

#[test]
fn every_decision_is_written_once_and_the_chain_holds() {
    const CLIENTS: usize = 4;
    const ROUNDS: usize = 25;
    let (gateway, upstream) = records_with(|world| world.audit("segment = \"1MiB\""));
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            let client = gateway.client("clerk");
            scope.spawn(move || {
                let mut connection = client.connect().unwrap();
                for round in 0..ROUNDS {
                    assert_eq!(
                        connection
                            .get(&format!("/residents/{round}"))
                            .unwrap()
                            .status,
                        200
                    );
                    assert_eq!(connection.get("/sealed/1").unwrap().status, 403);
                    assert_eq!(connection.get("/a//b").unwrap().status, 400);
                }
            });
        }
    });
    let all = CLIENTS * ROUNDS * 3;
    wait_until("all records", || {
        gateway.audit().of_kind("request").len() == all
    });
    let records = gateway.audit().records();
    for (at, record) in records.iter().enumerate() {
        assert_eq!(
            record["seq"].as_u64(),
            u64::try_from(at + 1).ok(),
            "no gap, no double"
        );
    }
    let requests = gateway.audit().of_kind("request");
    let ids: BTreeSet<&str> = requests
        .iter()
        .map(|record| field(record, "request_id"))
        .collect();
    assert_eq!(ids.len(), all, "each request has its own");
    let decided = |decision: &str| {
        requests
            .iter()
            .filter(|record| field(record, "decision") == decision)
            .count()
    };
    assert_eq!(
        (decided("allowed"), decided("denied")),
        (all / 3, all * 2 / 3)
    );
    assert_eq!(upstream.count(), all / 3);

    gateway.signal("TERM");
    let mut gateway = gateway;
    assert_eq!(gateway.wait_for_end().status.code(), Some(0));
    let verified = hangu_audit::verify(gateway.audit().folder(), |_| ()).unwrap();
    assert_eq!(
        verified.records,
        u64::try_from(records.len()).unwrap() + 1,
        "and the stop"
    );
}

#[test]
fn when_the_disk_takes_no_more_nothing_is_forwarded_until_it_does_again() {
    let (gateway, upstream) = records_with(|world| world.shell("trap '' XFSZ; ulimit -S -f 64"));
    let mut connection = gateway.client("clerk").connect().unwrap();
    let mut answered = 0;
    let refused = loop {
        let response = connection.get("/residents/7").unwrap();
        if response.status != 200 {
            break response;
        }
        answered += 1;
        assert!(answered < 500, "the limit is never reached");
    };
    assert_eq!(refused.status, 503);
    assert_problem(&refused, 503, &refused.request_id());
    // The one whose record the disk refused had been forwarded, and its answer held back; from now on nothing is.
    let served = upstream.count();
    let mut connection = gateway.client("clerk").connect().unwrap();
    for _ in 0..5 {
        assert_eq!(connection.get("/residents/7").unwrap().status, 503);
        assert_eq!(connection.get("/sealed/1").unwrap().status, 503);
    }
    assert_eq!(upstream.count(), served);
    assert_eq!(gateway.admin_get("/readyz").unwrap().0, 503);
    assert_eq!(
        gateway.admin_get("/healthz").unwrap().0,
        200,
        "the process lives"
    );
    assert!(gateway.metrics().sum("hangu_audit_refused_total", &[]) >= 11.0);
    assert!(gateway.metrics().sum("hangu_audit_write_errors_total", &[]) >= 1.0);

    let mut gateway = gateway;
    let Some(()) = lift_limit(&mut gateway) else {
        println!("the second half is skipped: `prlimit` cannot be run here");
        return;
    };
    wait_until("the gateway to take requests again", || {
        connection.get("/residents/7").unwrap().status == 200
    });
    wait_until("readiness", || {
        gateway.admin_get("/readyz").unwrap().0 == 200
    });
    let dropped = gateway
        .audit()
        .wait_for("what was refused meanwhile", |record| {
            field(record, "kind") == "dropped"
        });
    assert!(
        field(&dropped, "detail").contains("found no place"),
        "{dropped:#}"
    );
    gateway.signal("TERM");
    assert_eq!(gateway.wait_for_end().status.code(), Some(0));
    hangu_audit::verify(gateway.audit().folder(), |_| ()).unwrap();
    let allowed = gateway
        .audit()
        .of_kind("request")
        .iter()
        .filter(|record| field(record, "decision") == "allowed")
        .count();
    assert_eq!(
        allowed,
        upstream.count(),
        "whatever was forwarded is in the log"
    );
}

fn lift_limit(gateway: &mut RunningGateway) -> Option<()> {
    let pid = format!("--pid={}", gateway.process().id());
    let lifted = Command::new("prlimit")
        .args([&pid, "--fsize=unlimited"])
        .status();
    match lifted {
        Ok(status) if status.success() => Some(()),
        _ if std::env::var_os("CI").is_none() => None,
        other => panic!("prlimit failed: {other:?}; it is part of the package `util-linux`"),
    }
}

#[test]
fn a_request_that_finds_no_place_in_the_queue_is_refused_and_not_forwarded() {
    let gate = Gate::new();
    let held = gate.clone();
    let upstream = TestUpstream::answering(move |request| match request.target.as_str() {
        "/slow" => Answer::ok("slow").held_by(&held),
        _ => Answer::ok("quick"),
    });
    let gateway = gateway()
        .audit("queue = 1")
        .records(upstream.address())
        .start();
    wait_until("the record of the start to be written", || {
        !gateway.audit().of_kind("start").is_empty()
    });
    let mut holding = gateway.client("clerk").connect().unwrap();
    let mut second = gateway.client("clerk").connect().unwrap();
    holding
        .send(format!("{}\r\n", head("GET", "/slow")).as_bytes())
        .unwrap();
    wait_until("the only place to be taken", || gate.held() == 1);
    let refused = second.get("/").unwrap();
    assert_eq!(refused.status, 503);
    assert_problem(&refused, 503, &refused.request_id());
    assert_eq!(
        upstream.count(),
        1,
        "no forwarding without a place in the log"
    );
    assert_eq!(gateway.metrics().sum("hangu_audit_refused_total", &[]), 1.0);
    gate.open();
    assert_eq!(holding.read_response(true).unwrap().text(), "slow");
    wait_until("the place to be free again", || {
        second.get("/").unwrap().status == 200
    });
    gateway
        .audit()
        .wait_for("the one without a place", |record| {
            field(record, "kind") == "dropped"
        });
}

#[test]
fn a_folder_that_cannot_hold_a_log_keeps_the_gateway_from_starting() {
    let (gateway, _upstream) = records();
    let folder = gateway.into_folder();
    std::fs::remove_dir_all(folder.path("audit")).unwrap();
    folder.write("audit", "a file where a folder should be");
    let ended = folder.run_to_end();
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.stderr.contains("audit"), "{}", ended.stderr);
}

#[test]
fn a_log_that_was_tampered_with_is_not_continued() {
    let (gateway, _upstream) = records();
    let response = gateway.client("clerk").get("/residents/7").unwrap();
    gateway.audit().of_request(&response.request_id());
    let folder = gateway.into_folder();
    let audit = hangu_tests::Audit::new(&folder.path("audit"));
    let segment = audit.segments().pop().unwrap();
    let text = std::fs::read_to_string(&segment).unwrap();
    std::fs::write(&segment, text.replace("/residents/7", "/residents/8")).unwrap();
    let ended = folder.run_to_end();
    assert_eq!(ended.status.code(), Some(1));
    assert!(
        ended.stderr.contains("audit-000000000001.jsonl"),
        "it names the place: {}",
        ended.stderr
    );
}

#[test]
fn what_a_client_writes_cannot_forge_a_line() {
    let (gateway, _upstream) = records();
    let client = gateway.client("clerk");
    let path = "/residents/%E2%80%AEnimda?%0a{\"seq\":1}=x";
    let response = client.get(path).unwrap();
    let record = gateway.audit().of_request(&response.request_id());
    let segment = gateway.audit().segments().pop().unwrap();
    let text = std::fs::read_to_string(segment).unwrap();
    assert!(
        text.lines()
            .all(|line| line.starts_with("{\"v\":2,\"seq\":") && line.ends_with("\"}")),
        "{text}"
    );
    assert!(
        !text.contains('\u{202e}'),
        "no character that turns the reading direction"
    );
    assert_eq!(
        field(&record, "decision"),
        if response.status == 200 {
            "allowed"
        } else {
            "denied"
        }
    );
}
