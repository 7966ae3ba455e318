//! A disk that takes records and loses them: `fdatasync` fails.
//!
//! No disk can be asked to fail at a chosen moment, so a library of ten lines stands between the gateway and the system and lets it
//! fail, once or for good. Everything above it is the real thing.

use std::fs;
use std::path::Path;
use std::process::Command;

use hangu_tests::{RunningGateway, TestUpstream, wait_until};

use crate::support::{field, records_with};

/// Fails once while `$HANGU_BAD_DISK` is a file, which it removes, and always while it is a folder.
const BAD_DISK: &str = "
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
int fdatasync(int fd) {
    const char *bad = getenv(\"HANGU_BAD_DISK\");
    if (access(bad, F_OK) == 0) {
        unlink(bad);
        errno = EIO;
        return -1;
    }
    return syscall(SYS_fdatasync, fd);
}
";

/// A gateway on such a disk, in `folder`; `None` without a compiler, which every machine that builds it has.
fn on_a_bad_disk(folder: &Path) -> Option<(RunningGateway, TestUpstream)> {
    let (source, library) = (folder.join("bad.c"), folder.join("bad.so"));
    fs::write(&source, BAD_DISK).unwrap();
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .status();
    match compiled {
        Ok(status) => assert!(status.success(), "cc: {status}"),
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "cc: {error}");
            println!("skipped: `cc` cannot be run here: {error}");
            return None;
        }
    }
    let preload = format!(
        "export HANGU_BAD_DISK='{}' LD_PRELOAD='{}'",
        folder.join("bad").display(),
        library.display()
    );
    Some(records_with(|world| world.shell(&preload)))
}

#[test]
fn a_sync_that_fails_ends_the_segment_and_no_request_notices() {
    let folder = tempfile::tempdir().unwrap();
    let Some((mut gateway, upstream)) = on_a_bad_disk(folder.path()) else {
        return;
    };
    let client = gateway.client("clerk");
    assert_eq!(client.get("/residents/1").unwrap().status, 200);
    assert_eq!(gateway.audit().segments().len(), 1);
    fs::write(folder.path().join("bad"), "").unwrap();
    let after = client.get("/residents/2").unwrap();
    assert_eq!(after.status, 200);
    assert_eq!(gateway.audit().segments().len(), 2, "it was ended");
    gateway.audit().of_request(&after.request_id());
    gateway.signal("TERM");
    assert_eq!(gateway.wait_for_end().status.code(), Some(0));
    hangu_audit::verify(gateway.audit().folder(), |_| ()).unwrap();
    let allowed = |record: &&serde_json::Value| field(record, "decision") == "allowed";
    let written = gateway.audit().records().iter().filter(allowed).count();
    assert_eq!(written, upstream.count());
}

#[test]
fn a_disk_that_keeps_failing_ends_the_process_and_the_next_one_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let Some((mut gateway, upstream)) = on_a_bad_disk(folder.path()) else {
        return;
    };
    let client = gateway.client("clerk");
    let first = client.get("/residents/1").unwrap();
    assert_eq!(first.status, 200);
    fs::create_dir(folder.path().join("bad")).unwrap();
    // The process ends while it says 503: whichever comes first.
    let second = client.get("/residents/2").map(|answer| answer.status);
    assert!(
        matches!(second, Err(_) | Ok(503)),
        "no answer without its record: {second:?}"
    );
    let ended = gateway.wait_for_end();
    assert!(!ended.status.success());
    assert!(
        ended.stderr.contains("the audit log has ended") && ended.stderr.contains("dmesg"),
        "{}",
        ended.stderr
    );
    let written = gateway.into_folder();
    let refused = written.run_to_end();
    assert_eq!(refused.status.code(), Some(1), "nor does it start there");

    fs::remove_dir(folder.path().join("bad")).unwrap();
    let mut gateway = written.start();
    assert_eq!(gateway.client("clerk").get("/").unwrap().status, 200);
    gateway.audit().of_request(&first.request_id());
    wait_until("both requests to be there", || {
        gateway.audit().of_kind("request").len() == upstream.count()
    });
    gateway.signal("TERM");
    assert_eq!(gateway.wait_for_end().status.code(), Some(0));
    hangu_audit::verify(gateway.audit().folder(), |_| ()).unwrap();
}
