//! `hangu policy who-can` and `what-can`: complete lists, with the rules.

use std::path::PathBuf;

use clap::Args;
use hangu_policy::Policy;
use hangu_policy::analysis::{WhatCan, WhoCan, what_can, who_can};
use serde_json::json;

use super::explain::{NOT_ASKED, rule_json};
use super::files::{Naming, PolicyFiles};
use super::request::{Facts, context, say_context, say_plain};
use super::{Done, Outcome, print_json};
use crate::cli::say;

#[derive(Debug, Args)]
#[command(after_help = "Example:
  hangu policy who-can --policy policy.csv GET /returns/7 --domain tax

Exit code: 0 when somebody can, 1 when nobody can, 2 when it cannot be asked.")]
pub(in crate::cli) struct WhoOptions {
    #[command(flatten)]
    files: PolicyFiles,
    /// Method, in capitals
    method: String,
    /// Path
    path: String,
    /// Label of what is asked for: those alone who are cleared for it, as the data layer wants before any rule
    #[arg(long, value_name = "NAME")]
    label: Option<String>,
    #[command(flatten)]
    facts: Facts,
    /// Count the roles and clearances of this configuration's directory too, as its gateway does
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:
  hangu policy what-can --policy policy.csv alice

Exit code: 0 when some rule allows something, 1 when none does, 2 when it cannot be asked.")]
pub(in crate::cli) struct WhatOptions {
    #[command(flatten)]
    files: PolicyFiles,
    /// Who
    subject: String,
    /// In this organisation alone
    #[arg(long, value_name = "NAME")]
    domain: Option<String>,
    /// Context of the model, where it has several: 2 asks `r2`, `p2`, `e2` and `m2`
    #[arg(long, value_name = "N")]
    context: Option<usize>,
    /// Label of what is asked for: mark the rules that are of no use without clearance for it
    #[arg(long, value_name = "NAME")]
    label: Option<String>,
    /// Count the roles and clearances of this configuration's directory too, as its gateway does
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// When it is asked, in milliseconds since 1970; now, if left out
    #[arg(long, value_name = "MS")]
    time_unix_ms: Option<i64>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn who(options: &WhoOptions) -> Done {
    let texts = options.files.read(Naming::AsGiven)?;
    let texts = texts.with_directory(options.config.as_deref())?;
    let policy = texts.compile()?;
    let context = context(&policy, options.facts.context)?;
    let known = options.facts.with("", &options.method, &options.path)?;
    let arguments = known.arguments(&policy)?;
    let path = known.judged(&policy, "obj").unwrap_or_default();
    let mut found = who_can(
        &policy,
        context,
        &arguments,
        options.facts.domain.as_deref(),
        options.facts.time(),
    );
    let uncleared = options
        .label
        .as_deref()
        .map(|label| only_cleared(&policy, &mut found, label, options.facts.time()));
    if options.json {
        print_json(&who_json(&found, options, uncleared, context))?;
    } else {
        for domain in &found.strangers {
            say(format_args!(
                "everyone{}, named anywhere or not",
                inside(domain)
            ));
        }
        for one in &found.allowed {
            let kind = if one.is_role { " (a role)" } else { "" };
            let rule = one.rule.as_ref().map_or(String::new(), |rule| {
                format!("{}: {}", rule.place, rule.text)
            });
            say(format_args!(
                "{}{kind}{}  by {rule}",
                one.subject,
                inside(&one.domain)
            ));
        }
        let people = found.allowed.iter().filter(|one| !one.is_role).count();
        say(format_args!(
            "{people} subjects and {} roles can {} {}",
            found.allowed.len() - people,
            options.method,
            path
        ));
        if let Some(why) = &found.incomplete {
            say(format_args!("the list is not complete: {why}"));
        }
        match (&options.label, uncleared) {
            (Some(label), Some(count)) => say(format_args!(
                "{count} more would be allowed by a rule and are not cleared for `{label}`"
            )),
            _ => say(NOT_ASKED),
        }
        say_context(&policy, context);
        say_plain(&policy, context);
    }
    let nobody = found.allowed.is_empty() && found.strangers.is_empty();
    Ok(if nobody {
        Outcome::Found
    } else {
        Outcome::Clean
    })
}

fn who_json(
    found: &WhoCan,
    options: &WhoOptions,
    uncleared: Option<usize>,
    context: usize,
) -> serde_json::Value {
    let allowed = found.allowed.iter().map(|one| {
        json!({
            "subject": one.subject,
            "domain": one.domain,
            "is_role": one.is_role,
            "rule": one.rule.as_ref().map(rule_json),
        })
    });
    json!({
        "context": context,
        "allowed": allowed.collect::<Vec<_>>(),
        "everyone_in": found.strangers,
        "label": options.label,
        "not_cleared": uncleared,
        "complete": found.incomplete.is_none(),
        "incomplete_because": found.incomplete,
    })
}

pub(super) fn what(options: &WhatOptions) -> Done {
    let texts = options.files.read(Naming::AsGiven)?;
    let texts = texts.with_directory(options.config.as_deref())?;
    let policy = texts.compile()?;
    let context = context(&policy, options.context)?;
    let time = Facts {
        time_unix_ms: options.time_unix_ms,
        ..Facts::default()
    };
    let found = what_can(
        &policy,
        context,
        &options.subject,
        options.domain.as_deref(),
        time.time(),
    );
    let label = options.label.as_deref();
    let cleared = |domain: &str| {
        label.map(|label| policy.clears(&options.subject, domain, label, time.time()))
    };
    let allows = found
        .rules
        .iter()
        .any(|one| !one.rule.denies && !one.void && cleared(&one.domain) != Some(false));
    if options.json {
        print_json(&what_json(&found, options, cleared))?;
    } else {
        print_what(&found, options, cleared);
        say_context(&policy, context);
    }
    Ok(if allows {
        Outcome::Clean
    } else {
        Outcome::Found
    })
}

/// Leaves those who are cleared for the label, and tells how many were not. Who is named nowhere is never cleared.
fn only_cleared(
    policy: &Policy,
    found: &mut WhoCan,
    label: &str,
    time_unix_ms: Option<i64>,
) -> usize {
    let before = found.allowed.len() + found.strangers.len();
    found
        .allowed
        .retain(|one| policy.clears(&one.subject, &one.domain, label, time_unix_ms));
    found.strangers.clear();
    before - found.allowed.len()
}

fn what_json(
    found: &WhatCan,
    options: &WhatOptions,
    cleared: impl Fn(&str) -> Option<bool>,
) -> serde_json::Value {
    let rules = found.rules.iter().map(|one| {
        json!({
            "rule": rule_json(&one.rule),
            "domain": one.domain,
            "by": one.by,
            "wants": one.wants.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
            "conditional": one.conditional,
            "cut_by": one.cut_by,
            "void": one.void,
            "cleared": cleared(&one.domain),
        })
    });
    json!({
        "context": options.context.unwrap_or(1),
        "subject": options.subject,
        "label": options.label,
        "rules": rules.collect::<Vec<_>>(),
        "complete": found.incomplete.is_none(),
        "incomplete_because": found.incomplete,
    })
}

fn print_what(found: &WhatCan, options: &WhatOptions, cleared: impl Fn(&str) -> Option<bool>) {
    for one in &found.rules {
        let wants: Vec<_> = one
            .wants
            .iter()
            .rev()
            .map(|(_, value)| value.as_str())
            .collect();
        let word = if one.rule.denies { "deny " } else { "allow" };
        let condition = if one.conditional {
            ", under a condition"
        } else {
            ""
        };
        let cut: Vec<_> = one.cut_by.iter().map(usize::to_string).collect();
        let cut = match (one.void, cut.is_empty()) {
            (_, true) => String::new(),
            (true, false) => format!(", but all of it is denied by line {}", cut.join(", ")),
            (false, false) => format!(", except what line {} denies", cut.join(", ")),
        };
        let uncleared = if cleared(&one.domain) == Some(false) && !one.rule.denies {
            ", but not cleared for the label"
        } else {
            ""
        };
        say(format_args!(
            "{word} {}{}  as `{}`  {}{condition}{cut}{uncleared}",
            wants.join(" "),
            inside(&one.domain),
            one.by,
            one.rule.place
        ));
    }
    say(format_args!(
        "{} rules are for `{}`",
        found.rules.len(),
        options.subject
    ));
    if let Some(why) = &found.incomplete {
        say(format_args!("the list is not complete: {why}"));
    }
    if options.label.is_none() {
        say(NOT_ASKED);
    }
}

/// ` in tax`, where organisations are known.
fn inside(domain: &str) -> String {
    if domain.is_empty() {
        String::new()
    } else {
        format!(" in {domain}")
    }
}
