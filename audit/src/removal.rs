//! Removing old segments so that what is left still proves itself.
//!
//! A log that begins with another record than the first is damage, unless it says itself why: a `retention` record (or a
//! `restored` one) names the last record that is gone and its hash. The chain then holds from that hash on, and the tree's files, which
//! stay, prove the rest under the signed checkpoints as before.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::chain::{self, Hash, LineFault, Link};
use crate::entry::Entry;
use crate::index;
use crate::open::last_line;
use crate::packed;
use crate::segment::{self, Disk, FileSystem, Segment};
use crate::time::Timestamp;

/// The oldest segments of a log, that may go.
#[derive(Debug)]
pub struct Removal {
    dir: PathBuf,
    segments: Vec<Segment>,
    /// First record that goes.
    pub first: u64,
    /// Last record that goes.
    pub through: u64,
    /// Its hash.
    pub hash: Hash,
    /// When it was made.
    pub until: Timestamp,
}

/// What may be removed of a log.
#[derive(Debug)]
pub struct Removable {
    /// The segments that may go; `None`: none.
    pub removal: Option<Removal>,
    /// Segments that are old enough and must stay, since somebody has not taken them.
    pub held: u64,
}

impl Removal {
    /// The segments of the log in `dir` whose last record was made before `before`. Those with records after `taken` are held: who is
    /// sent the log has not got them. The last finished segment and the one being written always stay.
    ///
    /// # Errors
    /// When a segment cannot be read, or does not end with a record.
    pub fn plan(dir: &Path, before: Timestamp, taken: u64) -> io::Result<Removable> {
        let segments = segment::list(dir)?;
        let candidates = segments.len().saturating_sub(SEGMENTS_KEPT);
        let mut removal: Option<Self> = None;
        let mut held = 0;
        for segment in segments.into_iter().take(candidates) {
            let line = last_line(&segment)?;
            let (link, _) = chain::open(&line).map_err(io::Error::other)?;
            let text = str::from_utf8(&line).map_err(io::Error::other)?;
            let time = Entry::parse(text)
                .ok()
                .and_then(|entry| Timestamp::parse(&entry.time))
                .ok_or_else(|| io::Error::other("a segment ends with what is no record"))?;
            if time >= before {
                break;
            }
            if link.sequence > taken || held > 0 {
                held += 1;
                continue;
            }
            let removal = removal.get_or_insert_with(|| Self {
                dir: dir.to_owned(),
                segments: Vec::new(),
                first: segment.first,
                through: 0,
                hash: Hash::ZERO,
                until: time,
            });
            removal.through = link.sequence;
            removal.hash = link.hash;
            removal.until = time;
            removal.segments.push(segment);
        }
        Ok(Removable { removal, held })
    }

    /// The files that go, in order, indexes included.
    pub fn files(&self) -> impl Iterator<Item = PathBuf> {
        self.segments.iter().flat_map(|segment| {
            let index = index::path(&self.dir, segment);
            [segment.path.clone(), index]
                .into_iter()
                .filter(|path| path.exists())
        })
    }

    /// Removes the files. Only after a `retention` record that names [`through`](Self::through) and [`hash`](Self::hash) is durable
    /// and signed. The oldest go first, so a crash in between leaves a log that holds.
    ///
    /// # Errors
    /// The file that could not be removed; the next plan names it again.
    pub fn carry_out(self) -> io::Result<()> {
        keep_log_id(&self.dir)?;
        for segment in &self.segments {
            let plain = Segment::new(&self.dir, segment.first);
            for path in [
                index::path(&self.dir, segment),
                plain.path.clone(),
                packed::packed_path(&plain.path),
            ] {
                match fs::remove_file(&path) {
                    Ok(()) => {}
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
            segment::sync_parent(&plain.path)?;
        }
        Ok(())
    }
}

/// The first record that is there: its sequence number and when it was made; `None` for a log without records.
///
/// # Errors
/// When the folder or its first segment cannot be read.
pub fn oldest(dir: &Path) -> io::Result<Option<(u64, Timestamp)>> {
    let Some(first) = segment::list(dir)?.into_iter().next() else {
        return Ok(None);
    };
    let line = first_line(&first)?;
    let entry = str::from_utf8(&line)
        .ok()
        .and_then(|line| Entry::parse(line).ok());
    Ok(entry.and_then(|entry| Some((entry.seq, Timestamp::parse(&entry.time)?))))
}

/// Where a log whose first segment begins with `segment.first` begins: before its first record.
pub(crate) fn beginning(segment: &Segment) -> io::Result<Result<Link, LineFault>> {
    if segment.first == 1 {
        return Ok(Ok(Link::GENESIS));
    }
    let line = first_line(segment)?;
    Ok(chain::open(&line).map(|(_, hash)| Link {
        sequence: segment.first.saturating_sub(1),
        hash,
    }))
}

/// Whether the first record of a segment is a `restored` one.
pub(crate) fn begins_restored(segment: &Segment) -> io::Result<bool> {
    Ok(is_kind(&first_line(segment)?, RESTORED))
}

fn is_kind(line: &[u8], kind: &[u8]) -> bool {
    let head = line.get(..line.len().min(KIND_WITHIN_BYTES));
    head.is_some_and(|head| head.windows(kind.len()).any(|window| window == kind))
}

/// What a line says of records that are gone, if it does.
pub(crate) fn named(line: &[u8]) -> Option<Link> {
    if ![RETENTION, RESTORED].iter().any(|kind| is_kind(line, kind)) {
        return None;
    }
    let entry = Entry::parse(str::from_utf8(line).ok()?).ok()?;
    let hash = Hash::from_hex(entry.removed_hash.as_bytes())?;
    (entry.removed_through > 0).then_some(Link {
        sequence: entry.removed_through,
        hash,
    })
}

/// Whether a log may begin behind `beginning`, given what one of its records names: exactly that record, or a later one that is
/// still there, when a crash came between the record and the removal.
pub(crate) fn explains(named: &Link, beginning: &Link) -> bool {
    named == beginning || named.sequence > beginning.sequence
}

/// What the records of a log say about its beginning. Only what is signed counts, where anything is: else whoever may write the folder
/// could cut the log and say so himself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Explained {
    /// Nothing.
    #[default]
    No,
    /// A record that no checkpoint covers.
    Unsigned,
    /// A record that a checkpoint covers; or any, in a log without.
    Yes,
}

impl Explained {
    /// Takes in that record `by` names `named`, where checkpoints cover `signed` records.
    pub(crate) fn take(&mut self, (by, named): (u64, &Link), beginning: &Link, signed: u64) {
        if *self == Self::Yes || !explains(named, beginning) {
            return;
        }
        *self = if by <= signed {
            Self::Yes
        } else {
            Self::Unsigned
        };
    }
}

/// The hash of the log's first record, as it was noted before that record went.
pub(crate) fn kept_log_id(dir: &Path) -> io::Result<Option<Hash>> {
    match fs::read(dir.join(LOG_ID)) {
        Ok(bytes) => Ok(Hash::from_hex(bytes.trim_ascii_end())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes the name of a log that will begin with another record than its first.
pub(crate) fn write_log_id(dir: &Path, id: &Hash) -> io::Result<()> {
    FileSystem.replace(&dir.join(LOG_ID), format!("{id}\n").as_bytes())
}

/// Notes the log's name while its first record is there.
fn keep_log_id(dir: &Path) -> io::Result<()> {
    let first = Segment::new(dir, 1);
    if kept_log_id(dir)?.is_some() {
        return Ok(());
    }
    let line = first_line(&first)?;
    let (link, _) = chain::open(&line).map_err(io::Error::other)?;
    write_log_id(dir, &link.hash)
}

fn first_line(segment: &Segment) -> io::Result<Vec<u8>> {
    use std::io::{BufRead, BufReader, Read};
    let content = packed::open(segment)?;
    let mut line = Vec::new();
    BufReader::new(content)
        .take(crate::encode::LINE_BYTES_MAX as u64)
        .read_until(b'\n', &mut line)?;
    if line.last() == Some(&b'\n') {
        line.pop();
    }
    Ok(line)
}

/// The one being written and the one before it.
const SEGMENTS_KEPT: usize = 2;
const LOG_ID: &str = "log-id";
const RETENTION: &[u8] = b",\"kind\":\"retention\"";
const RESTORED: &[u8] = b",\"kind\":\"restored\"";
/// The kind stands behind version, number and two times.
const KIND_WITHIN_BYTES: usize = 192;
