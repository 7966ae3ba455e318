//! What gives a caller his name: SPIFFE ids, templates, the directory.

use std::sync::LazyLock;

use hangu_certs::{Directory, Identity, IdentityError, SpiffeId, Template};
use rustls_pki_types::CertificateDer;

/// A SPIFFE id is its parts put together, and they hide nothing.
///
/// # Panics
/// When a law is broken.
pub fn spiffe_id(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    let Ok(id) = SpiffeId::parse(text) else {
        return;
    };
    assert_eq!(id.as_str(), text, "an id is changed by reading it");
    let whole = format!("spiffe://{}{}", id.trust_domain(), id.path());
    assert_eq!(whole, text, "its parts are not the whole");
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._/:".contains(&byte);
    assert!(text.bytes().all(plain), "it has something to decode");
    let segments: Vec<&str> = (0..).map_while(|index| id.segment(index)).collect();
    let path: String = segments
        .iter()
        .map(|segment| format!("/{segment}"))
        .collect();
    assert_eq!(path, id.path(), "its segments are not its path");
    for segment in segments {
        assert!(
            !["", ".", ".."].contains(&segment),
            "a segment that leads elsewhere"
        );
    }
}

/// What a template makes of a certificate is a name that can be read, the same each time, or nothing.
///
/// # Panics
/// When a law is broken.
pub fn name_template(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    let Ok(template) = Template::parse(text) else {
        return;
    };
    let Ok(identity) = SOMEBODY.as_ref() else {
        assert!(
            SOMEBODY.is_ok(),
            "the certificate of this target: {:?}",
            *SOMEBODY
        );
        return;
    };
    let name = template.render(identity);
    assert_eq!(name, template.render(identity), "two names for one person");
    if let Some(name) = name {
        assert!(!name.is_empty(), "an empty name");
        assert!(!name.chars().any(char::is_control), "{name:?}");
    }
}

/// A directory is refused with the lines that are wrong, or says of each holder what can be read.
///
/// # Panics
/// When a law is broken.
pub fn directory(bytes: &[u8]) {
    match Directory::from_csv("people.csv", bytes) {
        Ok(directory) => {
            for (subject, holder, _line) in directory.members() {
                let clearance = holder.clearance.iter();
                let texts = holder.roles.iter().chain(clearance).map(String::as_str);
                for text in texts.chain([subject]) {
                    assert!(!text.is_empty(), "an empty name");
                    assert!(!text.chars().any(char::is_control), "{text:?}");
                }
                assert!(holder.posture(i64::MAX, 0) <= 100, "a posture over 100");
            }
            assert!(directory.members().count() <= directory.len());
        }
        Err(problems) => {
            assert!(!problems.is_empty(), "refused without a reason");
            for problem in problems {
                let said = problem.to_string();
                assert!(!said.chars().any(char::is_control), "{said:?}");
            }
        }
    }
}

static SOMEBODY: LazyLock<Result<Identity, IdentityError>> = LazyLock::new(|| {
    let der = include_bytes!("../corpus/certificate_identity/every-attribute.der");
    Identity::from_chain(&[CertificateDer::from(der.as_slice())])
});
