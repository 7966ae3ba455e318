//! `hangu revoke`: throws somebody out of a running gateway at once, ahead of any list.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use hangu_certs::{CertificateSummary, Purpose};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::control::{ControlError, Target};
use super::{complain, say};

#[derive(Args, Clone, Debug)]
pub(super) struct Options {
    #[command(flatten)]
    gateway: Target,
    #[command(flatten)]
    whom: Whom,
    /// Who issued the certificate of `--serial`: the file of its certificate, or the SHA-256 of its key
    #[arg(long, value_name = "FILE|SHA256", requires = "serial")]
    issuer: Option<String>,
    /// Why, for the record
    #[arg(long, value_name = "TEXT", required_unless_present_any = ["undo", "list"])]
    reason: Option<String>,
    /// Until when, as RFC 3339 (2026-12-24T18:00:00Z); for good without it
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Take the revocation back
    #[arg(long, conflicts_with_all = ["reason", "until", "list"])]
    undo: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args, Clone, Debug)]
#[group(required = true, multiple = false)]
struct Whom {
    /// Exactly the certificate in this file, PEM or DER
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Every chain with a certificate of this serial number, in hexadecimal; where several authorities are trusted, with `--issuer`
    #[arg(long, value_name = "HEX")]
    serial: Option<String>,
    /// The certificate of this SHA-256: a client, or a CA with all below it
    #[arg(long, value_name = "SHA256")]
    certificate: Option<String>,
    /// Every certificate with the key of this SHA-256
    #[arg(long, value_name = "SHA256")]
    key: Option<String>,
    /// The policy subject
    #[arg(long, value_name = "NAME")]
    subject: Option<String>,
    /// Everybody of the organisation
    #[arg(long, value_name = "NAME")]
    organisation: Option<String>,
    /// Show who is revoked
    #[arg(long)]
    list: bool,
}

impl Whom {
    fn target(&self, issuer: Option<&str>) -> Result<Option<String>, String> {
        if let Some(file) = &self.file {
            let own = summary(file)?;
            return Ok(Some(format!("certificate:{}", own.fingerprint)));
        }
        let issuer = match issuer {
            None => None,
            Some(key) if is_sha256(key) => Some(key.to_owned()),
            Some(file) => Some(summary(Path::new(file))?.key_fingerprint),
        };
        let kinds = [
            ("serial", &self.serial),
            ("certificate", &self.certificate),
            ("key", &self.key),
            ("subject", &self.subject),
            ("organisation", &self.organisation),
        ];
        let target = kinds
            .into_iter()
            .find_map(|(kind, value)| Some(format!("{kind}:{}", value.as_ref()?)));
        Ok(match (target, issuer) {
            (Some(target), Some(issuer)) => Some(format!("{target}@{issuer}")),
            (target, _) => target,
        })
    }
}

fn is_sha256(text: &str) -> bool {
    let digits = text.replace(':', "");
    digits.len() == SHA256_DIGITS && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
}

/// What a file says of its first certificate.
fn summary(file: &Path) -> Result<CertificateSummary, String> {
    let told = |why: String| format!("{}: {why}", file.display());
    let bytes = std::fs::read(file).map_err(|error| told(format!("cannot be read: {error}")))?;
    let der = if bytes.first() == Some(&DER_SEQUENCE) {
        bytes
    } else {
        let first = CertificateDer::from_pem_slice(&bytes);
        let first = first.map_err(|_| {
            told("holds no certificate; expected DER, or PEM blocks starting `-----BEGIN CERTIFICATE-----`".to_owned())
        })?;
        first.to_vec()
    };
    CertificateSummary::of(&der, Purpose::Client, 0)
        .map_err(|why| told(format!("its certificate is malformed: {why}")))
}

pub(super) fn revoke(options: &Options) -> ExitCode {
    let until = match options
        .until
        .as_deref()
        .map(|text| OffsetDateTime::parse(text, &Rfc3339))
    {
        None => None,
        Some(Ok(until)) => Some(until.unix_timestamp()),
        Some(Err(_)) => {
            complain("`--until` is not a time; write it as in `2026-12-24T18:00:00Z`");
            return ExitCode::FAILURE;
        }
    };
    let target = match options.whom.target(options.issuer.as_deref()) {
        Ok(target) => target,
        Err(why) => {
            complain(why);
            return ExitCode::FAILURE;
        }
    };
    match ask(options, target, until) {
        Ok(answer) if options.json => say(answer),
        Ok(answer) => tell(&answer),
        Err(error) => {
            complain(error);
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn ask(
    options: &Options,
    target: Option<String>,
    until: Option<i64>,
) -> Result<Value, ControlError> {
    let gateway = &options.gateway;
    match target {
        None => gateway.get("/v1/revocations"),
        Some(target) if options.undo => {
            gateway.post("/v1/revocations/undo", &json!({ "target": target }))
        }
        Some(target) => {
            let push = json!({ "target": target, "reason": options.reason, "until": until });
            gateway.post("/v1/revocations", &push)
        }
    }
}

fn tell(answer: &Value) {
    if let Some(all) = answer.get("revocations").and_then(Value::as_array) {
        for revocation in all {
            say(line(revocation));
        }
    } else if let Some(revocation) = answer.get("revocation") {
        say(line(revocation));
        let ended = answer.get("connections_ended").unwrap_or(&Value::Null);
        say(format_args!("{ended} open connections end"));
    } else if let Some(lifted) = answer.get("lifted") {
        say(format_args!("lifted: {}", line(lifted)));
    }
}

fn line(revocation: &Value) -> String {
    let text = |name: &str| {
        revocation
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let moment = |name: &str| {
        let seconds = revocation.get(name).and_then(Value::as_i64)?;
        OffsetDateTime::from_unix_timestamp(seconds)
            .ok()?
            .format(&Rfc3339)
            .ok()
    };
    let until = moment("until").map_or_else(String::new, |until| format!(" until {until}"));
    format!(
        "{}  since {}{until}  by {}: {}",
        text("target"),
        moment("at").unwrap_or_default(),
        text("by"),
        text("reason")
    )
}

const SHA256_DIGITS: usize = 64;
/// What a file in DER begins with.
const DER_SEQUENCE: u8 = 0x30;
