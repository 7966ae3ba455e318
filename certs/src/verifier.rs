//! The server side of rustls's client authentication.
//!
//! rustls asks a verifier whether a chain is good and takes back no more than yes or no, while the gateway needs the
//! verified path itself (whom to log, what to look up on every request) and the exact reason of a refusal. Both are kept here:
//! the path in a small cache, the reason inside the error.
//!
//! The cache also saves returning clients the signature checks. What it holds is what an immutable trust bundle says about immutable
//! bytes; dates and revocation are checked again every time.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use ring::digest::{Context, SHA256};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, OtherError, SignatureScheme,
};

use crate::chain_error::{ChainError, ChainReason};
use crate::path::{VerifiedChain, verify_client_chain};
use crate::revocation::{Revocation, RevocationIndex};
use crate::trust::TrustBundle;

/// Whether a client must present a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuthentication {
    /// A handshake without one fails.
    Required,
    /// A handshake without one succeeds, and the connection has no identity. One that is presented must be good.
    Optional,
}

/// Verifies client chains in handshakes, for one trust bundle and one generation of its revocation lists.
pub struct ClientVerifier {
    trust: Arc<TrustBundle>,
    revocation: Arc<RevocationIndex>,
    required: ClientAuthentication,
    provider: Arc<CryptoProvider>,
    hints: Vec<DistinguishedName>,
    verified: Mutex<Generations>,
}

impl ClientVerifier {
    /// A verifier. `provider` checks the handshake's own signature; chains are verified by this crate.
    pub fn new(
        trust: Arc<TrustBundle>,
        revocation: Arc<RevocationIndex>,
        required: ClientAuthentication,
        provider: Arc<CryptoProvider>,
    ) -> ClientVerifier {
        let hints = trust
            .anchor_subjects()
            .into_iter()
            .map(DistinguishedName::from)
            .collect();
        ClientVerifier {
            trust,
            revocation,
            required,
            provider,
            hints,
            verified: Mutex::default(),
        }
    }

    /// The verified chain of what a client presented, the leaf first: what a gateway asks for after the handshake with
    /// `peer_certificates`. Usually answered from the cache that the handshake has filled.
    ///
    /// # Errors
    /// As in the handshake, at this `now` (Unix seconds).
    pub fn chain(
        &self,
        presented: &[CertificateDer<'_>],
        now: i64,
    ) -> Result<Arc<VerifiedChain>, ChainError> {
        let Some((end_entity, intermediates)) = presented.split_first() else {
            return Err(ChainError {
                reason: ChainReason::NoCertificate,
                depth: 0,
                subject: "?".to_owned(),
            });
        };
        let key = cache_key(end_entity, intermediates);
        let cached = self
            .verified
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .find(&key);
        if let Some(chain) = cached.filter(|chain| chain.is_current(now)) {
            self.revocation
                .check(&chain.identity.links, now)
                .map_err(|why| revoked(why, &chain))?;
            return Ok(chain);
        }
        let chain = Arc::new(verify_client_chain(
            &self.trust,
            &self.revocation,
            end_entity,
            intermediates,
            now,
        )?);
        self.verified
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key, Arc::clone(&chain));
        Ok(chain)
    }

    /// The exact reason behind a handshake error, when this crate's verifier raised it.
    pub fn reason(error: &rustls::Error) -> Option<&ChainError> {
        let rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(inner))) = error
        else {
            return None;
        };
        inner.downcast_ref()
    }
}

fn revoked(why: Revocation, chain: &VerifiedChain) -> ChainError {
    let depth = why.depth();
    ChainError {
        reason: ChainReason::Revocation(why),
        depth,
        subject: chain.subject(depth),
    }
}

/// Hash of everything that was presented, lengths included.
fn cache_key(end_entity: &CertificateDer<'_>, intermediates: &[CertificateDer<'_>]) -> [u8; 32] {
    let mut hash = Context::new(&SHA256);
    for certificate in std::iter::once(end_entity).chain(intermediates) {
        hash.update(&certificate.len().to_be_bytes());
        hash.update(certificate);
    }
    let mut key = [0; 32];
    key.iter_mut()
        .zip(hash.finish().as_ref())
        .for_each(|(to, from)| *to = *from);
    key
}

/// Two generations of verified chains: when the young one is full it becomes the old one, whose chains are forgotten unless they are
/// asked for again. Bounded, and no look-up costs more than two probes.
#[derive(Default)]
struct Generations {
    young: HashMap<[u8; 32], Arc<VerifiedChain>>,
    old: HashMap<[u8; 32], Arc<VerifiedChain>>,
}

impl Generations {
    fn find(&mut self, key: &[u8; 32]) -> Option<Arc<VerifiedChain>> {
        if let Some(chain) = self.young.get(key) {
            return Some(Arc::clone(chain));
        }
        let chain = self.old.remove(key)?;
        self.insert(*key, Arc::clone(&chain));
        Some(chain)
    }

    fn insert(&mut self, key: [u8; 32], chain: Arc<VerifiedChain>) {
        if self.young.len() >= GENERATION_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, chain);
    }
}

impl ClientCertVerifier for ClientVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.required == ClientAuthentication::Required
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let presented: Vec<CertificateDer<'_>> = std::iter::once(end_entity)
            .chain(intermediates)
            .map(|der| CertificateDer::from(der.as_ref()))
            .collect();
        // Whatever the reason, the alert is certificate_unknown: a stranger does not learn whether a certificate is revoked or a
        // CA known. The reason travels inside the error to the audit log.
        match self.chain(&presented, now) {
            Ok(_verified) => Ok(ClientCertVerified::assertion()),
            Err(why) => Err(rustls::Error::InvalidCertificate(CertificateError::Other(
                OtherError(Arc::new(why)),
            ))),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

impl fmt::Debug for ClientVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientVerifier")
            .field("trust", &self.trust.name())
            .field("required", &self.required)
            .finish_non_exhaustive()
    }
}

/// Chains of one generation: twice this many are remembered, at about 4 KiB each.
const GENERATION_MAX: usize = 2048;
