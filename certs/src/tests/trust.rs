//! What may be an anchor.

use super::craft::{BASIC_CONSTRAINTS, Draft, KEY_USAGE, Made, PRIVATE, bundle};
use super::{DAY, NOW};
use crate::trust::{AnchorProblem, TrustBundle, TrustError};

fn problem(anchor: &Made) -> AnchorProblem {
    let errors = TrustBundle::from_pem("clients", anchor.pem().as_bytes(), NOW).unwrap_err();
    let [
        TrustError::Certificate {
            number: 1, problem, ..
        },
    ] = errors.as_slice()
    else {
        panic!("{errors:?}")
    };
    *problem
}

#[test]
fn a_certificate_that_cannot_be_an_anchor_is_refused() {
    let root = || Draft::authority("root");
    for (draft, expected) in [
        (
            root().without(BASIC_CONSTRAINTS),
            AnchorProblem::NotAnAuthority,
        ),
        (
            root().extension(BASIC_CONSTRAINTS, true, &[0x30, 0]),
            AnchorProblem::NotAnAuthority,
        ),
        (Draft::leaf("alice"), AnchorProblem::NotAnAuthority),
        (
            root().extension(KEY_USAGE, true, &[3, 2, 1, 0x02]),
            AnchorProblem::MayNotSign,
        ),
        (
            root().extension(PRIVATE, true, &[5, 0]),
            AnchorProblem::CriticalExtension,
        ),
        (
            root().edit(|d| d.not_after = NOW - DAY),
            AnchorProblem::Expired {
                not_after: NOW - DAY,
            },
        ),
        (
            root().edit(|d| d.not_before = NOW + DAY),
            AnchorProblem::NotYetValid {
                not_before: NOW + DAY,
            },
        ),
    ] {
        assert_eq!(problem(&draft.self_signed()), expected);
    }
    let mut damaged = root().self_signed();
    let last = damaged.der.len() - 1;
    damaged.der[last] ^= 1;
    assert_eq!(problem(&damaged), AnchorProblem::BadSignature);
    let malformed = Made {
        der: vec![0x30, 0],
        ..root().self_signed()
    };
    assert!(matches!(problem(&malformed), AnchorProblem::Malformed(_)));
}

#[test]
fn a_bundle_that_is_no_bundle_says_what_was_expected() {
    let root = Draft::authority("root").self_signed();
    let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let with_key = format!("{}{key}", root.pem());
    let broken = root.pem().replace("MI", "M!");
    for (pem, message) in [
        (
            "",
            "trust bundle `clients` holds no certificate; expected PEM blocks starting `-----BEGIN CERTIFICATE-----`",
        ),
        (
            "just text",
            "trust bundle `clients` holds no certificate; expected PEM blocks starting `-----BEGIN CERTIFICATE-----`",
        ),
        (
            &with_key,
            "trust bundle `clients` holds a private key; keep only `CERTIFICATE` blocks in it",
        ),
    ] {
        let errors = TrustBundle::from_pem("clients", pem.as_bytes(), NOW).unwrap_err();
        assert_eq!(errors[0].to_string(), message);
    }
    let errors = TrustBundle::from_pem("clients", broken.as_bytes(), NOW).unwrap_err();
    assert!(matches!(errors[0], TrustError::Pem { .. }));
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let good = Draft::authority("good").self_signed();
    let expired = Draft::authority("old")
        .edit(|d| d.not_after = NOW - DAY)
        .self_signed();
    let leaf = Draft::leaf("alice").signed_by(&good);
    let pem = [&good, &expired, &leaf].map(Made::pem).concat();
    let errors = TrustBundle::from_pem("clients", pem.as_bytes(), NOW).unwrap_err();
    let messages: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        messages,
        [
            "trust bundle `clients`, certificate 2 (`CN=old`): it expired at 2026-09-20T14:13:20Z; take it out of the bundle",
            "trust bundle `clients`, certificate 3 (`CN=alice`): it is no CA (its basicConstraints do not say CA:TRUE); \
             list the CA that issued it instead",
        ]
    );
}

#[test]
fn the_end_of_every_certificate_is_reported() {
    let root = Draft::authority("root").self_signed();
    let middle = Draft::authority("middle")
        .edit(|d| d.not_after = NOW + DAY)
        .signed_by(&root);
    let bundle = bundle(&[&root, &middle, &root]);
    let expiries: Vec<_> = bundle
        .expiries()
        .into_iter()
        .map(|expiry| (expiry.subject, expiry.not_after))
        .collect();
    assert_eq!(
        expiries,
        [
            ("CN=root".to_owned(), NOW + 10 * DAY),
            ("CN=middle".to_owned(), NOW + DAY)
        ]
    );
    assert_eq!(
        (bundle.anchors().len(), bundle.intermediates().len()),
        (1, 1)
    );
}
