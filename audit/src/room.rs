//! The room of a segment, kept for it before it is needed.
//!
//! A disk that somebody else fills must not take from the log what it was counting on. So the blocks of a whole segment are asked of the
//! file system when it is begun. They lie beyond the end of the file: its length stays that of its records, and whoever reads it finds
//! nothing else.

use std::fs::File;
use std::io;

use rustix::fs::{FallocateFlags, fallocate, fstatvfs};

/// Whether the room of the open segment is kept for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reservation {
    /// Up to the bound of a segment.
    Held,
    /// The disk has not so much; the records take what there is.
    NoRoom,
    /// The file system keeps no room, or not now.
    Unsupported,
}

impl Reservation {
    pub(crate) fn of(reserved: &io::Result<()>) -> Self {
        match reserved {
            Ok(()) => Self::Held,
            Err(error) if error.kind() == io::ErrorKind::StorageFull => Self::NoRoom,
            Err(error) if error.kind() == io::ErrorKind::QuotaExceeded => Self::NoRoom,
            Err(_) => Self::Unsupported,
        }
    }
}

/// Keeps the blocks from byte `from`, where the file ends, to byte `to`; all of them, or none.
pub(crate) fn reserve(file: &File, from: u64, to: u64) -> io::Result<()> {
    let bytes = to.saturating_sub(from);
    if bytes == 0 {
        return Ok(());
    }
    // What is granted in part would fill the disk: asked first, so that others are not left without any.
    let system = fstatvfs(file)?;
    let free = system.f_bavail.saturating_mul(system.f_frsize);
    if free < bytes.saturating_add(LEFT_BYTES) {
        return Err(io::ErrorKind::StorageFull.into());
    }
    fallocate(file, FallocateFlags::KEEP_SIZE, from, bytes)
        .inspect_err(|_| {
            // What was granted in part, if it was; when even that fails it goes at the end of the segment.
            let _kept = file.set_len(from);
        })
        .map_err(io::Error::from)
}

/// Left to the small files beside the segment, without which it cannot be followed by another: head, tree, index, checkpoint.
const LEFT_BYTES: u64 = 16 * 1024 * 1024;
