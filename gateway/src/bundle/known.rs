//! What is said of a request in a test or on a command line: facts by name.

use hangu_policy::analysis::{ArgumentName, argument_names};
use hangu_policy::{Policy, Value};

use crate::config::{Method, RoutePrefix};
use crate::denial::Denial;
use crate::layers::edge::canonical::{canonical_path, check_query};
use crate::layers::endpoint::caller::OWN_ATTRIBUTES;

/// The facts of one request by the names that the gateway gives them.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    /// Which context of the model is asked: 1 for `r, p, e, m`.
    context: usize,
    pub(crate) facts: Vec<(String, String)>,
    /// What is known of a fact besides its text: the fact and its attributes.
    described: Vec<(String, Vec<(String, Value)>)>,
}

impl Known {
    /// Nothing known so far of a request in a context of the model.
    pub(crate) fn of(context: usize) -> Self {
        Self {
            context,
            facts: Vec::new(),
            described: Vec::new(),
        }
    }

    /// What is known of a fact besides its text.
    pub(crate) fn describe(&mut self, fact: &str, attributes: Vec<(String, Value)>) {
        self.described.push((fact.to_owned(), attributes));
    }

    /// The value of an attribute, as a gateway knows it: the posture is the one number among texts.
    pub(crate) fn attribute(name: &str, text: &str) -> Value {
        let [posture, ..] = OWN_ATTRIBUTES;
        let number = text.parse().ok().filter(|_| name == posture);
        number.map_or_else(|| Value::Text(text.to_owned()), Value::Number)
    }

    /// The context that is asked.
    pub(crate) fn context(&self) -> usize {
        self.context
    }

    pub(crate) fn add(&mut self, name: &str, value: &str) {
        self.facts.push((name.to_owned(), value.to_owned()));
    }

    /// The arguments in the order of the model's `r`; what is not known is left empty. Method and path are read as the
    /// gateway reads them, unless the policy is about other names, such as `read` and `data1`.
    ///
    /// # Errors
    /// When a fact is no argument of the model, or the gateway would refuse method or path before any rule is asked.
    pub(crate) fn arguments(&self, policy: &Policy) -> Result<Vec<Value>, Vec<String>> {
        let names = argument_names(policy, self.context);
        for (name, value) in &self.facts {
            let whole = name.split_once('.').map_or(name.as_str(), |(of, _)| of);
            let known = names.iter().any(|argument| {
                is(argument, name) || (is(argument, whole) && has_attributes(argument))
            });
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
        self.check_route(policy)?;
        let mut arguments = self.arguments_of(&names);
        for (argument, value) in names.iter().zip(&mut arguments) {
            match (argument.fact, value) {
                (Some("obj"), Value::Text(path)) if !argument.is_plain || path.starts_with('/') => {
                    *path = judged_path(path).map_err(|error| vec![error])?;
                }
                (Some("act"), Value::Text(method))
                    if !argument.is_plain && Method::from_wire(method).is_none() =>
                {
                    return Err(vec![refused_method(method)]);
                }
                _ => {}
            }
        }
        Ok(arguments)
    }

    /// Whether every argument of the model's `r` is given: an absent one is an empty text, which few rules match, so
    /// that a test that expects `deny` passes for want of a fact.
    ///
    /// # Errors
    /// Names what is missing.
    pub(crate) fn complete(&self, policy: &Policy) -> Result<(), Vec<String>> {
        let missing = argument_names(policy, self.context)
            .into_iter()
            .filter(|argument| {
                let given = self.facts.iter().any(|(name, _)| {
                    let of = name.split_once('.').map_or(&**name, |(of, _)| of);
                    is(argument, if has_attributes(argument) { of } else { name })
                });
                !given
            });
        let missing: Vec<_> = missing
            .map(|argument| {
                let name = argument.fact.map_or(argument.name.as_str(), readable);
                format!("`{name}` is not given; the model reads it, so give it in every test")
            })
            .collect();
        if missing.is_empty() {
            Ok(())
        } else {
            Err(missing)
        }
    }

    /// The value of a fact, by the gateway's name or the model's.
    pub(crate) fn fact(&self, policy: &Policy, fact: &str) -> Option<&str> {
        let names = argument_names(policy, self.context);
        let meant = |name: &str| {
            let mut arguments = names.iter();
            name == fact
                || arguments.any(|argument| argument.fact == Some(fact) && argument.name == name)
        };
        let found = self.facts.iter().rev().find(|(name, _)| meant(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The text that the policy is asked about for a fact.
    pub(crate) fn judged(&self, policy: &Policy, fact: &str) -> Option<String> {
        let names = argument_names(policy, self.context);
        let place = names.iter().position(|name| name.fact == Some(fact))?;
        let value = self.arguments(policy).ok()?.into_iter().nth(place)?;
        if let Value::Text(text) = value {
            return Some(text);
        }
        None
    }

    /// As [`Self::arguments`], for facts of which the model may not want all.
    pub(crate) fn arguments_wanted(&self, policy: &Policy) -> Vec<Value> {
        self.arguments_of(&argument_names(policy, self.context))
    }

    /// What was said of an argument's attributes, as `sub.posture`; of two the later counts.
    fn attributes_of(&self, argument: &ArgumentName) -> Vec<(String, Value)> {
        let told = self.facts.iter().rev().filter_map(|(name, text)| {
            let (of, attribute) = name.split_once('.')?;
            is(argument, of).then(|| (attribute.to_owned(), Self::attribute(attribute, text)))
        });
        let described = self.described.iter().filter(|(of, _)| is(argument, of));
        let described = described.flat_map(|(_, attributes)| attributes.iter().cloned());
        let route = self.route_parameters();
        let route = route.into_iter().filter(|_| argument.fact == Some("route"));
        told.chain(described).chain(route).collect()
    }

    /// What the template of the route, if one is given, makes of the path.
    fn route_parameters(&self) -> Vec<(String, Value)> {
        let fact = |name: &str| self.facts.iter().rev().find(|(known, _)| known == name);
        let (Some((_, route)), Some((_, path))) = (fact("route"), fact("obj")) else {
            return Vec::new();
        };
        let path = judged_path(path).unwrap_or_else(|_| path.clone());
        let Ok(prefix) = RoutePrefix::parse(route) else {
            return Vec::new();
        };
        let values = prefix.parameters().iter().filter_map(|parameter| {
            let value = parameter.value(&path)?.to_owned();
            Some((parameter.name.to_string(), Value::Text(value)))
        });
        values.collect()
    }

    /// Whether the template of the route, if one is given and the model wants it, could have taken the path.
    fn check_route(&self, policy: &Policy) -> Result<(), Vec<String>> {
        let path = self.fact(policy, "obj").unwrap_or_default();
        let Some(route) = self.fact(policy, "route").filter(|route| !route.is_empty()) else {
            return Ok(());
        };
        let prefix = RoutePrefix::parse(route)
            .map_err(|fault| vec![format!("route `{route}`: {}; {}", fault.what, fault.fix)])?;
        let sent = sent_path(path);
        let sent = canonical_path(sent.as_bytes());
        if sent.is_ok_and(|path| prefix.covers(path.as_sent())) {
            return Ok(());
        }
        Err(vec![format!(
            "route `{route}` does not cover the path `{path}`; give the `prefix` of the route that it takes"
        )])
    }

    fn arguments_of(&self, names: &[ArgumentName]) -> Vec<Value> {
        let value = |argument: &ArgumentName| {
            let found = self.facts.iter().rev().find(|(name, _)| is(argument, name));
            if argument.fact == Some("time") {
                let seconds = found.and_then(|(_, seconds)| seconds.parse().ok());
                return seconds.map_or(Value::Null, Value::Number);
            }
            let text = found.map_or(String::new(), |(_, value)| value.clone());
            let attributes = self.attributes_of(argument);
            if attributes.is_empty() {
                return Value::Text(text);
            }
            Value::Described(text, attributes)
        };
        names.iter().map(value).collect()
    }
}

/// Whether a gateway knows attributes of an argument; of one that it does not know at all, whatever is said.
fn has_attributes(argument: &ArgumentName) -> bool {
    matches!(argument.fact, Some("sub" | "query" | "route") | None)
}

/// Whether an argument of the model goes by this name.
fn is(argument: &ArgumentName, name: &str) -> bool {
    argument.name == name || argument.fact == Some(name)
}

/// The characters that the policy is asked about where a client sends this path: read as the edge reads it, the query cut
/// off. Characters beyond ASCII may be written as they are.
///
/// # Errors
/// When the edge refuses the path, so that no rule is ever asked.
pub(crate) fn judged_path(path: &str) -> Result<String, String> {
    let query = path.split_once('?').map(|(_, query)| query);
    let sent = sent_path(path);
    let canonical = canonical_path(sent.as_bytes());
    let canonical = query
        .map_or(Ok(()), |query| check_query(query.as_bytes()))
        .and(canonical);
    canonical
        .map(|canonical| canonical.as_judged().to_owned())
        .map_err(|denial| {
            format!(
                "path `{path}`: the gateway refuses it with `{}` before any rule is asked; write one that has one reading, such as `/returns/7`",
                denial.code()
            )
        })
}

/// A path as a client sends it, without its query: characters beyond ASCII as escapes.
fn sent_path(path: &str) -> String {
    let typed = path.split_once('?').map_or(path, |(path, _)| path);
    let mut sent = String::with_capacity(typed.len());
    for c in typed.chars() {
        if c.is_ascii() {
            sent.push(c);
        } else {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                sent.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    sent
}

/// Whether the model has a context.
///
/// # Errors
/// Names those that it has.
pub(crate) fn check_context(policy: &Policy, context: usize) -> Result<(), String> {
    let all: Vec<_> = policy.contexts().collect();
    if all.contains(&context) {
        return Ok(());
    }
    let all: Vec<_> = all.iter().map(usize::to_string).collect();
    Err(format!(
        "the model has no context {context}; name one of {}, such as 2 for `r2`, `p2`, `e2` and `m2`",
        all.join(", ")
    ))
}

fn refused_method(method: &str) -> String {
    let methods = Method::ALL.map(Method::as_str);
    format!(
        "method `{method}`: the gateway refuses it with `{}` before any rule is asked; use one of `{}`",
        Denial::MethodUnknown.code(),
        methods.join("`, `")
    )
}

/// What tests call a fact.
fn readable(fact: &str) -> &str {
    match fact {
        "sub" => "subject",
        "dom" => "domain",
        "obj" => "path",
        "act" => "method",
        other => other,
    }
}

/// Facts that a caller gives whether the model wants them or not.
const OWN: [&str; 5] = ["sub", "dom", "obj", "act", "time"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_judged_as_the_edge_reads_it_or_refused() {
        for (typed, judged) in [
            ("/returns/9", "/returns/9"),
            ("/returns/%39", "/returns/9"),
            ("/returns/9?page=2", "/returns/9"),
            ("/\u{5c45}\u{6c11}/7", "/\u{5c45}\u{6c11}/7"),
            ("/%e5%B1%85", "/\u{5c45}"),
        ] {
            assert_eq!(judged_path(typed).as_deref(), Ok(judged), "{typed}");
        }
        for typed in [
            "",
            "data1",
            "/returns/../7",
            "/a//b",
            "/a;b",
            "/\u{ff41}",
            "/a?b#c",
        ] {
            let error = judged_path(typed).unwrap_err();
            assert!(error.contains("edge.path_ambiguous"), "{typed}: {error}");
        }
    }
}
