//! Why a log does not take a record, and what can be done about it.

use std::fmt;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// A record could not be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AppendError {
    /// Too much is waiting for a commit.
    #[error(
        "the audit log has `{pending_bytes}` bytes waiting for the disk, its bound is `{pending_bytes_max}`; commit first"
    )]
    Full {
        /// Bytes that wait.
        pending_bytes: usize,
        /// The bound.
        pending_bytes_max: usize,
    },
}

/// What was appended is not on the disk.
#[derive(Debug, Error)]
#[error("{}: cannot {what}: {source}; {outlook}", path.display())]
pub struct CommitError {
    /// The file.
    pub path: PathBuf,
    /// What failed.
    pub what: &'static str,
    /// Why.
    #[source]
    pub source: io::Error,
    /// What can be done about it.
    pub outlook: Outlook,
}

/// What can be done about a failed commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outlook {
    /// It is still pending: call `commit` again, do not append it again.
    Waits,
    /// This log takes nothing any more, and its process must end. After a failed sync nobody knows what is on the disk of what
    /// the system had taken; the next start reads it again, and that is the only honest way to find out.
    Over,
}

impl fmt::Display for Outlook {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Waits => "the records wait in memory, free the disk or mend it",
            Self::Over => {
                "no new segment could be begun either, so the process ends; look at the disk (`dmesg`), then start it again"
            }
        })
    }
}
