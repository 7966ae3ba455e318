//! `hangu audit export`: records in the languages of other tools.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use hangu_audit::{Format, Search, export as exported};

use super::filter::Which;
use super::{Failure, Out, unable};

#[derive(Debug, Args)]
pub(in crate::cli) struct Options {
    /// Folder of the log
    dir: PathBuf,
    /// In which format
    #[arg(long, value_enum)]
    format: Kind,
    #[command(flatten)]
    which: Which,
}

/// A format of the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    /// The lines of the log: the only format that can still be verified
    Native,
    /// Open Cybersecurity Schema Framework 1.3
    Ocsf,
    /// Elastic Common Schema 8.11
    Ecs,
    /// ArcSight Common Event Format
    Cef,
    /// Syslog, RFC 5424
    Rfc5424,
}

impl From<Kind> for Format {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Native => Self::Native,
            Kind::Ocsf => Self::Ocsf,
            Kind::Ecs => Self::Ecs,
            Kind::Cef => Self::Cef,
            Kind::Rfc5424 => Self::Rfc5424,
        }
    }
}

pub(super) fn export(options: &Options) -> Result<(), Failure> {
    let mut search = Search::open(&options.dir, options.which.filter()?).map_err(unable)?;
    let mut out = Out::new();
    while let Some((_, line)) = search.next_match().map_err(unable)? {
        out.line(exported(&line, options.format.into()).map_err(unable)?)?;
    }
    out.flush()
}
