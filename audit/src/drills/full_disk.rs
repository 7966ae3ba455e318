//! A disk that is full, or fails, at every possible byte: nothing acknowledged is lost, nothing is written twice.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;

use tempfile::TempDir;

use super::disk::Failing;
use super::{at, event, options};
use crate::segment;
use crate::*;

fn append(log: &mut Log, numbers: std::ops::RangeInclusive<u64>) {
    for number in numbers {
        assert_eq!(log.append(&event(&format!("n{number}"))).unwrap(), number);
    }
}

/// All details in order; the log must be sound.
fn details(dir: &Path) -> Vec<String> {
    let records = verify(dir, |_| {}).unwrap().records;
    let details: Vec<_> = super::lines(dir)
        .iter()
        .map(|line| Entry::parse(line).unwrap().detail)
        .collect();
    assert_eq!(details.len() as u64, records);
    details
}

fn numbered(to: u64) -> Vec<String> {
    (1..=to).map(|number| format!("n{number}")).collect()
}

fn bytes_on_disk(dir: &Path) -> u64 {
    segment::list(dir)
        .unwrap()
        .iter()
        .map(|segment| fs::metadata(&segment.path).unwrap().len())
        .sum()
}

#[test]
fn a_disk_full_at_any_byte_loses_nothing_and_leaves_no_torn_line() {
    for room in (0..700).step_by(17) {
        let (dir, disk) = (TempDir::new().unwrap(), Failing::new());
        let mut log = disk.log(dir.path(), u64::MAX);
        append(&mut log, 1..=2);
        log.commit().unwrap();
        let before = bytes_on_disk(dir.path());

        disk.0.room.store(room, Relaxed);
        append(&mut log, 3..=5);
        assert_eq!(
            log.commit().unwrap_err().source.kind(),
            io::ErrorKind::StorageFull
        );
        assert_eq!(
            bytes_on_disk(dir.path()),
            before,
            "cut back to what is committed"
        );
        assert_eq!(log.committed().sequence, 2);
        append(&mut log, 6..=6);
        assert!(log.commit().is_err(), "still full");

        disk.mend();
        assert_eq!(log.commit().unwrap(), 6);
        log.close().unwrap();
        assert_eq!(details(dir.path()), numbered(6));
    }
}

#[test]
fn a_full_disk_that_cannot_even_be_cut_back_is_tidied_later_or_at_the_next_start() {
    for room in (1..700).step_by(17) {
        for crash in [false, true] {
            let (dir, disk) = (TempDir::new().unwrap(), Failing::new());
            let mut log = disk.log(dir.path(), u64::MAX);
            append(&mut log, 1..=2);
            log.commit().unwrap();
            disk.0.room.store(room, Relaxed);
            disk.0.cut_fails.store(true, Relaxed);
            append(&mut log, 3..=5);
            assert!(log.commit().is_err());
            assert!(log.commit().is_err());
            disk.mend();
            if crash {
                drop(log);
                let log = disk.log(dir.path(), u64::MAX);
                let last = log.committed().sequence;
                drop(log);
                let details = details(dir.path());
                assert!(
                    details.len() as u64 == last && last >= 2,
                    "what was acknowledged is there"
                );
                assert_eq!(details[..2], numbered(2));
            } else {
                assert_eq!(log.commit().unwrap(), 5);
                assert_eq!(details(dir.path()), numbered(5));
            }
        }
    }
}

#[test]
fn a_failed_sync_ends_the_segment_and_the_records_go_to_the_next() {
    let (dir, disk) = (TempDir::new().unwrap(), Failing::new());
    let mut log = disk.log(dir.path(), u64::MAX);
    append(&mut log, 1..=2);
    log.commit().unwrap();
    append(&mut log, 3..=5);
    disk.0.sync_failures.store(1, Relaxed);
    assert_eq!(log.commit().unwrap(), 5);
    append(&mut log, 6..=6);
    log.commit().unwrap();
    let head = log.tree_head();
    log.close().unwrap();
    assert_eq!(details(dir.path()), numbered(6));
    let segments = segment::list(dir.path()).unwrap();
    let first: Vec<_> = segments.iter().map(|segment| segment.first).collect();
    assert_eq!(first, [1, 3], "what the disk may have lost is not in it");
    assert_eq!(verify(dir.path(), |_| {}).unwrap().tree, head);
}

#[test]
fn a_disk_that_goes_on_failing_ends_the_log_and_the_next_start_finds_a_sound_one() {
    // The first of so many failures is that of the batch; the others meet each step of beginning again.
    for (committed, failures) in [(0, 1), (2, 2), (2, 3), (2, 4), (2, 5), (2, u64::MAX)] {
        let (dir, disk) = (TempDir::new().unwrap(), Failing::new());
        let mut log = disk.log(dir.path(), u64::MAX);
        if committed > 0 {
            append(&mut log, 1..=committed);
            log.commit().unwrap();
        }
        disk.0.sync_failures.store(failures, Relaxed);
        append(&mut log, committed + 1..=committed + 3);
        let mut is_written = false;
        let error = log.commit_telling(|| is_written = true).unwrap_err();
        assert_eq!(error.outlook, Outlook::Over, "{committed} {failures}");
        assert!(error.to_string().contains("cannot sync"), "{error}");
        assert!(is_written);
        disk.mend();
        assert_eq!(log.commit().unwrap_err().outlook, Outlook::Over, "for good");
        assert_eq!(log.committed().sequence, committed);
        let (log, _error) = log.close().unwrap_err();
        drop(log);
        let log = disk.log(dir.path(), u64::MAX);
        assert_eq!(log.committed().sequence, committed + 3, "{failures}");
        log.close().unwrap();
        let all = numbered(committed + 3);
        assert_eq!(
            details(dir.path()),
            all,
            "what was written outlives the process"
        );
    }
}

#[test]
fn a_rotation_that_fails_changes_nothing_and_is_tried_again() {
    for break_disk in [
        (|disk: &Failing| disk.0.open_fails.store(true, Relaxed)) as fn(&Failing),
        |disk| disk.0.replace_fails.store(true, Relaxed),
    ] {
        let (dir, disk) = (TempDir::new().unwrap(), Failing::new());
        let mut log = disk.log(dir.path(), 1);
        append(&mut log, 1..=2);
        log.commit().unwrap();
        break_disk(&disk);
        append(&mut log, 3..=3);
        for _ in 0..3 {
            assert!(log.commit().is_err());
        }
        disk.mend();
        assert_eq!(log.commit().unwrap(), 3);
        log.close().unwrap();
        assert_eq!(details(dir.path()), numbered(3));
        assert_eq!(segment::list(dir.path()).unwrap().len(), 2);
    }
}

#[test]
fn memory_is_bounded_while_the_disk_is_full() {
    let (dir, disk) = (TempDir::new().unwrap(), Failing::new());
    let options = Options {
        pending_bytes_max: 1_000,
        ..options()
    };
    let mut log = Log::open_on(dir.path(), options, at(0), Box::new(disk.clone())).unwrap();
    disk.0.room.store(0, Relaxed);
    let mut taken = 0;
    while log.append(&event("x")).is_ok() {
        taken += 1;
        assert!(log.commit().is_err());
    }
    assert!(log.pending_bytes() < 1_000 + LINE_BYTES_MAX);
    disk.mend();
    assert_eq!(log.commit().unwrap(), taken);
    assert_eq!(
        log.append(&event("y")).unwrap(),
        taken + 1,
        "a refused record has no number"
    );
}

#[test]
fn a_close_that_fails_gives_the_log_back() {
    let (dir, disk) = (TempDir::new().unwrap(), Failing::new());
    let mut log = disk.log(dir.path(), u64::MAX);
    disk.0.room.store(0, Relaxed);
    append(&mut log, 1..=1);
    let (log, _error) = log.close().unwrap_err();
    disk.mend();
    assert_eq!(log.close().unwrap().sequence, 1);
    assert_eq!(details(dir.path()), numbered(1));
}

#[test]
fn removing_what_only_helps_does_not_stop_the_log() {
    let (dir, disk) = (TempDir::new().unwrap(), Failing::new());
    let mut log = disk.log(dir.path(), 1);
    for number in 1..=400 {
        append(&mut log, number..=number);
        if number % 100 == 50 {
            for folder in ["tree", "index"] {
                let _already_gone = fs::remove_dir_all(dir.path().join(folder));
            }
        }
        log.commit().unwrap();
    }
    let head = log.tree_head();
    log.close().unwrap();
    assert_eq!(verify(dir.path(), |_| {}).unwrap().tree, head);
    assert_eq!(
        disk.log(dir.path(), 1).tree_head(),
        head,
        "and it is made again"
    );
    assert_eq!(details(dir.path()), numbered(400));
}
