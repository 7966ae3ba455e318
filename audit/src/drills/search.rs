//! Finding records, with an index, without one, and with one that lies.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

use tempfile::TempDir;

use super::disk::Failing;
use super::{at, event, rewrite};
use crate::segment;
use crate::*;

/// Two hundred requests in segments of some twenty, and an event now and then.
fn log_of_requests(dir: &Path) {
    let mut log = Failing::new().log(dir, 6_000);
    for number in 0..200 {
        let mut record = event("");
        record.kind = Kind::Request;
        record.time = at(number * 1_000);
        record.exchange = Some(Exchange {
            request_id: format!("r-{number}"),
            trace_id: format!("t\"{}", number / 2),
            ..Exchange::default()
        });
        log.append(&record).unwrap();
        if number % 50 == 0 {
            let mut reload = event("reload");
            reload.time = at(number * 1_000);
            log.append(&reload).unwrap();
        }
        log.commit().unwrap();
    }
    log.close().unwrap();
}

fn found(dir: &Path, filter: Filter) -> Vec<String> {
    let mut search = Search::open(dir, filter).unwrap();
    std::iter::from_fn(|| search.next_match().unwrap())
        .map(|(entry, _)| entry.request_id)
        .collect()
}

fn index_files(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> = fs::read_dir(dir.join("index"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

#[test]
fn what_is_looked_for_is_found_with_and_without_an_index() {
    let dir = TempDir::new().unwrap();
    log_of_requests(dir.path());
    assert!(index_files(dir.path()).len() > 5);
    for _ in 0..2 {
        for number in [0, 1, 57, 120, 199] {
            let id = format!("r-{number}");
            assert_eq!(
                found(dir.path(), Filter::new().with(Field::RequestId, &id)),
                [id]
            );
        }
        assert_eq!(
            found(dir.path(), Filter::new().with(Field::TraceId, "t\"60")),
            ["r-120", "r-121"]
        );
        let both = Filter::new()
            .with(Field::TraceId, "t\"60")
            .with(Field::RequestId, "r-121");
        assert_eq!(found(dir.path(), both), ["r-121"]);
        assert!(found(dir.path(), Filter::new().with(Field::RequestId, "r-200")).is_empty());
        assert_eq!(
            found(dir.path(), Filter::new().with(Field::Kind, "request")).len(),
            200
        );
        assert_eq!(found(dir.path(), Filter::new()).len(), 204);
        let minute = Filter::new()
            .since(at(60_000))
            .until(at(63_000))
            .with(Field::Kind, "request");
        assert_eq!(found(dir.path(), minute), ["r-60", "r-61", "r-62"]);
        let _removed_before = fs::remove_dir_all(dir.path().join("index"));
    }
}

#[test]
fn an_index_spares_the_segments_that_surely_hold_nothing() {
    let dir = TempDir::new().unwrap();
    log_of_requests(dir.path());
    // Every segment but that of request 57 and the last is made unreadable as records: the search must not open them.
    let segments = segment::list(dir.path()).unwrap();
    let (last, finished) = segments.split_last().unwrap();
    for segment in finished {
        if !fs::read_to_string(&segment.path)
            .unwrap()
            .contains("\"r-57\"")
        {
            rewrite(&segment.path, "noise\n");
        }
    }
    assert!(last.first > 57);
    assert_eq!(
        found(dir.path(), Filter::new().with(Field::RequestId, "r-57")),
        ["r-57"]
    );
}

#[test]
fn an_index_that_was_changed_or_is_of_another_segment_is_damage() {
    let dir = TempDir::new().unwrap();
    log_of_requests(dir.path());
    let files = index_files(dir.path());
    for (position, path) in files.iter().enumerate() {
        let good = fs::read(path).unwrap();
        let file = fs::OpenOptions::new().write(true).open(path).unwrap();
        for at in (8..good.len()).step_by(7) {
            file.write_all_at(&[good[at] ^ 4], at as u64).unwrap();
            let Err(VerifyError::Damage(damage)) = verify(dir.path(), |_| {}) else {
                panic!("{at}")
            };
            assert_eq!((damage.what, &damage.file), (Fault::Index, path));
            file.write_all_at(&good[at..=at], at as u64).unwrap();
        }
        fs::copy(&files[(position + 1) % files.len()], path).unwrap();
        assert!(verify(dir.path(), |_| {}).is_err());
        rewrite(path, &good);
    }
    for path in &files {
        fs::remove_file(path).unwrap();
        assert!(
            verify(dir.path(), |_| {}).is_ok(),
            "a missing one hides nothing"
        );
    }
}

#[test]
fn the_index_of_a_segment_that_two_processes_wrote_names_the_ids_of_both() {
    let dir = TempDir::new().unwrap();
    let record = |number: u64| {
        let mut record = event("");
        record.exchange = Some(Exchange {
            request_id: format!("r-{number}"),
            ..Exchange::default()
        });
        record
    };
    for number in 0..3 {
        let mut log = Failing::new().log(dir.path(), 100_000);
        log.append(&record(number)).unwrap();
        log.close().unwrap();
    }
    let mut log = Failing::new().log(dir.path(), 1);
    log.append(&record(3)).unwrap();
    log.close().unwrap();
    assert_eq!(index_files(dir.path()).len(), 1);
    assert!(verify(dir.path(), |_| {}).is_ok());
    for number in 0..4 {
        let id = format!("r-{number}");
        assert_eq!(
            found(dir.path(), Filter::new().with(Field::RequestId, &id)),
            [id]
        );
    }
}

#[test]
fn a_search_in_a_window_of_time_opens_no_segment_outside_of_it() {
    let dir = TempDir::new().unwrap();
    log_of_requests(dir.path());
    let window = || Filter::new().since(at(101_000)).until(at(104_000));
    let expected = ["r-101", "r-102", "r-103"];
    assert_eq!(found(dir.path(), window()), expected);
    // What lies outside cannot be read any more, and is not missed.
    let segments = segment::list(dir.path()).unwrap();
    let holds = |segment: &segment::Segment| {
        let text = fs::read_to_string(&segment.path).unwrap();
        expected
            .iter()
            .any(|id| text.contains(&format!("\"{id}\"")))
    };
    let (inside, outside): (Vec<_>, Vec<_>) = segments.iter().partition(|segment| holds(segment));
    assert!(inside.len() <= 2 && outside.len() > 5);
    let last = segments.last().unwrap();
    for segment in outside.iter().filter(|segment| **segment != last) {
        let text = fs::read_to_string(&segment.path).unwrap();
        rewrite(&segment.path, "x\n".repeat(text.len() / 2));
    }
    assert_eq!(found(dir.path(), window()), expected);
    // Without the index all of it is read.
    fs::remove_dir_all(dir.path().join("index")).unwrap();
    assert!(
        Search::open(dir.path(), window())
            .unwrap()
            .next_match()
            .is_err()
    );
}
