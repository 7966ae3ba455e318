//! `hangu audit search` and `tail`: records for eyes, or as they are.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use clap::Args;
use hangu_audit::{Entry, Position, Reader, Search};

use super::filter::Which;
use super::{Failure, Out, unable};

#[derive(Debug, Args)]
pub(in crate::cli) struct Options {
    /// Folder of the log
    dir: PathBuf,
    #[command(flatten)]
    which: Which,
    /// End after so many
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// The lines as they are in the log
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct TailOptions {
    /// Folder of the log
    dir: PathBuf,
    /// Look through so many of the last records
    #[arg(long, value_name = "N", default_value_t = 10)]
    last: u64,
    /// End at the last record instead of waiting for more
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    which: Which,
    /// The lines as they are in the log
    #[arg(long)]
    json: bool,
}

pub(super) fn search(options: &Options) -> Result<(), Failure> {
    let mut search = Search::open(&options.dir, options.which.filter()?).map_err(unable)?;
    let (mut out, mut found) = (Out::new(), 0);
    while options.limit.is_none_or(|limit| found < limit)
        && let Some((entry, line)) = search.next_match().map_err(unable)?
    {
        found += 1;
        show(&mut out, &entry, &line, options.json)?;
    }
    out.flush()?;
    if found == 0 {
        return Err(Failure::No("no such record".to_owned()));
    }
    Ok(())
}

pub(super) fn tail(options: &TailOptions) -> Result<(), Failure> {
    let filter = options.which.filter()?;
    let mut reader = Reader::open(&options.dir, Position::Last(options.last)).map_err(unable)?;
    let mut out = Out::new();
    loop {
        match reader.next_line().map_err(unable)? {
            Some(line) => {
                if let Some(entry) = filter.find(&line.json) {
                    show(&mut out, &entry, &line.json, options.json)?;
                }
            }
            None => {
                out.flush()?;
                if options.once {
                    return Ok(());
                }
                thread::sleep(POLL);
            }
        }
    }
}

fn show(out: &mut Out, entry: &Entry, line: &str, as_is: bool) -> Result<(), Failure> {
    if as_is {
        out.line(line)
    } else {
        out.line(entry.render())
    }
}

const POLL: Duration = Duration::from_millis(200);
