//! Do generated policies answer as casbin does?
//!
//! `cargo run -p hangu-benches --no-default-features --release -- fuzz-policy --decisions 10000000 [--seed 7]`. Models, policies and requests of
//! several [families](case::FAMILIES) are generated from an alphabet that holds every trap that is known, compiled, and
//! each decision is compared with the casbin enforcer's. Where the two differ, the difference must have one of the
//! [names](known) that `policy/casbin/tests/divergences.rs` has a test for, and must go away when the policy is given as
//! casbin reads it; else it is printed with all that is needed to repeat it, and the exit code is 1.

mod alphabet;
mod case;
mod known;

use crate::measure::{complain, machine, say};
use case::{Asked, Case};
use hangu_policy::{Decision, Policy, Problem, Refusal, Source, Value};
use hangu_policy_casbin::{Oracle, OracleError};
use std::collections::BTreeMap;
use std::error::Error;
use std::panic;
use std::process::ExitCode;
use std::time::{Duration, Instant};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How many decisions to compare at least.
    #[arg(long, default_value_t = 1_000_000)]
    decisions: u64,
    /// Where the generator starts: the same seed makes the same policies and requests.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Box<dyn Error>> {
    // Casbin panics on some of what it is asked; each is counted, none is told.
    panic::set_hook(Box::new(|_| {}));
    let mut tally = Tally::default();
    let started = Instant::now();
    let mut told = started;
    let mut number = arguments.seed << 32;
    while tally.compared < arguments.decisions && tally.unexplained.len() < UNEXPLAINED_MAX {
        number += 1;
        tally.compare(&Case::generate(number), number);
        if told.elapsed() > TELL_EVERY {
            told = Instant::now();
            complain(&format!("{} decisions compared", tally.compared));
        }
    }
    tally.tell(arguments, started.elapsed())?;
    Ok(ExitCode::from(u8::from(!tally.unexplained.is_empty())))
}

/// What has been seen.
#[derive(Default)]
struct Tally {
    compared: u64,
    allowed: u64,
    denied: u64,
    /// Cases by family: compiled, refused by us, refused by casbin.
    cases: BTreeMap<&'static str, [u64; 3]>,
    refused: BTreeMap<String, u64>,
    known: BTreeMap<&'static str, u64>,
    unexplained: Vec<String>,
}

impl Tally {
    fn compare(&mut self, case: &Case, number: u64) {
        let counts = self.cases.entry(case.family).or_default();
        let policy = match compile(case) {
            Ok(policy) => policy,
            Err(problems) => {
                counts[1] += 1;
                *self.refused.entry(kind(&problems)).or_default() += 1;
                return;
            }
        };
        let Ok(oracle) = Oracle::new(&case.model, &case.rules) else {
            counts[2] += 1;
            return;
        };
        counts[0] += 1;
        for asked in &case.requests {
            let ours = decide(&policy, asked);
            let theirs = oracle.decide_values(asked.context, &asked.arguments);
            self.compared += 1;
            match (permits(&ours), &theirs) {
                (true, Ok(true)) => self.allowed += 1,
                (false, Ok(false)) => self.denied += 1,
                _ => match known::name(case, asked, &ours, &theirs) {
                    Some(name) => *self.known.entry(name).or_default() += 1,
                    None => self
                        .unexplained
                        .push(report(case, asked, &ours, &theirs, number)),
                },
            }
        }
    }

    fn tell(&self, arguments: &Arguments, took: Duration) -> Result<(), Box<dyn Error>> {
        say(&format!(
            "fuzz-policy --decisions {} --seed {}: {} s on {}",
            arguments.decisions,
            arguments.seed,
            took.as_secs(),
            machine()
        ))?;
        say("")?;
        say(&format!(
            "decisions compared with casbin      {:>12}",
            self.compared
        ))?;
        say(&format!(
            "  both allow                        {:>12}",
            self.allowed
        ))?;
        say(&format!(
            "  both deny                         {:>12}",
            self.denied
        ))?;
        say(&format!(
            "  differ, known by name             {:>12}",
            self.known.values().sum::<u64>()
        ))?;
        say(&format!(
            "  differ, unexplained               {:>12}",
            self.unexplained.len()
        ))?;
        say("")?;
        say(
            "policies by family                      compared      refused by us  refused by casbin",
        )?;
        for (family, [compared, ours, casbin]) in &self.cases {
            say(&format!(
                "  {family:<34}{compared:>12} {ours:>18} {casbin:>18}"
            ))?;
        }
        say("")?;
        say("differences known by name")?;
        for (name, count) in &self.known {
            say(&format!("  {count:>12}  {name}"))?;
        }
        say("")?;
        say("refused by us at load, by what was wrong first")?;
        for (what, count) in &self.refused {
            say(&format!("  {count:>12}  {what}"))?;
        }
        for report in &self.unexplained {
            say("")?;
            say(report)?;
        }
        Ok(())
    }
}

/// Compiles a case as `hangu policy eval` does.
fn compile(case: &Case) -> Result<Policy, Vec<Problem>> {
    let model = Source {
        name: "model",
        text: &case.model,
    };
    let rules = Source {
        name: "policy",
        text: &case.rules,
    };
    Policy::compile_positional(model, rules)
}

fn decide(policy: &Policy, asked: &Asked) -> Decision {
    let values: Vec<_> = asked.arguments.iter().map(value).collect();
    policy.decide_arguments(asked.context, &values)
}

fn permits(decision: &Decision) -> bool {
    matches!(decision, Decision::Permit(_))
}

fn value(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(value) => Value::Bool(*value),
        serde_json::Value::Number(number) => Value::Number(number.as_f64().unwrap_or_default()),
        serde_json::Value::String(text) => Value::Text(text.clone()),
        serde_json::Value::Array(items) => Value::List(items.iter().map(value).collect()),
        serde_json::Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(name, field)| (name.clone(), value(field)));
            Value::Object(fields.collect())
        }
    }
}

/// What is wrong first, with what it is about left out.
fn kind(problems: &[Problem]) -> String {
    let what = problems.first().map_or("", |problem| problem.what.as_str());
    let mut quoted = false;
    let mut kind = String::new();
    for c in what.chars() {
        if c == '`' {
            quoted = !quoted;
            kind.push_str(if quoted { "`…" } else { "`" });
        } else if !quoted {
            kind.push(c);
        }
    }
    kind
}

fn report(
    case: &Case,
    asked: &Asked,
    ours: &Decision,
    theirs: &Result<bool, OracleError>,
    number: u64,
) -> String {
    let ours = match ours {
        Decision::Permit(_) => "allow".to_owned(),
        Decision::Deny(Refusal::EvaluationError(_, fault)) => format!("deny, for {fault}"),
        Decision::Deny(_) => "deny".to_owned(),
    };
    let theirs = match theirs {
        Ok(true) => "allow".to_owned(),
        Ok(false) => "deny".to_owned(),
        Err(error) => error.to_string(),
    };
    let arguments = serde_json::Value::from(asked.arguments.clone());
    format!(
        "UNEXPLAINED in case {number}, {}\n{}\n{}\nrequest of context {}: {arguments}\nhangu:  {ours}\ncasbin: {theirs}",
        case.family, case.model, case.rules, asked.context
    )
}

/// Unexplained differences after which there is enough to look at.
const UNEXPLAINED_MAX: usize = 20;
const TELL_EVERY: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_policies_of_every_family_answer_as_casbin_or_differ_by_name() {
        panic::set_hook(Box::new(|_| {}));
        let mut tally = Tally::default();
        let mut number = 0;
        while tally.cases.len() < FAMILIES_COUNT || tally.compared < 1_000 {
            number += 1;
            let mut case = Case::generate(number);
            case.requests.truncate(24);
            tally.compare(&case, number);
        }
        assert_eq!(tally.unexplained, Vec::<String>::new());
        assert!(tally.allowed > 100 && tally.denied > 100);
    }

    #[test]
    fn a_wrong_answer_is_unexplained() {
        let case = (1..)
            .map(Case::generate)
            .find(|case| case.family == "the shipped model");
        let case = case.unwrap();
        let asked = Asked {
            context: 1,
            arguments: ["nobody", "tax", "/a", "GET"]
                .map(serde_json::Value::from)
                .to_vec(),
        };
        let ours = decide(&compile(&case).unwrap(), &asked);
        assert!(!permits(&ours));
        assert_eq!(known::name(&case, &asked, &ours, &Ok(true)), None);
    }

    /// How many kinds of cases there are.
    const FAMILIES_COUNT: usize = 11;
}
