//! What the tests against the casbin crate ask of our policy.

use hangu_policy::{Decision, Policy, Problem, Source, Value};

/// Our policy, for arguments in the order of the model's `r`.
pub(crate) fn compile(model: &str, rules: &str) -> Result<Policy, Vec<Problem>> {
    let model = Source {
        name: "m",
        text: model,
    };
    let rules = Source {
        name: "p",
        text: rules,
    };
    Policy::compile_positional(model, rules)
}

/// Whether it permits a request of texts.
pub(crate) fn permits(policy: &Policy, arguments: &[&str]) -> bool {
    let values: Vec<_> = arguments
        .iter()
        .map(|a| Value::Text((*a).to_owned()))
        .collect();
    matches!(policy.decide_arguments(1, &values), Decision::Permit(_))
}
