//! What one record says.
//!
//! Grouped by how long each part lives, so that a busy connection builds its part once and every request shares it:
//! [`Origin`] a process, [`Basis`] a generation of configuration, [`Connection`] a connection, [`Target`] a route,
//! [`Exchange`] and [`Judgement`] one request. In the written line all of it is one flat object (see the crate's doc).
//!
//! Strings come as they are; whatever they hold is escaped and bounded when the line is written.

use std::borrow::Cow;
use std::sync::Arc;

use crate::chain::Link;
use crate::time::Timestamp;

/// One thing that happened. Sequence number and chain are added by the log.
#[derive(Clone, Debug)]
pub struct Record {
    /// When it happened (for a request: when it was over), by the clock on the wall.
    pub time: Timestamp,
    /// Microseconds on the process's own clock, which is never set; 0 = left out. Orders the records of one boot.
    pub monotonic_us: u64,
    /// What sort of thing.
    pub kind: Kind,
    /// Which process says so.
    pub origin: Arc<Origin>,
    /// Which generation of configuration and policy it was judged by.
    pub basis: Option<Arc<Basis>>,
    /// Over which connection.
    pub connection: Option<Arc<Connection>>,
    /// To which application and route; `None` when no route was found.
    pub target: Option<Arc<Target>>,
    /// The request and its answer.
    pub exchange: Option<Exchange>,
    /// The decision.
    pub judgement: Option<Judgement>,
    /// What somebody did to the gateway itself.
    pub admin: Option<Box<Admin>>,
    /// The last record that is not in the log any more, and its hash: of a `retention` or `restored` record.
    pub removed: Option<Link>,
    /// Free text for people: what an event was about, the exact reason of a refused handshake. Empty = left out.
    pub detail: String,
}

impl Record {
    /// A record without connection, request and decision: a start, a stop, a reload.
    #[must_use]
    pub fn event(
        kind: Kind,
        time: Timestamp,
        origin: Arc<Origin>,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            time,
            monotonic_us: 0,
            kind,
            origin,
            basis: None,
            connection: None,
            target: None,
            exchange: None,
            judgement: None,
            admin: None,
            removed: None,
            detail: detail.into(),
        }
    }
}

/// What sort of record: a closed list, so that a search over it is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A request was decided.
    Request,
    /// What came of a request after its record was written: the rest of a stream, a tunnel, a broken answer.
    End,
    /// A TLS handshake was refused or aborted.
    Handshake,
    /// A connection was refused before any handshake (address list, connection budget, PROXY header) or ended while it was open.
    Connection,
    /// The process started.
    Start,
    /// The process stopped.
    Stop,
    /// A new configuration, policy or trust was taken into use, or refused.
    Reload,
    /// Somebody acted through the admin listener.
    Admin,
    /// The log found bytes after its last whole record when it was opened, and moved them aside.
    Recovered,
    /// Records were dropped; the detail says how many.
    Dropped,
    /// Old segments are about to be removed; the detail says which, until when they were kept and where they went.
    Retention,
    /// The node was restored from a backup.
    Restored,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 12] = [
        Self::Request,
        Self::End,
        Self::Handshake,
        Self::Connection,
        Self::Start,
        Self::Stop,
        Self::Reload,
        Self::Admin,
        Self::Recovered,
        Self::Dropped,
        Self::Retention,
        Self::Restored,
    ];

    /// The word in the log.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::End => "end",
            Self::Handshake => "handshake",
            Self::Connection => "connection",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Reload => "reload",
            Self::Admin => "admin",
            Self::Recovered => "recovered",
            Self::Dropped => "dropped",
            Self::Retention => "retention",
            Self::Restored => "restored",
        }
    }
}

/// The process that writes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The machine's name, as configured.
    pub node: String,
    /// A name drawn anew at each start of the process.
    pub boot: String,
}

/// The generation of configuration that a decision was made by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Basis {
    /// Number of the configuration's generation in this process; 1 is the one it started with.
    pub config_generation: u64,
    /// Epoch of the signed policy bundle; 0 = the policy is no bundle, left out.
    pub policy_epoch: u64,
    /// Number of the policy's generation.
    pub policy_generation: u64,
    /// Digest of the policy's files, as hexadecimal.
    pub policy_digest: String,
}

/// The connection and who spoke over it. Empty strings are left out of the line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connection {
    /// Name of the listener.
    pub listener: String,
    /// Client address and port; behind a PROXY header the client it names.
    pub client: String,
    /// Zone of the client address.
    pub zone: String,
    /// TLS version and application protocol, such as `TLSv1.3/h2`.
    pub channel: String,
    /// Subject of the identity.
    pub subject: String,
    /// Organisation of the identity.
    pub organisation: String,
    /// Device of the identity.
    pub device: String,
    /// SHA-256 of the client certificate, as hexadecimal.
    pub certificate: String,
    /// Serial number of the client certificate, as hexadecimal.
    pub serial: String,
    /// Issuer of the client certificate.
    pub issuer: String,
    /// When the client proved to hold the certificate's key, in seconds since 1970; 0 = it did not, left out.
    pub proved_at: u64,
}

/// Where a request goes. Empty strings are left out of the line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// Application.
    pub application: String,
    /// Tenant that owns it.
    pub tenant: String,
    /// The route: the template of its paths, its prefix as configured, such as `/citizens/:id/records`.
    pub route: String,
    /// Label of the data behind the route.
    pub label: String,
    /// Which context of the policy's model decides there, such as 2 for `r2, p2, e2, m2`; 0 = the first, left out.
    pub policy_context: u64,
}

/// A request and its answer. Empty strings are left out of the line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exchange {
    /// The request id that the client was told too.
    pub request_id: String,
    /// W3C trace id.
    pub trace_id: String,
    /// Method.
    pub method: Cow<'static, str>,
    /// Canonical path without the query; empty where `path_hash` stands in its place. It can hold personal data.
    pub path: String,
    /// Keyed hash of the canonical path, where the path itself must not stand in the log.
    pub path_hash: String,
    /// Names of the query's parameters, never their values.
    pub query_keys: Vec<String>,
    /// Purpose that the request claims.
    pub purpose: String,
    /// Approval that the request refers to.
    pub approval: String,
    /// Status sent to the client; `None` when nothing was sent.
    pub status: Option<u16>,
    /// Bytes of the request's body.
    pub bytes_in: u64,
    /// Bytes of the response's body.
    pub bytes_out: u64,
    /// From the request's head to the end of the response, in microseconds.
    pub duration_us: u64,
    /// Upstream that answered.
    pub upstream: Option<Arc<str>>,
}

/// A decision and how it came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// What came of it.
    pub decision: Decision,
    /// Reason code such as `endpoint.revoked`; `None` when allowed.
    pub reason: Option<Cow<'static, str>>,
    /// The rule that decided, as file and line, such as `policy.csv:12`.
    pub rule: Option<Arc<str>>,
    /// Rules that would have decided otherwise: they match too, and the rule that decided overrides them. At most
    /// [`OVERRIDDEN_MAX`](crate::OVERRIDDEN_MAX) are written.
    pub overridden: Vec<Arc<str>>,
    /// Result of each layer, in the order of [`LAYERS`].
    pub layers: [Step; 6],
    /// Whether it bound anybody.
    pub mode: Mode,
    /// The second, since 1970, that the decision took for now; 0 = left out. Rules that hold for a time, and how old a posture may be,
    /// were judged by it.
    pub decided_at: u64,
    /// What else the decision looked at: everything that replaying it needs and no other field has. Each has its name once. At most
    /// [`INPUTS_MAX`](crate::INPUTS_MAX) are written.
    pub inputs: Option<Inputs>,
    /// What the permit obliged the gateway to do, such as `mask:resident_id`.
    pub obligations: Vec<Arc<str>>,
    /// Values that were masked in the answer.
    pub mask_hits: u64,
    /// What a policy under trial would have said.
    pub shadow: Option<Box<Shadow>>,
}

impl Judgement {
    /// A judgement of which nothing but its outcome is known yet.
    #[must_use]
    pub const fn new(decision: Decision) -> Self {
        Self {
            decision,
            reason: None,
            rule: None,
            overridden: Vec::new(),
            layers: [Step::NotReached; 6],
            mode: Mode::Enforced,
            decided_at: 0,
            inputs: None,
            obligations: Vec::new(),
            mask_hits: 0,
            shadow: None,
        }
    }
}

/// Facts of a decision by name: those of a connection, so that its requests share them.
pub type Inputs = Arc<[(Box<str>, Box<str>)]>;

/// Whether a judgement bound anybody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// It was carried out.
    #[default]
    Enforced,
    /// It was only noted.
    Shadow,
}

impl Mode {
    /// The word in the log.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Enforced => "enforced",
            Self::Shadow => "shadow",
        }
    }
}

/// What a policy under trial would have said about a request that another one decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shadow {
    /// What would have come of it.
    pub decision: Decision,
    /// The rule that would have decided.
    pub rule: Option<Arc<str>>,
    /// Which policy: its digest or epoch.
    pub policy: Arc<str>,
}

/// What somebody did to the gateway itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admin {
    /// Who: a user of the machine, or a certificate's subject.
    pub actor: String,
    /// What was done, as a word such as `revoke`.
    pub action: String,
    /// To what.
    pub object: String,
    /// What came of it: `done` or why not.
    pub outcome: String,
}

/// What came of a request, handshake or connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Decision {
    /// All six layers agreed, and it went to the upstream.
    Allowed,
    /// A layer refused the request.
    Denied,
    /// The connection or handshake was refused: there was no request yet.
    Refused,
    /// It ended before there was an outcome: the client left, or the process failed underneath it.
    Aborted,
}

impl Decision {
    /// Every decision.
    pub const ALL: [Self; 4] = [Self::Allowed, Self::Denied, Self::Refused, Self::Aborted];

    /// The word in the log.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
            Self::Refused => "refused",
            Self::Aborted => "aborted",
        }
    }
}

/// Result of one layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Step {
    /// It agreed.
    Pass,
    /// It refused.
    Refuse,
    /// An earlier one had refused.
    #[default]
    NotReached,
}

impl Step {
    /// The word in the log.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Refuse => "refuse",
            Self::NotReached => "not_reached",
        }
    }
}

/// The six layers in order: 端边网云数用.
pub const LAYERS: [&str; 6] = [
    "endpoint",
    "edge",
    "network",
    "cloud",
    "data",
    "application",
];

#[cfg(test)]
mod tests {
    use super::{Decision, Kind};

    /// A new one does not compile here without a place, and with a place has to be in the list.
    #[test]
    fn the_lists_of_kinds_and_decisions_are_whole() {
        for (place, kind) in Kind::ALL.into_iter().enumerate() {
            let own = match kind {
                Kind::Request => 0,
                Kind::End => 1,
                Kind::Handshake => 2,
                Kind::Connection => 3,
                Kind::Start => 4,
                Kind::Stop => 5,
                Kind::Reload => 6,
                Kind::Admin => 7,
                Kind::Recovered => 8,
                Kind::Dropped => 9,
                Kind::Retention => 10,
                Kind::Restored => 11,
            };
            assert_eq!(own, place, "{kind:?}");
        }
        for (place, decision) in Decision::ALL.into_iter().enumerate() {
            let own = match decision {
                Decision::Allowed => 0,
                Decision::Denied => 1,
                Decision::Refused => 2,
                Decision::Aborted => 3,
            };
            assert_eq!(own, place, "{decision:?}");
        }
    }
}
