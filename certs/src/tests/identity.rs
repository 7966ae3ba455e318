//! Names that are read, and names that name nobody.

use super::craft::{CN, Draft, O, OU, UTF8, name, pair, seq, tlv};
use crate::identity::{Identity, IdentityError};
use crate::spiffe::SpiffeError;

fn identity(draft: Draft) -> Result<Identity, IdentityError> {
    let root = Draft::authority("root").self_signed();
    let leaf = draft.signed_by(&root);
    Identity::from_chain(&[leaf.der.into(), root.der.into()])
}

fn subject(attributes: &[(&[u8], u8, &[u8])]) -> Draft {
    Draft::leaf("x").edit(|draft| draft.subject = name(attributes))
}

fn uri(text: &str) -> Vec<u8> {
    tlv(0x86, text.as_bytes())
}

#[test]
fn every_field_is_read() {
    let other_name = tlv(
        0xa0,
        &[
            tlv(6, &[0x2b, 6, 1, 4, 1, 0x82, 0x37, 20, 2, 3]),
            tlv(0xa0, &tlv(12, b"alice@gov")),
        ]
        .concat(),
    );
    let names = [
        uri("urn:tax:alice"),
        tlv(0x82, b"Laptop.Tax.Example"),
        tlv(0x81, b"alice@tax.example"),
        tlv(0x87, &[10, 0, 0, 1]),
        tlv(0x87, &[0; 16]),
        other_name,
    ];
    let read = identity(
        subject(&[
            (O, UTF8, "国家税务总局".as_bytes()),
            (OU, UTF8, b"Audit"),
            (OU, UTF8, b"Team 2"),
            (CN, 0x13, b"alice"),
        ])
        .names(&names),
    )
    .unwrap();
    for (field, value) in [
        ("subject.cn", Some("alice")),
        ("subject.o", Some("国家税务总局")),
        ("subject.ou", Some("Audit")),
        ("san.uri", Some("urn:tax:alice")),
        ("san.dns", Some("laptop.tax.example")),
        ("san.email", Some("alice@tax.example")),
        ("san.ip", Some("10.0.0.1")),
        ("san.upn", Some("alice@gov")),
        ("serial", Some("2a")),
        ("issuer", Some("CN=root")),
        ("spiffe", None),
        ("subject.c", None),
        ("no.such.field", None),
    ] {
        assert_eq!(read.field(field), value, "{field}");
    }
    assert_eq!(read.field("fingerprint").map(str::len), Some(64));
    assert_eq!(read.ips.len(), 2);
    assert!(
        Identity::FIELDS
            .iter()
            .all(|field| Identity::check_field(field).is_ok())
    );
}

#[test]
fn a_social_credit_code_is_recognised_only_when_its_check_characters_are_right() {
    let of = |identifier: &[u8]| {
        let organisation_identifier: &[u8] = &[0x55, 0x04, 0x61];
        identity(subject(&[
            (organisation_identifier, UTF8, identifier),
            (CN, UTF8, b"api"),
        ]))
        .unwrap()
        .credit_code
    };
    assert_eq!(
        of(b"NTRCN-91350100M000100Y43")
            .map(|code| code.to_string())
            .as_deref(),
        Some("91350100M000100Y43")
    );
    assert_eq!(of(b"NTRCN-91350100M000100Y44"), None);
    let in_unit = identity(subject(&[
        (OU, UTF8, b"Audit"),
        (OU, UTF8, b"91350100M000100Y43"),
    ]))
    .unwrap();
    assert!(in_unit.credit_code.is_some());
}

#[test]
fn policies_are_listed() {
    let policies = seq(&[&seq(&[&tlv(6, &[0x2a, 0x81, 0x1c, 1])])]);
    let read =
        identity(Draft::leaf("alice").extension(&[0x55, 0x1d, 32], false, &policies)).unwrap();
    assert_eq!(read.policies, ["1.2.156.1"]);
}

#[test]
fn what_the_key_is_for_can_be_asked() {
    let usages = seq(&[
        &tlv(6, &[0x2b, 6, 1, 5, 5, 7, 3, 2]),
        &tlv(6, &[0x2a, 0x81, 0x1c, 1]),
    ]);
    let told = Draft::leaf("alice").without(&[0x55, 0x1d, 37]).extension(
        &[0x55, 0x1d, 37],
        false,
        &usages,
    );
    let read = identity(told).unwrap();
    assert_eq!(read.extended_key_usages, ["clientAuth", "1.2.156.1"]);
    assert_eq!(read.field("eku"), Some("clientAuth"));
}

#[test]
fn a_subject_that_could_be_read_in_two_ways_names_nobody() {
    let two_in_one = tlv(
        0x30,
        &tlv(
            0x31,
            &[pair(&(CN, UTF8, b"alice")), pair(&(OU, UTF8, b"x"))].concat(),
        ),
    );
    assert_eq!(
        identity(Draft::leaf("x").edit(|d| d.subject = two_in_one)),
        Err(IdentityError::MultiValued)
    );
    for attributes in [
        vec![(CN, UTF8, &b"alice"[..]), (CN, UTF8, b"admin")],
        vec![(O, UTF8, b"Tax"), (O, UTF8, b"Treasury")],
        vec![(OU, UTF8, b"Tax"), (OU, UTF8, b"Tax")],
    ] {
        assert!(
            matches!(
                identity(subject(&attributes)),
                Err(IdentityError::Repeated(_))
            ),
            "{attributes:?}"
        );
    }
    for (tag, value, why) in [
        (UTF8, &b"admin\0.evil"[..], "NUL"),
        (UTF8, b"a\nb", "newline"),
        (UTF8, b"", "empty"),
        (UTF8, &[0xff], "not UTF-8"),
        (UTF8, &[b'x'; 257], "too long"),
        (UTF8, "a\u{202e}b".as_bytes(), "right to left"),
        (0x13, b"a*", "outside PrintableString"),
        (0x14, b"teletex", "teletex"),
        (0x04, b"octets", "not a string"),
    ] {
        assert!(
            matches!(
                identity(subject(&[(CN, tag, value)])),
                Err(IdentityError::Subject(_))
            ),
            "{why}"
        );
    }
}

#[test]
fn alternative_names_that_are_not_what_they_say_name_nobody() {
    for (name, why) in [
        (uri("no-scheme"), "URI without a scheme"),
        (uri("http://a b"), "space"),
        (uri("http://a\0b"), "NUL"),
        (tlv(0x86, &[0xc3, 0xa9]), "not ASCII"),
        (uri(&format!("http:{}", "x".repeat(2048))), "over-long URI"),
        (tlv(0x82, b"a..b"), "empty label"),
        (tlv(0x82, b"-a.b"), "label with a leading hyphen"),
        (tlv(0x82, b"a.b."), "trailing dot"),
        (tlv(0x82, b"a.*.b"), "inner wildcard"),
        (tlv(0x82, b""), "empty host"),
        (tlv(0x81, b"alice"), "e-mail without a host"),
        (tlv(0x81, b"a@b@c"), "two at signs"),
        (tlv(0x87, &[1, 2, 3]), "three-byte address"),
        (tlv(0x87, &[0; 8]), "address with a mask"),
    ] {
        let read = identity(Draft::leaf("alice").names(&[name]));
        assert!(
            matches!(read, Err(IdentityError::AlternativeName(_))),
            "{why}: {read:?}"
        );
    }
    let many = vec![tlv(0x82, b"a.example"); 129];
    assert!(identity(Draft::leaf("alice").names(&many)).is_err());
    for (names, why) in [
        (vec![], "none"),
        (vec![tlv(0x9e, b"x")], "unknown kind"),
        (vec![tlv(0x86, &[0xff])], "not even text"),
    ] {
        let read = identity(Draft::leaf("alice").names(&names));
        assert!(
            matches!(read, Err(IdentityError::Malformed(_))),
            "{why}: {read:?}"
        );
    }
}

#[test]
fn a_spiffe_id_is_strict_and_stands_alone() {
    let of = |uris: &[&str]| {
        identity(Draft::leaf("x").names(&uris.iter().map(|text| uri(text)).collect::<Vec<_>>()))
    };
    let read = of(&["spiffe://gov.example/tax/api"]).unwrap();
    assert_eq!(read.field("spiffe"), Some("spiffe://gov.example/tax/api"));
    assert_eq!(read.field("spiffe.trust_domain"), Some("gov.example"));
    assert_eq!(
        of(&["spiffe://a/b", "urn:x"]),
        Err(IdentityError::SpiffeNotAlone)
    );
    assert_eq!(
        of(&["urn:x", "spiffe://a/b"]),
        Err(IdentityError::SpiffeNotAlone)
    );
    assert_eq!(of(&["spiffe://a"]), Err(IdentityError::SpiffeNoPath));
    assert_eq!(
        of(&["SPIFFE://a/b"]),
        Err(IdentityError::Spiffe(SpiffeError::Scheme))
    );
    assert_eq!(
        of(&["spiffe://a//b"]),
        Err(IdentityError::Spiffe(SpiffeError::Path))
    );
}

#[test]
fn no_bytes_make_the_reader_panic() {
    let root = Draft::authority("root").self_signed();
    let leaf = Draft::leaf("alice")
        .names(&[uri("spiffe://a/b")])
        .signed_by(&root);
    for at in 0..leaf.der.len() {
        for value in [0x00, 0x01, 0x7f, 0x80, 0x81, 0x84, 0xff] {
            let mut bytes = leaf.der.clone();
            bytes[at] = value;
            let _read = Identity::from_chain(&[bytes.into()]);
        }
        let _read = Identity::from_chain(&[leaf.der[..at].to_vec().into()]);
    }
    assert_eq!(Identity::from_chain(&[]), Err(IdentityError::NoCertificate));
}
