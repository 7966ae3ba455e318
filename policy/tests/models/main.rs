//! The model families of Casbin's documentation: each compiles, and answers as documented.

mod attributes;
mod clearance;
mod families;
mod refusals;
mod roles;

use hangu_policy::{Decision, Policy, Problem, Source, Value};

pub(crate) fn compile(model: &str, rules: &str) -> Result<Policy, Vec<Problem>> {
    let model = Source {
        name: "model.conf",
        text: model,
    };
    let rules = Source {
        name: "policy.csv",
        text: rules,
    };
    Policy::compile_positional(model, rules)
}

/// A model from its `r`, `p`, further sections, effect and matcher.
pub(crate) fn model(r: &str, p: &str, g: &str, e: &str, m: &str) -> String {
    let roles = if g.is_empty() {
        String::new()
    } else {
        format!("[role_definition]\n{g}\n")
    };
    format!(
        "[request_definition]\nr = {r}\n[policy_definition]\np = {p}\n{roles}[policy_effect]\ne = {e}\n\
         [matchers]\nm = {m}\n"
    )
}

pub(crate) const ALLOW: &str = "some(where (p.eft == allow))";
pub(crate) const NOT_DENY: &str = "!some(where (p.eft == deny))";
pub(crate) const ALLOW_AND_DENY: &str =
    "some(where (p.eft == allow)) && !some(where (p.eft == deny))";
pub(crate) const PRIORITY: &str = "priority(p.eft) || deny";

/// The line of the rule that permits, `0` for a line of the model; `None` for a denial.
pub(crate) fn permitted_by(policy: &Policy, context: usize, arguments: &[Value]) -> Option<usize> {
    match policy.decide_arguments(context, arguments) {
        Decision::Permit(permit) => {
            let rule = policy.rule(permit.rule());
            Some(if rule.is_row() { rule.line } else { 0 })
        }
        Decision::Deny(_) => None,
    }
}

pub(crate) fn texts(line: &str) -> Vec<Value> {
    line.split(' ')
        .map(|text| Value::Text(text.to_owned()))
        .collect()
}

pub(crate) fn object(fields: &[(&str, Value)]) -> Value {
    let fields = fields
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()));
    Value::Object(fields.collect())
}

pub(crate) fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

/// The requests that another line permits than the one beside them.
pub(crate) fn wrong(
    model: &str,
    rules: &str,
    requests: &[(&str, Option<usize>)],
) -> Result<Vec<String>, Vec<Problem>> {
    let policy = compile(model, rules)?;
    let wrong = requests.iter().filter_map(|(request, expected)| {
        let found = permitted_by(&policy, 1, &texts(request));
        (found != *expected).then(|| format!("{request}: {found:?}"))
    });
    Ok(wrong.collect())
}

pub(crate) const NONE_WRONG: Result<Vec<String>, Vec<Problem>> = Ok(Vec::new());
