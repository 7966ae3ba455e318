//! Shipping a log elsewhere: every record at least once, in order, from where the last delivery ended.
//!
//! The cursor is a small file: the number and hash of the last record that was delivered. It is moved on after the
//! delivery, so a crash in between sends some records twice and none never; the receiver knows them apart by
//! [`log_id`](Cursor::log_id) and sequence number. On its way it checks every record against the one before, also across its own
//! restarts: a log that was rewritten or cut behind its back is not shipped as if nothing had happened. Records are given as soon as
//! they can be read, so a loss of power can take some from the log that were delivered: that, too, is told, and
//! somebody looks.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::chain::{self, Hash, LineFault, Link};
use crate::head::{self, Head};
use crate::reader::{Line, Position, ReadError, Reader};
use crate::removal;
use crate::segment::{Disk, FileSystem};

/// The way through a log of one receiver.
#[derive(Debug)]
pub struct Cursor {
    file: PathBuf,
    reader: Reader,
    log_id: Hash,
    given: Link,
    skipped: u64,
}

/// A record that a [`Cursor`] came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark(Link);

/// A log cannot be shipped on.
#[derive(Debug, Error)]
pub enum CursorError {
    /// The log has no record yet: try again.
    #[error("the audit log has no record yet; wait for the first")]
    Empty,
    /// The cursor's file is not one.
    #[error("{}: not a cursor; remove the file to ship the whole log again", file.display())]
    NoCursor {
        /// The file.
        file: PathBuf,
    },
    /// The log ends before what was delivered.
    #[error(
        "record `{sequence}` was delivered, but the log ends before it; the log was cut or replaced, verify it"
    )]
    Cut {
        /// The record.
        sequence: u64,
    },
    /// The log holds something else than what was delivered, or than its chain says.
    #[error(
        "record `{sequence}` of the log does not fit what was delivered before: {fault}; verify the log"
    )]
    Changed {
        /// The record.
        sequence: u64,
        /// What is wrong with it.
        fault: LineFault,
    },
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The cursor cannot be read or written.
    #[error("{}: {source}; the cursor must be writable by whoever ships", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Cursor {
    /// Goes on in the log in `dir` behind what `file` says was delivered; from its first record when there is no such file.
    ///
    /// # Errors
    /// [`CursorError::Empty`] until the log has a record. When the log is not the one that was delivered from, or something
    /// cannot be read.
    pub fn open(dir: &Path, file: &Path) -> Result<Self, CursorError> {
        let first = Reader::open(dir, Position::First)?
            .next_line()?
            .ok_or(CursorError::Empty)?;
        let (log_id, beginning) = begin(dir, &first)?;
        let mut given = read(file)?;
        let mut skipped = 0;
        if given.sequence < beginning.sequence {
            // One that never had anything misses nothing.
            if given.sequence > 0 {
                skipped = beginning.sequence - given.sequence;
            }
            given = beginning;
        }
        let is_there = given.sequence > beginning.sequence;
        let from = given.sequence + u64::from(!is_there);
        let mut reader = Reader::open(dir, Position::Sequence(from))?;
        if is_there {
            let sequence = given.sequence;
            let line = reader.next_line()?.ok_or(CursorError::Cut { sequence })?;
            let found = chain::open(line.json.as_bytes())
                .map_err(|fault| CursorError::Changed { sequence, fault })?;
            if found.0 != given {
                return Err(CursorError::Changed {
                    sequence,
                    fault: LineFault::Previous,
                });
            }
        }
        Ok(Self {
            file: file.to_owned(),
            reader,
            log_id,
            given,
            skipped,
        })
    }

    /// The next record, checked against the one before; `None` when there is none yet.
    ///
    /// # Errors
    /// When the chain does not hold, or a file cannot be read.
    pub fn next_line(&mut self) -> Result<Option<Line>, CursorError> {
        let Some(line) = self.reader.next_line()? else {
            return Ok(None);
        };
        self.given = check(&line, &self.given)?;
        Ok(Some(line))
    }

    /// Notes that everything given so far was delivered. Costs two syncs: for a batch, not for each record.
    ///
    /// # Errors
    /// When the file cannot be replaced; the old one is still whole, and some records will come again.
    pub fn delivered(&self) -> Result<(), CursorError> {
        self.delivered_to(&self.mark())
    }

    /// The record that was given last, to say later that everything up to it was delivered.
    #[must_use]
    pub const fn mark(&self) -> Mark {
        Mark(self.given)
    }

    /// Notes that everything up to `mark` was delivered; what was given after it was not, yet.
    ///
    /// # Errors
    /// As for [`delivered`](Self::delivered).
    pub fn delivered_to(&self, mark: &Mark) -> Result<(), CursorError> {
        FileSystem
            .replace(&self.file, &head::write(&mark.0))
            .map_err(|source| CursorError::Io {
                file: self.file.clone(),
                source,
            })
    }

    /// The last record that was delivered, as the cursor in `file` says; 0 when there is no such file.
    ///
    /// # Errors
    /// When the file is no cursor, or cannot be read.
    pub fn delivered_in(file: &Path) -> Result<u64, CursorError> {
        read(file).map(|link| link.sequence)
    }

    /// Names the log for good: the hash of its first record. With a record's sequence number it makes an idempotency key.
    #[must_use]
    pub const fn log_id(&self) -> Hash {
        self.log_id
    }

    /// Records that were removed from the log after the last delivery and before this cursor was opened.
    #[must_use]
    pub const fn skipped(&self) -> u64 {
        self.skipped
    }

    /// The last record that was given, 0 for none: what is behind it is the lag.
    #[must_use]
    pub const fn given(&self) -> u64 {
        self.given.sequence
    }
}

/// The log's name and where it begins, from the first record that is there.
fn begin(dir: &Path, first: &Line) -> Result<(Hash, Link), CursorError> {
    if first.sequence == 1 {
        return Ok((check(first, &Link::GENESIS)?.hash, Link::GENESIS));
    }
    let (_, hash) = chain::open(first.json.as_bytes()).map_err(|fault| CursorError::Changed {
        sequence: first.sequence,
        fault,
    })?;
    let beginning = Link {
        sequence: first.sequence - 1,
        hash,
    };
    let id = removal::kept_log_id(dir).map_err(|source| CursorError::Io {
        file: dir.to_owned(),
        source,
    })?;
    Ok((id.unwrap_or(hash), beginning))
}

fn read(file: &Path) -> Result<Link, CursorError> {
    let found = head::read_file(file).map_err(|source| CursorError::Io {
        file: file.to_owned(),
        source,
    })?;
    match found {
        Head::Link(link) => Ok(link),
        Head::Missing => Ok(Link::GENESIS),
        Head::OtherVersion | Head::Damaged => Err(CursorError::NoCursor {
            file: file.to_owned(),
        }),
    }
}

fn check(line: &Line, before: &Link) -> Result<Link, CursorError> {
    chain::follow(line.json.as_bytes(), before).map_err(|fault| CursorError::Changed {
        sequence: line.sequence,
        fault,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;
    use crate::drills::{closed_log, rewrite};

    fn drain(cursor: &mut Cursor) -> Vec<u64> {
        std::iter::from_fn(|| cursor.next_line().unwrap())
            .map(|line| line.sequence)
            .collect()
    }

    #[test]
    fn every_record_comes_at_least_once_and_in_order() {
        let dir = TempDir::new().unwrap();
        let (log, file) = (dir.path().join("log"), dir.path().join("cursor.json"));
        fs::create_dir(&log).unwrap();
        assert!(matches!(Cursor::open(&log, &file), Err(CursorError::Empty)));
        closed_log(&log, 5, 2);
        let mut cursor = Cursor::open(&log, &file).unwrap();
        assert_eq!(drain(&mut cursor), [1, 2, 3, 4, 5]);
        // Not delivered: they come again.
        let mut cursor = Cursor::open(&log, &file).unwrap();
        let id = cursor.log_id();
        (0..3).for_each(|_| assert!(cursor.next_line().unwrap().is_some()));
        cursor.delivered().unwrap();
        assert_eq!(drain(&mut cursor), [4, 5]);
        let mut cursor = Cursor::open(&log, &file).unwrap();
        assert_eq!(
            (cursor.given(), drain(&mut cursor), cursor.log_id()),
            (3, vec![4, 5], id)
        );
        cursor.delivered().unwrap();
        closed_log(&log, 2, 2);
        let mut cursor = Cursor::open(&log, &file).unwrap();
        assert_eq!(drain(&mut cursor), [6, 7]);
    }

    #[test]
    fn a_log_that_is_not_what_was_delivered_is_not_shipped_on() {
        let dir = TempDir::new().unwrap();
        let (log, file) = (dir.path().join("log"), dir.path().join("cursor.json"));
        closed_log(&log, 5, 9);
        let mut cursor = Cursor::open(&log, &file).unwrap();
        drain(&mut cursor);
        cursor.delivered().unwrap();
        let path = log.join("audit-000000000001.jsonl");
        let good = fs::read_to_string(&path).unwrap();
        let cut = good.split_inclusive('\n').take(4).collect::<String>();
        for (text, shipped) in [
            (cut.as_str(), Err("cut or replaced")),
            (&good.replace("\"n5\"", "\"n6\""), Err("bytes were changed")),
            (&good.replace("\"n1\"", "\"n6\""), Err("bytes were changed")),
            (&good, Ok(())),
        ] {
            rewrite(&path, text);
            let opened = Cursor::open(&log, &file)
                .map(|_| ())
                .map_err(|error| error.to_string());
            match shipped {
                Ok(()) => assert_eq!(opened, Ok(())),
                Err(why) => assert!(
                    opened.as_ref().is_err_and(|error| error.contains(why)),
                    "{opened:?}"
                ),
            }
        }
        for noise in ["", "{}", "{\"v\":2,\"seq\":1}\n"] {
            rewrite(&file, noise);
            assert!(matches!(
                Cursor::open(&log, &file),
                Err(CursorError::NoCursor { .. })
            ));
        }
    }

    #[test]
    fn a_record_changed_ahead_of_the_cursor_is_not_shipped() {
        let dir = TempDir::new().unwrap();
        let (log, file) = (dir.path().join("log"), dir.path().join("cursor.json"));
        closed_log(&log, 5, 9);
        let path = log.join("audit-000000000001.jsonl");
        rewrite(
            &path,
            fs::read_to_string(&path)
                .unwrap()
                .replace("\"n3\"", "\"n4\""),
        );
        let mut cursor = Cursor::open(&log, &file).unwrap();
        (0..2).for_each(|_| assert!(cursor.next_line().unwrap().is_some()));
        let error = cursor.next_line().unwrap_err();
        assert!(
            matches!(
                error,
                CursorError::Changed {
                    sequence: 3,
                    fault: LineFault::Hash
                }
            ),
            "{error}"
        );
    }
}
