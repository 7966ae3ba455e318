//! `hangu policy explain`: why a request is answered as it is, and what would turn the answer around.

use std::path::PathBuf;

use clap::Args;
use hangu_audit::Entry;
use hangu_policy::analysis::{Authored, Change, Explanation, RuleLine, explain};
use hangu_policy::{Policy, Value};
use serde_json::json;

use super::clearance::Clearance;
use super::files::{Naming, PolicyFiles, Texts};
use super::recorded;
use super::request::{Facts, context, say_context, say_plain};
use super::{Done, Outcome, print_json};
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
    /// Count the roles and clearances of this configuration's directory too, as its gateway does; a recorded request is asked in
    /// the context that its application has there
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
    let entry = match (&options.audit, &options.request_id) {
        (Some(folder), Some(id)) => Some(recorded::find(folder, id)?),
        _ => None,
    };
    let named = match &entry {
        Some(entry) if options.config.is_none() => {
            let recorded = usize::try_from(entry.policy_context).ok();
            let recorded = recorded.filter(|context| *context > 0);
            options.facts.context.or(recorded)
        }
        Some(entry) => texts.context_of(&entry.application, options.facts.context)?,
        None => options.facts.context,
    };
    let context = context(&policy, named)?;
    let (asked, arguments) = options.asked(&policy, context, entry.as_ref())?;
    let authored = Authored {
        model: texts.model(),
        rules: texts.rules(),
        policy: &policy,
    };
    let Some(found) = explain(authored, context, &arguments, asked.time_unix_ms) else {
        return Err(vec![format!("the model has no context {context}")]);
    };
    let about = (&*asked.subject, &*asked.domain, &*asked.label);
    let clearance = Clearance::of(authored, about, asked.time_unix_ms);
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
        let reads_query = !policy.attributes_read(context, "query").is_empty();
        if entry
            .as_ref()
            .is_some_and(|entry| reads_query && !entry.query_keys.is_empty())
        {
            say("the log has no values of query parameters, so what reads one finds nothing here");
        }
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

/// Who asks for what, as the data layer judges it, and when.
struct Asked {
    subject: String,
    domain: String,
    label: String,
    time_unix_ms: Option<i64>,
}

impl Options {
    /// The request of the command line, or the recorded one, and its arguments in the order of the model's `r`.
    fn asked(
        &self,
        policy: &Policy,
        context: usize,
        entry: Option<&Entry>,
    ) -> Result<(Asked, Vec<Value>), Vec<String>> {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        if let Some(entry) = entry {
            let (known, decided) = recorded::request(entry, context)?;
            let asked = Asked {
                subject: entry.subject.clone(),
                domain: entry.tenant.clone(),
                label: entry.label.clone(),
                time_unix_ms: self.facts.time_unix_ms.or(decided),
            };
            return Ok((asked, known.arguments_wanted(policy)));
        }
        let subject = text(&self.subject);
        let known = self
            .facts
            .with(&subject, &text(&self.method), &text(&self.path))?;
        let arguments = known.arguments(policy)?;
        let asked = Asked {
            subject,
            domain: text(&self.facts.domain),
            label: text(&self.label),
            time_unix_ms: self.facts.time(),
        };
        Ok((asked, arguments))
    }
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
        "clearance": clearance.map(Clearance::as_json),
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
