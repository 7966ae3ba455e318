//! `hangu check`: the loading and cross-checking of `hangu run`, without a socket. Prints every problem; exit 0 or 1.

use std::path::Path;
use std::process::ExitCode;

use super::{complain, say};
use crate::observe::metrics::Metrics;
use crate::reload::load;

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
            ExitCode::SUCCESS
        }
        Err(problems) => {
            for problem in &problems {
                complain(problem);
            }
            complain(format_args!("{} problems", problems.len()));
            ExitCode::FAILURE
        }
    }
}
