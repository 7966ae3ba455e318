//! The configuration as it is meant: every number in bounds, every name resolved, every path absolute.
//!
//! Nothing behind this file sees a string that still has to be understood. What is named here was checked to
//! exist and to agree with the rest of the file; what is *inside* the named files (PEM, CRL, policy) was not:
//! that is the work of the snapshot.

mod audit;
mod pseudonyms;
mod retention;
mod zones;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::{NonZeroU8, NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::time::Duration;

use hangu_certs::{ExpectedServer, Template};
use http::HeaderName;

use crate::config::limits::Limits;
use crate::config::policy::Policy;
use crate::config::sinks::Sink;
use crate::config::values::{
    ByteSize, CrlHost, CrlUrl, Host, HostPattern, IpPrefix, LabelId, MethodSet, Name, RoutePrefix,
    Tenant, ZoneId,
};

pub use audit::{Acknowledge, Audit, SigningKey, Witness};
pub use pseudonyms::Pseudonyms;
pub use retention::{Archive, ObjectStore, Retention, StoreAddress};
pub use zones::{Matrix, Zone};

/// One whole configuration file, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file that this was read from; absolute, as are all paths here.
    pub file: PathBuf,
    /// Process-wide settings.
    pub server: Server,
    /// At least one, with unique names and addresses, in the order of the file.
    pub listeners: Vec<Listener>,
    /// Sorted by name; a [`ZoneId`] is an index into this.
    pub zones: Vec<Zone>,
    /// Lowest first; at least one, at most 64, unique; a [`LabelId`] is an index into this.
    pub labels: Vec<Name>,
    /// Which labels a zone may reach.
    pub matrix: Matrix,
    /// How a certificate becomes a policy subject.
    pub identity: Identity,
    /// How a request states its purpose; `None`: it cannot.
    pub purpose: Option<Purpose>,
    /// At least one; names unique, no host claimed twice.
    pub applications: Vec<Application>,
    /// Where the policy comes from.
    pub policy: Policy,
    /// How lists are fetched.
    pub crl_fetch: CrlFetch,
    /// `[crl_grace]`: how long lists of single issuers count beyond their end, by name in RFC 4514 form.
    pub crl_grace: BTreeMap<String, Duration>,
    /// How often, how much at once, how much a day.
    pub limits: Limits,
    /// The tamper-evident log.
    pub audit: Audit,
    /// How long the tamper-evident log is kept.
    pub retention: Retention,
    /// Keyed hashes in place of identifiers; `None`: the log names people.
    pub pseudonyms: Option<Pseudonyms>,
    /// Who is sent the tamper-evident log; at most 16, names unique.
    pub sinks: Vec<Sink>,
    /// Absent: no access log is written.
    pub access_log: Option<AccessLog>,
    /// Absent: no admin and metrics endpoint is opened.
    pub admin: Option<Admin>,
    /// Where operators act on the running gateway.
    pub control: Control,
}

impl Config {
    /// The zone that an id of this configuration stands for; `None` only for an id of another configuration.
    #[must_use]
    pub fn zone(&self, id: ZoneId) -> Option<&Zone> {
        self.zones.get(usize::from(id.index()))
    }

    /// Every zone with its number.
    pub fn numbered_zones(&self) -> impl Iterator<Item = (ZoneId, &Zone)> {
        (0..).map(ZoneId::new).zip(&self.zones)
    }

    /// The name of a label of this configuration; `None` only for an id of another configuration.
    #[must_use]
    pub fn label(&self, id: LabelId) -> Option<&Name> {
        self.labels.get(usize::from(id.index()))
    }
}

/// `[server]`: what belongs to the process and not to a listener.
#[derive(Clone, Debug)]
pub struct Server {
    /// Worker threads, 1 to 64.
    pub threads: NonZeroUsize,
    /// Folder of the upgrade socket and the pid file; it may not exist yet (create it with mode 0700).
    pub run_dir: PathBuf,
    /// How long a graceful stop waits for requests in flight; zero cuts them at once.
    pub drain: Duration,
}

/// One `[[listeners]]`: an address, who may speak there and how much at most.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Unique; names the listener in metrics and in the audit record.
    pub name: Name,
    /// Unique; port 0 asks the system for a free port.
    pub address: SocketAddr,
    /// Zone of a client that no prefix of a zone covers; `None`: such a client is refused.
    pub zone: Option<ZoneId>,
    /// Whom it lets in, where a certificate does not say otherwise.
    pub trust: ClientTrust,
    /// Sessions that may be resumed; `None`: none ever is.
    pub session_resumption: Option<NonZeroU32>,
    /// Oldest TLS version that is spoken.
    pub tls_min: TlsVersion,
    /// Addresses of the balancers that must begin each connection with a PROXY header, never empty; `None`: no such header is taken.
    pub proxy_protocol: Option<Vec<IpPrefix>>,
    /// From accept to the end of the PROXY header.
    pub proxy_timeout: Duration,
    /// From accept, or the end of the PROXY header, to the end of the handshake.
    pub handshake_timeout: Duration,
    /// Handshakes under way at once.
    pub handshakes_max: NonZeroU32,
    /// Handshakes of one source under way at once.
    pub handshakes_per_source: NonZeroU32,
    /// From the first byte of a request to the end of its head.
    pub header_timeout: Duration,
    /// How long a kept-alive connection may be silent between two requests.
    pub idle_timeout: Duration,
    /// Bytes a second of a request body on its way in, and of an answer on its way out, below which a client is cut; zero: none.
    pub body_rate_min: ByteSize,
    /// Header fields in a request.
    pub headers_max: NonZeroU32,
    /// Bytes of a whole request head.
    pub header_bytes_max: ByteSize,
    /// At least one; no host pattern stands twice in one listener.
    pub certificates: Vec<ServerCertificate>,
}

/// Which clients are let in, and how their certificates are judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientTrust {
    /// Whether a client may come without a certificate.
    pub client_authentication: ClientAuthentication,
    /// PEM bundle of the authorities that sign clients.
    pub client_ca: PathBuf,
    /// PEM of intermediates below these authorities.
    pub intermediates: Option<PathBuf>,
    /// PEM or DER revocation lists of these authorities, or folders of them; may be empty.
    pub crls: Vec<PathBuf>,
    /// Where lists are fetched from.
    pub crl_urls: Vec<CrlUrl>,
    /// Whose distribution points are followed.
    pub crl_hosts: Vec<CrlHost>,
    /// How long a revocation list counts beyond its end.
    pub crl_grace: Duration,
    /// Of which trust domains these authorities may vouch for SPIFFE ids; `None`: those of `[identity]`.
    pub spiffe_trust_domains: Option<Vec<String>>,
}

/// `[crl_fetch]`: how revocation lists are fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrlFetch {
    /// Where they are kept; it may not exist yet (created with mode 0700).
    pub folder: PathBuf,
    /// How often it is asked for a newer one.
    pub every: Duration,
    /// From connecting to the last byte.
    pub timeout: Duration,
    /// Bytes of one list.
    pub size_max: ByteSize,
}

/// Whether a client must show a certificate. One that it does show is always verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuthentication {
    /// The handshake fails without a valid certificate.
    Required,
    /// A client without one is the subject [`ANONYMOUS_SUBJECT`].
    Optional,
}

/// Policy subject of a client without a certificate, where a listener lets it in. Whoever turns certificates into
/// subjects must refuse one that gives this name.
pub const ANONYMOUS_SUBJECT: &str = "anonymous";

/// A TLS protocol version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// RFC 5246, with the suites that have forward secrecy only.
    Tls12,
    /// RFC 8446.
    Tls13,
}

/// One `[[listeners.certificates]]`: what we show to clients that ask for one of its hosts.
#[derive(Clone, Debug)]
pub struct ServerCertificate {
    /// SNI names that it serves; at least one.
    pub hosts: Vec<HostPattern>,
    /// PEM chain, leaf first.
    pub chain: PathBuf,
    /// PEM private key of the leaf.
    pub key: PathBuf,
    /// Whom its hosts let in: its own, or the listener's.
    pub trust: ClientTrust,
}

/// `[identity]`: from certificate to subject, and what else is known of its holder.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Gives the policy subject; a certificate for which neither this nor the directory gives one has no usable name and is refused.
    pub subject: Template,
    /// Gives the organisation.
    pub organisation: Option<Template>,
    /// What the policy may read besides, by name.
    pub attributes: Vec<Attribute>,
    /// The trust domains whose SPIFFE ids count; `None`: nothing here reads a SPIFFE id, or each listener has such of its own.
    pub spiffe_trust_domains: Option<Vec<String>>,
    /// Anchors that are one authority, by its name: subjects in RFC 4514 form, or SHA-256 of keys in hexadecimal.
    pub authorities: Vec<(Name, Vec<String>)>,
    /// CSV of what the organisation knows about holders.
    pub directory: Option<PathBuf>,
    /// How long a measured posture counts.
    pub posture_max_age: Duration,
}

/// One line of `[identity.attributes]`.
#[derive(Clone, Debug)]
pub struct Attribute {
    /// Unique; what a policy reads as `r.sub.NAME`.
    pub name: String,
    /// Its value, from the fields of the identity; absent where the certificate lacks one of them.
    pub value: Template,
}

/// One `[[applications]]`: a tenant's workload.
#[derive(Clone, Debug)]
pub struct Application {
    /// Unique; names the application in metrics and in the audit record.
    pub name: Name,
    /// The Casbin domain.
    pub tenant: Tenant,
    /// What Host, `:authority` and SNI must be; at least one; each covered by a certificate of some listener.
    pub hosts: Vec<Host>,
    /// Label of routes that name none; already filled into [`Route::label`].
    pub label: LabelId,
    /// Bytes of a request body; zero: no body at all.
    pub request_body_max: ByteSize,
    /// What is promised of the records of its requests.
    pub acknowledge: Acknowledge,
    /// How an upstream is chosen.
    pub balance: Balance,
    /// TCP and TLS to the upstream.
    pub connect_timeout: Duration,
    /// Longest wait for the next bytes of the upstream.
    pub read_timeout: Duration,
    /// Longest wait for the upstream to take the next bytes.
    pub write_timeout: Duration,
    /// Which context of the policy's model decides; `None`: the first.
    pub policy_context: Option<NonZeroU8>,
    /// What all its upstreams speak.
    pub upstream_protocol: UpstreamProtocol,
    /// Obligations that it carries out, as words such as `mask:resident-id`.
    pub obligations: Vec<Box<str>>,
    /// Query parameters that rules may read.
    pub query_parameters: Vec<Box<str>>,
    /// Purposes that may be stated to it, all of them of [`Purpose::names`].
    pub purposes: Vec<Name>,
    /// For how long browsers are told to use TLS only (RFC 6797); zero: they are told nothing.
    pub strict_transport_security: Duration,
    /// Origins whose pages may open a WebSocket; empty: only pages of the application's own hosts.
    pub websocket_origins: Vec<String>,
    /// Set on every request towards the application, in the order of the names.
    pub headers: Vec<HeaderRule>,
    /// At least one, longest prefix first, those of one prefix together; of two such, no method is in both. The
    /// longest prefix that covers a path decides alone.
    pub routes: Vec<Route>,
    /// At least one, no address twice.
    pub upstreams: Vec<Upstream>,
    /// `None`: upstreams are spoken to in plain HTTP.
    pub upstream_tls: Option<UpstreamTls>,
    /// When an upstream is taken out and when it is tried again.
    pub health: Health,
}

/// What is spoken to upstreams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UpstreamProtocol {
    /// HTTP/1.1 (RFC 9112).
    Http1,
    /// HTTP/2 (RFC 9113): with prior knowledge in plain, by ALPN over TLS, and nothing else.
    Http2,
}

/// How an upstream is chosen among the healthy ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Balance {
    /// One after another.
    RoundRobin,
    /// The one with the fewest requests in flight.
    LeastConnections,
}

/// One header that we set towards the application.
#[derive(Clone, Debug)]
pub struct HeaderRule {
    /// Never a hop-by-hop or framing field, nor Host, nor one that the gateway sets of itself.
    pub name: HeaderName,
    /// Its value, from the fields of the identity.
    pub value: Template,
}

/// One `[[applications.routes]]`.
#[derive(Clone, Debug)]
pub struct Route {
    /// Matches whole segments of the canonical path.
    pub prefix: RoutePrefix,
    /// Never empty.
    pub methods: MethodSet,
    /// Its own label or the application's.
    pub label: LabelId,
    /// What its paths may hold.
    pub path_profile: PathProfile,
    /// Its own bound or the application's.
    pub request_body_max: ByteSize,
    /// From the head of a request to the last byte of its answer; its own or the application's.
    pub response_timeout: Duration,
    /// Whether bodies may go on for ever.
    pub bodies: Bodies,
}

/// How bodies come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bodies {
    /// To an end, and without long pauses.
    Whole,
    /// As long as both sides want.
    Streaming,
}

/// Which paths a route takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PathProfile {
    /// Only paths that every reader splits in the same places.
    #[default]
    Strict,
    /// Also `%2F` inside a segment, for an application that keeps names with slashes there and never undoes it before it splits.
    KeepEncodedSlash,
}

/// One `[[applications.upstreams]]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// Where it listens; the port is never zero.
    pub address: SocketAddr,
}

/// `[applications.upstream_tls]`: what an upstream must prove, and what we show to it.
#[derive(Clone, Debug)]
pub struct UpstreamTls {
    /// PEM bundle of the authorities that sign upstreams.
    pub ca: PathBuf,
    /// PEM of intermediates below these authorities.
    pub intermediates: Option<PathBuf>,
    /// SNI that we send.
    pub server_name: Host,
    /// Who it must be, beyond a chain to `ca`: the one that SNI names, or somebody else.
    pub expected: ExpectedServer,
    /// Revocation lists of these authorities, or folders of them; may be empty.
    pub crls: Vec<PathBuf>,
    /// Where lists are fetched from.
    pub crl_urls: Vec<CrlUrl>,
    /// How long a revocation list counts beyond its end.
    pub crl_grace: Duration,
    /// `None`: we show no certificate.
    pub client: Option<ClientCertificate>,
}

/// The certificate that we show to an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// PEM chain, leaf first.
    pub chain: PathBuf,
    /// PEM private key of the leaf.
    pub key: PathBuf,
}

/// `[applications.health]`: passive health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    /// Failures in a row that take an upstream out.
    pub failures: NonZeroU32,
    /// How long it stays out before one request may try it again.
    pub retry_after: Duration,
}

/// `[purpose]`: how a request states what the data are for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purpose {
    /// The field that states it.
    pub header: HeaderName,
    /// All that may be stated; at least one, unique.
    pub names: Vec<Name>,
    /// Whether the application sees the field.
    pub forward: bool,
}

/// `[access_log]`: one JSON line a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessLog {
    /// The standard output of the process.
    Stdout,
    /// A file, appended to, opened again on SIGUSR1.
    File(PathBuf),
}

/// `[admin]`: metrics and health of the gateway itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admin {
    /// A loopback address, or one that the operator exposed on purpose.
    pub address: SocketAddr,
}

/// `[control]`: where operators act on the running gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Control {
    /// Where the socket is, and who can reach it.
    pub socket: ControlSocket,
    /// Where revocations by operators are kept; it may not exist yet.
    pub revocations: PathBuf,
    /// Users who may call, beside root and the gateway's own.
    pub uids: Vec<NonZeroU32>,
    /// Who may call from other machines; `None`: nobody.
    pub remote: Option<ControlRemote>,
}

/// `[control.remote]`: the control socket over TCP with mutual TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControlRemote {
    /// Where it listens.
    pub address: SocketAddr,
    /// PEM chain that it shows.
    pub certificate: PathBuf,
    /// PEM private key of it.
    pub key: PathBuf,
    /// PEM bundle of the authorities that sign operators.
    pub client_ca: PathBuf,
    /// Revocation lists of these.
    pub crls: Vec<PathBuf>,
    /// Who may call; never empty.
    pub subjects: Vec<Box<str>>,
}

/// A control socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlSocket {
    /// In the run folder, for the gateway's own user and root.
    Private(PathBuf),
    /// In a place that the configuration names, for whoever may enter that folder and is listed.
    Open(PathBuf),
}

impl ControlSocket {
    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Private(path) | Self::Open(path) => path,
        }
    }
}
