//! Connections to the server: made again by themselves, given up together when one fails.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use hangu_limits::Rate;
use redis::aio::MultiplexedConnection;
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::sentinel::{SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisError,
    RedisResult, TlsCertificates,
};
use tokio::sync::Notify;
use tokio::time::timeout;
use tracing::{info, warn};

use super::Unavailable;
use super::script::{Answer, Gcra};
use crate::config::{SharedKind, SharedLimits};
use crate::layers::network::limits::counts::{RateCount, SharedCount};
use crate::observe::limits::SharedMetrics;

/// Speaks to one server, or to one group of servers, until it is dropped.
#[derive(Debug)]
pub(super) struct Client(Arc<Inner>);

struct Inner {
    settings: SharedLimits,
    script: Gcra,
    /// Empty while no server answers.
    links: ArcSwap<Vec<Link>>,
    turn: AtomicUsize,
    /// Failures in a row.
    failures: AtomicU32,
    broken: Notify,
    stopped: AtomicBool,
    stop: Notify,
    metrics: SharedMetrics,
}

#[derive(Clone)]
enum Link {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inner")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Begins to connect, on a thread of its own; `None` when the system gives none, which the log tells.
    pub(super) fn start(settings: SharedLimits, metrics: SharedMetrics) -> Option<Self> {
        metrics.up.set(0);
        let inner = Arc::new(Inner {
            settings,
            script: Gcra::new(),
            links: ArcSwap::default(),
            turn: AtomicUsize::new(0),
            failures: AtomicU32::new(0),
            broken: Notify::new(),
            stopped: AtomicBool::new(false),
            stop: Notify::new(),
            metrics,
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let maintained = Arc::clone(&inner);
        let started = runtime.and_then(|runtime| {
            std::thread::Builder::new()
                .name("shared-limits".to_owned())
                .spawn(move || runtime.block_on(maintained.maintain()))
        });
        match started {
            Ok(_thread) => Some(Self(inner)),
            Err(error) => {
                warn!("shared limits: no thread for them, the fallback decides: {error}");
                None
            }
        }
    }

    pub(super) fn settings(&self) -> &SharedLimits {
        &self.0.settings
    }

    /// Asks for one request under all these limits, within the deadline.
    pub(super) async fn ask(
        &self,
        limits: &[(&RateCount, &SharedCount)],
    ) -> Result<Answer, Unavailable> {
        let inner = &self.0;
        let links = inner.links.load_full();
        let turn = inner.turn.fetch_add(1, Ordering::Relaxed);
        let place = turn.checked_rem(links.len()).ok_or(Unavailable)?;
        let mut link = links.get(place).ok_or(Unavailable)?.clone();
        let _timer = inner.metrics.seconds.start_timer();
        let asked = timeout(inner.settings.deadline, inner.ask(&mut link, limits)).await;
        match asked {
            Ok(Ok(answer)) => {
                if inner.failures.load(Ordering::Relaxed) != 0 {
                    inner.failures.store(0, Ordering::Relaxed);
                }
                Ok(answer)
            }
            Ok(Err(error)) => {
                inner.failed(&links, &error.to_string(), is_the_end(&error));
                Err(Unavailable)
            }
            Err(_) => {
                inner.failed(&links, "no answer within the deadline", AtOnce::No);
                Err(Unavailable)
            }
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.0.stopped.store(true, Ordering::Release);
        self.0.stop.notify_one();
    }
}

/// Whether a failure shows that the connection is gone.
#[derive(Clone, Copy, PartialEq, Eq)]
enum AtOnce {
    Yes,
    No,
}

fn is_the_end(error: &RedisError) -> AtOnce {
    if error.is_connection_dropped() || error.is_io_error() {
        AtOnce::Yes
    } else {
        AtOnce::No
    }
}

impl Inner {
    async fn ask(
        &self,
        link: &mut Link,
        limits: &[(&RateCount, &SharedCount)],
    ) -> RedisResult<Answer> {
        match link {
            Link::One(connection) => {
                let limits: Vec<_> = limits.iter().map(asked).collect();
                self.script.ask(connection, limits.into_iter()).await
            }
            Link::Cluster(connection) => {
                // The keys of one call must lie on one node: here each limit is asked by itself, in the order of the file.
                let mut nearest = Answer::Admit {
                    tightest: 0,
                    remaining: u64::MAX,
                };
                for (place, limit) in limits.iter().map(asked).enumerate() {
                    let answer = self.script.ask(connection, [limit].into_iter()).await?;
                    nearest = match (answer, nearest) {
                        (Answer::Refuse { wait, .. }, _) => {
                            let tightest = place;
                            return Ok(Answer::Refuse { tightest, wait });
                        }
                        (
                            Answer::Admit { remaining, .. },
                            Answer::Admit {
                                remaining: least, ..
                            },
                        ) if remaining < least => {
                            let tightest = place;
                            Answer::Admit {
                                tightest,
                                remaining,
                            }
                        }
                        (_, before) => before,
                    };
                }
                Ok(nearest)
            }
        }
    }

    /// A failure over these links; enough of them in a row, or one that is the end, and nobody uses them any more.
    fn failed(&self, links: &Arc<Vec<Link>>, why: &str, at_once: AtOnce) {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed) + 1;
        if at_once == AtOnce::No && failures < FAILURES_MAX {
            return;
        }
        let none = Arc::new(Vec::new());
        let before = self.links.compare_and_swap(links, none);
        if Arc::ptr_eq(&before, links) && !links.is_empty() {
            self.metrics.up.set(0);
            warn!("shared limits: the server is lost, the fallback decides: {why}");
            self.broken.notify_one();
        }
    }

    /// Connects, and again when the connections are lost, until the client is dropped.
    async fn maintain(self: Arc<Self>) {
        let mut is_told = false;
        while !self.stopped.load(Ordering::Acquire) {
            match timeout(CONNECT_ALL_TIMEOUT, self.connect()).await {
                Ok(Ok(links)) => {
                    self.failures.store(0, Ordering::Relaxed);
                    self.links.store(Arc::new(links));
                    self.metrics.up.set(1);
                    info!("shared limits: the server answers");
                    is_told = false;
                    tokio::select! {
                        () = self.broken.notified() => {}
                        () = self.stop.notified() => return,
                    }
                }
                failed => {
                    let why = match failed {
                        Ok(Err(error)) => error.to_string(),
                        _ => "no answer in time".to_owned(),
                    };
                    if !std::mem::replace(&mut is_told, true) {
                        warn!("shared limits: no server answers, the fallback decides: {why}");
                    }
                }
            }
            tokio::select! {
                () = tokio::time::sleep(RETRY) => {}
                () = self.stop.notified() => return,
            }
        }
    }

    async fn connect(&self) -> RedisResult<Vec<Link>> {
        let settings = &self.settings;
        let password = settings.password_file.as_deref().map(text).transpose()?;
        let tls = TlsCertificates {
            client_tls: None,
            root_cert: settings.ca.as_deref().map(std::fs::read).transpose()?,
        };
        let nodes = settings.urls.iter().map(|url| {
            let info = url.as_str().into_connection_info()?;
            Ok(self.with_credentials(info, password.as_deref()))
        });
        let nodes: Vec<ConnectionInfo> = nodes.collect::<RedisResult<_>>()?;
        let mut links = Vec::new();
        for _ in 0..settings.connections.get() {
            let link = match &settings.kind {
                SharedKind::Single => self.single(&nodes, tls.clone()).await?,
                SharedKind::Sentinel { service } => {
                    self.behind_sentinel(&nodes, service, tls.clone(), password.as_deref())
                        .await?
                }
                SharedKind::Cluster => self.cluster(&nodes, tls.clone()).await?,
            };
            links.push(link);
        }
        Ok(links)
    }

    fn with_credentials(&self, info: ConnectionInfo, password: Option<&str>) -> ConnectionInfo {
        let mut redis = info.redis_settings().clone().set_skip_set_lib_name();
        if let Some(user) = &self.settings.user {
            redis = redis.set_username(user);
        }
        if let Some(password) = password {
            redis = redis.set_password(password);
        }
        info.set_redis_settings(redis)
    }

    fn is_tls(&self) -> bool {
        let mut urls = self.settings.urls.iter();
        urls.any(|url| url.starts_with("rediss:"))
    }

    async fn single(&self, nodes: &[ConnectionInfo], tls: TlsCertificates) -> RedisResult<Link> {
        let mut last = None;
        for node in nodes {
            let client = if matches!(node.addr(), ConnectionAddr::TcpTls { .. }) {
                redis::Client::build_with_tls(node.clone(), tls.clone())?
            } else {
                redis::Client::open(node.clone())?
            };
            let config = AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT_TIMEOUT));
            match client
                .get_multiplexed_async_connection_with_config(&config)
                .await
            {
                Ok(connection) => return self.proven(connection).await,
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| std::io::Error::other("no server is named").into()))
    }

    async fn behind_sentinel(
        &self,
        sentinels: &[ConnectionInfo],
        service: &str,
        tls: TlsCertificates,
        password: Option<&str>,
    ) -> RedisResult<Link> {
        let addresses: Vec<_> = sentinels.iter().map(|node| node.addr().clone()).collect();
        let mut builder =
            SentinelClientBuilder::new(addresses, service, SentinelServerType::Master)?;
        if let Some(user) = &self.settings.user {
            builder = builder.set_client_to_redis_username(user);
        }
        if let Some(password) = password {
            builder = builder.set_client_to_redis_password(password);
        }
        if self.is_tls() {
            builder = builder
                .set_client_to_redis_tls_mode(redis::TlsMode::Secure)
                .set_client_to_sentinel_tls_mode(redis::TlsMode::Secure)
                .set_client_to_redis_certificates(tls.clone())
                .set_client_to_sentinel_certificates(tls);
        }
        let mut client = builder.build()?;
        self.proven(client.get_async_connection().await?).await
    }

    async fn cluster(&self, nodes: &[ConnectionInfo], tls: TlsCertificates) -> RedisResult<Link> {
        let mut builder = ClusterClientBuilder::new(nodes.to_vec())
            .retries(0)
            .connection_timeout(CONNECT_TIMEOUT)
            .response_timeout(CONNECT_TIMEOUT);
        if self.is_tls() {
            builder = builder.certs(tls);
        }
        let mut connection = builder.build()?.get_async_connection().await?;
        self.script.load(&mut connection).await?;
        Ok(Link::Cluster(connection))
    }

    /// A connection that has answered: a server that hangs takes connections all the same.
    async fn proven(&self, mut connection: MultiplexedConnection) -> RedisResult<Link> {
        self.script.load(&mut connection).await?;
        Ok(Link::One(connection))
    }
}

fn asked<'a>((rate, shared): &(&'a RateCount, &'a SharedCount)) -> (&'a str, &'a Rate) {
    (&shared.key, &rate.rule.rate)
}

fn text(file: &Path) -> std::io::Result<String> {
    Ok(std::fs::read_to_string(file)?.trim().to_owned())
}

/// Requests in a row without an answer in time, after which nobody waits any more.
const FAILURES_MAX: u32 = 3;
/// To connect, TLS and password included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// To make all connections.
const CONNECT_ALL_TIMEOUT: Duration = Duration::from_secs(5);
/// Between two tries to connect.
const RETRY: Duration = Duration::from_millis(200);
