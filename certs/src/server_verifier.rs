//! Layer: 云 cloud. The client side of rustls: whether a server behind the gateway is the one that it should be.
//!
//! A private CA vouches for many servers, so that "signed by our CA" is not an identity: each upstream is pinned to a host name, a
//! SPIFFE id, a URI or a key. Chains are judged by the same code as clients' are, revocation included.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, OtherError, SignatureScheme};

use crate::chain_cache::ChainCache;
use crate::chain_error::ChainError;
use crate::identity::Identity;
use crate::name;
use crate::path::{Purpose, VerifiedChain};
use crate::revocation::RevocationIndex;
use crate::spiffe::SpiffeId;
use crate::trust::TrustBundle;

/// Who a server must prove to be, beyond a chain to the trust bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExpectedServer {
    /// The DNS name or IP address that the connection asks for (SNI) is among its alternative names.
    RequestedName,
    /// It has this SPIFFE id.
    Spiffe(SpiffeId),
    /// It has this URI among its alternative names, byte for byte.
    Uri(String),
    /// The SHA-256 of its SubjectPublicKeyInfo is this one.
    Key([u8; 32]),
}

/// Why a server is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServerError {
    /// Its chain is not accepted.
    #[error("{0}")]
    Chain(#[from] ChainError),
    /// Its chain is good, and it is somebody else.
    #[error("the server is {presented} and not {expected}")]
    WrongServer {
        /// Who it had to be.
        expected: String,
        /// Who it is.
        presented: String,
    },
}

impl ServerError {
    /// A stable code: a chain's (see [`ChainError::code`]) or `wrong_server`.
    pub fn code(&self) -> &'static str {
        match self {
            ServerError::Chain(error) => error.code(),
            ServerError::WrongServer { .. } => "wrong_server",
        }
    }
}

/// Verifies the servers of one upstream.
pub struct ServerVerifier {
    chains: ChainCache,
    expected: ExpectedServer,
    provider: Arc<CryptoProvider>,
}

impl ServerVerifier {
    /// A verifier. `provider` checks the handshake's own signature; chains are verified by this crate.
    pub fn new(
        trust: Arc<TrustBundle>,
        revocation: Arc<RevocationIndex>,
        expected: ExpectedServer,
        provider: Arc<CryptoProvider>,
    ) -> ServerVerifier {
        ServerVerifier {
            chains: ChainCache::new(trust, revocation, Purpose::Server),
            expected,
            provider,
        }
    }

    /// Judges what a server presented, the leaf first, at `now` (Unix seconds): the code that the handshake runs.
    ///
    /// # Errors
    /// One reason.
    pub fn chain(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        requested: &ServerName<'_>,
        now: i64,
    ) -> Result<Arc<VerifiedChain>, ServerError> {
        let chain = self.chains.chain(end_entity, intermediates, now)?;
        let identity = &chain.identity;
        let is_expected = match &self.expected {
            ExpectedServer::RequestedName => is_named(end_entity, requested),
            ExpectedServer::Spiffe(id) => identity.spiffe.as_ref() == Some(id),
            ExpectedServer::Uri(uri) => identity.uris.contains(uri),
            ExpectedServer::Key(key) => identity.key_fingerprint == *key,
        };
        if is_expected {
            Ok(chain)
        } else {
            Err(self.wrong_server(identity, requested))
        }
    }

    fn wrong_server(&self, identity: &Identity, requested: &ServerName<'_>) -> ServerError {
        let expected = match &self.expected {
            ExpectedServer::RequestedName => format!("`{}`", requested.to_str()),
            ExpectedServer::Spiffe(id) => format!("`{id}`"),
            ExpectedServer::Uri(uri) => format!("`{uri}`"),
            ExpectedServer::Key(key) => format!("the holder of key `{}`", name::hex(key)),
        };
        let names = identity
            .uris
            .iter()
            .chain(&identity.dns)
            .map(|name| format!("`{name}`"));
        let addresses = identity.ips.iter().map(|address| format!("`{address}`"));
        let names: Vec<String> = names.chain(addresses).take(NAMES_SHOWN_MAX).collect();
        let presented = if names.is_empty() {
            "without a name".to_owned()
        } else {
            names.join(", ")
        };
        ServerError::WrongServer {
            expected,
            presented,
        }
    }

    /// The exact reason behind a handshake error, when this verifier raised it.
    pub fn reason(error: &rustls::Error) -> Option<&ServerError> {
        let rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(inner))) = error
        else {
            return None;
        };
        inner.downcast_ref()
    }
}

fn is_named(end_entity: &CertificateDer<'_>, requested: &ServerName<'_>) -> bool {
    webpki::EndEntityCert::try_from(end_entity).is_ok_and(|certificate| {
        certificate
            .verify_is_valid_for_subject_name(requested)
            .is_ok()
    })
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        match self.chain(end_entity, intermediates, server_name, now) {
            Ok(_verified) => Ok(ServerCertVerified::assertion()),
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

impl fmt::Debug for ServerVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerVerifier")
            .field("trust", &self.chains.trust().name())
            .field("expected", &self.expected)
            .finish_non_exhaustive()
    }
}

/// Names of a wrong server that are shown.
const NAMES_SHOWN_MAX: usize = 8;
