//! One immutable generation of everything a decision needs: routes, policy, limits, trust.
//!
//! Built from a checked configuration by reading every file that it names; either all of it is good, or every problem is
//! reported and the generation before serves on.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use hangu_audit::Pseudonyms;
use hangu_certs::{ClientVerifier, RevocationIndex, TrustBundle};
use hangu_policy::{PartitionedPolicy, RuleId};
use http::{HeaderName, HeaderValue};
use prometheus::{Histogram, HistogramTimer};
use rustls::ServerConfig;
use tokio::sync::Semaphore;

use crate::config::{ClientTrust, Config, CrlUrl, ZoneId};
use crate::connection::Connection;
use crate::crl_fetch::ListFile;
use crate::layers::application::duties::Duties;
use crate::layers::application::hits::Hits;
use crate::layers::application::shadow::ShadowPolicy;
use crate::layers::cloud::peer::PeerSettings;
use crate::layers::cloud::routes::HostTable;
use crate::layers::cloud::upstreams::Upstreams;
use crate::layers::endpoint::caller::Callers;
use crate::layers::network::limits::LimitPlan;
use crate::layers::network::zones::ZoneTable;
use crate::observe::metrics::ApplicationMetrics;
use crate::ship::Plan;

mod build;
mod names;

pub use build::{LoadError, build, directory_rights, lists_at, policy_problems, remember};
pub use names::Names;

/// One generation.
#[derive(Debug)]
pub struct Snapshot {
    /// From 1, and one more at each reload.
    pub generation: u64,
    /// When what it was built from was published, as far as the gateway can know: the time until a revocation is felt counts from
    /// here.
    pub published: Instant,
    /// What it was built from.
    pub config: Config,
    /// By index of the configuration's listeners.
    pub listeners: Vec<ListenerState>,
    /// What calls over `control.remote` are checked against, where there is one.
    pub control: Option<ControlTrust>,
    /// By index of the configuration's applications.
    pub applications: Vec<ApplicationState>,
    /// Source → zone.
    pub zones: ZoneTable,
    /// The compiled policy.
    pub policy: Arc<PartitionedPolicy>,
    /// What its rules demand besides.
    pub duties: Arc<Duties>,
    /// How often each of its rules has decided.
    pub hits: Arc<Hits>,
    /// A policy under trial.
    pub shadow: Option<Arc<ShadowPolicy>>,
    /// The bundle that the policy came in; `None` when it came in plain files.
    pub bundle: Option<BundleInForce>,
    /// Digest of all that the policy was compiled from, rows from the directory included.
    pub policy_inputs: String,
    /// Which limits a request meets.
    pub limits: LimitPlan,
    /// How a certificate becomes a subject, and what else is known of its holder.
    pub callers: Callers,
    /// Who is sent the audit log.
    pub sinks: Vec<Arc<Plan>>,
    /// What replaces identifiers in the audit log.
    pub pseudonyms: Option<Pseudonyms>,
    /// Generation and digest, as records carry them.
    pub basis: Arc<hangu_audit::Basis>,
    /// Everything in it that ends some day.
    pub expiries: Vec<Expiry>,
    /// Revocation lists out of files that may get lost for a while.
    pub list_files: Vec<ListFile>,
    pub(crate) decision_seconds: Histogram,
}

/// What a listener's handshakes and requests are checked against.
#[derive(Debug)]
pub struct ListenerState {
    /// Host → application, for the hosts that it serves.
    pub hosts: HostTable,
    /// Server name → certificate and group.
    pub names: Arc<Names>,
    /// Never empty. Hosts of one group let in the same clients.
    pub groups: Vec<TrustGroup>,
    /// Handshakes that may be under way.
    pub handshakes: Semaphore,
}

/// Hosts of a listener that trust the same authorities in the same way.
#[derive(Debug)]
pub struct TrustGroup {
    /// What the configuration says of it.
    pub trust: ClientTrust,
    /// Its authorities.
    pub bundle: Arc<TrustBundle>,
    /// For the handshake.
    pub tls: Arc<ServerConfig>,
    /// Gives the verified chain of a client once its handshake is done.
    pub verifier: Arc<ClientVerifier>,
    /// For each request.
    pub revocation: Arc<RevocationIndex>,
}

/// What a call over `control.remote` is checked against.
#[derive(Debug)]
pub struct ControlTrust {
    /// For the handshake.
    pub tls: Arc<ServerConfig>,
    /// Gives the verified chain of the caller.
    pub verifier: Arc<ClientVerifier>,
    /// The lists of the operators' authorities.
    pub revocation: Arc<RevocationIndex>,
}

impl ListenerState {
    /// The index of the group of a server name, in lower case; of a client that named nothing, that of the first certificate. `None`
    /// when no certificate covers the name.
    #[must_use]
    pub fn group_of(&self, name: Option<&str>) -> Option<usize> {
        if self.groups.len() == 1 && name.is_none() {
            return Some(0);
        }
        self.names.group_of(name)
    }
}

/// What serves an application's requests.
#[derive(Debug)]
pub struct ApplicationState {
    /// Its upstreams and their health.
    pub upstreams: Upstreams,
    /// How to speak to them.
    pub peer_settings: PeerSettings,
    /// What they are judged by; `None` in plain HTTP.
    pub upstream_trust: Option<UpstreamTrust>,
    /// Its counters.
    pub metrics: ApplicationMetrics,
    /// By index of its routes: what records carry.
    pub targets: Vec<Arc<hangu_audit::Target>>,
    /// What its answers say of TLS; `None`: nothing.
    pub strict_transport_security: Option<HeaderValue>,
    /// Its tenant, as it is told.
    pub tenant: HeaderValue,
    /// Headers that its configuration sets and a client may not.
    pub reserved_headers: Vec<HeaderName>,
}

/// The bundle that a policy came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleInForce {
    /// Its number.
    pub epoch: u64,
    /// SHA-256 of its manifest, as hexadecimal.
    pub digest: String,
    /// Until when it may serve, in seconds since 1970. A bundle that is past it serves on, with an alarm: the last good policy
    /// is kept.
    pub not_after: i64,
}

/// What the upstreams of an application are judged by.
#[derive(Debug)]
pub struct UpstreamTrust {
    /// `upstream:` and the application, as metrics call the lists.
    pub name: String,
    /// Their authorities.
    pub bundle: Arc<TrustBundle>,
    /// The lists of these.
    pub revocation: Arc<RevocationIndex>,
    /// Where lists are fetched from.
    pub crl_urls: Vec<CrlUrl>,
}

/// Something that ends some day.
#[derive(Clone, Debug, PartialEq)]
pub struct Expiry {
    /// `server`, `client_ca`, `upstream_ca`, `upstream_client`, `sink_ca`, `sink_client`, `crl` or `bundle`.
    pub kind: &'static str,
    /// The file, for a list with its listener before it.
    pub name: String,
    /// Listener of a list; empty for certificates.
    pub listener: String,
    /// Seconds since 1970.
    pub at: i64,
}

impl Expiry {
    /// Whether both are told by the same series.
    #[must_use]
    pub fn is_of(&self, other: &Expiry) -> bool {
        (self.kind, &self.name, &self.listener) == (other.kind, &other.name, &other.listener)
    }
}

impl Snapshot {
    /// What the certificates of a connection's client are judged by; `None` when no certificate covers its server name any more.
    #[must_use]
    pub fn trust_of(&self, connection: &Connection) -> Option<&TrustGroup> {
        let listener = self.listeners.get(connection.listener)?;
        listener.groups.get(connection.group?)
    }

    /// For the records that begin a generation: by which key identifiers are replaced from here on. Empty when they are not.
    #[must_use]
    pub fn pseudonym_key(&self) -> String {
        match &self.pseudonyms {
            Some(pseudonyms) => format!("; pseudonyms by key {}", pseudonyms.key_id()),
            None => String::new(),
        }
    }

    /// As [`Snapshot::trust_of`], of a connection that another generation saw last.
    #[must_use]
    pub fn trust_for(&self, connection: &Connection) -> Option<&TrustGroup> {
        let listener = self.listeners.get(connection.listener)?;
        let group = listener.group_of(connection.sni.as_deref())?;
        listener.groups.get(group)
    }

    /// The zone of a connection's client: by its address, or the listener's own.
    #[must_use]
    pub fn zone_of(&self, connection: &Connection) -> Option<ZoneId> {
        self.zone(connection.listener, connection.client.ip())
    }

    /// The name of the zone of an address at a listener; empty when it is in none.
    #[must_use]
    pub fn zone_name(&self, listener: usize, address: IpAddr) -> &str {
        let zone = self
            .zone(listener, address)
            .and_then(|id| self.config.zone(id));
        zone.map_or("", |zone| zone.name.as_str())
    }

    /// Most header fields of a request at a listener.
    #[must_use]
    pub fn header_fields_max(&self, listener: usize) -> u32 {
        let listener = self.config.listeners.get(listener);
        listener.map_or(0, |listener| listener.headers_max.get())
    }

    /// A rule as records name it: file and line.
    #[must_use]
    pub fn rule_name(&self, rule: RuleId) -> Arc<str> {
        let view = self.policy.rule(rule);
        format!("{}:{}", view.file, view.line).into()
    }

    /// Times one decision until it is dropped.
    pub fn decision_timer(&self) -> HistogramTimer {
        self.decision_seconds.start_timer()
    }

    fn application_named(&self, name: &str) -> Option<&ApplicationState> {
        let index = self
            .config
            .applications
            .iter()
            .position(|known| known.name.as_str() == name)?;
        self.applications.get(index)
    }

    fn upstreams_of(&self, application: &str) -> Option<&Upstreams> {
        let index = self
            .config
            .applications
            .iter()
            .position(|known| known.name.as_str() == application)?;
        self.applications.get(index).map(|state| &state.upstreams)
    }

    fn zone(&self, listener: usize, address: IpAddr) -> Option<ZoneId> {
        self.zones
            .zone_of(address)
            .or_else(|| self.config.listeners.get(listener)?.zone)
    }
}
