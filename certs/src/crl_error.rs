//! What is wrong with a revocation list, for the operator who configured it.

use crate::crl::{CrlNumber, ListProblem};
use crate::der::Malformed;
use crate::revocation::Revocation;

/// Why a revocation list is refused: which file, what, how to mend it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("revocation list `{file}`: {problem}")]
pub struct CrlError {
    /// The file's name, as configured.
    pub file: String,
    /// What is wrong.
    pub problem: CrlProblem,
}

impl CrlError {
    pub(crate) fn new(file: &str, problem: CrlProblem) -> CrlError {
        CrlError {
            file: file.to_owned(),
            problem,
        }
    }
}

/// What can be wrong with a revocation list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CrlProblem {
    /// Nothing in the file.
    #[error("it holds no list; expected DER, or PEM blocks starting `-----BEGIN X509 CRL-----`")]
    Empty,
    /// Over the bounds.
    #[error(
        "it is over 512 MiB, or the lists together have more than 16 million entries or 65535 issuers"
    )]
    TooLarge,
    /// Broken PEM.
    #[error("it is not readable as PEM ({0}); fetch it again")]
    Pem(&'static str),
    /// Broken DER.
    #[error("it is malformed: {0}; fetch it again")]
    Malformed(Malformed),
    /// A delta list.
    #[error("it is a delta list, which is not supported; configure the complete list")]
    Delta,
    /// An indirect list.
    #[error(
        "it is an indirect list (it speaks for other issuers), which is not supported; configure each issuer's own list"
    )]
    Indirect,
    /// A list of some reasons, or of attribute certificates.
    #[error(
        "it covers only some reasons or only attribute certificates (issuingDistributionPoint); configure the complete list"
    )]
    Partial,
    /// A critical extension that we do not process.
    #[error("it has a critical extension that is not supported; ask its CA for a list without it")]
    UnknownCritical,
    /// No nextUpdate.
    #[error(
        "it has no nextUpdate, so that nobody can tell when it is stale; ask its CA for a list with one"
    )]
    NoNextUpdate,
    /// Issued in the future.
    #[error("it is not valid before {}; check the clock", crate::moment(*.this_update))]
    NotYetValid {
        /// Unix seconds.
        this_update: i64,
    },
    /// Past its nextUpdate.
    #[error("it expired at {}; fetch the current one", crate::moment(*.next_update))]
    Expired {
        /// Unix seconds.
        next_update: i64,
    },
    /// Its issuer is not in the bundle.
    #[error(
        "its issuer `{issuer}` is not in the trust bundle; add that CA's certificate to the bundle, or take the list out"
    )]
    UnknownIssuer {
        /// RFC 4514 form.
        issuer: String,
    },
    /// The issuer did not sign it.
    #[error(
        "its signature is not that of `{issuer}`; the file is damaged or forged, fetch it again"
    )]
    BadSignature {
        /// RFC 4514 form.
        issuer: String,
    },
    /// SHA-1 and the like.
    #[error(
        "its signature algorithm is not supported or does not fit its issuer's key; it needs SHA-256 or better"
    )]
    Algorithm,
    /// The certificate that signed it is out of date.
    #[error(
        "the certificate of its issuer `{issuer}` is not valid now; put the current one into the trust bundle"
    )]
    SignerNotCurrent {
        /// RFC 4514 form.
        issuer: String,
    },
    /// The certificate that signed it is revoked, or nobody knows.
    #[error(
        "it is not counted, because it is signed for `{issuer}` with a certificate of its own, and {why}"
    )]
    SignerNotGood {
        /// RFC 4514 form.
        issuer: String,
        /// What a list says of the signer.
        why: Revocation,
    },
    /// A newer one was loaded before.
    #[error(
        "its number {number} is lower than {last}, which was loaded before; somebody put an old list back"
    )]
    Older {
        /// The list's number.
        number: CrlNumber,
        /// The number that was loaded before.
        last: CrlNumber,
    },
    /// keyUsage without cRLSign.
    #[error("its issuer `{issuer}` may not sign lists (its key usage lacks cRLSign)")]
    MayNotSign {
        /// RFC 4514 form.
        issuer: String,
    },
}

impl CrlProblem {
    /// Whether the list is of a kind that is not supported, so that it may say what is not understood.
    pub(crate) fn is_unsupported(&self) -> bool {
        matches!(
            self,
            CrlProblem::Delta
                | CrlProblem::Indirect
                | CrlProblem::Partial
                | CrlProblem::UnknownCritical
        )
    }

    pub(crate) fn of(problem: ListProblem) -> CrlProblem {
        match problem {
            ListProblem::Malformed(why) => CrlProblem::Malformed(why),
            ListProblem::Delta => CrlProblem::Delta,
            ListProblem::Indirect => CrlProblem::Indirect,
            ListProblem::Partial => CrlProblem::Partial,
            ListProblem::UnknownCritical => CrlProblem::UnknownCritical,
        }
    }
}
