//! From a key to its state, bounded: what an attacker sends must not decide how much memory we use.
//!
//! Looked up once a connection (or once a change of key); afterwards the `Arc` is used without any lock. Only state
//! that nobody holds and that is [`blank`](Blank::is_blank) is forgotten, because a fresh one then behaves the same: the
//! bound never makes a limit inexact. When every place is taken by live state the answer is [`Full`] and the caller
//! refuses; pushing out somebody's live state instead would let a churn of keys wash one's own limit away.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use thiserror::Error;

use crate::rate::{Cell, Nanos};
use crate::slots::Slots;

/// State that can be forgotten without anybody noticing, when it says so.
pub trait Blank: Default {
    /// Whether it behaves, from `now` on, exactly as `Self::default()` does.
    fn is_blank(&self, now: Nanos) -> bool;
}

impl Blank for Cell {
    fn is_blank(&self, now: Nanos) -> bool {
        self.is_idle(now)
    }
}

impl Blank for Slots {
    fn is_blank(&self, _now: Nanos) -> bool {
        self.in_use() == 0
    }
}

/// One rate-limit cell a key.
pub type Cells<K> = Keyed<K, Cell>;

/// One `V` a key, up to a bound, in independently locked shards. The hash is keyed at random, so that nobody can
/// aim keys at one shard.
#[derive(Debug)]
pub struct Keyed<K, V> {
    shards: Box<[Mutex<Shard<K, V>>]>,
    hasher: RandomState,
    /// Keys a shard.
    shard_keys_max: usize,
}

/// Every place is taken by state that is still in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "all `{keys_max}` places for keys are in use; raise the bound or lower the number of callers"
)]
pub struct Full {
    /// The bound.
    pub keys_max: usize,
}

impl<K: Hash + Eq, V: Blank> Keyed<K, V> {
    /// Room for `keys_max` keys. With many shards one of them fills a little before the others: it is safe to count
    /// on 90 % of `keys_max` when that is above 10,000. Memory grows with the keys in use, not with the bound.
    #[must_use]
    pub fn new(keys_max: NonZeroUsize) -> Self {
        let shards = (keys_max.get() / SHARD_KEYS_MIN).clamp(1, SHARDS_MAX);
        Self {
            shards: (0..shards).map(|_| Mutex::new(Shard::new())).collect(),
            hasher: RandomState::new(),
            shard_keys_max: keys_max.get() / shards,
        }
    }

    /// The state of `key`, made when there is none. Hold the `Arc` as long as the key may be used: state that is held is
    /// never forgotten.
    ///
    /// # Errors
    /// [`Full`] when the key is new and no place is free. Old places are looked for at most ten times a second a
    /// shard then, so that a flood of new keys stays cheap.
    pub fn find(&self, key: K, now: Nanos) -> Result<Arc<V>, Full> {
        let full = Full {
            keys_max: self.shard_keys_max.saturating_mul(self.shards.len()),
        };
        let hash = self.hasher.hash_one(&key);
        // The map inside hashes with a key of its own, so one shard's keys are spread over all its buckets.
        let index = usize::try_from(hash >> 32).unwrap_or_default() % self.shards.len();
        let Some(shard) = self.shards.get(index) else {
            return Err(full);
        };
        // A panic while the lock was held cannot leave a map half-changed that matters: at worst a sweep was cut short.
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(state) = shard.states.get(&key) {
            return Ok(Arc::clone(state));
        }
        if !shard.make_room(self.shard_keys_max, now) {
            return Err(full);
        }
        let state = Arc::new(V::default());
        shard.states.insert(key, Arc::clone(&state));
        Ok(state)
    }

    /// How many keys are known now. Locks each shard in turn: for metrics, not for requests.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards
            .iter()
            .map(|shard| {
                shard
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .states
                    .len()
            })
            .sum()
    }

    /// Whether no key is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[derive(Debug)]
struct Shard<K, V> {
    states: HashMap<K, Arc<V>>,
    /// Sweep when the map has grown to this size: twice what the last sweep left, so that sweeping costs each insertion
    /// a constant.
    sweep_at: usize,
    /// At the bound, not before this time.
    sweep_after: Nanos,
}

impl<K: Hash + Eq, V: Blank> Shard<K, V> {
    fn new() -> Self {
        Self {
            states: HashMap::new(),
            sweep_at: SWEEP_KEYS_MIN,
            sweep_after: Nanos(0),
        }
    }

    /// Whether there is room for one more key, after forgetting blank state when that is due.
    fn make_room(&mut self, keys_max: usize, now: Nanos) -> bool {
        let grown = self.states.len() >= self.sweep_at;
        let full = self.states.len() >= keys_max && now >= self.sweep_after;
        if grown || full {
            // `get_mut` succeeds only when nobody else holds the Arc, and sees what the last holder did to it.
            self.states
                .retain(|_, state| !Arc::get_mut(state).is_some_and(|state| state.is_blank(now)));
            // When nearly everything is in use, doubling would go past the bound: then only `full` sweeps.
            self.sweep_at = self.states.len().saturating_mul(2).max(SWEEP_KEYS_MIN);
            self.sweep_after = now.saturating_add(SWEEP_INTERVAL);
            if self.states.capacity() > self.states.len().saturating_mul(4).max(SWEEP_KEYS_MIN) {
                self.states.shrink_to(self.states.len().saturating_mul(2));
            }
        }
        self.states.len() < keys_max
    }
}

const SHARDS_MAX: usize = 64;
/// Below this many keys a shard the sharding would make the bound uneven.
const SHARD_KEYS_MIN: usize = 1_024;
const SWEEP_KEYS_MIN: usize = 256;
const SWEEP_INTERVAL: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate::{Rate, Verdict};

    fn cells(keys_max: usize) -> Cells<u64> {
        Cells::new(keys_max.try_into().unwrap())
    }

    fn per_second() -> Rate {
        Rate::new(
            1.try_into().unwrap(),
            Duration::from_secs(1),
            1.try_into().unwrap(),
        )
        .unwrap()
    }

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn the_same_key_finds_the_same_cell() {
        let cells = cells(10);
        let (one, other) = (
            cells.find(1, Nanos(0)).unwrap(),
            cells.find(1, Nanos(0)).unwrap(),
        );
        assert!(Arc::ptr_eq(&one, &other));
        assert!(!Arc::ptr_eq(&one, &cells.find(2, Nanos(0)).unwrap()));
        assert_eq!(cells.len(), 2);
    }

    #[test]
    fn a_full_house_of_live_cells_refuses_newcomers_and_keeps_the_old() {
        let cells = cells(3);
        for key in 0..3 {
            let cell = cells.find(key, Nanos(0)).unwrap();
            assert_eq!(
                cell.check(&per_second(), Nanos(0)),
                Verdict::Admit { remaining: 0 }
            );
        }
        assert_eq!(cells.find(9, Nanos(0)).unwrap_err(), Full { keys_max: 3 });
        let known = cells.find(1, Nanos(0)).unwrap();
        assert!(
            matches!(known.check(&per_second(), Nanos(0)), Verdict::Refuse { .. }),
            "its use is not washed away"
        );
    }

    #[test]
    fn places_come_back_when_cells_are_idle_and_unheld() {
        let cells = cells(2);
        let held = cells.find(0, Nanos(0)).unwrap();
        let _verdict = cells
            .find(1, Nanos(0))
            .unwrap()
            .check(&per_second(), Nanos(0));
        assert!(
            cells.find(2, Nanos(SECOND)).is_err(),
            "1 is not idle yet, 0 is held"
        );
        assert!(cells.find(2, Nanos(3 * SECOND)).is_ok(), "1 is forgotten");
        assert!(
            Arc::ptr_eq(&held, &cells.find(0, Nanos(9 * SECOND)).unwrap()),
            "held state is never forgotten"
        );
    }

    #[test]
    fn slots_of_a_key_are_kept_as_long_as_one_is_taken() {
        let slots: Keyed<&str, Slots> = Keyed::new(1.try_into().unwrap());
        let slot = slots.find("wang", Nanos(0)).unwrap().take(1);
        assert!(slot.is_some());
        assert!(
            slots.find("li", Nanos(SECOND)).is_err(),
            "wang is still inside"
        );
        assert!(slots.find("wang", Nanos(SECOND)).unwrap().take(1).is_none());
        drop(slot);
        assert!(slots.find("li", Nanos(2 * SECOND)).is_ok());
    }

    #[test]
    fn a_churn_of_keys_does_not_grow_memory() {
        let cells = cells(2_000);
        for key in 0..200_000 {
            // Each key comes once, a millisecond after the one before, and is idle two seconds later.
            let now = Nanos(key * 1_000_000);
            if let Ok(cell) = cells.find(key, now) {
                let _verdict = cell.check(&per_second(), now);
            }
            assert!(cells.len() <= 2_000);
        }
    }

    #[test]
    fn a_large_house_can_be_filled_to_nine_tenths() {
        let cells = cells(20_000);
        let held: Vec<_> = (0..18_000)
            .filter_map(|key| cells.find(key, Nanos(0)).ok())
            .collect();
        assert_eq!(held.len(), 18_000);
    }
}
