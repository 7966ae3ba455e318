//! Every way in which a chain is refused, and what is accepted; webpki as the second opinion.

use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};

use super::craft::{
    BASIC_CONSTRAINTS, CN, Draft, ECDSA_SHA1, EXTENDED_KEY_USAGE, KEY_USAGE, Made, PRIVATE, bundle,
    name, seq, tlv,
};
use super::{DAY, NOW};
use crate::chain_error::{ChainError, ChainReason};
use crate::path::{VerifiedChain, verify_client_chain};
use crate::revocation::{RevocationIndex, Uncovered};

/// Judges a chain; `path` is the leaf and whatever is presented with it.
pub(super) fn judge_at(
    anchors: &[&Made],
    path: &[&Made],
    now: i64,
) -> Result<VerifiedChain, ChainError> {
    let ours = judge_alone_at(anchors, path, now);
    if ours.is_ok() {
        second_opinion(anchors, &presented(path), now);
    }
    ours
}

fn presented<'a>(path: &[&'a Made]) -> Vec<CertificateDer<'a>> {
    path.iter()
        .map(|made| CertificateDer::from(made.der.as_slice()))
        .collect()
}

fn judge_alone_at(
    anchors: &[&Made],
    path: &[&Made],
    now: i64,
) -> Result<VerifiedChain, ChainError> {
    let presented = presented(path);
    let unchecked = RevocationIndex::empty(Uncovered::Accepted);
    verify_client_chain(
        &bundle(anchors),
        &unchecked,
        &presented[0],
        &presented[1..],
        now,
    )
}

/// Without the second opinion: for what webpki refuses because it cannot process it.
pub(super) fn judge_alone(anchors: &[&Made], path: &[&Made]) -> Result<VerifiedChain, ChainError> {
    judge_alone_at(anchors, path, NOW)
}

/// What we accept, webpki accepts too.
fn second_opinion(anchors: &[&Made], presented: &[CertificateDer<'_>], now: i64) {
    let ders: Vec<CertificateDer<'_>> = anchors
        .iter()
        .map(|made| CertificateDer::from(made.der.as_slice()))
        .collect();
    let anchors: Vec<TrustAnchor<'_>> = ders
        .iter()
        .map(|der| webpki::anchor_from_trusted_cert(der).unwrap())
        .collect();
    let leaf = webpki::EndEntityCert::try_from(&presented[0]).unwrap();
    let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(now as u64));
    let usage = webpki::KeyUsage::client_auth();
    let theirs = leaf.verify_for_usage(
        webpki::ALL_VERIFICATION_ALGS,
        &anchors,
        &presented[1..],
        now,
        usage,
        None,
        None,
    );
    assert!(
        theirs.is_ok(),
        "webpki refuses what we accept: {:?}",
        theirs.err()
    );
}

pub(super) fn judge(anchors: &[&Made], path: &[&Made]) -> Result<VerifiedChain, ChainError> {
    judge_at(anchors, path, NOW)
}

/// The code and the certificate that a refusal blames.
pub(super) fn refusal(result: Result<VerifiedChain, ChainError>) -> (&'static str, usize) {
    let error = result.expect_err("the chain must be refused");
    assert!(ChainReason::CODES.contains(&error.code()));
    (error.code(), error.depth)
}

#[test]
fn a_leaf_below_a_root_or_an_intermediate_is_accepted() {
    let root = Draft::authority("root").self_signed();
    let middle = Draft::authority("middle").signed_by(&root);
    let leaf = Draft::leaf("alice").signed_by(&middle);
    let chain = judge(&[&root], &[&leaf, &middle]).unwrap();
    assert_eq!(chain.identity.common_name.as_deref(), Some("alice"));
    assert_eq!(chain.certificates.len(), 3);
    assert_eq!(chain.identity.links.len(), 2, "the root is not looked up");

    let direct = Draft::leaf("bob").signed_by(&root);
    assert_eq!(judge(&[&root], &[&direct]).unwrap().identity.links.len(), 1);
    // The client sends its root and a stranger too, in any order.
    let stranger = Draft::authority("stranger").self_signed();
    assert!(judge(&[&root], &[&leaf, &stranger, &root, &middle]).is_ok());
    // An intermediate that is in the bundle need not be sent.
    assert!(judge(&[&root, &middle], &[&leaf]).is_ok());
    // An intermediate alone is an anchor.
    assert!(judge(&[&middle], &[&leaf]).is_ok());
}

/// A SubjectPublicKeyInfo.
fn rsa_1024() -> Vec<u8> {
    let number = tlv(2, &[&[0], [0xc3; 128].as_slice()].concat());
    let bits = tlv(
        3,
        &[&[0], seq(&[&number, &[2, 3, 1, 0, 1]]).as_slice()].concat(),
    );
    seq(&[
        &[
            0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0,
        ],
        &bits,
    ])
}

#[test]
fn a_leaf_that_is_not_a_client_certificate_is_refused() {
    let root = Draft::authority("root").self_signed();
    let server_auth = seq(&[&tlv(6, &[0x2b, 6, 1, 5, 5, 7, 3, 1])]);
    let any_usage = seq(&[&tlv(6, &[0x55, 0x1d, 37, 0])]);
    let leaf = || Draft::leaf("alice");
    for (draft, code, why) in [
        (
            leaf().edit(|d| d.not_after = NOW - 1),
            "expired",
            "yesterday's",
        ),
        (
            leaf().edit(|d| d.not_before = NOW + 1),
            "not_yet_valid",
            "tomorrow's",
        ),
        (
            leaf().extension(BASIC_CONSTRAINTS, true, &[0x30, 3, 1, 1, 0xff]),
            "bad_usage",
            "a CA's",
        ),
        (
            leaf().extension(KEY_USAGE, true, &[3, 2, 2, 0x84]),
            "bad_usage",
            "no CA and keyCertSign",
        ),
        (
            leaf().extension(KEY_USAGE, true, &[3, 2, 5, 0x20]),
            "bad_usage",
            "for encipherment only",
        ),
        (
            leaf().extension(EXTENDED_KEY_USAGE, false, &server_auth),
            "bad_usage",
            "a server's",
        ),
        (
            leaf().extension(EXTENDED_KEY_USAGE, false, &any_usage),
            "bad_usage",
            "for anything",
        ),
        (
            leaf().extension(PRIVATE, true, &[5, 0]),
            "critical_extension",
            "an unknown critical extension",
        ),
        (
            leaf().edit(|d| d.algorithm = ECDSA_SHA1.to_vec()),
            "unsupported_algorithm",
            "SHA-1",
        ),
        (
            leaf().edit(|d| d.spki = Some(rsa_1024())),
            "weak_key",
            "RSA of 1024 bits",
        ),
    ] {
        assert_eq!(
            refusal(judge(&[&root], &[&draft.signed_by(&root)])),
            (code, 0),
            "{why}"
        );
    }
}

#[test]
fn usages_are_limits_only_when_they_are_present() {
    let root = Draft::authority("root").self_signed();
    let without_usages = Draft::leaf("alice")
        .without(KEY_USAGE)
        .without(EXTENDED_KEY_USAGE)
        .signed_by(&root);
    assert!(judge(&[&root], &[&without_usages]).is_ok());
}

#[test]
fn dates_are_inclusive_at_both_ends() {
    let root = Draft::authority("root").self_signed();
    let leaf = Draft::leaf("alice")
        .edit(|d| (d.not_before, d.not_after) = (NOW - 5, NOW + 5))
        .signed_by(&root);
    for (now, code) in [
        (NOW - 6, Some("not_yet_valid")),
        (NOW - 5, None),
        (NOW + 5, None),
        (NOW + 6, Some("expired")),
    ] {
        assert_eq!(
            judge_at(&[&root], &[&leaf], now)
                .err()
                .map(|error| error.code()),
            code,
            "{now}"
        );
    }
}

#[test]
fn a_certificate_that_is_not_clean_x509_is_refused() {
    let root = Draft::authority("root").self_signed();
    let leaf = || Draft::leaf("alice");
    let twice = leaf().edit(|d| d.extensions.push(d.extensions[0].clone()));
    for (draft, why) in [
        (leaf().edit(|d| d.serial = vec![0x00]), "serial zero"),
        (leaf().edit(|d| d.serial = vec![0xff]), "negative serial"),
        (leaf().edit(|d| d.serial = vec![0x01; 21]), "21-byte serial"),
        (
            leaf().edit(|d| d.serial = vec![0x00, 0x01]),
            "padded serial",
        ),
        (
            leaf().edit(|d| d.version = tlv(0xa0, &[2, 1, 1])),
            "version 2",
        ),
        (leaf().edit(|d| d.version = Vec::new()), "version 1"),
        (
            leaf().edit(|d| d.outer_algorithm = Some(ECDSA_SHA1.to_vec())),
            "two signature algorithms",
        ),
        (
            leaf().edit(|d| d.issuer = Some(vec![0x30, 0])),
            "issuer without a name",
        ),
        (
            leaf().edit(|d| d.trailer = vec![5, 0]),
            "bytes behind the extensions",
        ),
        (twice, "an extension twice"),
        (leaf().edit(|d| d.subject = vec![0x30, 0]), "no name at all"),
        (
            leaf().extension(KEY_USAGE, true, &[3, 2, 7, 0x00]),
            "empty key usage",
        ),
        (
            leaf().extension(EXTENDED_KEY_USAGE, false, &[0x30, 0]),
            "empty extended key usage",
        ),
        (
            leaf().extension(BASIC_CONSTRAINTS, true, &[0x30, 3, 1, 1, 1]),
            "a boolean of 01",
        ),
        (
            leaf().extension(BASIC_CONSTRAINTS, true, &[0x30, 3, 2, 1, 0]),
            "path length without CA",
        ),
    ] {
        assert_eq!(
            refusal(judge(&[&root], &[&draft.signed_by(&root)])),
            ("malformed", 0),
            "{why}"
        );
    }
}

#[test]
fn an_issuer_that_may_not_issue_is_refused() {
    let root = Draft::authority("root").self_signed();
    let server_only = seq(&[&tlv(6, &[0x2b, 6, 1, 5, 5, 7, 3, 1])]);
    let middle = || Draft::authority("middle");
    for (draft, code, why) in [
        (
            middle().without(BASIC_CONSTRAINTS),
            "not_an_authority",
            "no basic constraints",
        ),
        (
            middle().extension(BASIC_CONSTRAINTS, true, &[0x30, 0]),
            "not_an_authority",
            "CA:FALSE",
        ),
        (
            middle().extension(KEY_USAGE, true, &[3, 2, 1, 0x02]),
            "bad_usage",
            "cRLSign only",
        ),
        (
            middle().extension(EXTENDED_KEY_USAGE, false, &server_only),
            "bad_usage",
            "for servers only",
        ),
        (
            middle().edit(|d| d.not_after = NOW - DAY),
            "expired",
            "expired",
        ),
        (
            middle().extension(PRIVATE, true, &[5, 0]),
            "critical_extension",
            "an unknown critical extension",
        ),
        (
            middle().edit(|d| d.algorithm = ECDSA_SHA1.to_vec()),
            "unsupported_algorithm",
            "SHA-1",
        ),
    ] {
        let middle = draft.signed_by(&root);
        let leaf = Draft::leaf("alice").signed_by(&middle);
        assert_eq!(
            refusal(judge(&[&root], &[&leaf, &middle])),
            (code, 1),
            "{why}"
        );
    }
}

#[test]
fn a_malformed_issuer_is_named_and_a_malformed_stranger_ignored() {
    let root = Draft::authority("root").self_signed();
    let middle = Draft::authority("middle")
        .edit(|d| d.serial = vec![0xff])
        .signed_by(&root);
    let below = Draft::leaf("alice").signed_by(&middle);
    assert_eq!(
        refusal(judge(&[&root], &[&below, &middle])),
        ("malformed", 1)
    );
    let direct = Draft::leaf("alice").signed_by(&root);
    assert!(judge(&[&root], &[&direct, &middle]).is_ok());
}

#[test]
fn strangers_and_forgeries_are_refused() {
    let root = Draft::authority("root").self_signed();
    let impostor = Draft::authority("root").self_signed();
    let forged = Draft::leaf("alice").signed_by(&impostor);
    assert_eq!(refusal(judge(&[&root], &[&forged])), ("bad_signature", 0));
    // The impostor's own certificate does not help.
    assert_eq!(
        refusal(judge(&[&root], &[&forged, &impostor])).0,
        "bad_signature"
    );
    let other = Draft::authority("other").self_signed();
    let stranger = Draft::leaf("alice").signed_by(&other);
    assert_eq!(
        refusal(judge(&[&root], &[&stranger])),
        ("unknown_issuer", 0)
    );
    // The certificate above which nobody is known is the one that is blamed.
    assert_eq!(
        refusal(judge(&[&root], &[&stranger, &other])),
        ("unknown_issuer", 1)
    );
    let self_signed = Draft::leaf("alice").self_signed();
    assert_eq!(
        refusal(judge(&[&root], &[&self_signed])).0,
        "unknown_issuer"
    );
    // A leaf cannot issue.
    let leaf = Draft::leaf("alice").signed_by(&root);
    let below = Draft::leaf("bob").signed_by(&leaf);
    assert_eq!(
        refusal(judge(&[&root], &[&below, &leaf])),
        ("not_an_authority", 1)
    );
    // Any flipped byte of the signed part is found.
    let good = Draft::leaf("alice").signed_by(&root);
    for at in (8..good.der.len()).step_by(7) {
        let mut flipped = good.clone();
        flipped.der[at] ^= 1;
        assert!(judge(&[&root], &[&flipped]).is_err(), "byte {at}");
    }
}

#[test]
fn an_anchor_that_has_expired_since_it_was_loaded_ends_no_chain() {
    let root = Draft::authority("root").self_signed();
    let leaf = Draft::leaf("alice")
        .edit(|d| d.not_after = NOW + 30 * DAY)
        .signed_by(&root);
    assert_eq!(
        refusal(judge_at(&[&root], &[&leaf], NOW + 11 * DAY)),
        ("expired", 1)
    );
}

#[test]
fn names_that_differ_in_case_spaces_or_string_type_chain() {
    let root = Draft::authority("Root  CA").self_signed();
    let printable = name(&[(CN, 0x13, b"root ca")]);
    let leaf = Draft::leaf("alice")
        .edit(|d| d.issuer = Some(printable))
        .signed_by(&root);
    assert!(judge_alone(&[&root], &[&leaf]).is_ok());
}
