//! Revocation lists.

use std::sync::LazyLock;

use hangu_certs::{ListSummary, RevocationIndex, TrustBundle, TrustError};

/// A list of other bytes than those that its authority signed counts for nothing, and what is shown of it is plain text.
///
/// # Panics
/// When a law is broken.
pub fn revocation_list(bytes: &[u8]) {
    if let Ok(summary) = ListSummary::of(bytes) {
        let shown = summary.to_string();
        let is_plain = |character: char| character == '\n' || !character.is_control();
        assert!(shown.chars().all(is_plain), "{shown:?}");
    }
    let Ok(trust) = TRUST.as_ref() else {
        assert!(TRUST.is_ok(), "the authority of this target: {:?}", *TRUST);
        return;
    };
    match RevocationIndex::load(&[("fuzzed.crl", bytes)], trust, NOW) {
        Ok(index) => {
            let is_der = bytes.first() == Some(&0x30);
            assert!(!is_der || bytes == GENUINE, "other bytes are believed");
            assert_eq!(index.entry_count(), 2, "the list names two certificates");
        }
        Err(problems) => {
            assert!(bytes != GENUINE, "what was signed is refused: {problems:?}");
            assert!(!problems.is_empty(), "refused without a reason");
        }
    }
}

static TRUST: LazyLock<Result<TrustBundle, Vec<TrustError>>> = LazyLock::new(|| {
    TrustBundle::from_pem("lists.pem", include_bytes!("../fixtures/lists.pem"), NOW)
});
/// What the authority of `fixtures/lists.pem` signed; its key is gone.
const GENUINE: &[u8] = include_bytes!("../corpus/revocation_list/genuine.crl");
/// 2027-01-01, when both are valid.
const NOW: i64 = 1_798_761_600;
