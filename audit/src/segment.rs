//! The files of a log, and the few things done to them.
//!
//! Writing goes through two small traits, so that a test can be a full disk: what happens when a write stops half-way is
//! the part of a log that nobody sees until it matters.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::packed;
use crate::room;

/// A file of records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Sequence number of its first record; also its name.
    pub(crate) first: u64,
    pub(crate) path: PathBuf,
}

impl Segment {
    pub(crate) fn new(dir: &Path, first: u64) -> Self {
        Self {
            first,
            path: dir.join(format!("{PREFIX}{first:012}{SUFFIX}")),
        }
    }

    /// Whether this is the compressed form.
    pub(crate) fn is_packed(&self) -> bool {
        self.path.extension().is_some_and(|ending| ending == "zst")
    }

    /// Bytes of its file, 0 when it is gone by now.
    pub(crate) fn bytes(&self) -> u64 {
        let size = |path: &Path| path.metadata().map(|file| file.len());
        size(&self.path)
            .or_else(|_| size(&packed::packed_path(&self.path)))
            .unwrap_or_default()
    }
}

/// The segments of a folder in order, plain or packed. Files with other names are nobody's concern here.
pub(crate) fn list(dir: &Path) -> io::Result<Vec<Segment>> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let path = entry.path();
        let first = path
            .file_name()
            .and_then(|name| name.to_str())
            .and_then(|name| {
                let name = name.strip_prefix(PREFIX)?;
                name.strip_suffix(PACKED)
                    .unwrap_or(name)
                    .strip_suffix(SUFFIX)?
                    .parse()
                    .ok()
            });
        // A pipe of that name would let whoever reads it wait for ever: no file is a segment that is missing.
        if let Some(first) = first.filter(|_| is_file(&entry)) {
            // One number has one spelling; `audit-1.jsonl` is not ours.
            let plain = Segment::new(dir, first).path;
            if plain == path || packed::packed_path(&plain) == path {
                segments.push(Segment { first, path });
            }
        }
    }
    segments.sort_by(|one, other| (one.first, &one.path).cmp(&(other.first, &other.path)));
    // While a segment is packed both forms are there: the plain one comes first and counts.
    segments.dedup_by_key(|segment| segment.first);
    Ok(segments)
}

fn is_file(entry: &fs::DirEntry) -> bool {
    match entry.file_type() {
        Ok(kind) if kind.is_symlink() => entry.path().is_file(),
        Ok(kind) => kind.is_file(),
        // Opening it will say why.
        Err(_) => true,
    }
}

/// Where a log is written.
pub(crate) trait Disk: fmt::Debug + Send {
    /// Opens a file, making it when it is not there; a new one has its name safely on the disk afterwards.
    fn open(&self, path: &Path) -> io::Result<Box<dyn Tape>>;
    /// Replaces a small file as a whole: afterwards it holds the old bytes or the new ones, whatever happens.
    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
}

/// A file being written.
pub(crate) trait Tape: fmt::Debug + Send {
    /// Writes all of `bytes` at `offset`. After an error any part of them may be there.
    fn write(&mut self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Makes what was written survive a loss of power.
    fn sync(&mut self) -> io::Result<()>;
    /// Cuts the file to `length`, and gives back what was reserved beyond.
    fn cut(&mut self, length: u64) -> io::Result<()>;
    /// Keeps room for the bytes from `from`, where the file ends, to `to`, and leaves its length as it is; all of it or none.
    fn reserve(&mut self, from: u64, to: u64) -> io::Result<()>;
}

/// The file system.
#[derive(Debug)]
pub(crate) struct FileSystem;

impl Disk for FileSystem {
    fn open(&self, path: &Path) -> io::Result<Box<dyn Tape>> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(FILE_MODE)
            .open(path)?;
        sync_parent(path)?;
        Ok(Box::new(FileTape(file)))
    }

    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let new = path.with_extension("new");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(FILE_MODE)
            .open(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        sync_parent(path)
    }
}

#[derive(Debug)]
struct FileTape(File);

impl Tape for FileTape {
    fn write(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    fn reserve(&mut self, from: u64, to: u64) -> io::Result<()> {
        room::reserve(&self.0, from, to)
    }
}

/// Makes the folder of a log, and those above it, when it is missing.
pub(crate) fn make_folder(dir: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(FOLDER_MODE)
        .create(dir)
}

/// Makes the names in the folder of `path` survive a loss of power.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent()
        .map_or(Ok(()), |dir| File::open(dir)?.sync_all())
}

/// Readable by the group, so that a SOC's agent needs no rights of the gateway; writable by the gateway only.
pub(crate) const FILE_MODE: u32 = 0o640;
const FOLDER_MODE: u32 = 0o750;
const PREFIX: &str = "audit-";
const SUFFIX: &str = ".jsonl";
const PACKED: &str = ".zst";
