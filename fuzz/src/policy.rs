//! Casbin models and rules.

use std::collections::BTreeSet;

use hangu_policy::{Decision, Policy, Problem, RBAC_WITH_DOMAINS, Request, Source};

/// Rules for the shipped model are refused with their place, or compiled to a policy that permits nothing to strangers.
///
/// # Panics
/// When a law is broken.
pub fn policy_csv(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    match compile(RBAC_WITH_DOMAINS, text) {
        Err(problems) => check_places(&problems, "policy.csv", text),
        Ok(policy) => {
            assert!(
                policy.rule_count() <= text.lines().count(),
                "rules that no line holds"
            );
            ask(&policy, text);
            assert_eq!(
                without_places(compile(RBAC_WITH_DOMAINS, text)),
                Ok(policy.rule_count()),
                "it compiles to something else the second time"
            );
        }
    }
}

/// A model is refused with its place, or compiled; without rules it permits only what it says needs none.
///
/// # Panics
/// When a law is broken.
pub fn model(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    match compile(text, "") {
        Err(problems) => {
            assert!(!problems.is_empty(), "refused without a reason");
            let (of_model, of_rules): (Vec<Problem>, Vec<Problem>) = problems
                .into_iter()
                .partition(|problem| problem.file == "model.conf");
            check_places(&of_model, "model.conf", text);
            check_places(&of_rules, "policy.csv", "");
        }
        Ok(policy) => {
            assert_eq!(policy.rule_count(), 0);
            ask(&policy, text);
        }
    }
    let positional = Policy::compile_positional(
        Source {
            name: "model.conf",
            text,
        },
        Source {
            name: "policy.csv",
            text: "",
        },
    );
    if let Err(problems) = positional {
        assert!(!problems.is_empty(), "refused without a reason");
    }
}

fn compile(model: &str, rules: &str) -> Result<Policy, Vec<Problem>> {
    Policy::compile(
        Source {
            name: "model.conf",
            text: model,
        },
        Source {
            name: "policy.csv",
            text: rules,
        },
    )
}

fn without_places(compiled: Result<Policy, Vec<Problem>>) -> Result<usize, usize> {
    compiled
        .map(|policy| policy.rule_count())
        .map_err(|problems| problems.len())
}

/// Every problem stands in the text, says what and how to mend it, on one line.
fn check_places(problems: &[Problem], file: &str, text: &str) {
    let lines = text.lines().count() + 1;
    for problem in problems {
        assert_eq!(problem.file, file);
        assert!(
            (1..=lines).contains(&problem.line),
            "line {} of {lines}",
            problem.line
        );
        assert!(problem.column >= 1, "columns count from 1");
        assert!(
            !problem.what.is_empty() && !problem.fix.is_empty(),
            "{problem:?}"
        );
        assert!(
            !problem.to_string().chars().any(is_dangerous),
            "control characters reach the terminal: {problem:?}"
        );
    }
}

/// A tab in a message moves the cursor to the right; other control characters can do more to a terminal.
fn is_dangerous(letter: char) -> bool {
    letter.is_control() && letter != '\t'
}

/// Asks with words of the text itself, which reach its rules, and with others, which must not.
fn ask(policy: &Policy, text: &str) {
    let words: BTreeSet<&str> = text
        .split([',', '\n'])
        .map(str::trim)
        .filter(|word| !word.is_empty())
        .take(WORDS_MAX)
        .collect();
    let domains: Vec<&str> = policy.domains().take(WORDS_MAX).collect();
    for word in &words {
        for domain in domains.iter().copied().chain(["elsewhere"]) {
            let request = Request {
                subject: word,
                domain,
                path: "/a/b",
                method: "GET",
                ..Request::default()
            };
            // Twice the same question, twice the same answer.
            assert_eq!(
                is_permitted(policy, &request),
                is_permitted(policy, &request)
            );
            assert_eq!(
                policy.clears(word, domain, word, None),
                policy.clears(word, domain, word, None)
            );
        }
    }
}

fn is_permitted(policy: &Policy, request: &Request<'_>) -> bool {
    match policy.decide(request) {
        Decision::Permit(permit) => {
            let rule = policy.rule(permit.rule());
            assert!(
                rule.line >= 1 && !rule.text().is_empty(),
                "a permit that no rule gave"
            );
            true
        }
        Decision::Deny(_) => false,
    }
}

const WORDS_MAX: usize = 16;
