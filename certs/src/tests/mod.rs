//! Behaviour of the crate as a whole, with certificates made here: clean ones by the crate's own authority, odd ones byte by byte.

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
mod paths;
mod policies;
mod pushed;
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
