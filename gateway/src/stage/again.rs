//! A request that is under way, judged once more under a newer generation: the same stops, without those that would count it twice.

use http::header::HOST;
use pingora::http::RequestHeader;

use super::{Admitted, Received, Valid};
use crate::connection::Connection;
use crate::denial::Denial;
use crate::layers::application;
use crate::live::UnderWay;
use crate::shared::Shared;
use crate::snapshot::Snapshot;

/// Why `snapshot` would not permit a request of this connection any more, at `now` (seconds since 1970). Limits are not asked: it has
/// passed them; and how fresh the proof of the key was counts from the time when the request came.
///
/// # Errors
/// The first denial.
pub fn check_under_way(
    request: &UnderWay,
    connection: &Connection,
    (shared, snapshot): (&Shared, &Snapshot),
    now: i64,
) -> Result<(), Denial> {
    let header = head_of(request, connection, snapshot).ok_or(Denial::Internal)?;
    let fields_max = snapshot.header_fields_max(connection.listener);
    let canonical = Received::new(&header, connection).canonical(fields_max)?;
    let routed = canonical.routed(snapshot).map_err(|(denial, _)| denial)?;
    let valid = routed.valid(&shared.pushed.load(), now)?;
    valid.still_permitted(request.since)
}

impl Valid<'_, '_> {
    /// Zone, clearance, purpose, policy, duties; for a request that came at `since`.
    fn still_permitted(self, since: i64) -> Result<(), Denial> {
        let snapshot = self.routed.snapshot;
        let connection = self.routed.canonical.connection;
        let zone = snapshot.zone_of(connection).ok_or(Denial::NoZone)?;
        if !snapshot.config.matrix.allows(zone, self.routed.label) {
            return Err(Denial::ZoneLabel);
        }
        let cleared = Admitted { valid: self }.cleared()?;
        let valid = &cleared.admitted.valid;
        let request = valid.request(cleared.purpose);
        let (permit, _) =
            application::decide(&snapshot.policy, &request).map_err(|refusal| refusal.denial)?;
        match snapshot.duties.of(permit.rule()) {
            None => Ok(()),
            Some(duty) => {
                let proved_at = connection.chain.as_ref().map(|_| connection.proved_at);
                duty.check(proved_at, since, &valid.routed.config.obligations)
            }
        }
    }
}

/// The head again, as far as the layers look at it. `None` for one that cannot be written, which none is that was once read.
fn head_of(
    request: &UnderWay,
    connection: &Connection,
    snapshot: &Snapshot,
) -> Option<RequestHeader> {
    let host = request.host.as_deref().or(connection.sni.as_deref())?;
    let target = match &request.query {
        None => request.path.to_vec(),
        Some(query) => [&*request.path, b"?", query].concat(),
    };
    let mut header = RequestHeader::build(request.method.as_str(), &target, None).ok()?;
    header.insert_header(HOST, host).ok()?;
    if let Some(rules) = &snapshot.config.purpose
        && !request.purpose.is_empty()
    {
        let name = rules.header.as_str().to_owned();
        header.insert_header(name, &*request.purpose).ok()?;
    }
    Some(header)
}
