//! `hangu certs`: judge, read, issue and revoke certificates, out of files and offline.
//!
//! Judging is done by the code that the handshake runs (`hangu_certs`); here are files, arguments, words and exit codes: 0 when a
//! certificate is accepted, nothing is wrong, or the work is done; 1 when it is refused or has problems; 2 when the input is
//! unusable or the work could not be done.

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Subcommand, ValueEnum};
use hangu_certs::Purpose;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

mod ca;
mod crl;
mod files;
mod inspect;
mod issue;
mod verify;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Judge a certificate as the gateway's handshake would
    Verify(verify::Options),
    /// Show what the gateway makes of certificates and revocation lists: names, identity, problems
    Inspect(inspect::Options),
    /// Make a certificate authority: a root, or an intermediate below one
    Ca(ca::Options),
    /// Issue a certificate with its key
    #[command(subcommand)]
    Issue(issue::Command),
    /// Revoke certificates and publish the list
    Crl(crl::Options),
}

pub(super) fn certs(command: &Command) -> ExitCode {
    let done = match command {
        Command::Verify(options) => verify::verify(options),
        Command::Inspect(options) => inspect::inspect(options),
        Command::Ca(options) => ca::make(options),
        Command::Issue(command) => issue::issue(command),
        Command::Crl(options) => crl::publish(options),
    };
    match done {
        Ok(Outcome::Good) => ExitCode::SUCCESS,
        Ok(Outcome::Refused) => ExitCode::FAILURE,
        Err(CertsError(line)) => {
            super::complain(line);
            ExitCode::from(UNUSABLE)
        }
    }
}

/// What a certificate is used for.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum For {
    /// To authenticate a client
    Client,
    /// To authenticate a server
    Server,
}

impl For {
    fn purpose(self) -> Purpose {
        match self {
            For::Client => Purpose::Client,
            For::Server => Purpose::Server,
        }
    }
}

/// What a command has to say by its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// 0.
    Good,
    /// 1.
    Refused,
}

/// Why a command could not do its work: one line for the operator.
#[derive(Debug)]
struct CertsError(String);

impl CertsError {
    fn new(line: impl std::fmt::Display) -> CertsError {
        CertsError(line.to_string())
    }
}

type Done = Result<Outcome, CertsError>;

/// Prints a value for a machine.
fn print_json(value: &serde_json::Value) -> Result<(), CertsError> {
    super::say(serde_json::to_string_pretty(value).map_err(CertsError::new)?);
    Ok(())
}

/// Unix seconds now.
fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// A moment as operators write it, such as `2026-11-24T07:00:00Z`, in Unix seconds.
fn parse_moment(text: &str) -> Result<i64, String> {
    OffsetDateTime::parse(text, &Rfc3339)
        .map(OffsetDateTime::unix_timestamp)
        .map_err(|why| {
            format!("{why}; write date, time and offset, such as `2026-11-24T07:00:00Z`")
        })
}

/// A moment as operators read it.
fn moment(seconds: i64) -> String {
    OffsetDateTime::from_unix_timestamp(seconds)
        .ok()
        .and_then(|moment| moment.format(&Rfc3339).ok())
        .unwrap_or_else(|| format!("{seconds} seconds since 1970"))
}

/// The exit code of a command that could not do its work.
const UNUSABLE: u8 = 2;
