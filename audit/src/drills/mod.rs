//! The log as a whole: written, closed, crashed, opened, read, verified.

mod crash;
mod disk;
mod exhaustive;
mod follow;
mod full_disk;
mod hostile;
mod kill;
mod lines;
mod python;
mod reserved;
mod retention;
mod search;
mod signed;
mod tamper;
mod waiting;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;

use crate::*;

pub(crate) fn origin() -> Arc<Origin> {
    Arc::new(Origin {
        node: "gate-1".into(),
        boot: "b7".into(),
    })
}

pub(crate) fn options() -> Options {
    Options::new(origin())
}

pub(crate) fn at(ms: u64) -> Timestamp {
    Timestamp::from_unix_ms(1_795_504_222_000 + ms)
}

pub(crate) fn event(detail: &str) -> Record {
    Record::event(Kind::Reload, at(0), origin(), detail)
}

/// A closed log of so many records, `per_segment` in each segment.
pub(crate) fn closed_log(dir: &Path, records: u64, per_segment: u64) {
    let options = Options {
        segment_bytes_max: 1,
        ..options()
    };
    let mut log = Log::open(dir, options, at(0)).unwrap();
    for number in 1..=records {
        log.append(&event(&format!("n{number}"))).unwrap();
        if number % per_segment == 0 {
            log.commit().unwrap();
        }
    }
    log.close().unwrap();
    // A test beside this one that starts a process holds a copy of the lock from its fork to its exec, and a log that seems to be in
    // use is forgiven a torn end.
    while open::is_live(dir) {
        std::thread::yield_now();
    }
}

/// Writes a file anew. Not in place: some file systems wait for the disk when a file is cut to nothing and written again.
pub(crate) fn rewrite(path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) {
    let _missing = fs::remove_file(&path);
    fs::write(path, bytes).unwrap();
}

fn lines(dir: &Path) -> Vec<String> {
    let mut reader = Reader::open(dir, Position::Sequence(1)).unwrap();
    std::iter::from_fn(|| reader.next_line().unwrap())
        .map(|line| line.json)
        .collect()
}

#[test]
fn what_is_committed_is_read_back_and_verified() {
    let dir = TempDir::new().unwrap();
    closed_log(dir.path(), 10, 4);
    let verified = verify(dir.path(), |_| {}).unwrap();
    assert_eq!(
        (
            verified.records,
            verified.segments,
            verified.vouched,
            verified.is_live
        ),
        (10, 3, 10, false)
    );
    let entries: Vec<_> = lines(dir.path())
        .iter()
        .map(|line| Entry::parse(line).unwrap())
        .collect();
    assert_eq!(entries.len(), 10);
    for (entry, number) in entries.iter().zip(1..) {
        assert_eq!(
            (entry.seq, entry.detail.as_str(), entry.kind.as_str()),
            (number, format!("n{number}").as_str(), "reload")
        );
    }
    let names: Vec<_> = fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    for name in [
        "audit-000000000001.jsonl",
        "audit-000000000005.jsonl",
        "audit-000000000009.jsonl",
        "head.json",
        "lock",
    ] {
        assert!(
            names.iter().any(|found| found == name),
            "{name} in {names:?}"
        );
    }
}

#[test]
fn a_log_opened_again_goes_on_where_it_was() {
    let dir = TempDir::new().unwrap();
    closed_log(dir.path(), 3, 10);
    let mut log = Log::open(dir.path(), options(), at(1)).unwrap();
    assert_eq!(log.append(&event("again")).unwrap(), 4);
    assert_eq!(log.commit().unwrap(), 4);
    assert_eq!(verify(dir.path(), |_| {}).unwrap().records, 4);
}

#[test]
fn two_writers_of_one_folder_are_refused_until_the_first_has_gone() {
    let dir = TempDir::new().unwrap();
    let log = Log::open(dir.path(), options(), at(0)).unwrap();
    assert!(matches!(
        Log::open(dir.path(), options(), at(0)),
        Err(OpenError::Locked { .. })
    ));
    assert!(verify(dir.path(), |_| {}).unwrap().is_live);
    drop(log);
    assert!(Log::open(dir.path(), options(), at(0)).is_ok());
}

#[test]
fn a_torn_tail_is_moved_aside_and_told() {
    let dir = TempDir::new().unwrap();
    closed_log(dir.path(), 3, 10);
    let path = dir.path().join("audit-000000000001.jsonl");
    let good = fs::read(&path).unwrap();
    fs::write(&path, [&good[..], b"{\"v\":2,\"seq\":4,\"ti"].concat()).unwrap();
    assert!(matches!(
        verify(dir.path(), |_| {}),
        Err(VerifyError::Damage(Damage {
            line: 4,
            sequence: Some(4),
            what: Fault::Torn { bytes: 18 },
            ..
        }))
    ));
    Log::open(dir.path(), options(), at(5)).unwrap();
    assert_eq!(verify(dir.path(), |_| {}).unwrap().records, 4);
    let entry = Entry::parse(lines(dir.path()).last().unwrap()).unwrap();
    let torn = format!("audit-000000000001.{}.1.torn", good.len());
    assert_eq!(entry.kind, "recovered");
    assert_eq!(
        entry.detail,
        format!("18 bytes after record 3 were no whole record; moved to {torn}")
    );
    assert_eq!(
        fs::read(dir.path().join(torn)).unwrap(),
        b"{\"v\":2,\"seq\":4,\"ti"
    );
}

#[test]
fn the_first_record_of_each_segment_names_the_hash() {
    let dir = TempDir::new().unwrap();
    closed_log(dir.path(), 7, 3);
    let named: Vec<_> = lines(dir.path())
        .iter()
        .map(|line| Entry::parse(line).unwrap())
        .filter(|entry| !entry.algorithm.is_empty())
        .map(|entry| (entry.seq, entry.algorithm))
        .collect();
    assert_eq!(named, [1, 4, 7].map(|seq| (seq, "sha256".to_owned())));
    assert!(
        lines(dir.path())[3].starts_with("{\"v\":2,\"seq\":4,\"algorithm\":\"sha256\",\"time\":\"")
    );
}

#[test]
fn a_log_hashed_by_another_algorithm_is_not_called_changed() {
    let dir = TempDir::new().unwrap();
    closed_log(dir.path(), 3, 3);
    let path = dir.path().join("audit-000000000001.jsonl");
    let text = fs::read_to_string(&path).unwrap();
    rewrite(
        &path,
        text.replace("\"algorithm\":\"sha256\"", "\"algorithm\":\"sm3\""),
    );
    let Err(VerifyError::Damage(damage)) = verify(dir.path(), |_| {}) else {
        panic!("not found")
    };
    assert_eq!(
        (damage.line, damage.what),
        (1, Fault::Line(LineFault::Algorithm))
    );
    let refused = Log::open(dir.path(), options(), at(0)).unwrap_err();
    assert!(
        refused.to_string().contains("another algorithm"),
        "{refused}"
    );
}
