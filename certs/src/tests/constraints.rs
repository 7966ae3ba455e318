//! Name constraints of every kind.

use super::chains::{judge, judge_alone, refusal};
use super::craft::{CN, Draft, O, OU, UTF8, name, seq, tlv};

const NAME_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 30];
const EMAIL_ADDRESS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1];

const PERMITTED: u8 = 0xa0;
const EXCLUDED: u8 = 0xa1;

const DNS: u8 = 0x82;
const EMAIL: u8 = 0x81;
const URI: u8 = 0x86;
const IP: u8 = 0x87;
const DIRECTORY: u8 = 0xa4;

fn constraint(list: u8, kind: u8, bases: &[&[u8]]) -> Vec<u8> {
    let subtrees: Vec<Vec<u8>> = bases.iter().map(|base| seq(&[&tlv(kind, base)])).collect();
    seq(&[&tlv(list, &subtrees.concat())])
}

/// Whether a CA with this constraint may vouch for a leaf with this alternative name.
fn allows(constraint: &[u8], kind: u8, presented: &[u8]) -> bool {
    let root = Draft::authority("root")
        .extension(NAME_CONSTRAINTS, true, constraint)
        .self_signed();
    let leaf = Draft::leaf("alice")
        .names(&[tlv(kind, presented)])
        .signed_by(&root);
    match judge_alone(&[&root], &[&leaf]) {
        Ok(_chain) => true,
        Err(error) => {
            assert_eq!((error.code(), error.depth), ("name_constraint", 0));
            false
        }
    }
}

#[test]
fn hosts_lie_below_whole_labels() {
    for (kind, base, presented, below) in [
        (DNS, "example.com", "example.com", true),
        (DNS, "example.com", "Host.Example.COM", true),
        (DNS, "example.com", "a.b.example.com", true),
        (DNS, "example.com", "badexample.com", false),
        (DNS, "example.com", "example.com.evil", false),
        (DNS, ".example.com", "a.example.com", true),
        (DNS, ".example.com", "example.com", false),
        (DNS, "", "anything.example", true),
        (DNS, "example.com", "*.example.com", true),
        (DNS, "a.example.com", "*.example.com", false),
        (EMAIL, "alice@example.com", "alice@EXAMPLE.com", true),
        (EMAIL, "alice@example.com", "bob@example.com", false),
        (EMAIL, "example.com", "bob@example.com", true),
        (EMAIL, "example.com", "bob@mail.example.com", false),
        (EMAIL, ".example.com", "bob@mail.example.com", true),
        (EMAIL, ".example.com", "bob@example.com", false),
        (URI, "gov.example", "spiffe://gov.example/tax", true),
        (URI, "gov.example", "spiffe://tax.gov.example/api", false),
        (URI, ".gov.example", "spiffe://tax.gov.example/api", true),
        (URI, "gov.example", "https://user@gov.example:8443/x", true),
        (
            URI,
            "gov.example",
            "https://gov.example.evil/gov.example",
            false,
        ),
        (URI, "gov.example", "https://10.0.0.1/", false),
        (URI, "gov.example", "urn:tax:alice", false),
        // One more dot makes another text of the same host.
        (DNS, "example.com", "www.example.com.", false),
        (URI, "gov.example", "https://gov.example./", false),
        (EMAIL, "example.com", "bob@example.com.", false),
    ] {
        let constraint = constraint(PERMITTED, kind, &[base.as_bytes()]);
        assert_eq!(
            allows(&constraint, kind, presented.as_bytes()),
            below,
            "{presented} below {base}"
        );
    }
}

#[test]
fn what_is_excluded_is_refused_though_it_is_permitted_too() {
    let both = seq(&[
        &tlv(PERMITTED, &seq(&[&tlv(DNS, b"example.com")])),
        &tlv(EXCLUDED, &seq(&[&tlv(DNS, b"secret.example.com")])),
    ]);
    for (presented, allowed) in [
        ("www.example.com", true),
        ("secret.example.com", false),
        ("a.secret.example.com", false),
        ("*.example.com", false),
        ("*.www.example.com", true),
    ] {
        assert_eq!(
            allows(&both, DNS, presented.as_bytes()),
            allowed,
            "{presented}"
        );
    }
    // A constraint says nothing about names of another kind.
    assert!(allows(&both, URI, b"urn:x"));
    for (kind, base, presented, allowed) in [
        (EMAIL, "example.com", "bob@example.com", false),
        (EMAIL, "example.com", "bob@mail.example.com", true),
        (EMAIL, ".example.com", "bob@mail.example.com", false),
        (EMAIL, "bob@example.com", "alice@example.com", true),
        (URI, "gov.example", "spiffe://gov.example/tax", false),
        (URI, ".gov.example", "spiffe://tax.gov.example/api", false),
        (URI, "gov.example", "spiffe://other.example/tax", true),
        // What would be another text of an excluded name, and no other name.
        (DNS, "secret.example", "secret.example.", false),
        (DNS, "secret.example", "SECRET.example", false),
        (EMAIL, "example.com", "bob@example.com.", false),
        (EMAIL, "bob@example.com", "Bob@EXAMPLE.com", false),
        (URI, "gov.example", "https://gov.example./x", false),
        (URI, "gov.example", "https://gov%2eexample/x", false),
        (
            URI,
            "gov.example",
            "https://other.example@gov.example/x",
            false,
        ),
    ] {
        let excluded = constraint(EXCLUDED, kind, &[base.as_bytes()]);
        assert_eq!(
            allows(&excluded, kind, presented.as_bytes()),
            allowed,
            "{presented} without {base}"
        );
    }
}

#[test]
fn addresses_lie_in_ranges() {
    let ten = constraint(PERMITTED, IP, &[&[10, 0, 0, 0, 255, 0, 0, 0]]);
    assert!(allows(&ten, IP, &[10, 1, 2, 3]));
    assert!(!allows(&ten, IP, &[11, 1, 2, 3]));
    assert!(!allows(&ten, IP, &[0; 16]));
    let odd = constraint(EXCLUDED, IP, &[&[10, 16, 0, 0, 255, 240, 0, 0]]);
    assert!(!allows(&odd, IP, &[10, 31, 0, 1]));
    assert!(allows(&odd, IP, &[10, 32, 0, 1]));
}

#[test]
fn constraints_that_are_malformed_refuse_the_chain() {
    for (constraint, why) in [
        (seq(&[]), "empty"),
        (seq(&[&tlv(PERMITTED, &[])]), "empty list"),
        (
            constraint(PERMITTED, IP, &[&[10, 0, 0, 0, 255, 0, 255, 0]]),
            "mask with a hole",
        ),
        (
            constraint(PERMITTED, IP, &[&[10, 0, 0, 0]]),
            "address without a mask",
        ),
        (constraint(PERMITTED, DNS, &[b"*.example.com"]), "wildcard"),
        (
            seq(&[&tlv(PERMITTED, &seq(&[&tlv(DNS, b"a"), &tlv(0x81, &[1])]))]),
            "maximum",
        ),
    ] {
        let root = Draft::authority("root").self_signed();
        let middle = Draft::authority("middle")
            .extension(NAME_CONSTRAINTS, true, &constraint)
            .signed_by(&root);
        let leaf = Draft::leaf("alice").signed_by(&middle);
        assert_eq!(
            refusal(judge(&[&root], &[&leaf, &middle])).0,
            "malformed",
            "{why}"
        );
    }
}

#[test]
fn subjects_lie_below_directory_names() {
    let base = name(&[(O, UTF8, b"Tax Office")]);
    let root = Draft::authority("root").extension(
        NAME_CONSTRAINTS,
        true,
        &constraint(PERMITTED, DIRECTORY, &[&base]),
    );
    let root = root.self_signed();
    let subject = |attributes: &[(&[u8], u8, &[u8])]| {
        let leaf = Draft::leaf("x")
            .edit(|draft| draft.subject = name(attributes))
            .signed_by(&root);
        judge_alone(&[&root], &[&leaf])
            .map_err(|error| error.code())
            .map(|_chain| ())
    };
    assert_eq!(
        subject(&[(O, UTF8, b"Tax Office"), (CN, UTF8, b"alice")]),
        Ok(())
    );
    assert_eq!(
        subject(&[(O, 0x13, b"tax  OFFICE"), (CN, UTF8, b"alice")]),
        Ok(()),
        "case and spaces do not count"
    );
    assert_eq!(
        subject(&[(O, UTF8, b"Treasury"), (CN, UTF8, b"alice")]),
        Err("name_constraint")
    );
    assert_eq!(
        subject(&[(CN, UTF8, b"alice"), (O, UTF8, b"Tax Office")]),
        Err("name_constraint"),
        "order counts"
    );
    assert_eq!(
        subject(&[(OU, UTF8, b"Tax Office"), (CN, UTF8, b"alice")]),
        Err("name_constraint")
    );

    let excluding = Draft::authority("root")
        .extension(
            NAME_CONSTRAINTS,
            true,
            &constraint(EXCLUDED, DIRECTORY, &[&base]),
        )
        .self_signed();
    for (organisation, code) in [
        (b"TAX office".as_slice(), Some("name_constraint")),
        (b"Treasury", None),
    ] {
        let subject = name(&[(O, UTF8, organisation), (CN, UTF8, b"alice")]);
        let leaf = Draft::leaf("x")
            .edit(|draft| draft.subject = subject)
            .signed_by(&excluding);
        let judged = judge_alone(&[&excluding], &[&leaf]);
        assert_eq!(judged.err().map(|error| error.code()), code);
    }
    // A directory name among the alternative names is a name like the subject.
    let leaf = Draft::leaf("alice")
        .names(&[tlv(DIRECTORY, &base)])
        .signed_by(&excluding);
    assert_eq!(
        refusal(judge_alone(&[&excluding], &[&leaf])),
        ("name_constraint", 0)
    );
}

#[test]
fn an_e_mail_address_in_the_subject_is_constrained_too() {
    let constraint = constraint(EXCLUDED, EMAIL, &[b"example.com"]);
    let root = Draft::authority("root")
        .extension(NAME_CONSTRAINTS, true, &constraint)
        .self_signed();
    let subject = name(&[
        (CN, UTF8, b"alice"),
        (EMAIL_ADDRESS, 0x16, b"alice@example.com"),
    ]);
    let leaf = Draft::leaf("x")
        .edit(|draft| draft.subject = subject)
        .signed_by(&root);
    assert_eq!(refusal(judge(&[&root], &[&leaf])), ("name_constraint", 0));
}

#[test]
fn kinds_that_cannot_be_compared_refuse_names_of_that_kind() {
    let other_name = |text: &[u8]| [tlv(6, &[0x2a, 3]), tlv(0xa0, &tlv(12, text))].concat();
    let constraint = constraint(PERMITTED, 0xa0, &[&other_name(b"x")]);
    assert!(!allows(&constraint, 0xa0, &other_name(b"x")));
    assert!(allows(&constraint, DNS, b"a.example"));
}

#[test]
fn constraints_reach_every_certificate_below_and_every_ca_adds_its_own() {
    let of = |base: &[u8]| constraint(PERMITTED, DNS, &[base]);
    let root = Draft::authority("root")
        .extension(NAME_CONSTRAINTS, true, &of(b"example.com"))
        .self_signed();
    let middle = Draft::authority("middle")
        .extension(NAME_CONSTRAINTS, true, &of(b"tax.example.com"))
        .signed_by(&root);
    let leaf = |host: &[u8]| Draft::leaf("x").names(&[tlv(DNS, host)]).signed_by(&middle);
    assert!(judge(&[&root], &[&leaf(b"a.tax.example.com"), &middle]).is_ok());
    assert_eq!(
        refusal(judge(&[&root], &[&leaf(b"a.example.com"), &middle])),
        ("name_constraint", 0)
    );
    let straying = Draft::authority("middle")
        .names(&[tlv(DNS, b"evil.example")])
        .signed_by(&root);
    let below = Draft::leaf("x").signed_by(&straying);
    assert_eq!(
        refusal(judge(&[&root], &[&below, &straying])),
        ("name_constraint", 1)
    );
    let on_a_leaf = Draft::leaf("x")
        .extension(NAME_CONSTRAINTS, true, &of(b"example.com"))
        .signed_by(&root);
    assert_eq!(
        refusal(judge(&[&root], &[&on_a_leaf])),
        ("name_constraint", 0)
    );
}
