//! A new generation while the old one serves: on SIGHUP, or when a file of the configuration has changed.
//!
//! All of it is loaded and checked first. A bad file never replaces a good one: the last good generation serves on, the metric
//! `hangu_config_last_reload_successful` falls to 0, and the audit log says so.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use hangu_audit::Kind;
use pingora::server::ShutdownWatch;
use pingora::services::background::BackgroundService;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{error, info, warn};

use crate::config::{self, Config, CrlUrl};
use crate::crl_fetch::{cached, kept_points, points_folder};
use crate::observe::metrics::Metrics;
use crate::shared::Shared;
use crate::snapshot::{Expiry, LoadError, Snapshot, build, lists_at, remember};

/// Loads a configuration file and builds a generation from it.
///
/// # Errors
/// Everything that is wrong, with the configuration or what it names.
pub fn load(
    file: &Path,
    before: Option<&Snapshot>,
    metrics: &Metrics,
) -> Result<Snapshot, Vec<LoadError>> {
    let config = config::load(file).map_err(|errors| {
        errors
            .problems()
            .iter()
            .cloned()
            .map(LoadError::Config)
            .collect::<Vec<_>>()
    })?;
    if let Some(before) = before {
        check_fixed(&before.config, &config)?;
    }
    let generation = before.map_or(1, |before| before.generation + 1);
    build(config, generation, before, metrics, unix_seconds())
}

/// Tells the metrics of a generation that begins to serve, and forgets what only `before` had.
pub fn announce(snapshot: &Snapshot, before: Option<&Snapshot>, metrics: &Metrics) {
    let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    metrics.config_generation.set(number(snapshot.generation));
    metrics.policy.serves(snapshot, before, unix_seconds());
    if let Some(before) = before {
        for expiry in before
            .expiries
            .iter()
            .filter(|old| !snapshot.expiries.iter().any(|new| new.is_of(old)))
        {
            // What is no longer there fails to be removed twice, which is as good.
            drop(match expiry.kind {
                "shadow" => metrics
                    .policy
                    .shadow_expires
                    .remove_label_values(&[expiry.name.as_str()]),
                "bundle" => metrics
                    .policy
                    .not_after
                    .remove_label_values(&[expiry.name.as_str()]),
                "crl" => metrics
                    .crl_next_update
                    .remove_label_values(&[expiry.listener.as_str(), expiry.name.as_str()]),
                kind => metrics
                    .cert_not_after
                    .remove_label_values(&[kind, expiry.name.as_str()]),
            });
        }
    }
    let mut told: Vec<&Expiry> = Vec::new();
    for expiry in &snapshot.expiries {
        #[expect(
            clippy::cast_precision_loss,
            reason = "seconds since 1970 fit a double until the year 285,000,000"
        )]
        let at = expiry.at as f64;
        let gauge = match expiry.kind {
            "shadow" => metrics
                .policy
                .shadow_expires
                .with_label_values(&[expiry.name.as_str()]),
            "bundle" => metrics
                .policy
                .not_after
                .with_label_values(&[expiry.name.as_str()]),
            "crl" => metrics
                .crl_next_update
                .with_label_values(&[expiry.listener.as_str(), expiry.name.as_str()]),
            kind => metrics
                .cert_not_after
                .with_label_values(&[kind, expiry.name.as_str()]),
        };
        // Several certificates in one file: the first to end counts.
        if at < gauge.get() || !told.iter().any(|other| other.is_of(expiry)) {
            gauge.set(at);
        }
        told.push(expiry);
    }
    if snapshot.policy.rule_count() == 0 {
        warn!("the policy has no rule: every request is refused");
    }
}

/// The service that reloads.
#[derive(Debug)]
pub struct Reloader {
    shared: Arc<Shared>,
    file: PathBuf,
    reopen_access_log: Arc<std::sync::atomic::AtomicBool>,
    /// The files before any service runs: what another one changes before this one looks is a change too.
    first: Seen,
}

impl Reloader {
    /// Watches `file` and what it names. `reopen_access_log` is set on SIGUSR1.
    #[must_use]
    pub fn new(
        shared: Arc<Shared>,
        file: PathBuf,
        reopen_access_log: Arc<std::sync::atomic::AtomicBool>,
    ) -> Self {
        let first = Seen::of(files_of(&shared.snapshot.load().config, &file));
        Self {
            shared,
            file,
            reopen_access_log,
            first,
        }
    }

    /// `published`: when what is to be loaded came into the world.
    fn reload(&self, why: &str, published: Instant) {
        let metrics = &self.shared.metrics;
        #[expect(
            clippy::cast_precision_loss,
            reason = "seconds since 1970 fit a double until the year 285,000,000"
        )]
        metrics.config_last_reload.set(unix_seconds() as f64);
        let before = self.shared.snapshot.load_full();
        let loaded = load(&self.file, Some(&before), metrics).and_then(|snapshot| {
            remember(&snapshot, metrics)?;
            Ok(snapshot)
        });
        match loaded {
            Ok(mut snapshot) => {
                snapshot.published = published;
                let generation = snapshot.generation;
                let snapshot = Arc::new(snapshot);
                self.shared.snapshot.store(Arc::clone(&snapshot));
                self.shared.live.look_now();
                snapshot.hits.settle();
                let server = snapshot.config.limits.shared.as_ref();
                let limits = &self.shared.limits;
                limits.shared.apply(server, &metrics.limits.shared);
                announce(&snapshot, Some(&before), metrics);
                metrics.config_last_reload_successful.set(1);
                metrics.config_reloads.with_label_values(&["taken"]).inc();
                info!("generation {generation} serves ({why})");
                self.shared.trail.note_event(
                    Kind::Reload,
                    format!(
                        "generation {generation} taken: {why}{}",
                        snapshot.pseudonym_key()
                    ),
                );
            }
            Err(problems) => {
                metrics.config_last_reload_successful.set(0);
                metrics.config_reloads.with_label_values(&["refused"]).inc();
                for problem in &problems {
                    error!("{problem}");
                }
                error!(
                    "reload refused, generation {} serves on ({why})",
                    before.generation
                );
                let first = problems
                    .first()
                    .map(ToString::to_string)
                    .unwrap_or_default();
                let detail = format!(
                    "refused, generation {} serves on: {first}",
                    before.generation
                );
                self.shared.trail.note_event(Kind::Reload, detail);
            }
        }
    }

    fn seen(&self) -> Seen {
        let snapshot = self.shared.snapshot.load();
        Seen::of(files_of(&snapshot.config, &self.file))
    }

    /// Says of a trial that has ended, once for each generation, that it has.
    fn tell_expired(&self, told: &mut u64) {
        let snapshot = self.shared.snapshot.load();
        let shadow = snapshot.shadow.as_ref();
        if *told != snapshot.generation
            && let Some(what) = shadow.and_then(|shadow| shadow.expired(unix_seconds()))
        {
            *told = snapshot.generation;
            warn!("{what}");
            self.shared.trail.note_event(Kind::Reload, what);
        }
    }

    async fn watch(&self, mut hangup: Signal, mut reopen: Signal, mut shutdown: ShutdownWatch) {
        let mut last = self.first.clone();
        let mut told_expired = 0;
        let mut changed = None;
        let mut looked = Instant::now();
        loop {
            tokio::select! {
                _ = hangup.recv() => {
                    let before = self.seen();
                    self.reload("SIGHUP", changed.unwrap_or_else(Instant::now));
                    last = self.seen().with_known(&before);
                    changed = None;
                }
                _ = reopen.recv() => self.reopen_access_log.store(true, std::sync::atomic::Ordering::Relaxed),
                () = tokio::time::sleep(WATCH_EVERY) => {
                    self.shared.snapshot.load().hits.settle();
                    self.tell_expired(&mut told_expired);
                    let now = self.seen();
                    // A change is taken once it is over: files that belong together arrive one by one.
                    if now == last {
                        if let Some(published) = changed.take() {
                            self.reload("a file has changed", published);
                            last = self.seen().with_known(&now);
                        }
                    } else {
                        let published = now.published_since(&last, looked);
                        changed.get_or_insert(published);
                        last = now;
                    }
                    looked = Instant::now();
                }
                _ = shutdown.wait_for(|stopping| *stopping) => return,
            }
        }
    }
}

#[async_trait]
impl BackgroundService for Reloader {
    async fn start(&self, shutdown: ShutdownWatch) {
        match (
            signal(SignalKind::hangup()),
            signal(SignalKind::user_defined1()),
        ) {
            (Ok(hangup), Ok(reopen)) => self.watch(hangup, reopen, shutdown).await,
            (Err(error), _) | (_, Err(error)) => {
                error!("cannot listen for SIGHUP and SIGUSR1: {error}")
            }
        }
    }
}

/// What cannot change without a restart or an upgrade: sockets, threads and the audit folder belong to the process.
fn check_fixed(before: &Config, after: &Config) -> Result<(), Vec<LoadError>> {
    let sockets = |config: &Config| -> Vec<_> {
        config
            .listeners
            .iter()
            .map(|listener| (listener.name.clone(), listener.address))
            .collect()
    };
    let mut fixed = Vec::new();
    let mut differs = |differs: bool, what: &str| {
        if differs {
            fixed.push(LoadError::Fixed {
                file: after.file.clone(),
                what: what.into(),
            });
        }
    };
    differs(
        sockets(before) != sockets(after),
        "the names, addresses and order of `[[listeners]]`",
    );
    differs(
        before.server.threads != after.server.threads,
        "`server.threads`",
    );
    differs(
        before.server.run_dir != after.server.run_dir,
        "`server.run_dir`",
    );
    differs(before.server.drain != after.server.drain, "`server.drain`");
    differs(before.audit != after.audit, "`[audit]`");
    differs(before.access_log != after.access_log, "`[access_log]`");
    differs(before.admin != after.admin, "`[admin]`");
    differs(
        (&before.control.socket, &before.control.revocations)
            != (&after.control.socket, &after.control.revocations),
        "`control.socket` and `control.revocations`",
    );
    let remote = |config: &Config| {
        let remote = config.control.remote.as_ref();
        remote.map(|remote| remote.address)
    };
    differs(
        remote(before) != remote(after),
        "`control.remote.address`, and whether there is one",
    );
    if fixed.is_empty() { Ok(()) } else { Err(fixed) }
}

/// Every file that a reload reads.
pub(crate) fn files_of(config: &Config, file: &Path) -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::from([file.to_owned()]);
    files.extend(config.policy.source.files().map(Path::to_owned));
    let shadow = config.policy.shadow.iter();
    files.extend(
        shadow
            .flat_map(|shadow| shadow.source.files())
            .map(Path::to_owned),
    );
    files.extend(config.identity.directory.clone());
    files.extend(config.pseudonyms.iter().map(|own| own.key.clone()));
    files.extend(
        config
            .retention
            .archive
            .iter()
            .flat_map(config::Archive::files)
            .cloned(),
    );
    files.extend(config.sinks.iter().flat_map(config::Sink::files).cloned());
    if let Some(remote) = &config.control.remote {
        let own = [&remote.certificate, &remote.key, &remote.client_ca];
        files.extend(own.map(Clone::clone));
        add_lists(&mut files, config, &remote.crls, &[]);
    }
    for listener in &config.listeners {
        for own in &listener.certificates {
            files.extend([&own.chain, &own.key, &own.trust.client_ca].map(Clone::clone));
            files.extend(own.trust.intermediates.clone());
            if !own.trust.crl_hosts.is_empty() {
                files.insert(points_folder(&config.crl_fetch));
                let kept = kept_points(&config.crl_fetch);
                files.extend(kept.into_iter().map(|(_, path)| path));
            }
            add_lists(&mut files, config, &own.trust.crls, &own.trust.crl_urls);
        }
    }
    for tls in config
        .applications
        .iter()
        .filter_map(|application| application.upstream_tls.as_ref())
    {
        files.insert(tls.ca.clone());
        files.extend(tls.intermediates.clone());
        add_lists(&mut files, config, &tls.crls, &tls.crl_urls);
        files.extend(
            tls.client
                .iter()
                .flat_map(|own| [own.chain.clone(), own.key.clone()]),
        );
    }
    files
}

fn add_lists(files: &mut BTreeSet<PathBuf>, config: &Config, lists: &[PathBuf], urls: &[CrlUrl]) {
    for list in lists {
        // The folder too: what comes and goes in it changes its time.
        files.insert(list.clone());
        files.extend(lists_at(list).unwrap_or_default());
    }
    files.extend(urls.iter().map(|url| cached(&config.crl_fetch, url)));
}

/// What `stat` says of the files: cheap enough for each second, sees a swapped symbolic link, and works where events of the
/// kernel do not come (network file systems, mounted secrets).
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen(BTreeMap<PathBuf, Option<FileState>>);

/// Of one file.
#[derive(Clone, Copy, Debug)]
struct FileState {
    /// Inode, bytes, and the time of the last change of the content, in seconds and nanoseconds.
    content: (u64, u64, i64, i64),
    /// When anything of it changed last, its name included. It says when, not whether: a new link to it changes this too.
    touched: SystemTime,
}

impl PartialEq for FileState {
    fn eq(&self, other: &Self) -> bool {
        self.content == other.content
    }
}

impl Eq for FileState {}

impl Seen {
    fn of(files: BTreeSet<PathBuf>) -> Self {
        let state = |file: &Path| {
            let meta = std::fs::metadata(file).ok()?;
            let seconds = Duration::from_secs(u64::try_from(meta.ctime()).unwrap_or(0));
            let rest = Duration::from_nanos(u64::try_from(meta.ctime_nsec()).unwrap_or(0));
            Some(FileState {
                content: (meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec()),
                touched: UNIX_EPOCH + seconds + rest,
            })
        };
        let seen = files.into_iter().map(|file| {
            let state = state(&file);
            (file, state)
        });
        Self(seen.collect())
    }

    /// When the first of what differs from `before` came into the world. The file system's clock is believed within the time since
    /// `looked`, when it was not there yet; whatever it says beyond is nonsense, and the longest time is taken.
    fn published_since(&self, before: &Seen, looked: Instant) -> Instant {
        let (now, wall) = (Instant::now(), SystemTime::now());
        let differing = self
            .0
            .iter()
            .filter(|(file, state)| before.0.get(*file) != Some(*state));
        let age = |state: &Option<FileState>| wall.duration_since((*state)?.touched).ok();
        differing
            .map(|(_, state)| age(state).and_then(|age| now.checked_sub(age)))
            .map(|published| published.filter(|at| *at > looked).unwrap_or(looked))
            .min()
            .unwrap_or(looked)
    }

    /// These files, as they were before a reload read them: what changed meanwhile still counts as changed.
    fn with_known(mut self, before: &Seen) -> Self {
        for (file, state) in &mut self.0 {
            if let Some(known) = before.0.get(file) {
                *state = *known;
            }
        }
        self
    }
}

pub(crate) fn unix_seconds() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// How often the files are looked at. A change is taken at the second look that finds it unchanged.
const WATCH_EVERY: Duration = Duration::from_millis(100);
