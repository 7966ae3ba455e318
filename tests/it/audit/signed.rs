//! The log is signed, and a gateway signs no other log than the one it signed before.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use hangu_audit::key::Verifier;
use hangu_audit::{Kind, Log, Options, Record, Timestamp, Trust, Verified, verify_against};
use hangu_tests::{Audit, GatewayFolder, wait_until};

use crate::support::{assert_problem, field, records, records_with};

/// The log's own key, as the gateway left it for others to check with.
fn key(folder: &GatewayFolder) -> Verifier {
    Verifier::parse(folder.read("audit.key.pub").trim()).unwrap()
}

fn signed(audit: &Path, key: &Verifier) -> Verified {
    let keys = [key.clone()];
    let trust = Trust {
        keys: &keys,
        ..Trust::default()
    };
    verify_against(audit, &trust, |_| ()).unwrap()
}

#[test]
fn a_running_gateway_signs_what_it_has_written_within_seconds_and_all_of_it_at_its_end() {
    let (mut gateway, _upstream) = records();
    let response = gateway.client("clerk").get("/residents/7").unwrap();
    let record = gateway.audit().of_request(&response.request_id());
    let key = key(gateway.folder());
    let audit = gateway.folder().path("audit");
    wait_until("a checkpoint that covers the request", || {
        signed(&audit, &key).signed >= record["seq"].as_u64().unwrap()
    });
    wait_until("nothing to be left unsigned", || {
        gateway
            .metrics()
            .sum("hangu_audit_checkpoint_age_seconds", &[])
            == 0.0
    });
    gateway.signal("TERM");
    assert_eq!(gateway.wait_for_end().status.code(), Some(0));
    let verified = signed(&audit, &key);
    assert_eq!(verified.signed, verified.records, "with the stop record");
}

#[test]
fn each_full_segment_is_signed_and_the_disk_it_takes_is_told() {
    let (gateway, _upstream) = records_with(|world| world.audit("segment = \"1MiB\""));
    let mut connection = gateway.client("clerk").connect().unwrap();
    let long = format!("/residents/{}", "x".repeat(3_000));
    while gateway.audit().segments().len() < 2 {
        assert_eq!(connection.get(&long).unwrap().status, 200);
    }
    let second = gateway.audit().segments().pop().unwrap();
    let name = second.file_stem().unwrap().to_str().unwrap().to_owned();
    let first: u64 = name.trim_start_matches("audit-").parse().unwrap();
    let (key, audit) = (key(gateway.folder()), gateway.folder().path("audit"));
    wait_until("the whole first segment to be signed", || {
        signed(&audit, &key).signed >= first - 1
    });
    gateway.wait_for_metric("hangu_audit_disk_bytes", &[], 1_048_576.0);
    let durable = gateway
        .metrics()
        .sum("hangu_audit_durable_seconds_count", &[]);
    assert!(durable >= first as f64 - 1.0, "{durable}");
}

#[test]
fn a_log_that_another_key_signed_or_that_lost_its_checkpoint_is_not_signed_on() {
    let (mut gateway, _upstream) = records();
    gateway.signal("TERM");
    assert_eq!(gateway.wait_for_end().status.code(), Some(0));
    let folder = gateway.into_folder();
    let checkpoint = folder.read("audit/checkpoint");

    fs::remove_file(folder.path("audit/checkpoint")).unwrap();
    let ended = folder.run_to_end();
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.stderr.contains("no checkpoint"), "{}", ended.stderr);

    folder.write("audit/checkpoint", &checkpoint);
    for name in ["audit.key", "audit.key.pub"] {
        fs::remove_file(folder.path(name)).unwrap();
    }
    let ended = folder.run_to_end();
    assert_eq!(ended.status.code(), Some(1));
    assert!(
        ended
            .stderr
            .contains("no known key has signed the checkpoint"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_key_that_everybody_may_read_keeps_the_gateway_from_starting() {
    let (mut gateway, _upstream) = records();
    gateway.signal("TERM");
    assert_eq!(gateway.wait_for_end().status.code(), Some(0));
    let folder = gateway.into_folder();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    fs::set_permissions(folder.path("audit.key"), mode).unwrap();
    let ended = folder.run_to_end();
    assert_eq!(ended.status.code(), Some(1));
    assert!(
        ended.stderr.contains("everybody may read it"),
        "{}",
        ended.stderr
    );
}

#[test]
fn when_the_disk_is_all_but_full_denials_are_recorded_and_nothing_is_permitted() {
    let (gateway, upstream) = records_with(|world| world.audit("disk_max = \"1MiB\""));
    let mut connection = gateway.client("clerk").connect().unwrap();
    let long = format!("/residents/{}", "x".repeat(3_000));
    let mut answered = 0;
    let refused = loop {
        let response = connection.get(&long).unwrap();
        if response.status != 200 {
            break response;
        }
        answered += 1;
        assert!(answered < 5_000, "the bound is never reached");
    };
    assert_problem(&refused, 503, &refused.request_id());
    let record = gateway.audit().of_request(&refused.request_id());
    assert_eq!(field(&record, "reason"), "audit.unavailable");
    let served = upstream.count();

    let denied = connection.get("/sealed/1").unwrap();
    assert_eq!(denied.status, 403, "a denial needs no permission");
    let record = gateway.audit().of_request(&denied.request_id());
    assert_eq!(field(&record, "reason"), "application.explicit_deny");
    assert_eq!(upstream.count(), served);
    assert!(gateway.metrics().sum("hangu_audit_disk_used_ratio", &[]) >= 0.99);
    let stderr = gateway.stderr();
    assert!(stderr.contains("nothing is permitted any more"), "{stderr}");
    let audit = Audit::new(&gateway.folder().path("audit"));
    hangu_audit::verify(audit.folder(), |_| ()).unwrap();
}

#[test]
fn what_was_put_behind_the_last_signed_record_or_taken_away_altogether_is_told() {
    let (mut gateway, _upstream) = records();
    gateway.signal("TERM");
    assert_eq!(gateway.wait_for_end().status.code(), Some(0));
    let folder = gateway.into_folder();
    let audit = folder.path("audit");
    let mut gateway = folder.start();
    gateway.signal("TERM");
    assert_eq!(gateway.wait_for_end().status.code(), Some(0));
    let recovered = gateway.audit().of_kind("recovered");
    assert_eq!(recovered.len(), 0, "a clean stop leaves nothing unsigned");

    // Somebody adds a record while the gateway is down.
    let written = gateway.audit().records().len();
    let options = Options::new(Arc::default());
    let mut log = Log::open(&audit, options, Timestamp::from_unix_ms(0)).unwrap();
    log.append(&Record::event(
        Kind::Reload,
        Timestamp::from_unix_ms(0),
        Arc::default(),
        "forged",
    ))
    .unwrap();
    log.close().unwrap();
    let mut gateway = gateway.into_folder().start();
    let told = gateway.audit().of_kind("recovered");
    let forged = written + 1;
    assert!(
        matches!(&*told, [one] if field(one, "detail").contains(&format!("records {forged} to {forged} were under no"))),
        "{told:?}"
    );
    gateway.signal("TERM");
    assert_eq!(gateway.wait_for_end().status.code(), Some(0));

    // Somebody takes all of it away, and leaves the key.
    fs::remove_dir_all(&audit).unwrap();
    let gateway = gateway.into_folder().start();
    let first = gateway.audit().records().swap_remove(0);
    assert_eq!(field(&first, "kind"), "recovered");
    assert!(field(&first, "detail").contains("begins anew"), "{first}");
}
