//! What the small CA makes passes the gateway's own validation.

use super::{DAY, NOW, ders};
use crate::authority::Authority;
use crate::identity::Identity;
use crate::issue::{AuthorityError, ClientRequest, Reason, Revoked, Validity};
use crate::path::{Purpose, verify_chain, verify_client_chain};
use crate::revocation::{RevocationIndex, Uncovered};
use crate::serial::Serial;
use crate::spiffe::SpiffeId;
use crate::trust::TrustBundle;

fn validity() -> Validity {
    Validity::days(NOW - DAY, 30)
}

fn trust(root: &Authority) -> TrustBundle {
    TrustBundle::from_pem("clients", root.certificate_pem().as_bytes(), NOW).unwrap()
}

#[test]
fn clients_of_root_and_intermediate_are_accepted_with_their_names() {
    let root = Authority::new_root("政务根 CA", validity()).unwrap();
    let issuing = root.new_intermediate("Issuing CA", validity()).unwrap();
    let request = ClientRequest {
        organisation: Some("国家税务总局".to_owned()),
        organisational_unit: Some("Audit".to_owned()),
        country: Some("CN".to_owned()),
        uris: vec!["urn:tax:alice".to_owned()],
        dns: vec!["laptop.tax.example".to_owned()],
        emails: vec!["alice@tax.example".to_owned()],
        serial: Serial::from_hex("0badc0de"),
        ..ClientRequest::named("alice", validity())
    };
    let unchecked = RevocationIndex::empty(Uncovered::Accepted);
    for authority in [&root, &issuing] {
        let chain = ders(&authority.issue_client(&request).unwrap().certificate_pem);
        let identity = verify_client_chain(&trust(&root), &unchecked, &chain[0], &chain[1..], NOW)
            .unwrap()
            .identity;
        for (field, value) in [
            ("subject.cn", "alice"),
            ("subject.o", "国家税务总局"),
            ("subject.ou", "Audit"),
            ("subject.c", "CN"),
            ("san.uri", "urn:tax:alice"),
            ("san.dns", "laptop.tax.example"),
            ("san.email", "alice@tax.example"),
            ("serial", "0badc0de"),
        ] {
            assert_eq!(identity.field(field), Some(value), "{field}");
        }
    }
    let id = SpiffeId::parse("spiffe://gov.example/tax/api").unwrap();
    let workload = ders(
        &issuing
            .issue_client(&ClientRequest::spiffe(&id, validity()))
            .unwrap()
            .certificate_pem,
    );
    let identity =
        verify_client_chain(&trust(&root), &unchecked, &workload[0], &workload[1..], NOW)
            .unwrap()
            .identity;
    assert_eq!(identity.spiffe, Some(id));
}

#[test]
fn an_authority_survives_being_saved() {
    let root = Authority::new_root("政务根 CA", validity()).unwrap();
    let issuing = root.new_intermediate("Issuing CA", validity()).unwrap();
    let unchecked = RevocationIndex::empty(Uncovered::Accepted);
    for saved in [&root, &issuing] {
        let loaded = Authority::from_pem(saved.chain_pem(), saved.key_pem()).unwrap();
        assert_eq!(loaded.certificate_pem(), saved.certificate_pem());
        let chain = ders(
            &loaded
                .issue_server(&["gate.example", "10.0.0.1", "::1"], validity())
                .unwrap()
                .certificate_pem,
        );
        verify_chain(
            &trust(&root),
            &unchecked,
            &chain[0],
            &chain[1..],
            Purpose::Server,
            NOW,
        )
        .unwrap();
        let list = loaded.crl(&[], NOW - 1, NOW + DAY, 1).unwrap();
        let bundle = format!("{}{}", root.certificate_pem(), issuing.certificate_pem());
        let bundle = TrustBundle::from_pem("clients", bundle.as_bytes(), NOW).unwrap();
        RevocationIndex::load(&[("ca.crl", list.as_bytes())], &bundle, NOW).unwrap();
    }
    let loaded = Authority::from_pem(issuing.chain_pem(), issuing.key_pem()).unwrap();
    assert!(matches!(
        loaded.new_intermediate("deeper", validity()),
        Err(AuthorityError::NotARoot)
    ));
}

#[test]
fn a_device_is_known_by_its_number_and_its_organisations_code() {
    let root = Authority::new_root("Root", validity()).unwrap();
    let request = ClientRequest {
        organisation_identifier: Some("NTRCN-91350100M000100Y43".to_owned()),
        device_number: Some("SN-0042".to_owned()),
        ..ClientRequest::named("camera 7", validity())
    };
    let identity =
        Identity::from_chain(&ders(&root.issue_client(&request).unwrap().certificate_pem)).unwrap();
    assert_eq!(identity.field("subject.serial_number"), Some("SN-0042"));
    assert_eq!(
        identity.credit_code.map(|code| code.to_string()).as_deref(),
        Some("91350100M000100Y43")
    );
}

#[test]
fn a_list_says_why_when_somebody_said_so() {
    let root = Authority::new_root("Root", validity()).unwrap();
    let issued = root
        .issue_client(&ClientRequest::named("alice", validity()))
        .unwrap();
    let links = Identity::from_chain(&ders(&issued.certificate_pem))
        .unwrap()
        .links;
    for (reason, shown) in [
        (Reason::Unspecified, "no reason given"),
        (Reason::KeyCompromise, "key compromise"),
        (Reason::AffiliationChanged, "affiliation changed"),
        (Reason::Superseded, "superseded"),
        (Reason::CessationOfOperation, "cessation of operation"),
        (Reason::CertificateHold, "certificate hold"),
        (Reason::PrivilegeWithdrawn, "privilege withdrawn"),
    ] {
        let revoked = [Revoked {
            serial: issued.serial,
            at: NOW - 60,
            reason,
        }];
        let list = root
            .revocation_list(&revoked, NOW - 60, NOW + DAY, 1)
            .unwrap();
        let index =
            RevocationIndex::load(&[("root.crl", list.as_bytes())], &trust(&root), NOW).unwrap();
        let why = index.check(&links, NOW).unwrap_err().to_string();
        assert!(why.ends_with(&format!("({shown})")), "{why}");
    }
}

#[test]
fn what_would_make_a_bad_certificate_is_refused() {
    let root = Authority::new_root("Root", validity()).unwrap();
    let client = |edit: fn(&mut ClientRequest)| {
        let mut request = ClientRequest::named("alice", validity());
        edit(&mut request);
        root.issue_client(&request)
            .map(|issued| issued.serial)
            .map_err(|error| error.to_string())
    };
    for (result, part) in [
        (client(|r| r.common_name = None), "would name nobody"),
        (
            client(|r| r.common_name = Some("a\0b".to_owned())),
            "control or invisible",
        ),
        (
            client(|r| r.country = Some("China".to_owned())),
            "two capital letters",
        ),
        (
            client(|r| r.uris = vec!["spiffe://A/b".to_owned()]),
            "SPIFFE id `spiffe://A/b`",
        ),
        (
            client(|r| r.dns = vec!["税务.example".to_owned()]),
            "not ASCII",
        ),
        (
            client(|r| {
                r.validity = Some(Validity {
                    not_before: NOW,
                    not_after: NOW - 1,
                })
            }),
            "ends before it begins",
        ),
        (
            client(|r| {
                r.validity = Some(Validity {
                    not_before: 0,
                    not_after: i64::MAX,
                })
            }),
            "outside the years",
        ),
    ] {
        let message = result.unwrap_err();
        assert!(message.contains(part), "{message}");
    }
    assert!(root.issue_server(&[], validity()).is_err());
    let other = Authority::new_root("Other", validity()).unwrap();
    for (certificate, key, part) in [
        (
            root.certificate_pem(),
            other.key_pem(),
            "not the certificate's",
        ),
        (root.certificate_pem(), "", "PKCS #8"),
        ("", root.key_pem(), "no `CERTIFICATE` block"),
    ] {
        let message = Authority::from_pem(certificate, key)
            .unwrap_err()
            .to_string();
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn secrets_are_not_shown_by_debug() {
    let root = Authority::new_root("Root", validity()).unwrap();
    let issued = root.issue_server(&["gate.example"], validity()).unwrap();
    assert!(!format!("{root:?}{issued:?}").contains("PRIVATE"));
}
