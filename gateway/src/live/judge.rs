//! Whether a connection that is open may stay so, under a generation that it was not admitted by.

use std::time::Instant;

use hangu_certs::{PushedRevocations, Target};

use super::registry::Registry;
use crate::connection::Connection;
use crate::denial::Denial;
use crate::layers::endpoint::validity::check_still_valid;
use crate::snapshot::Snapshot;

/// How much of a connection is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// What lists and pushed revocations say of its certificates, and their dates: a handful of look-ups.
    Certificates,
    /// All that a handshake would look at, and whether it is still the same subject.
    All,
}

/// Why a connection has to end under `snapshot` at `now` (seconds since 1970); `None` when it may stay.
#[must_use]
pub fn judge(
    connection: &Connection,
    snapshot: &Snapshot,
    pushed: &PushedRevocations,
    how: Judgement,
    now: i64,
) -> Option<Denial> {
    let Some(group) = snapshot.trust_for(connection) else {
        return Some(Denial::HostMismatch);
    };
    let identity = connection.identity();
    if pushed.check(identity, connection.names(), now).is_err() {
        return Some(Denial::Revoked);
    }
    if let Some(identity) = identity
        && let Err(denial) = check_still_valid(identity, &group.revocation, now)
    {
        return Some(denial);
    }
    if how == Judgement::Certificates {
        return None;
    }
    connection.refused_by(snapshot, now)
}

/// Tells every connection to end that `snapshot` would not let in, looked at so far, at `now` (seconds since 1970); the reason came
/// into the world at `learned`. Gives how many were told. A handful of look-ups for each connection, however long the lists are.
pub fn end_refused_connections(
    live: &Registry,
    (snapshot, pushed): (&Snapshot, &PushedRevocations),
    how: Judgement,
    learned: Instant,
    now: i64,
) -> usize {
    let mut ended = 0;
    live.each(|session| {
        if session.ended().is_some() {
            return;
        }
        let connection = session.connection.load();
        if let Some(denial) = judge(&connection, snapshot, pushed, how, now) {
            ended += usize::from(session.end(denial, learned));
        }
    });
    ended
}

/// Tells whoever a pushed revocation hits to end, at `now` (seconds since 1970). Gives how many were told. Nobody else is looked at.
pub fn end_pushed(
    live: &Registry,
    target: &Target,
    pushed: &PushedRevocations,
    learned: Instant,
    now: i64,
) -> usize {
    let hits = live.of_target(target);
    let is_hit = |connection: &Connection| {
        pushed
            .check(connection.identity(), connection.names(), now)
            .is_err()
    };
    hits.iter()
        .filter(|session| is_hit(&session.connection.load()))
        .filter(|session| session.end(Denial::Revoked, learned))
        .count()
}
