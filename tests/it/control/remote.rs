//! The control socket over TCP: who may call from another machine, and what becomes of everybody else.

use std::process::Output;

use hangu_certs::Authority;
use hangu_tests::{Credentials, RunningGateway, free_port, now};
use serde_json::Value;

use crate::support::field;

/// A gateway with `control.remote` for the clerk, its port, and the list of the operators' authorities.
fn start() -> (RunningGateway, u16) {
    let port = free_port();
    let table = format!(
        "[control.remote]\naddress = \"127.0.0.1:{port}\"\ncertificate = \"certs/server.pem\"\n\
         key = \"certs/server.key\"\nclient_ca = \"certs/clients-ca.pem\"\ncrls = [\"operators.crl.pem\"]\n\
         subjects = [\"spiffe://gov.test/clerk\"]"
    );
    let upstream = "127.0.0.1:9".parse().unwrap();
    let folder = crate::support::gateway()
        .records(upstream)
        .table(&table)
        .prepare();
    let list = folder.pki().crl_pem(&[], 1);
    folder.write("operators.crl.pem", &list);
    folder.write("ca.pem", folder.pki().servers_ca_pem());
    (folder.start(), port)
}

/// `hangu` with these words over TCP, as the holder of this certificate.
fn hangu(gateway: &RunningGateway, port: u16, who: &Credentials, words: &[&str]) -> Output {
    let folder = gateway.folder();
    folder.write("own.pem", &who.issued.certificate_pem);
    folder.write("own.key", &who.issued.key_pem);
    let path = |name: &str| folder.path(name).display().to_string();
    let (cert, key, ca) = (path("own.pem"), path("own.key"), path("ca.pem"));
    let control = format!("https://127.0.0.1:{port}");
    let way = [
        "--control",
        &control,
        "--cert",
        &cert,
        "--cert-key",
        &key,
        "--ca",
        &ca,
    ];
    let words: Vec<&str> = words.iter().copied().chain(way).collect();
    folder.hangu(&words)
}

fn newest(gateway: &RunningGateway) -> Value {
    gateway.audit().of_kind("admin").pop().unwrap()
}

#[test]
fn a_listed_subject_does_over_tcp_what_the_socket_does() {
    let (gateway, port) = start();
    let clerk = gateway.pki().client("clerk");
    let status = hangu(&gateway, port, &clerk, &["status", "--json"]);
    assert!(status.status.success(), "{status:?}");
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(status["generation"], 1);

    let mut reader = gateway.client("reader").connect().unwrap();
    let subject = "spiffe://gov.test/reader";
    let revoke = ["revoke", "--subject", subject, "--reason", "test"];
    let revoked = hangu(&gateway, port, &clerk, &revoke);
    let said = String::from_utf8_lossy(&revoked.stdout).into_owned();
    assert!(said.contains("1 open connections end"), "{revoked:?}");
    reader.expect_close().unwrap();
    let record = newest(&gateway);
    assert_eq!(field(&record, "action"), "revoke", "{record:#}");
    assert_eq!(field(&record, "actor"), "subject:spiffe://gov.test/clerk");
    let from = field(&record, "detail");
    assert!(from.starts_with("127.0.0.1:"), "{record:#}");
    let list = hangu(&gateway, port, &clerk, &["revoke", "--list"]);
    let said = String::from_utf8_lossy(&list.stdout).into_owned();
    assert!(
        said.contains("by subject:spiffe://gov.test/clerk"),
        "{said}"
    );
}

#[test]
fn whoever_is_not_listed_trusted_or_good_any_more_is_refused_and_recorded() {
    let (gateway, port) = start();
    let clerk = gateway.pki().client("clerk");
    let stranger =
        Authority::new_root("Strangers", hangu_certs::Validity::days(now() - 60, 1)).unwrap();
    let request = hangu_certs::ClientRequest::spiffe(
        &hangu_certs::SpiffeId::parse("spiffe://gov.test/clerk").unwrap(),
        hangu_certs::Validity::days(now() - 60, 1),
    );
    let forged = Credentials {
        issued: stranger.issue_client(&request).unwrap(),
    };
    let refused = |gateway: &RunningGateway, who: &Credentials, why: &str| {
        let answered = hangu(gateway, port, who, &["status"]);
        assert_eq!(answered.status.code(), Some(1), "{answered:?}");
        assert!(answered.stdout.is_empty(), "{answered:?}");
        let why = why.to_owned();
        gateway.audit().wait_for(&why, |record| {
            field(record, "kind") == "admin" && field(record, "outcome").contains(&why)
        })
    };
    let reader = gateway.pki().client("reader");
    let record = refused(&gateway, &reader, "control.remote.subjects");
    assert_eq!(field(&record, "actor"), "subject:spiffe://gov.test/reader");
    let record = refused(&gateway, &forged, "endpoint.certificate_untrusted");
    assert_eq!(field(&record, "actor"), "nobody", "{record:#}");

    // Revoked by their authority's list; by an operator; and no longer listed.
    let revoked = gateway.pki().client("clerk");
    let list = gateway.pki().crl_pem(&[&revoked], 2);
    gateway.folder().write("operators.crl.pem", &list);
    gateway.reload();
    hangu_tests::wait_until("a second that has no record yet", || {
        hangu(&gateway, port, &revoked, &["status"]);
        let all = gateway.audit().of_kind("admin");
        all.iter()
            .any(|record| field(record, "outcome").contains("endpoint.revoked"))
    });
    assert!(hangu(&gateway, port, &clerk, &["status"]).status.success());
    let socket = gateway.folder().config().display().to_string();
    let serial = clerk.issued.serial.to_string();
    let revoke = [
        "revoke", "--serial", &serial, "--reason", "test", "--config", &socket,
    ];
    assert!(gateway.folder().hangu(&revoke).status.success());
    assert_eq!(
        hangu(&gateway, port, &clerk, &["status"]).status.code(),
        Some(1)
    );
    let other = gateway.pki().client("clerk");
    assert!(hangu(&gateway, port, &other, &["status"]).status.success());
    let nobody = ["status", "--control", "https://127.0.0.1:1"];
    assert_eq!(gateway.folder().hangu(&nobody).status.code(), Some(2));
}

#[test]
fn without_a_certificate_nobody_gets_as_far_as_a_call() {
    let (gateway, port) = start();
    let url = format!("https://127.0.0.1:{port}/v1/status");
    let ca = gateway.folder().path("ca.pem").display().to_string();
    let curl = std::process::Command::new("curl")
        .args(["-s", "--cacert", &ca, "-w", "%{http_code}", &url])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&curl.stdout), "000", "{curl:?}");
    // The client hears of it before it is written down.
    let _recorded = gateway.audit().wait_for("the refused caller", |record| {
        record["kind"] == "admin"
            && field(record, "outcome").contains("endpoint.certificate_required")
    });
}
