//! How many may be inside at once.
//!
//! A rate says how often; slots say how many at the same time, which is what protects a slow upstream and what a
//! handshake flood exhausts. The bound is an argument, so that a reload changes it while the guards of the old
//! bound are still out: lowering it evicts nobody, and admits nobody until enough have left.

use std::ops::Deref;
use std::sync::atomic::{AtomicU32, Ordering};

/// A counter of places in use, shared by all threads.
#[derive(Debug, Default)]
pub struct Slots(AtomicU32);

impl Slots {
    /// Nobody inside.
    #[must_use]
    pub const fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// A place among those of `slots` (an `Arc`, or what a [`Keyed`](crate::Keyed) gave), when fewer than `max` are in use; it
    /// is given back when the [`Slot`] is dropped, on every way out. `max` of zero admits nobody.
    #[must_use = "the place is given back as soon as the slot is dropped"]
    pub fn take<S: Deref<Target = Self> + Clone>(slots: &S, max: u32) -> Option<Slot<S>> {
        let taken = slots
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |in_use| {
                // `in_use < max` also keeps the sum below the end of a `u32`.
                if in_use < max { Some(in_use + 1) } else { None }
            });
        taken.ok().map(|_| Slot(slots.clone()))
    }

    /// How many places are in use now.
    #[must_use]
    pub fn in_use(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One place in use, until dropped.
#[derive(Debug)]
#[must_use = "the place is given back as soon as the slot is dropped"]
pub struct Slot<S: Deref<Target = Slots>>(S);

impl<S: Deref<Target = Slots>> Drop for Slot<S> {
    fn drop(&mut self) {
        // INVARIANT: each slot was counted once by `take`, so this never goes below zero.
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn no_more_than_max_are_inside_and_leaving_makes_room() {
        let slots = Arc::new(Slots::new());
        let (one, two) = (Slots::take(&slots, 2), Slots::take(&slots, 2));
        assert!(one.is_some() && two.is_some() && Slots::take(&slots, 2).is_none());
        drop(one);
        assert_eq!(slots.in_use(), 1);
        let three = Slots::take(&slots, 2);
        assert!(three.is_some());
        assert!(
            Slots::take(&slots, 1).is_none(),
            "a lower bound evicts nobody and admits nobody"
        );
        assert!(
            Slots::take(&slots, 3).is_some(),
            "a higher one admits at once"
        );
        assert!(Slots::take(&slots, 0).is_none());
    }

    #[test]
    fn a_panic_gives_the_place_back() {
        let slots = Arc::new(Slots::new());
        let inside = Arc::clone(&slots);
        let thread = std::thread::spawn(move || {
            let _slot = Slots::take(&inside, 1);
            panic!("a request went wrong");
        });
        assert!(thread.join().is_err());
        assert_eq!(slots.in_use(), 0);
    }

    #[test]
    fn threads_together_never_exceed_max() {
        let slots = Arc::new(Slots::new());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..5_000 {
                        let slot = Slots::take(&slots, 2);
                        assert!(slots.in_use() <= 2);
                        drop(slot);
                    }
                });
            }
        });
        assert_eq!(slots.in_use(), 0);
    }
}
