//! `hangu sessions`: who is connected to a running gateway, and ending it.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::control::{ControlError, Target, encoded};
use super::{complain, say};

#[derive(Args, Clone, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(super) struct Options {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    list: List,
}

#[derive(Clone, Debug, Subcommand)]
enum Command {
    /// End connections; who was let in may connect again, unless revoked
    Kill(Kill),
}

#[derive(Args, Clone, Debug)]
struct List {
    #[command(flatten)]
    gateway: Target,
    /// Only those of this policy subject
    #[arg(long, value_name = "NAME")]
    subject: Option<String>,
    /// Only those of this organisation
    #[arg(long, value_name = "NAME")]
    organisation: Option<String>,
    /// At most so many
    #[arg(long, value_name = "NUMBER", default_value_t = 1_000)]
    limit: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args, Clone, Debug)]
struct Kill {
    #[command(flatten)]
    gateway: Target,
    #[command(flatten)]
    whom: Whom,
}

#[derive(Args, Clone, Debug)]
#[group(required = true, multiple = false)]
struct Whom {
    /// The connection of this number
    #[arg(long, value_name = "NUMBER")]
    id: Option<u64>,
    /// All connections of this policy subject
    #[arg(long, value_name = "NAME")]
    subject: Option<String>,
    /// All connections of this organisation
    #[arg(long, value_name = "NAME")]
    organisation: Option<String>,
}

pub(super) fn sessions(options: &Options) -> ExitCode {
    let done = match &options.command {
        Some(Command::Kill(kill)) => end(kill),
        None => show(&options.list),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(error);
            ExitCode::FAILURE
        }
    }
}

fn end(kill: &Kill) -> Result<(), ControlError> {
    let whom = &kill.whom;
    let body = json!({ "id": whom.id, "subject": whom.subject, "organisation": whom.organisation });
    let answer = kill.gateway.post("/v1/sessions/kill", &body)?;
    let ended = answer.get("connections_ended").unwrap_or(&Value::Null);
    say(format_args!("{ended} open connections end"));
    Ok(())
}

fn show(list: &List) -> Result<(), ControlError> {
    let mut path = format!("/v1/sessions?limit={}", list.limit);
    for (name, value) in [
        ("subject", &list.subject),
        ("organisation", &list.organisation),
    ] {
        if let Some(value) = value {
            path.push_str(&format!("&{name}={}", encoded(value)));
        }
    }
    let answer = list.gateway.get(&path)?;
    if list.json {
        say(answer);
        return Ok(());
    }
    let sessions = answer.get("sessions").and_then(Value::as_array);
    say(
        "     id  since                 requests  now  client                 protocol          subject",
    );
    for session in sessions.into_iter().flatten() {
        say(line(session));
    }
    let total = answer.get("total").unwrap_or(&Value::Null);
    say(format_args!("{total} open connections"));
    Ok(())
}

fn line(session: &Value) -> String {
    let text = |name: &str| {
        session
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let number = |name: &str| {
        session
            .get(name)
            .and_then(Value::as_i64)
            .unwrap_or_default()
    };
    let since = OffsetDateTime::from_unix_timestamp(number("since"))
        .ok()
        .and_then(|since| since.format(&Rfc3339).ok())
        .unwrap_or_default();
    format!(
        "{:>7}  {since}  {:>8}  {:>3}  {:<21}  {:<16}  {}",
        number("id"),
        number("requests"),
        number("in_flight"),
        text("client"),
        text("channel"),
        text("subject"),
    )
}
