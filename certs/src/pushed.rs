//! Layer: 端 endpoint. Revocations that operators push, ahead of or beside any list.
//!
//! A stolen laptop cannot wait for the CA's next list. What is pushed names a certificate, a key, a person or a whole organisation, for
//! good or for a time, and says who pushed it and why. The set is asked on every request, right after the lists.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use crate::identity::Identity;
use crate::name;
use crate::serial::Serial;

/// Whom a pushed revocation hits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Every chain with a certificate of this serial number, whoever issued it, the leaf's or a CA's.
    Serial(Serial),
    /// Every chain with the certificate of this serial number that the holder of the issuer's key has issued: SHA-256 of the SubjectPublicKeyInfo.
    Issued(Serial, [u8; 32]),
    /// Every chain with the certificate of this SHA-256: a leaf, or a CA with all below it.
    Certificate([u8; 32]),
    /// Every chain with this key: SHA-256 of the SubjectPublicKeyInfo. Renewing the certificate does not help its holder.
    Key([u8; 32]),
    /// The policy subject as the gateway knows it.
    Subject(String),
    /// Every certificate with this subject O, and everybody whom the gateway knows to act for this organisation.
    Organisation(String),
}

/// What the gateway calls somebody, beyond what the certificate says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Names<'a> {
    /// The policy subject.
    pub subject: Option<&'a str>,
    /// The organisation that it acts for.
    pub organisation: Option<&'a str>,
}

/// Why some text names no target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a target; write `serial:HEX`, `serial:HEX@ISSUER-KEY-SHA256`, `certificate:SHA256`, `key:SHA256`, `subject:NAME` or `organisation:NAME`"
)]
pub struct TargetError {
    /// As written.
    pub text: String,
}

/// One pushed revocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushedRevocation {
    /// Whom it hits.
    pub target: Target,
    /// Who pushed it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Unix seconds at which it was pushed.
    pub at: i64,
    /// Unix seconds from which it no longer counts; `None` for good.
    pub until: Option<i64>,
}

/// Why a revocation is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PushError {
    /// The set is full.
    #[error(
        "there are {PUSHED_MAX} pushed revocations already; lift some, or have the CA list them"
    )]
    Full,
    /// A text is missing, too long or not visible.
    #[error("who revokes, why and whom must each be 1 to 2048 bytes of visible text")]
    Text,
    /// It would end before it begins.
    #[error("it would end before it begins; give a later end, or none")]
    Until,
}

/// The pushed revocations that are in force. One generation is shared by all requests; a push makes the next one.
#[derive(Clone, Debug, Default)]
pub struct PushedRevocations {
    serials: HashMap<Serial, PushedRevocation>,
    issued: HashMap<(Serial, [u8; 32]), PushedRevocation>,
    certificates: HashMap<[u8; 32], PushedRevocation>,
    keys: HashMap<[u8; 32], PushedRevocation>,
    subjects: HashMap<String, PushedRevocation>,
    organisations: HashMap<String, PushedRevocation>,
}

impl PushedRevocations {
    /// Whether somebody is revoked at `now` (Unix seconds); a caller without a certificate has no `identity`.
    /// A handful of look-ups, none while nothing of that kind is pushed; allocates nothing.
    ///
    /// # Errors
    /// The revocation that hits.
    pub fn check(
        &self,
        identity: Option<&Identity>,
        names: Names<'_>,
        now: i64,
    ) -> Result<(), &PushedRevocation> {
        let subject = names.subject.and_then(|name| self.subjects.get(name));
        let organisation = names
            .organisation
            .and_then(|name| self.organisations.get(name));
        let of_certificates = identity
            .into_iter()
            .flat_map(|identity| self.hits(identity));
        subject
            .into_iter()
            .chain(organisation)
            .chain(of_certificates)
            .find(|revocation| revocation.in_force(now))
            .map_or(Ok(()), Err)
    }

    fn hits(&self, identity: &Identity) -> impl Iterator<Item = &PushedRevocation> {
        let organisation = identity
            .organisation
            .as_deref()
            .and_then(|name| self.organisations.get(name));
        let authorities = identity.authorities.iter().flat_map(|authority| {
            let certificate = self.certificates.get(&authority.certificate);
            certificate.into_iter().chain(self.keys.get(&authority.key))
        });
        let serials = identity
            .links
            .iter()
            .filter_map(|link| self.serials.get(&link.serial));
        // The issuer of each certificate is the authority that follows it in the chain.
        let issued = identity.links.iter().zip(&identity.authorities);
        let issued =
            issued.filter_map(|(link, issuer)| self.issued.get(&(link.serial, issuer.key)));
        self.certificates
            .get(&identity.fingerprint)
            .into_iter()
            .chain(self.keys.get(&identity.key_fingerprint))
            .chain(organisation)
            .chain(serials)
            .chain(issued)
            .chain(authorities)
    }

    /// Adds a revocation, in place of an earlier one for the same target.
    ///
    /// # Errors
    /// [`PushError`]; the set is then as before.
    pub fn push(&mut self, revocation: PushedRevocation) -> Result<(), PushError> {
        let is_text = |text: &str| name::check_text(text, TEXT_BYTES_MAX).is_ok();
        let named = match &revocation.target {
            Target::Subject(text) | Target::Organisation(text) => is_text(text),
            Target::Serial(_) | Target::Issued(..) | Target::Certificate(_) | Target::Key(_) => {
                true
            }
        };
        if !named || !is_text(&revocation.by) || !is_text(&revocation.reason) {
            return Err(PushError::Text);
        }
        if revocation.until.is_some_and(|until| until <= revocation.at) {
            return Err(PushError::Until);
        }
        if self.len() >= PUSHED_MAX {
            return Err(PushError::Full);
        }
        match revocation.target.clone() {
            Target::Serial(serial) => self.serials.insert(serial, revocation),
            Target::Issued(serial, issuer) => self.issued.insert((serial, issuer), revocation),
            Target::Certificate(fingerprint) => self.certificates.insert(fingerprint, revocation),
            Target::Key(fingerprint) => self.keys.insert(fingerprint, revocation),
            Target::Subject(subject) => self.subjects.insert(subject, revocation),
            Target::Organisation(organisation) => {
                self.organisations.insert(organisation, revocation)
            }
        };
        Ok(())
    }

    /// Takes a revocation back; gives it if there was one.
    pub fn lift(&mut self, target: &Target) -> Option<PushedRevocation> {
        match target {
            Target::Serial(serial) => self.serials.remove(serial),
            Target::Issued(serial, issuer) => self.issued.remove(&(*serial, *issuer)),
            Target::Certificate(fingerprint) => self.certificates.remove(fingerprint),
            Target::Key(fingerprint) => self.keys.remove(fingerprint),
            Target::Subject(subject) => self.subjects.remove(subject),
            Target::Organisation(organisation) => self.organisations.remove(organisation),
        }
    }

    /// Forgets the revocations that are past at `now` (Unix seconds).
    pub fn forget_past(&mut self, now: i64) {
        self.serials
            .retain(|_, revocation| revocation.in_force(now));
        self.issued.retain(|_, revocation| revocation.in_force(now));
        self.certificates
            .retain(|_, revocation| revocation.in_force(now));
        self.keys.retain(|_, revocation| revocation.in_force(now));
        self.subjects
            .retain(|_, revocation| revocation.in_force(now));
        self.organisations
            .retain(|_, revocation| revocation.in_force(now));
    }

    /// All of them, the oldest first: what a restart must find again.
    pub fn all(&self) -> Vec<&PushedRevocation> {
        let mut all: Vec<&PushedRevocation> = self
            .serials
            .values()
            .chain(self.issued.values())
            .chain(self.certificates.values())
            .chain(self.keys.values())
            .chain(self.subjects.values())
            .chain(self.organisations.values())
            .collect();
        all.sort_by_cached_key(|revocation| (revocation.at, revocation.target.to_string()));
        all
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.serials.len()
            + self.issued.len()
            + self.certificates.len()
            + self.keys.len()
            + self.subjects.len()
            + self.organisations.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl PushedRevocation {
    /// Whether it counts at `now` (Unix seconds). From the moment it is in the set it counts, whatever a clock says of its beginning.
    pub fn in_force(&self, now: i64) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Target, TargetError> {
        let refused = || TargetError {
            text: text.to_owned(),
        };
        let (kind, value) = text.split_once(':').ok_or_else(refused)?;
        let target = match kind {
            "serial" => match value.split_once('@') {
                Some((serial, issuer)) => Serial::from_hex(serial)
                    .zip(name::unhex(issuer))
                    .map(|(serial, issuer)| Target::Issued(serial, issuer)),
                None => Serial::from_hex(value).map(Target::Serial),
            },
            "certificate" => name::unhex(value).map(Target::Certificate),
            "key" => name::unhex(value).map(Target::Key),
            "subject" => Some(Target::Subject(value.to_owned())).filter(|_| !value.is_empty()),
            "organisation" => {
                Some(Target::Organisation(value.to_owned())).filter(|_| !value.is_empty())
            }
            _ => None,
        };
        target.ok_or_else(refused)
    }
}

impl fmt::Display for Target {
    /// What [`Target::from_str`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Serial(serial) => write!(f, "serial:{serial}"),
            Target::Issued(serial, issuer) => write!(f, "serial:{serial}@{}", name::hex(issuer)),
            Target::Certificate(fingerprint) => write!(f, "certificate:{}", name::hex(fingerprint)),
            Target::Key(fingerprint) => write!(f, "key:{}", name::hex(fingerprint)),
            Target::Subject(subject) => write!(f, "subject:{subject}"),
            Target::Organisation(organisation) => write!(f, "organisation:{organisation}"),
        }
    }
}

/// Revocations of one set. Whoever needs more needs a list.
pub const PUSHED_MAX: usize = 100_000;
/// Bytes of an author, a reason, a subject or an organisation.
const TEXT_BYTES_MAX: usize = 2048;
