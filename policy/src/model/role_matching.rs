//! `[role_matching]` and `[domain_matching]`: which function matches the names, and the domains, of a relation.
//!
//! Casbin has this in code only, as `AddNamedMatchingFunc` and `AddNamedDomainMatchingFunc`; its parsers pass over both
//! sections. So a model with them says to us what the code around Casbin says to Casbin.

use super::check::numbered;
use super::conf::{Definition, Section};
use crate::engine::pattern::Matching;
use crate::problem::Problems;

/// What the sections say of one relation.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Said {
    pub(crate) names: Option<Matching>,
    pub(crate) domains: bool,
}

/// Reads what is said of the relation of this number.
pub(crate) fn of(
    definitions: &[Definition],
    number: usize,
    in_domains: bool,
    problems: &mut Problems<'_>,
) -> Said {
    let mut said = Said::default();
    for definition in definitions.iter().filter(|d| d.number == number) {
        let text = definition.value.text.as_str();
        let mut refuse = |what: String, fix: &str| {
            problems.add(definition.value.place(0), what, fix);
        };
        match definition.section {
            Section::RoleMatching => match named(text) {
                Some(matching) => said.names = Some(matching),
                None => refuse(
                    format!("`{text}` does not match names of roles"),
                    "use `keyMatch`, `keyMatch2`, `keyMatch3`, `keyMatch4`, `keyMatch5` or `globMatch`",
                ),
            },
            Section::DomainMatching if !in_domains => refuse(
                format!("`{}` has no domains", numbered("g", number)),
                "define it as `_, _, _`, or remove this line",
            ),
            Section::DomainMatching if text != Matching::KeyMatch.name() => refuse(
                format!("`{text}` does not match domains of roles"),
                "use `keyMatch`: `*` is every domain, `tax/*` what starts so",
            ),
            Section::DomainMatching => said.domains = true,
            Section::Request
            | Section::Policy
            | Section::Role
            | Section::Effect
            | Section::Matcher => {}
        }
    }
    said
}

/// Refuses what is said of relations that there are not.
pub(crate) fn check(definitions: &[Definition], problems: &mut Problems<'_>) {
    for definition in definitions.iter().filter(|d| d.section.is_matching()) {
        let defined = |d: &Definition| d.section == Section::Role && d.number == definition.number;
        if !definitions.iter().any(defined) {
            let name = numbered("g", definition.number);
            problems.add(
                definition.at,
                format!("`{name}` is not defined in section `role_definition`"),
                "define it, or remove this line",
            );
        }
    }
}

/// `regexMatch` is not among them, for it finds `alice` in `malice`; nor is `ipMatch`, for names are no addresses.
fn named(text: &str) -> Option<Matching> {
    let known = Matching::ALL.into_iter().find(|m| m.name() == text)?;
    (!matches!(known, Matching::Regex | Matching::Ip)).then_some(known)
}
