//! The verifier in Python, which shares nothing with ours but the description of the format, comes to the same verdicts.

use std::fs;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::disk::Failing;
use super::{at, closed_log, event, options, rewrite};
use crate::checkpoint::Checkpoint;
use crate::key::{KeyKind, KeyName, Signer, Verifier};
use crate::note::{Note, SignatureLine};
use crate::tiles::Tiles;
use crate::tree::{TreeHead, leaf_hash, root};
use crate::*;

/// Its exit status and all that it said; `None` where there is no Python to run it, which in CI is a failure.
fn python(dir: &Path, options: &[&str]) -> Option<(i32, String)> {
    let verifier = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/verify.py");
    let mut command = Command::new("python3");
    let output = match command.arg(verifier).arg(dir).args(options).output() {
        Ok(output) => output,
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "python3: {error}");
            return None;
        }
    };
    let said = [output.stdout, output.stderr].concat();
    Some((
        output.status.code().unwrap(),
        String::from_utf8(said).unwrap(),
    ))
}

/// The verifier in Python comes to this verdict.
#[track_caller]
pub(super) fn agrees(dir: &Path, is_good: bool) {
    agrees_with(dir, &[], is_good);
}

/// The same, with these options.
#[track_caller]
pub(super) fn agrees_with(dir: &Path, options: &[&str], is_good: bool) {
    if let Some((status, said)) = python(dir, options) {
        assert_eq!(status, i32::from(!is_good), "{said}");
    }
}

/// Three hundred records in five segments, signed; gives the checkpoint's text.
fn signed_log(dir: &Path, signer: &Signer) -> String {
    closed_log(dir, 300, 70);
    let mut log = Failing::new().log(dir, 1);
    let checkpoint = Checkpoint::new("gate-1.example/audit", log.tree_head()).unwrap();
    log.write_checkpoint(&checkpoint.sign(signer, 0).unwrap())
        .unwrap();
    log.close().unwrap();
    checkpoint.to_string()
}

pub(super) fn signer() -> Signer {
    Signer::from_seed(
        KeyName::new("gate-1.example/audit").unwrap(),
        KeyKind::Note,
        &[3; 32],
    )
    .unwrap()
}

#[test]
fn both_verifiers_agree_on_a_signed_log_and_on_every_file_changed() {
    let (dir, signer) = (TempDir::new().unwrap(), signer());
    let checkpoint = signed_log(dir.path(), &signer);
    let (key, keys) = (signer.verifier().to_string(), [signer.verifier().clone()]);
    let Some((status, said)) = python(dir.path(), &["--key", &key]) else {
        return;
    };
    let root = checkpoint.lines().nth(2).unwrap();
    assert_eq!(
        (status, said),
        (
            0,
            format!("good: 300 records, tree root {root}, signed up to 300\n")
        )
    );

    for (file, at, says) in [
        (
            "audit-000000000001.jsonl",
            50,
            "audit-000000000001.jsonl:1: record 1: was changed",
        ),
        (
            "audit-000000000281.jsonl",
            90,
            "audit-000000000281.jsonl:1: record 281: was changed",
        ),
        ("head.json", 25, "head.json"),
        ("tree/level-0", 3_200, "tree/level-0: hash 100 is not"),
        ("tree/level-8", 5, "tree/level-8: hash 0 is not"),
        ("checkpoint", 120, "checkpoint"),
    ] {
        let path = dir.path().join(file);
        let good = fs::read(&path).unwrap();
        let handle = fs::OpenOptions::new().write(true).open(&path).unwrap();
        handle.write_all_at(&[good[at] ^ 1], at as u64).unwrap();
        let (status, said) = python(dir.path(), &["--key", &key]).unwrap();
        assert!(
            status == 1 && said.contains(says),
            "{file} {at}: {status} {said}"
        );
        let trust = Trust {
            keys: &keys,
            checkpoints: &[],
            ..Trust::default()
        };
        let ours = verify_against(dir.path(), &trust, |_| {});
        assert!(
            matches!(&ours, Err(VerifyError::Damage(damage)) if damage.file == path),
            "{file} {at}: {ours:?}"
        );
        handle.write_all_at(&good[at..=at], at as u64).unwrap();
    }
}

/// What both verifiers say of a log with these keys and this checkpoint kept elsewhere.
#[track_caller]
fn both_say(
    dir: &Path,
    (keys, witnesses): (&[Verifier], &[Verifier]),
    kept: Option<&Note>,
    status: i32,
) {
    let file = dir.join("kept-elsewhere");
    let mut options = Vec::new();
    for (option, keys) in [("--key", keys), ("--witness-key", witnesses)] {
        for key in keys {
            options.extend([option.to_owned(), key.to_string()]);
        }
    }
    if let Some(note) = kept {
        fs::write(&file, note.to_string()).unwrap();
        options.extend(["--checkpoint".to_owned(), file.display().to_string()]);
    }
    let options: Vec<_> = options.iter().map(String::as_str).collect();
    let Some((theirs, said)) = python(dir, &options) else {
        return;
    };
    let known = [keys, witnesses].concat();
    let opened = kept.map(|note| {
        if known.is_empty() {
            Checkpoint::parse(note.text())
        } else {
            Checkpoint::open(note, &known)
        }
    });
    let ours = match opened.transpose() {
        // The command's status for a checkpoint that is no part of the log, and no good.
        Err(_) => 2,
        Ok(kept) => {
            let trust = Trust {
                keys,
                witnesses,
                checkpoints: kept.as_slice(),
            };
            i32::from(verify_against(dir, &trust, |_| {}).is_err())
        }
    };
    assert_eq!((theirs, ours), (status, status), "{said}");
}

#[test]
fn both_verifiers_agree_on_witnesses_and_on_checkpoints_kept_elsewhere() {
    let (dir, signer) = (TempDir::new().unwrap(), signer());
    let newest: Checkpoint = Checkpoint::parse(&signed_log(dir.path(), &signer)).unwrap();
    let name = KeyName::new("witness.example/w").unwrap();
    let witness = Signer::from_seed(name, KeyKind::Cosignature, &[9; 32]).unwrap();
    let (key, watcher) = ([signer.verifier().clone()], [witness.verifier().clone()]);
    // Nothing was cosigned yet.
    both_say(dir.path(), (&key, &[]), None, 0);
    both_say(dir.path(), (&key, &watcher), None, 1);

    let mut cosigned = newest.sign(&signer, 0).unwrap();
    let lines = newest.sign(&witness, 1_795_504_222).unwrap();
    let line = lines.to_string().lines().last().unwrap().to_owned();
    cosigned.add(SignatureLine::parse(&line).unwrap()).unwrap();
    Stored::keep_witnessed(dir.path(), &cosigned).unwrap();
    both_say(dir.path(), (&key, &watcher), None, 0);
    both_say(dir.path(), (&[], &watcher), Some(&cosigned), 0);
    both_say(dir.path(), (&watcher, &[]), None, 1);
    both_say(dir.path(), (&[], &key), None, 0);

    // One bit of the cosignature's time.
    let path = dir.path().join("checkpoint.witnessed");
    let forged = cosigned.to_string().replace(&line, &later(&line));
    rewrite(&path, forged);
    both_say(dir.path(), (&key, &watcher), None, 1);
    rewrite(&path, cosigned.to_string());

    // One of an earlier size, of a log that went on, of another log; signed, and by nobody who is known.
    for (size, root, status) in [
        (256, root_of(dir.path(), 256), 0),
        (301, newest.head().root, 1),
        (256, newest.head().root, 1),
    ] {
        let kept = Checkpoint::new("gate-1.example/audit", TreeHead { size, root }).unwrap();
        both_say(
            dir.path(),
            (&key, &[]),
            Some(&kept.sign(&signer, 0).unwrap()),
            status,
        );
        both_say(
            dir.path(),
            (&[], &[]),
            Some(&kept.sign(&signer, 0).unwrap()),
            status,
        );
        both_say(
            dir.path(),
            (&key, &[]),
            Some(&kept.sign(&witness, 0).unwrap()),
            2,
        );
    }
}

/// A signature line of which the last bit of its time is another.
fn later(line: &str) -> String {
    let (head, base64) = line.rsplit_once(' ').unwrap();
    let mut bytes = base64::decode(base64).unwrap();
    bytes[11] ^= 1;
    format!("{head} {}", base64::encode(&bytes))
}

fn root_of(dir: &Path, size: u64) -> Hash {
    root(&Tiles::of(dir), size).unwrap()
}

#[test]
fn both_verifiers_refuse_a_segment_that_names_another_hash() {
    let dir = TempDir::new().unwrap();
    closed_log(dir.path(), 1, 20);
    both_say(dir.path(), (&[], &[]), None, 0);
    let segment = dir.path().join("audit-000000000001.jsonl");
    let line = fs::read_to_string(&segment).unwrap();
    let other = line.replace("\"algorithm\":\"sha256\"", "\"algorithm\":\"sm3\"");
    assert_ne!(other, line);
    // Whole and consistent but for the name.
    let (body, end) = other.split_once(",\"hash\":\"").unwrap();
    let hash = leaf_hash(body.as_bytes()).to_string();
    let was = end.get(..64).unwrap();
    rewrite(&segment, other.replace(was, &hash));
    let head = dir.path().join("head.json");
    let text = fs::read_to_string(&head).unwrap();
    rewrite(&head, text.replace(was, &hash));
    fs::remove_dir_all(dir.path().join("tree")).unwrap();
    both_say(dir.path(), (&[], &[]), None, 1);
}

#[test]
fn both_verifiers_take_an_unfinished_line_only_while_somebody_writes() {
    let dir = TempDir::new().unwrap();
    closed_log(dir.path(), 9, 20);
    let segment = dir.path().join("audit-000000000001.jsonl");
    let mut log = Failing::new().log(dir.path(), 1 << 20);
    log.append(&event("whole")).unwrap();
    log.commit().unwrap();
    let mut file = fs::OpenOptions::new().append(true).open(&segment).unwrap();
    file.write_all(br#"{"v":2,"seq":11,"ti"#).unwrap();
    both_say(dir.path(), (&[], &[]), None, 0);
    drop(log);
    both_say(dir.path(), (&[], &[]), None, 1);
}

#[test]
fn both_verifiers_agree_on_tails_orders_and_segments() {
    let dir = TempDir::new().unwrap();
    signed_log(dir.path(), &signer());
    if python(dir.path(), &[]).is_none() {
        return;
    }
    let last = dir.path().join("audit-000000000281.jsonl");
    let good = fs::read_to_string(&last).unwrap();
    for (text, says) in [
        (
            good.split_inclusive('\n').take(19).collect::<String>(),
            "the tail was cut off",
        ),
        (good.get(..good.len() - 9).unwrap().to_owned(), "has no end"),
        (
            good.split_inclusive('\n').rev().collect(),
            "record 300 stands there",
        ),
    ] {
        rewrite(&last, text);
        let (status, said) = python(dir.path(), &[]).unwrap();
        assert!(status == 1 && said.contains(says), "{status} {said}");
        assert!(verify(dir.path(), |_| {}).is_err());
    }
    fs::remove_file(dir.path().join("audit-000000000071.jsonl")).unwrap();
    assert!(
        python(dir.path(), &[])
            .unwrap()
            .1
            .contains("a segment is missing")
    );
    assert!(verify(dir.path(), |_| {}).is_err());
}

#[test]
fn a_log_of_another_version_is_refused_by_that_name() {
    let dir = TempDir::new().unwrap();
    closed_log(dir.path(), 3, 20);
    let (segment, head) = (
        dir.path().join("audit-000000000001.jsonl"),
        dir.path().join("head.json"),
    );
    for path in [&segment, &head] {
        let text = fs::read_to_string(path).unwrap();
        rewrite(path, text.replace("{\"v\":2,", "{\"v\":1,"));
        let Err(VerifyError::Damage(damage)) = verify(dir.path(), |_| {}) else {
            panic!("not found")
        };
        assert_eq!(damage.what, Fault::Line(LineFault::Version));
        let refused = Log::open(dir.path(), options(), at(0)).unwrap_err();
        assert!(refused.to_string().contains("another version"), "{refused}");
        if let Some((status, said)) = python(dir.path(), &[]) {
            assert!(status == 1 && said.contains("another version"), "{said}");
        }
    }
}
