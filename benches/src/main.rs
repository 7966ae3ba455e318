//! Benchmarks that answer stated questions, and the long comparison with casbin. The comparison with other gateways is
//! in `peers/`.

#[cfg(feature = "audit")]
mod audit;
#[cfg(feature = "certs")]
mod certs;
#[cfg(feature = "gateway")]
mod fairness;
mod limits;
#[cfg(feature = "gateway")]
mod live;
mod measure;
mod policy;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// As in the gateway.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Benchmarks that answer stated questions.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    question: Question,
}

#[derive(Subcommand)]
enum Question {
    /// What the audit log costs a request, how many records a second it makes durable, and how fast it is read.
    #[cfg(feature = "audit")]
    Audit(audit::Arguments),
    /// What a revocation list of a million entries and a client's chain cost a handshake and a request.
    #[cfg(feature = "certs")]
    Certs(certs::Arguments),
    /// What a policy decision, a rule, a load and a swap cost at the size of the national platform.
    Decide(policy::decide::Arguments),
    /// What a client that floods costs the others, over real sockets.
    #[cfg(feature = "gateway")]
    Fairness(fairness::Arguments),
    /// What a limit costs: a check, a key, and a flood of keys.
    Limits(limits::Arguments),
    /// What an open connection costs the registry, and how soon a revocation has told all whom it hits.
    #[cfg(feature = "gateway")]
    Live(live::Arguments),
    /// How many records a second `hangu policy replay` decides again.
    #[cfg(feature = "gateway")]
    Replay(audit::replay::Arguments),
    /// Whether generated policies answer as casbin does: one if any answer is unexplained.
    FuzzPolicy(policy::fuzz::Arguments),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().question {
        #[cfg(feature = "audit")]
        Question::Audit(arguments) => audit::run(&arguments),
        #[cfg(feature = "certs")]
        Question::Certs(arguments) => certs::run(&arguments),
        Question::Decide(arguments) => policy::decide::run(&arguments),
        #[cfg(feature = "gateway")]
        Question::Fairness(arguments) => fairness::run(&arguments),
        Question::Limits(arguments) => limits::run(&arguments),
        #[cfg(feature = "gateway")]
        Question::Live(arguments) => live::run(&arguments),
        #[cfg(feature = "gateway")]
        Question::Replay(arguments) => audit::replay::run(&arguments),
        Question::FuzzPolicy(arguments) => policy::fuzz::run(&arguments),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            measure::complain(&format!("hangu-benches: {error}"));
            ExitCode::from(2)
        }
    }
}
