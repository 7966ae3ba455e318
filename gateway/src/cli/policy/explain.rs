//! `hangu policy explain`: why a request is answered as it is, and what would turn the answer around.

use std::path::{Path, PathBuf};

use clap::Args;
use hangu_audit::{Entry, Position, Reader};
use hangu_policy::Policy;
use hangu_policy::analysis::{Authored, Change, Explanation, RuleLine, explain};
use serde_json::json;

use super::files::{Naming, PolicyFiles, Texts};
use super::request::{Facts, context, say_context, say_plain};
use super::{Done, Outcome, print_json};
use crate::bundle::known::Known;
use crate::cli::say;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  hangu policy explain --policy policy.csv --subject alice --domain tax DELETE /returns/7
  hangu policy explain --policy policy.csv --audit /var/lib/hangu/audit --request-id 01K9Z…

Exit code: 0 when the policy permits the request and clears the subject, 1 when it does not, 2 when it cannot be asked.")]
pub(in crate::cli) struct Options {
    #[command(flatten)]
    files: PolicyFiles,
    /// Method, in capitals
    #[arg(required_unless_present = "request_id", requires = "path")]
    method: Option<String>,
    /// Path
    path: Option<String>,
    /// Who asks
    #[arg(long, value_name = "NAME", required_unless_present = "request_id")]
    subject: Option<String>,
    /// Label of what is asked for: is the subject cleared for it, as the data layer wants before any rule
    #[arg(long, value_name = "NAME", conflicts_with = "request_id")]
    label: Option<String>,
    #[command(flatten)]
    facts: Facts,
    /// Count the roles and clearances of this configuration's directory too, as its gateway does
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Folder of an audit log to find the request in
    #[arg(long, value_name = "DIR", requires = "request_id")]
    audit: Option<PathBuf>,
    /// The request's id, as the client got it
    #[arg(long, value_name = "ID", requires = "audit", conflicts_with_all = ["method", "path", "subject"])]
    request_id: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options) -> Done {
    let texts = options.files.read(Naming::AsGiven)?;
    let texts = texts.with_directory(options.config.as_deref())?;
    let policy = texts.compile()?;
    let context = context(&policy, options.facts.context)?;
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let (arguments, entry) = match (&options.audit, &options.request_id) {
        (Some(folder), Some(id)) => {
            let entry = find(folder, id)?;
            (
                recorded(&entry, context).arguments_wanted(&policy),
                Some(entry),
            )
        }
        _ => {
            let (subject, method, path) = (
                text(&options.subject),
                text(&options.method),
                text(&options.path),
            );
            let known = options.facts.with(&subject, &method, &path)?;
            (known.arguments(&policy)?, None)
        }
    };
    let authored = Authored {
        model: texts.model(),
        rules: texts.rules(),
        policy: &policy,
    };
    let Some(found) = explain(authored, context, &arguments, options.facts.time()) else {
        return Err(vec![format!("the model has no context {context}")]);
    };
    let clearance = clearance(&policy, options, entry.as_ref());
    if options.json {
        let mut told = as_json(&found, &texts, entry.as_ref(), clearance.as_ref());
        if let Some(told) = told.as_object_mut() {
            told.insert("context".to_owned(), json!(context));
        }
        print_json(&told)?;
    } else {
        if let Some(entry) = &entry {
            say(format_args!("recorded: {}", entry.render()));
        }
        print(&found, &texts);
        say_context(&policy, context);
        say_plain(&policy, context);
        if let Some(clearance) = &clearance {
            clearance.say();
        } else if entry.is_none() {
            say(NOT_ASKED);
        }
    }
    let cleared = clearance.is_none_or(|clearance| clearance.held);
    Ok(if found.permitted && cleared {
        Outcome::Clean
    } else {
        Outcome::Found
    })
}

/// Whether the subject is cleared for a label.
struct Clearance {
    subject: String,
    label: String,
    held: bool,
}

impl Clearance {
    fn say(&self) {
        let (subject, label) = (&self.subject, &self.label);
        if self.held {
            say(format_args!(
                "clearance: `{subject}` is cleared for `{label}`"
            ));
        } else {
            say(format_args!(
                "clearance: `{subject}` is not cleared for `{label}`: the data layer refuses before any rule is asked"
            ));
        }
    }
}

/// The clearance that the data layer asks for, where the label is known.
fn clearance(policy: &Policy, options: &Options, entry: Option<&Entry>) -> Option<Clearance> {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let (subject, domain, label) = match entry {
        Some(entry) => (
            entry.subject.clone(),
            entry.tenant.clone(),
            entry.label.clone(),
        ),
        None => (
            text(&options.subject),
            text(&options.facts.domain),
            text(&options.label),
        ),
    };
    (!label.is_empty()).then(|| Clearance {
        held: policy.clears(&subject, &domain, &label),
        subject,
        label,
    })
}

/// The record of a request.
fn find(folder: &Path, id: &str) -> Result<Entry, Vec<String>> {
    let refused = |what: &dyn std::fmt::Display| vec![format!("{}: {what}", folder.display())];
    let mut reader = Reader::open(folder, Position::First).map_err(|error| refused(&error))?;
    while let Some(line) = reader.next_line().map_err(|error| refused(&error))? {
        if !line.json.contains(id) {
            continue;
        }
        let entry = Entry::parse(&line.json).map_err(|error| refused(&error))?;
        if entry.request_id == id && entry.kind == "request" {
            return Ok(entry);
        }
    }
    Err(refused(&format_args!(
        "no record has the request id `{id}`; look for it with `hangu audit tail`"
    )))
}

/// A recorded request by the names of its facts.
pub(super) fn recorded(entry: &Entry, context: usize) -> Known {
    let address = match entry.client.parse::<std::net::SocketAddr>() {
        Ok(address) => address.ip().to_string(),
        Err(_) => entry.client.clone(),
    };
    let mut known = Known::of(context);
    for (name, value) in [
        ("sub", entry.subject.as_str()),
        ("dom", &entry.tenant),
        ("obj", &entry.path),
        ("act", &entry.method),
        ("label", &entry.label),
        ("zone", &entry.zone),
        ("application", &entry.application),
        ("address", &address),
    ] {
        known.add(name, value);
    }
    known
}

fn print(found: &Explanation, texts: &Texts) {
    let inputs: Vec<_> = found
        .inputs
        .iter()
        .map(|(name, value)| format!("{name} = `{value}`"))
        .collect();
    say(format_args!("request: {}", inputs.join(", ")));
    if !found.roles.is_empty() {
        say(format_args!("roles held: {}", found.roles.join(", ")));
    }
    let word = if found.permitted {
        "permitted"
    } else {
        "refused"
    };
    match (&found.rule, &found.fault) {
        (Some(rule), Some(fault)) => say(format_args!(
            "{word}: {} cannot be evaluated: {fault}",
            shown(rule)
        )),
        (Some(rule), None) => say(format_args!("{word} by {}", shown(rule))),
        (None, Some(fault)) => say(format_args!("{word}: {fault}")),
        (None, None) => say(format_args!("{word}: no rule allows it")),
    }
    if !found.overridden.is_empty() {
        let word = if found.permitted { "refuse" } else { "permit" };
        say(format_args!(
            "these would {word} it, and that rule overrides them:"
        ));
    }
    for rule in &found.overridden {
        say(format_args!("  {}", shown(rule)));
    }
    let others = found
        .matching
        .iter()
        .filter(|rule| Some(*rule) != found.rule.as_ref() && !found.overridden.contains(rule));
    for (index, rule) in others.enumerate() {
        if index == 0 {
            say("these rules match too:");
        }
        say(format_args!("  {}", shown(rule)));
    }
    if !found.near.is_empty() {
        say("these came close, all of their conditions hold but one:");
    }
    for near in found.near.iter().take(NEAR_SHOWN) {
        say(format_args!("  {}\n    {}", shown(&near.rule), near.failed));
    }
    let more = found.near_more + found.near.len().saturating_sub(NEAR_SHOWN);
    if more > 0 {
        say(format_args!("  and {more} more; --json lists them"));
    }
    if !found.changes.is_empty() {
        say("each of these changes alone would turn the answer around, the smallest first:");
    }
    for change in &found.changes {
        match change {
            Change::Add(line) => say(format_args!("  add     {line}")),
            Change::Remove(lines) => {
                for line in lines {
                    let text = texts
                        .rules
                        .split('\n')
                        .nth(line.saturating_sub(1))
                        .unwrap_or_default();
                    say(format_args!("  remove  line {line}: {}", text.trim()));
                }
            }
        }
    }
}

fn shown(rule: &RuleLine) -> String {
    format!("{}: {}", rule.place, rule.text)
}

/// A rule for machines.
pub(super) fn rule_json(rule: &RuleLine) -> serde_json::Value {
    json!({"place": rule.place, "line": rule.line, "text": rule.text, "effect": if rule.denies { "deny" } else { "allow" }})
}

fn as_json(
    found: &Explanation,
    texts: &Texts,
    entry: Option<&Entry>,
    clearance: Option<&Clearance>,
) -> serde_json::Value {
    let changes = found.changes.iter().map(|change| match change {
        Change::Add(line) => json!({"add": line}),
        Change::Remove(lines) => json!({"remove": lines}),
    });
    json!({
        "decision": if found.permitted { "allow" } else { "deny" },
        "rule": found.rule.as_ref().map(rule_json),
        "error": found.fault,
        "request": found.inputs.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
        "roles": found.roles,
        "overridden": found.overridden.iter().map(rule_json).collect::<Vec<_>>(),
        "matching": found.matching.iter().map(rule_json).collect::<Vec<_>>(),
        "near": found.near.iter().map(|near| json!({"rule": rule_json(&near.rule), "failed": near.failed})).collect::<Vec<_>>(),
        "near_more": found.near_more,
        "changes": changes.collect::<Vec<_>>(),
        "clearance": clearance.map(|clearance| json!({"label": clearance.label, "held": clearance.held})),
        "policy": texts.rules_name,
        "recorded": entry.map(|entry| json!({
            "request_id": entry.request_id,
            "time": entry.time,
            "decision": entry.decision,
            "reason": entry.reason,
            "rule": entry.rule,
            "overridden": entry.overridden,
            "policy_digest": entry.policy_digest,
        })),
    })
}

/// What is said where no label was given: rules are half of the answer.
pub(super) const NOT_ASKED: &str = "clearance was not asked; --label NAME asks for it too";
/// Rules that came close and are shown to people.
const NEAR_SHOWN: usize = 10;
