//! Text made from identities.

use super::craft::{CN, Draft, O, OU, UTF8, name, tlv};
use crate::identity::Identity;
use crate::template::{Template, TemplateError};

fn person(common: &str, organisation: &str) -> Identity {
    let attributes = [
        (O, UTF8, organisation.as_bytes()),
        (OU, UTF8, &b"Audit"[..]),
        (OU, UTF8, b"Team 2"),
        (CN, UTF8, common.as_bytes()),
    ];
    let draft = Draft::leaf("x").edit(|draft| draft.subject = name(&attributes));
    let made = draft
        .names(&[tlv(0x86, b"spiffe://gov.example/tax/api")])
        .self_signed();
    Identity::from_chain(&[made.der.into()]).unwrap()
}

#[test]
fn fields_are_put_in_their_places() {
    let alice = person("alice", "Tax Office");
    for (template, text) in [
        ("{subject.cn}", Some("alice")),
        ("{san.uri}", Some("spiffe://gov.example/tax/api")),
        ("{subject.ou[1]}", Some("Team 2")),
        ("{spiffe.path}", Some("/tax/api")),
        ("{spiffe.path[1]}", Some("api")),
        (
            "cn={subject.cn};o={subject.o}",
            Some("cn=alice;o=Tax Office"),
        ),
        ("{{{subject.cn}}}", Some("{alice}")),
        ("{subject.ou[2]}", None),
        ("{san.email}", None),
        ("{subject.cn}/{san.dns}", None),
    ] {
        assert_eq!(
            Template::parse(template).unwrap().render(&alice).as_deref(),
            text,
            "{template}"
        );
    }
}

#[test]
fn a_name_cannot_imitate_the_templates_punctuation() {
    let template = Template::parse("cn={subject.cn};o={subject.o}").unwrap();
    let mallory = person("x;o=Treasury", "Tax");
    assert_eq!(
        template.render(&mallory).unwrap(),
        "cn=x%3bo%3dTreasury;o=Tax"
    );
    let percent = person("x%3bo", "Tax");
    assert_eq!(template.render(&percent).unwrap(), "cn=x%253bo;o=Tax");
    // A single field is handed on as it is.
    assert_eq!(
        Template::parse("{subject.cn}")
            .unwrap()
            .render(&mallory)
            .unwrap(),
        "x;o=Treasury"
    );
}

#[test]
fn private_extensions_are_fields_when_they_hold_one_string() {
    // 1.2.156.10260.4.1.3, an organisation code.
    let code: &[u8] = &[0x2a, 0x81, 0x1c, 0xd0, 0x14, 4, 1, 3];
    let render = |value: &[u8], template: &str| {
        let made = Draft::leaf("api")
            .extension(code, false, value)
            .self_signed();
        let identity = Identity::from_chain(&[made.der.into()]).unwrap();
        let text = Template::parse(template).unwrap().render(&identity);
        assert_eq!(
            identity.field("extension.1.2.156.10260.4.1.3").is_some(),
            text.is_some()
        );
        text
    };
    let template = "{extension.1.2.156.10260.4.1.3}";
    assert_eq!(
        render(&tlv(0x13, b"708461136"), template).as_deref(),
        Some("708461136")
    );
    let both = "{subject.cn}@{extension.1.2.156.10260.4.1.3}";
    assert_eq!(
        render(&tlv(0x0c, b"7084@1136"), both).as_deref(),
        Some("api@7084%401136")
    );
    for (value, why) in [
        (tlv(0x30, &tlv(0x13, b"708461136")), "a structure"),
        (b"708461136".to_vec(), "bare bytes"),
        (tlv(0x0c, b"a\0b"), "NUL"),
        ([tlv(0x13, b"1"), tlv(0x13, b"2")].concat(), "two strings"),
        (tlv(0x0c, &[b'x'; 257]), "too long"),
    ] {
        assert_eq!(render(&value, template), None, "{why}");
    }
    for template in [
        "{extension.}",
        "{extension.1}",
        "{extension.1.x}",
        "{extension.1.02}",
        "{extension.1..2}",
        "{extension.1.2[0]}",
    ] {
        assert!(
            matches!(
                Template::parse(template),
                Err(TemplateError::ObjectIdentifier { .. })
            ),
            "{template}"
        );
    }
}

#[test]
fn templates_that_say_nothing_clear_are_refused() {
    for (template, expected) in [
        ("", TemplateError::Empty),
        ("everybody", TemplateError::NoField),
        (
            "{subject.cn",
            TemplateError::Unbalanced { brace: '{', at: 0 },
        ),
        ("a}", TemplateError::Unbalanced { brace: '}', at: 1 }),
        (
            "{subject.cn}{subject.o}",
            TemplateError::Touching { at: 12 },
        ),
        (
            "{subject.cn}x{subject.o}",
            TemplateError::Touching { at: 13 },
        ),
        ("a\n{serial}", TemplateError::Invisible { at: 1 }),
    ] {
        assert_eq!(Template::parse(template), Err(expected), "{template}");
    }
    for template in [
        "{subject.cn[0]}",
        "{san.uri[x]}",
        "{san.uri[-1]}",
        "{san.uri[01]}",
        "{san.uri[200]}",
        "{san.uri[1}",
        "{san.uri[]}",
    ] {
        assert!(
            matches!(Template::parse(template), Err(TemplateError::Index { .. })),
            "{template}"
        );
    }
    let unknown = Template::parse("{subject.name}").unwrap_err().to_string();
    assert!(
        unknown.starts_with("there is no field `subject.name`; the fields are subject.cn, "),
        "{unknown}"
    );
    assert!(matches!(
        Template::parse(&format!("{{serial}}{}", "x".repeat(1024))),
        Err(TemplateError::TooLong)
    ));
}

#[test]
fn a_template_says_what_of_it_belongs_to_one_authority() {
    for (text, of_one, domain, needs, may) in [
        ("{subject.cn}", false, false, false, false),
        ("{issuer}/{serial}", false, false, false, false),
        (
            "{policy.1.2.3}/{extension.1.2.3}",
            false,
            false,
            false,
            false,
        ),
        ("{san.uri}", false, false, false, true),
        ("{spiffe}", false, true, true, true),
        (
            "{spiffe.trust_domain}/{subject.cn}",
            false,
            true,
            true,
            true,
        ),
        ("{spiffe.path[1]}", false, false, true, true),
        ("{authority}/{subject.cn}", true, false, false, false),
        ("{fingerprint}", true, false, false, false),
        ("{key_fingerprint}", true, false, false, false),
    ] {
        let template = Template::parse(text).unwrap();
        let said = (
            template.is_of_one_authority(),
            template.names_trust_domain(),
            template.needs_spiffe(),
            template.may_hold_spiffe(),
        );
        assert_eq!(said, (of_one, domain, needs, may), "{text}");
        assert_eq!(template.to_string(), text);
    }
}
