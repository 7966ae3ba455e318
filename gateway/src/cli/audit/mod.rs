//! `hangu audit`: everything that is done with a log from outside the gateway. Nothing here needs the gateway, nor its rights: who may
//! read the folder may verify it, search it and prove from it.

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use clap::Subcommand;

use super::{backup, complain};

mod export;
mod filter;
mod key;
mod prove;
mod search;
mod signer;
mod stats;
mod verify;
mod witness;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Check every record, the chain, the tree and the signatures; exit 1 and name the first bad place
    Verify(verify::Options),
    /// Find records, oldest first
    Search(search::Options),
    /// Show the last records readably, and those to come
    Tail(search::TailOptions),
    /// Count what was decided, when and why
    Stats(stats::Options),
    /// Write records in a format that other tools read, one a line
    Export(export::Options),
    /// Prove that a record is in the log, by a file that needs no log to be checked
    Prove(prove::Options),
    /// Check a proof that `prove` wrote against the record and the log's key
    CheckProof(prove::CheckOptions),
    /// Prove that the log of size B begins with the log of size A
    ProveConsistency(prove::ConsistencyOptions),
    /// Watch logs from another machine: remember their checkpoints, cosign what continues them
    Witness(witness::Options),
    /// Sign checkpoints for a gateway that does not have the key
    Signer(signer::Options),
    /// Make a key: for the log, for a witness, or for pseudonyms
    Key(key::Options),
    /// As `hangu backup`: the node, with where its audit log stands, in one signed archive
    Backup(backup::BackupOptions),
    /// As `hangu restore`: prove an archive, bring the node back from it and have its log go on
    Restore(backup::RestoreOptions),
}

pub(super) fn audit(command: &Command) -> ExitCode {
    let done = match command {
        Command::Backup(options) => return backup::make(options),
        Command::Restore(options) => return backup::bring_back(options),
        Command::Verify(options) => verify::verify(options),
        Command::Search(options) => search::search(options),
        Command::Tail(options) => search::tail(options),
        Command::Stats(options) => stats::stats(options),
        Command::Export(options) => export::export(options),
        Command::Prove(options) => prove::prove(options),
        Command::CheckProof(options) => prove::check(options),
        Command::ProveConsistency(options) => prove::prove_consistency(options),
        Command::Witness(options) => witness::witness(options),
        Command::Signer(options) => signer::signer(options),
        Command::Key(options) => key::key(options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Readerless) => ExitCode::SUCCESS,
        Err(Failure::No(answer)) => {
            complain(answer);
            ExitCode::FAILURE
        }
        Err(Failure::Unable(why)) => {
            complain(why);
            ExitCode::from(UNABLE)
        }
    }
}

/// What a command came to, where that is not good.
#[derive(Debug)]
enum Failure {
    /// It did its work and the answer is no: damaged, not proven, nothing found. Exit 1.
    No(String),
    /// It could not do its work. Exit 2.
    Unable(String),
    /// Whoever read the output has had enough: no failure.
    Readerless,
}

/// Could not be done, for this reason.
fn unable(why: impl std::fmt::Display) -> Failure {
    Failure::Unable(why.to_string())
}

/// Standard output for many lines; ends quietly when the reader goes, as that of `head` does.
struct Out(BufWriter<io::StdoutLock<'static>>);

impl Out {
    fn new() -> Self {
        Self(BufWriter::with_capacity(BUFFER_BYTES, io::stdout().lock()))
    }

    fn line(&mut self, line: impl std::fmt::Display) -> Result<(), Failure> {
        writeln!(self.0, "{line}").map_err(failure)
    }

    fn flush(&mut self) -> Result<(), Failure> {
        self.0.flush().map_err(failure)
    }
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the signature that `map_err` wants"
)]
fn failure(error: io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        Failure::Readerless
    } else {
        unable(format_args!("cannot write the output: {error}"))
    }
}

/// It could not be done: no log there, unreadable, wrong arguments.
const UNABLE: u8 = 2;
const BUFFER_BYTES: usize = 64 * 1024;
