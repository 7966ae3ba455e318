//! What can be wrong with a log, and how it is told.

use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

use crate::chain::LineFault;

/// The first place where a log is not what was written.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct Damage {
    /// The file.
    pub file: PathBuf,
    /// The line in it, from 1; 0 = its last line.
    pub line: u64,
    /// The sequence number that should stand there, where it is known.
    pub sequence: Option<u64>,
    /// What is wrong.
    pub what: Fault,
}

impl fmt::Display for Damage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.file.display())?;
        if self.line > 0 {
            write!(formatter, ":{}", self.line)?;
        }
        match self.sequence {
            Some(sequence) => write!(formatter, ": record `{sequence}`: {}", self.what),
            None => write!(formatter, ": {}", self.what),
        }
    }
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// A line.
    #[error(transparent)]
    Line(#[from] LineFault),
    /// The last bytes are no whole record: a crash, or a cut. Opening the log again moves them aside.
    #[error(
        "`{bytes}` bytes at the end are no whole record; the log was cut there, or its writer crashed"
    )]
    Torn {
        /// How many.
        bytes: u64,
    },
    /// The log ends before its head, or before a checkpoint.
    #[error(
        "the log ends before it, but `head.json` or a checkpoint vouches for record `{head}`; the tail was cut off"
    )]
    Cut {
        /// The record that is vouched for.
        head: u64,
    },
    /// A segment is missing.
    #[error("the segment goes on with record `{first}`; the segment between was deleted")]
    Gap {
        /// First record of the segment that is there.
        first: u64,
    },
    /// A segment that others follow has no record.
    #[error("the segment is empty, but others follow it")]
    Empty,
    /// `head.json` has another hash for a record than the chain.
    #[error(
        "`head.json` knows another record of that number; the log was rewritten, or the head is of another log"
    )]
    OtherHead,
    /// There are segments, but no `head.json`.
    #[error("the file is missing, so a cut tail could not be seen; put it back")]
    NoHead,
    /// `head.json` was not written by a log.
    #[error("the file was changed after it was written; put it back")]
    BadHead,
    /// A hash of the tree is not that of the records.
    #[error(
        "the tree has another hash than the records; it was changed, remove the folder `tree` and open the log again"
    )]
    Tile,
    /// The tree is missing or too short, and the records that it follows from were removed.
    #[error(
        "the tree is missing or too short, and cannot be made again since its first records were removed; take the folder `tree` from a backup"
    )]
    NoTree,
    /// The log begins with a later record, and says nowhere why.
    #[error(
        "the log begins with record `{first}`, and no record of it says that those before were removed; segments were deleted"
    )]
    Unexplained {
        /// The first record.
        first: u64,
    },
    /// The log begins with a later record, and only what nobody signed says why.
    #[error(
        "the log begins with record `{first}`, and only records that no checkpoint covers say that those before were removed; the gateway removes nothing before that is signed, so somebody else did (after `hangu restore`: start the gateway, which signs)"
    )]
    UnsignedRemoval {
        /// The first record.
        first: u64,
    },
    /// An index does not name the ids of its segment.
    #[error(
        "the index is not of its segment's records and could hide one from a search; remove the file"
    )]
    Index,
    /// The records do not have the root that was promised.
    #[error(
        "the checkpoint of size `{size}` has another root; the log was rewritten, or the checkpoint is of another log"
    )]
    Checkpoint {
        /// Its size.
        size: u64,
    },
    /// The file `checkpoint` is none.
    #[error("the file is no checkpoint; put it back")]
    BadCheckpoint,
    /// No known key has signed the checkpoint.
    #[error(
        "no known key has signed the checkpoint; check the verifier key, or the log was signed by somebody else"
    )]
    Unsigned,
    /// A key was given, and there is nothing that it has signed.
    #[error("the file is missing, but a verifier key was given; put it back")]
    NoCheckpoint,
}
