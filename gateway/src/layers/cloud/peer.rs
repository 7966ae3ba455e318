//! How to speak to an application's upstreams: deadlines, and the identity that they must prove.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pingora::prelude::HttpPeer;
use pingora::protocols::TcpKeepalive;
use pingora::protocols::tls::CaType;
use pingora::utils::tls::CertKey;

use crate::config::{Application, UpstreamProtocol};
use crate::layers::cloud::prover::Prover;
use crate::stage::Permitted;

/// The same for all upstreams of one application in one generation.
#[derive(Debug)]
pub struct PeerSettings {
    connect_timeout: Duration,
    read_timeout: Duration,
    write_timeout: Duration,
    protocol: UpstreamProtocol,
    tls: Option<PeerTls>,
    /// Connections are reused only within this group: one application, one trust, one client certificate.
    group: u64,
}

/// How an upstream may be silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Silence {
    /// As long as the application's `read_timeout`: an answer is due.
    Answer,
    /// Much longer: the request asks for a tunnel, such as a WebSocket, or for a stream, where both may have nothing to say.
    Stream,
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
        application.upstream_protocol.hash(&mut hasher);
        if let Some(tls) = &tls {
            tls.trust_digest.hash(&mut hasher);
            tls.server_name.hash(&mut hasher);
        }
        Self {
            connect_timeout: application.connect_timeout,
            read_timeout: application.read_timeout,
            write_timeout: application.write_timeout,
            protocol: application.upstream_protocol,
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

    /// Whether a connection that speaks `version` is one that the application asked for.
    #[must_use]
    pub fn speaks(&self, version: http::Version) -> bool {
        self.protocol != UpstreamProtocol::Http2 || version == http::Version::HTTP_2
    }

    /// The peer at `address`, for a request that was permitted: without the proof nothing can be forwarded. `left` is what there
    /// is of the time for the whole answer.
    #[must_use]
    pub fn peer(
        &self,
        address: SocketAddr,
        silence: Silence,
        left: Option<Duration>,
        _proof: &Permitted,
    ) -> HttpPeer {
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
        let read_timeout = match silence {
            Silence::Answer => self.read_timeout.min(left.unwrap_or(self.read_timeout)),
            Silence::Stream => self.read_timeout.max(STREAM_SILENCE),
        };
        peer.options.read_timeout = Some(read_timeout);
        peer.options.write_timeout = Some(self.write_timeout);
        peer.options.idle_timeout = Some(POOL_IDLE);
        peer.options.tcp_keepalive = Some(KEEPALIVE);
        if self.protocol == UpstreamProtocol::Http2 {
            // Nothing else is negotiated, and one client's stream leaves room in the window of the connection for all others.
            peer.options.set_http_version(2, 2);
            peer.options.max_h2_streams = STREAMS_MAX;
            peer.options.h2_stream_window_size = Some(STREAM_WINDOW_BYTES);
            peer.options.h2_connection_window_size = Some(CONNECTION_WINDOW_BYTES);
        }
        peer
    }
}

/// How long a connection to an upstream may wait in the pool.
const POOL_IDLE: Duration = Duration::from_secs(60);
/// How long a tunnel or a stream may be silent.
const STREAM_SILENCE: Duration = Duration::from_secs(3600);
/// Streams of one HTTP/2 connection to an upstream: what is lost at once when it breaks.
const STREAMS_MAX: usize = 32;
/// What an upstream may have sent of one answer that its client has not taken yet. A client that takes nothing holds so much of
/// the connection's window, which must not be what the others live on.
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 32 * STREAM_WINDOW_BYTES;
/// How a host is found out that is gone without a word. Not by PING of HTTP/2: servers of gRPC take that for an attack.
const KEEPALIVE: TcpKeepalive = TcpKeepalive {
    idle: Duration::from_secs(60),
    interval: Duration::from_secs(10),
    count: 3,
    user_timeout: Duration::ZERO,
};
