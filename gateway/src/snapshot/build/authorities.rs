//! Layer: 端 endpoint. No two authorities may be able to give two people the same name.
//!
//! The policy knows callers by text. With one authority that text is as good as its word; with two, either can write what the other has
//! written, and be that caller here. So a template must then hold what only one of them can bring about: the authority itself, the
//! certificate or its key, or a SPIFFE id of a trust domain that only one of them may vouch for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use hangu_certs::{AnchorName, Template, TrustBundle};

use super::{LoadError, Loader};
use crate::config::{self, ClientTrust, Config};
use crate::layers::endpoint::authorities::Authorities;

/// Where callers come from: names are compared within listeners together, and within the control socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    Listener(Box<str>),
    Control,
}

/// Who may vouch for the callers of one group of hosts.
#[derive(Debug)]
pub(super) struct Vouching {
    of: Scope,
    client_ca: PathBuf,
    anchors: Vec<AnchorName>,
    /// The group's own trust domains.
    domains: Option<Vec<String>>,
}

impl Loader {
    /// Notes who vouches for the callers of a group.
    pub(super) fn vouch(&mut self, of: Scope, trust: &ClientTrust, bundle: &TrustBundle) {
        self.vouching.push(Vouching {
            of,
            client_ca: trust.client_ca.clone(),
            anchors: bundle.anchor_names(),
            domains: trust.spiffe_trust_domains.clone(),
        });
    }

    /// What the configuration calls the authorities that were read.
    pub(super) fn authorities_of(&self, rules: &config::Identity) -> Authorities {
        let anchors = self.vouching.iter().flat_map(|group| &group.anchors);
        Authorities::new(rules, anchors)
    }

    /// Refuses templates by which one authority could write what another has written.
    pub(super) fn each_name_is_one_authoritys(&mut self, config: &Config) {
        let rules = &config.identity;
        let authorities = self.authorities_of(rules);
        let groups = std::mem::take(&mut self.vouching);
        for group in &groups {
            if let Some(error) = not_pinned(config, group) {
                self.wrong(&group.client_ca, error);
            }
        }
        for is_control in [false, true] {
            let of_scope = groups
                .iter()
                .filter(|group| (group.of == Scope::Control) == is_control);
            let writers = Writers::of(of_scope, rules, &authorities);
            // Of organisation and attributes only the policy makes anything.
            let templates: Vec<_> = if is_control {
                keyed(rules).into_iter().take(1).collect()
            } else {
                keyed(rules).into_iter().chain(headers(config)).collect()
            };
            for (key, template) in templates {
                if let Some(shared) = writers.shared(template) {
                    let what = shared.told(&key, template, is_control).into();
                    let file = config.file.clone();
                    self.problems.push(LoadError::Names { file, what });
                }
            }
        }
        self.vouching = groups;
    }
}

/// The templates whose texts the policy, limits and directory take for somebody; the subject first.
fn keyed(rules: &config::Identity) -> Vec<(String, &Template)> {
    let organisation = rules.organisation.iter();
    let attributes = rules.attributes.iter().map(|attribute| {
        let key = format!("identity.attributes.{}", attribute.name);
        (key, &attribute.value)
    });
    std::iter::once(("identity.subject".to_owned(), &rules.subject))
        .chain(organisation.map(|template| ("identity.organisation".to_owned(), template)))
        .chain(attributes)
        .collect()
}

/// The templates of headers, which applications take for somebody.
fn headers(config: &Config) -> impl Iterator<Item = (String, &Template)> {
    config.applications.iter().flat_map(|application| {
        application.headers.iter().map(|rule| {
            let key = format!(
                "{}` of the application `{}",
                rule.name,
                application.name.as_str()
            );
            (key, &rule.value)
        })
    })
}

/// A group that may vouch for SPIFFE ids of any trust domain, although something reads them.
fn not_pinned(config: &Config, group: &Vouching) -> Option<LoadError> {
    if group.domains.is_some() || config.identity.spiffe_trust_domains.is_some() {
        return None;
    }
    let mut templates = keyed(&config.identity).into_iter().chain(headers(config));
    let (key, template) = templates.find(|(_, template)| template.may_hold_spiffe())?;
    Some(LoadError::NotPinned {
        path: group.client_ca.clone(),
        template: template.to_string().into(),
        key: key.into(),
        or_beside: match group.of {
            Scope::Listener(_) => " or beside this `client_ca`",
            Scope::Control => "",
        },
    })
}

/// Authorities by what they can write.
#[derive(Debug, Default)]
struct Writers {
    /// Whoever vouches for callers: as `{authority}` calls him, and for people.
    all: BTreeMap<String, String>,
    /// Those who may vouch for ids of each trust domain.
    of_domains: BTreeMap<String, BTreeSet<String>>,
}

impl Writers {
    fn of<'a>(
        groups: impl Iterator<Item = &'a Vouching>,
        rules: &config::Identity,
        authorities: &Authorities,
    ) -> Self {
        let mut writers = Self::default();
        for group in groups {
            let domains = group
                .domains
                .as_ref()
                .or(rules.spiffe_trust_domains.as_ref());
            for anchor in &group.anchors {
                let name = authorities.called(anchor);
                let shown = match name.get(..SHOWN_DIGITS) {
                    Some(begin) if name.len() == KEY_DIGITS => {
                        format!("`{}` (key {begin}…)", anchor.subject)
                    }
                    Some(_) | None => format!("`{name}`"),
                };
                for domain in domains.into_iter().flatten() {
                    let of_domain = writers.of_domains.entry(domain.clone()).or_default();
                    of_domain.insert(name.clone());
                }
                writers.all.insert(name, shown);
            }
        }
        writers
    }

    /// Two authorities or more that can bring about the same text of a template.
    fn shared(&self, template: &Template) -> Option<Shared> {
        if template.is_of_one_authority() {
            return None;
        }
        let shown = |names: &BTreeSet<String>| {
            let shown: Vec<&str> = names
                .iter()
                .filter_map(|name| self.all.get(name).map(String::as_str))
                .take(AUTHORITIES_SHOWN_MAX)
                .collect();
            shown.join(", ")
        };
        if template.names_trust_domain() {
            let mut domains = self.of_domains.iter();
            let (domain, names) = domains.find(|(_, names)| names.len() > 1)?;
            return Some(Shared {
                domain: Some(domain.clone()),
                authorities: shown(names),
            });
        }
        let writers: BTreeSet<String> = if template.needs_spiffe() {
            self.of_domains.values().flatten().cloned().collect()
        } else {
            self.all.keys().cloned().collect()
        };
        (writers.len() > 1).then(|| Shared {
            domain: None,
            authorities: shown(&writers),
        })
    }
}

/// Authorities that can write the same.
#[derive(Debug)]
struct Shared {
    domain: Option<String>,
    authorities: String,
}

impl Shared {
    fn told(&self, key: &str, template: &Template, is_control: bool) -> String {
        let place = if is_control {
            "of `[control.remote]` "
        } else {
            ""
        };
        let authorities = &self.authorities;
        let one = "say in `[identity.authorities]` that they are one, if they are";
        match &self.domain {
            Some(domain) => format!(
                "`{template}` for `{key}` {place}is no name: {authorities} may each vouch for the trust domain `{domain}`; give the hosts of each `spiffe_trust_domains` of their own, put `{{authority}}` into the template, or {one}"
            ),
            None => format!(
                "`{template}` for `{key}` {place}is no name: {authorities} can each write the same text into a certificate; put `{{authority}}` into the template, use `{{spiffe}}` with `spiffe_trust_domains` for each, or {one}"
            ),
        }
    }
}

/// Digits of a SHA-256.
const KEY_DIGITS: usize = 64;
const SHOWN_DIGITS: usize = 16;
/// Names in an error.
const AUTHORITIES_SHOWN_MAX: usize = 8;
