//! `hangu revoke`: throws somebody out of a running gateway at once, ahead of any list.

use std::process::ExitCode;

use clap::Args;
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
    /// Every chain with a certificate of this serial number, in hexadecimal
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
    fn target(&self) -> Option<String> {
        let kinds = [
            ("serial", &self.serial),
            ("certificate", &self.certificate),
            ("key", &self.key),
            ("subject", &self.subject),
            ("organisation", &self.organisation),
        ];
        kinds
            .into_iter()
            .find_map(|(kind, value)| Some(format!("{kind}:{}", value.as_ref()?)))
    }
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
    match ask(options, until) {
        Ok(answer) if options.json => say(answer),
        Ok(answer) => tell(&answer),
        Err(error) => {
            complain(error);
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn ask(options: &Options, until: Option<i64>) -> Result<Value, ControlError> {
    let gateway = &options.gateway;
    match options.whom.target() {
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
