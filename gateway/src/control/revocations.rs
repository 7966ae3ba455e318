//! `/v1/revocations`: who is revoked by operators.

use std::collections::BTreeSet;
use std::time::Instant;

use hangu_certs::{PushedRevocation, Target};
use serde::Deserialize;
use serde_json::{Value, json};

use super::call::{Call, Done, Refused};
use super::caller::Caller;
use super::unix_seconds;
use crate::live::{PushedStoreError, end_pushed};
use crate::shared::Shared;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Push {
    target: String,
    reason: String,
    #[serde(default)]
    until: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Lift {
    target: String,
}

/// All revocations in force.
#[expect(clippy::unnecessary_wraps, reason = "verbs share one signature")]
pub(super) fn list(shared: &Shared, _: &Call) -> Result<Value, Refused> {
    let now = unix_seconds();
    let pushed = shared.pushed.load();
    let all: Vec<Value> = pushed
        .all()
        .into_iter()
        .filter(|revocation| revocation.in_force(now))
        .map(row)
        .collect();
    Ok(json!({ "revocations": all }))
}

/// Revokes, and ends whoever is connected. In force before it is saved, saved before it is confirmed.
pub(super) fn push(shared: &Shared, call: &Call, caller: &Caller) -> Result<Done, Refused> {
    let learned = Instant::now();
    let asked: Push = call.json()?;
    let target = target(&asked.target)?;
    if matches!(target, Target::Serial(_)) {
        one_authority(shared)?;
    }
    let now = unix_seconds();
    let revocation = PushedRevocation {
        target: target.clone(),
        by: caller.name().to_owned(),
        reason: asked.reason,
        at: now,
        until: asked.until,
    };
    let told = format!("revoked ({})", revocation.reason);
    let body = row(&revocation);
    let ended = shared
        .pushed
        .push(revocation, |pushed| {
            end_pushed(&shared.live, &target, pushed, learned, now)
        })
        .map_err(|error| refused(&error))?;
    Ok(Done {
        body: json!({ "revocation": body, "connections_ended": ended }),
        object: target.to_string(),
        outcome: format!("{told}; {ended} open connections end"),
    })
}

/// Takes a revocation back.
pub(super) fn lift(shared: &Shared, call: &Call, _: &Caller) -> Result<Done, Refused> {
    let asked: Lift = call.json()?;
    let target = target(&asked.target)?;
    let lifted = shared
        .pushed
        .lift(&target, unix_seconds())
        .map_err(|error| refused(&error))?;
    Ok(Done {
        body: json!({ "lifted": row(&lifted) }),
        object: target.to_string(),
        outcome: format!("lifted; {} had revoked ({})", lifted.by, lifted.reason),
    })
}

/// Each authority counts its certificates by itself: where there are several, a number alone would hit another's too.
fn one_authority(shared: &Shared) -> Result<(), Refused> {
    let snapshot = shared.snapshot.load();
    let groups = snapshot.listeners.iter().flat_map(|state| &state.groups);
    let anchors = groups.flat_map(|group| group.bundle.anchor_names());
    let keys: BTreeSet<[u8; 32]> = anchors.map(|anchor| anchor.key).collect();
    if keys.len() <= 1 {
        return Ok(());
    }
    let what = format!(
        "clients of {} authorities are let in, and a serial number is one authority's; name the issuer as in `--serial HEX --issuer ca.pem`, or the certificate",
        keys.len()
    );
    Err(Refused::new(400, what))
}

fn target(text: &str) -> Result<Target, Refused> {
    text.parse()
        .map_err(|error: hangu_certs::TargetError| Refused::new(400, error.to_string()))
}

fn refused(error: &PushedStoreError) -> Refused {
    let status = match error {
        PushedStoreError::Refused(_) => 400,
        PushedStoreError::Unknown(_) => 404,
        PushedStoreError::File(_) | PushedStoreError::Write { .. } => 503,
    };
    Refused::new(status, error.to_string())
}

fn row(revocation: &PushedRevocation) -> Value {
    json!({
        "target": revocation.target.to_string(),
        "by": revocation.by,
        "reason": revocation.reason,
        "at": revocation.at,
        "until": revocation.until,
    })
}
