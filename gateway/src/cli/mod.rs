//! The command line: one file a subcommand.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod audit;
mod backup;
mod certs;
mod check;
mod control;
mod policy;
mod quickstart;
mod revoke;
mod run;
mod sessions;
mod status;

/// Prints what a command has to say to a person or a pipe.
pub(crate) fn say(line: impl std::fmt::Display) {
    if let Err(error) = writeln!(io::stdout().lock(), "{line}") {
        unheard(&error);
    }
}

/// Ends the process where nobody takes what it prints: quietly after `| head`, with a word where a disk is full.
#[expect(
    clippy::exit,
    reason = "what is said goes nowhere from here, whoever was speaking"
)]
fn unheard(error: &io::Error) -> ! {
    if error.kind() == io::ErrorKind::BrokenPipe {
        std::process::exit(BROKEN_PIPE);
    }
    complain(format_args!("standard output: {error}"));
    std::process::exit(1);
}

/// What a shell reports of a program that SIGPIPE ended: 128 and the number of the signal.
const BROKEN_PIPE: i32 = 128 + 13;

#[derive(Debug, Parser)]
#[command(
    name = "hangu",
    version,
    about = "A zero-trust gateway: six layers of protection in front of every application"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start a protected demo application in one command, with certificates, rules and requests to try
    Quickstart(quickstart::Options),
    /// Serve a configuration until told to stop
    Run {
        /// The configuration file
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Take the listening sockets over from a running gateway, which is then sent SIGQUIT
        #[arg(long)]
        upgrade: bool,
    },
    /// Check a configuration and everything it names, without opening a socket
    Check {
        /// The configuration file
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Revoke a certificate, key, subject or organisation at a running gateway, at once
    Revoke(revoke::Options),
    /// Show who is connected to a running gateway, or end connections
    Sessions(sessions::Options),
    /// Ask a running gateway what it serves
    Status(status::Options),
    /// Put a node into one signed archive: configuration, what it names, and where its audit log stands
    Backup(backup::BackupOptions),
    /// Prove an archive of `backup` and bring the node back from it
    Restore(backup::RestoreOptions),
    /// Verify, search, follow, count, export and prove from an audit log
    #[command(subcommand)]
    Audit(audit::Command),
    /// Check, test, question, compare and sign a policy, from files alone
    #[command(subcommand)]
    Policy(policy::Command),
    /// Judge, read, issue and revoke certificates, offline
    #[command(subcommand)]
    Certs(certs::Command),
}

/// Runs the command that the process was started with.
#[must_use]
pub fn main() -> ExitCode {
    run_command(Arguments::parse().command)
}

/// Runs the command that is written out, the name of the program first: what a bench does in the place of a shell.
#[must_use]
pub fn main_of<'a>(arguments: impl IntoIterator<Item = &'a OsStr>) -> ExitCode {
    run_command(Arguments::parse_from(arguments).command)
}

fn run_command(command: Command) -> ExitCode {
    match command {
        Command::Quickstart(options) => quickstart::quickstart(&options),
        Command::Run { config, upgrade } => run::run(&config, upgrade),
        Command::Check { config } => check::check(&config),
        Command::Revoke(options) => revoke::revoke(&options),
        Command::Sessions(options) => sessions::sessions(&options),
        Command::Status(options) => status::status(&options),
        Command::Backup(options) => backup::make(&options),
        Command::Restore(options) => backup::bring_back(&options),
        Command::Audit(command) => audit::audit(&command),
        Command::Policy(command) => policy::policy(&command),
        Command::Certs(command) => certs::certs(&command),
    }
}

/// Tells a person why a command failed.
pub(crate) fn complain(error: impl std::fmt::Display) {
    // Where nobody listens, the exit code still tells.
    drop(writeln!(io::stderr().lock(), "{error}"));
}
