//! Backup and restore of one node: its configuration, everything that this names, and where its audit log stands, in one signed archive.
//!
//! The archive is a tar file (POSIX ustar) of plain files, always written in one way, so that one archive has one content:
//!
//! ```text
//! manifest     JSON: what is in the archive, each file with its place, length and SHA-256
//! signature    a signed note (C2SP) over the manifest's SHA-256
//! files/00001  the files of the manifest, in its order
//! ```
//!
//! Keys are not in it: the manifest names them, and the operator puts them back. With a passphrase they are, each sealed by AES-256-GCM
//! under a key that PBKDF2 makes of the passphrase. Nothing is compressed, so an archive is never larger than it looks.
//!
//! `restore` proves the signature and every byte first, writes into a folder beside the target, and puts that in its place at the end.
//! The log's segments are no part of a backup: they are shipped and archived. What is, is enough to go on: the tree, the checkpoints
//! and the last link of the chain. The restored log begins behind them with a `restored` record.

mod archive;
mod gather;
mod manifest;
mod restore;
mod seal;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};

pub use gather::{BackedUp, backup};
pub use restore::{Proven, Restored, Target, places, prove, restore};
pub use seal::Passphrase;

/// A backup cannot be made, proven or restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file changed while it was read.
    #[error("{}: changed while the backup was made; make it again", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The audit log does not hold what its checkpoint covers.
    #[error("{}: {what}; run `hangu audit verify` on the folder", path.display())]
    Log {
        /// The folder.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The archive is not as it was written.
    #[error("the archive is damaged at byte {at}: {what}; take another copy of it")]
    Damaged {
        /// Where.
        at: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// Nobody whom we know has signed it.
    #[error("no given key has signed the archive; check the key, or somebody else made it")]
    Unsigned,
    /// Its content is not what its manifest says.
    #[error("file `{name}` of the archive is not what its manifest says; take another copy of it")]
    Content {
        /// Which.
        name: String,
    },
    /// The manifest cannot be followed.
    #[error("the manifest of the archive cannot be used: {0}")]
    Manifest(String),
    /// There are keys in it.
    #[error("the archive holds sealed keys; give their passphrase with `--passphrase-file`")]
    NoPassphrase,
    /// The passphrase is too short or not the right one.
    #[error("{0}")]
    Passphrase(&'static str),
    /// Something is there already.
    #[error("{}: is not empty; name another folder, or move it aside with `--replace`", path.display())]
    Occupied {
        /// The folder.
        path: PathBuf,
    },
    /// The archive would be written over something.
    #[error("{}: is there already; name another file", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The audit log cannot be continued.
    #[error("the audit log cannot be continued: {0}")]
    Continue(#[from] hangu_audit::OpenError),
    /// It cannot be signed.
    #[error("the manifest cannot be signed: {0}")]
    Note(#[from] hangu_audit::note::NoteError),
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    |source| BackupError::Io {
        path: path.to_owned(),
        source,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
