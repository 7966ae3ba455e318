//! The tree of a log, what is signed of it, and what that proves.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;

use tempfile::TempDir;

use super::disk::Failing;
use super::{at, closed_log, event, lines, options, rewrite};
use crate::chain;
use crate::checkpoint::Checkpoint;
use crate::key::{KeyKind, KeyName, Signer, Verifier};
use crate::note::Note;
use crate::proof::{prove_consistency, prove_inclusion, verify_consistency, verify_inclusion};
use crate::tiles::{Growth, Tiles};
use crate::tree::{Frontier, MemoryTree, Subtrees, TreeHead, leaf_hash, root};
use crate::*;

const ORIGIN: &str = "gate-1.example/audit";

fn signer(seed: u8) -> Signer {
    Signer::from_seed(KeyName::new(ORIGIN).unwrap(), KeyKind::Note, &[seed; 32]).unwrap()
}

fn key(seed: u8) -> [Verifier; 1] {
    [signer(seed).verifier().clone()]
}

/// Signs the log in `dir` as it is.
fn sign(dir: &Path) -> (Checkpoint, Note) {
    let mut log = Failing::new().log(dir, 1);
    let checkpoint = Checkpoint::new(ORIGIN, log.tree_head()).unwrap();
    let note = checkpoint.sign(&signer(1), 0).unwrap();
    log.write_checkpoint(&note).unwrap();
    (checkpoint, note)
}

/// The tree over the records of `dir`, grown from the lines alone.
fn tree_of_lines(dir: &Path) -> MemoryTree {
    let mut tree = MemoryTree::new();
    for line in lines(dir) {
        tree.push(chain::open(line.as_bytes()).unwrap().0.hash);
    }
    tree
}

fn damage(dir: &Path, trust: &Trust<'_>) -> Damage {
    match verify_against(dir, trust, |_| {}) {
        Err(VerifyError::Damage(damage)) => damage,
        other => panic!("{other:?}"),
    }
}

fn tree_files(dir: &Path) -> Vec<(std::ffi::OsString, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(dir.join("tree"))
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name(), fs::read(entry.path()).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn the_tree_on_the_disk_is_that_of_the_records() {
    let dir = TempDir::new().unwrap();
    closed_log(dir.path(), 600, 70);
    let (expected, tiles) = (tree_of_lines(dir.path()), Tiles::of(dir.path()));
    let verified = verify(dir.path(), |_| {}).unwrap();
    assert_eq!(
        verified.tree,
        TreeHead {
            size: 600,
            root: expected.root(600).unwrap()
        }
    );
    let log = Failing::new().log(dir.path(), 1);
    assert_eq!(log.tree_head(), verified.tree);
    for size in [1, 2, 255, 256, 257, 511, 512, 513, 600] {
        let new = TreeHead {
            size,
            root: root(&tiles, size).unwrap(),
        };
        assert_eq!(new.root, expected.root(size).unwrap());
        for index in [0, 1, 254, 255, 256, 511, 512, 599]
            .into_iter()
            .filter(|index| *index < size)
        {
            let proof = prove_inclusion(&tiles, index, size).unwrap().unwrap();
            let leaf = tiles.subtree(0, index).unwrap();
            assert_eq!(
                verify_inclusion(&leaf, index, size, &proof, &new.root),
                Ok(())
            );
            let old = TreeHead {
                size: index,
                root: root(&tiles, index).unwrap(),
            };
            let proof = prove_consistency(&tiles, index, size).unwrap().unwrap();
            assert_eq!(verify_consistency(&old, &new, &proof), Ok(()));
        }
    }
}

#[test]
fn a_tree_of_three_files_has_the_roots_of_one_in_memory() {
    let (dir, disk) = (TempDir::new().unwrap(), Failing::new());
    fs::create_dir(dir.path().join("tree")).unwrap();
    let (mut growth, mut frontier) = (Growth::of(dir.path(), Frontier::new()), Frontier::new());
    for record in 0_u64..67_000 {
        let hash = leaf_hash(&record.to_be_bytes());
        growth.push(&hash);
        frontier.push(hash);
        if record % 777 == 0 {
            growth.write(&disk).unwrap();
            growth.settle();
            assert_eq!(
                growth.head(),
                TreeHead {
                    size: frontier.size(),
                    root: frontier.root()
                }
            );
            let again = Frontier::of(&Tiles::of(dir.path()), frontier.size()).unwrap();
            assert_eq!(again, frontier);
        }
    }
    assert_eq!(tree_files(dir.path()).len(), 3);
}

#[test]
fn a_missing_short_or_stale_tree_is_made_again() {
    let dir = TempDir::new().unwrap();
    closed_log(dir.path(), 600, 70);
    let good = tree_files(dir.path());
    let level = |level: u32| dir.path().join(format!("tree/level-{level}"));
    for spoil in [
        (&|| fs::remove_dir_all(dir.path().join("tree")).unwrap()) as &dyn Fn(),
        &|| fs::remove_file(level(0)).unwrap(),
        &|| fs::remove_file(level(8)).unwrap(),
        &|| {
            fs::OpenOptions::new()
                .write(true)
                .open(level(0))
                .unwrap()
                .set_len(1_000)
                .unwrap()
        },
        // What a crash leaves of records that never came to be.
        &|| {
            fs::OpenOptions::new()
                .write(true)
                .open(level(0))
                .unwrap()
                .write_all_at(&[7; 64], 590 * 32)
                .unwrap()
        },
    ] {
        spoil();
        assert_eq!(
            verify(dir.path(), |_| {}).unwrap().records,
            600,
            "the records are as good as before"
        );
        drop(Failing::new().log(dir.path(), 1));
        assert_eq!(tree_files(dir.path()), good);
    }
}

#[test]
fn a_missing_file_that_the_root_does_not_need_is_made_again_too() {
    let dir = TempDir::new().unwrap();
    closed_log(dir.path(), 520, 512);
    let good = tree_files(dir.path());
    for level in [0, 8] {
        fs::remove_file(dir.path().join(format!("tree/level-{level}"))).unwrap();
        drop(Failing::new().log(dir.path(), 1));
        assert_eq!(tree_files(dir.path()), good, "{level}");
    }
}

#[test]
fn records_that_a_crash_took_leave_no_trace_in_the_tree() {
    let (dir, disk) = (TempDir::new().unwrap(), Failing::new());
    let mut log = disk.log(dir.path(), u64::MAX);
    log.append(&event("kept")).unwrap();
    log.commit().unwrap();
    let kept = log.segment_bytes();
    (0..300).for_each(|_| assert!(log.append(&event("lost")).is_ok()));
    log.commit().unwrap();
    drop(log);
    let segment = dir.path().join("audit-000000000001.jsonl");
    let file = fs::OpenOptions::new().write(true).open(segment).unwrap();
    file.set_len(kept).unwrap();
    let mut log = disk.log(dir.path(), 1);
    for _ in 0..300 {
        log.append(&event("instead")).unwrap();
        log.commit().unwrap();
    }
    let head = log.tree_head();
    log.close().unwrap();
    assert_eq!(verify(dir.path(), |_| {}).unwrap().tree, head);
    assert_eq!(root(&Tiles::of(dir.path()), head.size).unwrap(), head.root);
}

#[test]
fn every_changed_byte_of_the_tree_is_found() {
    let dir = TempDir::new().unwrap();
    closed_log(dir.path(), 300, 260);
    // A hash at level 8 belongs to the last of its 256 records.
    for (file, length, step, records) in [
        ("tree/level-0", 260 * 32, 97, 1),
        ("tree/level-8", 32, 1, 256),
    ] {
        let path = dir.path().join(file);
        let good = fs::read(&path).unwrap();
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        for at in (0..length).step_by(step) {
            file.write_all_at(&[good[at] ^ 1], at as u64).unwrap();
            let damage = damage(dir.path(), &Trust::default());
            assert_eq!((damage.what, damage.file), (Fault::Tile, path.clone()));
            assert_eq!(damage.sequence, Some((at as u64 / 32 + 1) * records));
            file.write_all_at(&good[at..=at], at as u64).unwrap();
        }
    }
    assert!(verify(dir.path(), |_| {}).is_ok());
}

#[test]
fn a_signed_log_shows_its_signature_and_every_change_of_it() {
    let dir = TempDir::new().unwrap();
    closed_log(dir.path(), 6, 3);
    sign(dir.path());
    let keys = key(1);
    let trust = Trust {
        keys: &keys,
        checkpoints: &[],
        ..Trust::default()
    };
    let verified = verify_against(dir.path(), &trust, |_| {}).unwrap();
    assert_eq!((verified.signed, verified.vouched), (6, 6));
    assert_eq!(
        verify(dir.path(), |_| {}).unwrap().signed,
        0,
        "without a key nothing is known to be signed"
    );

    let path = dir.path().join("checkpoint");
    let good = fs::read(&path).unwrap();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    for at in 0..good.len() {
        for bit in 0..8 {
            file.write_all_at(&[good[at] ^ (1 << bit)], at as u64)
                .unwrap();
            assert_eq!(damage(dir.path(), &trust).file, path, "byte {at} bit {bit}");
        }
        file.write_all_at(&good[at..=at], at as u64).unwrap();
    }
    for length in 0..good.len() {
        rewrite(&path, &good[..length]);
        assert_eq!(
            damage(dir.path(), &trust).what,
            Fault::BadCheckpoint,
            "cut to {length}"
        );
    }
    rewrite(&path, &good);
    let stranger = key(2);
    assert_eq!(
        damage(
            dir.path(),
            &Trust {
                keys: &stranger,
                checkpoints: &[],
                ..Trust::default()
            }
        )
        .what,
        Fault::Unsigned
    );
    fs::remove_file(&path).unwrap();
    assert_eq!(damage(dir.path(), &trust).what, Fault::NoCheckpoint);
}

/// Replaces the log by another one that is sound in itself, as the owner of the folder can.
fn forge(dir: &Path, records: u64) {
    let forged = TempDir::new().unwrap();
    let mut log = Failing::new().log(forged.path(), u64::MAX);
    (0..records).for_each(|_| assert!(log.append(&event("forged")).is_ok()));
    log.close().unwrap();
    fs::remove_dir_all(dir.join("tree")).unwrap();
    for segment in segment::list(dir).unwrap() {
        fs::remove_file(segment.path).unwrap();
    }
    for name in ["audit-000000000001.jsonl", "head.json"] {
        fs::copy(forged.path().join(name), dir.join(name)).unwrap();
    }
}

#[test]
fn a_log_that_was_rewritten_whole_contradicts_its_checkpoint() {
    for records in [6, 9] {
        let dir = TempDir::new().unwrap();
        closed_log(dir.path(), 6, 3);
        let (checkpoint, _) = sign(dir.path());
        forge(dir.path(), records);
        assert_eq!(
            damage(dir.path(), &Trust::default()).what,
            Fault::Checkpoint { size: 6 }
        );
        let error = Log::open(dir.path(), options(), at(0)).unwrap_err();
        assert!(
            matches!(&error, OpenError::Damaged { damage } if damage.what == Fault::Checkpoint { size: 6 }),
            "{error}"
        );

        fs::remove_file(dir.path().join("checkpoint")).unwrap();
        assert!(
            verify(dir.path(), |_| {}).is_ok(),
            "alone, the forgery is sound"
        );
        let trust = Trust {
            keys: &[],
            checkpoints: &[checkpoint],
            ..Trust::default()
        };
        assert_eq!(
            damage(dir.path(), &trust).what,
            Fault::Checkpoint { size: 6 },
            "not for who kept a checkpoint"
        );
    }
}

#[test]
fn an_older_log_contradicts_a_newer_checkpoint() {
    let (dir, old) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    closed_log(dir.path(), 6, 3);
    let (checkpoint, _) = sign(dir.path());
    closed_log(old.path(), 5, 3);
    let trust = Trust {
        keys: &[],
        checkpoints: std::slice::from_ref(&checkpoint),
        ..Trust::default()
    };
    assert_eq!(damage(old.path(), &trust).what, Fault::Cut { head: 6 });
    closed_log(dir.path(), 3, 3);
    assert_eq!(
        verify_against(dir.path(), &trust, |_| {}).unwrap().records,
        9,
        "a log that grew does not"
    );
}

#[test]
fn a_record_proves_itself_without_its_log() {
    let dir = TempDir::new().unwrap();
    closed_log(dir.path(), 300, 70);
    assert!(matches!(
        prove(dir.path(), 1),
        Err(ProveError::NoCheckpoint { .. })
    ));
    sign(dir.path());
    let (keys, all) = (key(1), lines(dir.path()));
    for sequence in [1, 2, 128, 256, 257, 300] {
        let text = prove(dir.path(), sequence).unwrap().to_string();
        let proof = RecordProof::parse(&text).unwrap();
        assert_eq!(proof.to_string(), text);
        let line = &all[sequence as usize - 1];
        assert_eq!(
            proof.verify(line.as_bytes(), &keys).unwrap().head().size,
            300
        );
        assert!(
            proof
                .verify(line.replace("reload", "Reload").as_bytes(), &keys)
                .is_err()
        );
        assert!(proof.verify(line.as_bytes(), &key(2)).is_err());
        let other = all[sequence as usize % 300].as_bytes();
        assert!(matches!(
            proof.verify(other, &keys),
            Err(RecordProofError::OtherRecord { .. })
        ));
        let extra = text.replacen("@v1\n", "@v1\nextra aGk=\n", 1);
        assert_eq!(RecordProof::parse(&extra).unwrap(), proof);
    }
    for sequence in [0, 301, u64::MAX] {
        assert!(matches!(
            prove(dir.path(), sequence),
            Err(ProveError::Uncovered { .. })
        ));
    }
    for (from, to) in [
        ("@v1", "@v2"),
        ("index 6", "index 06"),
        ("index ", "indx "),
        ("\n\n", "\n"),
        ("=\n", "\n"),
    ] {
        let text = prove(dir.path(), 7)
            .unwrap()
            .to_string()
            .replacen(from, to, 1);
        assert!(RecordProof::parse(&text).is_err(), "{from:?} became {to:?}");
    }
}

#[test]
fn what_nobody_had_signed_when_the_log_is_opened_is_told() {
    let (dir, signer) = (TempDir::new().unwrap(), signer(1));
    closed_log(dir.path(), 3, 100);
    let sign = |log: &mut Log| {
        let checkpoint = Checkpoint::new(ORIGIN, log.tree_head()).unwrap();
        log.write_checkpoint(&checkpoint.sign(&signer, 0).unwrap())
            .unwrap();
    };
    let mut log = Log::open(dir.path(), options(), at(9)).unwrap();
    assert_eq!(log.committed().sequence, 3, "never signed: nothing to tell");
    sign(&mut log);
    log.close().unwrap();
    let mut log = Log::open(dir.path(), options(), at(9)).unwrap();
    assert_eq!(log.committed().sequence, 3, "all of it signed");
    // Written by somebody who has not the key, or by a process that was killed then.
    for _ in 0..2 {
        log.append(&event("forged")).unwrap();
    }
    log.close().unwrap();
    let log = Log::open(dir.path(), options(), at(9)).unwrap();
    assert_eq!(log.committed().sequence, 6);
    let told = lines(dir.path()).pop().unwrap();
    assert!(
        told.contains("\"kind\":\"recovered\"") && told.contains("records 4 to 5 were under no"),
        "{told}"
    );
}
