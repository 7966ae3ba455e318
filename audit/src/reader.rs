//! Reading records while they are being written.
//!
//! The reader asks and never waits: `Ok(None)` means that there is nothing more *now*, and how long to sleep is the
//! caller's business. It checks the frame and the numbering of what it gives; whether the chain holds is for
//! [`verify`](crate::verify).

use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::chain;
use crate::encode::LINE_BYTES_MAX;
use crate::packed::{self, Content};
use crate::segment::{self, Segment};

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// With the first record that is there: of a log with retention a later one than 1.
    First,
    /// With this record; 1 is the first.
    Sequence(u64),
    /// With the last so many records that are there now; 0 gives only what comes after.
    Last(u64),
}

/// One record as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its sequence number.
    pub sequence: u64,
    /// The whole line without its newline: one JSON object.
    pub json: String,
}

/// A log cannot be read on.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The next record is not where it should be.
    #[error("{}: record `{expected}` should follow; run `hangu audit verify` on the folder", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// The record that was to come.
        expected: u64,
    },
    /// A file cannot be read.
    #[error("{}: {source}; run as a user who may read the audit folder", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// The records of a folder in order, across segments, also of a log that is being written.
#[derive(Debug)]
pub struct Reader {
    dir: PathBuf,
    open: Option<(Segment, BufReader<Content>)>,
    /// The record to give next.
    next: u64,
    /// What was read of a line.
    partial: Vec<u8>,
}

impl Reader {
    /// Begins at `position`. A folder without a log is read as one that has no record yet.
    ///
    /// # Errors
    /// When the folder or its last segment cannot be read.
    pub fn open(dir: &Path, position: Position) -> Result<Self, ReadError> {
        let next = match position {
            Position::First => first_sequence(dir)?,
            Position::Sequence(sequence) => sequence.max(1),
            Position::Last(count) => last_sequence(dir)?
                .saturating_add(1)
                .saturating_sub(count)
                .max(first_sequence(dir)?),
        };
        Ok(Self {
            dir: dir.to_owned(),
            open: None,
            next,
            partial: Vec::new(),
        })
    }

    /// The next record, or `None` when it is not there yet.
    ///
    /// # Errors
    /// When records are missing or not in order, or a file cannot be read. The reader can be asked again.
    pub fn next_line(&mut self) -> Result<Option<Line>, ReadError> {
        // Whether the open segment was read to its end since another was found to follow it.
        let mut is_final = false;
        loop {
            if self.open.is_none() && !self.find_segment()? {
                return Ok(None);
            }
            let Some((segment, file)) = &mut self.open else {
                return Ok(None);
            };
            self.partial.clear();
            file.by_ref()
                .take(LINE_BYTES_MAX as u64)
                .read_until(b'\n', &mut self.partial)
                .map_err(at(&segment.path))?;
            if self.partial.last() == Some(&b'\n') {
                if let Some(line) = self.whole_line()? {
                    return Ok(Some(line));
                }
                continue;
            }
            if self.partial.len() >= LINE_BYTES_MAX {
                return Err(self.broken());
            }
            if is_final {
                self.leave_segment()?;
                is_final = false;
                continue;
            }
            // Read anew the next time: what has begun may be cut off, and another record be written there.
            if !self.partial.is_empty() && file.get_mut().back(self.partial.len()).is_err() {
                return Err(self.broken());
            }
            is_final = self.has_following()?;
            if !is_final {
                return Ok(None);
            }
        }
    }

    /// What was read, if it is the next record; `None` for one before it.
    fn whole_line(&mut self) -> Result<Option<Line>, ReadError> {
        self.partial.pop();
        let bytes = std::mem::take(&mut self.partial);
        let sequence = chain::sequence(&bytes).ok_or_else(|| self.broken())?;
        if sequence < self.next {
            return Ok(None);
        }
        let (true, Ok(json)) = (sequence == self.next, String::from_utf8(bytes)) else {
            return Err(self.broken());
        };
        self.next += 1;
        Ok(Some(Line { sequence, json }))
    }

    /// At the end of the open segment: whether another one is there. A later segment is begun only after this one was finished.
    fn has_following(&self) -> Result<bool, ReadError> {
        Ok(!self.following()?.is_empty())
    }

    fn following(&self) -> Result<Vec<Segment>, ReadError> {
        let mut segments = segment::list(&self.dir).map_err(at(&self.dir))?;
        let current = self.open.as_ref().map(|(segment, _)| segment.first);
        segments.retain(|segment| Some(segment.first) > current);
        Ok(segments)
    }

    /// At the end of a finished segment: the next record is in the one that follows. It may be one that was read before: a failed sync
    /// ends a segment with what is durable, and what was written behind it is written to the next.
    fn leave_segment(&mut self) -> Result<(), ReadError> {
        let following = self.following()?;
        match following.first() {
            Some(later) if self.partial.is_empty() && later.first <= self.next => {
                self.open = None;
                Ok(())
            }
            Some(later) if self.partial.is_empty() => Err(ReadError::Broken {
                path: later.path.clone(),
                expected: self.next,
            }),
            _ => {
                // Asked again, it says so again.
                if let Some((_, file)) = &mut self.open {
                    let _packed = file.get_mut().back(self.partial.len());
                }
                Err(self.broken())
            }
        }
    }

    /// The open segment does not go on as it should.
    fn broken(&self) -> ReadError {
        let path = self.open.as_ref().map(|(segment, _)| &segment.path);
        ReadError::Broken {
            path: path.unwrap_or(&self.dir).clone(),
            expected: self.next,
        }
    }

    /// Opens the segment that holds the next record, or will; `false` when there is none.
    fn find_segment(&mut self) -> Result<bool, ReadError> {
        let segments = segment::list(&self.dir).map_err(at(&self.dir))?;
        let Some(first) = segments.first() else {
            return Ok(false);
        };
        let Some(segment) = segments
            .iter()
            .rev()
            .find(|segment| segment.first <= self.next)
        else {
            return Err(ReadError::Broken {
                path: first.path.clone(),
                expected: self.next,
            });
        };
        let file = packed::open(segment).map_err(at(&segment.path))?;
        self.open = Some((segment.clone(), BufReader::new(file)));
        Ok(true)
    }
}

/// The first record that is there, 1 while there is none.
fn first_sequence(dir: &Path) -> Result<u64, ReadError> {
    let segments = segment::list(dir).map_err(at(dir))?;
    Ok(segments.first().map_or(1, |segment| segment.first))
}

/// The last record that is there, 0 for none.
fn last_sequence(dir: &Path) -> Result<u64, ReadError> {
    let segments = segment::list(dir).map_err(at(dir))?;
    let Some(segment) = segments.last() else {
        return Ok(0);
    };
    let mut reader = BufReader::new(packed::open(segment).map_err(at(&segment.path))?);
    let (mut last, mut line) = (segment.first.saturating_sub(1), Vec::new());
    while reader
        .by_ref()
        .take(LINE_BYTES_MAX as u64)
        .read_until(b'\n', &mut line)
        .map_err(at(&segment.path))?
        > 0
    {
        if line.last() == Some(&b'\n') {
            last = chain::sequence(&line).unwrap_or(last);
        }
        line.clear();
    }
    Ok(last)
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> ReadError {
    |source| ReadError::Io {
        path: path.to_owned(),
        source,
    }
}
