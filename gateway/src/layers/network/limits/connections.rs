//! How many connections one source may have open.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use hangu_limits::{Held, Mode, Slot, Slots};

use super::counts::{Key, LimitState};
use super::plan::LimitPlan;
use super::sources::source_of;
use crate::config::Network;
use crate::denial::Denial;

/// A connection's place among those of its source, free again when dropped.
#[derive(Debug, Default)]
pub struct ConnectionPlaces {
    _held: Vec<Slot<Held<Key, Slots>>>,
}

/// Refused connections, of which one a second is recorded.
#[derive(Debug, Default)]
pub(super) struct Refused {
    unrecorded: AtomicU64,
    /// Seconds since the process began, of the last record, plus one.
    recorded: AtomicU64,
}

impl LimitState {
    /// A connection was refused: the number of those before that have no record, when it is time for one.
    #[must_use]
    pub fn unrecorded(&self) -> Option<u64> {
        let Refused {
            unrecorded,
            recorded,
        } = &self.refused;
        let now = self.now(Instant::now()).0 / 1_000_000_000 + 1;
        let last = recorded.load(Ordering::Relaxed);
        let is_mine = last < now
            && recorded
                .compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if is_mine {
            return Some(unrecorded.swap(0, Ordering::Relaxed));
        }
        unrecorded.fetch_add(1, Ordering::Relaxed);
        None
    }

    /// A place for a new connection from `address`, before anything else is known of it.
    ///
    /// # Errors
    /// Why there is none, and the name of the limit that says so.
    pub fn connect(
        &self,
        plan: &LimitPlan,
        address: IpAddr,
    ) -> Result<ConnectionPlaces, (Denial, Arc<str>)> {
        let mut held = Vec::with_capacity(plan.connections.len());
        if plan.connections.is_empty() {
            return Ok(ConnectionPlaces::default());
        }
        let source = source_of(address, Network::Address);
        let now = self.now(Instant::now());
        for limit in &plan.connections {
            let rule = &limit.rule;
            let refused = |denial| (denial, Arc::clone(&rule.name));
            let slots = self
                .connections
                .find(self.hash(&(&*rule.name, source)), now)
                .map_err(|_| refused(Denial::RateKeysFull))?;
            let is_over = slots.in_use() >= limit.max;
            match rule.mode {
                Mode::Enforced => {
                    let Some(place) = Slots::take(&slots, limit.max) else {
                        rule.metrics.refused.inc();
                        return Err(refused(rule.denial));
                    };
                    held.push(place);
                }
                Mode::Shadow => {
                    if is_over {
                        rule.metrics.would_refuse.inc();
                    }
                    held.extend(Slots::take(&slots, u32::MAX));
                }
            }
        }
        Ok(ConnectionPlaces { _held: held })
    }
}
