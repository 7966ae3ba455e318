//! The verifier in Python, which shares nothing with ours but the description of the format, comes to the same verdicts.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::disk::Failing;
use super::{closed_log, rewrite};
use crate::checkpoint::Checkpoint;
use crate::key::{KeyKind, KeyName, Signer};
use crate::*;

/// Its exit status and all that it said; `None` where there is no Python to run it, which in CI is a failure.
fn python(dir: &Path, key: Option<&str>) -> Option<(i32, String)> {
    let mut command = Command::new("python3");
    command
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/verify.py"))
        .arg(dir);
    if let Some(key) = key {
        command.args(["--key", key]);
    }
    let output = match command.output() {
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
    if let Some((status, said)) = python(dir, None) {
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

fn signer() -> Signer {
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
    let Some((status, said)) = python(dir.path(), Some(&key)) else {
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
            30,
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
        let (status, said) = python(dir.path(), Some(&key)).unwrap();
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

#[test]
fn both_verifiers_agree_on_tails_orders_and_segments() {
    let dir = TempDir::new().unwrap();
    signed_log(dir.path(), &signer());
    if python(dir.path(), None).is_none() {
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
        let (status, said) = python(dir.path(), None).unwrap();
        assert!(status == 1 && said.contains(says), "{status} {said}");
        assert!(verify(dir.path(), |_| {}).is_err());
    }
    fs::remove_file(dir.path().join("audit-000000000071.jsonl")).unwrap();
    assert!(
        python(dir.path(), None)
            .unwrap()
            .1
            .contains("a segment is missing")
    );
    assert!(verify(dir.path(), |_| {}).is_err());
}
