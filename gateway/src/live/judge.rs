//! Whether a connection that is open may stay so, under a generation that it was not admitted by.

use hangu_certs::PushedRevocations;

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
