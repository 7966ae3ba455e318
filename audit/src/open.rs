//! Opening a log: find its end, prove that it is ours, repair what a crash left, and say so.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::chain::{self, Hash, LineFault, Link};
use crate::encode::LINE_BYTES_MAX;
use crate::fault::{Damage, Fault};
use crate::head::{self, Head};
use crate::index::{self, Ids};
use crate::log::{Log, Options, Resumed};
use crate::log_error::CommitError;
use crate::packed;
use crate::record::{Kind, Record};
use crate::regrow::{check_checkpoints, regrow};
use crate::removal::{self, Explained};
use crate::segment::{self, Disk, FILE_MODE, FileSystem, Segment};
use crate::tiles;
use crate::time::Timestamp;
use crate::walk::{Rest, Walked, walk};

/// Why a log cannot be written to.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Another process writes it: on an upgrade, the old one that still drains. Try again until it has gone.
    #[error("{}: another process writes this audit log; wait for it to end, or give this one another folder", dir.display())]
    Locked {
        /// The folder.
        dir: PathBuf,
    },
    /// The chain is broken. Nothing has been changed.
    #[error("{damage}; keep the folder as evidence and start a new log in another one")]
    Damaged {
        /// Where and what.
        damage: Damage,
    },
    /// A file cannot be read or written.
    #[error("{}: {source}; the audit folder must be writable by the gateway's user", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The `recovered` record cannot be written.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

impl Log {
    /// Opens the log in `dir`, or begins one there. Reads the last segment whole; [`verify`](crate::verify) reads all.
    ///
    /// What a crash left after the last whole record is moved, never deleted, into a file beside the segment (its name
    /// ends in `.torn`), and a `recovered` record says where and how many bytes, at time `now`. It also names the records that the
    /// checkpoint in the folder does not cover: whoever may write the folder could have put them there while nobody wrote it.
    ///
    /// # Errors
    /// [`OpenError::Locked`] while another process has it: nothing is wrong, try again. [`OpenError::Damaged`] when the chain
    /// is broken or ends before `head.json`: nothing has been changed then. Otherwise the file that could not be used.
    pub fn open(dir: &Path, options: Options, now: Timestamp) -> Result<Self, OpenError> {
        Self::open_on(dir, options, now, Box::new(FileSystem))
    }

    pub(crate) fn open_on(
        dir: &Path,
        options: Options,
        now: Timestamp,
        disk: Box<dyn Disk>,
    ) -> Result<Self, OpenError> {
        for folder in [dir, &index::folder(dir)] {
            segment::make_folder(folder).map_err(at(folder))?;
        }
        let lock = lock(dir)?;
        let origin = options.origin.clone();
        let (resumed, moved) = find_end(dir, disk)?;
        let path = resumed.segment.path.clone();
        let mut log = Self::resume(resumed, lock, options).map_err(at(&path))?;
        let last = log.committed().sequence;
        let moved = moved.map(|Moved { bytes, name }| {
            format!("{bytes} bytes after record {last} were no whole record; moved to {name}")
        });
        let unsigned = first_unsigned(dir, last)?.map(|first| {
            format!(
                "records {first} to {last} were under no signed checkpoint: the process was killed, or somebody else wrote them"
            )
        });
        let told: Vec<String> = moved.into_iter().chain(unsigned).collect();
        if !told.is_empty() {
            let record = Record::event(Kind::Recovered, now, origin, told.join("; "));
            // A new buffer always has room for one record, whatever its bound.
            let _sequence = log.append(&record);
            log.commit()?;
        }
        log.write_head()?;
        Ok(log)
    }
}

/// Whether a process has the log open now. `false` also when it cannot be told.
pub(crate) fn is_live(dir: &Path) -> bool {
    let Ok(file) = File::open(dir.join(LOCK)) else {
        return false;
    };
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

pub(crate) fn lock(dir: &Path) -> Result<File, OpenError> {
    let path = dir.join(LOCK);
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(FILE_MODE)
        .open(&path)
        .map_err(at(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::Locked {
            dir: dir.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(OpenError::Io { path, source }),
    }
}

/// What was moved aside.
struct Moved {
    bytes: u64,
    name: String,
}

/// Finds where the log goes on, after checking all that can be checked without reading every segment.
fn find_end(dir: &Path, disk: Box<dyn Disk>) -> Result<(Resumed, Option<Moved>), OpenError> {
    let segments = segment::list(dir).map_err(at(dir))?;
    let head = read_head(dir, !segments.is_empty())?;
    let Some((last, earlier)) = segments.split_last() else {
        return begin(dir, disk, &head).map(|fresh| (fresh, None));
    };
    let before = match earlier.last() {
        Some(segment) => last_link(segment)?,
        None => removal::beginning(last)
            .map_err(at(&last.path))?
            .map_err(|fault| damaged(&last.path, 1, None, Fault::Line(fault)))?,
    };
    let mut newest = Newest::default();
    let walked = check_last(dir, last, &before, &head, &mut newest, earlier.is_empty())?;
    let growth = regrow(dir, &*disk, earlier, &before, &newest.hashes)?;
    check_checkpoints(dir, walked.last.sequence)?;
    check_beginning(dir, &segments, &newest)?;
    let moved = match walked.rest {
        Some(_) => Some(move_aside(&*disk, &last.path, walked.good_bytes).map_err(at(&last.path))?),
        None => None,
    };
    let resumed = Resumed {
        dir: dir.to_owned(),
        disk,
        segment: last.clone(),
        segment_bytes: walked.good_bytes,
        last: walked.last,
        growth,
        ids: newest.ids,
    };
    Ok((resumed, moved))
}

/// A log without a segment: a new one, unless its head says that there were records.
fn begin(dir: &Path, disk: Box<dyn Disk>, head: &Link) -> Result<Resumed, OpenError> {
    let fresh = Resumed::fresh(dir, disk);
    if head.sequence > 0 {
        return Err(damaged(
            &fresh.segment.path,
            1,
            Some(1),
            Fault::Cut {
                head: head.sequence,
            },
        ));
    }
    check_checkpoints(dir, 0)?;
    let folder = tiles::folder(dir);
    segment::make_folder(&folder).map_err(at(&folder))?;
    // The head comes first, so that no crash leaves a segment without one.
    let path = head::path(dir);
    fresh
        .disk
        .replace(&path, &head::write(&Link::GENESIS))
        .map_err(at(&path))?;
    Ok(fresh)
}

/// What the records of the last segment give to the tree and the index.
#[derive(Default)]
struct Newest {
    hashes: Vec<Hash>,
    ids: Ids,
    /// What they name of records that are gone, each with its own number.
    removed: Vec<(u64, Link)>,
}

/// Walks the last segment and gathers what it gives; what it gives is whole, or torn and nothing worse.
fn check_last(
    dir: &Path,
    last: &Segment,
    before: &Link,
    head: &Link,
    newest: &mut Newest,
    is_alone: bool,
) -> Result<Walked, OpenError> {
    let expected = before.sequence.saturating_add(1);
    if last.first != expected {
        return Err(damaged(
            &last.path,
            1,
            Some(expected),
            Fault::Gap { first: last.first },
        ));
    }
    let mut at_head = (head.sequence == before.sequence).then_some(*before);
    let walked = walk(last, *before, &mut |line, link| {
        newest.hashes.push(link.hash);
        newest.ids.add(line);
        let named = removal::named(line);
        newest
            .removed
            .extend(named.map(|named| (link.sequence, named)));
        if link.sequence == head.sequence {
            at_head = Some(*link);
        }
    })
    .map_err(at(&last.path))?;
    let is_explained = || {
        newest
            .removed
            .iter()
            .any(|(_, named)| removal::explains(named, before))
    };
    if is_alone && last.first > 1 && !is_explained() {
        let gap = Fault::Gap { first: last.first };
        return Err(damaged(&last.path, 1, Some(1), gap));
    }
    let (line, next) = (walked.lines + 1, walked.last.sequence.saturating_add(1));
    if let Some(Rest::Damaged(fault)) = walked.rest {
        return Err(damaged(&last.path, line, Some(next), Fault::Line(fault)));
    }
    if head.sequence > walked.last.sequence {
        return Err(damaged(
            &last.path,
            line,
            Some(next),
            Fault::Cut {
                head: head.sequence,
            },
        ));
    }
    // The head is noted before a segment is begun, so it is never older than the end of the segment before this one.
    if at_head != Some(*head) {
        return Err(damaged(
            &head::path(dir),
            1,
            Some(head.sequence),
            Fault::OtherHead,
        ));
    }
    Ok(walked)
}

/// The first record that the checkpoint in the folder does not cover, where there is one and it does not cover all. A clean stop leaves
/// none.
fn first_unsigned(dir: &Path, last: u64) -> Result<Option<u64>, OpenError> {
    let file = head::checkpoint_path(dir);
    let Ok(Some((_, checkpoint))) = head::read_checkpoint(&file).map_err(at(&file))? else {
        return Ok(None);
    };
    let next = checkpoint.head().size.saturating_add(1);
    let segments = segment::list(dir).map_err(at(dir))?;
    // A node that was restored says so itself.
    let is_restored = segments.first().is_some_and(|first| first.first == next);
    Ok((next <= last && !is_restored).then_some(next))
}

/// A log that begins later and whose end nobody has signed yet: what its end says of that does not count.
///
/// What was signed is looked for only where the end says something, which it does when a crash came between a record of a removal and its
/// signature, or when somebody else wrote it. The segments before are not read otherwise: all of them are for the verifier.
fn check_beginning(dir: &Path, segments: &[Segment], newest: &Newest) -> Result<(), OpenError> {
    let Some(first) = segments.first().filter(|segment| segment.first > 1) else {
        return Ok(());
    };
    let file = head::checkpoint_path(dir);
    let Ok(Some((_, checkpoint))) = head::read_checkpoint(&file).map_err(at(&file))? else {
        return Ok(());
    };
    let signed = checkpoint.head().size;
    let Ok(beginning) = removal::beginning(first).map_err(at(&first.path))? else {
        return Ok(());
    };
    // As `restore` leaves it: it says openly that it begins anew, and behind what.
    let is_restored = first.first == signed.saturating_add(1)
        && removal::begins_restored(first).map_err(at(&first.path))?;
    let mut explained = Explained::default();
    for (by, named) in &newest.removed {
        explained.take((*by, named), &beginning, signed);
    }
    if explained != Explained::Unsigned || is_restored {
        return Ok(());
    }
    for segment in segments {
        let Ok(before) = removal::beginning(segment).map_err(at(&segment.path))? else {
            continue;
        };
        walk(segment, before, &mut |line, link| {
            if let Some(named) = removal::named(line) {
                explained.take((link.sequence, &named), &beginning, signed);
            }
        })
        .map_err(at(&segment.path))?;
    }
    match explained {
        Explained::Yes => Ok(()),
        Explained::No | Explained::Unsigned => Err(damaged(
            &first.path,
            1,
            Some(first.first),
            Fault::UnsignedRemoval { first: first.first },
        )),
    }
}

/// The head; it must be there once there is a segment.
fn read_head(dir: &Path, has_segments: bool) -> Result<Link, OpenError> {
    let path = head::path(dir);
    match head::read(dir).map_err(at(&path))? {
        Head::Link(link) => Ok(link),
        Head::Missing if !has_segments => Ok(Link::GENESIS),
        Head::Missing => Err(damaged(&path, 1, None, Fault::NoHead)),
        Head::OtherVersion => Err(damaged(&path, 1, None, LineFault::Version.into())),
        Head::Damaged => Err(damaged(&path, 1, None, Fault::BadHead)),
    }
}

/// The last record of a finished segment, checked by itself.
pub(crate) fn last_link(segment: &Segment) -> Result<Link, OpenError> {
    let line = match last_line(segment) {
        Ok(line) => line,
        Err(error) if packed::is_damage(segment, &error) => {
            let fault = Fault::Line(LineFault::Packed);
            return Err(damaged(&segment.path, 0, None, fault));
        }
        Err(error) => return Err(at(&segment.path)(error)),
    };
    chain::open(&line)
        .map(|(link, _)| link)
        .map_err(|fault| damaged(&segment.path, 0, None, Fault::Line(fault)))
}

/// The last line of a finished segment, empty when its end is not that of a line.
pub(crate) fn last_line(segment: &Segment) -> io::Result<Vec<u8>> {
    let mut tail = if segment.is_packed() {
        read_packed_tail(segment)?
    } else {
        match read_tail(&segment.path) {
            // Packed since it was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => read_packed_tail(segment)?,
            tail => tail?,
        }
    };
    if tail.pop() != Some(b'\n') {
        return Ok(Vec::new());
    }
    let start = tail.iter().rposition(|byte| *byte == b'\n');
    Ok(tail.split_off(start.map_or(0, |end| end + 1)))
}

/// At least the last `LINE_BYTES_MAX` bytes of what was compressed, which has to be unpacked from its beginning.
fn read_packed_tail(segment: &Segment) -> io::Result<Vec<u8>> {
    let mut content = packed::open(segment)?;
    let mut tail = Vec::new();
    loop {
        let read = (&mut content)
            .take(LINE_BYTES_MAX as u64)
            .read_to_end(&mut tail)?;
        let surplus = tail.len().saturating_sub(LINE_BYTES_MAX);
        tail.drain(..surplus);
        if read == 0 {
            return Ok(tail);
        }
    }
}

/// At most the last `LINE_BYTES_MAX` bytes of a file.
fn read_tail(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(
        length.saturating_sub(LINE_BYTES_MAX as u64),
    ))?;
    let mut tail = Vec::new();
    file.take(LINE_BYTES_MAX as u64).read_to_end(&mut tail)?;
    Ok(tail)
}

/// Copies what stands after `good_bytes` into a file of its own, and then cuts it off. A crash between the two leaves
/// the copy and does it again under the next free name.
fn move_aside(disk: &dyn Disk, path: &Path, good_bytes: u64) -> io::Result<Moved> {
    let free = (1..=TORN_COPIES_MAX)
        .map(|attempt| path.with_extension(format!("{good_bytes}.{attempt}.torn")))
        .find(|copy| !copy.exists());
    let copy_path = free.ok_or(io::ErrorKind::AlreadyExists)?;
    let mut copy = disk.open(&copy_path)?;
    let mut torn = File::open(path)?;
    torn.seek(SeekFrom::Start(good_bytes))?;
    let (mut bytes, mut buffer) = (0, vec![0; LINE_BYTES_MAX]);
    loop {
        let count = torn.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        copy.write(buffer.get(..count).unwrap_or_default(), bytes)?;
        bytes += count as u64;
    }
    copy.sync()?;
    let mut segment = disk.open(path)?;
    segment.cut(good_bytes)?;
    segment.sync()?;
    let name = copy_path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    Ok(Moved { bytes, name })
}

pub(crate) fn damaged(file: &Path, line: u64, sequence: Option<u64>, what: Fault) -> OpenError {
    OpenError::Damaged {
        damage: Damage {
            file: file.to_owned(),
            line,
            sequence,
            what,
        },
    }
}

pub(crate) fn at(path: &Path) -> impl FnOnce(io::Error) -> OpenError {
    |source| OpenError::Io {
        path: path.to_owned(),
        source,
    }
}

/// The file whose lock is the right to write.
const LOCK: &str = "lock";
const TORN_COPIES_MAX: u32 = 1_000;
