//! `hangu policy`: tools for those who write policy. Each works on files alone, offline, and touches no gateway.
//!
//! What they find out is worked out in `hangu_policy::analysis`; here are files, arguments, words and exit codes:
//! 0 when all is well, 1 when something was found, 2 when the tool could not do its work (a refused policy, a file
//! that cannot be read, a wrong argument).

use std::process::ExitCode;

use clap::Subcommand;

mod bundle;
mod check;
mod clearance;
mod diff;
mod eval;
mod explain;
mod files;
mod fmt;
mod hits;
mod import;
mod recorded;
mod replay;
mod request;
mod test;
mod who;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Load a policy strictly and report what is in it that was hardly meant
    Check(check::Options),
    /// Answer requests from a file: one JSON object a line in, one answer a line out
    Eval(eval::Options),
    /// Tell why a request is answered as it is, what came close, and what would turn the answer around
    Explain(explain::Options),
    /// List everyone who can do something
    WhoCan(who::WhoOptions),
    /// List everything that someone can do
    WhatCan(who::WhatOptions),
    /// Compare two policies by what people gain and lose
    Diff(diff::Options),
    /// Ask a policy what it would have decided for the requests of an audit log
    Replay(replay::Options),
    /// Run files of tests and name the rules that no test reaches
    Test(test::Options),
    /// Turn a dump of the table `casbin_rule` into a policy file
    Import(import::ImportOptions),
    /// Draw roles and organisations as SVG
    Graph(import::GraphOptions),
    /// Put policy, model, tests and a manifest into one file
    Bundle(bundle::BundleOptions),
    /// Sign a bundle, or make a key to sign with
    Sign(bundle::SignOptions),
    /// Say whether a gateway would take a bundle
    Verify(bundle::VerifyOptions),
    /// Tell how often each rule of a running gateway has decided
    Hits(hits::Options),
    /// Bring policy files into their one tidy form
    Fmt(fmt::Options),
}

pub(super) fn policy(command: &Command) -> ExitCode {
    let done = match command {
        Command::Check(options) => check::check(options),
        Command::Eval(options) => eval::eval(options),
        Command::Explain(options) => explain::run(options),
        Command::WhoCan(options) => who::who(options),
        Command::WhatCan(options) => who::what(options),
        Command::Diff(options) => diff::run(options),
        Command::Replay(options) => replay::run(options),
        Command::Test(options) => test::run(options),
        Command::Import(options) => import::run(options),
        Command::Graph(options) => import::draw(options),
        Command::Bundle(options) => bundle::make(options),
        Command::Sign(options) => bundle::sign(options),
        Command::Verify(options) => bundle::verify(options),
        Command::Hits(options) => hits::run(options),
        Command::Fmt(options) => fmt::run(options),
    };
    match done {
        Ok(Outcome::Clean) => ExitCode::SUCCESS,
        Ok(Outcome::Found) => ExitCode::FAILURE,
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
    /// 1: something that a person should look at.
    Found,
}

/// What a tool ends with: its outcome, or the lines that say why it could not work.
type Done = Result<Outcome, Vec<String>>;

/// Prints a value for a machine.
fn print_json(value: &serde_json::Value) -> Result<(), Vec<String>> {
    let text = serde_json::to_string_pretty(value).map_err(|error| vec![error.to_string()])?;
    super::say(text);
    Ok(())
}

/// The exit code of a tool that could not do its work.
const UNUSABLE: u8 = 2;
