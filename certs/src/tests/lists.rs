//! Revocation lists: which are taken, and what the index then says.

use proptest::prelude::*;

use super::chains::refusal;
use super::craft::{Draft, ECDSA_SHA1, KEY_USAGE, ListDraft, Made, bundle, seq, time, tlv};
use super::{DAY, NOW};
use crate::certificate::Certificate;
use crate::crl_error::{CrlError, CrlProblem};
use crate::crl_load::Grace;
use crate::identity::{Link, LinkKind, NameHash};
use crate::path::verify_client_chain;
use crate::points::Points;
use crate::revocation::{Revocation, RevocationIndex, Uncovered};
use crate::serial::Serial;

pub(super) fn link(issuer: &Made, serial: u64) -> Link {
    let parsed = Certificate::parse(&issuer.der).unwrap();
    Link {
        issuer: NameHash::of(&parsed.subject),
        serial: Serial::from_bytes(&serial.to_be_bytes()).unwrap(),
        kind: LinkKind::Leaf,
        points: Points::default(),
    }
}

pub(super) fn load(anchors: &[&Made], lists: &[Vec<u8>]) -> Result<RevocationIndex, Vec<CrlError>> {
    let files: Vec<(&str, &[u8])> = lists
        .iter()
        .map(|list| ("ca.crl", list.as_slice()))
        .collect();
    RevocationIndex::load(&files, &bundle(anchors), NOW)
}

fn problem(anchors: &[&Made], list: Vec<u8>) -> CrlProblem {
    load(anchors, &[list])
        .expect_err("the list must be refused")
        .remove(0)
        .problem
}

#[test]
fn a_listed_certificate_is_revoked_and_others_are_not() {
    let root = Draft::authority("root").self_signed();
    let entry = seq(&[
        &tlv(2, &[9]),
        &time(NOW - 60),
        &seq(&[&seq(&[&tlv(6, &[0x55, 0x1d, 21]), &tlv(4, &[10, 1, 1])])]),
    ]);
    let list = ListDraft::of(&[7, 8])
        .edit(|list| list.entries.push(entry))
        .signed_by(&root);
    let index = load(&[&root], &[list]).unwrap();
    assert_eq!(index.entry_count(), 3);
    assert_eq!(index.check(&[link(&root, 1)], NOW), Ok(()));
    let revoked = index
        .check(&[link(&root, 1), link(&root, 9)], NOW)
        .unwrap_err();
    assert!(
        matches!(revoked, Revocation::Revoked { depth: 1, revoked_at, reason: 1, .. } if revoked_at == NOW - 60)
    );
    assert_eq!(
        revoked.to_string(),
        "certificate 09 is revoked since 2026-09-21T14:12:20Z (key compromise)"
    );
}

#[test]
fn a_list_that_has_expired_since_it_was_loaded_covers_nobody() {
    let root = Draft::authority("root").self_signed();
    let index = load(&[&root], &[ListDraft::of(&[7]).signed_by(&root)]).unwrap();
    let at = |now| index.check(&[link(&root, 1)], now);
    assert_eq!(at(NOW + DAY - 1), Ok(()));
    assert!(
        matches!(at(NOW + DAY), Err(Revocation::ListExpired { depth: 0, .. })),
        "nextUpdate itself is too late"
    );
    assert!(
        matches!(
            index.check(&[link(&root, 7)], NOW + DAY),
            Err(Revocation::Revoked { .. })
        ),
        "what it names stays revoked"
    );
    assert_eq!(index.next_updates()[0].next_update, NOW + DAY);
}

#[test]
fn an_issuer_without_a_list_is_refused_once_lists_are_in_use() {
    let root = Draft::authority("root").self_signed();
    let other = Draft::authority("other").self_signed();
    let index = load(&[&root, &other], &[ListDraft::of(&[]).signed_by(&root)]).unwrap();
    assert_eq!(index.check(&[link(&root, 1)], NOW), Ok(()));
    assert!(matches!(
        index.check(&[link(&other, 1)], NOW),
        Err(Revocation::NoList { .. })
    ));
    assert_eq!(
        RevocationIndex::empty(Uncovered::Accepted).check(&[link(&other, 1)], NOW),
        Ok(())
    );
    assert!(
        RevocationIndex::empty(Uncovered::Refused)
            .check(&[link(&other, 1)], NOW)
            .is_err()
    );
    assert!(
        RevocationIndex::load(&[], &bundle(&[&root]), NOW)
            .unwrap()
            .check(&[link(&root, 1)], NOW)
            .is_err()
    );
}

#[test]
fn a_list_out_of_its_dates_is_refused() {
    let root = Draft::authority("root").self_signed();
    let refused = |edit: fn(&mut ListDraft)| {
        problem(&[&root], ListDraft::of(&[7]).edit(edit).signed_by(&root))
    };
    assert_eq!(
        refused(|list| list.next_update = None),
        CrlProblem::NoNextUpdate
    );
    assert_eq!(
        refused(|list| list.next_update = Some(NOW)),
        CrlProblem::Expired { next_update: NOW }
    );
    let tomorrow = CrlProblem::NotYetValid {
        this_update: NOW + DAY,
    };
    assert_eq!(refused(|list| list.this_update = NOW + DAY), tomorrow);
}

#[test]
fn a_list_that_its_issuer_did_not_sign_is_refused() {
    let root = Draft::authority("root").self_signed();
    let no_crl_sign = Draft::authority("certs only")
        .extension(KEY_USAGE, true, &[3, 2, 2, 0x04])
        .self_signed();
    let stranger = Draft::authority("stranger").self_signed();
    let impostor = Draft::authority("root").self_signed();
    let anchors = [&root, &no_crl_sign];
    let named = |name: &str| format!("CN={name}");
    for (signer, expected) in [
        (
            &stranger,
            CrlProblem::UnknownIssuer {
                issuer: named("stranger"),
            },
        ),
        (
            &impostor,
            CrlProblem::BadSignature {
                issuer: named("root"),
            },
        ),
        (
            &no_crl_sign,
            CrlProblem::MayNotSign {
                issuer: named("certs only"),
            },
        ),
    ] {
        assert_eq!(
            problem(&anchors, ListDraft::of(&[7]).signed_by(signer)),
            expected
        );
    }
    let weak = ListDraft::of(&[7])
        .edit(|list| list.algorithm = ECDSA_SHA1.to_vec())
        .signed_by(&root);
    assert_eq!(problem(&anchors, weak), CrlProblem::Algorithm);
}

#[test]
fn a_list_that_does_not_stand_for_itself_is_refused() {
    let root = Draft::authority("root").self_signed();
    let point = |tag: u8, value: &[u8]| (28, seq(&[&tlv(tag, value)]));
    for ((kind, value), expected) in [
        ((27, vec![2, 1, 1]), CrlProblem::Delta),
        (point(0x84, &[0xff]), CrlProblem::Indirect),
        (point(0x85, &[0xff]), CrlProblem::Partial),
        (point(0x83, &[1, 2]), CrlProblem::Partial),
        ((99, vec![5, 0]), CrlProblem::UnknownCritical),
    ] {
        let list = ListDraft::of(&[7])
            .extension(kind, true, &value)
            .signed_by(&root);
        assert_eq!(problem(&[&root], list), expected);
    }
    let of_another_issuer = ListDraft::of(&[7]).edit(|list| {
        let issuer = seq(&[
            &tlv(6, &[0x55, 0x1d, 29]),
            &[1, 1, 0xff],
            &tlv(4, &[0x30, 0]),
        ]);
        list.entries
            .push(seq(&[&tlv(2, &[9]), &time(NOW), &tlv(0x30, &issuer)]));
    });
    assert_eq!(
        problem(&[&root], of_another_issuer.signed_by(&root)),
        CrlProblem::Indirect
    );
}

#[test]
fn bytes_that_are_no_list_are_refused() {
    let root = Draft::authority("root").self_signed();
    assert_eq!(problem(&[&root], b"nothing".to_vec()), CrlProblem::Empty);
    let cut = b"-----BEGIN X509 CRL-----\nAAAA\n".to_vec();
    assert_eq!(
        problem(&[&root], cut),
        CrlProblem::Pem("a block has no `-----END …-----` line")
    );
    let list = || ListDraft::of(&[7]);
    for (bytes, why) in [
        (
            list().edit(|d| d.version = Vec::new()).signed_by(&root),
            "extensions in version 1",
        ),
        (
            list()
                .edit(|d| d.entries.push(vec![0x30, 0]))
                .signed_by(&root),
            "empty entry",
        ),
        (
            list()
                .edit(|d| d.entries.push(seq(&[&[2, 1, 0], &time(NOW)])))
                .signed_by(&root),
            "serial zero",
        ),
        (list().signed_by(&root)[..60].to_vec(), "cut short"),
    ] {
        assert!(
            matches!(problem(&[&root], bytes), CrlProblem::Malformed(_)),
            "{why}"
        );
    }
}

#[test]
fn the_newest_of_several_lists_counts() {
    let root = Draft::authority("root").self_signed();
    let old = ListDraft::of(&[7])
        .extension(20, false, &[2, 1, 4])
        .signed_by(&root);
    let new = ListDraft::of(&[8])
        .extension(20, false, &[2, 1, 5])
        .signed_by(&root);
    for lists in [[old.clone(), new.clone()], [new, old]] {
        let index = load(&[&root], &lists).unwrap();
        assert_eq!(
            index.check(&[link(&root, 7)], NOW),
            Ok(()),
            "released by the newer list"
        );
        assert!(index.check(&[link(&root, 8)], NOW).is_err());
        assert_eq!(index.next_updates().len(), 1);
        assert_eq!(index.next_updates()[0].number.to_string(), "5");
    }
}

#[test]
fn lists_of_two_authorities_under_one_name_are_both_asked() {
    let first = Draft::authority("root").self_signed();
    let second = Draft::authority("root").self_signed();
    let lists = [
        ListDraft::of(&[7]).signed_by(&first),
        ListDraft::of(&[8]).signed_by(&second),
    ];
    let index = load(&[&first, &second], &lists).unwrap();
    for serial in [7, 8] {
        assert!(
            index.check(&[link(&first, serial)], NOW).is_err(),
            "{serial}"
        );
    }
}

#[test]
fn pem_files_may_hold_several_lists() {
    let root = Draft::authority("root").self_signed();
    let middle = Draft::authority("middle").signed_by(&root);
    let pem: String = [
        ListDraft::of(&[7]).signed_by(&root),
        ListDraft::of(&[8]).signed_by(&middle),
    ]
    .iter()
    .map(|der| crate::pem::encode("X509 CRL", der))
    .collect();
    let index = load(&[&root, &middle], &[pem.into_bytes()]).unwrap();
    assert_eq!(index.next_updates().len(), 2);
    assert!(index.check(&[link(&middle, 8)], NOW).is_err());
}

#[test]
fn a_chain_is_refused_for_its_leaf_and_for_its_intermediate() {
    let root = Draft::authority("root").self_signed();
    let middle = Draft::authority("middle")
        .edit(|d| d.serial = vec![0x11])
        .signed_by(&root);
    let leaf = Draft::leaf("alice")
        .edit(|d| d.serial = vec![0x22])
        .signed_by(&middle);
    let bundle = bundle(&[&root, &middle]);
    let der = rustls_pki_types::CertificateDer::from(leaf.der.as_slice());
    let judge = |of_root: &[u8], of_middle: Option<&[u8]>| {
        let mut lists = vec![ListDraft::of(of_root).signed_by(&root)];
        lists.extend(of_middle.map(|serials| ListDraft::of(serials).signed_by(&middle)));
        let files: Vec<(&str, &[u8])> = lists
            .iter()
            .map(|list| ("ca.crl", list.as_slice()))
            .collect();
        let index = RevocationIndex::load(&files, &bundle, NOW).unwrap();
        verify_client_chain(&bundle, &index, &der, &[], NOW)
    };
    assert!(judge(&[1], Some(&[2])).is_ok());
    assert_eq!(refusal(judge(&[1], Some(&[0x22]))), ("revoked", 0));
    assert_eq!(refusal(judge(&[0x11], Some(&[2]))), ("revoked", 1));
    assert_eq!(refusal(judge(&[1], None)), ("revocation_unknown", 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_index_says_revoked_exactly_for_what_the_list_names(
        listed in prop::collection::btree_set(1_u8..0x80, 0..40),
        asked in prop::collection::vec(1_u64..0x80, 1..40),
    ) {
        let root = Draft::authority("root").self_signed();
        let serials: Vec<u8> = listed.iter().copied().collect();
        let index = load(&[&root], &[ListDraft::of(&serials).signed_by(&root)]).unwrap();
        prop_assert_eq!(index.entry_count(), listed.len());
        for serial in asked {
            let revoked = index.check(&[link(&root, serial)], NOW).is_err();
            prop_assert_eq!(revoked, listed.contains(&(serial as u8)));
        }
    }

    #[test]
    fn a_list_with_any_byte_flipped_is_refused(at in 0_usize..200, bit in 0_u8..8) {
        let root = Draft::authority("root").self_signed();
        let mut list = ListDraft::of(&[7, 8]).signed_by(&root);
        let at = at % list.len();
        list[at] ^= 1 << bit;
        prop_assert!(load(&[&root], &[list]).is_err());
    }
}

#[test]
fn a_file_that_was_cut_inside_a_later_block_is_refused_and_not_taken_with_one_list_fewer() {
    let roots = ["one", "two"].map(|name| Draft::authority(name).self_signed());
    let anchors = [&roots[0], &roots[1]];
    let blocks =
        anchors.map(|root| crate::pem::encode("X509 CRL", &ListDraft::of(&[7]).signed_by(root)));
    let whole = blocks.concat();
    assert!(load(&anchors, &[whole.clone().into_bytes()]).is_ok());
    let second = blocks[0].len();
    // At the very end of the first block nothing shows that there was more; the second issuer is then uncovered, and refused.
    for cut in second + 1..whole.trim_end().len() {
        let problems = load(&anchors, &[whole.as_bytes()[..cut].to_vec()]);
        assert!(problems.is_err(), "cut at {cut}");
    }
    let index = load(&anchors, &[blocks[0].clone().into_bytes()]).unwrap();
    assert!(index.check(&[link(&roots[1], 1)], NOW).is_err());
}

#[test]
fn an_overdue_list_that_is_kept_refuses_whom_it_covers_and_still_knows_the_revoked() {
    let root = Draft::authority("root").self_signed();
    let list = ListDraft::of(&[7]).signed_by(&root);
    let later = NOW + 2 * DAY;
    let trust = bundle(&[&root]);
    let files = [("ca.crl", list.as_slice())];
    assert!(RevocationIndex::load(&files, &trust, later).is_err());
    let kept =
        RevocationIndex::load_keeping(&files, &trust, &Grace::NONE, later, &|_| true).unwrap();
    let said = |serial| kept.check(&[link(&root, serial)], later).unwrap_err();
    assert!(matches!(said(7), Revocation::Revoked { .. }));
    assert!(matches!(said(8), Revocation::ListExpired { .. }));
    assert_eq!(kept.stale(later).count(), 1);
}
