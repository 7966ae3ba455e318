//! Client certificates.

use std::sync::LazyLock;

use hangu_certs::{
    Identity, RevocationIndex, TrustBundle, TrustError, Uncovered, verify_client_chain,
};
use rustls_pki_types::CertificateDer;

/// A certificate names its subject in plain text or not at all, and no other bytes than those that the authority signed are
/// accepted.
///
/// # Panics
/// When a law is broken.
pub fn certificate_identity(bytes: &[u8]) {
    let der = CertificateDer::from(bytes);
    let identity = Identity::from_chain(std::slice::from_ref(&der));
    if let Ok(identity) = &identity {
        check_texts(identity);
    }
    let Ok(trust) = TRUST.as_ref() else {
        assert!(TRUST.is_ok(), "the authority of this target: {:?}", *TRUST);
        return;
    };
    let revocation = RevocationIndex::empty(Uncovered::Accepted);
    let verified = verify_client_chain(trust, &revocation, &der, &[], NOW);
    assert_eq!(
        verified.as_ref().map(|_| ()).ok(),
        (bytes == GENUINE).then_some(()),
        "what was signed and what is accepted differ"
    );
    assert!(
        verified.is_err() || identity.is_ok(),
        "a verified chain that names nobody"
    );
}

/// Whatever a policy, a log line or a header field could be made of.
fn check_texts(identity: &Identity) {
    for name in Identity::FIELDS {
        if let Some(text) = identity.field(name) {
            assert!(!text.is_empty(), "`{name}` is empty");
            assert!(
                !text.chars().any(char::is_control),
                "`{name}` has control characters: {text:?}"
            );
        }
    }
    assert!(
        !identity.issuer.chars().any(char::is_control),
        "the issuer has control characters"
    );
    assert!(
        identity
            .serial
            .chars()
            .all(|digit| digit.is_ascii_hexdigit() || digit == ':'),
        "{}",
        identity.serial
    );
}

static TRUST: LazyLock<Result<TrustBundle, Vec<TrustError>>> =
    LazyLock::new(|| TrustBundle::from_pem("ca.pem", include_bytes!("../fixtures/ca.pem"), NOW));
/// What the authority of `fixtures/ca.pem` signed; its key is gone.
const GENUINE: &[u8] = include_bytes!("../corpus/certificate_identity/genuine.der");
/// 2027-01-01, when both are valid.
const NOW: i64 = 1_798_761_600;
