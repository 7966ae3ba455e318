//! `hangu policy diff`: who gains and who loses what, not which lines differ.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use hangu_policy::Policy;
use hangu_policy::analysis::{ClearanceDelta, Delta, Diff, Direction, diff};
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::explain::rule_json;
use super::files::{Naming, PolicyFiles};
use super::request::{Facts, context};
use super::{Done, Outcome, print_json};
use crate::cli::say;

#[derive(Debug, Args)]
#[command(after_help = "Example:
  hangu policy diff policy.csv candidate.csv

  tax / head gains DELETE /returns/:any, except DELETE /returns/9: bob and 1 more
    candidate.csv:6: p, head, tax, /returns/:id, DELETE, allow

`:any` is one segment, `/*` everything below, `*` anything. Exit code: 0 when nobody gains or loses anything, 1 when
somebody does or it cannot be told exactly, 2 when a policy is refused.")]
pub(in crate::cli) struct Options {
    /// The policy as it is
    old: PathBuf,
    /// The policy as it is to be
    new: PathBuf,
    /// The Casbin model of both; without it the one that Hangu ships
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// The Casbin model of the new policy, where it is another
    #[arg(long, value_name = "FILE")]
    new_model: Option<PathBuf>,
    /// Compare this context of the model alone; without it all of them, 2 being `r2`, `p2`, `e2` and `m2`
    #[arg(long, value_name = "N")]
    context: Option<usize>,
    /// Name everybody who gains or loses
    #[arg(long)]
    subjects: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options) -> Done {
    let new_model = options.new_model.as_ref().or(options.model.as_ref());
    let old = compile(&options.old, options.model.as_ref())?;
    let new = compile(&options.new, new_model)?;
    let contexts = contexts(&old, &new, options.context)?;
    let mut found = Vec::new();
    for context in &contexts {
        let one = diff(&old, &new, *context, Facts::default().time());
        found.push((*context, one.map_err(|error| vec![error])?));
    }
    if options.json {
        print_json(&as_json(&found))?;
    } else {
        for (context, one) in &found {
            if contexts.len() > 1 {
                say(format_args!("context {context}:"));
            }
            print(one, options.subjects);
        }
    }
    let same = found.iter().all(|(_, found)| {
        found.deltas.is_empty() && found.clearances.is_empty() && found.inexact.is_empty()
    });
    Ok(if same { Outcome::Clean } else { Outcome::Found })
}

/// The contexts to compare: the one that is named, or all, which must then be those of both models.
fn contexts(old: &Policy, new: &Policy, named: Option<usize>) -> Result<Vec<usize>, Vec<String>> {
    if named.is_some() {
        context(old, named)?;
        return Ok(vec![context(new, named)?]);
    }
    let all: Vec<_> = old.contexts().collect();
    if all == new.contexts().collect::<Vec<_>>() {
        return Ok(all);
    }
    Err(vec![
        "one model has contexts that the other has not; name one of both with `--context`"
            .to_owned(),
    ])
}

fn compile(policy: &std::path::Path, model: Option<&PathBuf>) -> Result<Policy, Vec<String>> {
    let files = PolicyFiles {
        model: model.cloned(),
        policy: policy.to_owned(),
    };
    files.read(Naming::AsGiven)?.compile()
}

fn print(found: &Diff, every: bool) {
    for delta in &found.deltas {
        let except: Vec<_> = delta.except.iter().map(|wants| values(wants)).collect();
        let except = if except.is_empty() {
            String::new()
        } else {
            format!(", except {}", except.join(" and "))
        };
        let place = if delta.domain.is_empty() {
            delta.role.clone()
        } else {
            format!("{} / {}", delta.domain, delta.role)
        };
        say(format_args!(
            "{place} {} {}{except}: {}",
            word(delta.direction),
            values(&delta.wants),
            people(delta, every)
        ));
        let rule = match delta.direction {
            Direction::Gains => delta.after.as_ref().or(delta.before.as_ref()),
            Direction::Loses => delta
                .after
                .as_ref()
                .filter(|rule| rule.denies)
                .or(delta.before.as_ref()),
        };
        if let Some(rule) = rule {
            say(format_args!("  {}: {}", rule.place, rule.text));
        }
    }
    for one in &found.clearances {
        let [after, before] = times(one);
        let after = after.map_or(String::new(), |time| format!(" after {time}"));
        let before = before.map_or(String::new(), |time| format!(" before {time}"));
        say(format_args!(
            "{} {} clearance for {}{after}{before}",
            one.name,
            word(one.direction),
            one.label
        ));
    }
    for why in &found.inexact {
        say(format_args!("not exact: {why}"));
    }
    let gains = found
        .deltas
        .iter()
        .filter(|delta| delta.direction == Direction::Gains)
        .count();
    say(format_args!(
        "{gains} gains, {} losses, {} changes of clearance",
        found.deltas.len() - gains,
        found.clearances.len()
    ));
}

/// Between which moments a clearance changes, where it does not for all time.
fn times(one: &ClearanceDelta) -> [Option<String>; 2] {
    [one.after_unix_ms, one.before_unix_ms].map(|ms| {
        let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms?) * 1_000_000);
        time.ok()?.format(&Rfc3339).ok()
    })
}

/// Who is concerned: the role itself is no person.
fn people(delta: &Delta, every: bool) -> String {
    let mut people: Vec<_> = delta
        .subjects
        .iter()
        .filter(|subject| **subject != delta.role)
        .map(String::as_str)
        .collect();
    if people.is_empty() {
        return "nobody holds it today".to_owned();
    }
    let more = people.len().saturating_sub(PEOPLE_SHOWN);
    if more == 0 || every {
        return people.join(", ");
    }
    people.truncate(PEOPLE_SHOWN);
    format!("{} and {more} more", people.join(", "))
}

fn values(wants: &[(String, String)]) -> String {
    let values: Vec<_> = wants
        .iter()
        .rev()
        .map(|(_, value)| value.as_str())
        .collect();
    values.join(" ")
}

fn word(direction: Direction) -> &'static str {
    match direction {
        Direction::Gains => "gains",
        Direction::Loses => "loses",
    }
}

fn as_json(all: &[(usize, Diff)]) -> serde_json::Value {
    let object = |wants: &[(String, String)]| {
        json!(
            wants
                .iter()
                .cloned()
                .collect::<std::collections::BTreeMap<_, _>>()
        )
    };
    let deltas = all.iter().flat_map(|(context, found)| {
        let deltas = found.deltas.iter();
        deltas.map(move |delta| (*context, delta))
    });
    let deltas = deltas.map(|(context, delta)| {
        json!({
            "context": context,
            "direction": word(delta.direction),
            "domain": delta.domain,
            "role": delta.role,
            "subjects": delta.subjects,
            "wants": object(&delta.wants),
            "except": delta.except.iter().map(|wants| object(wants)).collect::<Vec<_>>(),
            "before": delta.before.as_ref().map(rule_json),
            "after": delta.after.as_ref().map(rule_json),
        })
    });
    let clearances = all.iter().flat_map(|(_, found)| &found.clearances);
    let clearances: BTreeSet<_> = clearances.collect();
    let clearances = clearances.into_iter().map(|one| {
        let [after, before] = times(one);
        json!({"name": one.name, "label": one.label, "direction": word(one.direction), "after": after, "before": before})
    });
    let inexact: BTreeSet<_> = all.iter().flat_map(|(_, found)| &found.inexact).collect();
    json!({
        "deltas": deltas.collect::<Vec<_>>(),
        "clearances": clearances.collect::<Vec<_>>(),
        "exact": inexact.is_empty(),
        "inexact_because": inexact,
    })
}

/// People who are named for each change.
const PEOPLE_SHOWN: usize = 5;
