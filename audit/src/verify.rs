//! Reading a whole log and believing nothing.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::chain::{Hash, Link};
use crate::fault::{Damage, Fault};
use crate::head::{self, Head};
use crate::open;
use crate::segment::{self, Segment};
use crate::walk::{Rest, Walked, walk};

/// What a sound log holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// How many records; their numbers are 1 to this, without a gap.
    pub records: u64,
    /// Hash of the last one. Written down elsewhere, it proves later that nothing up to here was changed or cut.
    pub head_hash: Hash,
    /// How many segments.
    pub segments: usize,
    /// How many bytes of records.
    pub bytes: u64,
    /// The last record that `head.json` vouches for. After it, a cut at the end of a line cannot be seen.
    pub vouched: u64,
    /// Whether a process was writing the log; the bytes of a line it had not finished are no damage then.
    pub is_live: bool,
}

/// How far a verification is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes read.
    pub bytes: u64,
    /// Bytes to read in all, as the files were at the start.
    pub bytes_total: u64,
    /// Records found good.
    pub records: u64,
}

/// A log that is not sound, or cannot be read.
#[derive(Debug, Error)]
pub enum VerifyError {
    /// It is not what was written.
    #[error(transparent)]
    Damage(#[from] Damage),
    /// There is no log in the folder.
    #[error("{}: no audit log here; expected files such as `audit-000000000001.jsonl` and `head.json`", dir.display())]
    Nothing {
        /// The folder.
        dir: PathBuf,
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

/// Checks every byte of the log in `dir`, in constant memory, and tells of progress about each MiB. The log may be in use.
///
/// # Errors
/// The first [`Damage`]; or that there is no log, or that a file cannot be read.
pub fn verify(dir: &Path, progress: impl FnMut(Progress)) -> Result<Verified, VerifyError> {
    // The order matters when the log is in use: a head read first can only be behind the segments read later.
    let head = head::read(dir).map_err(at(dir))?;
    let is_live = open::is_live(dir);
    let segments = segment::list(dir).map_err(at(dir))?;
    let head = match head {
        Head::Link(link) => link,
        Head::Missing if segments.is_empty() => {
            return Err(VerifyError::Nothing {
                dir: dir.to_owned(),
            });
        }
        Head::Missing => return Err(head_fault(dir, None, Fault::NoHead)),
        Head::Damaged => return Err(head_fault(dir, None, Fault::BadHead)),
    };
    let mut bytes_total = 0;
    for segment in &segments {
        bytes_total += segment.path.metadata().map_err(at(&segment.path))?.len();
    }
    let mut pass = Pass {
        head,
        at_head: (head.sequence == 0).then_some(Link::GENESIS),
        last: Link::GENESIS,
        end: Place {
            file: Segment::new(dir, 1).path,
            line: 1,
        },
        state: Progress {
            bytes: 0,
            bytes_total,
            records: 0,
        },
        told: 0,
        progress,
    };
    for (position, segment) in segments.iter().enumerate() {
        let walked = pass.segment(segment)?;
        check_end(
            &segment.path,
            &walked,
            position + 1 == segments.len(),
            is_live,
        )?;
    }
    if head.sequence > pass.last.sequence {
        let next = pass.last.sequence.saturating_add(1);
        return Err(fault(
            &pass.end.file,
            pass.end.line,
            next,
            Fault::Cut {
                head: head.sequence,
            },
        ));
    }
    if pass.at_head != Some(head) {
        return Err(head_fault(dir, Some(head.sequence), Fault::OtherHead));
    }
    (pass.progress)(pass.state);
    Ok(Verified {
        records: pass.last.sequence,
        head_hash: pass.last.hash,
        segments: segments.len(),
        bytes: pass.state.bytes,
        vouched: head.sequence,
        is_live,
    })
}

/// One pass over all segments.
struct Pass<P> {
    head: Link,
    /// The record that the head names, once it has been passed.
    at_head: Option<Link>,
    last: Link,
    /// Where the next record should stand.
    end: Place,
    state: Progress,
    /// Bytes at the last call of `progress`.
    told: u64,
    progress: P,
}

struct Place {
    file: PathBuf,
    line: u64,
}

impl<P: FnMut(Progress)> Pass<P> {
    fn segment(&mut self, segment: &Segment) -> Result<Walked, VerifyError> {
        let next = self.last.sequence.saturating_add(1);
        if segment.first != next {
            return Err(fault(
                &segment.path,
                1,
                next,
                Fault::Gap {
                    first: segment.first,
                },
            ));
        }
        let before = self.last;
        let walked = walk(&segment.path, before, &mut |bytes, link| {
            self.line(bytes, link)
        })
        .map_err(at(&segment.path))?;
        self.last = walked.last;
        self.end = Place {
            file: segment.path.clone(),
            line: walked.lines + 1,
        };
        Ok(walked)
    }

    fn line(&mut self, bytes: u64, link: &Link) {
        self.state.bytes += bytes;
        self.state.records = link.sequence;
        if link.sequence == self.head.sequence {
            self.at_head = Some(*link);
        }
        if self.state.bytes - self.told >= PROGRESS_BYTES {
            self.told = self.state.bytes;
            (self.progress)(self.state);
        }
    }
}

/// What stands after the good records of one segment.
fn check_end(
    path: &Path,
    walked: &Walked,
    is_last: bool,
    is_live: bool,
) -> Result<(), VerifyError> {
    let next = walked.last.sequence.saturating_add(1);
    let line = walked.lines + 1;
    match walked.rest {
        None if walked.lines == 0 && !is_last => Err(fault(path, line, next, Fault::Empty)),
        None => Ok(()),
        Some(Rest::Torn) if is_last && is_live => Ok(()),
        Some(Rest::Torn) => {
            let length = path.metadata().map_err(at(path))?.len();
            Err(fault(
                path,
                line,
                next,
                Fault::Torn {
                    bytes: length.saturating_sub(walked.good_bytes),
                },
            ))
        }
        Some(Rest::Damaged(what)) => Err(fault(path, line, next, Fault::Line(what))),
    }
}

fn fault(file: &Path, line: u64, sequence: u64, what: Fault) -> VerifyError {
    VerifyError::Damage(Damage {
        file: file.to_owned(),
        line,
        sequence: Some(sequence),
        what,
    })
}

fn head_fault(dir: &Path, sequence: Option<u64>, what: Fault) -> VerifyError {
    VerifyError::Damage(Damage {
        file: head::path(dir),
        line: 1,
        sequence,
        what,
    })
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> VerifyError {
    |source| VerifyError::Io {
        path: path.to_owned(),
        source,
    }
}

const PROGRESS_BYTES: u64 = 1024 * 1024;
