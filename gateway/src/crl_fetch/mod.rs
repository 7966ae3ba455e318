//! Revocation lists from where their authorities publish them.
//!
//! A list is fetched beside the requests, never for one: only from the URLs of the configuration, never from what a certificate says, so
//! that no client decides whom we connect to. It is verified before it is kept, and kept as a file among the others: the reload that
//! sees a changed file takes it, and a restart without a network has it. Metrics tell what did not come.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use hangu_certs::{CrlError, Grace, RevocationIndex, TrustBundle};
use pingora::server::ShutdownWatch;
use pingora::services::background::BackgroundService;
use tracing::{info, warn};

use self::http::{FetchError, Fetched, Validators, get};
use crate::config::{CrlFetch, CrlUrl};
use crate::shared::Shared;
use crate::snapshot::Snapshot;

mod http;

/// The service that fetches, and that watches how old the lists are.
#[derive(Debug)]
pub struct Fetcher {
    shared: Arc<Shared>,
}

/// Why a fetched list is not taken.
#[derive(Debug, thiserror::Error)]
enum NotTaken {
    #[error("{0}")]
    Fetch(#[from] FetchError),
    #[error("{0}")]
    List(CrlError),
    #[error("it cannot be kept in `{}`: {source}", path.display())]
    Keep { path: PathBuf, source: io::Error },
}

impl Fetcher {
    /// Fetches for whatever generation serves.
    #[must_use]
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    async fn fetch_due(&self, due: &mut BTreeMap<CrlUrl, Instant>) {
        let snapshot = self.shared.snapshot.load_full();
        let users = users(&snapshot);
        due.retain(|url, _| users.contains_key(url));
        let settings = &snapshot.config.crl_fetch;
        for (url, bundles) in users {
            let now = Instant::now();
            if due.get(&url).is_some_and(|due| *due > now) {
                continue;
            }
            let result = fetch(&url, &bundles, settings).await;
            let next = if result.is_ok() {
                settings.every
            } else {
                settings.every.min(RETRY)
            };
            due.insert(url.clone(), Instant::now() + next);
            self.tell(&url, result);
        }
    }

    fn tell(&self, url: &CrlUrl, result: Result<bool, NotTaken>) {
        let metrics = &self.shared.metrics.crl;
        let word = match &result {
            Ok(true) => "new",
            Ok(false) => "unchanged",
            Err(NotTaken::Fetch(_)) => "failed",
            Err(NotTaken::List(_)) => "refused",
            Err(NotTaken::Keep { .. }) => "not_kept",
        };
        metrics
            .fetches
            .with_label_values(&[url.as_str(), word])
            .inc();
        match result {
            Ok(is_new) => {
                let seconds = SystemTime::now().duration_since(UNIX_EPOCH);
                metrics
                    .fetched
                    .with_label_values(&[url.as_str()])
                    .set(seconds.unwrap_or_default().as_secs_f64());
                if is_new {
                    info!("a new revocation list came from {url}");
                }
            }
            Err(why) => warn!("no revocation list from {url}: {why}"),
        }
    }

    /// How many lists of each listener are past their end, or do not count.
    fn look_at_lists(&self) {
        let snapshot = self.shared.snapshot.load();
        let now = unix_seconds();
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let metrics = &self.shared.metrics.crl;
        let tell = |name: &str, lists: &[&RevocationIndex]| {
            let overdue = lists.iter().map(|lists| lists.stale(now).count()).sum();
            let ignored = lists.iter().map(|lists| lists.ignored().len()).sum();
            metrics
                .overdue
                .with_label_values(&[name])
                .set(number(overdue));
            metrics
                .ignored
                .with_label_values(&[name])
                .set(number(ignored));
        };
        for (listener, state) in snapshot.config.listeners.iter().zip(&snapshot.listeners) {
            let groups = state.groups.iter();
            let lists: Vec<_> = groups.map(|group| &*group.revocation).collect();
            tell(listener.name.as_str(), &lists);
        }
        for application in &snapshot.applications {
            if let Some(trust) = &application.upstream_trust {
                tell(&trust.name, &[&*trust.revocation]);
            }
        }
    }
}

#[async_trait]
impl BackgroundService for Fetcher {
    async fn start(&self, mut shutdown: ShutdownWatch) {
        let mut due = BTreeMap::new();
        loop {
            self.look_at_lists();
            let round = async {
                self.fetch_due(&mut due).await;
                tokio::time::sleep(LOOK_EVERY).await;
            };
            tokio::select! {
                () = round => {}
                _ = shutdown.wait_for(|stopping| *stopping) => return,
            }
        }
    }
}

/// Where the list of a URL is kept.
#[must_use]
pub fn cached(settings: &CrlFetch, url: &CrlUrl) -> PathBuf {
    let digest = ring::digest::digest(&ring::digest::SHA256, url.as_str().as_bytes());
    let name: String = digest
        .as_ref()
        .iter()
        .take(NAME_BYTES)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    settings.folder.join(format!("{name}.crl"))
}

/// Each URL with the authorities of those who use it: all of them must take the list, or none could load it.
fn users(snapshot: &Snapshot) -> BTreeMap<CrlUrl, Vec<Arc<TrustBundle>>> {
    let mut users: BTreeMap<CrlUrl, Vec<Arc<TrustBundle>>> = BTreeMap::new();
    let groups = snapshot
        .listeners
        .iter()
        .flat_map(|listener| &listener.groups);
    for group in groups {
        for url in &group.trust.crl_urls {
            users
                .entry(url.clone())
                .or_default()
                .push(Arc::clone(&group.bundle));
        }
    }
    let upstreams = snapshot
        .applications
        .iter()
        .filter_map(|application| application.upstream_trust.as_ref());
    for trust in upstreams {
        for url in &trust.crl_urls {
            users
                .entry(url.clone())
                .or_default()
                .push(Arc::clone(&trust.bundle));
        }
    }
    users
}

/// Fetches one list; whether it is another than the one that is kept.
async fn fetch(
    url: &CrlUrl,
    bundles: &[Arc<TrustBundle>],
    settings: &CrlFetch,
) -> Result<bool, NotTaken> {
    let path = cached(settings, url);
    let kept = fs::read(&path).ok();
    let known = kept.as_ref().map(|_| known(&path)).unwrap_or_default();
    let fetched = get(url, &known, settings.size_max.as_usize(), settings.timeout).await?;
    let (bytes, validators) = match fetched {
        Fetched::Unchanged => return Ok(false),
        Fetched::New(bytes, _) if kept.as_ref() == Some(&bytes) => return Ok(false),
        Fetched::New(bytes, validators) => (bytes, validators),
    };
    let (url, bundles) = (url.clone(), bundles.to_vec());
    let verified = tokio::task::spawn_blocking(move || {
        let result = verify(&url, &bytes, kept.as_deref(), &bundles);
        result.map(|()| bytes)
    });
    // A panic while a list is read refuses the list.
    let bytes = match verified.await {
        Ok(result) => result.map_err(NotTaken::List)?,
        Err(_) => return Ok(false),
    };
    keep(&path, &bytes, &validators).map_err(|source| NotTaken::Keep { path, source })?;
    Ok(true)
}

/// The list is good for everybody who uses it, and does not go back behind the one that is kept.
fn verify(
    url: &CrlUrl,
    bytes: &[u8],
    kept: Option<&[u8]>,
    bundles: &[Arc<TrustBundle>],
) -> Result<(), CrlError> {
    let now = unix_seconds();
    let first = |mut problems: Vec<CrlError>| problems.swap_remove(0);
    for bundle in bundles {
        let list = RevocationIndex::load(&[(url.as_str(), bytes)], bundle, now).map_err(first)?;
        let before = kept.and_then(|kept| {
            RevocationIndex::load_keeping(
                &[(url.as_str(), kept)],
                bundle,
                &Grace::NONE,
                now,
                &|_| true,
            )
            .ok()
        });
        if let Some(before) = before {
            list.check_follows(&before).map_err(first)?;
        }
    }
    Ok(())
}

/// Writes the list and what to ask with next time, so that a crash leaves the old one or the new one.
fn keep(path: &Path, bytes: &[u8], validators: &Validators) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    // Without validators first: an old one must never stand beside a new list.
    match fs::remove_file(beside(path)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    write(path, bytes)?;
    let lines = [&validators.etag, &validators.last_modified]
        .map(|value| value.clone().unwrap_or_default());
    write(&beside(path), lines.join("\n").as_bytes())
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)
}

fn known(path: &Path) -> Validators {
    let text = fs::read_to_string(beside(path)).unwrap_or_default();
    let mut lines = text
        .lines()
        .map(|line| (!line.is_empty()).then(|| line.to_owned()));
    Validators {
        etag: lines.next().flatten(),
        last_modified: lines.next().flatten(),
    }
}

fn beside(path: &Path) -> PathBuf {
    path.with_extension("http")
}

fn unix_seconds() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// How often it is looked what is due.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// After a failure, unless lists are fetched more often anyway.
const RETRY: Duration = Duration::from_secs(60);
/// Bytes of the hash of a URL that name its file.
const NAME_BYTES: usize = 16;
