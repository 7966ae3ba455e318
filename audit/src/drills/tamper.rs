//! Whatever is done to a closed log is found, and the right record is named.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::disk::Failing;
use super::{closed_log, event, rewrite};
use crate::segment;
use crate::*;

/// Two segments of three records each, closed.
struct Specimen {
    dir: TempDir,
    segments: Vec<PathBuf>,
}

impl Specimen {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        closed_log(dir.path(), 6, 3);
        let segments: Vec<_> = segment::list(dir.path())
            .unwrap()
            .into_iter()
            .map(|segment| segment.path)
            .collect();
        assert_eq!(segments.len(), 2);
        Self { dir, segments }
    }

    fn verify(&self) -> Result<Verified, Damage> {
        match verify(self.dir.path(), |_| {}) {
            Ok(verified) => Ok(verified),
            Err(VerifyError::Damage(damage)) => Err(damage),
            Err(error) => panic!("{error}"),
        }
    }

    /// Lines of a segment, each with its newline.
    fn lines(&self, segment: usize) -> Vec<Vec<u8>> {
        let bytes = fs::read(&self.segments[segment]).unwrap();
        bytes
            .split_inclusive(|byte| *byte == b'\n')
            .map(<[u8]>::to_vec)
            .collect()
    }

    fn write(&self, segment: usize, lines: &[Vec<u8>]) {
        rewrite(&self.segments[segment], lines.concat());
    }
}

/// Damage at a record of a segment that has three.
fn assert_names(damage: &Damage, file: &Path, sequence: u64, context: &str) {
    assert_eq!(damage.file, file, "{context}: {damage}");
    assert_eq!(damage.sequence, Some(sequence), "{context}: {damage}");
    assert_eq!(damage.line, (sequence - 1) % 3 + 1, "{context}: {damage}");
}

#[test]
fn every_changed_byte_is_found_in_its_record() {
    let specimen = Specimen::new();
    for path in &specimen.segments {
        let good = fs::read(path).unwrap();
        let file = fs::OpenOptions::new().write(true).open(path).unwrap();
        let first = if path == &specimen.segments[0] { 1 } else { 4 };
        for at in 0..good.len() {
            let sequence = first + good[..at].iter().filter(|byte| **byte == b'\n').count() as u64;
            let flips = (0..8).map(|bit| good[at] ^ (1 << bit));
            for byte in flips.chain([0, b'\n']).filter(|byte| *byte != good[at]) {
                // In place: writing the whole file anew makes some file systems wait for the disk each time.
                file.write_all_at(&[byte], at as u64).unwrap();
                let damage = specimen.verify().unwrap_err();
                assert_names(&damage, path, sequence, &format!("byte {at} became {byte}"));
            }
            file.write_all_at(&good[at..=at], at as u64).unwrap();
        }
    }
    assert!(specimen.verify().is_ok());
}

#[test]
fn walking_ahead_names_the_same_place_as_walking_in_order() {
    let dir = TempDir::new().unwrap();
    closed_log(dir.path(), 60, 3);
    let segments = segment::list(dir.path()).unwrap();
    assert_eq!(segments.len(), 20);
    for (position, segment) in segments.iter().enumerate() {
        let good = fs::read(&segment.path).unwrap();
        let file = fs::OpenOptions::new()
            .write(true)
            .open(&segment.path)
            .unwrap();
        // In the first record, and in the last one, by which the next segment's walk begins.
        for (at, line) in [(20, 1), (good.len() - 40, 3)] {
            file.write_all_at(&[good[at] ^ 1], at as u64).unwrap();
            let Err(VerifyError::Damage(damage)) = verify(dir.path(), |_| {}) else {
                panic!("{position}")
            };
            assert_names(
                &damage,
                &segment.path,
                position as u64 * 3 + line,
                "flipped",
            );
            file.write_all_at(&good[at..=at], at as u64).unwrap();
        }
    }
    assert_eq!(verify(dir.path(), |_| {}).unwrap().records, 60);
}

#[test]
fn long_segments_are_walked_in_threads_with_the_same_result() {
    let dir = TempDir::new().unwrap();
    let mut log = Failing::new().log(dir.path(), 1_300_000);
    let detail = "x".repeat(2_000);
    for _ in 0..40 {
        (0..100).for_each(|_| assert!(log.append(&event(&detail)).is_ok()));
        log.commit().unwrap();
    }
    log.close().unwrap();
    let segments = segment::list(dir.path()).unwrap();
    let mut told = Vec::new();
    let verified = verify(dir.path(), |progress| told.push(progress)).unwrap();
    assert_eq!(
        (verified.records, verified.segments),
        (4_000, segments.len())
    );
    assert!(
        segments.len() > 5 && told.len() > 5 && told.is_sorted_by_key(|progress| progress.bytes)
    );
    assert_eq!(
        told.last()
            .map(|progress| (progress.bytes, progress.records)),
        Some((verified.bytes, 4_000))
    );

    for position in [0, 2, segments.len() - 1] {
        let file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(&segments[position].path)
            .unwrap();
        let at = file.metadata().unwrap().len() / 2;
        let mut good = [0];
        file.read_exact_at(&mut good, at).unwrap();
        file.write_all_at(&[good[0] ^ 1], at).unwrap();
        let Err(VerifyError::Damage(damage)) = verify(dir.path(), |_| {}) else {
            panic!("{position}")
        };
        assert_eq!(damage.file, segments[position].path);
        file.write_all_at(&good, at).unwrap();
    }
}

#[test]
fn every_changed_byte_of_the_head_is_found() {
    let specimen = Specimen::new();
    let path = specimen.dir.path().join("head.json");
    let good = fs::read(&path).unwrap();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    for at in 0..good.len() {
        for bit in 0..8 {
            file.write_all_at(&[good[at] ^ (1 << bit)], at as u64)
                .unwrap();
            let damage = specimen.verify().unwrap_err();
            let names_head = damage.file == path || matches!(damage.what, Fault::Cut { .. });
            assert!(names_head, "byte {at} bit {bit}: {damage}");
            assert!(Log::open(specimen.dir.path(), super::options(), super::at(0)).is_err());
        }
        file.write_all_at(&good[at..=at], at as u64).unwrap();
    }
    for (bytes, what) in [
        (&b""[..], Fault::BadHead),
        (&good[..good.len() - 1], Fault::BadHead),
    ] {
        rewrite(&path, bytes);
        assert_eq!(specimen.verify().unwrap_err().what, what);
    }
    fs::remove_file(&path).unwrap();
    assert_eq!(specimen.verify().unwrap_err().what, Fault::NoHead);
    assert!(matches!(
        Log::open(specimen.dir.path(), super::options(), super::at(0)),
        Err(OpenError::Damaged {
            damage: Damage {
                what: Fault::NoHead,
                ..
            }
        })
    ));
}

#[test]
fn every_cut_is_found() {
    let specimen = Specimen::new();
    for path in specimen.segments.iter().rev() {
        let good = fs::read(path).unwrap();
        let file = fs::OpenOptions::new().write(true).open(path).unwrap();
        for length in (0..good.len()).rev() {
            file.set_len(length as u64).unwrap();
            assert!(
                specimen.verify().is_err(),
                "{} cut to {length} bytes",
                path.display()
            );
        }
        file.write_all_at(&good, 0).unwrap();
    }
    assert!(specimen.verify().is_ok());
}

#[test]
fn a_cut_log_is_not_written_to() {
    let specimen = Specimen::new();
    let good = fs::read(&specimen.segments[1]).unwrap();
    let file = fs::OpenOptions::new()
        .write(true)
        .open(&specimen.segments[1])
        .unwrap();
    for length in (0..good.len()).rev() {
        file.set_len(length as u64).unwrap();
        let error = Log::open(specimen.dir.path(), super::options(), super::at(0)).unwrap_err();
        assert!(
            matches!(&error, OpenError::Damaged { damage } if damage.what == Fault::Cut { head: 6 }),
            "{error}"
        );
        assert_eq!(
            fs::read(&specimen.segments[1]).unwrap().len(),
            length,
            "evidence is left alone"
        );
    }
}

#[test]
fn every_deleted_doubled_or_swapped_line_is_found() {
    let specimen = Specimen::new();
    for segment in 0..2 {
        let good = specimen.lines(segment);
        let first = segment as u64 * 3 + 1;
        for at in 0..3 {
            let mut lines = good.clone();
            lines.remove(at);
            specimen.write(segment, &lines);
            let damage = specimen.verify().unwrap_err();
            if segment == 0 && at == 2 {
                assert_eq!(
                    damage.what,
                    Fault::Gap { first: 4 },
                    "the last line of a finished segment"
                );
            } else {
                assert_names(
                    &damage,
                    &specimen.segments[segment],
                    first + at as u64,
                    "deleted",
                );
            }
            for (other, line) in good.iter().enumerate() {
                let mut lines = good.clone();
                lines.insert(at, line.clone());
                specimen.write(segment, &lines);
                assert!(
                    specimen.verify().is_err(),
                    "line {other} put in before {at}"
                );
                if other != at {
                    let mut lines = good.clone();
                    lines.swap(at, other);
                    specimen.write(segment, &lines);
                    let damage = specimen.verify().unwrap_err();
                    assert_names(
                        &damage,
                        &specimen.segments[segment],
                        first + at.min(other) as u64,
                        "swapped",
                    );
                }
            }
        }
        specimen.write(segment, &good);
    }
    assert!(specimen.verify().is_ok());
}

#[test]
fn a_line_of_another_log_is_found_though_it_is_good_by_itself() {
    let (specimen, other) = (Specimen::new(), TempDir::new().unwrap());
    let mut log = Log::open(other.path(), super::options(), super::at(0)).unwrap();
    for _ in 0..6 {
        log.append(&event("forged")).unwrap();
    }
    log.close().unwrap();
    let forged = fs::read(other.path().join("audit-000000000001.jsonl")).unwrap();
    let forged: Vec<_> = forged
        .split_inclusive(|byte| *byte == b'\n')
        .map(<[u8]>::to_vec)
        .collect();
    let good = specimen.lines(1);
    for at in 0..3 {
        let mut lines = good.clone();
        lines[at] = forged[at + 3].clone();
        specimen.write(1, &lines);
        let damage = specimen.verify().unwrap_err();
        assert_names(&damage, &specimen.segments[1], at as u64 + 4, "replaced");
        assert_eq!(damage.what, Fault::Line(LineFault::Previous));
    }
}

#[test]
fn a_missing_or_exchanged_segment_is_found() {
    let specimen = Specimen::new();
    let (first, second) = (&specimen.segments[0], &specimen.segments[1]);
    let (first_bytes, second_bytes) = (fs::read(first).unwrap(), fs::read(second).unwrap());

    fs::remove_file(first).unwrap();
    let unexplained = Fault::Unexplained { first: 4 };
    assert_eq!(specimen.verify().unwrap_err().what, unexplained);
    rewrite(first, &first_bytes);

    fs::remove_file(second).unwrap();
    let damage = specimen.verify().unwrap_err();
    assert_eq!(
        (damage.sequence, damage.what),
        (Some(4), Fault::Cut { head: 6 })
    );

    rewrite(first, &second_bytes);
    rewrite(second, &first_bytes);
    assert_eq!(
        specimen.verify().unwrap_err().what,
        Fault::Line(LineFault::Sequence { found: 4 })
    );

    fs::remove_file(first).unwrap();
    fs::remove_file(second).unwrap();
    assert_eq!(specimen.verify().unwrap_err().what, Fault::Cut { head: 6 });
}

#[test]
fn a_folder_without_a_log_is_no_sound_log() {
    let dir = TempDir::new().unwrap();
    assert!(matches!(
        verify(dir.path(), |_| {}),
        Err(VerifyError::Nothing { .. })
    ));
    assert!(matches!(
        verify(&dir.path().join("none"), |_| {}),
        Err(VerifyError::Io { .. })
    ));
}

#[test]
fn an_old_log_put_back_under_a_newer_head_is_found() {
    let (specimen, old) = (Specimen::new(), TempDir::new().unwrap());
    closed_log(old.path(), 5, 3);
    for (path, name) in specimen
        .segments
        .iter()
        .zip(["audit-000000000001.jsonl", "audit-000000000004.jsonl"])
    {
        fs::copy(old.path().join(name), path).unwrap();
    }
    assert_eq!(specimen.verify().unwrap_err().what, Fault::Cut { head: 6 });
}

#[test]
fn damage_is_told_as_place_record_and_remedy() {
    let at = |what| {
        Damage {
            file: "audit-000000000001.jsonl".into(),
            line: 3,
            sequence: Some(3),
            what,
        }
        .to_string()
    };
    for (what, text) in [
        (
            Fault::Line(LineFault::Hash),
            "its bytes were changed after it was written",
        ),
        (
            Fault::Line(LineFault::Frame),
            "it is not a record of this log",
        ),
        (
            Fault::Cut { head: 6 },
            "the log ends before it, but `head.json` or a checkpoint vouches for record `6`; the tail was cut off",
        ),
    ] {
        assert_eq!(
            at(what),
            format!("audit-000000000001.jsonl:3: record `3`: {text}")
        );
    }
}

#[test]
fn what_is_no_file_keeps_no_verifier_waiting() {
    for name in ["audit-000000000001.jsonl", "head.json", "checkpoint"] {
        let dir = TempDir::new().unwrap();
        closed_log(dir.path(), 3, 100);
        let path = dir.path().join(name);
        let _missing = fs::remove_file(&path);
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        let result = verify(dir.path(), |_| {});
        assert!(
            matches!(result, Err(VerifyError::Damage(_))),
            "{name}: {result:?}"
        );
        super::python::agrees(dir.path(), false);
    }
}
