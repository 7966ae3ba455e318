//! The configuration as it is written: texts with their places, nothing understood yet.
//!
//! Every field may be absent: `shape` has already reported what is missing or of a wrong type and taken it out, so
//! that what is left deserialises and the checks of values can add their own findings to the same report.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

/// A text and its place.
pub(super) type Text = Spanned<String>;
/// A list of texts, with the place of the list.
pub(super) type Texts = Spanned<Vec<Text>>;
/// A table whose keys the operator chooses.
pub(super) type Named<T> = BTreeMap<Text, T>;

/// The whole file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct File {
    pub(super) server: Server,
    pub(super) listeners: Vec<Listener>,
    pub(super) zones: Named<Texts>,
    pub(super) labels: Labels,
    pub(super) matrix: Named<Texts>,
    pub(super) identity: Identity,
    pub(super) purpose: Option<Purpose>,
    pub(super) applications: Vec<Application>,
    pub(super) policy: Option<Spanned<Policy>>,
    pub(super) limits: Limits,
    pub(super) crl_fetch: CrlFetch,
    pub(super) crl_grace: Named<Text>,
    pub(super) audit: Audit,
    pub(super) access_log: Option<AccessLog>,
    pub(super) admin: Option<Admin>,
    pub(super) control: Control,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Server {
    pub(super) threads: Option<Spanned<i64>>,
    pub(super) run_dir: Option<Text>,
    pub(super) drain: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Listener {
    pub(super) name: Option<Text>,
    pub(super) address: Option<Text>,
    pub(super) zone: Option<Text>,
    pub(super) client_authentication: Option<Text>,
    pub(super) client_ca: Option<Text>,
    pub(super) client_intermediates: Option<Text>,
    pub(super) crls: Option<Texts>,
    pub(super) crl_urls: Option<Texts>,
    pub(super) crl_hosts: Option<Texts>,
    pub(super) crl_grace: Option<Text>,
    pub(super) spiffe_trust_domains: Option<Texts>,
    pub(super) tls_min: Option<Text>,
    pub(super) proxy_protocol: Option<Text>,
    pub(super) balancers: Option<Texts>,
    pub(super) proxy_timeout: Option<Text>,
    pub(super) handshake_timeout: Option<Text>,
    pub(super) handshakes_max: Option<Spanned<i64>>,
    pub(super) handshakes_per_source: Option<Spanned<i64>>,
    pub(super) session_resumption: Option<Spanned<i64>>,
    pub(super) header_timeout: Option<Text>,
    pub(super) idle_timeout: Option<Text>,
    pub(super) body_rate_min: Option<Text>,
    pub(super) headers_max: Option<Spanned<i64>>,
    pub(super) header_bytes_max: Option<Text>,
    pub(super) certificates: Vec<ServerCertificate>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ServerCertificate {
    pub(super) hosts: Option<Texts>,
    pub(super) chain: Option<Text>,
    pub(super) key: Option<Text>,
    pub(super) client_authentication: Option<Text>,
    pub(super) client_ca: Option<Text>,
    pub(super) client_intermediates: Option<Text>,
    pub(super) crls: Option<Texts>,
    pub(super) crl_urls: Option<Texts>,
    pub(super) crl_hosts: Option<Texts>,
    pub(super) crl_grace: Option<Text>,
    pub(super) spiffe_trust_domains: Option<Texts>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Labels {
    pub(super) order: Option<Texts>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Identity {
    pub(super) subject: Option<Text>,
    pub(super) organisation: Option<Text>,
    pub(super) attributes: Named<Text>,
    pub(super) authorities: Named<Texts>,
    pub(super) spiffe_trust_domains: Option<Texts>,
    pub(super) directory: Option<Text>,
    pub(super) posture_max_age: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Application {
    pub(super) name: Option<Text>,
    pub(super) tenant: Option<Text>,
    pub(super) hosts: Option<Texts>,
    pub(super) label: Option<Text>,
    pub(super) request_body_max: Option<Text>,
    pub(super) acknowledge: Option<Text>,
    pub(super) balance: Option<Text>,
    pub(super) connect_timeout: Option<Text>,
    pub(super) read_timeout: Option<Text>,
    pub(super) write_timeout: Option<Text>,
    pub(super) response_timeout: Option<Text>,
    pub(super) upstream_protocol: Option<Text>,
    pub(super) purposes: Option<Texts>,
    pub(super) policy_context: Option<Spanned<i64>>,
    pub(super) query_parameters: Option<Texts>,
    pub(super) obligations: Option<Texts>,
    pub(super) strict_transport_security: Option<Text>,
    pub(super) websocket_origins: Option<Texts>,
    pub(super) headers: Named<Text>,
    pub(super) routes: Vec<Route>,
    pub(super) upstreams: Vec<Upstream>,
    pub(super) upstream_tls: Option<UpstreamTls>,
    pub(super) health: Health,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Route {
    pub(super) prefix: Option<Text>,
    pub(super) methods: Option<Texts>,
    pub(super) label: Option<Text>,
    pub(super) path_profile: Option<Text>,
    pub(super) request_body_max: Option<Text>,
    pub(super) response_timeout: Option<Text>,
    pub(super) streaming: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Upstream {
    pub(super) address: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct UpstreamTls {
    pub(super) ca: Option<Text>,
    pub(super) intermediates: Option<Text>,
    pub(super) server_name: Option<Text>,
    pub(super) spiffe_id: Option<Text>,
    pub(super) uri: Option<Text>,
    pub(super) crls: Option<Texts>,
    pub(super) crl_urls: Option<Texts>,
    pub(super) crl_grace: Option<Text>,
    pub(super) certificate: Option<Text>,
    pub(super) key: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Health {
    pub(super) failures: Option<Spanned<i64>>,
    pub(super) retry_after: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Shadow {
    pub(super) expires: Option<Text>,
    pub(super) rules: Option<Text>,
    pub(super) model: Option<Text>,
    pub(super) extra: Option<Text>,
    pub(super) bundle: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Purpose {
    pub(super) header: Option<Text>,
    pub(super) names: Option<Texts>,
    pub(super) forward: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Policy {
    pub(super) model: Option<Text>,
    pub(super) rules: Option<Text>,
    pub(super) bundle: Option<Text>,
    pub(super) keys: Option<Texts>,
    pub(super) signatures: Option<Spanned<i64>>,
    pub(super) state: Option<Text>,
    pub(super) shadow: Option<Spanned<Shadow>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct CrlFetch {
    pub(super) folder: Option<Text>,
    pub(super) every: Option<Text>,
    pub(super) timeout: Option<Text>,
    pub(super) size_max: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Limits {
    pub(super) identity: Option<Rate>,
    pub(super) source: Option<Rate>,
    pub(super) handshake: Option<Rate>,
    pub(super) utc_offset: Option<Text>,
    pub(super) rates: Vec<RateLimit>,
    pub(super) sources: Vec<SourceLimit>,
    pub(super) concurrency: Vec<ConcurrencyLimit>,
    pub(super) quotas: Vec<QuotaLimit>,
    pub(super) shared: Option<SharedLimits>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct SharedLimits {
    pub(super) urls: Option<Texts>,
    pub(super) kind: Option<Text>,
    pub(super) service: Option<Text>,
    pub(super) ca: Option<Text>,
    pub(super) user: Option<Text>,
    pub(super) password_file: Option<Text>,
    pub(super) prefix: Option<Text>,
    pub(super) deadline: Option<Text>,
    pub(super) connections: Option<Spanned<i64>>,
    pub(super) fallback: Option<Text>,
    pub(super) gateways: Option<Spanned<i64>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RateLimit {
    pub(super) name: Option<Text>,
    pub(super) by: Option<Texts>,
    pub(super) applications: Option<Texts>,
    pub(super) routes: Option<Texts>,
    pub(super) requests: Option<Spanned<i64>>,
    pub(super) per: Option<Text>,
    pub(super) burst: Option<Spanned<i64>>,
    pub(super) shared: Option<Spanned<bool>>,
    pub(super) shadow: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct SourceLimit {
    pub(super) name: Option<Text>,
    pub(super) by: Option<Text>,
    pub(super) clients: Option<Text>,
    pub(super) requests: Option<Spanned<i64>>,
    pub(super) per: Option<Text>,
    pub(super) burst: Option<Spanned<i64>>,
    pub(super) shadow: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ConcurrencyLimit {
    pub(super) name: Option<Text>,
    pub(super) by: Option<Texts>,
    pub(super) applications: Option<Texts>,
    pub(super) routes: Option<Texts>,
    pub(super) max: Option<Spanned<i64>>,
    pub(super) shadow: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct QuotaLimit {
    pub(super) name: Option<Text>,
    pub(super) by: Option<Texts>,
    pub(super) applications: Option<Texts>,
    pub(super) routes: Option<Texts>,
    pub(super) requests: Option<Spanned<i64>>,
    pub(super) bytes: Option<Text>,
    pub(super) hours: Option<Spanned<i64>>,
    pub(super) shadow: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Rate {
    pub(super) requests: Option<Spanned<i64>>,
    pub(super) per: Option<Text>,
    pub(super) burst: Option<Spanned<i64>>,
    pub(super) shadow: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Audit {
    pub(super) folder: Option<Text>,
    pub(super) queue: Option<Spanned<i64>>,
    pub(super) segment: Option<Text>,
    pub(super) flush: Option<Text>,
    pub(super) key: Option<Text>,
    pub(super) disk_max: Option<Text>,
    pub(super) signer: Option<Signer>,
    pub(super) witness: Option<Witness>,
    pub(super) sinks: Vec<Sink>,
    pub(super) retention: Retention,
    pub(super) pseudonyms: Option<Pseudonyms>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Pseudonyms {
    pub(super) key: Option<Text>,
    pub(super) fields: Option<Texts>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Retention {
    pub(super) days: Option<Spanned<i64>>,
    pub(super) profile: Option<Text>,
    pub(super) compress: Option<bool>,
    pub(super) archive: Option<Text>,
    pub(super) store: Option<Store>,
    pub(super) every: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Store {
    pub(super) endpoint: Option<Text>,
    pub(super) region: Option<Text>,
    pub(super) address: Option<Text>,
    pub(super) key_id: Option<Text>,
    pub(super) secret: Option<Text>,
    pub(super) ca: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Signer {
    pub(super) socket: Option<Text>,
    pub(super) key: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Witness {
    pub(super) url: Option<Text>,
    pub(super) key: Option<Text>,
    pub(super) interval: Option<Text>,
    pub(super) ca: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Sink {
    pub(super) name: Option<Text>,
    pub(super) kind: Option<Text>,
    pub(super) format: Option<Text>,
    pub(super) address: Option<Text>,
    pub(super) server_name: Option<Text>,
    pub(super) settle: Option<Text>,
    pub(super) url: Option<Text>,
    pub(super) token: Option<Text>,
    pub(super) folder: Option<Text>,
    pub(super) ca: Option<Text>,
    pub(super) certificate: Option<Text>,
    pub(super) key: Option<Text>,
    pub(super) batch: Option<Spanned<i64>>,
    pub(super) timeout: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct AccessLog {
    pub(super) to: Option<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Admin {
    pub(super) address: Option<Text>,
    pub(super) expose: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Control {
    pub(super) socket: Option<Text>,
    pub(super) revocations: Option<Text>,
    pub(super) uids: Vec<Spanned<i64>>,
    pub(super) remote: Option<ControlRemote>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ControlRemote {
    pub(super) address: Option<Text>,
    pub(super) certificate: Option<Text>,
    pub(super) key: Option<Text>,
    pub(super) client_ca: Option<Text>,
    pub(super) crls: Option<Texts>,
    pub(super) subjects: Option<Texts>,
}
