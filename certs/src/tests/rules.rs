//! Rules that hold for every certificate of a path, each in tables: keys, algorithms, dates, critical extensions, encodings.

use super::NOW;
use super::chains::{judge, judge_alone, refusal};
use super::craft::{
    AUTHORITY_KEY_ID, BASIC_CONSTRAINTS, Draft, EXTENDED_KEY_USAGE, KEY_USAGE, Made, PRIVATE, seq,
    tlv,
};
use crate::trust::TrustBundle;

#[test]
fn an_intermediate_says_that_it_signs_certificates() {
    let root = Draft::authority("root").without(KEY_USAGE).self_signed();
    let direct = Draft::leaf("alice").signed_by(&root);
    assert!(
        judge(&[&root], &[&direct]).is_ok(),
        "a root need not say so"
    );
    let middle = Draft::authority("middle")
        .without(KEY_USAGE)
        .signed_by(&root);
    let leaf = Draft::leaf("alice").signed_by(&middle);
    assert_eq!(
        refusal(judge(&[&root], &[&leaf, &middle])),
        ("bad_usage", 1)
    );
}

/// A SubjectPublicKeyInfo: the content of its algorithm, and the key's bits.
fn key(algorithm: &[u8], bits: &[u8]) -> Vec<u8> {
    seq(&[&tlv(0x30, algorithm), &tlv(3, &[&[0], bits].concat())])
}

/// An RSA key of so many bits and this exponent, whose modulus nobody has a use for.
fn rsa(bits: usize, exponent: &[u8]) -> Vec<u8> {
    let mut modulus = vec![0xc3; bits.div_ceil(8)];
    if bits.is_multiple_of(8) {
        modulus.insert(0, 0);
    } else {
        modulus[0] = 1 << (bits % 8 - 1);
    }
    let numbers = seq(&[&tlv(2, &modulus), &tlv(2, exponent)]);
    key(RSA_ALGORITHM, &numbers)
}

const RSA_ALGORITHM: &[u8] = &[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];
const EC: &[u8] = &[6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
const ED25519: &[u8] = &[6, 3, 0x2b, 0x65, 0x70];
const P256: &[u8] = &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
const P384: &[u8] = &[6, 5, 0x2b, 0x81, 4, 0, 0x22];
const P521: &[u8] = &[6, 5, 0x2b, 0x81, 4, 0, 0x23];
const SM2: &[u8] = &[6, 8, 0x2a, 0x81, 0x1c, 0xcf, 0x55, 1, 0x82, 0x2d];

/// The content of an EC key's algorithm.
fn on(curve: &[u8]) -> Vec<u8> {
    [EC, curve].concat()
}

fn point(bytes: usize) -> Vec<u8> {
    [&[4], vec![0x5a; bytes].as_slice()].concat()
}

/// What is made of a client with this key.
fn with_key(spki: &[u8]) -> Result<(), &'static str> {
    let root = Draft::authority("root").self_signed();
    let leaf = Draft::leaf("alice").edit(|d| d.spki = Some(spki.to_vec()));
    let judged = judge_alone(&[&root], &[&leaf.signed_by(&root)]);
    judged.map(drop).map_err(|error| error.code())
}

#[test]
fn keys_are_of_a_known_kind_and_strong_enough() {
    let sound: &[u8] = &[1, 0, 1];
    for (spki, what) in [
        (key(&on(P256), &point(64)), "P-256"),
        (key(&on(P384), &point(96)), "P-384"),
        (key(ED25519, &[7; 32]), "Ed25519"),
        (rsa(2048, sound), "RSA of 2048 bits"),
        (rsa(8192, &[3]), "RSA of 8192 bits"),
    ] {
        assert_eq!(with_key(&spki), Ok(()), "{what}");
    }
    for (spki, what) in [
        (rsa(2047, sound), "RSA of 2047 bits"),
        (rsa(1024, sound), "RSA of 1024 bits"),
        (rsa(2048, &[1]), "RSA that encrypts nothing"),
        (rsa(2048, &[2]), "RSA with an even exponent"),
    ] {
        assert_eq!(with_key(&spki), Err("weak_key"), "{what}");
        no_authority_with(&spki, what);
    }
}

#[test]
fn keys_of_other_kinds_are_refused() {
    let sound: &[u8] = &[1, 0, 1];
    let pss = [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10];
    let dsa = [6, 7, 0x2a, 0x86, 0x48, 0xce, 0x38, 4, 1];
    let ed448 = [6, 3, 0x2b, 0x65, 0x71];
    let compressed = [&[2], [0x5a; 32].as_slice()].concat();
    for (spki, what) in [
        (rsa(8200, sound), "RSA over 8192 bits"),
        (key(&on(P521), &point(132)), "P-521"),
        (key(&on(SM2), &point(64)), "SM2"),
        (key(&pss, &rsa(2048, sound)), "RSA for PSS only"),
        (key(&dsa, &[2, 1, 5]), "DSA"),
        (key(&ed448, &[7; 57]), "Ed448"),
        (key(ED25519, &[7; 31]), "a short Ed25519"),
        (key(&on(P256), &point(63)), "a short point"),
        (key(&on(P256), &compressed), "a compressed point"),
        (key(EC, &point(64)), "a curve without a name"),
        (key(&on(&seq(&[])), &point(64)), "a curve spelled out"),
        (key(RSA_ALGORITHM, &[0x30, 0]), "RSA without numbers"),
    ] {
        assert_eq!(with_key(&spki), Err("unsupported_algorithm"), "{what}");
        no_authority_with(&spki, what);
    }
}

/// The same rule for who signs.
fn no_authority_with(spki: &[u8], what: &str) {
    let root = Draft::authority("root").self_signed();
    let middle = Draft::authority("middle").edit(|d| d.spki = Some(spki.to_vec()));
    let middle = middle.signed_by(&root);
    let below = Draft::leaf("alice").signed_by(&middle);
    assert!(judge(&[&root], &[&below, &middle]).is_err(), "{what}");
    let anchor = Draft::authority("other").edit(|d| d.spki = Some(spki.to_vec()));
    let pem = anchor.self_signed().pem();
    assert!(
        TrustBundle::from_pem("clients", pem.as_bytes(), NOW).is_err(),
        "{what}"
    );
}

#[test]
fn signatures_are_by_known_algorithms_with_a_hash_that_holds() {
    let root = Draft::authority("root").self_signed();
    let rsa_with = |number: u8| {
        let oid = tlv(6, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, number]);
        seq(&[&oid, &[5, 0]])
    };
    let ecdsa_with = |arcs: &[u8]| {
        let oid = [&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4], arcs].concat();
        seq(&[&tlv(6, &oid)])
    };
    for (algorithm, what) in [
        (rsa_with(2), "MD2"),
        (rsa_with(4), "MD5"),
        (rsa_with(5), "SHA-1 with RSA"),
        (rsa_with(10), "PSS with another key"),
        (rsa_with(11), "RSA, and the key is none"),
        (rsa_with(14), "SHA-224"),
        (ecdsa_with(&[1]), "SHA-1 with ECDSA"),
        (ecdsa_with(&[3, 1]), "SHA-224 with ECDSA"),
        (
            seq(&[&tlv(6, &[0x2b, 0x65, 0x70])]),
            "Ed25519, and the key is none",
        ),
        (seq(&[&tlv(6, &[0x2a, 3])]), "something unheard of"),
    ] {
        for depth in 0..2 {
            let odd = |draft: Draft, own: usize| {
                draft.edit(|d| {
                    if own == depth {
                        d.algorithm.clone_from(&algorithm);
                    }
                })
            };
            let middle = odd(Draft::authority("middle"), 1).signed_by(&root);
            let leaf = odd(Draft::leaf("alice"), 0).signed_by(&middle);
            assert_eq!(
                refusal(judge(&[&root], &[&leaf, &middle])),
                ("unsupported_algorithm", depth),
                "{what}"
            );
        }
    }
}

/// A time as written, behind `u` for UTCTime or `g` for GeneralizedTime.
fn written(time: &str) -> Vec<u8> {
    let (kind, text) = time.split_at(1);
    tlv(if kind == "u" { 0x17 } else { 0x18 }, text.as_bytes())
}

fn with_dates(dates: &[u8]) -> Result<(), &'static str> {
    let root = Draft::authority("root").self_signed();
    let leaf = Draft::leaf("alice").edit(|d| d.validity = Some(dates.to_vec()));
    let judged = judge_alone(&[&root], &[&leaf.signed_by(&root)]);
    judged.map(drop).map_err(|error| error.code())
}

#[test]
fn dates_are_of_the_calendar_in_utc_and_to_the_second() {
    let (from, to) = ("u260101000000Z", "u270101000000Z");
    for (from, to, expected) in [
        (from, to, Ok(())),
        ("u500101000000Z", "u491231235959Z", Ok(())),
        ("g20260101000000Z", to, Ok(())),
        (from, "g20500101000000Z", Ok(())),
        (from, "g99991231235959Z", Ok(())),
        (to, from, Err("not_yet_valid")),
        (from, from, Err("expired")),
    ] {
        let dates = [written(from), written(to)].concat();
        assert_eq!(with_dates(&dates), expected, "{from} to {to}");
    }
    for odd in [
        "u260230000000Z",
        "u261301000000Z",
        "u260101250000Z",
        "u260101006000Z",
        "u260101000060Z",
        "u2601010000Z",
        "u260101000000+0800",
        "u260101000000",
        "u26010100000aZ",
        "u20260101000000Z",
        "g260101000000Z",
        "g20260101000000.5Z",
        "g20260101000000+0000",
        "g2026010100Z",
        "u",
    ] {
        for dates in [[odd, to], [from, odd]] {
            let dates = dates.map(written).concat();
            assert_eq!(with_dates(&dates), Err("malformed"), "{odd}");
        }
    }
    for dates in [
        written(from),
        [written(from), tlv(0x0c, b"270101000000Z")].concat(),
        [written(from), written(to), written(to)].concat(),
    ] {
        assert_eq!(with_dates(&dates), Err("malformed"), "{dates:?}");
    }
}

/// 2.5.29.N
fn standard(number: u8) -> Vec<u8> {
    vec![0x55, 0x1d, number]
}

#[test]
fn a_critical_extension_that_is_not_processed_refuses_the_chain_wherever_it_stands() {
    let access = [0x2b, 6, 1, 5, 5, 7, 1, 1];
    for (oid, what) in [
        (PRIVATE.to_vec(), "a private one"),
        (standard(9), "subject directory attributes"),
        (standard(18), "alternative names of the issuer"),
        (standard(46), "the freshest list"),
        (standard(200), "one that the standard does not know"),
        (access.to_vec(), "authority information access"),
    ] {
        for depth in 0..2 {
            for critical in [true, false] {
                let with = |draft: Draft, own: usize| {
                    if own == depth {
                        draft.extension(&oid, critical, &[0x30, 0])
                    } else {
                        draft
                    }
                };
                let root = Draft::authority("root").self_signed();
                let middle = with(Draft::authority("middle"), 1).signed_by(&root);
                let leaf = with(Draft::leaf("alice"), 0).signed_by(&middle);
                let judged = judge(&[&root], &[&leaf, &middle]);
                let expected = critical.then_some(("critical_extension", depth));
                let found = judged.err().map(|error| (error.code(), error.depth));
                assert_eq!(found, expected, "{what}, critical: {critical}");
            }
        }
    }
    // What is processed may be critical or not.
    let root = Draft::authority("root").self_signed();
    for critical in [true, false] {
        let middle = Draft::authority("middle")
            .extension(BASIC_CONSTRAINTS, critical, &[0x30, 3, 1, 1, 0xff])
            .extension(KEY_USAGE, critical, &[3, 2, 1, 0x06])
            .signed_by(&root);
        let client_auth = seq(&[&tlv(6, &[0x2b, 6, 1, 5, 5, 7, 3, 2])]);
        let leaf = Draft::leaf("alice")
            .extension(EXTENDED_KEY_USAGE, critical, &client_auth)
            .signed_by(&middle);
        assert!(judge(&[&root], &[&leaf, &middle]).is_ok());
    }
}

#[test]
fn der_is_the_only_encoding() {
    let root = Draft::authority("root").self_signed();
    let good = Draft::leaf("alice").signed_by(&root);
    let body = &good.der[4..];
    let with = |der: Vec<u8>| Made {
        der,
        ..good.clone()
    };
    let length = (body.len() as u16).to_be_bytes();
    assert_eq!(good.der[..4], [0x30, 0x82, length[0], length[1]]);
    for (der, what) in [
        ([&good.der, [0].as_slice()].concat(), "a byte behind it"),
        (good.der[..good.der.len() - 1].to_vec(), "a byte too few"),
        (
            [&[0x30, 0x80], body, &[0, 0]].concat(),
            "an indefinite length",
        ),
        (
            [&[0x30, 0x83, 0, length[0], length[1]], body].concat(),
            "a length with a zero in front",
        ),
        (
            [&[0x31, 0x82, length[0], length[1]], body].concat(),
            "a set",
        ),
        (
            [&[0x24, 0x82, length[0], length[1]], body].concat(),
            "a string in pieces",
        ),
        (Vec::new(), "nothing"),
    ] {
        assert_eq!(
            refusal(judge_alone(&[&root], &[&with(der)])),
            ("malformed", 0),
            "{what}"
        );
    }
}

#[test]
fn no_bit_of_an_accepted_chain_can_be_another_one() {
    let root = Draft::authority("root").self_signed();
    let middle = Draft::authority("middle")
        .extension(BASIC_CONSTRAINTS, true, &[0x30, 6, 1, 1, 0xff, 2, 1, 0])
        .signed_by(&root);
    let leaf = Draft::leaf("alice")
        .names(&[tlv(0x86, b"spiffe://gov.example/alice")])
        .signed_by(&middle);
    assert!(judge(&[&root], &[&leaf, &middle]).is_ok());
    for at in 0..leaf.der.len().max(middle.der.len()) {
        for change in [1 << (at % 8), 0xff] {
            let changed = |made: &Made| {
                let mut changed = made.clone();
                let byte = changed.der.get_mut(at)?;
                *byte ^= change;
                Some(changed)
            };
            if let Some(leaf) = changed(&leaf) {
                assert!(
                    judge_alone(&[&root], &[&leaf, &middle]).is_err(),
                    "leaf, byte {at}"
                );
            }
            if let Some(middle) = changed(&middle) {
                assert!(
                    judge_alone(&[&root], &[&leaf, &middle]).is_err(),
                    "middle, byte {at}"
                );
            }
        }
    }
}

#[test]
fn of_two_issuers_of_one_name_the_key_decides_whatever_the_identifiers_say() {
    let root = Draft::authority("root").self_signed();
    let one = Draft::authority("middle").signed_by(&root);
    let other = Draft::authority("middle").signed_by(&root);
    let wrong_hint = seq(&[&tlv(0x80, &[7; 20])]);
    let leaf = Draft::leaf("alice")
        .extension(AUTHORITY_KEY_ID, false, &wrong_hint)
        .edit(|d| d.not_after = NOW + 1)
        .signed_by(&other);
    assert!(judge(&[&root], &[&leaf, &one, &other]).is_ok());
    assert_eq!(
        refusal(judge(&[&root], &[&leaf, &one])),
        ("bad_signature", 0)
    );
}
