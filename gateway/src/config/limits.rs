//! `[limits]` as it is meant.

use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::time::Duration;

pub use hangu_limits::Mode;

use crate::config::values::{Name, RoutePrefix};

/// All limits. No name stands twice among them, and none is called as one of the short forms that is in use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// The short form: the rate `identity` of each policy subject.
    pub identity: Option<ShortLimit>,
    /// The short form: the rate `source` of each client address, whoever speaks from there.
    pub source: Option<ShortLimit>,
    /// Handshakes of each client address.
    pub handshake: Option<ShortLimit>,
    /// Hours by which a day begins earlier than in UTC, -12 to 14: 8 in Beijing.
    pub utc_offset: i8,
    /// In the order of the file, as are all lists here.
    pub rates: Vec<RateLimit>,
    /// Of addresses and prefixes.
    pub sources: Vec<SourceLimit>,
    /// Of requests under way, and of open connections.
    pub concurrency: Vec<ConcurrencyLimit>,
    /// Of days.
    pub quotas: Vec<QuotaLimit>,
    /// Present when any rate is shared.
    pub shared: Option<SharedLimits>,
}

/// `[limits.shared]`: the server by which several gateways hold limits together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedLimits {
    /// `redis://` or `rediss://`, without user and password; at least one.
    pub urls: Vec<String>,
    /// What is at these URLs.
    pub kind: SharedKind,
    /// PEM bundle; `None`: the authorities of the system.
    pub ca: Option<PathBuf>,
    /// Who we are; `None`: the default user.
    pub user: Option<String>,
    /// Holds the password.
    pub password_file: Option<PathBuf>,
    /// Begins each key.
    pub prefix: Name,
    /// Longest wait for an answer.
    pub deadline: Duration,
    /// Connections, 1 to 16.
    pub connections: NonZeroU32,
    /// What decides without an answer.
    pub fallback: Fallback,
    /// How many gateways there are.
    pub gateways: NonZeroU32,
}

/// How the servers are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SharedKind {
    /// One server; further URLs are tried when it is not there.
    Single,
    /// The URLs are sentinels, which know the server of the service.
    Sentinel {
        /// As the sentinels call it.
        service: String,
    },
    /// The URLs are nodes of a cluster.
    Cluster,
}

/// What decides while the server does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// This gateway's share of the rate.
    LocalShare,
    /// Nothing: the request goes on, as far as other limits let it.
    Allow,
    /// The request is refused.
    Deny,
}

/// So many requests in so long a time, with so large a burst.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests in each [`per`](Self::per).
    pub requests: NonZeroU32,
    /// Never zero.
    pub per: Duration,
    /// Requests that may come at once after a silence; at least 1.
    pub burst: NonZeroU32,
}

/// A rate whose name and scope are those of its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShortLimit {
    /// How often.
    pub rate: Rate,
    /// Whether it refuses.
    pub mode: Mode,
}

/// A part of what a count belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// The policy subject.
    Identity,
    /// The organisation of the certificate.
    Organisation,
    /// The application.
    Application,
    /// The route of the application.
    Route,
}

/// A request holds its places in a list of this length.
pub const REQUEST_CONCURRENCY_MAX: usize = 8;

/// Which requests a limit counts together, and which it counts at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Sorted; at least one.
    pub by: Vec<Part>,
    /// Names of applications that exist; `None`: all.
    pub applications: Option<Vec<Name>>,
    /// Prefixes of routes that exist; `None`: all.
    pub routes: Option<Vec<RoutePrefix>>,
}

/// One `[[limits.rates]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Unique.
    pub name: Name,
    /// What it counts.
    pub scope: Scope,
    /// How often.
    pub rate: Rate,
    /// Whether it refuses.
    pub mode: Mode,
    /// Whether it is this gateway's own or that of all together.
    pub held: Held,
}

/// By whom a limit is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// By each gateway for itself.
    Alone,
    /// By all gateways together.
    Together,
}

/// One `[[limits.sources]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceLimit {
    /// Unique.
    pub name: Name,
    /// What counts as one source.
    pub network: Network,
    /// Whose requests count.
    pub clients: SourceClients,
    /// How often.
    pub rate: Rate,
    /// Whether it refuses.
    pub mode: Mode,
}

/// How much of an address is one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// An IPv4 address, or the /64 that one IPv6 host has at least.
    Address,
    /// An IPv4 /24 or an IPv6 /56: what one customer of a network commonly has at most.
    Prefix,
}

/// Whose requests a source limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceClients {
    /// Of clients without a certificate.
    Unauthenticated,
    /// Of all.
    All,
}

/// One `[[limits.concurrency]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConcurrencyLimit {
    /// Unique.
    pub name: Name,
    /// What it counts.
    pub by: ConcurrencyBy,
    /// Most at the same time.
    pub max: NonZeroU32,
    /// Whether it refuses.
    pub mode: Mode,
}

/// What is counted at the same time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConcurrencyBy {
    /// Requests under way.
    Requests(Scope),
    /// Requests in flight at one upstream of these applications; `None`: of all.
    Upstream(Option<Vec<Name>>),
    /// Open connections of one source ([`Network::Address`]).
    Source,
}

/// One `[[limits.quotas]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaLimit {
    /// Unique.
    pub name: Name,
    /// What it counts.
    pub scope: Scope,
    /// How much of what.
    pub of: QuotaOf,
    /// Length of a window in hours, 1 to 8784.
    pub hours: NonZeroU32,
    /// Whether it refuses.
    pub mode: Mode,
}

/// What a quota is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuotaOf {
    /// Requests in each window.
    Requests(NonZeroU64),
    /// Bytes of bodies in each window, both ways together; at most 4 TiB.
    Bytes(NonZeroU64),
}
