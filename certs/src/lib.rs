//! Layer: 端 endpoint. Who is calling, proven by X.509, and whether that is still true.
//!
//! - [`TrustBundle`]: the CAs a listener trusts, each checked.
//! - [`RevocationIndex`]: verified revocation lists as one table, asked in the handshake and on every request.
//! - [`PushedRevocations`]: what operators revoke at once, ahead of any list.
//! - [`ClientVerifier`] and [`verify_client_chain`]: a client's chain, judged more strictly than the TLS library would.
//! - [`ServerVerifier`]: the same for the servers behind the gateway, with the identity that each must prove.
//! - [`Identity`] and [`Template`]: who a verified chain speaks for, and text made from it.
//! - [`Directory`]: what the organisation knows about a holder beyond the certificate.
//! - [`ServerCertificate`]: the gateway's own certificates.
//! - [`OfflineCheck`]: the same judgement out of files, for the command line.
//! - [`CertificateSummary`] and [`ListSummary`]: what a file says, for people.
//! - [`Authority`]: a small CA for the quickstart, tests and small sites.
//!
//! ```
//! use hangu_certs::{Authority, ClientRequest, RevocationIndex, Template, TrustBundle, Validity, verify_client_chain};
//! use rustls_pki_types::{CertificateDer, pem::PemObject};
//!
//! let now = 1_790_000_000;
//! let root = Authority::new_root("Tax Office Root", Validity::days(now, 365))?;
//! let alice = root.issue_client(&ClientRequest::named("alice", Validity::days(now, 30)))?;
//!
//! let trust = TrustBundle::from_pem("clients", root.certificate_pem().as_bytes(), now).map_err(|mut all| all.remove(0))?;
//! let list = root.crl(&[], now, now + 86_400, 1)?;
//! let lists = RevocationIndex::load(&[("root.crl", list.as_bytes())], &trust, now).map_err(|mut all| all.remove(0))?;
//!
//! let leaf = CertificateDer::from_pem_slice(alice.certificate_pem.as_bytes())?;
//! let chain = verify_client_chain(&trust, &lists, &leaf, &[], now)?;
//! let subject = Template::parse("{subject.cn}")?.render(&chain.identity);
//! assert_eq!(subject.as_deref(), Some("alice"));
//!
//! // An hour later, on the same connection:
//! let list = root.crl(&[(alice.serial, now + 1800)], now + 1800, now + 86_400, 2)?;
//! let lists = RevocationIndex::load(&[("root.crl", list.as_bytes())], &trust, now + 3600).map_err(|mut all| all.remove(0))?;
//! assert!(lists.check(&chain.identity.links, now + 3600).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
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
mod csv;
mod der;
mod directory;
mod directory_error;
mod field;
mod identity;
mod inspect;
mod intermediates;
mod issue;
mod name;
mod names;
mod offline;
mod path;
mod pem;
mod points;
mod policies;
mod pushed;
mod revocation;
mod serial;
mod server_certificate;
mod server_verifier;
mod shape;
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
pub use crl_load::Grace;
pub use der::Malformed;
pub use directory::{Directory, Holder};
pub use directory_error::{DirectoryError, DirectoryProblem};
pub use field::UnknownField;
pub use identity::{Fingerprints, Identity, IdentityError, Link, LinkKind, NameHash};
pub use inspect::{CertificateSummary, ListSummary};
pub use issue::{AuthorityError, ClientRequest, Issued, Reason, Revoked, UnixSeconds, Validity};
pub use offline::{OfflineCheck, OfflineError, OfflineVerdict};
pub use path::{
    PATH_MAX, PRESENTED_BYTES_MAX, PRESENTED_MAX, Purpose, SIGNATURES_MAX, VerifiedChain,
    verify_chain, verify_client_chain,
};
pub use pushed::{
    Names, PUSHED_MAX, PushError, PushedRevocation, PushedRevocations, Target, TargetError,
};
pub use revocation::{CrlExpiry, Revocation, RevocationIndex, Uncovered};
pub use serial::{SERIAL_BYTES_MAX, Serial};
pub use server_certificate::{ServerCertificate, ServerCertificateError, ServerCertificateProblem};
pub use server_verifier::{ExpectedServer, ServerError, ServerVerifier};
pub use spiffe::{SPIFFE_ID_BYTES_MAX, SpiffeError, SpiffeId};
pub use template::{Template, TemplateError};
pub use trust::{AnchorName, AnchorProblem, Expiry, TrustBundle, TrustError};
pub use verifier::{ClientAuthentication, ClientVerifier};

/// A moment as operators read it: `2026-11-24T07:00:00Z`.
pub(crate) fn moment(seconds: i64) -> String {
    let rfc3339 = &time::format_description::well_known::Rfc3339;
    time::OffsetDateTime::from_unix_timestamp(seconds)
        .ok()
        .and_then(|moment| moment.format(rfc3339).ok())
        .unwrap_or_else(|| format!("{seconds} seconds since 1970"))
}
