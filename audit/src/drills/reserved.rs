//! The room of a segment on the real file system: kept while it is written, given back when it is over.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;

use tempfile::TempDir;

use super::disk::Failing;
use super::{at, event, options};
use crate::segment;
use crate::*;

const SEGMENT: u64 = 4 * 1024 * 1024;

fn open(dir: &Path, segment_bytes_max: u64) -> Log {
    let options = Options {
        segment_bytes_max,
        ..options()
    };
    Log::open(dir, options, at(0)).unwrap()
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let segments = segment::list(dir).unwrap();
    segments.into_iter().map(|segment| segment.path).collect()
}

/// Bytes of the records, and bytes of the disk that the file has.
fn sizes(path: &Path) -> (u64, u64) {
    let file = fs::metadata(path).unwrap();
    (file.len(), file.blocks() * 512)
}

/// Not every file system that tests run on keeps room; all else holds on them too.
fn keeps_room(log: &Log) -> bool {
    match log.reservation() {
        Reservation::Held => true,
        Reservation::Unsupported => false,
        Reservation::NoRoom => panic!("the disk of the tests is full"),
    }
}

#[test]
fn the_room_of_a_segment_is_reserved_and_no_reader_sees_it() {
    let dir = TempDir::new().unwrap();
    let mut log = open(dir.path(), SEGMENT);
    for again in 0..3 {
        log.append(&event("x")).unwrap();
        log.commit().unwrap();
        let path = &segments(dir.path())[0];
        let (length, blocks) = sizes(path);
        assert_eq!(length, log.segment_bytes());
        if keeps_room(&log) {
            assert_eq!(log.reserved_bytes(), SEGMENT - length);
            assert!(blocks >= SEGMENT, "{blocks} bytes of blocks, round {again}");
        }
        assert!(fs::read(path).unwrap().ends_with(b"\"}\n"));
        // Killed, then gone on with.
        drop(log);
        log = open(dir.path(), SEGMENT);
    }
    assert_eq!(verify(dir.path(), |_| {}).unwrap().records, 3);
    log.close().unwrap();
    let (length, blocks) = sizes(&segments(dir.path())[0]);
    assert!(
        blocks < length + 64 * 1024,
        "a stopped log keeps none: {blocks}"
    );
}

#[test]
fn a_segment_that_is_over_keeps_no_room_and_the_next_one_does() {
    let dir = TempDir::new().unwrap();
    // Opened with a larger bound than it is gone on with, as after a change of the configuration, and killed in between.
    let mut log = open(dir.path(), SEGMENT);
    log.append(&event("x")).unwrap();
    log.commit().unwrap();
    drop(log);
    let mut log = open(dir.path(), 1);
    log.append(&event("y")).unwrap();
    log.commit().unwrap();
    drop(log);
    let first = &segments(dir.path())[0];
    let (length, blocks) = sizes(first);
    assert!(blocks < length + 64 * 1024, "{blocks} bytes of blocks");
    let log = open(dir.path(), SEGMENT);
    let (_, blocks) = sizes(&segments(dir.path())[1]);
    assert!(!keeps_room(&log) || blocks >= SEGMENT, "{blocks}");
}

#[test]
fn a_disk_without_room_for_a_segment_is_told_and_left_to_others() {
    let dir = TempDir::new().unwrap();
    let mut log = open(dir.path(), u64::MAX / 2);
    assert_eq!(log.reservation(), Reservation::NoRoom);
    assert_eq!(log.reserved_bytes(), 0);
    log.append(&event("x")).unwrap();
    assert_eq!(log.commit().unwrap(), 1, "there is room for a record");
    let (length, blocks) = sizes(&segments(dir.path())[0]);
    assert!(
        blocks < length + 64 * 1024,
        "nothing was kept in part: {blocks}"
    );
    assert_eq!(
        log.reserve(),
        Reservation::NoRoom,
        "asked again, and no more"
    );
}

#[test]
fn a_file_system_that_keeps_no_room_holds_the_log_all_the_same() {
    let (dir, disk) = (TempDir::new().unwrap(), Failing::new());
    disk.0.reserve_fails.store(true, Relaxed);
    let mut log = disk.log(dir.path(), 1);
    for number in 1..=3 {
        log.append(&event("x")).unwrap();
        assert_eq!(log.commit().unwrap(), number);
        assert_eq!(log.reservation(), Reservation::Unsupported);
    }
    disk.mend();
    assert_eq!(log.reserve(), Reservation::Held);
    log.close().unwrap();
    assert_eq!(verify(dir.path(), |_| {}).unwrap().records, 3);
}
