//! `hangu certs verify`: the judgement of the handshake, offline.

use std::path::{Path, PathBuf};

use clap::Args;
use hangu_certs::{ChainError, OfflineCheck, Uncovered, VerifiedChain};
use serde_json::json;

use super::files::{self, CERTIFICATES_BYTES_MAX, LISTS_BYTES_MAX};
use super::inspect::{identity_json, identity_lines};
use super::{CertsError, Done, For, Outcome, moment, now, parse_moment, print_json};
use crate::cli::{complain, say};

#[derive(Debug, Args)]
#[command(after_help = "Example:
  hangu certs verify --trust ca.pem --cert alice.pem --crl ca.crl.pem

  refused: certificate 0 of the chain (`CN=alice`): it expired at 2026-10-01T00:00:00Z
  reason: expired

Exit code: 0 accepted; 1 refused, for one reason and with the certificate that it concerns; 2 unusable input.")]
pub(in crate::cli) struct Options {
    /// The trusted CAs: PEM, or one certificate in DER
    #[arg(long, value_name = "FILE")]
    trust: PathBuf,
    /// The certificate to judge, with those above it if the file holds them
    #[arg(long, value_name = "FILE")]
    cert: PathBuf,
    /// More certificates that may lie between it and a trusted CA
    #[arg(long, value_name = "FILE")]
    intermediates: Vec<PathBuf>,
    /// Revocation lists; once there is one, each CA of the chain needs one
    #[arg(long, value_name = "FILE")]
    crl: Vec<PathBuf>,
    /// The moment to judge at, instead of now
    #[arg(long, value_name = "RFC3339", value_parser = parse_moment)]
    at: Option<i64>,
    /// Refuse when there is no revocation list
    #[arg(long)]
    require_crl: bool,
    /// What the certificate is used for
    #[arg(long, value_enum, default_value_t = For::Client)]
    purpose: For,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Names and contents of files.
type Files = Vec<(String, Vec<u8>)>;

pub(super) fn verify(options: &Options) -> Done {
    let at = options.at.unwrap_or_else(now);
    let trust = read(&options.trust, CERTIFICATES_BYTES_MAX)?;
    let certificate = read(&options.cert, CERTIFICATES_BYTES_MAX)?;
    let intermediates = read_all(&options.intermediates, CERTIFICATES_BYTES_MAX)?;
    let lists = read_all(&options.crl, LISTS_BYTES_MAX)?;
    let check = OfflineCheck {
        trust: (&trust.0, &trust.1),
        certificate: (&certificate.0, &certificate.1),
        intermediates: &borrowed(&intermediates),
        lists: &borrowed(&lists),
        without_lists: if options.require_crl {
            Uncovered::Refused
        } else {
            Uncovered::Accepted
        },
        purpose: options.purpose.purpose(),
        at,
    };
    let verdict = check.run().map_err(CertsError::new)?;
    let ignored: Vec<String> = verdict
        .ignored_lists
        .iter()
        .map(ToString::to_string)
        .collect();
    match (&verdict.chain, options.json) {
        (Ok(chain), true) => print_json(&accepted_json(chain, at, &ignored))?,
        (Err(error), true) => print_json(&refused_json(error, at, &ignored))?,
        (Ok(chain), false) => say(accepted(chain)),
        (Err(error), false) => {
            say(format_args!("refused: {error}"));
            say(format_args!("reason: {}", error.code()));
        }
    }
    if !options.json {
        ignored
            .iter()
            .for_each(|list| complain(format_args!("warning: this does not count: {list}")));
    }
    Ok(match verdict.chain {
        Ok(_) => Outcome::Good,
        Err(_) => Outcome::Refused,
    })
}

fn accepted(chain: &VerifiedChain) -> String {
    let mut lines = vec![format!(
        "accepted until {}",
        moment(chain.identity.not_after)
    )];
    for depth in 0..chain.certificates.len() {
        lines.push(format!("certificate {depth}: {}", chain.subject(depth)));
    }
    lines.extend(identity_lines(&chain.identity));
    lines.join("\n")
}

fn accepted_json(chain: &VerifiedChain, at: i64, ignored: &[String]) -> serde_json::Value {
    let subjects: Vec<String> = (0..chain.certificates.len())
        .map(|depth| chain.subject(depth))
        .collect();
    json!({
        "verdict": "accepted",
        "at": moment(at),
        "not_after": moment(chain.identity.not_after),
        "chain": subjects,
        "identity": identity_json(&chain.identity),
        "ignored_lists": ignored,
    })
}

fn refused_json(error: &ChainError, at: i64, ignored: &[String]) -> serde_json::Value {
    json!({
        "verdict": "refused",
        "at": moment(at),
        "reason": error.code(),
        "depth": error.depth,
        "subject": error.subject,
        "explanation": error.reason.to_string(),
        "ignored_lists": ignored,
    })
}

fn read(path: &Path, bytes_max: u64) -> Result<(String, Vec<u8>), CertsError> {
    Ok((files::name(path), files::read(path, bytes_max)?))
}

fn read_all(paths: &[PathBuf], bytes_max: u64) -> Result<Files, CertsError> {
    paths.iter().map(|path| read(path, bytes_max)).collect()
}

fn borrowed(files: &Files) -> Vec<(&str, &[u8])> {
    files
        .iter()
        .map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
        .collect()
}
