//! What operators are shown.

use super::craft::{Draft, EXTENDED_KEY_USAGE, ListDraft, seq, tlv};
use super::{DAY, NOW, ders};
use crate::authority::Authority;
use crate::inspect::{CertificateSummary, ListSummary};
use crate::issue::Validity;
use crate::path::Purpose;
use crate::spiffe::SpiffeId;

#[test]
fn a_certificate_is_shown_line_by_line() {
    let root = Authority::new_root("Root", Validity::days(NOW - DAY, 30)).unwrap();
    let id = SpiffeId::parse("spiffe://gov.example/tax").unwrap();
    let workload = root
        .issue_workload(
            &id,
            &["tax.internal", "10.0.0.7"],
            Validity::days(NOW - DAY, 30),
        )
        .unwrap();
    let summary =
        CertificateSummary::of(&ders(&workload.certificate_pem)[0], Purpose::Client, NOW).unwrap();
    let shown = summary.to_string();
    for line in [
        "subject:      ",
        "issuer:       CN=Root",
        "valid:        2026-09-20T14:13:20Z to 2026-10-20T14:13:20Z",
        "authority:    no",
        "signature:    ECDSA with SHA-256",
        "usages:       digitalSignature; clientAuth, serverAuth",
        "names:        DNS:tax.internal, IP:10.0.0.7, URI:spiffe://gov.example/tax",
        "problems:     none",
    ] {
        assert!(
            shown.lines().any(|shown| shown == line),
            "{line} in:\n{shown}"
        );
    }
    assert_eq!(summary.identity.unwrap().spiffe, Some(id));
    let root = CertificateSummary::of(
        &ders(root.certificate_pem())[0],
        Purpose::Client,
        NOW + 60 * DAY,
    )
    .unwrap();
    assert_eq!(root.problems, ["it expired at 2026-10-20T14:13:20Z"]);
    assert_eq!(root.key, "P-256");
}

#[test]
fn every_problem_is_shown() {
    let code_signing = seq(&[&tlv(6, &[0x2b, 6, 1, 5, 5, 7, 3, 3])]);
    let made = Draft::leaf("a\0b")
        .edit(|draft| draft.not_after = NOW - 1)
        .extension(EXTENDED_KEY_USAGE, false, &code_signing)
        .names(&[tlv(0x86, b"x\x1b[31m")])
        .self_signed();
    let summary = CertificateSummary::of(&made.der, Purpose::Client, NOW).unwrap();
    assert_eq!(
        summary.problems,
        [
            "its extended key usage lacks clientAuth",
            "its subject is unusable: a name has control or invisible characters",
            "it expired at 2026-09-21T14:13:19Z",
        ]
    );
    assert!(
        summary
            .to_string()
            .lines()
            .all(|line| line.chars().all(|shown| !shown.is_control())),
        "{summary}"
    );
    assert!(CertificateSummary::of(&[0x30, 0], Purpose::Client, NOW).is_err());
}

#[test]
fn a_list_is_shown_line_by_line() {
    let root = Draft::authority("root").self_signed();
    let list = ListDraft::of(&[7, 8])
        .extension(20, false, &[2, 1, 9])
        .signed_by(&root);
    assert_eq!(
        ListSummary::of(&list).unwrap().to_string(),
        "issuer:       CN=root\n\
         number:       9\n\
         valid:        2026-09-20T14:13:20Z to 2026-09-22T14:13:20Z\n\
         entries:      2\n\
         covers:       all certificates\n\
         signature:    ECDSA with SHA-256"
    );
    for at in 0..list.len() {
        let _shown = ListSummary::of(&list[..at]);
    }
}
