//! `hangu audit stats`: what was decided, when and why, in numbers and as a picture.

use std::fs;
use std::num::NonZeroU64;
use std::path::PathBuf;

use clap::Args;
use hangu_audit::{Search, Stats};

use super::filter::Which;
use super::{Failure, Out, unable};

#[derive(Debug, Args)]
pub(in crate::cli) struct Options {
    /// Folder of the log
    dir: PathBuf,
    #[command(flatten)]
    which: Which,
    /// Seconds of each step of the timeline
    #[arg(long, value_name = "SECONDS", default_value = "60")]
    step: NonZeroU64,
    /// Draw the timeline into this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Say it in JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn stats(options: &Options) -> Result<(), Failure> {
    let mut search = Search::open(&options.dir, options.which.filter()?).map_err(unable)?;
    let mut stats = Stats::new(options.step);
    while let Some((entry, _)) = search.next_match().map_err(unable)? {
        stats.add(&entry);
    }
    if let Some(svg) = &options.svg {
        fs::write(svg, stats.svg())
            .map_err(|error| unable(format_args!("{}: {error}", svg.display())))?;
    }
    let mut out = Out::new();
    if options.json {
        out.line(stats.json())?;
    } else {
        out.line(stats)?;
    }
    out.flush()
}
