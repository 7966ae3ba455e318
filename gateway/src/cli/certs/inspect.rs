//! `hangu certs inspect`: what is written in certificates and revocation lists, and what the gateway makes of it.

use std::path::{Path, PathBuf};

use clap::Args;
use hangu_certs::{CertificateSummary, Identity, ListSummary, Template};
use rustls_pki_types::pem::{PemObject, SectionKind};
use serde_json::{Map, Value, json};

use super::files::{self, LISTS_BYTES_MAX};
use super::{CertsError, Done, For, Outcome, moment, now, parse_moment, print_json};
use crate::cli::say;

#[derive(Debug, Args)]
#[command(after_help = "Example:
  hangu certs inspect alice.pem --subject '{subject.cn}'

Nothing is verified against a CA: see `hangu certs verify`.
Exit code: 0 nothing wrong; 1 the gateway would not accept one of them; 2 unusable input.")]
pub(in crate::cli) struct Options {
    /// Certificates and revocation lists: PEM, or one in DER; private keys beside them are passed over
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Also show the policy subject that this template gives, as `identity.subject` in the configuration
    #[arg(long, value_name = "TEMPLATE", value_parser = Template::parse)]
    subject: Option<Template>,
    /// What a certificate that is no CA's is used for
    #[arg(long, value_enum, default_value_t = For::Client)]
    purpose: For,
    /// The moment to judge at, instead of now
    #[arg(long, value_name = "RFC3339", value_parser = parse_moment)]
    at: Option<i64>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What a file holds.
enum Found {
    Certificate(Vec<u8>),
    List(Vec<u8>),
}

/// One of them, told.
struct Told {
    text: String,
    json: Value,
    outcome: Outcome,
}

pub(super) fn inspect(options: &Options) -> Done {
    let at = options.at.unwrap_or_else(now);
    let mut all = Vec::new();
    for path in &options.files {
        for found in find(path)? {
            all.push(match found {
                Found::Certificate(der) => certificate(path, &der, options, at),
                Found::List(der) => list(path, &der)?,
            });
        }
    }
    if options.json {
        let values: Vec<&Value> = all.iter().map(|told| &told.json).collect();
        print_json(&json!(values))?;
    } else {
        let texts: Vec<&str> = all.iter().map(|told| told.text.as_str()).collect();
        say(texts.join("\n\n"));
    }
    let has_problem = all.iter().any(|told| told.outcome == Outcome::Refused);
    Ok(if has_problem {
        Outcome::Refused
    } else {
        Outcome::Good
    })
}

fn find(path: &Path) -> Result<Vec<Found>, CertsError> {
    let bytes = files::read(path, LISTS_BYTES_MAX)?;
    if bytes.first() == Some(&DER_SEQUENCE) {
        // The structures differ early: what reads as a list is none that reads as a certificate.
        return Ok(vec![match ListSummary::of(&bytes) {
            Ok(_) => Found::List(bytes),
            Err(_) => Found::Certificate(bytes),
        }]);
    }
    let mut found = Vec::new();
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(&bytes) {
        let (kind, der) = section.map_err(|_why| {
            CertsError(format!(
                "{}: it is not readable as PEM; export it again",
                path.display()
            ))
        })?;
        if kind == SectionKind::Certificate {
            found.push(Found::Certificate(der));
        } else if kind == SectionKind::Crl {
            found.push(Found::List(der));
        }
    }
    if found.is_empty() {
        return Err(CertsError(format!(
            "{}: it holds no certificate and no revocation list; expected DER, or PEM blocks starting `-----BEGIN CERTIFICATE-----` or `-----BEGIN X509 CRL-----`",
            path.display()
        )));
    }
    Ok(found)
}

fn certificate(path: &Path, der: &[u8], options: &Options, at: i64) -> Told {
    let file = files::name(path);
    let summary = match CertificateSummary::of(der, options.purpose.purpose(), at) {
        Ok(summary) => summary,
        Err(why) => {
            return Told {
                text: format!("{file}: a certificate\nproblems:     it is malformed: {why}"),
                json: json!({"file": file, "kind": "certificate", "problems": [format!("it is malformed: {why}")]}),
                outcome: Outcome::Refused,
            };
        }
    };
    let mut lines = vec![format!("{file}: a certificate"), summary.to_string()];
    let mut json = certificate_json(&file, &summary);
    if let (Ok(identity), false) = (&summary.identity, summary.is_authority) {
        lines.extend(identity_lines(identity));
        json.insert("identity".to_owned(), identity_json(identity));
        if let Some(template) = &options.subject {
            let subject = template.render(identity);
            lines.push(match &subject {
                Some(subject) => format!("policy subject: {subject}"),
                None => {
                    "policy subject: none, since a field is missing; it would be refused".into()
                }
            });
            json.insert("policy_subject".to_owned(), json!(subject));
        }
    }
    let outcome = if summary.problems.is_empty() {
        Outcome::Good
    } else {
        Outcome::Refused
    };
    Told {
        text: lines.join("\n"),
        json: Value::Object(json),
        outcome,
    }
}

fn certificate_json(file: &str, summary: &CertificateSummary) -> Map<String, Value> {
    let value = json!({
        "file": file,
        "kind": "certificate",
        "subject": summary.subject,
        "issuer": summary.issuer,
        "serial": summary.serial.to_string(),
        "not_before": moment(summary.not_before),
        "not_after": moment(summary.not_after),
        "authority": summary.is_authority,
        "path_length": summary.path_length,
        "key": summary.key,
        "signature": summary.signature,
        "key_usages": summary.key_usages,
        "extended_key_usages": summary.extended_key_usages,
        "alternative_names": summary.alternative_names,
        "fingerprint": summary.fingerprint,
        "key_fingerprint": summary.key_fingerprint,
        "problems": summary.problems,
    });
    match value {
        Value::Object(map) => map,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Map::new()
        }
    }
}

fn list(path: &Path, der: &[u8]) -> Result<Told, CertsError> {
    let file = files::name(path);
    let summary = match ListSummary::of(der) {
        Ok(summary) => summary,
        Err(why) => {
            return Ok(Told {
                text: format!("{file}: a revocation list\nproblems:     {why}"),
                json: json!({"file": file, "kind": "list", "problems": [why.to_string()]}),
                outcome: Outcome::Refused,
            });
        }
    };
    Ok(Told {
        text: format!("{file}: a revocation list\n{summary}"),
        json: json!({
            "file": file,
            "kind": "list",
            "issuer": summary.issuer,
            "number": summary.number.to_string(),
            "this_update": moment(summary.this_update),
            "next_update": summary.next_update.map(moment),
            "entries": summary.entries,
            "covers": summary.covers,
            "signature": summary.signature,
            "problems": [],
        }),
        outcome: Outcome::Good,
    })
}

/// Who the gateway takes the holder for: one line a field, by the names that templates use.
pub(super) fn identity_lines(identity: &Identity) -> Vec<String> {
    let lines = fields(identity).into_iter().map(|(name, values)| {
        let name = format!("{{{name}}}");
        format!("{name:<28} {}", values.join(", "))
    });
    let code = identity.credit_code.as_ref();
    let code = code.map(|code| format!("{:<28} {code}", "credit code"));
    lines.chain(code).collect()
}

/// The same for machines: a list for each field.
pub(super) fn identity_json(identity: &Identity) -> Value {
    let mut map: Map<String, Value> = fields(identity)
        .into_iter()
        .map(|(name, values)| (name.to_owned(), json!(values)))
        .collect();
    let code = identity.credit_code.as_ref().map(ToString::to_string);
    map.insert("credit_code".to_owned(), json!(code));
    map.insert("policies".to_owned(), json!(identity.policies));
    Value::Object(map)
}

fn fields(identity: &Identity) -> Vec<(&'static str, Vec<String>)> {
    let values = |name: &str| match name {
        "subject.ou" => identity.organisational_units.clone(),
        "san.uri" => identity.uris.clone(),
        "san.dns" => identity.dns.clone(),
        "san.email" => identity.emails.clone(),
        "san.ip" => identity.ips.iter().map(ToString::to_string).collect(),
        "san.upn" => identity.upns.clone(),
        _ => identity
            .field(name)
            .map(str::to_owned)
            .into_iter()
            .collect(),
    };
    Identity::FIELDS
        .iter()
        .map(|name| (*name, values(name)))
        .filter(|(_name, values): &(_, Vec<String>)| !values.is_empty())
        .collect()
}

/// What a file in DER begins with.
const DER_SEQUENCE: u8 = 0x30;
