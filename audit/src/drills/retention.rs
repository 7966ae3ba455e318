//! Segments that are compressed, and old ones that are removed: what is left reads the same and still proves itself.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::python::{agrees, agrees_with, signer};
use super::{at, closed_log, lines, options, origin, rewrite};
use crate::checkpoint::Checkpoint;
use crate::key::Signer;
use crate::*;

/// Twelve records in six segments.
fn six_segments(dir: &Path) {
    closed_log(dir, 12, 2);
}

/// Packs all that can be packed; the second call removes the plain files.
fn pack_all(dir: &Path) {
    let first = pack(dir, || true).unwrap();
    assert_eq!((first.segments, first.removed), (5, 0));
    assert!(first.bytes_before > first.bytes_after);
    let second = pack(dir, || true).unwrap();
    assert_eq!((second.segments, second.removed), (0, 5));
    assert_eq!(pack(dir, || true).unwrap(), Packed::default());
}

fn segment(dir: &Path, first: u64, ending: &str) -> PathBuf {
    dir.join(format!("audit-{first:012}.{ending}"))
}

/// Writes the record that lets segments go, as the gateway does.
fn note(dir: &Path, removed: Link) {
    let mut log = Log::open(dir, options(), at(9)).unwrap();
    let record = Record {
        removed: Some(removed),
        ..Record::event(Kind::Retention, at(9), origin(), "kept for 180 days")
    };
    log.append(&record).unwrap();
    log.close().unwrap();
}

fn plan(dir: &Path, taken: u64) -> Removable {
    Removal::plan(dir, at(1), taken).unwrap()
}

/// Removes the first three segments with a record of it; gives what was named.
fn remove_three(dir: &Path) -> Link {
    let removal = plan(dir, 6).removal.unwrap();
    let link = Link {
        sequence: removal.through,
        hash: removal.hash,
    };
    assert_eq!((removal.first, removal.through), (1, 6));
    note(dir, link);
    removal.carry_out().unwrap();
    link
}

fn what(dir: &Path) -> Fault {
    match verify(dir, |_| {}) {
        Err(VerifyError::Damage(damage)) => damage.what,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_packed_log_reads_searches_and_goes_on_as_before() {
    let dir = TempDir::new().unwrap();
    six_segments(dir.path());
    let before = (lines(dir.path()), verify(dir.path(), |_| {}).unwrap());
    pack_all(dir.path());
    assert!(!segment(dir.path(), 1, "jsonl").exists());
    let after = verify(dir.path(), |_| {}).unwrap();
    assert_eq!(lines(dir.path()), before.0);
    assert_eq!((after.records, after.tree), (12, before.1.tree));
    agrees(dir.path(), true);
    let mut search = Search::open(dir.path(), Filter::new().with(Field::Kind, "reload")).unwrap();
    let found = std::iter::from_fn(|| search.next_match().unwrap()).count();
    assert_eq!(found, 12);
    closed_log(dir.path(), 2, 2);
    assert_eq!(verify(dir.path(), |_| {}).unwrap().records, 14);
    // A tree that is missing is made again from packed segments too.
    fs::remove_dir_all(dir.path().join("tree")).unwrap();
    closed_log(dir.path(), 1, 2);
    assert_eq!(verify(dir.path(), |_| {}).unwrap().records, 15);
}

#[test]
fn every_changed_byte_of_a_packed_segment_is_found_or_changes_no_record() {
    let dir = TempDir::new().unwrap();
    six_segments(dir.path());
    pack_all(dir.path());
    let before = lines(dir.path());
    let path = segment(dir.path(), 3, "jsonl.zst");
    let good = fs::read(&path).unwrap();
    let mut found = 0;
    for byte in 0..good.len() {
        let mut bad = good.clone();
        bad[byte] ^= 1 << (byte % 8);
        rewrite(&path, &bad);
        match verify(dir.path(), |_| {}) {
            Err(VerifyError::Damage(_)) => found += 1,
            Ok(_) => assert_eq!(lines(dir.path()), before, "byte {byte}"),
            Err(other) => panic!("byte {byte}: {other}"),
        }
    }
    assert!(found + 3 > good.len(), "{found} of {}", good.len());
    for end in [0, 1, good.len() / 2, good.len() - 1] {
        rewrite(&path, good.get(..end).unwrap());
        assert!(verify(dir.path(), |_| {}).is_err(), "cut to {end}");
    }
    agrees(dir.path(), false);
}

#[test]
fn what_is_left_after_a_removal_holds_and_says_where_it_begins() {
    let dir = TempDir::new().unwrap();
    six_segments(dir.path());
    pack_all(dir.path());
    let place = dir.path().join("place.json");
    let mut cursor = Cursor::open(dir.path(), &place).unwrap();
    (0..4).for_each(|_| assert!(cursor.next_line().unwrap().is_some()));
    cursor.delivered().unwrap();
    let id = cursor.log_id();
    let whole = lines(dir.path());

    remove_three(dir.path());
    let verified = verify(dir.path(), |_| {}).unwrap();
    assert_eq!((verified.first, verified.records), (7, 13));
    agrees(dir.path(), true);
    let mut reader = Reader::open(dir.path(), Position::First).unwrap();
    let left: Vec<_> = std::iter::from_fn(|| reader.next_line().unwrap())
        .map(|line| line.json)
        .collect();
    assert_eq!(left.get(..6), whole.get(6..12));
    assert_eq!(oldest(dir.path()).unwrap().unwrap().0, 7);

    // It goes on, and another removal follows the first.
    closed_log(dir.path(), 6, 2);
    let again = plan(dir.path(), 10).removal.unwrap();
    let link = Link {
        sequence: again.through,
        hash: again.hash,
    };
    note(dir.path(), link);
    again.carry_out().unwrap();
    assert_eq!(verify(dir.path(), |_| {}).unwrap().first, 11);

    // A sink that had been sent four records is told how many it missed, and the log keeps its name.
    let mut cursor = Cursor::open(dir.path(), &place).unwrap();
    assert_eq!((cursor.skipped(), cursor.log_id()), (6, id));
    assert_eq!(cursor.next_line().unwrap().unwrap().sequence, 11);
}

#[test]
fn segments_that_are_gone_without_a_record_are_damage() {
    let dir = TempDir::new().unwrap();
    six_segments(dir.path());
    for first in [1, 3, 5] {
        fs::remove_file(segment(dir.path(), first, "jsonl")).unwrap();
        let begins = first + 2;
        assert_eq!(what(dir.path()), Fault::Unexplained { first: begins });
    }
    agrees(dir.path(), false);
    // A record that names another past does not make it good.
    let wrong = Link {
        sequence: 6,
        hash: Hash::ZERO,
    };
    note(dir.path(), wrong);
    assert_eq!(what(dir.path()), Fault::Unexplained { first: 7 });
    agrees(dir.path(), false);
}

#[test]
fn more_than_the_record_names_must_not_go() {
    let dir = TempDir::new().unwrap();
    six_segments(dir.path());
    let link = remove_three(dir.path());
    assert_eq!(link.sequence, 6);
    let kept = fs::read(segment(dir.path(), 7, "jsonl")).unwrap();
    fs::remove_file(segment(dir.path(), 7, "jsonl")).unwrap();
    assert_eq!(what(dir.path()), Fault::Unexplained { first: 9 });
    agrees(dir.path(), false);
    fs::write(segment(dir.path(), 7, "jsonl"), kept).unwrap();
    assert!(verify(dir.path(), |_| {}).is_ok());
    // Without the tree nobody could say what the first records were.
    fs::rename(dir.path().join("tree"), dir.path().join("gone")).unwrap();
    assert_eq!(what(dir.path()), Fault::NoTree);
    agrees(dir.path(), false);
    assert!(matches!(
        Log::open(dir.path(), options(), at(9)),
        Err(OpenError::Damaged {
            damage: Damage {
                what: Fault::NoTree,
                ..
            }
        })
    ));
}

#[test]
fn a_crash_between_the_record_and_the_removal_leaves_a_good_log() {
    let dir = TempDir::new().unwrap();
    six_segments(dir.path());
    let removal = plan(dir.path(), 6).removal.unwrap();
    let link = Link {
        sequence: removal.through,
        hash: removal.hash,
    };
    note(dir.path(), link);
    for first in [1, 3] {
        assert!(verify(dir.path(), |_| {}).is_ok());
        agrees(dir.path(), true);
        fs::remove_file(segment(dir.path(), first, "jsonl")).unwrap();
    }
    assert_eq!(verify(dir.path(), |_| {}).unwrap().first, 5);
    agrees(dir.path(), true);
}

#[test]
fn what_a_sink_has_not_taken_and_what_is_young_stays() {
    let dir = TempDir::new().unwrap();
    six_segments(dir.path());
    for (taken, through, held) in [(0, None, 4), (5, Some(4), 2), (12, Some(8), 0)] {
        let plan = plan(dir.path(), taken);
        assert_eq!(plan.removal.map(|removal| removal.through), through);
        assert_eq!(plan.held, held, "taken up to {taken}");
    }
    let young = Removal::plan(dir.path(), at(0), 12).unwrap();
    assert!(young.removal.is_none());
    assert_eq!(young.held, 0);
}

/// Signs the log as it is.
fn sign(dir: &Path, signer: &Signer) {
    let mut log = Log::open(dir, options(), at(9)).unwrap();
    let name = signer.verifier().name().as_str();
    let checkpoint = Checkpoint::new(name, log.tree_head()).unwrap();
    log.write_checkpoint(&checkpoint.sign(signer, 0).unwrap())
        .unwrap();
    log.close().unwrap();
}

/// What verifiers who have the key say, and what a start says; all of them the same.
#[track_caller]
fn is_refused(dir: &Path, signer: &Signer) -> bool {
    let keys = [signer.verifier().clone()];
    let trust = Trust {
        keys: &keys,
        ..Trust::default()
    };
    let is_refused = match verify_against(dir, &trust, |_| {}) {
        Ok(_) => false,
        Err(VerifyError::Damage(Damage {
            what: Fault::UnsignedRemoval { .. },
            ..
        })) => true,
        other => panic!("{other:?}"),
    };
    agrees_with(dir, &["--key", &keys[0].to_string()], !is_refused);
    is_refused
}

fn is_opened(dir: &Path) -> bool {
    match Log::open(dir, options(), at(9)) {
        Ok(_) => true,
        Err(OpenError::Damaged {
            damage:
                Damage {
                    what: Fault::UnsignedRemoval { .. },
                    ..
                },
        }) => false,
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn what_nobody_has_signed_lets_no_segment_go() {
    let signer = signer();
    // As the gateway does it: the record, the signature, the removal.
    let dir = TempDir::new().unwrap();
    six_segments(dir.path());
    sign(dir.path(), &signer);
    let link = remove_three(dir.path());
    assert!(is_refused(dir.path(), &signer) && !is_opened(dir.path()));
    fs::remove_file(dir.path().join("checkpoint")).unwrap();
    sign(dir.path(), &signer);
    assert!(!is_refused(dir.path(), &signer) && is_opened(dir.path()));

    // A record of the next removal, which a crash left unsigned and not carried out, changes nothing ...
    closed_log(dir.path(), 4, 2);
    sign(dir.path(), &signer);
    let next = plan(dir.path(), 8).removal.unwrap();
    assert!(next.through > link.sequence);
    note(
        dir.path(),
        Link {
            sequence: next.through,
            hash: next.hash,
        },
    );
    assert!(!is_refused(dir.path(), &signer) && is_opened(dir.path()));
    // ... and lets nothing go: neither what it names, nor less.
    fs::remove_file(segment(dir.path(), 7, "jsonl")).unwrap();
    assert!(is_refused(dir.path(), &signer) && !is_opened(dir.path()));
}

#[test]
fn a_log_that_was_replaced_by_one_record_without_the_key_is_found() {
    let (dir, signer) = (TempDir::new().unwrap(), signer());
    six_segments(dir.path());
    sign(dir.path(), &signer);
    let last = Log::open(dir.path(), options(), at(9)).unwrap().committed();
    note(dir.path(), last);
    let record = format!("{}\n", lines(dir.path()).pop().unwrap());
    for first in (1..12).step_by(2) {
        fs::remove_file(segment(dir.path(), first, "jsonl")).unwrap();
    }
    fs::write(segment(dir.path(), 13, "jsonl"), record).unwrap();
    assert_eq!(oldest(dir.path()).unwrap().unwrap().0, 13);
    assert!(is_refused(dir.path(), &signer) && !is_opened(dir.path()));
    // Not a record is left, nor a head.
    fs::remove_file(segment(dir.path(), 13, "jsonl")).unwrap();
    fs::remove_file(dir.path().join("head.json")).unwrap();
    assert_eq!(what(dir.path()), Fault::Cut { head: 12 });
    agrees(dir.path(), false);
}
