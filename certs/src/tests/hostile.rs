//! Bytes that strangers send: whatever they are, nothing panics, and nothing that was changed is believed.

use proptest::prelude::*;
use proptest::sample::Index;

use super::NOW;
use super::chains::judge_alone;
use super::craft::{Draft, ListDraft, Made, seq, tlv};
use crate::credit_code::CreditCode;
use crate::identity::Identity;
use crate::inspect::{CertificateSummary, ListSummary};
use crate::offline::OfflineCheck;
use crate::path::Purpose;
use crate::pushed::Target;
use crate::revocation::Uncovered;
use crate::spiffe::SpiffeId;
use crate::template::Template;

/// A certificate with something in every extension that is read.
fn rich(root: &Made) -> Made {
    let oid = |bytes: &[u8]| tlv(6, bytes);
    let point = seq(&[&tlv(
        0xa0,
        &tlv(0xa0, &tlv(0x86, b"http://ca.example/1.crl")),
    )]);
    Draft::leaf("alice")
        .names(&[
            tlv(0x86, b"spiffe://gov.example/tax"),
            tlv(0x82, b"a.example"),
            tlv(0x81, b"a@b.example"),
            tlv(0x87, &[10, 0, 0, 1]),
            tlv(0xa4, &root.subject),
            tlv(
                0xa0,
                &[
                    oid(&[0x2b, 6, 1, 4, 1, 0x82, 0x37, 20, 2, 3]),
                    tlv(0xa0, &tlv(12, b"a@b")),
                ]
                .concat(),
            ),
        ])
        .extension(&[0x55, 0x1d, 31], false, &seq(&[&point]))
        .extension(&[0x55, 0x1d, 32], false, &seq(&[&seq(&[&oid(&[0x2a, 1])])]))
        .extension(&[0x55, 0x1d, 36], true, &seq(&[&tlv(0x80, &[3])]))
        .extension(&[0x55, 0x1d, 54], true, &tlv(2, &[3]))
        .signed_by(root)
}

/// Overwrites, cuts out or puts in a few bytes.
fn mutate(bytes: &[u8], edits: &[(Index, u8, u8)]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for (at, kind, value) in edits {
        let at = at.index(bytes.len());
        match kind % 4 {
            0 => bytes[at] ^= value | 1,
            1 => bytes[at] = *value,
            2 => bytes.insert(at, *value),
            _ if bytes.len() > 1 => drop(bytes.remove(at)),
            _ => {}
        }
    }
    bytes
}

fn edits() -> impl Strategy<Value = Vec<(Index, u8, u8)>> {
    prop::collection::vec((any::<Index>(), any::<u8>(), any::<u8>()), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_changed_certificate_is_read_without_panic_and_never_believed(edits in edits()) {
        let root = Draft::authority("root").self_signed();
        let leaf = rich(&root);
        let changed = Made { der: mutate(&leaf.der, &edits), ..leaf.clone() };
        let _summary = CertificateSummary::of(&changed.der, Purpose::Client, NOW).map(|summary| summary.to_string());
        let _identity = Identity::from_chain(&[changed.der.clone().into()]);
        let accepted = judge_alone(&[&root], &[&changed]).is_ok();
        prop_assert_eq!(accepted, changed.der == leaf.der);
    }

    #[test]
    fn a_changed_list_is_read_without_panic_and_never_counts(edits in edits()) {
        let root = Draft::authority("root").self_signed();
        let leaf = Draft::leaf("alice").signed_by(&root);
        let point = seq(&[&tlv(0xa0, &tlv(0xa0, &tlv(0x86, b"http://ca.example/1.crl"))), &tlv(0x81, &[0xff])]);
        let list = ListDraft::of(&[7, 8]).extension(28, true, &point).signed_by(&root);
        let changed = mutate(&list, &edits);
        let _summary = ListSummary::of(&changed).map(|summary| summary.to_string());
        let check = OfflineCheck {
            trust: ("root.der", &root.der),
            certificate: ("leaf.der", &leaf.der),
            intermediates: &[],
            lists: &[("ca.crl", &changed)],
            without_lists: Uncovered::Accepted,
            purpose: Purpose::Client,
            at: NOW,
        };
        if let Ok(verdict) = check.run() {
            prop_assert!(verdict.chain.is_err());
        }
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _certificate = CertificateSummary::of(&bytes, Purpose::Client, NOW);
        let _list = ListSummary::of(&bytes);
        let _identity = Identity::from_chain(&[bytes.clone().into()]);
        let _wrapped = CertificateSummary::of(&seq(&[&seq(&[&bytes])]), Purpose::Client, NOW);
    }

    #[test]
    fn any_text_is_read_without_panic_and_what_is_read_writes_back(text in "\\PC{0,40}|(spiffe://|serial:|key:)?[{}a-z0-9./\\[\\]:]{0,30}") {
        if let Ok(id) = SpiffeId::parse(&text) {
            prop_assert_eq!(id.as_str(), &text);
            prop_assert_eq!(format!("spiffe://{}{}", id.trust_domain(), id.path()), text.as_str());
        }
        if let Ok(target) = text.parse::<Target>() {
            prop_assert_eq!(target.to_string().parse::<Target>(), Ok(target));
        }
        let _template = Template::parse(&text);
        let _code = CreditCode::find(&text);
    }

    #[test]
    fn names_of_two_people_never_render_alike(
        one in ("[a-z;=%]{1,6}", "[a-z;=%]{1,6}"),
        other in ("[a-z;=%]{1,6}", "[a-z;=%]{1,6}"),
    ) {
        let template = Template::parse("cn={subject.cn};o={subject.o}").unwrap();
        let render = |(common, organisation): &(String, String)| {
            let subject = super::craft::name(&[
                (super::craft::O, super::craft::UTF8, organisation.as_bytes()),
                (super::craft::CN, super::craft::UTF8, common.as_bytes()),
            ]);
            let made = Draft::leaf("x").edit(|draft| draft.subject = subject).self_signed();
            template.render(&Identity::from_chain(&[made.der.into()]).unwrap()).unwrap()
        };
        prop_assert_eq!(render(&one) == render(&other), one == other);
    }
}
