//! `hangu policy`: tools for those who write policy. Each works on files alone, offline, and touches no gateway.
//!
//! What they find out is worked out in `hangu_policy::analysis`; here are files, arguments, words and exit codes:
//! 0 when all is well, 1 when something was found, 2 when the tool could not do its work (a refused policy, a file
//! that cannot be read, a wrong argument).

use std::process::ExitCode;

use clap::Subcommand;

mod eval;
mod files;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Answer requests from a file: one JSON object a line in, one answer a line out
    Eval(eval::Options),
}

pub(super) fn policy(command: &Command) -> ExitCode {
    let done = match command {
        Command::Eval(options) => eval::eval(options),
    };
    match done {
        Ok(Outcome::Clean) => ExitCode::SUCCESS,
        Err(errors) => {
            for line in errors {
                super::complain(line);
            }
            ExitCode::from(UNUSABLE)
        }
    }
}

/// What a tool has to say by its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// 0: nothing to worry about.
    Clean,
}

/// What a tool ends with: its outcome, or the lines that say why it could not work.
type Done = Result<Outcome, Vec<String>>;

/// The exit code of a tool that could not do its work.
const UNUSABLE: u8 = 2;
