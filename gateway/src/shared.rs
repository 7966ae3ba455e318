//! What lives as long as the process: the current snapshot, the audit trail, the metrics, the counters of the rate limits.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use crate::audit_trail::AuditTrail;
use crate::crl_fetch::Points;
use crate::layers::edge::handshakes::Handshakes;
use crate::layers::network::limits::LimitState;
use crate::live::{PushedStore, Registry};
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
    /// Who is connected.
    pub live: Arc<Registry>,
    /// Who is revoked by operators, ahead of any list.
    pub pushed: PushedStore,
    /// Where certificates say that lists are published.
    pub points: Points,
    /// Handshakes under way.
    pub handshakes: Handshakes,
    /// Who is counted by limits.
    pub limits: LimitState,
    /// What a drain waits for: requests between their head and the end of their answer, and connections before the end of their first.
    pub in_flight: AtomicUsize,
    /// Turns true when the process ends: every connection is dropped then, and its requests hand their records in as aborted.
    pub cut: watch::Sender<bool>,
}

impl Shared {
    /// A process that begins to serve `snapshot`.
    #[must_use]
    pub fn new(
        snapshot: Snapshot,
        trail: AuditTrail,
        metrics: Arc<Metrics>,
        pushed: PushedStore,
    ) -> Self {
        let points = Points::open(&snapshot.config.crl_fetch);
        Self {
            snapshot: ArcSwap::from_pointee(snapshot),
            trail,
            metrics,
            limits: LimitState::new(),
            live: Arc::new(Registry::new()),
            points,
            pushed,
            handshakes: Handshakes::new(),
            in_flight: AtomicUsize::new(0),
            cut: watch::Sender::new(false),
        }
    }
}
