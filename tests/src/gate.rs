//! A gate that holds threads until a test opens it: how a test keeps an answer in flight without sleeping.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

use crate::wait::DEADLINE;

/// Closed at first. Clones are the same gate.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    is_open: bool,
    waiting: usize,
}

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets everybody through, now and later.
    pub fn open(&self) {
        self.0
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_open = true;
        self.0.changed.notify_all();
    }

    /// How many have come to the gate so far and were held.
    #[must_use]
    pub fn held(&self) -> usize {
        self.0
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .waiting
    }

    /// Waits until it is open, at most [`DEADLINE`].
    pub fn pass(&self) {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.waiting += 1;
        let waited = self
            .0
            .changed
            .wait_timeout_while(state, DEADLINE, |state| !state.is_open);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}
