//! Why a chain is refused: one closed list, for the audit log and for metrics.

use crate::der::Malformed;
use crate::identity::IdentityError;
use crate::revocation::Revocation;

/// Why a chain is refused, and which of its certificates is to blame. On the wire the peer gets an alert and nothing of this.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("certificate {depth} of the chain (`{subject}`): {reason}")]
pub struct ChainError {
    /// The reason.
    pub reason: ChainReason,
    /// Which certificate: 0 is the leaf, 1 its issuer, and so on.
    pub depth: usize,
    /// That certificate's subject in RFC 4514 form; it may be a stranger's invention.
    pub subject: String,
    /// Where that certificate says that its issuer's list is published, when the list is all that its chain lacks: URIs as its CA wrote them.
    /// Everything else of the chain has been verified, all signatures up to the anchor's.
    pub points: Vec<String>,
}

impl ChainError {
    /// The reason's stable code, such as `expired`: for metric labels and the audit log.
    pub fn code(&self) -> &'static str {
        self.reason.code()
    }
}

/// The closed list of reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainReason {
    /// No certificate at all.
    #[error("there is no certificate")]
    NoCertificate,
    /// Bytes that are no clean X.509 v3 certificate.
    #[error("it is malformed: {0}")]
    Malformed(Malformed),
    /// More certificates or bytes than a chain may have.
    #[error(
        "the chain has more than {} certificates or {} bytes",
        crate::path::PRESENTED_MAX,
        crate::path::PRESENTED_BYTES_MAX
    )]
    TooLong,
    /// No path leads to an anchor.
    #[error("its issuer is not trusted")]
    UnknownIssuer,
    /// The issuer is known and did not sign it.
    #[error("its signature is not its issuer's")]
    BadSignature,
    /// After notAfter.
    #[error("it expired at {}", crate::moment(*.not_after))]
    Expired {
        /// Unix seconds.
        not_after: i64,
    },
    /// Before notBefore.
    #[error("it is not valid before {}", crate::moment(*.not_before))]
    NotYetValid {
        /// Unix seconds.
        not_before: i64,
    },
    /// Revoked, or nobody knows.
    #[error("{0}")]
    Revocation(Revocation),
    /// A certificate that is no CA's has issued another.
    #[error("it issued a certificate and is no CA")]
    NotAnAuthority,
    /// Key usage or extended key usage does not allow what it is used for.
    #[error("it may not be used for this: {0}")]
    BadUsage(&'static str),
    /// RSA under 2,048 bits.
    #[error("its key is too weak")]
    WeakKey,
    /// A key or signature of a kind that is not verified here.
    #[error("its key or signature is of a kind that is not accepted, such as SHA-1")]
    UnsupportedAlgorithm,
    /// More CAs below one than it allows.
    #[error("there are more CAs below it than its path length allows")]
    PathLength,
    /// A name outside what a CA above may vouch for.
    #[error("name constraints of a CA above it forbid it: {0}")]
    NameConstraint(&'static str),
    /// Certificate policies that a CA above demands are absent.
    #[error("the certificate policies of its chain do not fit: {0}")]
    Policy(&'static str),
    /// A critical extension that is not processed.
    #[error("it has a critical extension that is not supported")]
    CriticalExtension,
    /// It names nobody.
    #[error("{0}")]
    NameUnusable(IdentityError),
    /// Too many signatures to check: a chain built to waste time.
    #[error("finding its path takes too many signature checks")]
    TooComplex,
}

impl ChainReason {
    /// The reason's stable code.
    pub fn code(&self) -> &'static str {
        match self {
            ChainReason::NoCertificate => "no_certificate",
            ChainReason::Malformed(_) => "malformed",
            ChainReason::TooLong => "too_long",
            ChainReason::UnknownIssuer => "unknown_issuer",
            ChainReason::BadSignature => "bad_signature",
            ChainReason::Expired { .. } => "expired",
            ChainReason::NotYetValid { .. } => "not_yet_valid",
            ChainReason::Revocation(Revocation::Revoked { .. }) => "revoked",
            ChainReason::Revocation(Revocation::ListExpired { .. }) => "revocation_list_expired",
            ChainReason::Revocation(Revocation::NoList { .. }) => "revocation_unknown",
            ChainReason::NotAnAuthority => "not_an_authority",
            ChainReason::BadUsage(_) => "bad_usage",
            ChainReason::WeakKey => "weak_key",
            ChainReason::UnsupportedAlgorithm => "unsupported_algorithm",
            ChainReason::PathLength => "path_length",
            ChainReason::NameConstraint(_) => "name_constraint",
            ChainReason::Policy(_) => "policy",
            ChainReason::CriticalExtension => "critical_extension",
            ChainReason::NameUnusable(_) => "name_unusable",
            ChainReason::TooComplex => "too_complex",
        }
    }

    /// Every code that [`ChainReason::code`] can give, for metrics that are made beforehand.
    pub const CODES: &[&str] = &[
        "no_certificate",
        "malformed",
        "too_long",
        "unknown_issuer",
        "bad_signature",
        "expired",
        "not_yet_valid",
        "revoked",
        "revocation_list_expired",
        "revocation_unknown",
        "not_an_authority",
        "bad_usage",
        "weak_key",
        "unsupported_algorithm",
        "path_length",
        "name_constraint",
        "policy",
        "critical_extension",
        "name_unusable",
        "too_complex",
    ];
}
