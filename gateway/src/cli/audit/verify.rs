//! `hangu audit verify`: the whole log, believing nothing.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use hangu_audit::checkpoint::Checkpoint;
use hangu_audit::key::Verifier;
use hangu_audit::note::Note;
use hangu_audit::{Progress, Trust, Verified, VerifyError, verify_against};
use serde_json::json;

use super::super::say;
use super::{Failure, unable};

#[derive(Debug, Args)]
pub(in crate::cli) struct Options {
    /// Folder of the log
    dir: PathBuf,
    /// Key that must have signed the log: `NAME+ID+KEY`, or a file that holds it; may be given again
    #[arg(long = "key", value_name = "KEY")]
    keys: Vec<String>,
    /// Witness that must have cosigned the log: a key or a file; may be given again
    #[arg(long = "witness-key", value_name = "KEY")]
    witnesses: Vec<String>,
    /// A checkpoint kept elsewhere, which the log must continue; may be given again
    #[arg(long = "checkpoint", value_name = "FILE")]
    checkpoints: Vec<PathBuf>,
    /// Say it in JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn verify(options: &Options) -> Result<(), Failure> {
    let keys = read_keys(&options.keys)?;
    let witnesses = read_keys(&options.witnesses)?;
    let known: Vec<Verifier> = keys.iter().chain(&witnesses).cloned().collect();
    let checkpoints: Vec<Checkpoint> = options
        .checkpoints
        .iter()
        .map(|path| read_checkpoint(path, &known))
        .collect::<Result<_, _>>()?;
    let trust = Trust {
        keys: &keys,
        witnesses: &witnesses,
        checkpoints: &checkpoints,
    };
    let mut bar = Bar::new(options.json);
    let result = verify_against(&options.dir, &trust, |progress| bar.show(progress));
    let seconds = bar.end();
    match result {
        Ok(verified) if options.json => {
            say(as_json(&options.dir, &verified));
            Ok(())
        }
        Ok(verified) => {
            tell(options, &verified, seconds);
            Ok(())
        }
        Err(VerifyError::Damage(damage)) => {
            if options.json {
                say(json!({
                    "good": false,
                    "file": damage.file.display().to_string(),
                    "line": damage.line,
                    "record": damage.sequence,
                    "what": damage.what.to_string(),
                }));
            }
            Err(Failure::No(damage.to_string()))
        }
        Err(error) => Err(unable(error)),
    }
}

fn tell(options: &Options, verified: &Verified, seconds: f64) {
    let live = if verified.is_live {
        ", still being written"
    } else {
        ""
    };
    say(format_args!(
        "{}: good; {} records in {} segments, {} bytes{live}",
        options.dir.display(),
        verified.records,
        verified.segments,
        verified.bytes
    ));
    if verified.first > 1 {
        say(format_args!(
            "begins with record {}; the log itself says why those before are gone",
            verified.first
        ));
    }
    say(format_args!("head hash {}", verified.head_hash));
    if options.keys.is_empty() {
        say(
            "signature not checked: give the log's key with --key, from another machine than this log's",
        );
    } else {
        say(format_args!(
            "signed by the key up to record {}",
            verified.signed
        ));
    }
    if !options.witnesses.is_empty() {
        say(format_args!(
            "cosigned by the witness up to record {}",
            verified.witnessed
        ));
    }
    if seconds >= SLOW_SECONDS {
        let mib = verified.bytes as f64 / f64::from(1 << 20);
        say(format_args!("{seconds:.1} s, {:.0} MiB/s", mib / seconds));
    }
}

fn as_json(dir: &Path, verified: &Verified) -> serde_json::Value {
    json!({
        "good": true,
        "dir": dir.display().to_string(),
        "first": verified.first,
        "records": verified.records,
        "segments": verified.segments,
        "bytes": verified.bytes,
        "head_hash": verified.head_hash.to_string(),
        "tree_root": verified.tree.root.to_string(),
        "vouched": verified.vouched,
        "signed": verified.signed,
        "witnessed": verified.witnessed,
        "is_live": verified.is_live,
    })
}

/// Keys as they are given: each itself, or the first line of a file.
pub(super) fn read_keys(given: &[String]) -> Result<Vec<Verifier>, Failure> {
    given
        .iter()
        .map(|given| {
            let text = match fs::read_to_string(given) {
                Ok(text) => text,
                Err(_) => given.clone(),
            };
            let line = text.lines().next().unwrap_or_default();
            Verifier::parse(line.trim()).map_err(|error| unable(format_args!("`{given}`: {error}")))
        })
        .collect()
}

/// A checkpoint from elsewhere; signed by one of the keys, if any are known.
fn read_checkpoint(path: &Path, known: &[Verifier]) -> Result<Checkpoint, Failure> {
    let at = |why: &dyn std::fmt::Display| unable(format_args!("{}: {why}", path.display()));
    let text = fs::read_to_string(path).map_err(|error| at(&error))?;
    let note = Note::parse(&text).map_err(|error| at(&error))?;
    let checkpoint = if known.is_empty() {
        Checkpoint::parse(note.text())
    } else {
        Checkpoint::open(&note, known)
    };
    checkpoint.map_err(|error| at(&error))
}

/// A bar on the terminal once it takes longer; nothing where nobody looks.
struct Bar {
    started: Instant,
    shown: Option<Instant>,
    is_wanted: bool,
}

impl Bar {
    fn new(json: bool) -> Self {
        Self {
            started: Instant::now(),
            shown: None,
            is_wanted: !json && io::stderr().is_terminal(),
        }
    }

    fn show(&mut self, progress: Progress) {
        let last = self.shown.unwrap_or(self.started);
        if !self.is_wanted || last.elapsed() < BAR_EVERY {
            return;
        }
        self.shown = Some(Instant::now());
        let share = progress.bytes as f64 / progress.bytes_total.max(1) as f64;
        let filled = "█".repeat((share.clamp(0.0, 1.0) * BAR_CELLS as f64) as usize);
        let seconds = self.started.elapsed().as_secs_f64();
        let rest = seconds / share.max(0.001) - seconds;
        // Whoever cannot see the bar misses nothing.
        let _unseen = write!(
            io::stderr(),
            "\r{filled:░<BAR_CELLS$} {:3.0} %  {} records  {rest:.0} s left ",
            share * 100.0,
            progress.records
        );
    }

    /// Wipes the bar; gives the seconds that it all took.
    fn end(&self) -> f64 {
        if self.shown.is_some() {
            let _unseen = write!(io::stderr(), "\r{}\r", " ".repeat(BAR_CELLS + 48));
        }
        self.started.elapsed().as_secs_f64()
    }
}

const BAR_CELLS: usize = 30;
const BAR_EVERY: Duration = Duration::from_millis(250);
const SLOW_SECONDS: f64 = 1.0;
