//! Keeping the audit log no longer than it must be kept: finished segments are compressed, old ones archived and removed.
//!
//! Nothing goes before the log itself says so: a `retention` record names what is gone and is durable and signed before the first
//! file is removed. What a sink has not been sent stays, and is counted. Whatever fails is tried again in the next round.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use hangu_audit::{
    Kind, Link, Record, Removable, Removal, Stored, Timestamp, VerifyError, oldest, pack,
};
use pingora::server::ShutdownWatch;
use pingora::services::background::BackgroundService;
use tokio::task::{JoinError, spawn_blocking};
use tracing::{error, info};

use crate::config::Retention;
use crate::shared::Shared;
use crate::ship;

mod archive;
mod store;

use archive::{ArchiveError, keep_all};

/// The service that compresses, archives and removes.
#[derive(Debug)]
pub struct Keeper {
    shared: Arc<Shared>,
    audit: PathBuf,
}

/// Why a round came to no end. The next one begins anew.
#[derive(Debug, thiserror::Error)]
enum KeepError {
    #[error("{what}: {source}; look at space and permissions")]
    Io {
        what: String,
        #[source]
        source: io::Error,
    },
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error("the log takes no record now, so nothing is removed")]
    NoPlace,
    #[error("the retention record is not signed yet, so nothing is removed")]
    Unsigned,
    #[error("the checkpoint cannot be read: {0}")]
    Checkpoint(#[from] VerifyError),
    #[error("the work was cut off: {0}")]
    Cut(#[from] JoinError),
}

impl Keeper {
    /// Keeps the log in `audit`.
    #[must_use]
    pub fn new(shared: Arc<Shared>, audit: PathBuf) -> Self {
        Self { shared, audit }
    }

    async fn round(&self, rules: &Retention, stopping: &Arc<AtomicBool>) -> Result<(), KeepError> {
        let audit = self.audit.clone();
        if rules.compress {
            let (audit, stopping) = (audit.clone(), Arc::clone(stopping));
            let goes_on = move || !stopping.load(Ordering::Relaxed);
            let packed = spawn_blocking(move || pack(&audit, goes_on)).await?;
            let packed = packed.map_err(|source| io_error("cannot compress a segment", source))?;
            let saved = packed.bytes_before.saturating_sub(packed.bytes_after);
            self.shared.metrics.retention.saved_bytes.inc_by(saved);
        }
        let (before, taken) = (before(rules), self.taken());
        let planned = spawn_blocking(move || {
            let plan = Removal::plan(&audit, before, taken)?;
            Ok((plan, oldest(&audit)?))
        });
        let (plan, oldest) = planned
            .await?
            .map_err(|source| io_error("cannot look for old segments", source))?;
        let metrics = &self.shared.metrics.retention;
        let Removable { removal, held } = plan;
        metrics.held.set(i64::try_from(held).unwrap_or(i64::MAX));
        if let Some((_, time)) = oldest {
            metrics.oldest.set(seconds(time));
        }
        match removal {
            Some(removal) if !stopping.load(Ordering::Relaxed) => self.remove(rules, removal).await,
            _ => Ok(()),
        }
    }

    /// How far every sink has got; to the end where there is none.
    fn taken(&self) -> u64 {
        let snapshot = self.shared.snapshot.load();
        let places = snapshot.sinks.iter().map(|plan| {
            // A place that cannot be read holds everything: the sink's own thread says why.
            ship::delivered(&self.audit, plan.name()).unwrap_or(0)
        });
        places.min().unwrap_or(u64::MAX)
    }

    async fn remove(&self, rules: &Retention, removal: Removal) -> Result<(), KeepError> {
        let (first, through) = (removal.first, removal.through);
        if let Some(archive) = rules.archive.clone() {
            let files: Vec<_> = removal.files().collect();
            spawn_blocking(move || keep_all(&files, &archive)).await??;
        }
        self.note(rules, &removal).await?;
        spawn_blocking(move || removal.carry_out())
            .await?
            .map_err(|source| io_error("cannot remove a segment", source))?;
        let removed = through.saturating_sub(first).saturating_add(1);
        self.shared.metrics.retention.removed.inc_by(removed);
        info!("records {first} to {through} of the audit log were removed, as its retention says");
        Ok(())
    }

    /// Writes the record of a removal, and waits until it is durable and signed.
    async fn note(&self, rules: &Retention, removal: &Removal) -> Result<(), KeepError> {
        let archived = match &rules.archive {
            Some(archive) => format!("archived in {archive}"),
            None => "not archived".to_owned(),
        };
        let detail = format!(
            "records {} to {}, the last of {}, are older than {} days and are removed; {archived}",
            removal.first, removal.through, removal.until, rules.days
        );
        let origin = Arc::clone(self.shared.trail.origin());
        let now = Timestamp::from(SystemTime::now());
        let mut record = Box::new(Record::event(Kind::Retention, now, origin, detail));
        record.removed = Some(Link {
            sequence: removal.through,
            hash: removal.hash,
        });
        let place = self.shared.trail.reserve_for_event(record);
        let place = place.map_err(|_| KeepError::NoPlace)?;
        let written = place.hand_in_and_tell().await;
        written.map_err(|_| KeepError::NoPlace)?;
        let committed = self.shared.metrics.shipping.committed.get();
        let committed = u64::try_from(committed).unwrap_or_default();
        for _ in 0..SIGNED_LOOKS_MAX {
            let signed = Stored::signed(&self.audit, &[])?;
            if signed.is_some_and(|stored| stored.checkpoint.head().size >= committed) {
                return Ok(());
            }
            tokio::time::sleep(SIGNED_LOOK_EVERY).await;
        }
        Err(KeepError::Unsigned)
    }
}

#[async_trait]
impl BackgroundService for Keeper {
    async fn start(&self, mut shutdown: ShutdownWatch) {
        let stopping = Arc::new(AtomicBool::new(false));
        loop {
            let rules = self.shared.snapshot.load().config.retention.clone();
            // Until it has written a record, the folder is another process's: the one that this one takes over from.
            if self.shared.metrics.shipping.committed.get() > 0 {
                let round = self.round(&rules, &stopping);
                let ended = tokio::select! {
                    ended = round => ended,
                    _ = shutdown.wait_for(|stopping| *stopping) => {
                        stopping.store(true, Ordering::Relaxed);
                        return;
                    }
                };
                if let Err(error) = ended {
                    self.shared.metrics.retention.failures.inc();
                    error!("audit retention: {error}");
                }
            }
            tokio::select! {
                () = tokio::time::sleep(rules.every) => {}
                _ = shutdown.wait_for(|stopping| *stopping) => return,
            }
        }
    }
}

/// Records from before this moment may go.
fn before(rules: &Retention) -> Timestamp {
    let kept = Duration::from_secs(u64::from(rules.days.get()) * 24 * 60 * 60);
    let now = SystemTime::now();
    Timestamp::from(now.checked_sub(kept).unwrap_or(SystemTime::UNIX_EPOCH))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "milliseconds since 1970 fit a double for 285,000 years"
)]
fn seconds(time: Timestamp) -> f64 {
    time.unix_ms() as f64 / 1_000.0
}

fn io_error(what: &str, source: io::Error) -> KeepError {
    KeepError::Io {
        what: what.to_owned(),
        source,
    }
}

/// A checkpoint comes each second; half a minute without one is a fault of its own.
const SIGNED_LOOKS_MAX: u32 = 300;
const SIGNED_LOOK_EVERY: Duration = Duration::from_millis(100);
