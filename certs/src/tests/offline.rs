//! Verdicts out of files: every defect is an answer, and only files that hold nothing are an error.

use super::chains::refusal;
use super::craft::{BASIC_CONSTRAINTS, Draft, ListDraft, Made};
use super::{DAY, NOW};
use crate::crl_error::CrlProblem;
use crate::offline::{OfflineCheck, OfflineError, OfflineVerdict};
use crate::path::Purpose;
use crate::revocation::Uncovered;

fn judge(root: &Made, files: &[&Made], lists: &[Vec<u8>]) -> OfflineVerdict {
    let intermediates: Vec<(&str, &[u8])> = files[1..]
        .iter()
        .map(|made| ("ca.der", made.der.as_slice()))
        .collect();
    let lists: Vec<(&str, &[u8])> = lists
        .iter()
        .map(|list| ("ca.crl", list.as_slice()))
        .collect();
    let check = OfflineCheck {
        trust: ("root.der", &root.der),
        certificate: ("leaf.der", &files[0].der),
        intermediates: &intermediates,
        lists: &lists,
        without_lists: Uncovered::Accepted,
        purpose: Purpose::Client,
        at: NOW,
    };
    check.run().unwrap()
}

#[test]
fn an_unfit_anchor_is_the_reason_why_a_chain_is_refused() {
    for (draft, code) in [
        (
            Draft::authority("root").edit(|d| d.not_after = NOW - 1),
            "expired",
        ),
        (
            Draft::authority("root").without(BASIC_CONSTRAINTS),
            "not_an_authority",
        ),
    ] {
        let root = draft.self_signed();
        let leaf = Draft::leaf("alice").signed_by(&root);
        assert_eq!(refusal(judge(&root, &[&leaf], &[]).chain), (code, 1));
    }
}

#[test]
fn an_unfit_intermediate_is_blamed_among_a_hundred_strangers() {
    let root = Draft::authority("root").self_signed();
    let middle = Draft::authority("middle")
        .without(BASIC_CONSTRAINTS)
        .signed_by(&root);
    let leaf = Draft::leaf("alice").signed_by(&middle);
    let strangers: Vec<Made> = (0..100)
        .map(|number| Draft::authority(&format!("stranger {number}")).signed_by(&root))
        .collect();
    let files: Vec<&Made> = std::iter::once(&leaf)
        .chain(&strangers)
        .chain([&middle])
        .collect();
    assert_eq!(
        refusal(judge(&root, &files, &[]).chain),
        ("not_an_authority", 1)
    );
}

#[test]
fn lists_that_do_not_count_leave_their_issuer_uncovered() {
    let root = Draft::authority("root").self_signed();
    let leaf = Draft::leaf("alice").signed_by(&root);
    let impostor = Draft::authority("root").self_signed();
    let good = || ListDraft::of(&[7]).signed_by(&root);
    let past = ListDraft::of(&[7])
        .edit(|list| list.next_update = Some(NOW - DAY / 2))
        .signed_by(&root);
    let delta = ListDraft::of(&[9])
        .extension(27, true, &[2, 1, 1])
        .signed_by(&root);
    let odd_entry = ListDraft::of(&[7])
        .edit(|list| list.entries.push(vec![0x30, 0]))
        .signed_by(&root);
    for (lists, code, ignored) in [
        (vec![good()], None, 0),
        (vec![past], Some("revocation_list_expired"), 0),
        (
            vec![ListDraft::of(&[7]).signed_by(&impostor)],
            Some("revocation_unknown"),
            1,
        ),
        (
            vec![ListDraft::of(&[0x2a]).signed_by(&root)],
            Some("revoked"),
            0,
        ),
        (vec![good(), delta.clone()], Some("revocation_unknown"), 1),
        (vec![odd_entry], Some("revocation_unknown"), 1),
    ] {
        let verdict = judge(&root, &[&leaf], &lists);
        assert_eq!(verdict.chain.err().map(|error| error.code()), code);
        assert_eq!(verdict.ignored_lists.len(), ignored);
    }
    assert_eq!(
        judge(&root, &[&leaf], &[delta]).ignored_lists[0].problem,
        CrlProblem::Delta
    );
}

#[test]
fn pem_and_der_are_taken_and_nothing_is_an_error() {
    let root = Draft::authority("root").self_signed();
    let middle = Draft::authority("middle").signed_by(&root);
    let leaf = Draft::leaf("alice").signed_by(&middle);
    let chain = format!("{}{}", leaf.pem(), middle.pem());
    let root_pem = root.pem();
    let check = OfflineCheck {
        trust: ("root.pem", root_pem.as_bytes()),
        certificate: ("leaf.pem", chain.as_bytes()),
        intermediates: &[],
        lists: &[],
        without_lists: Uncovered::Accepted,
        purpose: Purpose::Client,
        at: NOW,
    };
    assert_eq!(check.run().unwrap().chain.unwrap().certificates.len(), 3);
    let required = OfflineCheck {
        without_lists: Uncovered::Refused,
        ..check
    };
    assert_eq!(
        refusal(required.run().unwrap().chain),
        ("revocation_unknown", 0)
    );
    let empty = OfflineCheck {
        trust: ("root.pem", b""),
        ..check
    };
    assert_eq!(
        empty.run().unwrap_err(),
        OfflineError::NoCertificate {
            file: "root.pem".to_owned()
        }
    );
    let no_list = OfflineCheck {
        lists: &[("ca.crl", b"nothing")],
        ..check
    };
    assert!(matches!(no_list.run(), Err(OfflineError::List(_))));
}
