//! `hangu policy check`: loads strictly, then looks for what loads and is still not meant.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Args;
use hangu_policy::analysis::{Finding, Route, Severity, Surroundings, Zone, lint::lint, witnesses};
use hangu_policy::{Decision, Policy, Value};
use serde_json::json;

use super::files::{Naming, PolicyFiles, Texts};
use super::{Done, Outcome, print_json};
use crate::cli::say;
use crate::config::{self, Config};
use crate::layers::edge::canonical::is_lookalike;

#[derive(Debug, Args)]
#[command(after_help = "Example:
  hangu policy check --policy policy.csv --config hangu.toml

  policy.csv:19:4: warning[label-not-cleared]: nobody who holds `partner` is cleared for `sensitive`: the data layer
  refuses what this rule allows; remove the rule, or clear `partner` with a `g2` row

Exit code: 0 nothing found, or warnings alone; 1 an error, or with --strict a warning; 2 the policy does not load.")]
pub(in crate::cli) struct Options {
    #[command(flatten)]
    files: PolicyFiles,
    /// Hold the rules against what this configuration serves: routes, labels, zones
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Let warnings fail too
    #[arg(long)]
    strict: bool,
    /// Ask the casbin enforcer the same questions, made from each rule, and report where it answers otherwise; slow
    #[arg(long)]
    oracle: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn check(options: &Options) -> Done {
    let texts = options.files.read(Naming::AsGiven)?;
    let texts = texts.with_directory(options.config.as_deref())?;
    let surroundings = match &options.config {
        Some(path) => Some(surroundings(path)?),
        None => None,
    };
    let policy = match surroundings {
        Some(_) => texts.compile_named()?,
        None => texts.compile()?,
    };
    let mut findings = lint(&policy, texts.rules(), is_lookalike, surroundings.as_ref());
    placed_in_directory(&mut findings, &texts);
    let compared = match options.oracle {
        true => Some(oracle(&policy, &texts)?),
        false => None,
    };
    let (errors, warnings) = count(&findings);
    if options.json {
        print_json(&json!({
            "rules": policy.rule_count(),
            "errors": errors,
            "warnings": warnings,
            "findings": findings.iter().map(as_json).collect::<Vec<_>>(),
            "oracle": compared.as_ref().map(|compared| json!({
                "asked": compared.asked,
                "rules_without_request": compared.without,
                "differences": compared.differences,
            })),
        }))?;
    } else {
        for finding in &findings {
            say(finding);
        }
        if let Some(compared) = &compared {
            for difference in &compared.differences {
                say(difference);
            }
            say(format_args!(
                "oracle: {} requests asked, {} answered otherwise by casbin, {} rules without a request of texts alone",
                compared.asked,
                compared.differences.len(),
                compared.without
            ));
        }
        say(format_args!(
            "{}: {} rules; {errors} errors, {warnings} warnings",
            texts.rules_name,
            policy.rule_count()
        ));
    }
    let differs = compared.is_some_and(|compared| !compared.differences.is_empty());
    let fails = errors > 0 || differs || (options.strict && warnings > 0);
    Ok(if fails {
        Outcome::Found
    } else {
        Outcome::Clean
    })
}

/// Rows that came from a directory stand in no line of the policy.
fn placed_in_directory(findings: &mut [Finding], texts: &Texts) {
    let Some(directory) = &texts.directory else {
        return;
    };
    for problem in findings.iter_mut().map(|finding| &mut finding.problem) {
        if let Some(row) = problem.line.checked_sub(directory.first) {
            directory.file.clone_into(&mut problem.file);
            let line = directory.lines.get(row).copied().unwrap_or(1);
            (problem.line, problem.column) = (line, 1);
        }
    }
}

fn count(findings: &[Finding]) -> (usize, usize) {
    let errors = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error);
    let errors = errors.count();
    (errors, findings.len() - errors)
}

pub(super) fn as_json(finding: &Finding) -> serde_json::Value {
    let problem = &finding.problem;
    json!({
        "severity": finding.severity.to_string(),
        "kind": finding.kind,
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
        "what": problem.what,
        "fix": problem.fix,
    })
}

/// What a configuration serves.
pub(super) fn surroundings(path: &Path) -> Result<Surroundings, Vec<String>> {
    let config = config::load(path).map_err(|errors| {
        errors
            .problems()
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    })?;
    Ok(served(&config))
}

fn served(config: &Config) -> Surroundings {
    let label = |id| config.label(id).map_or("", |name| name.as_str()).to_owned();
    let mut routes = Vec::new();
    for application in &config.applications {
        for route in &application.routes {
            routes.push(Route {
                application: application.name.as_str().to_owned(),
                tenant: application.tenant.as_str().to_owned(),
                context: application
                    .policy_context
                    .map_or(1, |context| context.get().into()),
                prefix: route.prefix.as_judged().to_owned(),
                methods: route
                    .methods
                    .iter()
                    .map(|method| method.as_str().to_owned())
                    .collect(),
                label: label(route.label),
            });
        }
    }
    let served = config
        .applications
        .iter()
        .flat_map(|application| &application.routes);
    let served: BTreeSet<_> = served.map(|route| route.label).collect();
    let zones = config.numbered_zones().map(|(id, zone)| {
        let reached = served
            .iter()
            .filter(|label| config.matrix.allows(id, **label));
        Zone {
            name: zone.name.as_str().to_owned(),
            labels: reached.map(|id| label(*id)).collect(),
        }
    });
    Surroundings {
        routes,
        labels: config
            .labels
            .iter()
            .map(|name| name.as_str().to_owned())
            .collect(),
        zones: zones.collect(),
        lowest_label: config
            .labels
            .first()
            .map_or("", |name| name.as_str())
            .to_owned(),
    }
}

/// What casbin was asked, and where it differs.
#[derive(Debug)]
struct Compared {
    asked: usize,
    without: usize,
    differences: Vec<String>,
}

/// Asks casbin what was asked of the table. Where casbin raises an error or panics, deny is the right answer.
fn oracle(policy: &Policy, texts: &Texts) -> Result<Compared, Vec<String>> {
    let (mut all, without) = witnesses(policy);
    all.retain(|witness| witness.context == 1);
    if all.len() > QUESTIONS_MAX {
        let step = all.len().div_ceil(QUESTIONS_MAX);
        all = all.into_iter().step_by(step).collect();
    }
    let oracle = hangu_policy_casbin::Oracle::new(&texts.model, &texts.rules)
        .map_err(|error| vec![error.to_string()])?;
    let mut differences = Vec::new();
    for witness in &all {
        let values: Vec<_> = witness.arguments.iter().cloned().map(Value::Text).collect();
        let ours = matches!(policy.decide_arguments(1, &values), Decision::Permit(_));
        let arguments: Vec<&str> = witness.arguments.iter().map(String::as_str).collect();
        let theirs = oracle.decide(&arguments);
        if ours != *theirs.as_ref().unwrap_or(&false) {
            let shown = |permits| if permits { "allow" } else { "deny" };
            differences.push(format!(
                "{}:{}: for `{}` casbin answers {}, we answer {}; see docs/casbin-compatibility.md for what differs on purpose",
                texts.rules_name,
                witness.line,
                witness.arguments.join(", "),
                theirs.map_or("an error".to_owned(), |permits| shown(permits).to_owned()),
                shown(ours)
            ));
        }
    }
    Ok(Compared {
        asked: all.len(),
        without,
        differences,
    })
}

/// Requests that casbin is asked: it walks all rules for each.
const QUESTIONS_MAX: usize = 20_000;
