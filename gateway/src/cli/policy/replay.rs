//! `hangu policy replay`: asks a candidate policy what it would have decided for the requests of an audit log.
//!
//! The log is read once, record by record, and only what changes is kept; all processors decide.

mod workers;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::num::NonZeroU8;
use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use hangu_audit::{Line, Position, Pseudonyms, QUERY_KEYS_MAX, Reader};
use hangu_policy::{Decision, Policy, Refusal, Request, RuleId};
use serde::Deserialize;
use serde_json::json;
use std::borrow::Cow;
use std::thread;

use super::files::{Naming, PolicyFiles, Texts};
use super::recorded::{JUDGED, attributes, decided_ms, host};
use super::request::context;
use super::{Done, Outcome, print_json};
use crate::cli::say;
use crate::config::RoutePrefix;
use crate::layers::edge::canonical::canonical_path;

#[derive(Debug, Args)]
#[command(after_help = "Example:
  hangu policy replay --audit /var/lib/hangu/audit --policy candidate.csv

  civil-affairs / resident-records /residents: 2 lost
    spiffe://gov.example/clerk/li would lose GET (2 times, first record 17): no rule

Requests that another layer refused stay refused and are counted apart. Exit code: 0 when nothing would change, 1 when
something would, 2 when the log or the policy cannot be read.")]
pub(in crate::cli) struct Options {
    /// Folder of the audit log
    #[arg(long, value_name = "DIR")]
    audit: PathBuf,
    #[command(flatten)]
    files: PolicyFiles,
    /// Begin with this record
    #[arg(long, value_name = "N", default_value_t = 1)]
    from: u64,
    /// Context of the model that decides for all applications, where it has several: 2 asks `r2`, `p2`, `e2` and `m2`; the recorded
    /// one, if left out
    #[arg(long, value_name = "N")]
    context: Option<NonZeroU8>,
    /// Ask for each application in the context that this configuration gives it, and count the roles and clearances of its
    /// directory too
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What is needed of a record; the rest of the line is passed over.
#[derive(Debug, Deserialize)]
struct Recorded<'a> {
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    time: Cow<'a, str>,
    #[serde(borrow, default)]
    reason: Cow<'a, str>,
    #[serde(borrow, default)]
    decision: Cow<'a, str>,
    #[serde(borrow, default)]
    subject: Cow<'a, str>,
    #[serde(borrow, default)]
    tenant: Cow<'a, str>,
    #[serde(borrow, default)]
    application: Cow<'a, str>,
    #[serde(borrow, default)]
    route: Cow<'a, str>,
    #[serde(borrow, default)]
    path: Cow<'a, str>,
    #[serde(borrow, default)]
    path_hash: Cow<'a, str>,
    #[serde(borrow, default)]
    method: Cow<'a, str>,
    #[serde(borrow, default)]
    label: Cow<'a, str>,
    #[serde(borrow, default)]
    zone: Cow<'a, str>,
    #[serde(borrow, default)]
    client: Cow<'a, str>,
    #[serde(borrow, default)]
    organisation: Cow<'a, str>,
    #[serde(borrow, default)]
    device: Cow<'a, str>,
    #[serde(borrow, default)]
    purpose: Cow<'a, str>,
    #[serde(default)]
    decided_at: i64,
    #[serde(default)]
    policy_context: u8,
    #[serde(default)]
    inputs: BTreeMap<String, String>,
    #[serde(default)]
    query_keys: Vec<String>,
    #[serde(default)]
    cut: Vec<String>,
}

/// What the recorded policy said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    Permitted,
    Refused,
    /// Another layer refused before the policy was asked.
    NotAsked,
}

/// Who would have gained or lost what; counted by record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Change {
    tenant: String,
    application: String,
    route: String,
    gains: bool,
    subject: String,
    method: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    count: u64,
    first: u64,
    path: String,
    why: String,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    records: u64,
    asked: u64,
    other_layers: u64,
    undecidable: u64,
    /// Rules read a parameter of the query, and the log has only its name.
    without_query: u64,
    /// Of applications that the configuration does not have: which context decides for them, nobody says.
    unknown_applications: u64,
    gained: u64,
    lost: u64,
    overflowed: u64,
    changes: BTreeMap<Change, Seen>,
}

pub(super) fn run(options: &Options) -> Done {
    let texts = options.files.read(Naming::AsGiven)?;
    let texts = texts.with_directory(options.config.as_deref())?;
    let policy = texts.compile_named()?;
    let candidate = Candidate::new(&policy, &texts, options.context)?;
    let refused = |error: &dyn std::fmt::Display| vec![error.to_string()];
    let mut reader = Reader::open(&options.audit, Position::Sequence(options.from))
        .map_err(|error| refused(&error))?;
    let started = Instant::now();
    let next = || reader.next_line().map_err(|error| refused(&error));
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let tally = workers::ask(next, &candidate, threads)?;
    if tally.records == 0 {
        return Err(vec![format!(
            "{}: there is no record",
            options.audit.display()
        )]);
    }
    let seconds = started.elapsed().as_secs_f64();
    if options.json {
        print_json(&as_json(&tally))?;
    } else {
        print(&tally, seconds);
    }
    let undecided = tally.undecidable + tally.unknown_applications + tally.without_query;
    let same = tally.changes.is_empty() && undecided == 0;
    Ok(if same { Outcome::Clean } else { Outcome::Found })
}

impl Tally {
    fn read(&mut self, candidate: &Candidate<'_>, line: &Line) {
        self.records += 1;
        match serde_json::from_str::<Recorded<'_>>(&line.json) {
            Ok(recorded) if recorded.kind == "request" => {
                self.take(candidate, &recorded, line.sequence);
            }
            Ok(_) => {}
            Err(_) => self.undecidable += 1,
        }
    }

    fn take(&mut self, candidate: &Candidate<'_>, recorded: &Recorded<'_>, sequence: u64) {
        let policy = candidate.policy;
        let before = recorded.before();
        if before == Before::NotAsked {
            self.other_layers += 1;
            return;
        }
        // A pseudonym is nobody's name, and a hash nobody's path.
        if Pseudonyms::is_one(&recorded.subject) || !recorded.path_hash.is_empty() {
            self.undecidable += 1;
            return;
        }
        if recorded
            .cut
            .iter()
            .any(|name| JUDGED.contains(&name.as_str()))
        {
            self.undecidable += 1;
            return;
        }
        let Some(context) = candidate.context_of(recorded) else {
            self.unknown_applications += 1;
            return;
        };
        if candidate.reads_query(context, &recorded.query_keys) {
            self.without_query += 1;
            return;
        }
        self.asked += 1;
        let after = recorded.judge(policy, context);
        if (before == Before::Permitted) == after.is_ok() {
            return;
        }
        let gains = after.is_ok();
        if gains {
            self.gained += 1;
        } else {
            self.lost += 1;
        }
        let change = Change {
            tenant: recorded.tenant.clone().into_owned(),
            application: recorded.application.clone().into_owned(),
            route: recorded.route.clone().into_owned(),
            gains,
            subject: recorded.subject.clone().into_owned(),
            method: recorded.method.clone().into_owned(),
        };
        if let Some(seen) = self.changes.get_mut(&change) {
            seen.count += 1;
            return;
        }
        if self.changes.len() >= CHANGES_MAX {
            self.overflowed += 1;
            return;
        }
        let seen = Seen {
            count: 1,
            first: sequence,
            path: recorded.path.clone().into_owned(),
            why: match after {
                Ok(rule) => shown(policy, rule),
                Err(why) => why,
            },
        };
        self.changes.insert(change, seen);
    }
}

impl Recorded<'_> {
    /// What the policy, and the clearances in it, said: by the reason, since later layers may refuse too.
    fn before(&self) -> Before {
        if self.decision == "allowed" || self.decision == "aborted" {
            return if self.tenant.is_empty() {
                Before::NotAsked
            } else {
                Before::Permitted
            };
        }
        let policy = [
            "application.no_rule",
            "application.explicit_deny",
            "application.evaluation_error",
            "data.label",
        ];
        if policy.contains(&&*self.reason) {
            Before::Refused
        } else {
            Before::NotAsked
        }
    }

    /// What the candidate says: the clearance first, then the rules, as the walk does.
    fn judge(&self, policy: &Policy, context: Option<NonZeroU8>) -> Result<RuleId, String> {
        let time_unix_ms = decided_ms(self.decided_at, &self.time);
        if !policy.clears(&self.subject, &self.tenant, &self.label, time_unix_ms) {
            return Err(format!("not cleared for `{}`", self.label));
        }
        // The log has the spelling that was sent, the policy saw the characters.
        let path = canonical_path(self.path.as_bytes()).ok();
        let attributes = attributes(&self.organisation, &self.device, &self.inputs);
        let route = RoutePrefix::parse(&self.route).ok();
        let request = Request {
            subject: &self.subject,
            domain: &self.tenant,
            path: path.as_ref().map_or(&*self.path, |path| path.as_judged()),
            method: &self.method,
            label: &self.label,
            zone: &self.zone,
            application: &self.application,
            address: host(&self.client),
            device: &self.device,
            purpose: &self.purpose,
            subject_attributes: &attributes,
            time_unix_ms,
            context,
            route: route.as_ref().map_or("", |route| route.as_judged()),
            route_parameters: route.as_ref().map_or(&[], |route| route.parameters()),
            // The log names the parameters of a query and never their values: see `reads_query`.
            ..Request::default()
        };
        match policy.decide(&request) {
            Decision::Permit(permit) => Ok(permit.rule()),
            Decision::Deny(Refusal::NoRule) => Err("no rule".to_owned()),
            Decision::Deny(Refusal::ExplicitDeny(rule)) => {
                Err(format!("denied by {}", shown(policy, rule)))
            }
            Decision::Deny(Refusal::EvaluationError(_, fault)) => Err(fault.to_string()),
        }
    }
}

/// The policy that is asked, and in which context.
struct Candidate<'a> {
    policy: &'a Policy,
    /// For all applications.
    context: Option<NonZeroU8>,
    /// For each application, where a configuration says so.
    contexts: Option<HashMap<String, Option<NonZeroU8>>>,
    /// What each context reads of a query.
    query_read: Vec<(usize, BTreeSet<String>)>,
}

impl<'a> Candidate<'a> {
    fn new(
        policy: &'a Policy,
        texts: &Texts,
        named: Option<NonZeroU8>,
    ) -> Result<Self, Vec<String>> {
        context(policy, named.map(|number| number.get().into()))?;
        let contexts = texts.contexts.as_ref().filter(|_| named.is_none());
        for number in contexts.into_iter().flat_map(|contexts| contexts.values()) {
            context(policy, number.map(|number| number.get().into()))?;
        }
        let contexts = contexts.map(|contexts| contexts.clone().into_iter().collect());
        Ok(Self::of(policy, named, contexts))
    }

    fn of(
        policy: &'a Policy,
        context: Option<NonZeroU8>,
        contexts: Option<HashMap<String, Option<NonZeroU8>>>,
    ) -> Self {
        Self {
            policy,
            context,
            contexts,
            query_read: policy
                .contexts()
                .map(|number| (number, policy.attributes_read(number, "query")))
                .filter(|(_, names)| !names.is_empty())
                .collect(),
        }
    }

    /// Whether the context reads a parameter that the request's query had, or may have had: how it was spelt there, and what
    /// stood behind the last that is named, cannot be told.
    fn reads_query(&self, context: Option<NonZeroU8>, keys: &[String]) -> bool {
        let number = context.map_or(1, |context| context.get().into());
        let read = self.query_read.iter().find(|(own, _)| *own == number);
        read.is_some_and(|(_, names)| {
            let may_be = |key: &String| {
                let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
                names.contains(key) || !key.bytes().all(is_plain)
            };
            keys.len() >= QUERY_KEYS_MAX || keys.iter().any(may_be)
        })
    }

    /// `None` for an application that the configuration does not have.
    fn context_of(&self, recorded: &Recorded<'_>) -> Option<Option<NonZeroU8>> {
        match &self.contexts {
            Some(contexts) => contexts.get(&*recorded.application).copied(),
            None => Some(self.context.or(NonZeroU8::new(recorded.policy_context))),
        }
    }
}

fn shown(policy: &Policy, rule: RuleId) -> String {
    let view = policy.rule(rule);
    format!("{view}: {}", view.text())
}

fn print(tally: &Tally, seconds: f64) {
    let mut place = None;
    for (change, seen) in &tally.changes {
        let here = (&change.tenant, &change.application, &change.route);
        if place != Some(here) {
            let (gained, lost) = sums(tally, here);
            say(format_args!(
                "{} / {} {}: {gained} gained, {lost} lost",
                change.tenant, change.application, change.route
            ));
            place = Some(here);
        }
        say(format_args!(
            "  {} would {} {} ({} times, first record {}: {}): {}",
            change.subject,
            if change.gains { "gain" } else { "lose" },
            change.method,
            seen.count,
            seen.first,
            seen.path,
            seen.why
        ));
    }
    if tally.overflowed > 0 {
        say(format_args!(
            "{} further changes are counted and not listed; begin later with --from",
            tally.overflowed
        ));
    }
    if tally.undecidable > 0 {
        say(format_args!(
            "{} records could not be decided again: they are cut, cannot be read, or hold pseudonyms",
            tally.undecidable
        ));
    }
    if tally.without_query > 0 {
        say(format_args!(
            "{} records could not be decided again: a rule reads a parameter of their query, and the log has no values of those",
            tally.without_query
        ));
    }
    if tally.unknown_applications > 0 {
        say(format_args!(
            "{} records are of applications that the configuration does not have, and were not decided again",
            tally.unknown_applications
        ));
    }
    say(format_args!(
        "{} records, {} decided again, {} refused by another layer; {} would be gained, {} lost; {:.1} s, {:.0} records a second",
        tally.records,
        tally.asked,
        tally.other_layers,
        tally.gained,
        tally.lost,
        seconds,
        tally.records as f64 / seconds.max(1e-9)
    ));
}

/// Gained and lost at one route.
fn sums(tally: &Tally, (tenant, application, route): (&String, &String, &String)) -> (u64, u64) {
    let here = tally.changes.iter().filter(|(change, _)| {
        (&change.tenant, &change.application, &change.route) == (tenant, application, route)
    });
    here.fold((0, 0), |(gained, lost), (change, seen)| {
        if change.gains {
            (gained + seen.count, lost)
        } else {
            (gained, lost + seen.count)
        }
    })
}

fn as_json(tally: &Tally) -> serde_json::Value {
    let changes = tally.changes.iter().map(|(change, seen)| {
        json!({
            "domain": change.tenant,
            "application": change.application,
            "route": change.route,
            "subject": change.subject,
            "method": change.method,
            "direction": if change.gains { "gains" } else { "loses" },
            "count": seen.count,
            "first_record": seen.first,
            "first_path": seen.path,
            "because": seen.why,
        })
    });
    json!({
        "records": tally.records,
        "decided": tally.asked,
        "refused_by_other_layers": tally.other_layers,
        "undecidable": tally.undecidable,
        "without_query_values": tally.without_query,
        "of_unknown_applications": tally.unknown_applications,
        "gained": tally.gained,
        "lost": tally.lost,
        "not_listed": tally.overflowed,
        "changes": changes.collect::<Vec<_>>(),
    })
}

/// Changes that are listed apart.
const CHANGES_MAX: usize = 200_000;
