//! A sink's place in the log: `ship/NAME.json` in the audit folder, and `ship/NAME.lock`, held by whoever ships.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use hangu_audit::{Cursor, CursorError};

/// The last record that the sink `name` of the log in `audit` was delivered, 0 for none.
///
/// # Errors
/// When its place cannot be read.
pub fn delivered(audit: &Path, name: &str) -> Result<u64, CursorError> {
    Cursor::delivered_in(&cursor(audit, name))
}

pub(super) fn cursor(audit: &Path, name: &str) -> PathBuf {
    folder(audit).join(format!("{name}.json"))
}

/// The lock of a sink, open and not yet held: while an upgrade lasts, two processes have the same sinks.
pub(super) fn lock(audit: &Path, name: &str) -> io::Result<File> {
    let folder = folder(audit);
    if !folder.is_dir() {
        DirBuilder::new()
            .recursive(true)
            .mode(FOLDER_MODE)
            .create(&folder)?;
        // The name of a new folder, for after a loss of power.
        File::open(audit)?.sync_all()?;
    }
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(FILE_MODE)
        .open(folder.join(format!("{name}.lock")))
}

fn folder(audit: &Path) -> PathBuf {
    audit.join("ship")
}

const FOLDER_MODE: u32 = 0o750;
const FILE_MODE: u32 = 0o640;
