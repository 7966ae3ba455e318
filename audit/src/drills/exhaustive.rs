//! Every bit, every cut, every swap of a whole log, and not of a small specimen only.
//!
//! `HANGU_DRILL_BYTES` says how long the log is; `tests/flip-drill` takes 1 MiB. A damage is looked for by the walk that the verifier makes, from the
//! damaged record on: the ones before it are the same bytes as in the sound log, which was walked, so nothing else can come of
//! them. That the verifier itself stops there, and where it says so, is asked of it for a part of all damages.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use tempfile::TempDir;

use super::disk::Failing;
use super::event;
use crate::chain::{Link, follow};
use crate::segment;
use crate::walk::{Rest, Walked, walk_through};
use crate::*;

/// A closed log of one segment.
struct Specimen {
    dir: TempDir,
    bytes: Vec<u8>,
    /// Where each line begins, and where the last one ends.
    starts: Vec<usize>,
    /// Before each line, and after the last.
    links: Vec<Link>,
}

impl Specimen {
    fn new() -> Self {
        let length = std::env::var("HANGU_DRILL_BYTES");
        let length: usize = length.map_or(16 * 1024, |bytes| bytes.parse().unwrap());
        let dir = TempDir::new().unwrap();
        let mut log = Failing::new().log(dir.path(), u64::MAX);
        let mut number = 0;
        while log.segment_bytes() < length as u64 {
            number += 1;
            // Of many lengths, some 400 bytes each.
            let detail = "x".repeat(20 + number * 37 % 310);
            log.append(&event(&detail)).unwrap();
            log.commit().unwrap();
        }
        log.close().unwrap();
        let path = segment::list(dir.path()).unwrap().remove(0).path;
        let bytes = fs::read(path).unwrap();
        assert!(bytes.len() >= length);
        let mut links = vec![Link::GENESIS];
        let mut starts = vec![0];
        let walked = walked(&bytes, Link::GENESIS, &mut |line, link| {
            starts.push(starts[starts.len() - 1] + line.len() + 1);
            links.push(*link);
        });
        assert!(walked.rest.is_none());
        assert_eq!(walked.lines as usize + 1, links.len());
        Self {
            dir,
            bytes,
            starts,
            links,
        }
    }

    /// From the line in which byte `at` is, so many lines.
    fn from(&self, at: usize, lines: usize) -> (usize, &[u8], Link) {
        let line = self.starts.partition_point(|start| *start <= at) - 1;
        let end = self.starts[(line + lines).min(self.starts.len() - 1)];
        (line, &self.bytes[self.starts[line]..end], self.links[line])
    }

    fn file(&self) -> fs::File {
        let path = self.path();
        OpenOptions::new().write(true).open(path).unwrap()
    }

    fn path(&self) -> std::path::PathBuf {
        self.dir.path().join("audit-000000000001.jsonl")
    }
}

fn walked(bytes: &[u8], before: Link, each: &mut dyn FnMut(&[u8], &Link)) -> Walked {
    walk_through(io::Cursor::new(bytes), |_| false, before, each).unwrap()
}

/// What the verifier says of a damaged folder.
fn damage(dir: &Path) -> Damage {
    match verify(dir, |_| {}) {
        Err(VerifyError::Damage(damage)) => damage,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_flipped_bit_of_a_log_is_found_in_its_record() {
    let specimen = Specimen::new();
    let file = specimen.file();
    for at in 0..specimen.bytes.len() {
        let (line, good, before) = specimen.from(at, 2);
        let mut bad = good.to_vec();
        let place = at - specimen.starts[line];
        for bit in 0..8 {
            bad[place] = good[place] ^ (1 << bit);
            let found = walked(&bad, before, &mut |_, _| {});
            assert!(
                found.lines == 0 && found.rest.is_some(),
                "byte {at}, bit {bit}: {found:?}"
            );
        }
        if at % PART == 0 {
            file.write_all_at(&[specimen.bytes[at] ^ (1 << (at / PART % 8))], at as u64)
                .unwrap();
            let damage = damage(specimen.dir.path());
            assert_eq!(
                (damage.line, damage.sequence),
                (line as u64 + 1, Some(line as u64 + 1)),
                "byte {at}: {damage}"
            );
            file.write_all_at(&specimen.bytes[at..=at], at as u64)
                .unwrap();
        }
    }
    verify(specimen.dir.path(), |_| {}).unwrap();
}

#[test]
fn every_length_that_a_log_is_cut_to_is_found() {
    let specimen = Specimen::new();
    let file = specimen.file();
    for length in (0..specimen.bytes.len()).rev() {
        let (line, whole, before) = specimen.from(length, 1);
        let rest = &whole[..length - specimen.starts[line]];
        let is_end = rest.is_empty();
        if !is_end {
            let found = walked(rest, before, &mut |_, _| {});
            assert_eq!((found.lines, found.rest), (0, Some(Rest::Torn)), "{length}");
        }
        // At the end of a line only what vouches for the rest can tell, so there the verifier is always asked.
        if is_end || length % PART == 0 {
            file.set_len(length as u64).unwrap();
            let damage = damage(specimen.dir.path());
            assert_eq!(damage.sequence, Some(line as u64 + 1), "{length}: {damage}");
        }
    }
    file.write_all_at(&specimen.bytes, 0).unwrap();
    verify(specimen.dir.path(), |_| {}).unwrap();
}

#[test]
fn every_two_records_that_are_swapped_are_found() {
    let specimen = Specimen::new();
    let line = |at: usize| &specimen.bytes[specimen.starts[at]..specimen.starts[at + 1]];
    let lines = specimen.starts.len() - 1;
    for first in 0..lines {
        for second in first + 1..lines {
            let moved = line(second).strip_suffix(b"\n").unwrap();
            let found = LineFault::Sequence {
                found: second as u64 + 1,
            };
            assert_eq!(follow(moved, &specimen.links[first]), Err(found));
            if (first * lines + second).is_multiple_of(PART * 4) {
                let mut swapped = specimen.bytes[..specimen.starts[first]].to_vec();
                swapped.extend_from_slice(line(second));
                swapped.extend_from_slice(
                    &specimen.bytes[specimen.starts[first + 1]..specimen.starts[second]],
                );
                swapped.extend_from_slice(line(first));
                swapped.extend_from_slice(&specimen.bytes[specimen.starts[second + 1]..]);
                super::rewrite(specimen.path(), &swapped);
                let damage = damage(specimen.dir.path());
                assert_eq!(
                    (damage.line, damage.sequence),
                    (first as u64 + 1, Some(first as u64 + 1)),
                    "{first} and {second}: {damage}"
                );
            }
        }
    }
}

/// One of so many damages is shown to the verifier as a whole.
const PART: usize = 251;
