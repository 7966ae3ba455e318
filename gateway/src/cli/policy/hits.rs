//! `hangu policy hits`: how often each rule of a running gateway has decided.

use clap::Args;
use serde_json::Value;

use super::{Done, Outcome, print_json};
use crate::cli::control::Target;
use crate::cli::say;

#[derive(Debug, Args)]
#[command(after_help = "Example:
  hangu policy hits --config /etc/hangu/hangu.toml
  hangu policy hits --config /etc/hangu/hangu.toml --unused --limit 50

Counted since the gateway was started; a rule that a reload keeps, wherever it stands, goes on counting.
Exit code: 0, or 2 when the gateway cannot be asked.")]
pub(in crate::cli) struct Options {
    #[command(flatten)]
    gateway: Target,
    /// Only rules that have never decided
    #[arg(long)]
    unused: bool,
    /// How many rules at most; those that decided most come first
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options) -> Done {
    let Options { unused, limit, .. } = options;
    let path = format!("/v1/policy/hits?unused={unused}&limit={limit}");
    let answer = options.gateway.get(&path);
    let answer = answer.map_err(|error| vec![error.to_string()])?;
    if options.json {
        print_json(&answer)?;
        return Ok(Outcome::Clean);
    }
    let text = |value: &Value, field: &str| -> String {
        let found = value.get(field).and_then(Value::as_str);
        found.unwrap_or_default().to_owned()
    };
    let number =
        |value: &Value, field: &str| value.get(field).and_then(Value::as_u64).unwrap_or_default();
    let rules = answer.get("rules").and_then(Value::as_array);
    for rule in rules.into_iter().flatten() {
        say(format_args!(
            "{:>12}  {}: {}",
            number(rule, "hits"),
            text(rule, "rule"),
            text(rule, "text")
        ));
    }
    say(format_args!(
        "{} of {} rules have decided since {}",
        number(&answer, "used"),
        number(&answer, "total"),
        text(&answer, "since")
    ));
    Ok(Outcome::Clean)
}
