//! Where a checkpoint waits for somebody else's signature: that of the signer, or of the witness.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Between one thread, which puts a checkpoint here, and another, which has somebody sign the newest.
#[derive(Debug)]
pub(super) struct Desk<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    /// Since when a checkpoint waits, in milliseconds after `started`; 0 when none does.
    waiting_since_ms: AtomicU64,
    started: Instant,
}

#[derive(Debug)]
struct State<T> {
    newest: Option<(T, u64)>,
    closing: bool,
}

impl<T: Clone> Desk<T> {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                newest: None,
                closing: false,
            }),
            changed: Condvar::new(),
            waiting_since_ms: AtomicU64::new(0),
            started: Instant::now(),
        }
    }

    /// This is the newest now.
    pub(super) fn put(&self, newest: T) {
        let now = self.now_ms();
        // Only the oldest counts.
        let _waits_already =
            self.waiting_since_ms
                .compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
        self.lock().newest = Some((newest, now));
    }

    /// How long the oldest checkpoint has waited that nobody has signed, nor a later one.
    pub(super) fn age(&self) -> Duration {
        match self.waiting_since_ms.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            since => Duration::from_millis(self.now_ms().saturating_sub(since)),
        }
    }

    pub(super) fn close(&self) {
        self.lock().closing = true;
        self.changed.notify_all();
    }

    /// The newest checkpoint was signed; one that came meanwhile waits from then on.
    pub(super) fn done(&self, put_at: u64) {
        let state = self.lock();
        let since = match &state.newest {
            Some((_, at)) if *at > put_at => *at,
            _ => 0,
        };
        self.waiting_since_ms.store(since, Ordering::Relaxed);
    }

    /// Waits for the next round; `false` when it is the last.
    pub(super) fn wait(&self, interval: Duration) -> bool {
        let state = self.lock();
        let waited = self
            .changed
            .wait_timeout_while(state, interval, |state| !state.closing);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !state.closing
    }

    pub(super) fn newest(&self) -> Option<(T, u64)> {
        self.lock().newest.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis())
            .unwrap_or(u64::MAX)
            .saturating_add(1)
    }
}
