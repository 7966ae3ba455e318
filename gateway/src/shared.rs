//! What lives as long as the process: the current snapshot, the audit trail, the metrics, the counters of the rate limits.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use crate::audit_trail::AuditTrail;
use crate::connection::Subject;
use crate::layers::edge::handshakes::Handshakes;
use crate::layers::endpoint::caller::Caller;
use crate::layers::network::rates::RateKeys;
use crate::observe::metrics::Metrics;
use crate::snapshot::Snapshot;

/// Shared by all listeners and requests.
#[derive(Debug)]
pub struct Shared {
    /// The generation that serves. Swapped whole, never changed.
    pub snapshot: ArcSwap<Snapshot>,
    /// Where records go.
    pub trail: AuditTrail,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Who is counted.
    pub rate_keys: RateKeys,
    /// Handshakes under way.
    pub handshakes: Handshakes,
    /// What a drain waits for: requests between their head and the end of their answer, and connections before the end of their first.
    pub in_flight: AtomicUsize,
    /// Turns true when the process ends: every connection is dropped then, and its requests hand their records in as aborted.
    pub cut: watch::Sender<bool>,
}

impl Shared {
    /// A process that begins to serve `snapshot`.
    #[must_use]
    pub fn new(snapshot: Snapshot, trail: AuditTrail, metrics: Arc<Metrics>) -> Self {
        Self {
            snapshot: ArcSwap::from_pointee(snapshot),
            trail,
            metrics,
            rate_keys: RateKeys::new(),
            handshakes: Handshakes::new(),
            in_flight: AtomicUsize::new(0),
            cut: watch::Sender::new(false),
        }
    }

    /// The policy subject of a caller, with its counters; `None` when it has no usable name.
    #[must_use]
    pub fn subject(&self, caller: &Caller, address: IpAddr) -> Option<Subject> {
        let name: Arc<str> = caller.subject.as_deref()?.into();
        let counters = self.rate_keys.counters(&name, address).ok();
        Some(Subject { name, counters })
    }
}
