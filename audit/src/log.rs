//! The writer: one for each folder.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::chain::{Algorithm, Link, fields, seal};
use crate::encode::{begin, body};
use crate::head;
use crate::index::{self, Ids};
use crate::log_error::{AppendError, CommitError, Outlook};
use crate::note::Note;
use crate::record::{Origin, Record};
use crate::room::Reservation;
use crate::segment::{self, Disk, Segment, Tape};
use crate::tiles::{self, Growth};
use crate::tree::{Frontier, TreeHead};

/// How a log is written.
#[derive(Clone, Debug)]
pub struct Options {
    /// Who writes; stands in the `recovered` record.
    pub origin: Arc<Origin>,
    /// A segment that has reached this many bytes is followed by a new one; it can be longer by one commit.
    pub segment_bytes_max: u64,
    /// Most bytes that may be appended and not yet committed; memory is bounded by about this.
    pub pending_bytes_max: usize,
}

impl Options {
    /// Segments of 64 MiB, 16 MiB pending.
    #[must_use]
    pub fn new(origin: Arc<Origin>) -> Self {
        Self {
            origin,
            segment_bytes_max: 64 * 1024 * 1024,
            pending_bytes_max: 16 * 1024 * 1024,
        }
    }
}

/// The open end of a log. Holds the lock of its folder until it is dropped.
///
/// `append` puts a record into memory, `commit` puts all that was appended onto the disk. Dropping a log commits
/// nothing; [`close`](Self::close) does.
#[derive(Debug)]
pub struct Log {
    dir: PathBuf,
    options: Options,
    disk: Box<dyn Disk>,
    tape: Box<dyn Tape>,
    segment: Segment,
    /// Bytes of the segment that are on the disk for good.
    segment_bytes: u64,
    /// The tape may hold more than `segment_bytes`.
    is_untidy: bool,
    reservation: Reservation,
    /// The disk has lost what it had taken, and there was no going on elsewhere.
    is_over: bool,
    committed: Link,
    /// Lines after `committed`, and the link after the last of them.
    pending: Vec<u8>,
    appended: Link,
    growth: Growth,
    /// Of the records in this segment.
    ids: Ids,
    /// Of those that are pending.
    pending_ids: Ids,
    /// Bytes committed since the head was last written.
    unheaded_bytes: u64,
    /// Held, never read.
    _lock: File,
}

impl Log {
    /// Puts a record after the last one, in memory; it is durable after the next [`commit`](Self::commit) that succeeds.
    /// Gives its sequence number. Costs its serialisation and hash, and no allocation once the buffer has grown.
    ///
    /// # Errors
    /// [`AppendError::Full`] when `pending_bytes_max` is reached; the record has not been taken then.
    pub fn append(&mut self, record: &Record) -> Result<u64, AppendError> {
        self.append_with(|sequence, algorithm, out| body(record, sequence, algorithm, out))
    }

    /// Puts what a line of another log says after the last record; a line that is none says nothing.
    pub(crate) fn append_again(&mut self, line: &[u8]) -> Result<u64, AppendError> {
        self.append_with(|sequence, algorithm, out| {
            begin(sequence, algorithm, out);
            out.extend_from_slice(fields(line).unwrap_or_default());
        })
    }

    fn append_with(
        &mut self,
        write: impl FnOnce(u64, Option<Algorithm>, &mut Vec<u8>),
    ) -> Result<u64, AppendError> {
        if self.pending.len() >= self.options.pending_bytes_max {
            return Err(AppendError::Full {
                pending_bytes: self.pending.len(),
                pending_bytes_max: self.options.pending_bytes_max,
            });
        }
        let (start, sequence) = (self.pending.len(), self.appended.sequence.saturating_add(1));
        let algorithm = self.opens_segment().then_some(Algorithm::Sha256);
        write(sequence, algorithm, &mut self.pending);
        let hash = seal(&mut self.pending, start, &self.appended.hash);
        self.appended = Link { sequence, hash };
        self.growth.push(&hash);
        self.pending_ids
            .add(self.pending.get(start..).unwrap_or_default());
        Ok(sequence)
    }

    /// Writes all that was appended and waits until the disk has it (`fdatasync`). Gives the last durable sequence
    /// number. Starts a new segment first when this one is full; without pending records it does nothing.
    ///
    /// # Errors
    /// Nothing of what is pending is durable then, and all of it stays pending: call `commit` again, as often as it takes,
    /// and do not append the same records again. The file is cut back to its last committed record, so a full disk leaves
    /// no torn line; if even that fails, the next call does it first.
    ///
    /// A sync that fails ends the segment: what the system had taken may be lost although the next sync succeeds. The segment is cut
    /// back and the records are written to a new one; when that fails too, the error is [`Outlook::Over`].
    pub fn commit(&mut self) -> Result<u64, CommitError> {
        self.commit_telling(|| {})
    }

    /// [`commit`](Self::commit), and tells `written` as soon as all of it has been handed to the system: from then on it outlives the
    /// process, though not yet a loss of power.
    ///
    /// # Errors
    /// As for [`commit`](Self::commit); `written` may have been called.
    pub fn commit_telling(&mut self, written: impl FnOnce()) -> Result<u64, CommitError> {
        if self.pending.is_empty() {
            return Ok(self.committed.sequence);
        }
        if self.is_over {
            return Err(self.over(io::Error::other("a sync has failed before")));
        }
        self.tidy()?;
        if self.is_full() {
            self.rotate()?;
        }
        // The tree first: once the records are durable, so is their place in the tree, or it follows from them.
        self.growth
            .write(&*self.disk)
            .map_err(|source| self.failed_tree("write", source))?;
        self.is_untidy = true;
        if let Err(source) = self.tape.write(&self.pending, self.segment_bytes) {
            let error = self.failed("write", source);
            // Best effort: `is_untidy` stays set when it fails, and the first error is the one to tell.
            let _later = self.tidy();
            return Err(error);
        }
        written();
        if let Err(source) = self.tape.sync() {
            self.go_on_elsewhere(source)?;
        }
        self.is_untidy = false;
        self.segment_bytes += self.pending.len() as u64;
        self.unheaded_bytes += self.pending.len() as u64;
        self.committed = self.appended;
        self.growth.settle();
        self.ids.append(&mut self.pending_ids);
        self.pending.clear();
        if self.pending.capacity() > PENDING_BYTES_KEPT {
            self.pending.shrink_to(PENDING_BYTES_KEPT);
        }
        if self.unheaded_bytes >= HEAD_EVERY_BYTES {
            // The records are durable, so a head that lags is no reason to fail; `close` and `rotate` do insist.
            let _later = self.write_head();
        }
        Ok(self.committed.sequence)
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) const fn options(&self) -> &Options {
        &self.options
    }

    /// The last record that is durable.
    #[must_use]
    pub const fn committed(&self) -> Link {
        self.committed
    }

    /// Whether the segment still stands where it was opened and holds at least what was committed. Writing to a file that somebody has
    /// removed succeeds, and nobody ever reads it.
    #[must_use]
    pub fn is_in_place(&self) -> bool {
        let there = std::fs::metadata(&self.segment.path);
        there.is_ok_and(|there| there.len() >= self.segment_bytes)
    }

    /// First record of the segment that is being written: another one after each rotation.
    #[must_use]
    pub const fn segment_first(&self) -> u64 {
        self.segment.first
    }

    /// Bytes of that segment that are on the disk.
    #[must_use]
    pub const fn segment_bytes(&self) -> u64 {
        self.segment_bytes
    }

    /// Whether the room of that segment is kept for it.
    #[must_use]
    pub const fn reservation(&self) -> Reservation {
        self.reservation
    }

    /// Bytes of the disk that are kept for what will be written to that segment.
    #[must_use]
    pub const fn reserved_bytes(&self) -> u64 {
        match self.reservation {
            Reservation::Held => self
                .options
                .segment_bytes_max
                .saturating_sub(self.segment_bytes),
            Reservation::NoRoom | Reservation::Unsupported => 0,
        }
    }

    /// Asks for the room of the open segment, unless it is held. Done by itself when a segment is begun or gone on with; a caller with a clock
    /// does it again where there was none.
    pub fn reserve(&mut self) -> Reservation {
        if self.reservation != Reservation::Held {
            let to = self.options.segment_bytes_max;
            let reserved = self.tape.reserve(self.segment_bytes, to);
            self.reservation = Reservation::of(&reserved);
        }
        self.reservation
    }

    /// Bytes that wait for a commit.
    #[must_use]
    pub fn pending_bytes(&self) -> usize {
        self.pending.len()
    }

    /// Notes in `head.json` how far the log is, so that a tail cut off later is seen. Done by itself at each rotation,
    /// every few MiB and on [`close`](Self::close); a caller with a clock does it each minute as well.
    ///
    /// # Errors
    /// When the file cannot be replaced; the old one is still whole.
    pub fn write_head(&mut self) -> Result<(), CommitError> {
        let path = head::path(&self.dir);
        match self.disk.replace(&path, &head::write(&self.committed)) {
            Ok(()) => {
                self.unheaded_bytes = 0;
                Ok(())
            }
            Err(source) => Err(failed_at(path, "replace")(source)),
        }
    }

    /// Size and root of the tree over all durable records: what a [`Checkpoint`](crate::checkpoint::Checkpoint) promises. Its
    /// leaf hashes are the chain hashes of the records.
    #[must_use]
    pub fn tree_head(&self) -> TreeHead {
        self.growth.head()
    }

    /// Keeps a signed checkpoint of this log, with whatever cosignatures it has by now, in the file `checkpoint`. From then on
    /// the log is not opened again if it does not continue it.
    ///
    /// # Errors
    /// When the file cannot be replaced; the old one is still whole.
    pub fn write_checkpoint(&mut self, note: &Note) -> Result<(), CommitError> {
        let path = head::checkpoint_path(&self.dir);
        self.disk
            .replace(&path, note.to_string().as_bytes())
            .map_err(failed_at(path, "replace"))
    }

    /// Commits what is pending, notes the head and gives up the lock.
    ///
    /// # Errors
    /// With the log itself, so that the caller can try again.
    pub fn close(mut self) -> Result<Link, (Box<Self>, CommitError)> {
        match self.commit().and_then(|_| self.write_head()) {
            Ok(()) => {
                self.release();
                Ok(self.committed)
            }
            Err(error) => Err((Box::new(self), error)),
        }
    }

    pub(crate) fn resume(from: Resumed, lock: File, options: Options) -> io::Result<Self> {
        let Resumed {
            dir,
            disk,
            segment,
            segment_bytes,
            last,
            growth,
            ids,
        } = from;
        let mut tape = disk.open(&segment.path)?;
        // A process that was killed may have left records that are whole and not on the disk yet; from here on they count
        // as committed.
        tape.sync()?;
        let reserved = tape.reserve(segment_bytes, options.segment_bytes_max);
        Ok(Self {
            dir,
            options,
            disk,
            tape,
            segment,
            segment_bytes,
            is_untidy: false,
            reservation: Reservation::of(&reserved),
            is_over: false,
            committed: last,
            pending: Vec::new(),
            appended: last,
            growth,
            ids,
            pending_ids: Ids::default(),
            unheaded_bytes: 0,
            _lock: lock,
        })
    }

    /// Whether the next commit begins another segment first.
    const fn is_full(&self) -> bool {
        self.segment_bytes >= self.options.segment_bytes_max
    }

    /// Whether the next record is the first of its segment, whose header it bears.
    const fn opens_segment(&self) -> bool {
        self.pending.is_empty() && (self.segment_bytes == 0 || self.is_full())
    }

    /// After a failed sync: the same records in a new segment, or the end of this log.
    fn go_on_elsewhere(&mut self, source: io::Error) -> Result<(), CommitError> {
        let error = self.over(source);
        // The next segment would have the name of this one.
        if self.segment_bytes > 0 && self.begin_again().is_ok() {
            return Ok(());
        }
        self.is_over = true;
        // What was said to outlive the process does, unless the disk takes it away: handed over once more, wherever it was cut.
        let _lost = self.tape.write(&self.pending, self.segment_bytes);
        Err(error)
    }

    /// Ends the segment with its last committed record and writes what is pending to the next.
    fn begin_again(&mut self) -> Result<(), CommitError> {
        self.tidy()?;
        // Else a loss of power could bring back what is written to the next segment now.
        self.sync()?;
        self.rotate()?;
        self.tape
            .write(&self.pending, 0)
            .map_err(|source| self.failed("write", source))?;
        self.sync()
    }

    fn sync(&mut self) -> Result<(), CommitError> {
        self.tape
            .sync()
            .map_err(|source| self.failed("sync", source))
    }

    /// Cuts off what a failed commit left behind.
    fn tidy(&mut self) -> Result<(), CommitError> {
        if self.is_untidy {
            self.tape
                .cut(self.segment_bytes)
                .map_err(|source| self.failed("cut back", source))?;
            self.is_untidy = false;
            // Cut off with the rest.
            self.reservation = Reservation::NoRoom;
            self.reserve();
        }
        Ok(())
    }

    /// Gives back the room that the segment did not need, also what a process before this one kept for it. What cannot be given back
    /// stays with the file until that is removed.
    fn release(&mut self) {
        let _kept = self.tape.cut(self.segment_bytes);
        self.reservation = Reservation::NoRoom;
    }

    /// Goes on in a new segment; on an error everything is as before.
    fn rotate(&mut self) -> Result<(), CommitError> {
        // What was committed is never written again after this, neither in the segment nor in the tree.
        if let Err(source) = self.growth.sync() {
            self.is_over = true;
            return Err(CommitError {
                outlook: Outlook::Over,
                ..self.failed_tree("sync", source)
            });
        }
        let index = index::path(&self.dir, &self.segment);
        // Made again when somebody has removed it: what only helps must not stop what matters.
        segment::make_folder(&index::folder(&self.dir))
            .and_then(|()| self.disk.replace(&index, &self.ids.filter()))
            .map_err(failed_at(index, "replace"))?;
        self.write_head()?;
        let segment = Segment::new(&self.dir, self.committed.sequence.saturating_add(1));
        let tape = self
            .disk
            .open(&segment.path)
            .map_err(failed_at(segment.path.clone(), "create"))?;
        self.release();
        self.tape = tape;
        self.segment = segment;
        self.segment_bytes = 0;
        self.reservation = Reservation::NoRoom;
        self.reserve();
        self.ids.clear();
        Ok(())
    }

    fn failed_tree(&self, what: &'static str, source: io::Error) -> CommitError {
        failed_at(tiles::folder(&self.dir), what)(source)
    }

    fn failed(&self, what: &'static str, source: io::Error) -> CommitError {
        failed_at(self.segment.path.clone(), what)(source)
    }

    fn over(&self, source: io::Error) -> CommitError {
        CommitError {
            outlook: Outlook::Over,
            ..self.failed("sync", source)
        }
    }
}

/// What failed, and may not the next time.
fn failed_at(path: PathBuf, what: &'static str) -> impl FnOnce(io::Error) -> CommitError {
    move |source| CommitError {
        path,
        what,
        source,
        outlook: Outlook::Waits,
    }
}

/// Where a log goes on, as found by `open`.
#[derive(Debug)]
pub(crate) struct Resumed {
    pub(crate) dir: PathBuf,
    pub(crate) disk: Box<dyn Disk>,
    pub(crate) segment: Segment,
    pub(crate) segment_bytes: u64,
    pub(crate) last: Link,
    pub(crate) growth: Growth,
    pub(crate) ids: Ids,
}

impl Resumed {
    /// A log that has no record yet.
    pub(crate) fn fresh(dir: &Path, disk: Box<dyn Disk>) -> Self {
        Self {
            dir: dir.to_owned(),
            disk,
            segment: Segment::new(dir, 1),
            segment_bytes: 0,
            last: Link::GENESIS,
            growth: Growth::of(dir, Frontier::new()),
            ids: Ids::default(),
        }
    }
}

/// At most so many bytes of records can be cut off unseen while the process runs.
const HEAD_EVERY_BYTES: u64 = 4 * 1024 * 1024;

/// After a burst the buffer is given back down to this.
const PENDING_BYTES_KEPT: usize = 1024 * 1024;
