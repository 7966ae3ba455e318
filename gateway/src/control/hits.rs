//! How often each rule has decided.

use std::cmp::Reverse;

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::call::{Call, Refused};
use crate::shared::Shared;

/// `GET /v1/policy/hits?unused=true&limit=100`: the rules that have decided most, or those that never have.
///
/// # Errors
/// 400 for a limit that is none.
pub(super) fn hits(shared: &Shared, call: &Call) -> Result<Value, Refused> {
    let unused = call.parameter("unused") == Some("true");
    let limit = match call.parameter("limit") {
        None => LIMIT_DEFAULT,
        Some(text) => text
            .parse()
            .ok()
            .filter(|limit| (1..=LIMIT_MAX).contains(limit))
            .ok_or_else(|| {
                Refused::new(400, format!("`limit` is a number from 1 to {LIMIT_MAX}"))
            })?,
    };
    let snapshot = shared.snapshot.load_full();
    snapshot.hits.settle();
    let (mut total, mut used, mut shown) = (0_usize, 0_usize, Vec::new());
    for (rule, view) in snapshot.policy.rules() {
        let count = snapshot.hits.of(rule);
        // A line of the model decides where no row does; it is no rule that somebody may have forgotten.
        if !view.is_row() && count == 0 {
            continue;
        }
        total += 1;
        used += usize::from(count > 0);
        if (count == 0) == unused {
            shown.push((Reverse(count), rule.number(), rule));
        }
    }
    shown.sort_unstable_by_key(|(count, number, _)| (*count, *number));
    let rules: Vec<Value> = shown
        .iter()
        .take(limit)
        .map(|(Reverse(count), _, rule)| {
            let view = snapshot.policy.rule(*rule);
            json!({"rule": view.to_string(), "text": view.text(), "hits": count})
        })
        .collect();
    let since = OffsetDateTime::from_unix_timestamp(snapshot.hits.since).ok();
    Ok(json!({
        "epoch": snapshot.basis.policy_epoch,
        "digest": snapshot.basis.policy_digest,
        "since": since.and_then(|since| since.format(&Rfc3339).ok()),
        "total": total,
        "used": used,
        "shown": rules.len(),
        "more": shown.len().saturating_sub(limit),
        "rules": rules,
    }))
}

const LIMIT_DEFAULT: usize = 1_000;
const LIMIT_MAX: usize = 100_000;
