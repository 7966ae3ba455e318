//! The control socket over TCP, for operators of another machine: mutual TLS, and only subjects that the configuration lists.
//!
//! The verifier is that of the listeners, lists and pushed revocations count as there, and nobody comes without a certificate. Who is
//! refused before there is a call is recorded too, at most one a second with the number of the others: the port is open to a network.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use hangu_certs::{Identity, Names};
use pingora::apps::ServerApp;
use pingora::protocols::l4::stream::Stream as TcpStream;
use pingora::protocols::{GetSocketDigest, Stream};
use pingora::server::ShutdownWatch;
use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::call::Refused;
use super::caller::Caller;
use super::{CALL_TIME, CALLS_MAX, refuse, serve_call, unix_seconds};
use crate::layers::edge::tls_error::{denial_of, refused_chain};
use crate::shared::Shared;
use crate::snapshot::{ControlTrust, Snapshot};

/// The service behind `control.remote`.
#[derive(Debug)]
pub struct Remote {
    shared: Arc<Shared>,
    calls: Semaphore,
    /// The second of the last record of somebody who was refused before his call, and how many were not recorded since.
    recorded: AtomicI64,
    unrecorded: AtomicU64,
}

impl Remote {
    /// Over the process's shared state.
    #[must_use]
    pub fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            calls: Semaphore::new(CALLS_MAX),
            recorded: AtomicI64::new(0),
            unrecorded: AtomicU64::new(0),
        }
    }

    async fn serve(&self, tcp: TcpStream, from: SocketAddr) {
        let snapshot = self.shared.snapshot.load_full();
        let Some(trust) = &snapshot.control else {
            return;
        };
        let acceptor = TlsAcceptor::from(Arc::clone(&trust.tls));
        let mut tls = match timeout(HANDSHAKE_TIME, acceptor.accept(tcp)).await {
            Ok(Ok(tls)) => tls,
            Ok(Err(error)) => {
                let refused = denial_of(&error);
                let why = format!("{} {}", refused.denial.code(), refused.detail);
                return self.refuse_stranger(from, &why).await;
            }
            Err(_) => {
                return self
                    .refuse_stranger(from, "the handshake took too long")
                    .await;
            }
        };
        match self.caller(&tls, trust, &snapshot, from) {
            Ok(caller) => serve_call(&self.shared, tls, &caller).await,
            Err(why) => {
                self.refuse_stranger(from, &why).await;
                drop(timeout(HANDSHAKE_TIME, tls.shutdown()).await);
            }
        }
    }

    /// Who the certificate says that calls, whether or not he may.
    fn caller(
        &self,
        tls: &TlsStream<TcpStream>,
        trust: &ControlTrust,
        snapshot: &Snapshot,
        from: SocketAddr,
    ) -> Result<Caller, String> {
        let presented = tls.get_ref().1.peer_certificates().unwrap_or_default();
        let chain = trust.verifier.chain(presented, unix_seconds());
        let chain = chain.map_err(|error| refused_chain(&error).detail)?;
        let identity: &Identity = &chain.identity;
        let known = snapshot.callers.caller(Some(identity), None);
        let subject = known
            .subject
            .as_deref()
            .ok_or("the certificate has no field for `identity.subject`")?;
        let names = Names {
            subject: Some(subject),
            organisation: known.organisation.as_deref(),
        };
        let pushed = self.shared.pushed.load();
        if let Err(revocation) = pushed.check(Some(identity), names, unix_seconds()) {
            return Err(format!("{subject} is revoked: {}", revocation.target));
        }
        let listed = snapshot.config.control.remote.iter();
        let permitted = known.refused.is_none()
            && listed
                .flat_map(|remote| &remote.subjects)
                .any(|listed| **listed == *subject);
        Ok(Caller::remote(subject, from, permitted))
    }

    async fn refuse_stranger(&self, from: SocketAddr, why: &str) {
        let now = unix_seconds();
        if self.recorded.swap(now, Ordering::AcqRel) == now {
            self.unrecorded.fetch_add(1, Ordering::AcqRel);
            return;
        }
        let why = match self.unrecorded.swap(0, Ordering::AcqRel) {
            0 => why.to_owned(),
            others => format!("{why}; and {others} more since the last such record"),
        };
        let stranger = Caller::remote("", from, false);
        // He has heard an alert and hears nothing more.
        drop(refuse(&self.shared, "connect", &stranger, Refused::new(403, why)).await);
    }
}

#[async_trait]
impl ServerApp for Remote {
    async fn process_new(self: &Arc<Self>, stream: Stream, _: &ShutdownWatch) -> Option<Stream> {
        let tcp = stream.into_any().downcast::<TcpStream>().ok()?;
        let from = tcp
            .get_socket_digest()
            .and_then(|digest| digest.peer_addr().and_then(|peer| peer.as_inet().copied()))?;
        // Whoever finds no place in time is not served; the Unix socket has places of its own.
        let _place = timeout(HANDSHAKE_TIME, self.calls.acquire())
            .await
            .ok()?
            .ok()?;
        if timeout(CALL_TIME, self.serve(*tcp, from)).await.is_err() {
            tracing::warn!("control: a call from {from} took too long");
        }
        None
    }
}

const HANDSHAKE_TIME: Duration = Duration::from_secs(5);
