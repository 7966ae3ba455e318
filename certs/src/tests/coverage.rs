//! Which certificates a list covers, and for how long.

use super::craft::{Draft, KEY_USAGE, ListDraft, bundle, seq, tlv};
use super::lists::{link, load};
use super::{DAY, NOW};
use crate::crl_load::Grace;
use crate::identity::{Identity, Link, LinkKind};
use crate::path::verify_client_chain;
use crate::revocation::{Revocation, RevocationIndex, Uncovered};
use crate::serial::Serial;

#[test]
fn a_list_of_leaves_only_does_not_cover_authorities() {
    let root = Draft::authority("root").self_signed();
    let leaves = ListDraft::of(&[7])
        .extension(28, true, &seq(&[&tlv(0x81, &[0xff])]))
        .signed_by(&root);
    let authorities = ListDraft::of(&[])
        .extension(28, true, &seq(&[&tlv(0x82, &[0xff])]))
        .signed_by(&root);
    let of_authority = Link {
        kind: LinkKind::Authority,
        ..link(&root, 1)
    };
    let index = load(&[&root], std::slice::from_ref(&leaves)).unwrap();
    assert_eq!(index.check(&[link(&root, 1)], NOW), Ok(()));
    assert!(matches!(
        index.check(&[of_authority], NOW),
        Err(Revocation::NoList { .. })
    ));
    assert_eq!(
        load(&[&root], &[leaves, authorities])
            .unwrap()
            .check(&[of_authority], NOW),
        Ok(())
    );
}

#[test]
fn a_list_of_one_distribution_point_covers_the_certificates_that_name_it() {
    let root = Draft::authority("root").self_signed();
    let uri = |name: &[u8]| tlv(0xa0, &tlv(0xa0, &tlv(0x86, name)));
    let with_point = |points: &[&[u8]]| {
        let points: Vec<Vec<u8>> = points.iter().map(|name| seq(&[&uri(name)])).collect();
        let leaf = Draft::leaf("alice")
            .extension(&[0x55, 0x1d, 31], false, &tlv(0x30, &points.concat()))
            .signed_by(&root);
        Identity::from_chain(&[leaf.der.into(), root.der.clone().into()])
            .unwrap()
            .links[0]
    };
    let part = |name: &[u8], serials: &[u8]| {
        ListDraft::of(serials)
            .extension(28, true, &seq(&[&uri(name)]))
            .signed_by(&root)
    };
    let index = load(
        &[&root],
        &[
            part(b"http://ca/1.crl", &[7]),
            part(b"http://ca/2.crl", &[8]),
        ],
    )
    .unwrap();
    assert_eq!(index.next_updates().len(), 2, "neither replaces the other");
    assert_eq!(
        index.check(&[with_point(&[b"http://ca/1.crl"])], NOW),
        Ok(())
    );
    assert_eq!(
        index.check(&[with_point(&[b"http://x", b"http://ca/2.crl"])], NOW),
        Ok(())
    );
    for uncovered in [with_point(&[b"http://ca/3.crl"]), link(&root, 1)] {
        assert!(matches!(
            index.check(&[uncovered], NOW),
            Err(Revocation::NoList { .. })
        ));
    }
    for serial in [7_u8, 8] {
        let revoked =
            with_point(&[b"http://ca/1.crl"]).with_serial(Serial::from_bytes(&[serial]).unwrap());
        assert!(matches!(
            index.check(&[revoked], NOW),
            Err(Revocation::Revoked { .. })
        ));
    }
}

#[test]
fn grace_keeps_a_list_beyond_its_end_and_says_so() {
    let root = Draft::authority("root").self_signed();
    let list = ListDraft::of(&[7])
        .edit(|list| list.next_update = Some(NOW - 60))
        .signed_by(&root);
    let files = [("ca.crl", list.as_slice())];
    assert!(RevocationIndex::load(&files, &bundle(&[&root]), NOW).is_err());
    let load = |seconds: u32, own: &[(&str, u32)]| {
        let grace = Grace {
            seconds,
            of_issuers: own
                .iter()
                .map(|(issuer, seconds)| ((*issuer).to_owned(), *seconds))
                .collect(),
            ..Grace::NONE
        };
        RevocationIndex::load_with_grace(&files, &bundle(&[&root]), &grace, NOW)
    };
    let index = load(3600, &[]).unwrap();
    assert_eq!(index.stale(NOW).count(), 1);
    assert_eq!(index.stale(NOW - 61).count(), 0);
    assert_eq!(index.check(&[link(&root, 1)], NOW), Ok(()));
    assert!(matches!(
        index.check(&[link(&root, 1)], NOW + 3540),
        Err(Revocation::ListExpired { .. })
    ));
    assert_eq!(index.next_updates()[0].until, NOW + 3540);
    assert!(load(60, &[]).is_err());
    // An issuer's own grace stands in place of the others', be it longer or shorter.
    assert!(load(0, &[("CN=root", 61)]).is_ok());
    assert!(load(3600, &[("CN=root", 0)]).is_err());
    assert!(load(0, &[("CN=another", 3600)]).is_err());
}

#[test]
fn an_old_list_that_was_left_beside_its_successor_does_no_harm() {
    let root = Draft::authority("root").self_signed();
    let old = ListDraft::of(&[7])
        .edit(|list| list.next_update = Some(NOW - DAY / 2))
        .signed_by(&root);
    let new = ListDraft::of(&[8])
        .extension(20, false, &[2, 1, 2])
        .signed_by(&root);
    let index = load(&[&root], &[old, new]).unwrap();
    assert_eq!(
        (index.next_updates().len(), index.stale(NOW).count()),
        (1, 0)
    );
}

#[test]
fn a_list_that_goes_back_is_noticed() {
    let root = Draft::authority("root").self_signed();
    let numbered = |number: u8| {
        load(
            &[&root],
            &[ListDraft::of(&[])
                .extension(20, false, &[2, 1, number])
                .signed_by(&root)],
        )
        .unwrap()
    };
    assert_eq!(numbered(5).check_follows(&numbered(5)), Ok(()));
    assert_eq!(numbered(6).check_follows(&numbered(5)), Ok(()));
    let errors = numbered(4).check_follows(&numbered(5)).unwrap_err();
    assert_eq!(
        errors[0].to_string(),
        "revocation list `ca.crl`: its number 4 is lower than 5, which was loaded before; somebody put an old list back"
    );
}

#[test]
fn a_certificate_for_lists_alone_signs_them_until_it_is_revoked() {
    let root = Draft::authority("root").self_signed();
    let crl_sign_only = [3, 2, 1, 0x02];
    let signer = Draft::leaf("middle")
        .extension(KEY_USAGE, true, &crl_sign_only)
        .edit(|d| d.serial = vec![0x33]);
    let signer = signer.signed_by(&root);
    let middle = Draft::authority("middle").signed_by(&root);
    let given = [&signer, &middle].map(|made| made.der.clone().into());
    let trust = || bundle(&[&root]).with_intermediates(&given);
    let of_middle = ListDraft::of(&[7]).signed_by(&signer);
    let load = |revoked: &[u8]| {
        let of_root = ListDraft::of(revoked).signed_by(&root);
        RevocationIndex::load(
            &[("root.crl", &of_root), ("middle.crl", &of_middle)],
            &trust(),
            NOW,
        )
        .unwrap()
    };
    assert_eq!(load(&[]).check(&[link(&middle, 1)], NOW), Ok(()));
    assert!(matches!(
        load(&[]).check(&[link(&middle, 7)], NOW),
        Err(Revocation::Revoked { .. })
    ));
    let without = load(&[0x33]);
    assert!(matches!(
        without.check(&[link(&middle, 1)], NOW),
        Err(Revocation::NoList { .. })
    ));
    assert_eq!(without.ignored()[0].file, "middle.crl");
    // Such a certificate issues nothing.
    let leaf = Draft::leaf("alice").signed_by(&signer);
    let der = leaf.der.clone().into();
    assert!(
        verify_client_chain(
            &trust(),
            &RevocationIndex::empty(Uncovered::Accepted),
            &der,
            &given,
            NOW
        )
        .is_err()
    );
}

#[test]
fn a_list_out_of_a_copy_counts_for_the_grace_since_its_file_was_last_there() {
    let root = Draft::authority("root").self_signed();
    let list = ListDraft::of(&[7])
        .edit(|list| list.next_update = Some(NOW + 600))
        .signed_by(&root);
    let files = [("ca.crl", list.as_slice())];
    let load = |since: i64, seconds: u32| {
        let grace = Grace {
            seconds,
            missing_since: [("ca.crl".to_owned(), since)].into(),
            ..Grace::NONE
        };
        RevocationIndex::load_with_grace(&files, &bundle(&[&root]), &grace, NOW)
    };
    let index = load(NOW - 60, 100).unwrap();
    assert_eq!(index.missing().count(), 1);
    assert_eq!(index.stale(NOW).count(), 0);
    assert_eq!(index.check(&[link(&root, 1)], NOW + 39), Ok(()));
    assert!(matches!(
        index.check(&[link(&root, 1)], NOW + 40),
        Err(Revocation::ListExpired { .. })
    ));
    assert!(load(NOW - 60, 60).is_err(), "its grace is over");
    assert!(load(NOW - 60, 0).is_err(), "it was given none");
    // Nor is it good for longer than a list that is there.
    let index = load(NOW + 10_000, 100).unwrap();
    assert!(index.check(&[link(&root, 1)], NOW + 699).is_ok());
    assert!(index.check(&[link(&root, 1)], NOW + 700).is_err());
}
