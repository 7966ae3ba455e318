//! What can be asked and told. A verb is one line in [`VERBS`] and one function.

use serde_json::{Value, json};

use super::call::{Call, Done, Refused};
use super::caller::Caller;
use super::hits::hits;
use super::{revocations, sessions};
use crate::shared::Shared;

/// What a verb does. Functions do not wait: what they touch is in memory, or one small file.
#[derive(Clone, Copy)]
pub(super) enum Effect {
    /// It only looks.
    Reads(fn(&Shared, &Call) -> Result<Value, Refused>),
    /// It changes something, and is recorded.
    Changes(fn(&Shared, &Call, &Caller) -> Result<Done, Refused>),
}

/// All verbs: method, path, the action's name in records, effect.
#[rustfmt::skip]
const VERBS: &[(&str, &str, &str, Effect)] = &[
    ("GET", "/v1/policy/hits", "policy-hits", Effect::Reads(hits)),
    ("GET", "/v1/status", "status", Effect::Reads(status)),
    ("GET", "/v1/revocations", "list revocations", Effect::Reads(revocations::list)),
    ("POST", "/v1/revocations", "revoke", Effect::Changes(revocations::push)),
    ("POST", "/v1/revocations/undo", "lift revocation", Effect::Changes(revocations::lift)),
    ("GET", "/v1/sessions", "list sessions", Effect::Reads(sessions::list)),
    ("POST", "/v1/sessions/kill", "end sessions", Effect::Changes(sessions::kill)),
];

/// The verb of a call: its name in records, and what it does.
///
/// # Errors
/// 404 or 405.
pub(super) fn find(call: &Call) -> Result<(&'static str, Effect), Refused> {
    let mut other_method = None;
    for (method, path, action, effect) in VERBS {
        if *path == call.path {
            if *method == call.method {
                return Ok((action, *effect));
            }
            other_method = Some(method);
        }
    }
    Err(match other_method {
        Some(method) => Refused::new(405, format!("`{}` takes {method}", call.path)),
        None => Refused::new(
            404,
            format!("there is no `{}`; this is hangu {VERSION}", call.path),
        ),
    })
}

/// Which process serves what.
#[expect(clippy::unnecessary_wraps, reason = "verbs share one signature")]
fn status(shared: &Shared, _: &Call) -> Result<Value, Refused> {
    let snapshot = shared.snapshot.load();
    Ok(json!({
        "version": VERSION,
        "pid": std::process::id(),
        "node": shared.trail.origin().node,
        "boot": shared.trail.origin().boot,
        "config": snapshot.config.file.display().to_string(),
        "generation": snapshot.generation,
        "policy_digest": snapshot.basis.policy_digest,
        "audit_taking": shared.trail.is_taking(),
    }))
}

const VERSION: &str = env!("CARGO_PKG_VERSION");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verb_is_found_by_method_and_path_only() {
        let call = |method: &str, path: &str| Call {
            method: method.to_owned(),
            path: path.to_owned(),
            query: Vec::new(),
            body: Vec::new(),
        };
        let status = |method, path| {
            find(&call(method, path))
                .err()
                .map(|refused| refused.status)
        };
        assert_eq!(status("GET", "/v1/status"), None);
        assert_eq!(status("POST", "/v1/status"), Some(405));
        assert_eq!(status("GET", "/v1/status/"), Some(404));
    }
}
