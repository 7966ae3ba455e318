//! `hangu certs crl`: revokes, and publishes the list of everything that an authority has revoked.

use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use hangu_certs::{Reason, Revoked, Serial};
use serde_json::json;

use super::ca::{CaFolder, DAYS_MAX, LIST_DAYS, REASONS, first_certificate};
use super::files::{self, CERTIFICATES_BYTES_MAX};
use super::{CertsError, Done, Outcome, now, print_json};
use crate::cli::say;

#[derive(Debug, Args)]
#[command(after_help = "Example:
  hangu certs crl --ca issuing --cert alice.pem --reason keyCompromise

Without --cert and --serial the list is made anew as it is, which has to happen before the last one ends.
Exit code: 0 published; 2 not published.")]
pub(in crate::cli) struct Options {
    /// The folder of the authority, made by `hangu certs ca`; its revoked.crl.pem is replaced
    #[arg(long, value_name = "DIR")]
    ca: PathBuf,
    /// A certificate to revoke, by its file
    #[arg(long, value_name = "FILE")]
    cert: Vec<PathBuf>,
    /// A certificate to revoke, by its serial number in hexadecimal
    #[arg(long, value_name = "HEX", value_parser = parse_serial)]
    serial: Vec<Serial>,
    /// Why
    #[arg(long, default_value = "unspecified", value_parser = reason_parser())]
    reason: Reason,
    /// Days that the list is good for
    #[arg(long, default_value_t = LIST_DAYS, value_parser = clap::value_parser!(u32).range(1..=DAYS_MAX))]
    days: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn publish(options: &Options) -> Done {
    let folder = CaFolder::open(&options.ca)?;
    let now = now();
    let mut serials = options.serial.clone();
    for path in &options.cert {
        serials.push(serial_of(path, &folder)?);
    }
    let mut revoked = folder.revoked()?;
    let before = revoked.len();
    for serial in serials {
        if !folder.has_issued(serial)? {
            return Err(CertsError(format!(
                "{}: this authority has issued no certificate `{serial}`; look into its issued.csv",
                options.ca.display()
            )));
        }
        // Who is revoked already stays so since then.
        if revoked.iter().all(|known| known.serial != serial) {
            revoked.push(Revoked {
                serial,
                at: now,
                reason: options.reason,
            });
        }
    }
    let list = folder.publish(&revoked, now, options.days)?;
    let (all, new) = (revoked.len(), revoked.len() - before);
    if options.json {
        print_json(&json!({"list": list, "entries": all, "new": new, "days": options.days}))?;
    } else {
        let days = options.days;
        say(format_args!(
            "{list}: {all} revoked certificates, {new} of them new; good for {days} days"
        ));
    }
    Ok(Outcome::Good)
}

fn serial_of(path: &Path, folder: &CaFolder) -> Result<Serial, CertsError> {
    let certificate = first_certificate(&files::read(path, CERTIFICATES_BYTES_MAX)?, path)?;
    if certificate.issuer != folder.subject {
        return Err(CertsError(format!(
            "{}: it was issued by `{}`, and this authority is `{}`; name that one's folder",
            path.display(),
            certificate.issuer,
            folder.subject
        )));
    }
    Ok(certificate.serial)
}

fn parse_serial(text: &str) -> Result<Serial, &'static str> {
    Serial::from_hex(text)
        .ok_or("a serial number is 1 to 20 bytes in hexadecimal, such as `4f:01:ab`, and not zero")
}

fn reason_parser() -> impl TypedValueParser<Value = Reason> {
    PossibleValuesParser::new(REASONS.map(|(_, name)| name)).map(|name| {
        REASONS
            .iter()
            .find(|(_, known)| *known == name)
            .map_or(Reason::Unspecified, |(reason, _)| *reason)
    })
}
