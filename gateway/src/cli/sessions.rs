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
    /// Only those with a request to this application under way
    #[arg(long, value_name = "NAME")]
    application: Option<String>,
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
        ("application", &list.application),
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
    say(HEADING);
    for session in sessions.into_iter().flatten() {
        say(line(session));
    }
    let total = answer.get("total").unwrap_or(&Value::Null);
    say(format_args!("{total} open connections"));
    Ok(())
}

fn line(session: &Value) -> String {
    let text = |name: &str| text(session, name);
    let number = |name: &str| number(session, name);
    format!(
        "{:>7}  {}  {:>8}  {:>3}  {:>8}  {:>8}  {:<21}  {:<16}  {:<32}  {}",
        number("id"),
        moment(number("since")),
        number("requests"),
        number("in_flight"),
        size(number("bytes_in")),
        size(number("bytes_out")),
        text("client"),
        text("channel"),
        doing(session),
        text("subject"),
    )
}

/// The oldest request under way, and how many more there are.
fn doing(session: &Value) -> String {
    let requests = session.get("under_way").and_then(Value::as_array);
    let requests = requests.map(Vec::as_slice).unwrap_or_default();
    let oldest = requests.iter().min_by_key(|one| number(one, "since"));
    let Some(oldest) = oldest else {
        return "-".to_owned();
    };
    let others = match requests.len() {
        1 => String::new(),
        all => format!(" +{}", all - 1),
    };
    let since = moment(number(oldest, "since"));
    // The day is that of the connection, or near it.
    let time = since.split_once('T').map_or("", |(_, time)| time);
    format!(
        "{} {} {} {time}{others}",
        text(oldest, "method"),
        text(oldest, "application"),
        text(oldest, "route"),
    )
}

fn text<'v>(value: &'v Value, name: &str) -> &'v str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn number(value: &Value, name: &str) -> i64 {
    value.get(name).and_then(Value::as_i64).unwrap_or_default()
}

fn moment(seconds: i64) -> String {
    OffsetDateTime::from_unix_timestamp(seconds)
        .ok()
        .and_then(|since| since.format(&Rfc3339).ok())
        .unwrap_or_default()
}

/// Bytes for people: three digits are enough.
fn size(bytes: i64) -> String {
    let mut rest = bytes;
    for unit in ["", "K", "M", "G"] {
        if rest < 10_000 {
            return format!("{rest}{unit}");
        }
        rest /= 1_024;
    }
    format!("{rest}T")
}

const HEADING: &str = "     id  since                 requests  now        in       out  client                 protocol          doing                             subject";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_one_line_that_says_what_it_is_doing() {
        let request = |since: i64, route: &str| json!({"method": "GET", "application": "records", "route": route, "since": since});
        let session = json!({
            "id": 7, "since": 1_790_000_000, "requests": 12, "in_flight": 2, "bytes_in": 9_999, "bytes_out": 73_400_320,
            "client": "192.0.2.7:4711", "channel": "TLSv1.3/h2", "subject": "spiffe://gov.test/clerk",
            "under_way": [request(1_790_000_010, "/feed"), request(1_790_000_005, "/files")],
        });
        let columns = [
            "      7  2026-09-21T14:13:20Z        12    2      9999       70M  192.0.2.7:4711       ",
            "  TLSv1.3/h2        GET records /files 14:13:25Z +1   spiffe://gov.test/clerk",
        ];
        assert_eq!(line(&session), columns.concat());
        assert_eq!(HEADING.find("subject"), columns.concat().find("spiffe"));
    }
}
