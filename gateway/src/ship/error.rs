//! Why a sink was not sent its records. They stay in the log, and are sent once it can be.

use std::io;

use hangu_audit::{CursorError, ParseError};

/// Why nothing was delivered just now.
#[derive(Debug, thiserror::Error)]
pub(super) enum ShipError {
    #[error(transparent)]
    Log(#[from] CursorError),
    #[error("a record cannot be written in the format of the sink: {0}")]
    Format(#[from] ParseError),
    #[error("no connection to `{to}`: {source}")]
    Connect {
        to: String,
        #[source]
        source: io::Error,
    },
    #[error("the connection broke: {0}")]
    Send(#[source] io::Error),
    #[error("the receiver closed the connection")]
    Closed,
    #[error("the receiver did not take a batch in time")]
    TooSlow,
    #[error("the receiver answered {0}")]
    Status(u16),
    #[error("the receiver finds a batch too large; the next one is half as long")]
    TooLarge,
    #[error("{0}")]
    Http(#[from] ureq::Error),
    #[error("the folder holds {0} files that no agent has taken away")]
    FolderFull(usize),
    #[error("cannot write into the folder: {0}")]
    Folder(#[source] io::Error),
    #[error("cannot keep the sink's place in the log: {0}")]
    Place(#[source] io::Error),
}
