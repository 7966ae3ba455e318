//! Looks after the open connections: whoever would no longer be let in is told to end.
//!
//! Looked at: each connection when a new generation serves or a revocation list runs out, and by the clock those whose certificate
//! ends. A pushed revocation does not wait for this; see `control`.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use pingora::server::ShutdownWatch;
use pingora::services::background::BackgroundService;
use tracing::{info, warn};

use super::judge::{Judgement, end_refused_connections};
use super::streams::{LONG, end_refused};
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
    /// The same by the other clock.
    when: Instant,
    /// When requests are looked at that were too young for it when the generation began to serve.
    again: Option<Instant>,
}

impl Watcher {
    /// Over the process's shared state.
    #[must_use]
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    async fn look(&self, last: &mut Looked) {
        let snapshot = self.shared.snapshot.load_full();
        let (now, when) = (unix_seconds(), Instant::now());
        if snapshot.generation != last.generation {
            let learned = snapshot.published;
            // What is revoked goes first: it needs no signature.
            self.sweep(&snapshot, Judgement::Certificates, learned, now)
                .await;
            self.sweep(&snapshot, Judgement::All, learned, now).await;
            self.sweep_requests(&snapshot, now);
            last.again = Some(when + LONG + LOOK_EVERY);
        } else if lists_ran_out(&snapshot, last.at, now) {
            self.sweep(&snapshot, Judgement::Certificates, last.when, now)
                .await;
        }
        if self.shared.live.take_stragglers() {
            last.again.get_or_insert(when + LONG);
        }
        if last.again.is_some_and(|again| again <= when) {
            last.again = None;
            self.sweep_requests(&snapshot, now);
        }
        match self.shared.pushed.refresh() {
            Ok(true) => {
                self.sweep(&snapshot, Judgement::Certificates, last.when, now)
                    .await;
            }
            Ok(false) => {}
            Err(error) => warn!("{error}"),
        }
        for session in self.shared.live.past(now) {
            session.end(Denial::CertificateExpired, last.when);
        }
        last.generation = snapshot.generation;
        last.at = now;
        last.when = when;
    }

    async fn sweep(&self, snapshot: &Snapshot, how: Judgement, learned: Instant, now: i64) {
        let pushed = self.shared.pushed.load();
        let ended =
            end_refused_connections(&self.shared.live, (snapshot, &pushed), how, learned, now);
        if ended > 0 {
            info!(
                "{ended} open connections end: generation {} would not let them in",
                snapshot.generation
            );
        }
        // The other services of this thread come in between two sweeps.
        tokio::task::yield_now().await;
    }

    /// Ends the requests under way that a generation does not permit, but for those that have only just come.
    fn sweep_requests(&self, snapshot: &Snapshot, now: i64) {
        let Some(before) = Instant::now().checked_sub(LONG) else {
            return;
        };
        let (both, learned) = ((&*self.shared, snapshot), snapshot.published);
        let mut ended = 0;
        self.shared
            .live
            .each(|session| ended += end_refused(session, both, before, learned, now));
        if ended > 0 {
            info!(
                "{ended} requests under way end: generation {} would not permit them",
                snapshot.generation
            );
        }
    }
}

#[async_trait]
impl BackgroundService for Watcher {
    /// Looks to the end of the process: a gateway that drains has open connections too.
    async fn start(&self, _: ShutdownWatch) {
        let mut last = Looked {
            generation: self.shared.snapshot.load().generation,
            at: unix_seconds(),
            when: Instant::now(),
            again: None,
        };
        loop {
            tokio::select! {
                () = self.shared.live.until_to_look() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            self.look(&mut last).await;
        }
    }
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
