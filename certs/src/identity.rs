//! Layer: 端 endpoint. Who a verified chain speaks for.
//!
//! Parsed once a connection from bytes that a trusted CA has signed. A CA vouches for the key, and often lets the applicant write
//! the name; so names are read strictly (`name.rs`), each field exists once or in a stated order, and a certificate whose
//! name could be read in two ways names nobody.

use std::net::IpAddr;

use ring::digest::{Context, SHA256, digest};
use rustls_pki_types::CertificateDer;
use x509_parser::x509::X509Name;

use crate::certificate::Certificate;
use crate::credit_code::CreditCode;
use crate::der::{Malformed, Reader};
use crate::field::{EXTENSION_PREFIX, Field, POLICY_PREFIX, UnknownField};
use crate::name;
use crate::names::{AlternativeNames, Subject};
use crate::points::Points;
use crate::policies;
use crate::serial::Serial;
use crate::spiffe::{SpiffeError, SpiffeId};

/// Who a verified chain speaks for, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identity {
    /// SHA-256 of the leaf certificate's DER.
    pub fingerprint: [u8; 32],
    /// SHA-256 of the leaf's SubjectPublicKeyInfo: stays the same when a certificate is renewed with its key.
    pub key_fingerprint: [u8; 32],
    /// The issuer's name in RFC 4514 form, for people; never compare it.
    pub issuer: String,
    /// The leaf's serial number in lower-case hexadecimal.
    pub serial: String,
    /// subject CN.
    pub common_name: Option<String>,
    /// subject O.
    pub organisation: Option<String>,
    /// subject OU, in the order of the certificate, none twice.
    pub organisational_units: Vec<String>,
    /// subject C.
    pub country: Option<String>,
    /// subject L.
    pub locality: Option<String>,
    /// subject ST.
    pub state: Option<String>,
    /// subject title.
    pub title: Option<String>,
    /// subject UID.
    pub user_id: Option<String>,
    /// subject serialNumber: a device's or person's number, not the certificate's.
    pub subject_serial_number: Option<String>,
    /// subject organizationIdentifier (2.5.4.97), where a unified social credit code may stand.
    pub organisation_identifier: Option<String>,
    /// The unified social credit code of the organisation: the first that organizationIdentifier, serialNumber or an OU of the
    /// subject holds with right check characters.
    pub credit_code: Option<CreditCode>,
    /// The certificate's policies as dotted OIDs.
    pub policies: Vec<String>,
    /// Extended key usages: `clientAuth`, `serverAuth` and the like, or a dotted OID.
    pub extended_key_usages: Vec<String>,
    /// URI alternative names.
    pub uris: Vec<String>,
    /// DNS alternative names, lower case; may be wildcards.
    pub dns: Vec<String>,
    /// E-mail alternative names, as written.
    pub emails: Vec<String>,
    /// IP alternative names.
    pub ips: Vec<IpAddr>,
    /// User principal names (Microsoft's otherName 1.3.6.1.4.1.311.20.2.3).
    pub upns: Vec<String>,
    /// The SPIFFE id, when the one URI is one.
    pub spiffe: Option<SpiffeId>,
    /// Unix seconds from which every certificate of the chain is valid (inclusive).
    pub not_before: i64,
    /// Unix seconds until which every certificate of the chain is valid (inclusive): the earliest end.
    pub not_after: i64,
    /// The CAs of the chain, the leaf's issuer first and the anchor last: a pushed revocation may name one of them.
    pub authorities: Vec<Fingerprints>,
    /// What the revocation index is asked about: every certificate of the chain below its root, the leaf first.
    pub links: Vec<Link>,
    /// Dotted OID and text of the private extensions that hold one string.
    extensions: Vec<(String, String)>,
    /// Lower-case hexadecimal of the fingerprints, and the IP addresses as text, so that fields can be lent.
    texts: Texts,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Texts {
    fingerprint: String,
    key_fingerprint: String,
    /// Of the anchor's key.
    authority: Option<String>,
    ips: Vec<String>,
}

/// SHA-256 of a certificate and of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprints {
    /// Of the DER.
    pub certificate: [u8; 32],
    /// Of the SubjectPublicKeyInfo.
    pub key: [u8; 32],
}

/// What identifies a certificate to a revocation list: who issued it, and its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Link {
    /// The issuer's name.
    pub issuer: NameHash,
    /// The certificate's serial number.
    pub serial: Serial,
    /// Whether the certificate is an end entity's or a CA's: some lists cover one kind only.
    pub kind: LinkKind,
    /// Which part of its issuer's lists it belongs to.
    pub(crate) points: Points,
}

impl Link {
    /// The same issuer's certificate of another number.
    pub fn with_serial(self, serial: Serial) -> Link {
        Link { serial, ..self }
    }
}

/// Which kind of certificate a link stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LinkKind {
    /// The end entity's own.
    Leaf,
    /// A CA's.
    Authority,
}

/// The first 16 bytes of the SHA-256 of a name in the form in which names are compared (RFC 5280 section 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NameHash([u8; 16]);

impl NameHash {
    pub(crate) fn of(name: &X509Name<'_>) -> NameHash {
        let mut hash = Context::new(&SHA256);
        for relative_name in name::canonical(name) {
            hash.update(&(relative_name.len() as u64).to_be_bytes());
            hash.update(&relative_name);
        }
        let mut short = [0; 16];
        short
            .iter_mut()
            .zip(hash.finish().as_ref())
            .for_each(|(to, from)| *to = *from);
        NameHash(short)
    }

    /// The hash's bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// Why a chain names nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The chain is empty.
    #[error("there is no certificate")]
    NoCertificate,
    /// A certificate of the chain cannot be parsed.
    #[error("a certificate is malformed: {0}")]
    Malformed(Malformed),
    /// The subject cannot be read in one way only.
    #[error("its subject is unusable: {0}")]
    Subject(Malformed),
    /// An attribute that must stand alone shares its place with another.
    #[error("its subject has two attributes in one place (a multi-valued RDN)")]
    MultiValued,
    /// An attribute that can have one value only has two, or the same value twice.
    #[error("its subject has `{0}` more than once")]
    Repeated(&'static str),
    /// An alternative name cannot be read in one way only.
    #[error("an alternative name is unusable: {0}")]
    AlternativeName(Malformed),
    /// A `spiffe:` URI is no SPIFFE id.
    #[error("its SPIFFE id is invalid: {0}")]
    Spiffe(SpiffeError),
    /// A SPIFFE id stands beside other URIs.
    #[error("it has a SPIFFE id and another URI; a SPIFFE certificate has exactly one URI")]
    SpiffeNotAlone,
    /// A workload carries the id of a whole trust domain.
    #[error("its SPIFFE id has no path, so it names a trust domain and no workload")]
    SpiffeNoPath,
}

impl Identity {
    /// Reads who a chain speaks for. `chain` is a verified path, the leaf first; the last certificate gets no revocation link if
    /// it is self-issued, since a root is revoked by taking it out of the trust bundle.
    ///
    /// This verifies nothing: see [`crate::verify_client_chain`].
    pub fn from_chain(chain: &[CertificateDer<'_>]) -> Result<Identity, IdentityError> {
        let path: Vec<Certificate<'_>> = chain
            .iter()
            .map(|certificate| Certificate::parse(certificate))
            .collect::<Result<_, _>>()
            .map_err(IdentityError::Malformed)?;
        let ends_in_root = path.last().is_some_and(Certificate::is_self_issued);
        Identity::from_path(
            &path,
            if ends_in_root {
                LastElement::Anchor
            } else {
                LastElement::Issued
            },
        )
    }

    pub(crate) fn from_path(
        path: &[Certificate<'_>],
        last: LastElement,
    ) -> Result<Identity, IdentityError> {
        let leaf = path.first().ok_or(IdentityError::NoCertificate)?;
        let subject = Subject::read(&leaf.subject)?;
        let names = AlternativeNames::read(&leaf.extensions.subject_alt_names)?;
        let spiffe = spiffe_of(&names.uris)?;
        let credit_code = credit_code_of(&subject);
        let policies = policies_of(leaf)?;
        let fingerprint = sha256(leaf.der);
        let key_fingerprint = sha256(leaf.key.raw);
        let links = links_of(path, last)?;
        Ok(Identity {
            fingerprint,
            key_fingerprint,
            issuer: name::display(&leaf.issuer),
            serial: leaf.serial.to_string(),
            common_name: subject.common_name,
            organisation: subject.organisation,
            organisational_units: subject.organisational_units,
            country: subject.country,
            locality: subject.locality,
            state: subject.state,
            title: subject.title,
            user_id: subject.user_id,
            subject_serial_number: subject.serial_number,
            organisation_identifier: subject.organisation_identifier,
            credit_code,
            policies,
            extended_key_usages: crate::inspect::extended_key_usages(leaf),
            extensions: extensions_of(leaf),
            texts: Texts {
                fingerprint: name::hex(&fingerprint),
                key_fingerprint: name::hex(&key_fingerprint),
                authority: anchor_key(path, last).map(|key| name::hex(&key)),
                ips: names.ips.iter().map(IpAddr::to_string).collect(),
            },
            uris: names.uris,
            dns: names.dns,
            emails: names.emails,
            ips: names.ips,
            upns: names.upns,
            spiffe,
            not_before: path
                .iter()
                .map(|certificate| certificate.not_before)
                .max()
                .unwrap_or(i64::MAX),
            not_after: path
                .iter()
                .map(|certificate| certificate.not_after)
                .min()
                .unwrap_or(i64::MIN),
            authorities: path
                .iter()
                .skip(1)
                .map(|authority| Fingerprints {
                    certificate: sha256(authority.der),
                    key: sha256(authority.key.raw),
                })
                .collect(),
            links,
        })
    }

    /// The names that [`Identity::field`] and templates know.
    pub const FIELDS: &[&str] = Field::NAMES;

    /// The first value of a field, or `None` when the certificate lacks it or there is no such field (to tell the two apart,
    /// parse a [`crate::Template`] at load). Borrowed: costs one comparison a known name.
    pub fn field(&self, name: &str) -> Option<&str> {
        if let Some(oid) = name.strip_prefix(EXTENSION_PREFIX) {
            return self.extension(oid);
        }
        if let Some(oid) = name.strip_prefix(POLICY_PREFIX) {
            return self.policy(oid);
        }
        let field = Field::parse(name).ok()?;
        self.value(field, 0)
    }

    /// The text of a private extension by its dotted OID, if its value is one UTF8String, PrintableString, IA5String or BMPString of at
    /// most 256 visible bytes; so Chinese CAs write organisation codes and tax numbers (GM/T 0015). Anything else is no text.
    pub fn extension(&self, oid: &str) -> Option<&str> {
        self.extensions
            .iter()
            .find(|(known, _)| known == oid)
            .map(|(_, text)| text.as_str())
    }

    /// The certificate policy of this dotted OID, if the certificate has it: for templates, as [`Identity::extension`].
    pub fn policy(&self, oid: &str) -> Option<&str> {
        let known = self.policies.iter().find(|known| *known == oid);
        known.map(String::as_str)
    }

    /// Whether a field of this name exists.
    pub fn check_field(name: &str) -> Result<(), UnknownField> {
        Field::parse(name).map(|_known| ())
    }

    /// A field's value at an index; single-valued fields have index 0 only.
    pub(crate) fn value(&self, field: Field, index: usize) -> Option<&str> {
        match field {
            Field::Fingerprint => single(Some(&self.texts.fingerprint), index),
            Field::KeyFingerprint => single(Some(&self.texts.key_fingerprint), index),
            Field::Authority => single(self.texts.authority.as_deref(), index),
            Field::Issuer => single(Some(&self.issuer), index),
            Field::Serial => single(Some(&self.serial), index),
            Field::CommonName => single(self.common_name.as_deref(), index),
            Field::Organisation => single(self.organisation.as_deref(), index),
            Field::OrganisationalUnit => listed(&self.organisational_units, index),
            Field::Country => single(self.country.as_deref(), index),
            Field::Locality => single(self.locality.as_deref(), index),
            Field::State => single(self.state.as_deref(), index),
            Field::Title => single(self.title.as_deref(), index),
            Field::UserId => single(self.user_id.as_deref(), index),
            Field::SubjectSerialNumber => single(self.subject_serial_number.as_deref(), index),
            Field::OrganisationIdentifier => single(self.organisation_identifier.as_deref(), index),
            Field::CreditCode => single(self.credit_code.as_ref().map(CreditCode::as_str), index),
            Field::Policy => listed(&self.policies, index),
            Field::ExtendedKeyUsage => listed(&self.extended_key_usages, index),
            Field::Uri => listed(&self.uris, index),
            Field::Dns => listed(&self.dns, index),
            Field::Email => listed(&self.emails, index),
            Field::Ip => listed(&self.texts.ips, index),
            Field::Upn => listed(&self.upns, index),
            Field::Spiffe => single(self.spiffe.as_ref().map(SpiffeId::as_str), index),
            Field::SpiffeTrustDomain => {
                single(self.spiffe.as_ref().map(SpiffeId::trust_domain), index)
            }
            Field::SpiffePath => single(self.spiffe.as_ref().map(SpiffeId::path), index),
            Field::SpiffeSegment => self.spiffe.as_ref()?.segment(index),
        }
    }
}

/// Whether the last certificate of a path is the trust anchor, which no list is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LastElement {
    Anchor,
    Issued,
}

fn credit_code_of(subject: &Subject) -> Option<CreditCode> {
    let fields = [&subject.organisation_identifier, &subject.serial_number]
        .into_iter()
        .flatten();
    fields
        .chain(&subject.organisational_units)
        .find_map(|field| CreditCode::find(field))
}

fn policies_of(leaf: &Certificate<'_>) -> Result<Vec<String>, IdentityError> {
    let policies = leaf
        .extensions
        .policies
        .map(policies::policies_of)
        .transpose();
    let policies = policies
        .map_err(IdentityError::Malformed)?
        .unwrap_or_default();
    Ok(policies.into_iter().map(name::dotted).collect())
}

fn extensions_of(leaf: &Certificate<'_>) -> Vec<(String, String)> {
    let text = |value: &[u8]| {
        let mut reader = Reader::new(value);
        let element = reader.any().ok()?;
        reader.finish().ok()?;
        let text = name::decode(element.tag, element.value).ok()?;
        name::check_text(&text, name::ATTRIBUTE_BYTES_MAX).ok()?;
        Some(text)
    };
    let others = leaf.extensions.others.iter();
    others
        .filter_map(|(oid, value)| Some((name::dotted(oid.as_bytes()), text(value)?)))
        .collect()
}

/// Of every certificate that a list may be asked about.
fn links_of(path: &[Certificate<'_>], last: LastElement) -> Result<Vec<Link>, IdentityError> {
    let linked = match last {
        LastElement::Anchor => path.len().saturating_sub(1),
        LastElement::Issued => path.len(),
    };
    let kinds = std::iter::once(LinkKind::Leaf).chain(std::iter::repeat(LinkKind::Authority));
    let links = path.iter().zip(kinds).take(linked);
    links
        .map(|(certificate, kind)| link(certificate, kind).map_err(IdentityError::Malformed))
        .collect()
}

pub(crate) fn link(certificate: &Certificate<'_>, kind: LinkKind) -> Result<Link, Malformed> {
    let points = Points::of_certificate(
        certificate.extensions.crl_distribution_points,
        &certificate.issuer,
    )?;
    Ok(Link {
        issuer: NameHash::of(&certificate.issuer),
        serial: certificate.serial,
        kind,
        points,
    })
}

/// SHA-256 of the key of the anchor, where the path has one.
fn anchor_key(path: &[Certificate<'_>], last: LastElement) -> Option<[u8; 32]> {
    match last {
        LastElement::Anchor => path.last().map(|anchor| sha256(anchor.key.raw)),
        LastElement::Issued => None,
    }
}

fn single(value: Option<&str>, index: usize) -> Option<&str> {
    value.filter(|_value| index == 0)
}

fn listed(values: &[String], index: usize) -> Option<&str> {
    values.get(index).map(String::as_str)
}

fn spiffe_of(uris: &[String]) -> Result<Option<SpiffeId>, IdentityError> {
    let claims_spiffe = |uri: &&String| {
        uri.get(..7)
            .is_some_and(|scheme| scheme.eq_ignore_ascii_case("spiffe:"))
    };
    let Some(uri) = uris.iter().find(claims_spiffe) else {
        return Ok(None);
    };
    if uris.len() > 1 {
        return Err(IdentityError::SpiffeNotAlone);
    }
    let id = SpiffeId::parse(uri).map_err(IdentityError::Spiffe)?;
    if id.path().is_empty() {
        Err(IdentityError::SpiffeNoPath)
    } else {
        Ok(Some(id))
    }
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.iter_mut()
        .zip(digest(&SHA256, bytes).as_ref())
        .for_each(|(to, from)| *to = *from);
    hash
}
