//! How to speak to an application's upstreams: deadlines, and the identity that they must prove.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pingora::prelude::HttpPeer;
use pingora::protocols::tls::CaType;
use pingora::utils::tls::CertKey;

use crate::config::Application;
use crate::layers::cloud::prover::Prover;
use crate::stage::Permitted;

/// The same for all upstreams of one application in one generation.
#[derive(Debug)]
pub struct PeerSettings {
    connect_timeout: Duration,
    read_timeout: Duration,
    write_timeout: Duration,
    tls: Option<PeerTls>,
    /// Connections are reused only within this group: one application, one trust, one client certificate.
    group: u64,
}

/// How an upstream may be silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// As long as the application's `read_timeout`: an answer is due.
    Answer,
    /// Much longer: the request asks for a tunnel, such as a WebSocket, where both may have nothing to say.
    Tunnel,
}

/// What an upstream must prove and what we show to it.
pub struct PeerTls {
    /// SNI and SAN. Never empty: Pingora verifies nothing for an empty name.
    pub server_name: String,
    /// Whose signature the upstream's certificate must carry.
    pub ca: Arc<CaType>,
    /// Digest of authorities, lists, expected identity and our certificate, so that no pooled connection mixes trust.
    pub trust_digest: [u8; 32],
    /// Whether it must be named by `server_name`; else it is known by something that the prover looks at.
    pub is_known_by_name: bool,
    /// Judges what Pingora cannot.
    pub prover: Arc<Prover>,
    /// Our certificate.
    pub client: Option<Arc<CertKey>>,
}

impl std::fmt::Debug for PeerTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PeerTls")
            .field("server_name", &self.server_name)
            .finish_non_exhaustive()
    }
}

impl PeerSettings {
    /// The settings of an application.
    #[must_use]
    pub fn new(application: &Application, tls: Option<PeerTls>) -> Self {
        let mut hasher = DefaultHasher::new();
        application.name.as_str().hash(&mut hasher);
        if let Some(tls) = &tls {
            tls.trust_digest.hash(&mut hasher);
            tls.server_name.hash(&mut hasher);
        }
        Self {
            connect_timeout: application.connect_timeout,
            read_timeout: application.read_timeout,
            write_timeout: application.write_timeout,
            tls,
            group: hasher.finish(),
        }
    }

    /// The judge of upstreams, and how long it may take; `None` in plain HTTP.
    #[must_use]
    pub fn prover(&self) -> Option<(&Arc<Prover>, Duration)> {
        let tls = self.tls.as_ref()?;
        Some((&tls.prover, self.connect_timeout))
    }

    /// The peer at `address`, for a request that was permitted: without the proof nothing can be forwarded.
    #[must_use]
    pub fn peer(&self, address: SocketAddr, silence: Silence, _proof: &Permitted) -> HttpPeer {
        let name = self
            .tls
            .as_ref()
            .map_or_else(String::new, |tls| tls.server_name.clone());
        let mut peer = HttpPeer::new(address, self.tls.is_some(), name);
        peer.group_key = self.group;
        if let Some(tls) = &self.tls {
            peer.options.ca = Some(Arc::clone(&tls.ca));
            peer.client_cert_key.clone_from(&tls.client);
        }
        peer.options.verify_cert = true;
        peer.options.verify_hostname = self.tls.as_ref().is_none_or(|tls| tls.is_known_by_name);
        peer.options.connection_timeout = Some(self.connect_timeout);
        peer.options.total_connection_timeout = Some(self.connect_timeout);
        peer.options.read_timeout = Some(match silence {
            Silence::Answer => self.read_timeout,
            Silence::Tunnel => self.read_timeout.max(TUNNEL_SILENCE),
        });
        peer.options.write_timeout = Some(self.write_timeout);
        peer.options.idle_timeout = Some(POOL_IDLE);
        peer
    }
}

/// How long a connection to an upstream may wait in the pool.
const POOL_IDLE: Duration = Duration::from_secs(60);
/// How long a tunnel may be silent.
const TUNNEL_SILENCE: Duration = Duration::from_secs(3600);
