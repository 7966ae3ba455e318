//! What certificates and revocation lists cost: all figures by one command.
//!
//! In processor time of one thread, so that other programs on the machine hardly count; the least of several rounds.

mod chains;
mod lists;

use std::error::Error;
use std::hint::black_box;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use hangu_certs::{Authority, TrustBundle, Validity};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use crate::measure::{machine, processor_time, say};

#[derive(Args)]
pub(crate) struct Arguments {
    /// Entries of the revocation list
    #[arg(long, default_value_t = 1_000_000)]
    entries: u32,
    /// Only the load, of what comes over standard input: for a process that has held nothing before
    #[arg(long, hide = true)]
    load: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Box<dyn Error>> {
    if arguments.load {
        lists::load_given()?;
        return Ok(ExitCode::SUCCESS);
    }
    say(&machine())?;
    lists::run(arguments.entries)?;
    chains::run()?;
    say(&machine())?;
    Ok(ExitCode::SUCCESS)
}

/// A root and what it trusts.
fn root() -> Result<(Authority, Validity), Box<dyn Error>> {
    let validity = Validity::days(NOW - DAY, 30);
    Ok((Authority::new_root("Root", validity)?, validity))
}

fn trust(pem: &str) -> Result<TrustBundle, Box<dyn Error>> {
    let bundle = TrustBundle::from_pem("clients", pem.as_bytes(), NOW);
    Ok(bundle.map_err(|problems| format!("{problems:?}"))?)
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, Box<dyn Error>> {
    Ok(CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>()?)
}

/// Processor time of each of `times` calls of `work`, at the calmest of several rounds. Every call must answer `true`: work that fails is
/// done soon.
fn each(what: &str, times: u32, mut work: impl FnMut(u32) -> bool) -> Result<u128, Box<dyn Error>> {
    let mut least = Duration::MAX;
    for _ in 0..ROUNDS {
        let before = processor_time();
        for number in 0..times {
            if !black_box(work(number)) {
                return Err(format!("{what}: it failed").into());
            }
        }
        least = least.min(processor_time() - before);
    }
    Ok(least.as_nanos() / u128::from(times.max(1)))
}

/// Prints what a call takes, and gives it in nanoseconds.
fn report(what: &str, times: u32, work: impl FnMut(u32) -> bool) -> Result<u128, Box<dyn Error>> {
    let nanos = each(what, times, work)?;
    say(&format!("{what}: {}.{:03} µs", nanos / 1000, nanos % 1000))?;
    Ok(nanos)
}

/// When all of this happens: Unix seconds.
const NOW: i64 = 1_790_000_000;
const DAY: i64 = 86_400;
const ROUNDS: u32 = 5;
