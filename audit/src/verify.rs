//! Reading a whole log and believing nothing.

use std::io;
use std::path::{Path, PathBuf};
use std::thread;

use thiserror::Error;

use crate::ahead::{Ahead, News, Walk};
use crate::chain::{Hash, LineFault, Link};
use crate::checkpoint::Checkpoint;
use crate::fault::{Damage, Fault};
use crate::head::{self, Head};
use crate::index;
use crate::key::Verifier;
use crate::open;
use crate::packed;
use crate::promises::Promises;
use crate::removal::{self, Explained};
use crate::segment::{self, Segment};
use crate::tree::TreeHead;
use crate::tree_check::TreeCheck;
use crate::walk::{Rest, Walked};

/// What a sound log holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The first record that is there: 1, or a later one that the log itself says it begins with.
    pub first: u64,
    /// How many records; their numbers are 1 to this, without a gap.
    pub records: u64,
    /// Hash of the last one. Written down elsewhere, it proves later that nothing up to here was changed or cut.
    pub head_hash: Hash,
    /// How many segments.
    pub segments: usize,
    /// How many bytes of records.
    pub bytes: u64,
    /// The last record that `head.json` or a checkpoint vouches for. After it, a cut at the end of a line cannot be seen.
    pub vouched: u64,
    /// The tree over all records.
    pub tree: TreeHead,
    /// How many records a checkpoint in the folder covers that one of the given keys has signed; 0 without keys.
    pub signed: u64,
    /// How many records a checkpoint in the folder covers that one of the given witnesses has cosigned; 0 without witnesses.
    pub witnessed: u64,
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

/// What is known from elsewhere about a log.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trust<'a> {
    /// Keys of the log: at least one must have signed the file `checkpoint`. Empty: signatures are not asked for.
    pub keys: &'a [Verifier],
    /// Witnesses of the log: at least one must have cosigned the file `checkpoint.witnessed`. Empty: not asked for.
    pub witnesses: &'a [Verifier],
    /// Checkpoints that the log must continue, kept by somebody else or cosigned by a witness, each opened by the caller.
    pub checkpoints: &'a [Checkpoint],
}

/// Checks every byte of the log in `dir`, on all cores and in bounded memory, and tells of progress about each MiB. The log
/// may be in use.
///
/// # Errors
/// The first [`Damage`]; or that there is no log, or that a file cannot be read.
pub fn verify(dir: &Path, progress: impl FnMut(Progress)) -> Result<Verified, VerifyError> {
    verify_against(dir, &Trust::default(), progress)
}

/// [`verify`], and that the log is the one that was promised: not an older one, nor another with the same look.
///
/// # Errors
/// As for [`verify`].
pub fn verify_against(
    dir: &Path,
    trust: &Trust<'_>,
    mut progress: impl FnMut(Progress),
) -> Result<Verified, VerifyError> {
    match pass_over(dir, trust, &mut progress) {
        // The checkpoint was read before the gateway signed that segments go, and the segments after they went.
        Err(VerifyError::Damage(Damage {
            what: Fault::UnsignedRemoval { .. },
            ..
        })) if open::is_live(dir) => pass_over(dir, trust, progress),
        result => result,
    }
}

fn pass_over(
    dir: &Path,
    trust: &Trust<'_>,
    progress: impl FnMut(Progress),
) -> Result<Verified, VerifyError> {
    // The order matters when the log is in use: what is read first can only be behind the segments read later.
    let promises = Promises::read(dir, trust)?;
    let head = head::read(dir).map_err(at(dir))?;
    let is_live = open::is_live(dir);
    let segments = segment::list(dir).map_err(at(dir))?;
    let mut tree = TreeCheck::new(dir);
    promises.expect_of(&mut tree, dir);
    let head = head_link(dir, head, segments.is_empty(), tree.promised())?;
    let mut pass = Pass::new(dir, head, tree, progress);
    pass.signed = promises.covered();
    for segment in &segments {
        pass.state.bytes_total += segment.bytes();
    }
    if let Some(first) = segments.first() {
        pass.begin(first)?;
    }
    thread::scope(|scope| {
        let mut ahead = Ahead::new(scope, dir, &segments);
        for (position, segment) in segments.iter().enumerate() {
            let is_last = position + 1 == segments.len();
            if is_last {
                pass.tree.forgive_tiles();
            }
            let walked = pass.segment(segment, ahead.next())?;
            // Asked again at the end: the writer may have come after the first look.
            check_end(
                &segment.path,
                &walked,
                is_last,
                is_live || is_last && open::is_live(dir),
            )?;
            pass.tree.result()?;
        }
        Ok::<_, VerifyError>(())
    })?;
    pass.check_beginning(segments.first())?;
    let promised = head.sequence.max(pass.tree.promised());
    if promised > pass.last.sequence {
        let next = pass.last.sequence.saturating_add(1);
        return Err(fault(
            &pass.end.file,
            pass.end.line,
            next,
            Fault::Cut { head: promised },
        ));
    }
    if pass.at_head != Some(head) {
        return Err(head_fault(dir, Some(head.sequence), Fault::OtherHead));
    }
    pass.tree.result()?;
    (pass.progress)(pass.state);
    Ok(Verified {
        first: pass.begins.sequence.saturating_add(1),
        records: pass.last.sequence,
        head_hash: pass.last.hash,
        segments: segments.len(),
        bytes: pass.state.bytes,
        vouched: promised,
        tree: pass.tree.head(),
        signed: promises.signed(),
        witnessed: promises.witnessed(),
        is_live,
    })
}

/// Where the head says that the log has got to; `promised` records must be there whether it says so or not.
fn head_link(dir: &Path, head: Head, is_empty: bool, promised: u64) -> Result<Link, VerifyError> {
    match head {
        Head::Link(link) => Ok(link),
        Head::Missing if is_empty && promised > 0 => Err(fault(
            &Segment::new(dir, 1).path,
            1,
            1,
            Fault::Cut { head: promised },
        )),
        Head::Missing if is_empty => Err(VerifyError::Nothing {
            dir: dir.to_owned(),
        }),
        Head::Missing => Err(head_fault(dir, None, Fault::NoHead)),
        Head::OtherVersion => Err(head_fault(dir, None, LineFault::Version.into())),
        Head::Damaged => Err(head_fault(dir, None, Fault::BadHead)),
    }
}

/// One pass over all segments.
struct Pass<P> {
    dir: PathBuf,
    head: Link,
    /// The record that the head names, once it has been passed.
    at_head: Option<Link>,
    last: Link,
    /// Before the first record that is there.
    begins: Link,
    /// Whether the log says itself why it begins there.
    explained: Explained,
    /// Records that checkpoints cover: what says that others are gone must be among them.
    signed: u64,
    tree: TreeCheck,
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
    fn new(dir: &Path, head: Link, tree: TreeCheck, progress: P) -> Self {
        Self {
            dir: dir.to_owned(),
            head,
            at_head: (head.sequence == 0).then_some(Link::GENESIS),
            last: Link::GENESIS,
            begins: Link::GENESIS,
            explained: Explained::default(),
            signed: u64::MAX,
            tree,
            end: Place {
                file: Segment::new(dir, 1).path,
                line: 1,
            },
            state: Progress {
                bytes: 0,
                bytes_total: 0,
                records: 0,
            },
            told: 0,
            progress,
        }
    }

    /// Takes up the log where its first segment begins.
    fn begin(&mut self, first: &Segment) -> Result<(), VerifyError> {
        if first.first == 1 {
            return Ok(());
        }
        let beginning = match removal::beginning(first) {
            Ok(beginning) => beginning,
            Err(error) if packed::is_damage(first, &error) => Err(LineFault::Packed),
            Err(error) => return Err(at(&first.path)(error)),
        };
        self.begins =
            beginning.map_err(|what| fault(&first.path, 1, first.first, Fault::Line(what)))?;
        self.last = self.begins;
        if self.head.sequence == self.begins.sequence {
            self.at_head = Some(self.begins);
        }
        self.tree.begin_at(self.begins.sequence)?;
        Ok(())
    }

    /// A log that begins with another record than the first must say why.
    fn check_beginning(&self, first: Option<&Segment>) -> Result<(), VerifyError> {
        let Some(Segment { first, path }) = first.filter(|segment| segment.first > 1) else {
            return Ok(());
        };
        let what = match self.explained {
            Explained::Yes => return Ok(()),
            Explained::Unsigned => Fault::UnsignedRemoval { first: *first },
            Explained::No => Fault::Unexplained { first: *first },
        };
        Err(fault(path, 1, *first, what))
    }

    fn segment(&mut self, segment: &Segment, news: Option<Walk>) -> Result<Walked, VerifyError> {
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
        let mut other_index = false;
        for news in news.into_iter().flatten() {
            match news {
                News::Good(links, bytes) => self.records(&links, bytes),
                News::Removed(by, named) => {
                    self.explained.take((by, &named), &self.begins, self.signed);
                }
                News::OtherIndex => other_index = true,
                News::End(walked) => {
                    let walked = walked.map_err(at(&segment.path))?;
                    self.last = walked.last;
                    self.end = Place {
                        file: segment.path.clone(),
                        line: walked.lines + 1,
                    };
                    if other_index {
                        let file = index::path(&self.dir, segment);
                        return Err(Damage {
                            file,
                            line: 0,
                            sequence: None,
                            what: Fault::Index,
                        }
                        .into());
                    }
                    return Ok(walked);
                }
            }
        }
        // A thread always tells its end, but for one that could not be started or has panicked.
        Err(at(&segment.path)(io::Error::other(
            "the verifier's thread has ended early",
        )))
    }

    fn records(&mut self, links: &[Link], bytes: u64) {
        for link in links {
            self.state.records = link.sequence;
            self.tree.push(link);
            if link.sequence == self.head.sequence {
                self.at_head = Some(*link);
            }
        }
        self.state.bytes += bytes;
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
