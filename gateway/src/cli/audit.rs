//! `hangu audit`: verify a log, or follow it readably.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Subcommand;
use hangu_audit::{Position, Reader, VerifyError, render, verify};

use super::{complain, say};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Check every record, its number and its chain; exit 1 and name the first bad one
    Verify {
        /// Folder of the log
        dir: PathBuf,
    },
    /// Show records readably
    Tail {
        /// Folder of the log
        dir: PathBuf,
        /// Begin with so many of the last records
        #[arg(long, value_name = "N", default_value_t = 10)]
        last: u64,
        /// End at the last record instead of waiting for more
        #[arg(long)]
        once: bool,
    },
}

pub(super) fn audit(command: &Command) -> ExitCode {
    match command {
        Command::Verify { dir } => verify_log(dir),
        Command::Tail { dir, last, once } => tail(dir, *last, *once),
    }
}

fn verify_log(dir: &Path) -> ExitCode {
    match verify(dir, |_| ()) {
        Ok(verified) => {
            let live = if verified.is_live {
                ", still being written"
            } else {
                ""
            };
            say(format_args!(
                "{}: good; {} records in {} segments, {} bytes{live}",
                dir.display(),
                verified.records,
                verified.segments,
                verified.bytes
            ));
            say(format_args!("head hash {}", verified.head_hash));
            ExitCode::SUCCESS
        }
        Err(VerifyError::Damage(damage)) => {
            complain(damage);
            ExitCode::FAILURE
        }
        Err(error) => {
            complain(error);
            ExitCode::from(UNUSABLE)
        }
    }
}

fn tail(dir: &Path, last: u64, once: bool) -> ExitCode {
    let shown = Reader::open(dir, Position::Last(last))
        .map_err(|error| error.to_string())
        .and_then(|reader| follow(reader, once));
    match shown {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(error);
            ExitCode::FAILURE
        }
    }
}

fn follow(mut reader: Reader, once: bool) -> Result<(), String> {
    loop {
        match reader.next_line().map_err(|error| error.to_string())? {
            Some(line) => say(render(&line.json).map_err(|error| error.to_string())?),
            None if once => return Ok(()),
            None => std::thread::sleep(POLL),
        }
    }
}

/// The folder holds no log, or cannot be read.
const UNUSABLE: u8 = 2;
const POLL: Duration = Duration::from_millis(200);
