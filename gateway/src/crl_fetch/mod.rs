//! Revocation lists from where their authorities publish them.
//!
//! A list is fetched beside the requests, never for one: from the URLs of the configuration, and from what certificates of trusted
//! authorities name at hosts of the configuration, so that no client decides whom we connect to. It is verified before it is kept, and kept as a file among the others: the reload that
//! sees a changed file takes it, and a restart without a network has it. Metrics tell what did not come.

use std::collections::{BTreeMap, BTreeSet, HashMap};
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
use tokio::task::{Id, JoinError, JoinSet, spawn_blocking};
use tracing::{info, warn};

use self::http::{FetchError, Fetched, Validators, get};
use crate::config::{CrlFetch, CrlUrl};
use crate::shared::Shared;
use crate::snapshot::{Snapshot, TrustGroup};

mod copies;
mod http;
mod points;

pub use copies::{Copy, ListFile, copies};
pub use points::{Points, folder_of as points_folder, kept_points};

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
    #[error("it broke the code that reads it")]
    Broken,
}

/// Whether a list is another than the one that is kept.
type Outcome = Result<bool, NotTaken>;

/// The fetches under way.
#[derive(Debug, Default)]
struct Fetches {
    tasks: JoinSet<Outcome>,
    of: HashMap<Id, CrlUrl>,
    /// When the next one of a URL is due; at once for those that are not here.
    due: BTreeMap<CrlUrl, Instant>,
    /// The generation whose authorities were asked for their distribution points.
    asked: u64,
    /// The generation whose files were copied last, and when that was.
    copied: Option<(u64, Instant)>,
}

/// Who takes the list of a URL.
#[derive(Debug, Default)]
struct Users {
    /// Those whose configuration names it: all of them must take the list, or none could load it.
    named: Vec<Arc<TrustBundle>>,
    /// Those who follow it as a distribution point: it is some authority's of theirs, or nobody's.
    following: Vec<Arc<TrustBundle>>,
}

impl Fetcher {
    /// Fetches for whatever generation serves.
    #[must_use]
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Begins the fetches that are due; a publisher that does not answer keeps those of others waiting for nothing.
    fn begin_due(&self, fetches: &mut Fetches) {
        let snapshot = self.shared.snapshot.load_full();
        if fetches.asked != snapshot.generation {
            fetches.asked = snapshot.generation;
            self.ask_authorities(&snapshot);
        }
        let users = users(&snapshot, &self.shared.points.known());
        fetches.due.retain(|url, _| users.contains_key(url));
        let now = Instant::now();
        for (url, takers) in users {
            let is_due = fetches.due.get(&url).is_none_or(|due| *due <= now);
            if !is_due || fetches.of.values().any(|under_way| *under_way == url) {
                continue;
            }
            if fetches.of.len() >= FETCHES_MAX {
                return;
            }
            let settings = snapshot.config.crl_fetch.clone();
            let asked = url.clone();
            let task = async move { fetch(&asked, takers, &settings).await };
            let id = fetches.tasks.spawn(task).id();
            fetches.of.insert(id, url);
        }
    }

    /// Notes what came of a fetch, and when the next one is due.
    fn end_one(&self, fetches: &mut Fetches, ended: Result<(Id, Outcome), JoinError>) {
        let (id, result) = match ended {
            Ok((id, result)) => (id, result),
            Err(panic) => (panic.id(), Err(NotTaken::Broken)),
        };
        let Some(url) = fetches.of.remove(&id) else {
            return;
        };
        let every = self.shared.snapshot.load().config.crl_fetch.every;
        let next = if result.is_ok() {
            every
        } else {
            every.min(RETRY)
        };
        fetches.due.insert(url.clone(), Instant::now() + next);
        self.tell(&url, result);
    }

    /// Learns where the lists are published that cover the intermediates of the configuration themselves.
    fn ask_authorities(&self, snapshot: &Snapshot) {
        for group in groups(snapshot) {
            let named = group.bundle.distribution_points();
            let hosts = &group.trust.crl_hosts;
            self.shared
                .points
                .learn(&named, hosts, &self.shared.metrics.crl);
        }
    }

    fn tell(&self, url: &CrlUrl, result: Outcome) {
        let metrics = &self.shared.metrics.crl;
        // What only certificates name is told by its host, which the configuration names.
        let is_named = users(&self.shared.snapshot.load(), &BTreeSet::new()).contains_key(url);
        let server = url.server();
        let label = if is_named {
            url.as_str()
        } else {
            server.as_str()
        };
        let word = match &result {
            Ok(true) => "new",
            Ok(false) => "unchanged",
            Err(NotTaken::Fetch(_)) => "failed",
            Err(NotTaken::List(_) | NotTaken::Broken) => "refused",
            Err(NotTaken::Keep { .. }) => "not_kept",
        };
        metrics.fetches.with_label_values(&[label, word]).inc();
        match result {
            Ok(is_new) => {
                let seconds = SystemTime::now().duration_since(UNIX_EPOCH);
                metrics
                    .fetched
                    .with_label_values(&[label])
                    .set(seconds.unwrap_or_default().as_secs_f64());
                if is_new {
                    info!("a new revocation list came from {url}");
                }
            }
            Err(why) => warn!("no revocation list from {url}: {why}"),
        }
    }

    /// Copies the lists that may get lost, of each generation and once a minute, beside the services that share this thread.
    fn keep_copies(&self, fetches: &mut Fetches) {
        let snapshot = self.shared.snapshot.load_full();
        let is_done = fetches.copied.is_some_and(|(generation, at)| {
            generation == snapshot.generation && at.elapsed() < COPY_EVERY
        });
        if is_done {
            return;
        }
        fetches.copied = Some((snapshot.generation, Instant::now()));
        // Nobody waits for it: what fails is logged there and tried again.
        drop(spawn_blocking(move || {
            copies::keep(&snapshot.config.crl_fetch, &snapshot.list_files);
        }));
    }

    /// How many lists of each listener are past their end, or do not count.
    fn look_at_lists(&self) {
        let snapshot = self.shared.snapshot.load();
        let now = unix_seconds();
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let metrics = &self.shared.metrics.crl;
        metrics.points.set(number(self.shared.points.known().len()));
        let tell = |name: &str, lists: &[&RevocationIndex]| {
            let overdue = lists.iter().map(|lists| lists.stale(now).count()).sum();
            let missing = lists.iter().map(|lists| lists.missing().count()).sum();
            let ignored = lists.iter().map(|lists| lists.ignored().len()).sum();
            metrics
                .overdue
                .with_label_values(&[name])
                .set(number(overdue));
            metrics
                .missing
                .with_label_values(&[name])
                .set(number(missing));
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
        if let Some(control) = &snapshot.control {
            tell("control", &[&*control.revocation]);
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
        let mut fetches = Fetches::default();
        loop {
            self.look_at_lists();
            self.keep_copies(&mut fetches);
            self.begin_due(&mut fetches);
            tokio::select! {
                Some(ended) = fetches.tasks.join_next_with_id() => self.end_one(&mut fetches, ended),
                () = tokio::time::sleep(LOOK_EVERY) => {}
                _ = shutdown.wait_for(|stopping| *stopping) => return,
            }
        }
    }
}

/// Where the list of a URL is kept.
#[must_use]
pub fn cached(settings: &CrlFetch, url: &CrlUrl) -> PathBuf {
    settings.folder.join(name_of(url))
}

fn name_of(url: &CrlUrl) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, url.as_str().as_bytes());
    let name = hex(digest.as_ref().get(..NAME_BYTES).unwrap_or_default());
    format!("{name}.crl")
}

fn groups(snapshot: &Snapshot) -> impl Iterator<Item = &TrustGroup> {
    let listeners = snapshot.listeners.iter();
    listeners.flat_map(|listener| &listener.groups)
}

/// Each URL with the authorities of those who use it.
fn users(snapshot: &Snapshot, points: &BTreeSet<CrlUrl>) -> BTreeMap<CrlUrl, Users> {
    let mut users: BTreeMap<CrlUrl, Users> = BTreeMap::new();
    for group in groups(snapshot) {
        for url in &group.trust.crl_urls {
            let own = users.entry(url.clone()).or_default();
            own.named.push(Arc::clone(&group.bundle));
        }
        let follows = |url: &&CrlUrl| group.trust.crl_hosts.iter().any(|host| host.serves(url));
        for url in points.iter().filter(follows) {
            let own = users.entry(url.clone()).or_default();
            own.following.push(Arc::clone(&group.bundle));
        }
    }
    let upstreams = snapshot
        .applications
        .iter()
        .filter_map(|application| application.upstream_trust.as_ref());
    for trust in upstreams {
        for url in &trust.crl_urls {
            let own = users.entry(url.clone()).or_default();
            own.named.push(Arc::clone(&trust.bundle));
        }
    }
    users
}

/// Fetches one list; whether it is another than the one that is kept. Large files are read and judged beside the services that share
/// this thread.
async fn fetch(url: &CrlUrl, users: Users, settings: &CrlFetch) -> Outcome {
    let (path, source) = if users.named.is_empty() {
        (points::kept_at(settings, url), url.as_str().to_owned())
    } else {
        (cached(settings, url), String::new())
    };
    let place = path.clone();
    let kept = spawn_blocking(move || Kept::read(&place)).await;
    let kept = kept.unwrap_or_default();
    let fetched = get(
        url,
        &kept.validators,
        settings.size_max.as_usize(),
        settings.timeout,
    )
    .await?;
    let (bytes, validators) = match fetched {
        Fetched::Unchanged => return Ok(false),
        Fetched::New(bytes, validators) => (bytes, validators),
    };
    let url = url.clone();
    let taken = spawn_blocking(move || {
        if kept.list.as_ref() == Some(&bytes) {
            return Ok(false);
        }
        users
            .verify(&url, &bytes, kept.list.as_deref())
            .map_err(NotTaken::List)?;
        keep(&path, &bytes, &validators, &source)
            .map_err(|source| NotTaken::Keep { path, source })?;
        Ok(true)
    });
    // A panic while a list is read refuses the list.
    taken.await.unwrap_or(Err(NotTaken::Broken))
}

impl Users {
    /// The list is good for everybody who must take it, and for somebody, and does not go back behind the one that is kept.
    fn verify(&self, url: &CrlUrl, bytes: &[u8], kept: Option<&[u8]>) -> Result<(), CrlError> {
        for bundle in &self.named {
            verify(url, bytes, kept, bundle)?;
        }
        let mut refused = None;
        let mut is_taken = !self.named.is_empty();
        for bundle in &self.following {
            match verify(url, bytes, kept, bundle) {
                Ok(()) => is_taken = true,
                Err(why) => refused = Some(why),
            }
        }
        match refused {
            Some(why) if !is_taken => Err(why),
            Some(_) | None => Ok(()),
        }
    }
}

fn verify(
    url: &CrlUrl,
    bytes: &[u8],
    kept: Option<&[u8]>,
    bundle: &TrustBundle,
) -> Result<(), CrlError> {
    let now = unix_seconds();
    let first = |mut problems: Vec<CrlError>| problems.swap_remove(0);
    let list = RevocationIndex::load(&[(url.as_str(), bytes)], bundle, now).map_err(first)?;
    let before = kept.and_then(|kept| {
        let kept = [(url.as_str(), kept)];
        RevocationIndex::load_keeping(&kept, bundle, &Grace::NONE, now, &|_| true).ok()
    });
    match before {
        Some(before) => list.check_follows(&before).map_err(first),
        None => Ok(()),
    }
}

/// Writes the list and what to ask with next time, so that a crash leaves the old one or the new one.
fn keep(path: &Path, bytes: &[u8], validators: &Validators, source: &str) -> io::Result<()> {
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
    let [etag, last_modified] = [&validators.etag, &validators.last_modified]
        .map(|value| value.clone().unwrap_or_default());
    let lines = format!("{etag}\n{last_modified}\n{}\n{source}", sha256(bytes));
    write(&beside(path), lines.as_bytes())
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

/// A list that is kept, and what to ask with for a newer one.
#[derive(Debug, Default)]
struct Kept {
    list: Option<Vec<u8>>,
    validators: Validators,
}

impl Kept {
    /// Without validators where the list is not the one that they came with: its publisher would say for ever that nothing is new.
    fn read(path: &Path) -> Self {
        let list = fs::read(path).ok();
        let text = fs::read_to_string(beside(path)).unwrap_or_default();
        let mut lines = text
            .lines()
            .map(|line| (!line.is_empty()).then(|| line.to_owned()));
        let validators = Validators {
            etag: lines.next().flatten(),
            last_modified: lines.next().flatten(),
        };
        let digest = lines.next().flatten();
        let is_whole = digest.is_some() && digest == list.as_deref().map(sha256);
        Self {
            validators: if is_whole {
                validators
            } else {
                Validators::default()
            },
            list,
        }
    }
}

fn sha256(bytes: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    hex(digest.as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
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
/// How often it is noted that the files of lists are still there: by as much a grace may be shorter.
const COPY_EVERY: Duration = Duration::from_secs(60);
/// Fetches under way at once.
const FETCHES_MAX: usize = 16;
/// Bytes of the hash of a URL that name its file.
const NAME_BYTES: usize = 16;
