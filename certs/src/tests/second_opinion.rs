//! Random PKIs before two judges: what we accept, webpki accepts; and where only rules that both know are broken, both refuse.

use proptest::prelude::*;

use super::chains::{judge, judge_alone};
use super::craft::{
    BASIC_CONSTRAINTS, Draft, EXTENDED_KEY_USAGE, KEY_USAGE, Made, PRIVATE, seq, tlv,
};
use super::{DAY, NOW};

/// One thing that is unusual about a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Oddity {
    Nothing,
    Expired,
    NotYetValid,
    NoConstraints,
    NotAnAuthority,
    PathLengthZero,
    ServersOnly,
    UnknownCritical,
    Stranger,
    // Those below webpki does not look at.
    NoCertSign,
    NegativeSerial,
}

const ODDITIES: [Oddity; 11] = [
    Oddity::Nothing,
    Oddity::Expired,
    Oddity::NotYetValid,
    Oddity::NoConstraints,
    Oddity::NotAnAuthority,
    Oddity::PathLengthZero,
    Oddity::ServersOnly,
    Oddity::UnknownCritical,
    Oddity::Stranger,
    Oddity::NoCertSign,
    Oddity::NegativeSerial,
];

fn with(draft: Draft, oddity: Oddity) -> Draft {
    let server_auth = seq(&[&tlv(6, &[0x2b, 6, 1, 5, 5, 7, 3, 1])]);
    match oddity {
        Oddity::Nothing | Oddity::Stranger => draft,
        Oddity::Expired => draft.edit(|draft| draft.not_after = NOW - DAY),
        Oddity::NotYetValid => draft.edit(|draft| draft.not_before = NOW + DAY),
        Oddity::NoConstraints => draft.without(BASIC_CONSTRAINTS),
        Oddity::NotAnAuthority => draft.extension(BASIC_CONSTRAINTS, true, &[0x30, 0]),
        Oddity::PathLengthZero => {
            draft.extension(BASIC_CONSTRAINTS, true, &[0x30, 6, 1, 1, 0xff, 2, 1, 0])
        }
        Oddity::ServersOnly => draft.extension(EXTENDED_KEY_USAGE, false, &server_auth),
        Oddity::UnknownCritical => draft.extension(PRIVATE, true, &[5, 0]),
        Oddity::NoCertSign => draft.extension(KEY_USAGE, true, &[3, 2, 1, 0x02]),
        Oddity::NegativeSerial => draft.edit(|draft| draft.serial = vec![0xff]),
    }
}

/// Whether a chain with an intermediate of this kind stands, when `below` more CAs follow it.
fn is_fit(oddity: Oddity, below: usize) -> bool {
    match oddity {
        Oddity::Nothing => true,
        Oddity::PathLengthZero => below == 0,
        Oddity::Expired
        | Oddity::NotYetValid
        | Oddity::NoConstraints
        | Oddity::NotAnAuthority
        | Oddity::ServersOnly
        | Oddity::UnknownCritical
        | Oddity::Stranger
        | Oddity::NoCertSign
        | Oddity::NegativeSerial => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_chain_stands_exactly_when_each_of_its_authorities_is_fit(
        oddities in prop::collection::vec(
            prop_oneof![3 => Just(Oddity::Nothing), 2 => prop::sample::select(ODDITIES.to_vec())],
            0..4,
        ),
        order in any::<prop::sample::Index>(),
    ) {
        let root = Draft::authority("root").self_signed();
        let mut path: Vec<Made> = Vec::new();
        for (number, oddity) in oddities.iter().enumerate() {
            let draft = with(Draft::authority(&format!("ca {number}")), *oddity);
            let above = path.last().unwrap_or(&root).clone();
            // A stranger bears the right issuer's name and is signed by another key.
            let made = if *oddity == Oddity::Stranger {
                let impostor = Draft::authority("x").edit(|draft| draft.subject = above.subject.clone()).self_signed();
                draft.signed_by(&impostor)
            } else {
                draft.signed_by(&above)
            };
            path.push(made);
        }
        let leaf = Draft::leaf("alice").signed_by(path.last().unwrap_or(&root));
        let mut presented: Vec<&Made> = path.iter().collect();
        if !presented.is_empty() {
            let turn = order.index(presented.len());
            presented.rotate_left(turn);
        }
        presented.insert(0, &leaf);
        let count = oddities.len();
        let stands = oddities.iter().enumerate().all(|(number, oddity)| is_fit(*oddity, count - 1 - number));
        // `judge` asks webpki whenever we accept.
        prop_assert_eq!(judge(&[&root], &presented).is_ok(), stands);
        prop_assert_eq!(judge_alone(&[&root], &presented).is_ok(), stands);
    }
}
