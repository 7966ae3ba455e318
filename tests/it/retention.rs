//! Keeping the audit log: what is compressed and removed, and what must stay.

use std::path::Path;
use std::sync::Arc;

use hangu_audit::{Kind, Log, Options, Origin, Record, Timestamp};
use hangu_tests::{Answer, DeadPort, GatewayFolder, TestUpstream, wait_for, wait_until};

use crate::support::{field, gateway};

mod store;

/// A log of twelve records in six segments, written 200 days ago.
fn old_log(folder: &Path) {
    let origin = Arc::new(Origin {
        node: "gate-1".into(),
        boot: "b0".into(),
    });
    let options = Options {
        segment_bytes_max: 1,
        ..Options::new(Arc::clone(&origin))
    };
    let then = u64::try_from(hangu_tests::now()).unwrap() - 200 * 24 * 60 * 60;
    let time = Timestamp::from_unix_ms(then * 1_000);
    let mut log = Log::open(folder, options, time).unwrap();
    for number in 1..=12 {
        let detail = format!("n{number}");
        log.append(&Record::event(
            Kind::Reload,
            time,
            Arc::clone(&origin),
            detail,
        ))
        .unwrap();
        if number % 2 == 0 {
            log.commit().unwrap();
        }
    }
    log.close().unwrap();
}

fn prepared(tables: &str) -> (GatewayFolder, TestUpstream) {
    let upstream = TestUpstream::answering(|_| Answer::ok("the records"));
    let folder = gateway()
        .records(upstream.address())
        .table(tables)
        .prepare();
    old_log(&folder.path("audit"));
    (folder, upstream)
}

fn verify(folder: &GatewayFolder, log: &str) -> String {
    let log = folder.path(log).display().to_string();
    let output = folder.hangu(&["audit", "verify", &log]);
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{said}");
    said
}

#[test]
fn old_segments_are_compressed_archived_and_removed_by_a_record() {
    let (folder, _upstream) = prepared("[audit.retention]\nevery = \"1s\"\narchive = \"archive\"");
    let first = folder.path("audit/audit-000000000001.jsonl");
    let gateway = folder.start();
    gateway.wait_for_metric("hangu_audit_retention_removed_total", &[], 8.0);
    assert!(!first.exists() && !first.with_extension("jsonl.zst").exists());
    let record = wait_for("the record", || gateway.audit().of_kind("retention").pop());
    assert_eq!(record["removed_through"], 8, "{record:#}");
    assert!(
        field(&record, "detail").contains("older than 180 days"),
        "{record:#}"
    );
    let said = verify(gateway.folder(), "audit");
    assert!(said.contains("begins with record 9"), "{said}");
    assert_eq!(gateway.client("clerk").get("/a").unwrap().status, 200);

    // It starts again on what is left, and whole with the archive put back.
    let gateway = gateway.into_folder().start();
    let copy = gateway.folder().path("whole");
    let status = std::process::Command::new("cp")
        .args([
            "-r".as_ref(),
            gateway.folder().path("audit").as_os_str(),
            copy.as_os_str(),
        ])
        .status();
    assert!(status.unwrap().success());
    for file in std::fs::read_dir(gateway.folder().path("archive")).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap();
        if name.to_str().unwrap().starts_with("audit-") {
            std::fs::copy(&path, copy.join(name)).unwrap();
        }
    }
    let said = verify(gateway.folder(), "whole");
    assert!(!said.contains("begins with"), "{said}");
}

#[test]
fn what_a_sink_has_not_been_sent_stays() {
    let dead = DeadPort::new();
    let sink = format!(
        "[[audit.sinks]]\nname = \"soc\"\nkind = \"http\"\nurl = \"http://{}/\"",
        dead.address()
    );
    let (folder, _upstream) = prepared(&format!("[audit.retention]\nevery = \"1s\"\n{sink}"));
    let gateway = folder.start();
    gateway.wait_for_metric("hangu_audit_retention_held_segments", &[], 4.0);
    let first = gateway.folder().path("audit");
    let is_there = |first: &Path| {
        let plain = first.join("audit-000000000001.jsonl");
        plain.exists() || plain.with_extension("jsonl.zst").exists()
    };
    assert!(is_there(&first));
    assert!(gateway.audit().of_kind("retention").is_empty());
    // Nobody waits for them any more.
    let config = gateway.folder().read("hangu.toml");
    gateway
        .folder()
        .write("hangu.toml", &config.replace(&sink, ""));
    gateway.reload();
    wait_until("them to go", || !is_there(&first));
}

#[test]
fn less_than_half_a_year_is_for_development_only() {
    let upstream = TestUpstream::answering(|_| Answer::ok("the records"));
    let check = |lines: &str| {
        let table = format!("[audit.retention]\n{lines}");
        let world = gateway().records(upstream.address()).table(&table);
        let output = world.prepare().check();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.success(), said)
    };
    let (is_good, said) = check("days = 179");
    assert!(
        !is_good && said.contains("179 days are less than the 180"),
        "{said}"
    );
    for good in ["days = 180", "days = 7\nprofile = \"development\""] {
        let (is_good, said) = check(good);
        assert!(is_good, "{said}");
    }
}
