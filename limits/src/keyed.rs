//! From a key to its state, bounded: what an attacker sends must not decide how much memory we use.
//!
//! Looked up once a connection (or once a change of key); afterwards the [`Held`] is used without any lock. Only state
//! that nobody holds and that is [`blank`](Blank::is_blank) is forgotten, because a fresh one then behaves the same: the
//! bound never makes a limit inexact. When every place is taken by live state the answer is [`Full`] and the caller
//! refuses; pushing out somebody's live state instead would let a churn of keys wash one's own limit away.
//!
//! Key and state lie together in one small allocation that never moves, and the tables hold only where: what a table leaves
//! behind when it grows is then a few megabytes, and a million live keys of 16 bytes are below 100 MB at their worst moment.

use std::hash::{BuildHasher, Hash, RandomState};
use std::num::NonZeroUsize;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hashbrown::HashTable;
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

/// The state of a key: not forgotten as long as this, or a clone of it, is held.
#[derive(Debug)]
pub struct Held<K, V>(Arc<Entry<K, V>>);

#[derive(Debug)]
struct Entry<K, V> {
    key: K,
    state: V,
}

impl<K, V> Deref for Held<K, V> {
    type Target = V;

    fn deref(&self) -> &V {
        &self.0.state
    }
}

impl<K, V> Clone for Held<K, V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
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

    /// The state of `key`, made when there is none. Hold it as long as the key may be used: state that is held is
    /// never forgotten.
    ///
    /// # Errors
    /// [`Full`] when the key is new and no place is free. Old places are looked for at most ten times a second a
    /// shard then, so that a flood of new keys stays cheap.
    pub fn find(&self, key: K, now: Nanos) -> Result<Held<K, V>, Full> {
        let full = Full {
            keys_max: self.shard_keys_max.saturating_mul(self.shards.len()),
        };
        let hash = self.hasher.hash_one(&key);
        // The table uses the lowest bits and the seven highest: those between choose the shard.
        let index = (hash >> 32 & 0xff_ffff) as usize % self.shards.len();
        let Some(shard) = self.shards.get(index) else {
            return Err(full);
        };
        // A panic while the lock was held cannot leave a table half-changed that matters: at worst a sweep was cut short.
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = shard.entries.find(hash, |entry| entry.key == key) {
            return Ok(Held(Arc::clone(entry)));
        }
        let rehash = |entry: &Arc<Entry<K, V>>| self.hasher.hash_one(&entry.key);
        if !shard.make_room(self.shard_keys_max, now, rehash) {
            return Err(full);
        }
        let state = V::default();
        let entry = Arc::new(Entry { key, state });
        shard
            .entries
            .insert_unique(hash, Arc::clone(&entry), rehash);
        Ok(Held(entry))
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
                    .entries
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
    entries: HashTable<Arc<Entry<K, V>>>,
    /// Sweep when the table has grown to this size: twice what the last sweep left, so that sweeping costs each insertion
    /// a constant.
    sweep_at: usize,
    /// At the bound, not before this time.
    sweep_after: Nanos,
}

impl<K, V: Blank> Shard<K, V> {
    const fn new() -> Self {
        Self {
            entries: HashTable::new(),
            sweep_at: SWEEP_KEYS_MIN,
            sweep_after: Nanos(0),
        }
    }

    /// Whether there is room for one more key, after forgetting blank state when that is due.
    fn make_room(
        &mut self,
        keys_max: usize,
        now: Nanos,
        rehash: impl Fn(&Arc<Entry<K, V>>) -> u64,
    ) -> bool {
        let grown = self.entries.len() >= self.sweep_at;
        let full = self.entries.len() >= keys_max && now >= self.sweep_after;
        if grown || full {
            // `get_mut` succeeds only when nobody else holds the entry, and sees what the last holder did to it.
            self.entries.retain(|entry| {
                !Arc::get_mut(entry).is_some_and(|entry| entry.state.is_blank(now))
            });
            // When nearly everything is in use, doubling would go past the bound: then only `full` sweeps.
            self.sweep_at = self.entries.len().saturating_mul(2).max(SWEEP_KEYS_MIN);
            self.sweep_after = now.saturating_add(SWEEP_INTERVAL);
            if self.entries.capacity() > self.entries.len().saturating_mul(4).max(SWEEP_KEYS_MIN) {
                let wanted = self.entries.len().saturating_mul(2);
                self.entries.shrink_to(wanted, rehash);
            }
        }
        self.entries.len() < keys_max
    }
}

/// So many that a shard which grows keeps others waiting for a fraction of a millisecond.
const SHARDS_MAX: usize = 256;
/// Below this many keys a shard the sharding would make the bound uneven.
const SHARD_KEYS_MIN: usize = 2_048;
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

    fn is_same(one: &Held<u64, Cell>, other: &Held<u64, Cell>) -> bool {
        std::ptr::eq(&raw const **one, &raw const **other)
    }

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn the_same_key_finds_the_same_cell() {
        let cells = cells(10);
        let (one, other) = (
            cells.find(1, Nanos(0)).unwrap(),
            cells.find(1, Nanos(0)).unwrap(),
        );
        assert!(is_same(&one, &other));
        assert!(!is_same(&one, &cells.find(2, Nanos(0)).unwrap()));
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
            is_same(&held, &cells.find(0, Nanos(9 * SECOND)).unwrap()),
            "held state is never forgotten"
        );
    }

    #[test]
    fn slots_of_a_key_are_kept_as_long_as_one_is_taken() {
        let slots: Keyed<&str, Slots> = Keyed::new(1.try_into().unwrap());
        let take = |held: &Held<_, Slots>| Slots::take(held, 1);
        let slot = take(&slots.find("wang", Nanos(0)).unwrap());
        assert!(slot.is_some());
        assert!(
            slots.find("li", Nanos(SECOND)).is_err(),
            "wang is still inside"
        );
        let wang = slots.find("wang", Nanos(SECOND)).unwrap();
        assert!(take(&wang).is_none());
        drop(wang);
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
