//! Where a log stands: all that another folder needs to go on with it, without its segments.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::chain::{self, Hash, LineFault, Link};
use crate::head::{self, Head};
use crate::index;
use crate::log::{Log, Options, Resumed};
use crate::open::{OpenError, at, lock};
use crate::reader::{Position, ReadError, Reader};
use crate::record::{Kind, Record};
use crate::regrow::check_checkpoints;
use crate::removal;
use crate::segment::{self, Disk, FileSystem, Segment};
use crate::stored::Stored;
use crate::tiles::{self, Growth, HASH_BYTES, TILE_LEVELS, TileError, Tiles};
use crate::time::Timestamp;
use crate::tree::Frontier;
use crate::verify::VerifyError;

/// The end of a log, as its last signed checkpoint covers it.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The last record.
    pub last: Link,
    /// The log's name: hash of its first record.
    pub log_id: Hash,
    /// The signed checkpoint that covers exactly [`last`](Self::last), as a file; `None` for a log that nobody signs.
    pub checkpoint: Option<Vec<u8>>,
    /// Files of the tree, and how many bytes of each belong to it. They only grow: these bytes never change again.
    pub tree: Vec<(PathBuf, u64)>,
    /// Other files to take as they are.
    pub files: Vec<PathBuf>,
}

/// Where a log stands cannot be told.
#[derive(Debug, Error)]
pub enum StandingError {
    /// The checkpoint or head is not there or not one.
    #[error(transparent)]
    Checkpoint(#[from] VerifyError),
    /// A record cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A record is not what was written.
    #[error("record `{sequence}`: {fault}")]
    Line {
        /// Its number.
        sequence: u64,
        /// What is wrong.
        fault: LineFault,
    },
    /// The log ends before its checkpoint.
    #[error("the log ends before record `{sequence}`, which its checkpoint or head covers")]
    Cut {
        /// The record.
        sequence: u64,
    },
    /// The tree cannot be read.
    #[error(transparent)]
    Tree(#[from] TileError),
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Standing {
    /// Of the log in `dir`, which may be being written; `None` when it has no record.
    ///
    /// # Errors
    /// When something that is needed cannot be read, or is not what was written.
    pub fn of(dir: &Path) -> Result<Option<Self>, StandingError> {
        let io = |source| StandingError::Io {
            path: dir.to_owned(),
            source,
        };
        // The older promise is read first: it can only be behind the other.
        let witnessed = head::witnessed_path(dir);
        let stored = Stored::signed(dir, &[])?;
        let sequence = match (&stored, head::read(dir).map_err(io)?) {
            (Some(stored), _) => stored.checkpoint.head().size,
            (None, Head::Link(link)) => link.sequence,
            (None, Head::Missing | Head::OtherVersion | Head::Damaged) => 0,
        };
        let Some(first) = segment::list(dir).map_err(io)?.into_iter().next() else {
            return Ok(None);
        };
        if sequence == 0 {
            return Ok(None);
        }
        let log_id = match removal::kept_log_id(dir).map_err(io)? {
            Some(id) => id,
            None => record(dir, first.first)?.hash,
        };
        let last = record(dir, sequence)?;
        let tree = (0..)
            .map(|tile| (tile, sequence.checked_shr(tile * TILE_LEVELS).unwrap_or(0)))
            .take_while(|(_, count)| *count > 0)
            .map(|(tile, count)| (tiles::path(dir, tile), count * HASH_BYTES as u64))
            .collect();
        let mut files: Vec<PathBuf> = match fs::read_dir(index::folder(dir)) {
            Ok(found) => found.flatten().map(|file| file.path()).collect(),
            Err(_) => Vec::new(),
        };
        files.retain(|file| file.extension().is_some_and(|ending| ending == "ids"));
        files.sort();
        files.extend(Some(witnessed).filter(|file| file.exists()));
        Ok(Some(Self {
            last,
            log_id,
            checkpoint: stored.map(|stored| stored.note.to_string().into_bytes()),
            tree,
            files,
        }))
    }
}

impl Log {
    /// Goes on behind `last` with the log whose tree and checkpoints lie in `dir` and whose segments do not: its first record there is a
    /// `restored` one that says so. Leaves the log closed.
    ///
    /// # Errors
    /// As for [`open`](Self::open); also when the tree does not reach `last` or has another root than the checkpoints.
    pub fn restore(
        dir: &Path,
        (last, log_id): (Link, Hash),
        options: Options,
        now: Timestamp,
        detail: &str,
    ) -> Result<Link, OpenError> {
        let lock = lock(dir)?;
        let head = head::path(dir);
        let frontier = Frontier::of(&Tiles::of(dir), last.sequence).map_err(|error| {
            let TileError { path, source } = error;
            OpenError::Io { path, source }
        })?;
        check_checkpoints(dir, last.sequence)?;
        removal::write_log_id(dir, &log_id).map_err(at(dir))?;
        FileSystem
            .replace(&head, &head::write(&last))
            .map_err(at(&head))?;
        let origin = options.origin.clone();
        let from = Resumed {
            dir: dir.to_owned(),
            disk: Box::new(FileSystem),
            segment: Segment::new(dir, last.sequence.saturating_add(1)),
            segment_bytes: 0,
            last,
            growth: Growth::of(dir, frontier),
            ids: index::Ids::default(),
        };
        let mut log = Self::resume(from, lock, options).map_err(at(dir))?;
        let record = Record {
            removed: Some(last),
            ..Record::event(Kind::Restored, now, origin, detail)
        };
        // A new buffer always has room for one record, whatever its bound.
        let _sequence = log.append(&record);
        log.close().map_err(|(_, error)| error.into())
    }
}

/// The link of one record, checked by itself.
fn record(dir: &Path, sequence: u64) -> Result<Link, StandingError> {
    let line = Reader::open(dir, Position::Sequence(sequence))?.next_line()?;
    let line = line.ok_or(StandingError::Cut { sequence })?;
    chain::open(line.json.as_bytes())
        .map(|(link, _)| link)
        .map_err(|fault| StandingError::Line { sequence, fault })
}
