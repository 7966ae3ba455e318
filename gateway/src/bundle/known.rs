//! What is said of a request in a test or on a command line: facts by name.

use hangu_policy::analysis::{ArgumentName, argument_names};
use hangu_policy::{Policy, Value};

/// The facts of one request by the names that the gateway gives them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    pub(crate) facts: Vec<(String, String)>,
}

impl Known {
    pub(crate) fn add(&mut self, name: &str, value: &str) {
        self.facts.push((name.to_owned(), value.to_owned()));
    }

    /// The arguments in the order of the model's `r`; what is not known is left empty.
    pub(crate) fn arguments(&self, policy: &Policy) -> Result<Vec<Value>, Vec<String>> {
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
    pub(crate) fn arguments_wanted(&self, policy: &Policy) -> Vec<Value> {
        self.arguments_of(&argument_names(policy))
    }

    fn arguments_of(&self, names: &[ArgumentName]) -> Vec<Value> {
        let value = |argument: &ArgumentName| {
            let found = self.facts.iter().rev().find(|(name, _)| is(argument, name));
            if argument.fact == Some("time") {
                let seconds = found.and_then(|(_, seconds)| seconds.parse().ok());
                return seconds.map_or(Value::Null, Value::Number);
            }
            Value::Text(found.map_or(String::new(), |(_, value)| value.clone()))
        };
        names.iter().map(value).collect()
    }
}

/// Whether an argument of the model goes by this name.
fn is(argument: &ArgumentName, name: &str) -> bool {
    argument.name == name || argument.fact == Some(name)
}

/// Facts that a caller gives whether the model wants them or not.
const OWN: [&str; 4] = ["sub", "dom", "obj", "act"];
