//! A process that waits for the log keeps one of its own, and nothing of it is lost or doubled when the log takes it over.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{at, closed_log, event, options};
use crate::*;

/// A log of two records, and one that waits with these.
fn world(waiting: &[&str]) -> (TempDir, PathBuf) {
    let dir = TempDir::new().unwrap();
    closed_log(dir.path(), 2, 9);
    let folder = wait(dir.path(), waiting);
    (dir, folder)
}

fn wait(dir: &Path, details: &[&str]) -> PathBuf {
    let mut log = Log::open_waiting(dir, "b8", options(), at(3)).unwrap();
    for detail in details {
        log.append(&event(detail)).unwrap();
    }
    log.close().unwrap();
    dir.join("waiting/b8")
}

fn take(dir: &Path, own: &str) -> TakenOver {
    let mut log = Log::open(dir, options(), at(4)).unwrap();
    let taken = log.take_waiting(own, at(5)).unwrap();
    log.close().unwrap();
    verify(dir, |_| {}).unwrap();
    taken
}

fn details(dir: &Path) -> Vec<String> {
    let entries = super::lines(dir);
    let entries = entries.iter().map(|line| Entry::parse(line).unwrap());
    entries.map(|entry| entry.detail).collect()
}

/// Copies a folder of files.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn what_waited_goes_on_in_the_log_under_its_own_numbers() {
    let (dir, folder) = world(&["w1", "w2", "w3"]);
    assert_eq!(
        take(dir.path(), "b8"),
        TakenOver {
            records: 3,
            processes: 1
        }
    );
    assert_eq!(details(dir.path()), ["n1", "n2", "w1", "w2", "w3"]);
    let entries = super::lines(dir.path());
    assert!(
        entries[2].starts_with("{\"v\":2,\"seq\":3,\"time\":"),
        "{}",
        entries[2]
    );
    assert!(!folder.exists());
    assert_eq!(take(dir.path(), "b8"), TakenOver::default());
}

#[test]
fn who_died_while_it_waited_is_told_of() {
    let (dir, _folder) = world(&["w1"]);
    take(dir.path(), "b9");
    let all = details(dir.path());
    assert_eq!(all[..3], ["n1", "n2", "w1"]);
    assert_eq!(
        all[3],
        "1 records of the process b8 were taken over; it ended while it waited for the log"
    );
    assert_eq!(all.len(), 4);
}

#[test]
fn what_a_crash_left_half_taken_is_not_taken_twice() {
    for taken_before_the_crash in 0..=3 {
        let waiting = ["w1", "w2", "w3"];
        let (dir, folder) = world(&waiting);
        let whole = TempDir::new().unwrap();
        copy(&folder, whole.path());
        fs::remove_dir_all(&folder).unwrap();
        if taken_before_the_crash > 0 {
            wait(dir.path(), &waiting[..taken_before_the_crash]);
            take(dir.path(), "b8");
        }
        copy(whole.path(), &folder);
        let taken = take(dir.path(), "b8");
        assert_eq!(taken.records, 3 - taken_before_the_crash as u64);
        assert_eq!(details(dir.path()), ["n1", "n2", "w1", "w2", "w3"]);
        assert!(!folder.exists());
    }
}

#[test]
fn who_still_waits_is_left_alone() {
    let (dir, folder) = world(&["w1"]);
    let living = Log::open_waiting(dir.path(), "b8", options(), at(6)).unwrap();
    assert_eq!(take(dir.path(), "b9"), TakenOver::default());
    assert!(folder.exists());
    drop(living);
    assert_eq!(take(dir.path(), "b8").records, 1);
}

#[test]
fn what_was_changed_while_it_waited_is_not_taken() {
    let (dir, folder) = world(&["w1", "w2"]);
    let path = folder.join("audit-000000000001.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    super::rewrite(&path, text.replace("w1", "w9"));
    let mut log = Log::open(dir.path(), options(), at(4)).unwrap();
    let refused = log.take_waiting("b8", at(5)).unwrap_err();
    assert!(refused.to_string().contains("waiting/b8"), "{refused}");
    assert!(path.exists());
    assert_eq!(log.committed().sequence, 2);
}

#[test]
fn a_name_that_leads_elsewhere_is_refused() {
    let dir = TempDir::new().unwrap();
    for name in ["", "..", "a/b", "b 8"] {
        assert!(
            Log::open_waiting(dir.path(), name, options(), at(0)).is_err(),
            "{name}"
        );
    }
}
