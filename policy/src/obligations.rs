//! What a rule demands besides its permit: columns of the model's `p` with these names, which no matcher has to read.
//!
//! ```text
//! p = sub, dom, obj, act, eft, mask, watermark, step_up, log_level
//! ```
//!
//! They stand in the row that they belong to, so that whoever reads, signs or compares a policy sees them; casbin ignores
//! them. A model has those that it wants; a field that is empty or `-` demands nothing.

use crate::model::check::Context;
use crate::problem::{Place, Problems};
use crate::rule::RuleView;
use crate::rules::symbols::Symbols;
use crate::rules::table::Rows;

/// What a rule demands besides its permit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Obligations {
    /// The profile by which values in the answer are masked: 1 to 64 of `a-z`, `0-9`, `-` and `_`.
    pub mask: Option<Box<str>>,
    /// The watermark that the answer carries; written as `mask`.
    pub watermark: Option<Box<str>>,
    /// The subject must have proved itself at most so many seconds ago, 1 to 86,400.
    pub step_up_seconds: Option<u32>,
    /// How much of the request is recorded.
    pub log_level: LogLevel,
}

/// How much of a request is recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LogLevel {
    /// What is recorded of every request.
    #[default]
    Normal,
    /// What the decision looked at as well.
    Detailed,
}

impl Obligations {
    /// What this rule demands; `None` when it is nothing.
    #[must_use]
    pub fn of(rule: &RuleView<'_>) -> Option<Self> {
        let mut all = Self::default();
        for column in COLUMNS {
            // A field that does not parse was refused when the policy was compiled.
            all.add(column, rule.field(column).unwrap_or_default())
                .ok()?;
        }
        (all != Self::default()).then_some(all)
    }

    /// Each as a word for records: `mask:resident-id`, `step_up:900s`, `log_level:detailed`.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        let mask = self.mask.as_ref().map(|name| format!("mask:{name}"));
        let watermark = self.watermark.as_ref();
        let watermark = watermark.map(|name| format!("watermark:{name}"));
        let step_up = self.step_up_seconds;
        let step_up = step_up.map(|seconds| format!("step_up:{seconds}s"));
        let log_level =
            (self.log_level == LogLevel::Detailed).then(|| "log_level:detailed".to_owned());
        let all = [mask, watermark, step_up, log_level];
        all.into_iter().flatten().collect()
    }

    /// Takes the field of a column; gives how to write it where it is wrong.
    fn add(&mut self, column: &str, text: &str) -> Result<(), &'static str> {
        if text.is_empty() || text == "-" {
            return Ok(());
        }
        match column {
            "mask" => self.mask = Some(name(text)?),
            "watermark" => self.watermark = Some(name(text)?),
            "step_up" => self.step_up_seconds = Some(seconds(text)?),
            _ => {
                self.log_level = match text {
                    "normal" => LogLevel::Normal,
                    "detailed" => LogLevel::Detailed,
                    _ => return Err("write `normal`, `detailed` or `-`"),
                }
            }
        }
        Ok(())
    }
}

/// Reports every field of these columns that is not written as it must be.
pub(crate) fn check(
    contexts: &[Context],
    tables: &[Rows],
    symbols: &Symbols,
    problems: &mut Problems<'_>,
) {
    for (context, rows) in contexts.iter().zip(tables) {
        let columns = context.shape.columns.iter().enumerate();
        for (column, name) in columns.filter(|(_, name)| COLUMNS.contains(&name.as_str())) {
            for row in 0..rows.len() {
                let text = rows
                    .field(row, column)
                    .map_or("", |field| symbols.text(field));
                if let Err(fix) = Obligations::default().add(name, text) {
                    let at = Place {
                        line: rows.line(row),
                        column: 1,
                    };
                    problems.add(at, format!("`{text}` is no obligation `{name}`"), fix);
                }
            }
        }
    }
}

fn name(text: &str) -> Result<Box<str>, &'static str> {
    let known = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_')
    };
    if text.len() <= NAME_BYTES_MAX && text.bytes().all(known) {
        return Ok(text.into());
    }
    Err("write a name of 1 to 64 of the characters a-z, 0-9, - and _, or `-` for none")
}

/// `90s`, `15m`, `8h`.
fn seconds(text: &str) -> Result<u32, &'static str> {
    let parsed = || {
        let unit = match text.chars().last()? {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            _ => return None,
        };
        let number: u32 = text.get(..text.len() - 1)?.parse().ok()?;
        let seconds = number.checked_mul(unit)?;
        (1..=STEP_UP_SECONDS_MAX)
            .contains(&seconds)
            .then_some(seconds)
    };
    parsed().ok_or("write a time such as `90s`, `15m` or `8h`, at most a day, or `-` for none")
}

/// The columns of `p` that are obligations.
const COLUMNS: [&str; 4] = ["mask", "watermark", "step_up", "log_level"];
const NAME_BYTES_MAX: usize = 64;
const STEP_UP_SECONDS_MAX: u32 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Decision, Policy, Request, Source};

    const MODEL: &str = "[request_definition]\nr = sub, obj\n[policy_definition]\np = sub, obj, eft, mask, step_up, log_level\n\
        [policy_effect]\ne = some(where (p.eft == allow)) && !some(where (p.eft == deny))\n[matchers]\nm = r.sub == p.sub && r.obj == p.obj\n";

    fn compile(rules: &str) -> Result<Policy, Vec<String>> {
        let source = |name, text| Source { name, text };
        let compiled = Policy::compile(source("m", MODEL), source("p", rules));
        compiled.map_err(|problems| problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_permit_leads_to_what_its_rule_demands() {
        let rules = "p, li, /a, allow, resident-id, 15m, detailed\np, li, /b, allow, -, , -\n";
        let policy = compile(rules).unwrap();
        let demanded = |path| {
            let request = Request {
                subject: "li",
                path,
                ..Request::default()
            };
            match policy.decide(&request) {
                Decision::Permit(permit) => Obligations::of(&policy.rule(permit.rule())),
                Decision::Deny(refusal) => panic!("{refusal:?}"),
            }
        };
        assert_eq!(
            demanded("/a").unwrap().words(),
            ["mask:resident-id", "step_up:900s", "log_level:detailed"]
        );
        assert_eq!(demanded("/b"), None);
    }

    #[test]
    fn what_is_no_obligation_is_refused_with_its_line() {
        for (row, refused) in [
            (
                "p, li, /a, allow, Resident, -, -",
                "`Resident` is no obligation `mask`",
            ),
            (
                "p, li, /a, allow, -, 15, -",
                "`15` is no obligation `step_up`",
            ),
            (
                "p, li, /a, allow, -, 0s, -",
                "`0s` is no obligation `step_up`",
            ),
            (
                "p, li, /a, allow, -, 25h, -",
                "`25h` is no obligation `step_up`",
            ),
            (
                "p, li, /a, allow, -, 15分, -",
                "`15分` is no obligation `step_up`",
            ),
            (
                "p, li, /a, allow, -, -, all",
                "`all` is no obligation `log_level`",
            ),
        ] {
            let problems = compile(&format!("p, li, /b, allow, -, -, -\n{row}\n")).unwrap_err();
            assert_eq!(problems.len(), 1, "{row}");
            assert!(
                problems[0].starts_with(&format!("p:2:1: {refused}")),
                "{}",
                problems[0]
            );
        }
    }
}
