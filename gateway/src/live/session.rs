//! One open connection: what is known of it from outside, and the word that ends it.

use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use arc_swap::ArcSwap;
use tokio::sync::Notify;

use crate::connection::Connection;
use crate::denial::Denial;

/// A connection as the registry holds it.
#[derive(Debug)]
pub struct Session {
    /// Its number in this process; never used twice.
    pub id: u64,
    /// When its handshake was done, in seconds since 1970.
    pub since: i64,
    /// The connection as the generation saw it that looked last.
    pub connection: ArcSwap<Connection>,
    ended: OnceLock<Ended>,
    told: Notify,
    requests: AtomicU64,
    in_flight: AtomicU32,
    last_request: AtomicI64,
}

/// Why a connection ends, and since when that is known.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// The reason.
    pub denial: Denial,
    /// When the gateway learned of it: what the time to the end is counted from.
    pub learned: Instant,
    /// When the connection was told.
    pub told: Instant,
}

impl Session {
    pub(super) fn new(id: u64, connection: Arc<Connection>, since: i64) -> Self {
        Self {
            id,
            since,
            connection: ArcSwap::new(connection),
            ended: OnceLock::new(),
            told: Notify::new(),
            requests: AtomicU64::new(0),
            in_flight: AtomicU32::new(0),
            last_request: AtomicI64::new(since),
        }
    }

    /// Tells the connection to end. Says whether it had not been told before.
    pub fn end(&self, denial: Denial, learned: Instant) -> bool {
        let ended = Ended {
            denial,
            learned,
            told: Instant::now(),
        };
        let is_first = self.ended.set(ended).is_ok();
        self.told.notify_waiters();
        is_first
    }

    /// Why it ends; `None` while it may live on.
    #[must_use]
    pub fn ended(&self) -> Option<Ended> {
        self.ended.get().copied()
    }

    /// Waits until the connection is told to end.
    pub async fn until_ended(&self) -> Ended {
        loop {
            let told = self.told.notified();
            let mut told = std::pin::pin!(told);
            // From here on a word is not missed, so what was said before can be looked at.
            told.as_mut().enable();
            if let Some(ended) = self.ended() {
                return ended;
            }
            told.await;
        }
    }

    /// A request begins.
    pub fn begin(&self, now: i64) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.last_request.store(now, Ordering::Relaxed);
    }

    /// A request is over.
    pub fn finish(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// Requests so far.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Requests under way.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// When the last request came, in seconds since 1970; the handshake before the first.
    #[must_use]
    pub fn last_request(&self) -> i64 {
        self.last_request.load(Ordering::Relaxed)
    }
}
