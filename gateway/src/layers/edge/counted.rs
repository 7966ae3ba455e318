//! Connections that count: as open in the metrics, and as awaited by a drain.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::shared::Shared;

/// A connection before the end of its first request. A drain waits for it as for a request in flight: who was let in is answered,
/// also when the process is told to stop between the handshake and the first byte of the request.
pub(super) struct Newcomer(Arc<Shared>);

impl Newcomer {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        shared.in_flight.fetch_add(1, Ordering::AcqRel);
        Self(shared)
    }
}

impl Drop for Newcomer {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Counts a connection as open for as long as it lives.
pub(super) struct Open(prometheus::IntGauge);

impl Open {
    pub(super) fn new(gauge: prometheus::IntGauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}
