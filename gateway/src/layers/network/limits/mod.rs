//! How often, how much at once, how much a day: the limits of one request, asked together.
//!
//! What was counted lives as long as the process ([`LimitState`]), keyed by the name of the limit and what it counts by, so that a
//! reload forgets nothing. What a request meets is worked out when the snapshot is built ([`LimitPlan`]). A connection looks its
//! counts up the first time that it needs them ([`CallerCounts`]) and holds them; after that a request ([`Limited`]) costs a few
//! atomic operations, no lock and no allocation.
//!
//! What is asked first is what costs others least: the source, then places, then what is left of quotas, then all rates together. A
//! request that one of them refuses is counted by none of those behind it.

mod connections;
mod counts;
mod fields;
mod plan;
mod request;
mod shared;
mod sources;
mod target;

use std::time::Duration;

pub use self::connections::ConnectionPlaces;
pub use self::counts::{CallerCounts, LimitState, Proven};
pub use self::plan::{HandshakeRule, LimitError, LimitPlan, Rule};
pub use self::request::{Clock, Limited};
pub use self::shared::SharedLimits;

/// Rounded up, so that who waits as told is let in.
fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}
