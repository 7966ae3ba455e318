//! Why a quickstart does not start.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use hangu_certs::AuthorityError;

use crate::config::ConfigErrors;
use crate::server::StartError;

/// Each is one message: where, what, how to fix it.
#[derive(Debug, thiserror::Error)]
pub(super) enum QuickstartError {
    #[error(
        "`{}`: holds files that no quickstart wrote; choose another folder with `--dir`",
        path.display()
    )]
    ForeignFolder { path: PathBuf },
    #[error(
        "`{}`: another quickstart uses this folder; stop it, or choose another with `--dir`",
        path.display()
    )]
    FolderInUse { path: PathBuf },
    #[error("`{}`: {source}; choose a folder that you may write with `--dir`", path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{0}\nmend the file, or delete it and it is written anew")]
    Config(#[from] ConfigErrors),
    #[error(
        "`{}`: has no {what} any more; add it, or delete the file and it is written anew",
        path.display()
    )]
    Incomplete { path: PathBuf, what: &'static str },
    #[error(
        "{what}: cannot listen on `{address}`: {source}; choose four other ports with `--port`, such as `--port {another}`"
    )]
    Taken {
        what: &'static str,
        address: SocketAddr,
        #[source]
        source: io::Error,
        another: u16,
    },
    #[error("no four free ports on 127.0.0.1; stop some programs, or choose with `--port`")]
    NoFreePorts,
    #[error("the throw-away certificates cannot be made: {0}")]
    Authority(#[from] AuthorityError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(
        "the gateway did not begin to serve within {seconds} seconds; try again on a less busy machine"
    )]
    Slow { seconds: u64 },
    #[error("the test was interrupted, or the gateway ended before it")]
    Ended,
    #[error("the test client cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
    #[error("the audit log cannot be read: {0}")]
    Audit(#[from] hangu_audit::ReadError),
    #[error("{0}")]
    AuditLine(#[from] hangu_audit::ParseError),
    #[error("the gateway's metrics cannot be read: {0}")]
    Metrics(#[source] io::Error),
}

/// Says which path an error of the system is about.
pub(super) fn at(path: &Path) -> impl FnOnce(io::Error) -> QuickstartError {
    |source| QuickstartError::Io {
        path: path.to_owned(),
        source,
    }
}
