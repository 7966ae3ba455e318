//! Layer: 端 endpoint. Who is calling, proven by X.509, and whether that is still true.
//!
//! - [`TrustBundle`]: the CAs a listener trusts, each checked.
//! - [`RevocationIndex`]: verified revocation lists as one table, asked in the handshake and on every request.
//! - [`PushedRevocations`]: what operators revoke at once, ahead of any list.
//! - [`ClientVerifier`] and [`verify_client_chain`]: a client's chain, judged more strictly than the TLS library would.
//! - [`ServerVerifier`]: the same for the servers behind the gateway, with the identity that each must prove.
//! - [`Identity`] and [`Template`]: who a verified chain speaks for, and text made from it.
//! - [`ServerCertificate`]: the gateway's own certificates.
//! - [`CertificateSummary`] and [`ListSummary`]: what a file says, for people.
//! - [`Authority`]: a small CA for the quickstart, tests and small sites.
//!
//! Time is always an argument, in Unix seconds. Nothing here opens files or sockets or knows HTTP.

mod authority;
mod certificate;
mod chain_cache;
mod chain_error;
mod constraints;
mod coverage;
mod credit_code;
mod crl;
mod crl_error;
mod crl_load;
mod der;
mod field;
mod identity;
mod inspect;
mod issue;
mod name;
mod names;
mod path;
mod pem;
mod points;
mod policies;
mod pushed;
mod revocation;
mod serial;
mod server_certificate;
mod server_verifier;
mod signature;
mod spiffe;
mod table;
mod template;
#[cfg(test)]
mod tests;
mod trust;
mod verifier;

pub use authority::Authority;
pub use chain_error::{ChainError, ChainReason};
pub use credit_code::{CREDIT_CODE_CHARACTERS, CreditCode, CreditCodeError};
pub use crl::CrlNumber;
pub use crl_error::{CrlError, CrlProblem};
pub use der::Malformed;
pub use field::UnknownField;
pub use identity::{Identity, IdentityError, Link, LinkKind, NameHash};
pub use inspect::{CertificateSummary, ListSummary};
pub use issue::{AuthorityError, ClientRequest, Issued, UnixSeconds, Validity};
pub use path::{
    PATH_MAX, PRESENTED_BYTES_MAX, PRESENTED_MAX, Purpose, SIGNATURES_MAX, VerifiedChain,
    verify_chain, verify_client_chain,
};
pub use pushed::{PUSHED_MAX, PushError, PushedRevocation, PushedRevocations, Target, TargetError};
pub use revocation::{CrlExpiry, Revocation, RevocationIndex, Uncovered};
pub use serial::{SERIAL_BYTES_MAX, Serial};
pub use server_certificate::{ServerCertificate, ServerCertificateError, ServerCertificateProblem};
pub use server_verifier::{ExpectedServer, ServerError, ServerVerifier};
pub use spiffe::{SPIFFE_ID_BYTES_MAX, SpiffeError, SpiffeId};
pub use template::{Template, TemplateError};
pub use trust::{AnchorProblem, Expiry, TrustBundle, TrustError};
pub use verifier::{ClientAuthentication, ClientVerifier};

/// A moment as operators read it: `2026-11-24T07:00:00Z`.
pub(crate) fn moment(seconds: i64) -> String {
    let rfc3339 = &time::format_description::well_known::Rfc3339;
    time::OffsetDateTime::from_unix_timestamp(seconds)
        .ok()
        .and_then(|moment| moment.format(rfc3339).ok())
        .unwrap_or_else(|| format!("{seconds} seconds since 1970"))
}
