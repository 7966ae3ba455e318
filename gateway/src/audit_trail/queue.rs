//! Between the workers and the writer: places are counted, records handed over.
//!
//! Each worker hands in to a shelf of its own, so that no two of them wait for the same lock; the writer empties all.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::Instant;

use hangu_audit::{Origin, Record};
use tokio::sync::oneshot;

use super::disk::Room;
use crate::observe::metrics::Metrics;

/// When somebody who handed a record in may go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Once the system has it: it outlives the process.
    Written,
    /// Once the disk has it: it outlives a loss of power.
    Durable,
}

/// A record, and who waits for it.
#[derive(Debug)]
pub(super) struct Handed {
    pub(super) record: Box<Record>,
    pub(super) waiter: Option<Waiter>,
}

/// Somebody who waits. Dropped without a word when the log does not take the record now.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) until: Until,
    pub(super) sender: oneshot::Sender<()>,
}

impl Handed {
    /// Tells whoever waits for no more than this.
    pub(super) fn release(&mut self, reached: Until) {
        let is_due = self
            .waiter
            .as_ref()
            .is_some_and(|waiter| waiter.until == reached || reached == Until::Durable);
        if is_due {
            self.answer(true);
        }
    }

    /// Tells whoever waits how it went.
    pub(super) fn answer(&mut self, is_taken: bool) {
        if let Some(waiter) = self.waiter.take() {
            // Whoever has left meanwhile need not be told.
            if is_taken {
                waiter.sender.send(()).unwrap_or_default();
            }
        }
    }
}

/// What workers and writer share.
#[derive(Debug)]
pub(super) struct Queue {
    shelves: [Shelf; SHELVES],
    /// Places given and not yet on the disk.
    taken: AtomicUsize,
    places: usize,
    pub(super) failing: AtomicBool,
    pub(super) closing: AtomicBool,
    /// How much room the disk has, as [`Room`].
    room: AtomicU8,
    /// Records that found no place since the last note of it in the log.
    pub(super) dropped: AtomicU64,
    /// When the oldest record came that no signed checkpoint covers, in ms of the records' clock; 0 for none.
    pub(super) unsigned_since_ms: AtomicU64,
    /// Where the records' monotonic clock begins.
    started: Instant,
    pub(super) writer: OnceLock<Thread>,
    pub(super) origin: Arc<Origin>,
    pub(super) metrics: Arc<Metrics>,
}

/// Kept apart, so that what one worker writes is not in the cache line of another.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Shelf(Mutex<Vec<Handed>>);

/// Whether a place may be one of those that are kept for denials and events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Share {
    Common,
    Reserved,
}

impl Queue {
    pub(super) fn new(places: usize, origin: Arc<Origin>, metrics: Arc<Metrics>) -> Self {
        Self {
            shelves: std::array::from_fn(|_| Shelf::default()),
            taken: AtomicUsize::new(0),
            places,
            failing: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            room: AtomicU8::new(Room::Enough.number()),
            dropped: AtomicU64::new(0),
            unsigned_since_ms: AtomicU64::new(0),
            started: Instant::now(),
            writer: OnceLock::new(),
            origin,
            metrics,
        }
    }

    pub(super) fn take_place(&self, share: Share) -> bool {
        if self.failing.load(Ordering::Relaxed) {
            return false;
        }
        let places = match share {
            Share::Common => self.places - self.places / RESERVED_PART,
            Share::Reserved => self.places,
        };
        let below = |taken: usize| (taken < places).then_some(taken + 1);
        self.taken
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, below)
            .is_ok()
    }

    /// One more place, also where there is none: for a record about that, and for the rest of a request that has one.
    pub(super) fn take_extra_place(&self) {
        self.taken.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn give_back(&self, places: usize) {
        self.taken.fetch_sub(places, Ordering::AcqRel);
    }

    pub(super) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    pub(super) fn is_taking(&self) -> bool {
        !self.failing.load(Ordering::Relaxed) && self.taken() < self.places
    }

    pub(super) fn push(&self, mut record: Box<Record>, waiter: Option<Waiter>) {
        record.monotonic_us = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
        let somebody_waits = waiter.is_some();
        if let Some(shelf) = self.shelves.get(shelf_of_this_thread()) {
            shelf.lock().push(Handed { record, waiter });
        }
        if somebody_waits && let Some(writer) = self.writer.get() {
            writer.unpark();
        }
    }

    /// Moves everything that was handed in to the end of `batch`, the oldest first.
    pub(super) fn drain_into(&self, batch: &mut Vec<Handed>) {
        let before = batch.len();
        for shelf in &self.shelves {
            batch.append(&mut shelf.lock());
        }
        if let Some(new) = batch.get_mut(before..) {
            new.sort_by_key(|handed| handed.record.monotonic_us);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.shelves.iter().all(|shelf| shelf.lock().is_empty())
    }

    /// Milliseconds on the records' clock; never 0.
    pub(super) fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis())
            .unwrap_or(u64::MAX)
            .saturating_add(1)
    }

    /// Microseconds on the records' clock.
    pub(super) fn now_us(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    pub(super) fn room(&self) -> Room {
        Room::of_number(self.room.load(Ordering::Relaxed))
    }

    pub(super) fn set_room(&self, room: Room) {
        self.room.store(room.number(), Ordering::Relaxed);
    }
}

impl Shelf {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Handed>> {
        // A panic while the lock was held can only have been in `push` itself: the records before are whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Each thread gets the next shelf at its first record.
fn shelf_of_this_thread() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static OWN: Cell<Option<usize>> = const { Cell::new(None) };
    }
    OWN.with(|own| {
        own.get().unwrap_or_else(|| {
            let next = NEXT.fetch_add(1, Ordering::Relaxed) % SHELVES;
            own.set(Some(next));
            next
        })
    })
}

/// As many as the most worker threads that a configuration may ask for.
const SHELVES: usize = 64;
/// One in so many places is kept for denials, refused handshakes and events.
const RESERVED_PART: usize = 64;
