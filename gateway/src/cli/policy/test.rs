//! `hangu policy test`: runs files of tests, and names the rules that no test reached.

use std::path::PathBuf;

use clap::Args;
use hangu_policy::analysis::Coverage;
use serde_json::json;

use super::explain::rule_json;
use super::files::{Naming, PolicyFiles, read_bounded};
use super::request::Facts;
use super::{Done, Outcome, print_json};
use crate::bundle::suite::{self, Ran};
use crate::cli::say;

#[derive(Debug, Args)]
#[command(after_help = "Example of a file of tests (TOML):
  [given]                                   # what every test begins with
  domain = \"tax\"

  [[test]]
  name = \"a clerk reads a return\"
  given = { subject = \"alice\" }
  when = { method = \"GET\", path = \"/returns/7\" }
  expect = \"allow\"                          # or \"deny\"
  rule = \"policy.csv:1\"                     # optional: the rule that must decide

The same in YAML, in a file whose name ends in .yaml or .yml:
  given: { domain: tax }
  test:
    - name: a clerk reads a return
      given: { subject: alice }
      when: { method: GET, path: /returns/7 }
      expect: allow

Facts: subject, domain, method, path, and whatever else the model's `r` names; all of them. `when` may be a list.
What the rules read of the subject is given by name: \"subject.device_class\" = \"managed\".
With `label`, `allow` means permitted and cleared for that label.

  hangu policy test --policy policy.csv tests/*.toml

Exit code: 0 when all pass, 1 when one fails or too few rules are reached, 2 when a file cannot be read.")]
pub(in crate::cli) struct Options {
    #[command(flatten)]
    files: PolicyFiles,
    /// Files of tests
    #[arg(required = true, value_name = "FILE")]
    tests: Vec<PathBuf>,
    /// Count the roles and clearances of this configuration's directory too, as its gateway does
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Fail when fewer rules than so many in a hundred are reached by some test
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=100))]
    coverage_min: u8,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(options: &Options) -> Done {
    let texts = options.files.read(Naming::AsGiven)?;
    let texts = texts.with_directory(options.config.as_deref())?;
    let policy = texts.compile()?;
    let mut coverage = Coverage::new(&policy);
    let mut ran: Vec<Ran> = Vec::new();
    for path in &options.tests {
        let text = read_bounded(path, TEST_BYTES_MAX)?;
        let name = path.display().to_string();
        ran.extend(suite::run(
            &policy,
            (&name, &text),
            Facts::default().time(),
            &mut coverage,
        )?);
    }
    let unreached = coverage.unreached();
    let failed = ran.iter().filter(|ran| ran.failure.is_some()).count();
    let reached = coverage.rules() - unreached.len();
    let percent = (reached * 100).checked_div(coverage.rules()).unwrap_or(100);
    if options.json {
        let tests = ran.iter().map(|ran| json!({"place": ran.place, "name": ran.name, "passed": ran.failure.is_none(), "failure": ran.failure}));
        print_json(&json!({
            "passed": ran.len() - failed,
            "failed": failed,
            "tests": tests.collect::<Vec<_>>(),
            "rules": coverage.rules(),
            "reached": reached,
            "unreached": unreached.iter().map(rule_json).collect::<Vec<_>>(),
        }))?;
    } else {
        for ran in &ran {
            if let Some(failure) = &ran.failure {
                say(format_args!(
                    "{}: failed: {}: {failure}",
                    ran.place, ran.name
                ));
            }
        }
        for rule in unreached.iter().take(UNREACHED_SHOWN) {
            say(format_args!(
                "{}: no test reaches it: {}",
                rule.place, rule.text
            ));
        }
        let more = unreached.len().saturating_sub(UNREACHED_SHOWN);
        if more > 0 {
            say(format_args!(
                "and {more} more rules that no test reaches; --json lists them"
            ));
        }
        say(format_args!(
            "{} passed, {failed} failed; {reached} of {} rules reached ({percent} %)",
            ran.len() - failed,
            coverage.rules()
        ));
    }
    let enough = percent >= usize::from(options.coverage_min);
    Ok(if failed == 0 && enough {
        Outcome::Clean
    } else {
        Outcome::Found
    })
}

/// Bytes of one file of tests.
pub(super) const TEST_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Rules without a test that are shown to people.
const UNREACHED_SHOWN: usize = 20;
