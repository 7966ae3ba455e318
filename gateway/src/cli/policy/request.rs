//! A request, as it is given on the command line.

use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use hangu_policy::analysis::{ArgumentName, argument_names};
use hangu_policy::{Policy, Value};

/// What a request is besides its method and path.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct Facts {
    /// Organisation whose data are asked for
    #[arg(long, value_name = "NAME")]
    pub(super) domain: Option<String>,
    /// Any other argument of the model's `r`, such as `zone=office`; may be given several times
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub(super) others: Vec<String>,
    /// When it is asked, in milliseconds since 1970; now, if left out
    #[arg(long, value_name = "MS")]
    pub(super) time_unix_ms: Option<i64>,
}

/// The facts of one request by the names that the gateway gives them.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    pub(super) facts: Vec<(String, String)>,
}

impl Facts {
    /// All facts by name, `sub`, `dom`, `obj` and `act` among them.
    pub(super) fn with(
        &self,
        subject: &str,
        method: &str,
        path: &str,
    ) -> Result<Known, Vec<String>> {
        let mut known = Known::default();
        for (name, value) in [("sub", subject), ("obj", path), ("act", method)] {
            known.add(name, value);
        }
        known.add("dom", self.domain.as_deref().unwrap_or_default());
        for other in &self.others {
            let Some((name, value)) = other.split_once('=') else {
                return Err(vec![format!(
                    "`--set {other}`: there is no `=`; write for example `--set zone=office`"
                )]);
            };
            known.add(name, value);
        }
        Ok(known)
    }

    /// When it is asked.
    pub(super) fn time(&self) -> Option<i64> {
        self.time_unix_ms.or_else(now_unix_ms)
    }
}

impl Known {
    pub(super) fn add(&mut self, name: &str, value: &str) {
        self.facts.push((name.to_owned(), value.to_owned()));
    }

    /// The arguments in the order of the model's `r`; what is not known is left empty.
    pub(super) fn arguments(&self, policy: &Policy) -> Result<Vec<Value>, Vec<String>> {
        let names = argument_names(policy);
        for (name, value) in &self.facts {
            let known = names.iter().any(|argument| is(argument, name));
            if !known && !OWN.contains(&name.as_str()) && !value.is_empty() {
                let names: Vec<_> = names
                    .iter()
                    .map(|argument| argument.name.as_str())
                    .collect();
                return Err(vec![format!(
                    "`{name}` is no argument of the model; use one of `{}`",
                    names.join("`, `")
                )]);
            }
        }
        Ok(self.arguments_of(&names))
    }

    /// As [`Self::arguments`], for facts of which the model may not want all.
    pub(super) fn arguments_wanted(&self, policy: &Policy) -> Vec<Value> {
        self.arguments_of(&argument_names(policy))
    }

    fn arguments_of(&self, names: &[ArgumentName]) -> Vec<Value> {
        let value = |argument: &ArgumentName| {
            let found = self.facts.iter().rev().find(|(name, _)| is(argument, name));
            Value::Text(found.map_or(String::new(), |(_, value)| value.clone()))
        };
        names.iter().map(value).collect()
    }
}

/// Whether an argument of the model goes by this name.
fn is(argument: &ArgumentName, name: &str) -> bool {
    argument.name == name || argument.fact == Some(name)
}

/// Milliseconds since 1970.
pub(super) fn now_unix_ms() -> Option<i64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(now.as_millis()).ok()
}

/// Facts that a command gives whether the model wants them or not.
const OWN: [&str; 4] = ["sub", "dom", "obj", "act"];
