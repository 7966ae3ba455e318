//! Finished segments, compressed: the bytes of the segment as one zstd frame (RFC 8878), with its checksum, in a file of the segment's
//! name and `.zst`.
//!
//! Reading is the same for both forms, so nothing else has to know. While a segment is packed both files are there and the plain one
//! counts; it is removed by a later call, so that a reader who lists the folder meanwhile always finds one of them.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::segment::{self, FILE_MODE, Segment};

/// What a segment holds, whatever its form.
pub(crate) enum Content {
    Plain(File),
    /// Finished: nothing is written to it any more.
    Packed(Box<dyn Read + Send>),
}

impl Content {
    /// Goes back by so many bytes, to read anew what may be another by then.
    pub(crate) fn back(&mut self, bytes: usize) -> io::Result<()> {
        match self {
            Self::Plain(file) => {
                let bytes = i64::try_from(bytes).map_err(io::Error::other)?;
                file.seek(SeekFrom::Current(-bytes)).map(drop)
            }
            Self::Packed(_) => Err(ErrorKind::NotSeekable.into()),
        }
    }
}

impl Read for Content {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.read(buffer),
            Self::Packed(content) => content.read(buffer),
        }
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Content")
    }
}

/// Opens a segment for reading; one that was packed since it was listed is found all the same.
pub(crate) fn open(segment: &Segment) -> io::Result<Content> {
    let packed = |path: &Path| {
        let mut decoder = zstd::Decoder::new(File::open(path)?)?;
        decoder.window_log_max(WINDOW_LOG_MAX)?;
        Ok(Content::Packed(Box::new(decoder)))
    };
    if segment.is_packed() {
        return packed(&segment.path);
    }
    match File::open(&segment.path) {
        Ok(file) => Ok(Content::Plain(file)),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            packed(&packed_path(&segment.path)).map_err(|_| error)
        }
        Err(error) => Err(error),
    }
}

/// Whether reading failed because of what the file holds, not because of the disk: the decoder's errors come without a number
/// of the system.
pub(crate) fn is_damage(segment: &Segment, error: &io::Error) -> bool {
    segment.is_packed() && error.raw_os_error().is_none()
}

/// What one call of [`pack`] has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Packed {
    /// Segments that were compressed.
    pub segments: u64,
    /// Their bytes before.
    pub bytes_before: u64,
    /// Their bytes after.
    pub bytes_after: u64,
    /// Plain files removed, of segments that an earlier call had compressed.
    pub removed: u64,
}

/// Compresses the finished segments of the log in `dir`; the last one is being written. `goes_on` is asked before each.
/// A segment is only replaced once its packed form was read back and is byte for byte the same.
///
/// # Errors
/// The file that could not be read or written; the segment stays as it is then.
pub fn pack(dir: &Path, mut goes_on: impl FnMut() -> bool) -> io::Result<Packed> {
    let mut done = Packed::default();
    let segments = segment::list(dir)?;
    let Some((_, finished)) = segments.split_last() else {
        return Ok(done);
    };
    for segment in finished.iter().filter(|segment| !segment.is_packed()) {
        if !goes_on() {
            break;
        }
        let target = packed_path(&segment.path);
        if target.exists() && same(&segment.path, &target)? {
            fs::remove_file(&segment.path)?;
            segment::sync_parent(&segment.path)?;
            done.removed += 1;
            continue;
        }
        let (before, after) = compress(&segment.path, &target)?;
        done.segments += 1;
        done.bytes_before += before;
        done.bytes_after += after;
    }
    Ok(done)
}

fn compress(from: &Path, to: &Path) -> io::Result<(u64, u64)> {
    let new = to.with_extension("zst.new");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(FILE_MODE)
        .open(&new)?;
    let mut encoder = zstd::Encoder::new(file, LEVEL)?;
    encoder.include_checksum(true)?;
    let before = io::copy(&mut File::open(from)?, &mut encoder)?;
    let mut file = encoder.finish()?;
    file.flush()?;
    file.sync_all()?;
    if !same(from, &new)? {
        return Err(io::Error::other("what was compressed reads differently"));
    }
    let after = file.metadata()?.len();
    fs::rename(&new, to)?;
    segment::sync_parent(to)?;
    Ok((before, after))
}

/// Whether a packed file holds exactly what a plain one does.
fn same(plain: &Path, packed: &Path) -> io::Result<bool> {
    let mut plain = BufReader::with_capacity(COMPARE_BYTES, File::open(plain)?);
    let mut packed = zstd::Decoder::new(File::open(packed)?)?;
    let (mut left, mut right) = (vec![0; COMPARE_BYTES], vec![0; COMPARE_BYTES]);
    loop {
        let expected = fill(&mut plain, &mut left)?;
        // A packed file that cannot be read is not the same: it is made again.
        let Ok(found) = fill(&mut packed, &mut right) else {
            return Ok(false);
        };
        if left.get(..expected) != right.get(..found) {
            return Ok(false);
        }
        if expected == 0 {
            return Ok(true);
        }
    }
}

/// Reads until the buffer is full or the source has ended.
fn fill(source: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match source.read(rest) {
            Ok(0) => break,
            Ok(bytes) => filled += bytes,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// `….jsonl` → `….jsonl.zst`.
pub(crate) fn packed_path(plain: &Path) -> PathBuf {
    let mut name = plain.as_os_str().to_owned();
    name.push(".zst");
    PathBuf::from(name)
}

/// Half the time of the next level for a few per cent more bytes.
const LEVEL: i32 = 3;
/// Memory that a file may make a reader take: 8 MiB, as our own level does at most.
const WINDOW_LOG_MAX: u32 = 23;
const COMPARE_BYTES: usize = 256 * 1024;
