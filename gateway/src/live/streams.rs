//! Requests that are still under way when a new generation serves: whatever it would not permit is ended.
//!
//! The next request meets the new policy anyway. An answer that never ends (an event stream, a download, a tunnel) would go on under
//! the old one, so what has been under way for a while is judged again. Shorter ones are left to come to their end: a
//! connection outlives a change by one request at most.

use std::time::{Duration, Instant};

use crate::live::Session;
use crate::shared::Shared;
use crate::snapshot::Snapshot;
use crate::stage::check_under_way;

/// What is under way for so long is no short request.
pub(super) const LONG: Duration = Duration::from_millis(250);

/// Ends what `snapshot` does not permit of the requests of one connection that came before `before`. Gives how many, at `now` (seconds
/// since 1970).
pub(super) fn end_refused(
    session: &Session,
    (shared, snapshot): (&Shared, &Snapshot),
    before: Instant,
    learned: Instant,
    now: i64,
) -> usize {
    if session.in_flight() == 0 || session.ended().is_some() {
        return 0;
    }
    let mut ended = 0;
    for request in session.under_way() {
        if request.generation() == snapshot.generation || request.began > before {
            continue;
        }
        let connection = session.seen_by(snapshot, now);
        match check_under_way(&request, &connection, (shared, snapshot), now) {
            Ok(()) => request.permitted_by(snapshot.generation),
            Err(denial) => ended += usize::from(session.end_request(&request, denial, learned)),
        }
    }
    ended
}
