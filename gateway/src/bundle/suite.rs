//! Files of tests for a policy: given, when, expect.

use hangu_policy::analysis::{Coverage, argument_names};
use hangu_policy::{Decision, Policy, Refusal, RuleId};

use super::form::{self, Case, Expected, OneOrMany};
use super::known::{self, Known};

/// What became of one request of a test.
#[derive(Clone, Debug)]
pub(crate) struct Ran {
    /// `file:line`.
    pub(crate) place: String,
    pub(crate) name: String,
    /// Why it failed.
    pub(crate) failure: Option<String>,
}

/// Runs every test of a file; each request of a test counts as one.
///
/// # Errors
/// When the file is not of this form.
pub(crate) fn run(
    policy: &Policy,
    (file, text): (&str, &str),
    time_unix_ms: Option<i64>,
    coverage: &mut Coverage<'_>,
) -> Result<Vec<Ran>, Vec<String>> {
    let suite = form::read(file, text).map_err(|error| vec![error])?;
    let mut ran = Vec::new();
    for (line, case) in &suite.cases {
        let place = format!("{file}:{line}");
        let OneOrMany(requests) = &case.when;
        if requests.is_empty() {
            return Err(vec![format!(
                "{place}: `when` is empty, so nothing is tested; write at least one request"
            )]);
        }
        let context = case.context.or(suite.context).unwrap_or(1);
        known::check_context(policy, context).map_err(|error| placed(&place, &[error]))?;
        for when in requests {
            let mut known = Known::of(context);
            for (name, value) in suite.given.iter().chain(&case.given).chain(when) {
                match name.split_once('.') {
                    Some((of, attribute)) => known.add(&format!("{}.{attribute}", fact(of)), value),
                    None => known.add(fact(name), value),
                }
            }
            let uncleared = uncleared(policy, &mut known, time_unix_ms);
            let arguments = known
                .complete(policy)
                .and_then(|()| known.arguments(policy))
                .map_err(|errors| placed(&place, &errors))?;
            let decision = if uncleared.is_none() {
                coverage.add(context, &arguments, time_unix_ms);
                Some(policy.decide_arguments_at(context, &arguments, time_unix_ms))
            } else {
                None
            };
            let why = uncleared.unwrap_or_default();
            let failure = failure(policy, case, decision.as_ref().ok_or(why)).map(|why| {
                let facts: Vec<_> = known
                    .facts
                    .iter()
                    .map(|(name, value)| format!("{name} = `{value}`"))
                    .collect();
                format!("{why}; asked with {}", facts.join(", "))
            });
            ran.push(Ran {
                place: place.clone(),
                name: case.name.clone(),
                failure,
            });
        }
    }
    Ok(ran)
}

fn placed(place: &str, errors: &[String]) -> Vec<String> {
    let errors = errors.iter();
    errors.map(|error| format!("{place}: {error}")).collect()
}

/// Why the data layer refuses before any rule is asked, where the test names a label. A label that the model does not read is
/// taken from the facts.
fn uncleared(policy: &Policy, known: &mut Known, time_unix_ms: Option<i64>) -> Option<String> {
    let label = known.fact(policy, "label")?.to_owned();
    let subject = known.fact(policy, "sub").unwrap_or_default();
    let domain = known.fact(policy, "dom").unwrap_or_default();
    let held = policy.clears(subject, domain, &label, time_unix_ms);
    let why = (!held).then(|| format!(": `{subject}` is not cleared for `{label}`"));
    let mut names = argument_names(policy, known.context()).into_iter();
    if !names.any(|argument| argument.fact == Some("label")) {
        known.facts.retain(|(name, _)| name != "label");
    }
    why
}

/// Facts have readable names in tests.
fn fact(name: &str) -> &str {
    match name {
        "subject" => "sub",
        "domain" | "organisation" => "dom",
        "path" => "obj",
        "method" => "act",
        other => other,
    }
}

/// Why a test failed; `Err` is why no rule was asked.
fn failure(policy: &Policy, case: &Case, decision: Result<&Decision, String>) -> Option<String> {
    let (answer, rule, why) = match decision {
        Err(why) => (Expected::Deny, None, why),
        Ok(Decision::Permit(permit)) => (Expected::Allow, Some(permit.rule()), String::new()),
        Ok(Decision::Deny(Refusal::NoRule)) => {
            (Expected::Deny, None, ": no rule allows it".to_owned())
        }
        Ok(Decision::Deny(Refusal::ExplicitDeny(rule))) => {
            (Expected::Deny, Some(*rule), String::new())
        }
        Ok(Decision::Deny(Refusal::EvaluationError(rule, fault))) => {
            (Expected::Deny, Some(*rule), format!(": {fault}"))
        }
    };
    let shown = |rule: RuleId| {
        let view = policy.rule(rule);
        format!(" by {view}: {}", view.text())
    };
    let by = rule.map_or(why, shown);
    if answer != case.expect {
        let word = |expected| match expected {
            Expected::Allow => "allow",
            Expected::Deny => "deny",
        };
        return Some(format!(
            "expected {}, got {}{by}",
            word(case.expect),
            word(answer)
        ));
    }
    let wanted = case.rule.as_deref()?;
    let line = rule.map(|rule| policy.rule(rule).line.to_string());
    let wanted_line = wanted.rsplit(':').next().unwrap_or(wanted);
    (line.as_deref() != Some(wanted_line))
        .then(|| format!("expected rule {wanted}, it was decided{by}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hangu_policy::{RBAC_WITH_DOMAINS, Source};

    fn policy() -> Policy {
        let model = Source {
            name: "model.conf",
            text: RBAC_WITH_DOMAINS,
        };
        let rules = Source {
            name: "policy.csv",
            text: "p, clerk, tax, /a/:id, GET, allow\np, clerk, tax, /a/9, *, deny\np, head, tax, /b, GET, allow\ng, alice, clerk, tax\ng2, clerk, internal\n",
        };
        Policy::compile(model, rules).unwrap()
    }

    fn ran(text: &str) -> Result<Vec<Option<String>>, Vec<String>> {
        let policy = policy();
        let mut coverage = Coverage::new(&policy);
        let ran = run(&policy, ("t.toml", text), None, &mut coverage)?;
        Ok(ran.into_iter().map(|ran| ran.failure).collect())
    }

    #[test]
    fn a_test_passes_when_decision_and_rule_are_as_expected() {
        let text = "[given]\nsubject = \"alice\"\ndomain = \"tax\"\n\
            [[test]]\nname = \"reads\"\nwhen = { method = \"GET\", path = \"/a/1\" }\nexpect = \"allow\"\nrule = \"policy.csv:1\"\n\
            [[test]]\nname = \"sealed\"\nwhen = [{ method = \"GET\", path = \"/a/9\" }, { method = \"PUT\", path = \"/a/9\" }]\nexpect = \"deny\"\nrule = \"2\"\n";
        assert_eq!(ran(text), Ok(vec![None, None, None]));
    }

    #[test]
    fn a_test_that_tests_nothing_is_refused() {
        for (when, what) in [
            ("[]", "t.toml:1: `when` is empty"),
            (
                "{ domain = \"tax\", method = \"GET\", path = \"/a/1\" }",
                "t.toml:1: `subject` is not given",
            ),
            (
                "{ subject = \"x\", domain = \"tax\", method = \"get\", path = \"/a/1\" }",
                "t.toml:1: method `get`",
            ),
            (
                "{ subject = \"x\", domain = \"tax\", method = \"GET\", path = \"/a/../1\" }",
                "t.toml:1: path `/a/../1`",
            ),
        ] {
            let text = format!("[[test]]\nname = \"x\"\nwhen = {when}\nexpect = \"deny\"\n");
            let error = ran(&text).unwrap_err();
            assert!(error[0].starts_with(what), "{when}: {error:?}");
        }
    }

    #[test]
    fn a_test_that_names_a_label_asks_for_clearance_too() {
        let ask = |label: &str, expect: &str| {
            let text = format!(
                "[[test]]\nname = \"x\"\ngiven = {{ label = \"{label}\" }}\nwhen = {{ subject = \"alice\", domain = \"tax\", method = \"GET\", path = \"/a/%31\" }}\nexpect = \"{expect}\"\n"
            );
            ran(&text).unwrap().remove(0)
        };
        assert_eq!(ask("internal", "allow"), None);
        assert_eq!(ask("sensitive", "deny"), None);
        let failure = ask("sensitive", "allow").unwrap();
        assert!(
            failure.starts_with("expected allow, got deny: `alice` is not cleared for `sensitive`"),
            "{failure}"
        );
    }

    #[test]
    fn a_failure_says_what_was_decided_and_by_which_rule() {
        let text = "[[test]]\nname = \"x\"\ngiven = { subject = \"alice\", domain = \"tax\" }\nwhen = { method = \"GET\", path = \"/a/9\" }\nexpect = \"allow\"\n";
        let failures = ran(text).unwrap();
        let failure = failures[0].as_deref().unwrap();
        assert!(
            failure.starts_with(
                "expected allow, got deny by policy.csv:2: p, clerk, tax, /a/9, *, deny"
            ),
            "{failure}"
        );
    }

    #[test]
    fn a_file_of_another_form_is_refused_with_its_line() {
        for (text, place) in [
            ("", "t.toml:1:"),
            ("[[test]]\nname = 3\n", "t.toml:2:"),
            (
                "[[test]]\nname = \"x\"\nwhen = { method = \"GET\" }\nexpect = \"maybe\"\n",
                "t.toml:4:",
            ),
            (
                "[[test]]\nname = \"x\"\nwhen = { colour = \"red\" }\nexpect = \"deny\"\n",
                "t.toml:1:",
            ),
        ] {
            let error = ran(text).unwrap_err();
            assert!(error[0].starts_with(place), "{text}: {error:?}");
        }
    }

    #[test]
    fn coverage_names_the_rules_that_no_test_reached() {
        let policy = policy();
        let mut coverage = Coverage::new(&policy);
        let text = "[[test]]\nname = \"x\"\nwhen = { subject = \"alice\", domain = \"tax\", method = \"GET\", path = \"/a/9\" }\nexpect = \"deny\"\n";
        run(&policy, ("t.toml", text), None, &mut coverage).unwrap();
        let unreached: Vec<_> = coverage.unreached().iter().map(|rule| rule.line).collect();
        assert_eq!((coverage.rules(), unreached), (3, vec![3]));
    }
}
