//! Why a handshake failed, out of what rustls says: the certificate's fault by its exact reason, anything else by its own words.

use std::io;

use hangu_certs::{ChainError, ChainReason, ClientVerifier, Revocation};

use crate::denial::Denial;
use crate::events::Refused;

/// The denial of a failed accept.
#[must_use]
pub fn denial_of(error: &io::Error) -> Refused {
    let Some(tls) = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>())
    else {
        return Refused {
            denial: Denial::TlsFailed,
            detail: error.to_string(),
        };
    };
    if matches!(tls, rustls::Error::NoCertificatesPresented) {
        return Refused {
            denial: Denial::CertificateRequired,
            detail: tls.to_string(),
        };
    }
    match ClientVerifier::reason(tls) {
        Some(chain) => refused_chain(chain),
        None => Refused {
            denial: Denial::TlsFailed,
            detail: tls.to_string(),
        },
    }
}

/// Where the lists are published for want of which a handshake failed, and nothing but them.
#[must_use]
pub fn lists_wanted(error: &io::Error) -> &[String] {
    let tls = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    tls.and_then(ClientVerifier::reason)
        .map_or(&[], |chain| &chain.points)
}

/// The denial of a chain that was not accepted, with the certificate and the reason in words.
#[must_use]
pub fn refused_chain(error: &ChainError) -> Refused {
    Refused {
        denial: denial_of_reason(&error.reason),
        detail: error.to_string(),
    }
}

fn denial_of_reason(reason: &ChainReason) -> Denial {
    match reason {
        ChainReason::NoCertificate => Denial::CertificateRequired,
        ChainReason::Malformed(_) | ChainReason::TooLong => Denial::CertificateMalformed,
        ChainReason::UnknownIssuer | ChainReason::BadSignature => Denial::CertificateUntrusted,
        ChainReason::Expired { .. } => Denial::CertificateExpired,
        ChainReason::NotYetValid { .. } => Denial::CertificateNotYetValid,
        ChainReason::Revocation(Revocation::Revoked { .. }) => Denial::Revoked,
        ChainReason::Revocation(Revocation::ListExpired { .. } | Revocation::NoList { .. }) => {
            Denial::RevocationUnknown
        }
        ChainReason::NameUnusable(_) => Denial::NoName,
        ChainReason::NotAnAuthority
        | ChainReason::BadUsage(_)
        | ChainReason::WeakKey
        | ChainReason::UnsupportedAlgorithm
        | ChainReason::PathLength
        | ChainReason::NameConstraint(_)
        | ChainReason::Policy(_)
        | ChainReason::CriticalExtension
        | ChainReason::TooComplex => Denial::CertificateUnfit,
    }
}
