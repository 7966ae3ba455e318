//! A request, as it is given on the command line.

use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;

use hangu_policy::Policy;
use hangu_policy::analysis::argument_names;

use crate::bundle::known::{Known, check_context};
use crate::cli::say;

/// What a request is besides its method and path.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct Facts {
    /// Organisation whose data are asked for
    #[arg(long, value_name = "NAME")]
    pub(super) domain: Option<String>,
    /// Context of the model, where it has several: 2 asks `r2`, `p2`, `e2` and `m2`
    #[arg(long, value_name = "N")]
    pub(super) context: Option<usize>,
    /// Any other argument of the model's `r`, such as `zone=office`; may be given several times
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub(super) others: Vec<String>,
    /// When it is asked, in milliseconds since 1970; now, if left out
    #[arg(long, value_name = "MS")]
    pub(super) time_unix_ms: Option<i64>,
}

impl Facts {
    /// All facts by name, `sub`, `dom`, `obj` and `act` among them.
    pub(super) fn with(
        &self,
        subject: &str,
        method: &str,
        path: &str,
    ) -> Result<Known, Vec<String>> {
        let mut known = Known::of(self.context.unwrap_or(1));
        for (name, value) in [("sub", subject), ("obj", path), ("act", method)] {
            known.add(name, value);
        }
        known.add("dom", self.domain.as_deref().unwrap_or_default());
        if let Some(now) = self.time() {
            known.add("time", &now.div_euclid(1_000).to_string());
        }
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

/// The context that is asked, the first where none is named.
///
/// # Errors
/// When the model has no such context.
pub(super) fn context(policy: &Policy, named: Option<usize>) -> Result<usize, Vec<String>> {
    let context = named.unwrap_or(1);
    check_context(policy, context).map_err(|error| vec![error])?;
    Ok(context)
}

/// What people are told where the model has several contexts: which one was asked.
pub(super) fn say_context(policy: &Policy, context: usize) {
    let others: Vec<_> = policy
        .contexts()
        .filter(|other| *other != context)
        .map(|other| format!("`--context {other}`"))
        .collect();
    if !others.is_empty() {
        say(format_args!(
            "context {context} was asked (`{}`, `{}`); {} asks another",
            lettered('r', context),
            lettered('p', context),
            others.join(" or ")
        ));
    }
}

/// What people are told where rules are about names that no gateway ever asks for.
pub(super) fn say_plain(policy: &Policy, context: usize) {
    let names = argument_names(policy, context);
    let plain: Vec<_> = names
        .iter()
        .filter(|argument| argument.is_plain)
        .map(|argument| format!("`{}`", argument.name))
        .collect();
    if !plain.is_empty() {
        say(format_args!(
            "{}: plain names, taken as they are; a gateway asks for paths such as `/returns/7` and methods such as `GET`",
            plain.join(" and ")
        ));
    }
}

/// The name of a section: `r`, `r2`.
fn lettered(letter: char, context: usize) -> String {
    if context == 1 {
        letter.to_string()
    } else {
        format!("{letter}{context}")
    }
}

/// Milliseconds since 1970.
pub(super) fn now_unix_ms() -> Option<i64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    i64::try_from(now.as_millis()).ok()
}
