//! Looks after the open connections: whoever would no longer be let in is told to end.
//!
//! Looked at: each connection when a new generation serves or a revocation list runs out, and by the clock those whose certificate
//! ends. A pushed revocation does not wait for this; see `control`.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use hangu_certs::{PushedRevocations, Target};
use pingora::server::ShutdownWatch;
use pingora::services::background::BackgroundService;
use tracing::{info, warn};

use super::judge::{Judgement, judge};
use crate::denial::Denial;
use crate::shared::Shared;
use crate::snapshot::Snapshot;

/// The service that ends connections.
#[derive(Debug)]
pub struct Watcher {
    shared: Arc<Shared>,
}

/// What was looked at last.
#[derive(Debug)]
struct Looked {
    generation: u64,
    /// Seconds since 1970.
    at: i64,
}

impl Watcher {
    /// Over the process's shared state.
    #[must_use]
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    async fn look(&self, last: &mut Looked) {
        let snapshot = self.shared.snapshot.load_full();
        let now = unix_seconds();
        if snapshot.generation != last.generation {
            let learned = snapshot.begun;
            // What is revoked goes first: it needs no signature.
            self.sweep(&snapshot, Judgement::Certificates, learned, now)
                .await;
            self.sweep(&snapshot, Judgement::All, learned, now).await;
        } else if lists_ran_out(&snapshot, last.at, now) {
            self.sweep(&snapshot, Judgement::Certificates, Instant::now(), now)
                .await;
        }
        match self.shared.pushed.refresh() {
            Ok(true) => {
                let learned = Instant::now();
                self.sweep(&snapshot, Judgement::Certificates, learned, now)
                    .await;
            }
            Ok(false) => {}
            Err(error) => warn!("{error}"),
        }
        for session in self.shared.live.past(now) {
            session.end(Denial::CertificateExpired, Instant::now());
        }
        *last = Looked {
            generation: snapshot.generation,
            at: now,
        };
    }

    async fn sweep(&self, snapshot: &Snapshot, how: Judgement, learned: Instant, now: i64) {
        let pushed = self.shared.pushed.load();
        let mut ended: usize = 0;
        self.shared.live.each(|session| {
            if session.ended().is_some() {
                return;
            }
            let connection = session.connection.load();
            if let Some(denial) = judge(&connection, snapshot, &pushed, how, now) {
                ended += usize::from(session.end(denial, learned));
            }
        });
        if ended > 0 {
            info!(
                "{ended} open connections end: generation {} would not let them in",
                snapshot.generation
            );
        }
        // The other services of this thread come in between two sweeps.
        tokio::task::yield_now().await;
    }
}

#[async_trait]
impl BackgroundService for Watcher {
    /// Looks to the end of the process: a gateway that drains has open connections too.
    async fn start(&self, _: ShutdownWatch) {
        let mut last = Looked {
            generation: self.shared.snapshot.load().generation,
            at: unix_seconds(),
        };
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            self.look(&mut last).await;
        }
    }
}

/// Ends whoever a pushed revocation hits, at `now` (seconds since 1970). Gives how many were told.
pub(crate) fn end_pushed(
    shared: &Shared,
    target: &Target,
    pushed: &PushedRevocations,
    learned: Instant,
    now: i64,
) -> usize {
    let hits = shared.live.of_target(target);
    let is_hit = |connection: &crate::connection::Connection| {
        pushed
            .check(connection.identity(), connection.names(), now)
            .is_err()
    };
    hits.iter()
        .filter(|session| is_hit(&session.connection.load()))
        .filter(|session| session.end(Denial::Revoked, learned))
        .count()
}

/// Whether a revocation list ceased to count between two looks.
fn lists_ran_out(snapshot: &Snapshot, before: i64, now: i64) -> bool {
    let mut groups = snapshot
        .listeners
        .iter()
        .flat_map(|listener| &listener.groups);
    groups.any(|group| {
        let lists = group.revocation.next_updates();
        lists
            .iter()
            .any(|list| before < list.until && list.until <= now)
    })
}

fn unix_seconds() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// How often it is looked whether something has to be judged.
const LOOK_EVERY: Duration = Duration::from_millis(50);
