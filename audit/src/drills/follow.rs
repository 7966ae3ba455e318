//! Reading on while the log is written, rotated and torn.

use std::fs;
use std::os::unix::fs::FileExt;

use tempfile::TempDir;

use super::disk::Failing;
use super::{closed_log, event, rewrite};
use crate::*;

fn drain(reader: &mut Reader) -> Vec<u64> {
    std::iter::from_fn(|| reader.next_line().unwrap())
        .map(|line| line.sequence)
        .collect()
}

#[test]
fn a_reader_begins_where_it_is_told() {
    let dir = TempDir::new().unwrap();
    closed_log(dir.path(), 10, 3);
    for (position, first) in [
        (Position::Sequence(0), 1),
        (Position::Sequence(1), 1),
        (Position::Sequence(4), 4),
        (Position::Sequence(9), 9),
        (Position::Last(0), 11),
        (Position::Last(1), 10),
        (Position::Last(5), 6),
        (Position::Last(99), 1),
        (Position::Sequence(12), 11),
    ] {
        let mut reader = Reader::open(dir.path(), position).unwrap();
        assert_eq!(
            drain(&mut reader),
            (first..11).collect::<Vec<_>>(),
            "{position:?}"
        );
    }
}

#[test]
fn a_reader_follows_the_writer_across_segments() {
    let dir = TempDir::new().unwrap();
    let mut reader = Reader::open(dir.path(), Position::Last(0)).unwrap();
    assert!(drain(&mut reader).is_empty());
    let mut log = Failing::new().log(dir.path(), 500);
    assert!(drain(&mut reader).is_empty());
    for number in 1..=30 {
        log.append(&event("x")).unwrap();
        assert!(drain(&mut reader).is_empty(), "appended is not committed");
        log.commit().unwrap();
        assert_eq!(drain(&mut reader), [number]);
    }
}

#[test]
fn half_a_line_is_not_given_until_it_is_whole() {
    let dir = TempDir::new().unwrap();
    closed_log(dir.path(), 3, 10);
    let path = dir.path().join("audit-000000000001.jsonl");
    let good = fs::read(&path).unwrap();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    for length in 0..good.len() {
        file.set_len(length as u64).unwrap();
        let mut reader = Reader::open(dir.path(), Position::Sequence(1)).unwrap();
        let before = drain(&mut reader);
        file.write_all_at(&good[length..], length as u64).unwrap();
        assert_eq!(
            [before, drain(&mut reader)].concat(),
            [1, 2, 3],
            "cut at {length}"
        );
    }
}

#[test]
fn a_gap_is_told_and_not_skipped() {
    let dir = TempDir::new().unwrap();
    closed_log(dir.path(), 9, 3);
    fs::remove_file(dir.path().join("audit-000000000004.jsonl")).unwrap();
    let mut reader = Reader::open(dir.path(), Position::Sequence(1)).unwrap();
    for sequence in 1..=3 {
        assert_eq!(reader.next_line().unwrap().unwrap().sequence, sequence);
    }
    let error = reader.next_line().unwrap_err().to_string();
    assert!(
        error.contains("000007.jsonl: record `4` should follow"),
        "{error}"
    );

    let path = dir.path().join("audit-000000000001.jsonl");
    let lines = fs::read_to_string(&path).unwrap();
    rewrite(
        &path,
        lines.split_inclusive('\n').skip(1).collect::<String>(),
    );
    let mut reader = Reader::open(dir.path(), Position::Sequence(1)).unwrap();
    let error = reader.next_line().unwrap_err().to_string();
    assert!(error.contains("record `1` should follow"), "{error}");
}

/// Records 1 and 2 on the disk, 3 to 5 written and read as far as `readable` bytes of them, then lost to a failed sync and written to
/// the next segment.
#[test]
fn a_reader_goes_on_after_a_failed_sync_however_far_it_had_read() {
    let (all, lost) = {
        let dir = TempDir::new().unwrap();
        closed_log(dir.path(), 5, 10);
        let all = fs::read(dir.path().join("audit-000000000001.jsonl")).unwrap();
        let lines: Vec<_> = all.split_inclusive(|byte| *byte == b'\n').collect();
        let kept = lines[..2].concat().len();
        (all, kept)
    };
    for readable in (lost..=all.len()).step_by(23).chain([all.len()]) {
        let dir = TempDir::new().unwrap();
        let first = dir.path().join("audit-000000000001.jsonl");
        fs::write(&first, &all[..readable]).unwrap();
        let mut reader = Reader::open(dir.path(), Position::First).unwrap();
        let before = drain(&mut reader);
        let file = fs::OpenOptions::new().write(true).open(&first).unwrap();
        file.set_len(lost as u64).unwrap();
        assert!(drain(&mut reader).is_empty());
        fs::write(dir.path().join("audit-000000000003.jsonl"), &all[lost..]).unwrap();
        assert_eq!(
            [before, drain(&mut reader)].concat(),
            [1, 2, 3, 4, 5],
            "read up to byte {readable}"
        );
    }
}

#[test]
fn half_a_record_that_a_crash_left_is_not_joined_to_what_is_written_over_it() {
    let dir = TempDir::new().unwrap();
    closed_log(dir.path(), 3, 10);
    let path = dir.path().join("audit-000000000001.jsonl");
    let good = fs::read(&path).unwrap();
    rewrite(
        &path,
        [&good[..], b"{\"v\":2,\"seq\":4,\"time\":\"1999"].concat(),
    );
    let mut reader = Reader::open(dir.path(), Position::First).unwrap();
    assert_eq!(drain(&mut reader), [1, 2, 3]);
    let log = Failing::new().log(dir.path(), u64::MAX);
    let line = reader.next_line().unwrap().unwrap();
    assert_eq!(line.json, super::lines(dir.path())[3], "as it stands there");
    assert!(line.json.contains("recovered"), "{}", line.json);
    drop(log);
}

#[test]
fn a_finished_segment_without_its_end_is_told_by_reader_and_search() {
    for (cut, path) in [(4, "000004"), (1, "000001")] {
        for keep in ["", "half a li"] {
            let dir = TempDir::new().unwrap();
            closed_log(dir.path(), 9, 3);
            let path = dir.path().join(format!("audit-000000{path}.jsonl"));
            rewrite(&path, keep);
            let mut reader = Reader::open(dir.path(), Position::First).unwrap();
            for sequence in 1..cut {
                assert_eq!(reader.next_line().unwrap().unwrap().sequence, sequence);
            }
            for _ in 0..2 {
                let error = reader.next_line().unwrap_err().to_string();
                assert!(
                    error.contains(&format!("record `{cut}` should follow")),
                    "{error}"
                );
            }
            let mut search = Search::open(dir.path(), Filter::default()).unwrap();
            let found = std::iter::from_fn(|| search.next_match().transpose());
            let error = found.into_iter().find_map(Result::err).unwrap().to_string();
            assert!(
                error.contains(&format!("record `{cut}` should follow")),
                "{error}"
            );
        }
    }
}
