//! The process or the machine dies: what was acknowledged is there, the rest is told, and the chain goes on.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use tempfile::TempDir;

use super::disk::Failing;
use super::{at, event, options, rewrite};
use crate::*;

/// A log of two acknowledged records, and three that were being written when it died: (bytes acknowledged, all bytes).
fn dying_log(dir: &Path) -> (usize, Vec<u8>) {
    let mut log = Failing::new().log(dir, u64::MAX);
    for _ in 0..2 {
        log.append(&event("acknowledged")).unwrap();
    }
    log.commit().unwrap();
    log.write_head().unwrap();
    let acknowledged = fs::read(segment(dir)).unwrap().len();
    for _ in 0..3 {
        log.append(&event("on its way")).unwrap();
    }
    log.commit().unwrap();
    (acknowledged, fs::read(segment(dir)).unwrap())
}

fn segment(dir: &Path) -> std::path::PathBuf {
    dir.join("audit-000000000001.jsonl")
}

/// Opens what a crash left, and gives the last record's number and the entries.
fn reopened(dir: &Path) -> (u64, Vec<Entry>) {
    let mut log = Log::open_on(dir, options(), at(9), Box::new(Failing::new())).unwrap();
    let last = log.committed().sequence;
    log.append(&event("after")).unwrap();
    log.close().unwrap();
    verify(dir, |_| {}).unwrap();
    (
        last,
        super::lines(dir)
            .iter()
            .map(|line| Entry::parse(line).unwrap())
            .collect(),
    )
}

#[test]
fn a_crash_at_any_byte_keeps_what_was_acknowledged_and_tells_of_the_rest() {
    let (source, dir) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (acknowledged, bytes) = dying_log(source.path());
    // Each moved tail waits for the real disk a few times, so every eleventh byte, and all around the ends of lines.
    let is_near_an_end = |length: &usize| {
        bytes[length.saturating_sub(2)..bytes.len().min(length + 2)].contains(&b'\n')
    };
    for length in
        (acknowledged..=bytes.len()).filter(|length| length % 11 == 0 || is_near_an_end(length))
    {
        let dir = dir.path().join(length.to_string());
        fs::create_dir(&dir).unwrap();
        fs::copy(source.path().join("head.json"), dir.join("head.json")).unwrap();
        rewrite(segment(&dir), &bytes[..length]);
        let whole = bytes[..length]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count();
        let good = bytes[..length]
            .iter()
            .rposition(|byte| *byte == b'\n')
            .unwrap()
            + 1;

        let (_last, entries) = reopened(&dir);
        assert!(
            entries[..whole].iter().all(|entry| entry.kind == "reload"),
            "{length}"
        );
        if good == length {
            assert_eq!(
                entries.len(),
                whole + 1,
                "nothing torn, nothing to tell: {length}"
            );
        } else {
            assert_eq!(
                (entries.len(), entries[whole].kind.as_str()),
                (whole + 2, "recovered"),
                "{length}"
            );
            let torn = dir.join(format!("audit-000000000001.{good}.1.torn"));
            assert_eq!(
                fs::read(torn).unwrap(),
                &bytes[good..length],
                "every byte is kept aside"
            );
        }
    }
}

#[test]
fn bytes_that_never_reached_the_disk_and_read_as_zero_are_moved_aside() {
    let (acknowledged, bytes) = dying_log(TempDir::new().unwrap().path());
    for (name, from, to) in [
        ("the whole rest", acknowledged, bytes.len()),
        ("a page in the middle", acknowledged + 10, acknowledged + 60),
        ("the last bytes", bytes.len() - 20, bytes.len()),
    ] {
        let dir = TempDir::new().unwrap();
        dying_log(dir.path());
        let mut zeroed = bytes.clone();
        zeroed[from..to].fill(0);
        rewrite(segment(dir.path()), &zeroed);
        let (_last, entries) = reopened(dir.path());
        assert!(
            entries[..2]
                .iter()
                .all(|entry| entry.detail == "acknowledged"),
            "{name}"
        );
        assert_eq!(
            entries
                .iter()
                .filter(|entry| entry.kind == "recovered")
                .count(),
            1,
            "{name}"
        );
    }
}

#[test]
fn zeros_over_acknowledged_records_are_damage_and_not_a_crash() {
    let dir = TempDir::new().unwrap();
    let (acknowledged, mut bytes) = dying_log(dir.path());
    bytes[acknowledged - 50..acknowledged].fill(0);
    rewrite(segment(dir.path()), &bytes);
    let error = Log::open(dir.path(), options(), at(9))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("record `2`") && error.contains("vouches for record `2`"),
        "{error}"
    );
    assert_eq!(
        fs::read(segment(dir.path())).unwrap(),
        bytes,
        "nothing was changed"
    );
}

#[test]
fn a_crash_between_copying_and_cutting_is_repaired_again() {
    let dir = TempDir::new().unwrap();
    let (acknowledged, bytes) = dying_log(dir.path());
    rewrite(segment(dir.path()), &bytes[..acknowledged + 5]);
    rewrite(
        dir.path()
            .join(format!("audit-000000000001.{acknowledged}.1.torn")),
        b"{\"v",
    );
    reopened(dir.path());
    assert_eq!(
        fs::read(
            dir.path()
                .join(format!("audit-000000000001.{acknowledged}.1.torn"))
        )
        .unwrap(),
        b"{\"v"
    );
    assert_eq!(
        fs::read(
            dir.path()
                .join(format!("audit-000000000001.{acknowledged}.2.torn"))
        )
        .unwrap(),
        b"{\"v\":"
    );
}

#[test]
fn a_crash_right_after_a_new_segment_was_made_leaves_a_sound_log() {
    let dir = TempDir::new().unwrap();
    super::closed_log(dir.path(), 3, 3);
    rewrite(dir.path().join("audit-000000000004.jsonl"), b"");
    assert_eq!(verify(dir.path(), |_| {}).unwrap().records, 3);
    let (last, entries) = reopened(dir.path());
    assert_eq!((last, entries.len()), (3, 4));
}

#[test]
fn what_a_killed_process_left_is_synced_before_it_counts() {
    let (dir, disk) = (TempDir::new().unwrap(), Failing::new());
    dying_log(dir.path());
    disk.0.sync_failures.store(1, Ordering::Relaxed);
    let error = Log::open_on(dir.path(), options(), at(9), Box::new(disk.clone())).unwrap_err();
    assert!(matches!(error, OpenError::Io { .. }), "{error}");
    disk.mend();
    assert_eq!(disk.log(dir.path(), u64::MAX).committed().sequence, 5);
}

#[test]
fn a_log_in_use_is_never_called_damaged() {
    let dir = TempDir::new().unwrap();
    let mut log = Failing::new().log(dir.path(), 20_000);
    let is_done = AtomicBool::new(false);
    let (log, is_done) = (&mut log, &is_done);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for _ in 0..300 {
                for _ in 0..7 {
                    log.append(&event(&"x".repeat(300))).unwrap();
                }
                log.commit().unwrap();
            }
            is_done.store(true, Ordering::Relaxed);
        });
        let mut reader = Reader::open(dir.path(), Position::Sequence(1)).unwrap();
        let mut read = 0;
        loop {
            let is_last = is_done.load(Ordering::Relaxed);
            assert!(verify(dir.path(), |_| {}).unwrap().is_live);
            while let Some(line) = reader.next_line().unwrap() {
                read += 1;
                assert_eq!(line.sequence, read);
            }
            if is_last {
                break;
            }
        }
        assert_eq!(read, 2_100);
    });
}

#[test]
fn a_log_can_be_handed_to_a_thread() {
    fn is_send<T: Send>() {}
    is_send::<Log>();
    is_send::<Reader>();
    is_send::<Record>();
}
