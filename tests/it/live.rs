//! Open connections that are ended from outside: by operators, over the control socket, with the real command line.

mod many;
mod streams;
mod websocket;

use std::time::Instant;

use hangu_tests::{Answer, DEADLINE, Gate, RunningGateway, TestUpstream, wait_until};
use serde_json::Value;

use crate::support::{assert_allowed, field, gateway, records};

/// Runs `hangu` with these words, the gateway named by its configuration.
fn hangu(gateway: &RunningGateway, words: &[&str]) -> std::process::Output {
    let config = gateway.folder().config().display().to_string();
    let words: Vec<&str> = words.iter().copied().chain(["--config", &config]).collect();
    gateway.folder().hangu(&words)
}

#[track_caller]
fn told(output: &std::process::Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn a_pushed_revocation_ends_whom_it_names_and_nobody_else() {
    let (gateway, upstream) = records();
    let (mole, clerk) = (gateway.pki().client("clerk"), gateway.pki().client("clerk"));
    let mut silent = gateway.client_with(Some(&mole)).connect().unwrap();
    assert_eq!(silent.get("/").unwrap().status, 200);
    let mut h2 = gateway.client_with(Some(&mole)).connect_h2().unwrap();
    let request = h2.get("/");
    assert_eq!(h2.send(&request).unwrap().status, 200);
    let mut neighbour = gateway.client_with(Some(&clerk)).connect().unwrap();
    assert_allowed(&gateway, &neighbour.get("/").unwrap());

    let serial = field(&gateway.audit().of_kind("request")[0], "serial").to_owned();
    let revoke = ["revoke", "--serial", &serial, "--reason", "stolen laptop"];
    assert!(told(&hangu(&gateway, &revoke)).contains("2 open connections end"));
    silent.expect_close().unwrap();
    wait_until("HTTP/2 to end", || h2.send(&request).is_err());
    assert_eq!(neighbour.get("/").unwrap().status, 200);

    let ended = [("reason", "endpoint.revoked")];
    gateway.wait_for_metric("hangu_connections_closed_total", &ended, 2.0);
    let within = [("le", "0.05")];
    let metrics = gateway.metrics();
    assert_eq!(
        metrics.sum("hangu_revocation_effect_seconds_bucket", &within),
        2.0,
        "{}",
        metrics.text
    );
    let record = gateway.audit().of_kind("admin").pop().unwrap();
    assert_eq!(field(&record, "action"), "revoke", "{record:#}");
    assert_eq!(field(&record, "object"), format!("serial:{serial}"));
    assert!(
        field(&record, "outcome").contains("stolen laptop"),
        "{record:#}"
    );
    assert!(field(&record, "actor").starts_with("uid:"), "{record:#}");

    let before = upstream.count();
    assert!(
        gateway.client_with(Some(&mole)).get("/").is_err(),
        "nor is he let in anew"
    );
    assert_eq!(upstream.count(), before);
}

#[test]
fn a_pushed_revocation_survives_a_restart_and_ends_when_it_is_taken_back() {
    let (gateway, _upstream) = records();
    let subject = "spiffe://gov.test/clerk";
    let revoke = ["revoke", "--subject", subject, "--reason", "has left"];
    told(&hangu(&gateway, &revoke));
    let gateway = gateway.into_folder().start();
    assert!(gateway.client("clerk").get("/").is_err());
    assert_allowed(&gateway, &gateway.client("reader").get("/").unwrap());

    let list = told(&hangu(&gateway, &["revoke", "--list", "--json"]));
    let list: Value = serde_json::from_str(&list).unwrap();
    assert_eq!(
        list["revocations"][0]["target"],
        format!("subject:{subject}")
    );
    assert_eq!(list["revocations"][0]["reason"], "has left");

    assert!(
        told(&hangu(
            &gateway,
            &["revoke", "--subject", subject, "--undo"]
        ))
        .starts_with("lifted")
    );
    assert_allowed(&gateway, &gateway.client("clerk").get("/").unwrap());
    let again = hangu(&gateway, &["revoke", "--subject", subject, "--undo"]);
    assert_eq!(again.status.code(), Some(1));

    told(&hangu(&gateway, &revoke));
    let folder = gateway.into_folder();
    let file = folder.read("revocations.json");
    folder.write(
        "revocations.json",
        &file.replace("gov.test/clerk", "gov.test/nobody"),
    );
    let refused = folder.run_to_end();
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        refused.stderr.contains("it is not known who is revoked"),
        "{}",
        refused.stderr
    );
}

#[test]
fn sessions_are_shown_and_ended_by_number_and_by_subject() {
    let (gateway, _upstream) = records();
    let mut clerk = gateway.client("clerk").connect().unwrap();
    let mut reader = gateway.client("reader").connect().unwrap();
    assert_eq!(clerk.get("/").unwrap().status, 200);
    assert_eq!(reader.get("/").unwrap().status, 200);
    assert_eq!(clerk.get("/").unwrap().status, 200);

    let subject = "spiffe://gov.test/clerk";
    let list = told(&hangu(
        &gateway,
        &["sessions", "--subject", subject, "--json"],
    ));
    let list: Value = serde_json::from_str(&list).unwrap();
    assert_eq!(list["total"], 1, "{list:#}");
    let session = &list["sessions"][0];
    assert_eq!(session["subject"], subject);
    assert_eq!(session["requests"], 2, "{session:#}");
    assert_eq!(session["listener"], "edge");
    let id = session["id"].to_string();

    told(&hangu(&gateway, &["sessions", "kill", "--id", &id]));
    clerk.expect_close().unwrap();
    assert_eq!(reader.get("/").unwrap().status, 200);
    let table = told(&hangu(&gateway, &["sessions"]));
    assert!(
        table.contains("spiffe://gov.test/reader") && !table.contains(subject),
        "{table}"
    );
    assert!(table.ends_with("1 open connections\n"), "{table}");
    let kill = ["sessions", "kill", "--subject", "spiffe://gov.test/reader"];
    assert_eq!(told(&hangu(&gateway, &kill)), "1 open connections end\n");
    reader.expect_close().unwrap();
    assert_allowed(&gateway, &gateway.client("reader").get("/").unwrap());
    let record = gateway.audit().of_kind("admin").pop().unwrap();
    assert_eq!(field(&record, "action"), "end sessions", "{record:#}");
}

#[test]
fn a_session_says_what_it_is_doing_and_is_found_by_its_application() {
    let gate = Gate::new();
    let held = gate.clone();
    let upstream = TestUpstream::answering(move |request| match request.target.as_str() {
        "/open/slow?name=Li" => Answer::ok("late").held_by(&held),
        _ => Answer::ok("twelve bytes"),
    });
    let gateway = gateway().records(upstream.address()).start();
    let mut busy = gateway.client("clerk").connect().unwrap();
    assert_eq!(busy.get("/").unwrap().status, 200);
    let post = "POST / HTTP/1.1\r\nHost: records.test\r\nContent-Length: 5\r\n\r\nhello";
    assert_eq!(busy.exchange(post.as_bytes()).unwrap().status, 200);
    let mut idle = gateway.client("clerk").connect().unwrap();
    assert_eq!(idle.get("/").unwrap().status, 200);
    let request = "GET /open/slow?name=Li HTTP/1.1\r\nHost: records.test\r\n\r\n";
    busy.send(request.as_bytes()).unwrap();
    wait_until("the request to be in flight", || gate.held() == 1);

    let of = |application: &str| -> Value {
        let list = ["sessions", "--application", application, "--json"];
        serde_json::from_str(&told(&hangu(&gateway, &list))).unwrap()
    };
    let list = of("records");
    assert_eq!(
        list["total"], 1,
        "the idle one has nothing under way: {list:#}"
    );
    let session = &list["sessions"][0];
    assert_eq!(session["bytes_in"], 5, "{session:#}");
    assert_eq!(session["bytes_out"], 24);
    let doing = &session["under_way"][0];
    assert_eq!(doing["method"], "GET", "{doing:#}");
    assert_eq!(doing["application"], "records");
    assert_eq!(doing["route"], "/open");
    assert_eq!(doing["label"], "public");
    assert!(doing["since"].as_i64().unwrap() > 0);
    assert!(!list.to_string().contains("slow"), "no path: {list:#}");
    assert_eq!(of("others")["total"], 0);
    let table = told(&hangu(&gateway, &["sessions"]));
    assert!(table.contains("GET records /open "), "{table}");

    gate.open();
    assert_eq!(busy.read_response(true).unwrap().status, 200);
    wait_until("nothing to be under way", || of("records")["total"] == 0);
}

#[test]
fn a_request_under_way_is_answered_and_one_that_hangs_is_cut_within_the_second() {
    for released in [true, false] {
        let gate = Gate::new();
        let held = gate.clone();
        let upstream = TestUpstream::answering(move |_| Answer::ok("late").held_by(&held));
        let gateway = gateway().records(upstream.address()).start();
        let mut connection = gateway.client("clerk").connect().unwrap();
        let request = "GET / HTTP/1.1\r\nHost: records.test\r\n\r\n";
        connection.send(request.as_bytes()).unwrap();
        wait_until("the request to be in flight", || gate.held() == 1);
        let revoke = [
            "revoke",
            "--subject",
            "spiffe://gov.test/clerk",
            "--reason",
            "test",
        ];
        told(&hangu(&gateway, &revoke));
        let pushed = Instant::now();
        if released {
            gate.open();
            let response = connection.read_response(true).unwrap();
            assert_eq!(response.status, 200);
            assert_eq!(response.fields.get("connection"), Some("close"));
            connection.expect_close().unwrap();
        } else {
            assert!(connection.read_response(true).is_err());
            assert!(pushed.elapsed() < DEADLINE, "cut, not timed out");
            let record = gateway
                .audit()
                .wait_for("what was cut", |record| field(record, "kind") == "request");
            assert_eq!(field(&record, "decision"), "aborted", "{record:#}");
            assert_eq!(field(&record, "reason"), "endpoint.revoked", "{record:#}");
            gate.open();
        }
    }
}
