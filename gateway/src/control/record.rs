//! The `admin` record of a call: who, what, to what, what came of it.

use std::sync::Arc;
use std::time::SystemTime;

use hangu_audit::{Admin, Kind, Record, Timestamp};

use super::call::{Done, Refused, Reply};
use super::caller::Caller;
use crate::audit_trail::Place;
use crate::shared::Shared;
use crate::snapshot::Snapshot;

/// A place in the log for the record of one call.
#[derive(Debug)]
#[must_use = "a call is to be recorded with what came of it"]
pub(super) struct CallPlace {
    place: Place,
    snapshot: Arc<Snapshot>,
}

/// A place for a call; `None` when the log takes nothing now.
pub(super) fn place(shared: &Shared, action: &str, caller: &Caller) -> Option<CallPlace> {
    let now = Timestamp::from(SystemTime::now());
    let origin = Arc::clone(shared.trail.origin());
    let mut record = Box::new(Record::event(
        Kind::Admin,
        now,
        origin,
        caller.place().to_owned(),
    ));
    let snapshot = shared.snapshot.load_full();
    record.basis = Some(Arc::clone(&snapshot.basis));
    record.admin = Some(Box::new(Admin {
        actor: caller.name().to_owned(),
        action: action.to_owned(),
        object: String::new(),
        outcome: "broken off".to_owned(),
    }));
    let place = shared.trail.reserve_for_event(record).ok()?;
    Some(CallPlace { place, snapshot })
}

/// What a caller hears while the log takes nothing.
pub(super) fn no_place() -> Refused {
    Refused::new(
        503,
        "the audit log takes no record now, so nothing was done; `hangu_audit_write_errors_total` and the gateway's own log say why",
    )
}

impl CallPlace {
    /// Completes the record, waits until it is on the disk, and gives the answer for the caller.
    pub(super) async fn tell(self, came_of_it: Result<Done, Refused>) -> Reply {
        let CallPlace {
            mut place,
            snapshot,
        } = self;
        let as_it_may_stand = |object: &str| match &snapshot.pseudonyms {
            Some(pseudonyms) => pseudonyms.object(object),
            None => object.to_owned(),
        };
        if let Some(admin) = place.draft().and_then(|record| record.admin.as_mut()) {
            match &came_of_it {
                Ok(done) => {
                    admin.object = as_it_may_stand(&done.object);
                    admin.outcome.clone_from(&done.outcome);
                }
                Err(refused) => admin.outcome = format!("refused: {}", refused.why),
            }
        }
        match (place.hand_in_and_tell().await, came_of_it) {
            (Ok(()), Ok(done)) => Reply::ok(done.body),
            (Ok(()), Err(refused)) => Reply::from(refused),
            (Err(_), Ok(done)) => Reply::from(Refused::new(
                503,
                format!(
                    "{}: {}, but the record of it could not be written",
                    done.object, done.outcome
                ),
            )),
            (Err(_), Err(refused)) => Reply::from(refused),
        }
    }
}
