//! Who an upstream is, judged by the code that judges clients, before it hears a byte of a request.
//!
//! Pingora's connector checks that an authority signed the upstream and, where it goes by name, the name. It knows no revocation lists, no
//! SPIFFE ids and none of what the chain rules of `certs` refuse, and it shows nobody the chain: only the digest of the certificate whose
//! key the upstream has proven to hold. So each certificate is judged once over a handshake of our own, and every request asks
//! whether the one behind its connection is among those, and still good. See docs/adr/0022-upstreams-are-judged-beside-pingora.md.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use hangu_certs::{RevocationIndex, ServerVerifier, VerifiedChain};
use rustls::ClientConfig;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// Judges the upstreams of one application in one generation.
pub struct Prover {
    tls: TlsConnector,
    server_name: ServerName<'static>,
    verifier: Arc<ServerVerifier>,
    revocation: Arc<RevocationIndex>,
    /// Chains that were found good, the newest first.
    known: ArcSwap<Vec<Arc<VerifiedChain>>>,
    /// One handshake at a time: of many requests that meet a new certificate, the first finds out for all.
    turn: Mutex<()>,
}

/// Why an upstream is not spoken to.
#[derive(Debug, thiserror::Error)]
pub enum Unproven {
    /// Its certificate was good and is not any more.
    #[error("its certificate has ended or was revoked")]
    NoLongerGood,
    /// It could not be asked.
    #[error("it cannot be judged: {0}")]
    Refused(String),
    /// It did not answer in time.
    #[error("it did not prove itself within {} ms", .0.as_millis())]
    Late(Duration),
    /// What it shows is not what it has shown.
    #[error("it shows another certificate at each connection")]
    Fickle,
}

impl Prover {
    /// With a TLS configuration that trusts `verifier` alone; `server_name` is sent as SNI.
    #[must_use]
    pub fn new(
        config: ClientConfig,
        server_name: ServerName<'static>,
        verifier: Arc<ServerVerifier>,
        revocation: Arc<RevocationIndex>,
    ) -> Self {
        Self {
            tls: TlsConnector::from(Arc::new(config)),
            server_name,
            verifier,
            revocation,
            known: ArcSwap::default(),
            turn: Mutex::new(()),
        }
    }

    /// Takes over from the generation before what is good by this one's rules too, so that a reload asks nobody anew.
    pub fn learn_from(&self, before: &Prover, now: i64) {
        for chain in before.known.load().iter() {
            if let Ok(chain) = self.judge(&chain.certificates, now) {
                self.remember(&chain);
            }
        }
    }

    /// Whether the upstream at `address`, which has proven to hold the key of the certificate with this SHA-256, is who it must be, at `now`
    /// (seconds since 1970). A known certificate costs no lock and no allocation; a new one a handshake of at most `within`.
    ///
    /// # Errors
    /// Why not.
    pub async fn prove(
        &self,
        address: SocketAddr,
        fingerprint: &[u8],
        now: i64,
        within: Duration,
    ) -> Result<(), Unproven> {
        if let Some(known) = self.known_good(fingerprint, now) {
            return known;
        }
        let found_out = async {
            let _turn = self.turn.lock().await;
            for _ in 0..HANDSHAKES_MAX {
                if let Some(known) = self.known_good(fingerprint, now) {
                    return known;
                }
                self.ask(address, now).await.map_err(Unproven::Refused)?;
            }
            self.known_good(fingerprint, now)
                .unwrap_or(Err(Unproven::Fickle))
        };
        timeout(within, found_out)
            .await
            .unwrap_or(Err(Unproven::Late(within)))
    }

    fn known_good(&self, fingerprint: &[u8], now: i64) -> Option<Result<(), Unproven>> {
        let known = self.known.load();
        let chain = known
            .iter()
            .find(|chain| chain.identity.fingerprint == *fingerprint)?;
        let identity = &chain.identity;
        let is_good =
            now <= identity.not_after && self.revocation.check(&identity.links, now).is_ok();
        Some(is_good.then_some(()).ok_or(Unproven::NoLongerGood))
    }

    /// A handshake and nothing more.
    async fn ask(&self, address: SocketAddr, now: i64) -> Result<(), String> {
        let tcp = TcpStream::connect(address)
            .await
            .map_err(|why| why.to_string())?;
        let tls = self
            .tls
            .connect(self.server_name.clone(), tcp)
            .await
            .map_err(|why| reason(&why))?;
        let presented = tls.get_ref().1.peer_certificates().unwrap_or_default();
        let chain = self.judge(presented, now)?;
        self.remember(&chain);
        Ok(())
    }

    fn judge(
        &self,
        presented: &[CertificateDer<'_>],
        now: i64,
    ) -> Result<Arc<VerifiedChain>, String> {
        let (leaf, others) = presented.split_first().ok_or("it showed no certificate")?;
        self.verifier
            .chain(leaf, others, &self.server_name, now)
            .map_err(|why| why.to_string())
    }

    fn remember(&self, chain: &Arc<VerifiedChain>) {
        self.known.rcu(|known| {
            let others = known
                .iter()
                .filter(|other| other.identity.fingerprint != chain.identity.fingerprint);
            std::iter::once(chain)
                .chain(others)
                .take(KNOWN_MAX)
                .cloned()
                .collect::<Vec<_>>()
        });
    }
}

impl std::fmt::Debug for Prover {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prover")
            .field("server_name", &self.server_name)
            .finish_non_exhaustive()
    }
}

fn reason(error: &std::io::Error) -> String {
    let tls = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    tls.and_then(ServerVerifier::reason)
        .map_or_else(|| error.to_string(), ToString::to_string)
}

/// Instances behind one address may each have a certificate of their own; so many handshakes are tried to meet the right one.
const HANDSHAKES_MAX: usize = 8;
/// Certificates that are known to be good: one for each instance, and those before a renewal.
const KNOWN_MAX: usize = 512;
