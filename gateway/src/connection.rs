//! What is known of a client connection: established once, at the handshake, and shared by all its requests.

use std::net::SocketAddr;
use std::sync::Arc;

use hangu_certs::{Identity, Template};
use pingora::http::ResponseHeader;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::proxy::Session;

use crate::layers::network::rates::Counters;

/// One client connection.
#[derive(Debug)]
pub struct Connection {
    /// Index of its listener in the configuration.
    pub listener: usize,
    /// Where it comes from.
    pub client: SocketAddr,
    /// The name that TLS was opened for, in lower case; `None` when the client sent none.
    pub sni: Option<Box<str>>,
    /// Who is speaking; `None` for a client without a certificate where the listener lets it in.
    pub identity: Option<Arc<Identity>>,
    /// What the subject template gave, and what it is counted by; `None` when it gave nothing.
    pub subject: Option<Subject>,
    /// The template that the subject was made by.
    pub named_by: Arc<Template>,
    /// The part of its audit records that stays the same.
    pub audited: Arc<hangu_audit::Connection>,
}

/// The policy subject of a connection.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Its name in the policy.
    pub name: Arc<str>,
    /// Its rate counters; `None` when the table of callers was full.
    pub counters: Option<Counters>,
}

impl Connection {
    /// Packs the connection so that Pingora hands it to each request.
    ///
    /// # Errors
    /// Never: 200 is a status.
    pub fn into_digest(self: Arc<Self>) -> Result<ProxyDigest, Box<pingora::Error>> {
        let unused = ResponseHeader::build(200, Some(0))?;
        Ok(ProxyDigest::new(Box::new(unused), Some(Box::new(self))))
    }

    /// The connection of a request.
    #[must_use]
    pub fn of(session: &Session) -> Option<Arc<Connection>> {
        let digest = session.digest()?.proxy_digest.as_ref()?;
        digest
            .user_data
            .as_ref()?
            .downcast_ref::<Arc<Connection>>()
            .map(Arc::clone)
    }
}
