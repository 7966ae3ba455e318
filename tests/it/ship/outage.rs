//! A receiver that is away for ten minutes. What ten minutes leave behind is records, and these are there at once.

use std::path::Path;
use std::sync::Arc;

use hangu_audit::{Kind, Log, Options, Origin, Record, Timestamp};
use hangu_tests::{Answer, RunningGateway, TestUpstream, wait_for, wait_until};
use serde_json::Value;

use super::{Rsyslog, all_up_to, lag, requests};
use crate::support::gateway;

/// Ten minutes of 33 records a second.
const RECORDS: u64 = 20_000;

/// A log of so many records in dozens of segments.
fn long_log(folder: &Path) {
    let origin = Arc::new(Origin {
        node: "gate-1".into(),
        boot: "b0".into(),
    });
    let options = Options {
        segment_bytes_max: 64 * 1024,
        ..Options::new(Arc::clone(&origin))
    };
    let now = Timestamp::from_unix_ms(u64::try_from(hangu_tests::now()).unwrap() * 1_000);
    let mut log = Log::open(folder, options, now).unwrap();
    for number in 1..=RECORDS {
        let detail = format!("n{number}");
        log.append(&Record::event(
            Kind::Reload,
            now,
            Arc::clone(&origin),
            detail,
        ))
        .unwrap();
        if number % 200 == 0 {
            log.commit().unwrap();
        }
    }
    log.close().unwrap();
}

/// The number of the last record, of the one segment that is not compressed meanwhile.
fn last_written(gateway: &RunningGateway) -> u64 {
    let segments = gateway.audit().segments();
    let text = std::fs::read_to_string(segments.last().unwrap()).unwrap_or_default();
    let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let last = whole.lines().last().unwrap_or("{}");
    let record: Value = serde_json::from_str(last).unwrap();
    record["seq"].as_u64().unwrap_or_default()
}

#[test]
fn ten_minutes_of_records_reach_a_receiver_that_was_away_for_all_of_them() {
    let Some(mut receiver) = Rsyslog::new() else {
        return;
    };
    let upstream = TestUpstream::answering(|_| Answer::ok("the records"));
    let world = gateway().records(upstream.address());
    receiver.trust(world.pki());
    let folder = world
        .table(&receiver.sink("soc", "settle = \"1s\""))
        .table("[audit.retention]\nevery = \"1s\"")
        .prepare();
    long_log(&folder.path("audit"));
    let gateway = folder.start();
    requests(&gateway, 20);

    // Nobody takes them; meanwhile finished segments are compressed, and the gateway is started anew.
    wait_until("the lag to be told", || {
        lag(&gateway, "soc") >= RECORDS as f64
    });
    gateway.wait_for_metric("hangu_audit_retention_saved_bytes_total", &[], 1.0);
    let gateway = gateway.into_folder().start();
    requests(&gateway, 20);
    let last = wait_for("the records", || {
        Some(last_written(&gateway)).filter(|last| *last >= RECORDS + 42)
    });
    assert!(receiver.sequences().is_empty());

    receiver.start();
    wait_until("no lag", || lag(&gateway, "soc") == 0.0);
    wait_until("every record", || {
        receiver.sequences().is_superset(&all_up_to(last))
    });
    let dropped = [("sink", "soc")];
    assert_eq!(
        gateway
            .metrics()
            .sum("hangu_audit_sink_dropped_total", &dropped),
        0.0
    );
}
