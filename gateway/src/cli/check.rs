//! `hangu check`: the loading and cross-checking of `hangu run`, without a socket. Prints every problem; exit 0 or 1.

use std::path::Path;
use std::process::ExitCode;

use super::{complain, say};
use crate::observe::metrics::Metrics;
use crate::reload::{load, unix_seconds};
use crate::snapshot::{LoadError, policy_problems};

pub(super) fn check(config: &Path) -> ExitCode {
    let metrics = match Metrics::new() {
        Ok(metrics) => metrics,
        Err(error) => {
            complain(error);
            return ExitCode::FAILURE;
        }
    };
    match load(config, None, &metrics) {
        Ok(snapshot) => {
            let (listeners, applications) = (
                snapshot.config.listeners.len(),
                snapshot.config.applications.len(),
            );
            let rules = snapshot.policy.rule_count();
            say(format_args!(
                "{}: good; {listeners} listeners, {applications} applications, {rules} rules",
                config.display()
            ));
            if rules == 0 {
                say("warning: the policy has no rule, so every request would be refused");
            }
            let shadow = snapshot.shadow.as_ref();
            let now = unix_seconds();
            if let Some(what) = shadow.and_then(|shadow| shadow.expired(now)) {
                say(format_args!("warning: {what}"));
            }
            ExitCode::SUCCESS
        }
        Err(mut problems) => {
            if problems
                .iter()
                .any(|problem| matches!(problem, LoadError::Config(_)))
            {
                problems.extend(policy_problems(config));
            }
            for problem in &problems {
                complain(problem);
            }
            match problems.len() {
                1 => complain("1 problem"),
                count => complain(format_args!("{count} problems")),
            }
            ExitCode::FAILURE
        }
    }
}
