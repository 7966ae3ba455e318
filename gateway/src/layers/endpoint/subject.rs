//! From certificate to policy subject, by the template of the configuration.

use hangu_certs::{Identity, Template};

use crate::config::ANONYMOUS_SUBJECT;

/// The policy subject of an identity. `None` when the template has nothing to fill in, or gives the name that is kept for
/// clients without a certificate.
#[must_use]
pub fn subject_of(template: &Template, identity: Option<&Identity>) -> Option<String> {
    match identity {
        None => Some(ANONYMOUS_SUBJECT.to_owned()),
        Some(identity) => template.render(identity).filter(|subject| {
            !subject.is_empty() && !subject.eq_ignore_ascii_case(ANONYMOUS_SUBJECT)
        }),
    }
}
