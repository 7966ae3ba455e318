//! Behaviour of the crate as a whole, with certificates made here: clean ones by the crate's own authority, odd ones byte by byte.
//!
//! The sections of NIST's path validation test suite (PKITS) and where each has its counterpart:
//!
//! | section | here |
//! |---|---|
//! | 4.1 signatures, 4.2 validity, 4.3 name chaining | `chains.rs`, `rules.rs` |
//! | 4.4 revocation, 4.14 distribution points, 4.15 delta lists | `lists.rs`, `coverage.rs` |
//! | 4.5 self-issued certificates, 4.6 basic constraints | `paths.rs`, `chains.rs` |
//! | 4.7 key usage, 4.16 private extensions | `chains.rs`, `rules.rs`, `trust.rs` |
//! | 4.8 to 4.12 policies, demanded, mapped, inhibited | `policies.rs` |
//! | 4.13 name constraints | `constraints.rs` |
//!
//! Two other judges are asked what they think of the same chains: webpki (`second_opinion.rs`) and OpenSSL (`openssl.rs`).

mod authority;
mod chains;
mod constraints;
mod coverage;
pub(crate) mod craft;
mod directory;
mod handshake;
mod hostile;
mod identity;
mod inspect;
mod lists;
mod offline;
mod openssl;
mod paths;
mod policies;
mod pushed;
mod rules;
mod second_opinion;
mod server_certificate;
mod server_verifier;
mod template;
mod trust;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

/// 2026-09-21, when every test takes place.
const NOW: i64 = 1_790_000_000;
const DAY: i64 = 86_400;

fn ders(pem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .map(Result::unwrap)
        .collect()
}
