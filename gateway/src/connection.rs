//! What is known of a client connection: established once, at the handshake, and shared by all its requests.
//!
//! A connection can outlive the generation that it was made in. The first request after a reload sees it anew: its chain against
//! the new trust, its subject by the new template, its zone by the new prefixes. A connection that nobody asks anything of is
//! looked at by `live`, which ends it where a new handshake would fail.

use std::net::SocketAddr;
use std::sync::Arc;

use hangu_certs::{Identity, Names, VerifiedChain};
use http::HeaderValue;
use pingora::http::ResponseHeader;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::proxy::Session as PingoraSession;

use crate::config::ClientAuthentication;
use crate::denial::Denial;
use crate::events::Refused;
use crate::layers::edge::headers::header_value;
use crate::layers::edge::tls_error::refused_chain;
use crate::layers::endpoint::caller::Caller;
use crate::layers::network::limits::{CallerCounts, Proven};
use crate::live::Session;
use crate::snapshot::{Snapshot, TrustGroup};

/// One client connection, as one generation sees it.
#[derive(Debug)]
pub struct Connection {
    /// Index of its listener in the configuration.
    pub listener: usize,
    /// Where it comes from.
    pub client: SocketAddr,
    /// The name that TLS was opened for, in lower case; `None` when the client sent none.
    pub sni: Option<Box<str>>,
    /// Index of the group of hosts that let it in; `None` when no certificate covers the name any more.
    pub group: Option<usize>,
    /// TLS version and application protocol.
    pub channel: &'static str,
    /// Who is speaking; `None` for a client without a certificate.
    pub chain: Option<Arc<VerifiedChain>>,
    /// When it proved to hold its key, in seconds since 1970.
    pub proved_at: i64,
    /// What is known of who is speaking: organisation, device, attributes.
    pub caller: Caller,
    /// The policy subject, and what it is counted by; `None` when there is no usable one.
    pub subject: Option<Subject>,
    /// Why it is refused whatever it asks for: this generation would not have let it in.
    pub refused: Option<Denial>,
    /// The part of its audit records that stays the same.
    pub audited: Arc<hangu_audit::Connection>,
    /// What applications are told of it.
    pub introduction: Introduction,
    address: Box<str>,
    generation: u64,
}

/// What applications are told of a connection, ready to be sent with each of its requests.
#[derive(Debug)]
pub struct Introduction {
    /// The subject; empty when there is none.
    pub subject: HeaderValue,
    /// Where the client is, without its port.
    pub address: HeaderValue,
}

/// The policy subject of a connection.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Its name in the policy.
    pub name: Arc<str>,
    /// What it is counted by.
    pub counts: Arc<CallerCounts>,
}

/// What a handshake established.
#[derive(Clone, Debug)]
pub struct Handshake {
    /// Index of the listener in the configuration.
    pub listener: usize,
    /// Where the client is.
    pub client: SocketAddr,
    /// The name that it asked for, in lower case.
    pub sni: Option<Box<str>>,
    /// TLS version and application protocol.
    pub channel: &'static str,
    /// Its verified chain, if it showed one.
    pub chain: Option<Arc<VerifiedChain>>,
    /// When the handshake was over, in seconds since 1970: the last time that the client proved to hold its key.
    pub proved_at: i64,
}

impl Connection {
    /// A connection as `snapshot` sees it.
    #[must_use]
    pub fn new(handshake: Handshake, snapshot: &Snapshot) -> Self {
        let Handshake {
            listener,
            client,
            sni,
            channel,
            chain,
            proved_at,
        } = handshake;
        let identity = chain.as_ref().map(|chain| &chain.identity);
        let state = snapshot.listeners.get(listener);
        let group = state.and_then(|state| state.group_of(sni.as_deref()));
        let trusted = state
            .zip(group)
            .and_then(|(state, group)| state.groups.get(group));
        let caller = snapshot.callers.caller(identity, vouched(trusted));
        let subject = Subject::new(&caller, client, identity);
        let channel_of = (listener, client, channel);
        let proved = chain.as_ref().map_or(0, |_| proved_at);
        let audited = Arc::new(audited(snapshot, channel_of, (identity, proved), &caller));
        let address = client.ip().to_canonical().to_string();
        let name = subject.as_ref().map_or("", |subject| &subject.name);
        Self {
            introduction: Introduction {
                subject: header_value(name),
                address: header_value(&address),
            },
            address: address.into(),
            listener,
            client,
            sni,
            group,
            channel,
            chain,
            subject,
            proved_at,
            refused: caller.refused,
            caller,
            audited,
            generation: snapshot.generation,
        }
    }

    /// Where it comes from, without the port: no text is made for a request. An IPv4 address is written as such, whatever socket it
    /// came over.
    #[must_use]
    pub fn client_address(&self) -> &str {
        &self.address
    }

    /// Whether it speaks HTTP/2.
    #[must_use]
    pub fn is_http2(&self) -> bool {
        self.channel.ends_with("/h2")
    }

    /// Who is speaking; `None` for a client without a certificate.
    #[must_use]
    pub fn identity(&self) -> Option<&Identity> {
        self.chain.as_ref().map(|chain| &chain.identity)
    }

    /// What the gateway calls whoever is speaking.
    #[must_use]
    pub fn names(&self) -> Names<'_> {
        Names {
            subject: self.subject.as_ref().map(|subject| &*subject.name),
            organisation: self.caller.organisation.as_deref(),
        }
    }

    /// Why another generation would not let the connection in, or would know it as somebody else.
    #[must_use]
    pub fn refused_by(&self, snapshot: &Snapshot, now: i64) -> Option<Denial> {
        if let Err(refused) = admits(snapshot, self, now) {
            return Some(refused.denial);
        }
        let caller = snapshot
            .callers
            .caller(self.identity(), vouched(snapshot.trust_for(self)));
        let names = (caller.subject.as_deref(), caller.organisation.as_deref());
        match names {
            _ if caller.refused.is_some() => caller.refused,
            (None, _) => Some(Denial::NoName),
            names if names != (self.names().subject, self.names().organisation) => {
                Some(Denial::IdentityChanged)
            }
            _ => None,
        }
    }

    /// The same connection under another generation.
    fn renewed(&self, snapshot: &Snapshot, now: i64) -> Self {
        let handshake = Handshake {
            listener: self.listener,
            client: self.client,
            sni: self.sni.clone(),
            channel: self.channel,
            chain: self.chain.clone(),
            proved_at: self.proved_at,
        };
        let mut renewed = Self::new(handshake, snapshot);
        if let Err(refused) = admits(snapshot, &renewed, now) {
            renewed.refused = Some(refused.denial);
        }
        renewed
    }
}

impl Subject {
    /// `None` when the caller has no usable name.
    fn new(caller: &Caller, client: SocketAddr, identity: Option<&Identity>) -> Option<Self> {
        let name: Arc<str> = caller.subject.as_deref()?.into();
        let proven = match identity {
            Some(_) => Proven::ByCertificate,
            None => Proven::Not,
        };
        let organisation = caller.organisation.as_deref();
        let counts = CallerCounts::new(Arc::clone(&name), organisation, client.ip(), proven);
        Some(Self {
            name,
            counts: Arc::new(counts),
        })
    }
}

/// An open connection, as Pingora carries it from request to request.
#[derive(Debug)]
pub struct Live(Arc<Session>);

impl Live {
    /// Packs a connection so that Pingora hands it to each request.
    ///
    /// # Errors
    /// Never: 200 is a status.
    pub fn into_digest(session: Arc<Session>) -> Result<ProxyDigest, Box<pingora::Error>> {
        let unused = ResponseHeader::build(200, Some(0))?;
        let live: Box<Self> = Box::new(Self(session));
        Ok(ProxyDigest::new(Box::new(unused), Some(live)))
    }

    /// The open connection of a request.
    #[must_use]
    pub fn session_of(session: &PingoraSession) -> Option<&Arc<Session>> {
        let digest = session.digest()?.proxy_digest.as_ref()?;
        let live = digest.user_data.as_ref()?.downcast_ref::<Self>()?;
        Some(&live.0)
    }
}

impl Session {
    /// The connection as `snapshot` sees it at `now` (seconds since 1970).
    #[must_use]
    pub fn seen_by(&self, snapshot: &Snapshot, now: i64) -> Arc<Connection> {
        let connection = self.connection.load();
        if connection.generation == snapshot.generation {
            return Arc::clone(&connection);
        }
        let renewed = Arc::new(connection.renewed(snapshot, now));
        self.connection.store(Arc::clone(&renewed));
        renewed
    }
}

/// Of which trust domains a group of hosts lets its authorities speak, where it says so.
fn vouched(group: Option<&TrustGroup>) -> Option<&[String]> {
    group?.trust.spiffe_trust_domains.as_deref()
}

/// Whether a generation would let in this connection, which has this chain or none.
/// What judges its certificates there is the group of its server name, which may have another number in another generation.
fn admits(snapshot: &Snapshot, connection: &Connection, now: i64) -> Result<(), Refused> {
    let Some(group) = snapshot.trust_for(connection) else {
        return Err(Denial::HostMismatch.into());
    };
    match (&connection.chain, group.trust.client_authentication) {
        (Some(chain), _) if group.verifier.still_accepts(chain, now) => Ok(()),
        (Some(chain), _) => group
            .verifier
            .chain(&chain.certificates, now)
            .map(drop)
            .map_err(|error| refused_chain(&error)),
        (None, ClientAuthentication::Optional) => Ok(()),
        (None, ClientAuthentication::Required) => Err(Denial::CertificateRequired.into()),
    }
}

fn audited(
    snapshot: &Snapshot,
    (listener, client, channel): (usize, SocketAddr, &str),
    (identity, proved_at): (Option<&Identity>, i64),
    caller: &Caller,
) -> hangu_audit::Connection {
    let listener_name = snapshot
        .config
        .listeners
        .get(listener)
        .map(|listener| listener.name.as_str());
    let connection = hangu_audit::Connection {
        listener: listener_name.unwrap_or_default().to_owned(),
        client: client.to_string(),
        zone: snapshot.zone_name(listener, client.ip()).to_owned(),
        channel: channel.to_owned(),
        subject: caller.subject.clone().unwrap_or_default(),
        organisation: caller.organisation.clone().unwrap_or_default(),
        device: caller.device_class().to_owned(),
        certificate: identity
            .and_then(|identity| identity.field("fingerprint"))
            .unwrap_or_default()
            .to_owned(),
        serial: identity
            .map(|identity| identity.serial.clone())
            .unwrap_or_default(),
        issuer: identity
            .map(|identity| identity.issuer.clone())
            .unwrap_or_default(),
        proved_at: u64::try_from(proved_at).unwrap_or_default(),
    };
    match &snapshot.pseudonyms {
        Some(pseudonyms) => pseudonyms.connection(connection),
        None => connection,
    }
}
