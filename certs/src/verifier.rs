//! The server side of rustls's client authentication.
//!
//! rustls asks a verifier whether a chain is good and takes back no more than yes or no, while the gateway needs the
//! verified path itself (whom to log, what to look up on every request) and the exact reason of a refusal. The path is found again
//! in the cache of verified chains, the reason inside the error.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, OtherError, SignatureScheme,
};

use crate::chain_cache::ChainCache;
use crate::chain_error::ChainError;
use crate::path::{Purpose, VerifiedChain};
use crate::revocation::RevocationIndex;
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
    chains: ChainCache,
    required: ClientAuthentication,
    provider: Arc<CryptoProvider>,
    hints: Vec<DistinguishedName>,
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
        let chains = ChainCache::new(trust, revocation, Purpose::Client);
        ClientVerifier {
            chains,
            required,
            provider,
            hints,
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
        self.chains.presented(presented, now)
    }

    /// Whether a chain that another generation has verified stands in this one too, at `now` (Unix seconds): its anchor is still
    /// trusted, its dates hold and no list names it. No signature is checked again, since neither they nor the anchor have changed.
    /// `false` says only that it takes [`ClientVerifier::chain`] to know: there may be another path.
    pub fn still_accepts(&self, chain: &VerifiedChain, now: i64) -> bool {
        self.chains.still_accepts(chain, now)
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
        // Whatever the reason, the alert is certificate_unknown: a stranger does not learn whether a certificate is revoked or a
        // CA known. The reason travels inside the error to the audit log.
        match self.chains.chain(end_entity, intermediates, now) {
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
            .field("trust", &self.chains.trust().name())
            .field("required", &self.required)
            .finish_non_exhaustive()
    }
}
