//! An X.509 certificate, taken apart once by x509-parser and then judged strictly (RFC 5280 section 4).
//!
//! The public libraries read certificates leniently, because the web holds every oddity ever issued. A government's PKI
//! does not have to live with those, so here anything but a clean version 3 certificate is refused: repeated extensions, unique
//! identifiers, values with bytes left over (`shape.rs`), odd serial numbers. Only extensions that validation acts on are taken apart;
//! x509-parser's readers of all the others never see a stranger's bytes.

use x509_parser::asn1_rs::{FromDer, Oid};
use x509_parser::certificate::{TbsCertificate, X509CertificateParser};
use x509_parser::error::X509Error;
use x509_parser::extensions::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, GeneralName, InhibitAnyPolicy,
    KeyIdentifier, KeyUsage, NameConstraints, PolicyConstraints, PolicyMappings,
    SubjectAlternativeName, X509Extension,
};
use x509_parser::nom::Parser;
use x509_parser::x509::{X509Name, X509Version};

use crate::der::{self, Malformed, Reader};
use crate::name;
use crate::serial::Serial;
use crate::shape::{self, Shape};

/// A certificate's parts, borrowed from its bytes. Nothing here has been verified.
#[derive(Clone, Debug)]
pub(crate) struct Certificate<'a> {
    /// The whole certificate.
    pub(crate) der: &'a [u8],
    /// What is signed.
    pub(crate) tbs: &'a [u8],
    /// The content of the signature's AlgorithmIdentifier.
    pub(crate) signature_algorithm: &'a [u8],
    pub(crate) signature: &'a [u8],
    pub(crate) serial: Serial,
    pub(crate) issuer: X509Name<'a>,
    pub(crate) subject: X509Name<'a>,
    pub(crate) key: PublicKey<'a>,
    /// Unix seconds, inclusive.
    pub(crate) not_before: i64,
    /// Unix seconds, inclusive.
    pub(crate) not_after: i64,
    pub(crate) extensions: Extensions<'a>,
}

/// A SubjectPublicKeyInfo.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PublicKey<'a> {
    /// Tag and length included.
    pub(crate) raw: &'a [u8],
    /// The content of its AlgorithmIdentifier.
    pub(crate) algorithm: &'a [u8],
    pub(crate) bits: &'a [u8],
}

/// The extensions that a path's validity depends on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extensions<'a> {
    pub(crate) basic_constraints: Option<BasicConstraints>,
    pub(crate) key_usage: Option<KeyUsage>,
    pub(crate) extended_key_usage: Option<ExtendedKeyUsage<'a>>,
    pub(crate) subject_alt_names: Vec<GeneralName<'a>>,
    pub(crate) subject_alt_names_critical: bool,
    pub(crate) name_constraints: Option<NameConstraints<'a>>,
    /// Content: DistributionPoints, for `points.rs`.
    pub(crate) crl_distribution_points: Option<&'a [u8]>,
    /// Content: PolicyInformation, which x509-parser reads only together with every other extension.
    pub(crate) policies: Option<&'a [u8]>,
    pub(crate) policy_mappings: Option<PolicyMappings<'a>>,
    pub(crate) policy_constraints: Option<PolicyConstraints>,
    /// Certificates that may follow before anyPolicy stops counting.
    pub(crate) inhibit_any_policy: Option<u32>,
    pub(crate) subject_key_id: Option<&'a [u8]>,
    pub(crate) authority_key_id: Option<&'a [u8]>,
    /// OID and value of those that validation does not act on.
    pub(crate) others: Vec<(Oid<'a>, &'a [u8])>,
    /// Whether one that we do not process is critical.
    pub(crate) unknown_critical: bool,
}

impl<'a> Certificate<'a> {
    /// Takes a certificate apart.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Certificate<'a>, Malformed> {
        if bytes.len() > CERTIFICATE_BYTES_MAX {
            return Err(Malformed("it is longer than 64 KiB"));
        }
        shape::CERTIFICATE.check(bytes)?;
        let mut parser = X509CertificateParser::new().with_deep_parse_extensions(false);
        let Ok(([], x509)) = parser.parse(bytes) else {
            return Err(Malformed("it is no X.509 certificate"));
        };
        if x509.tbs_certificate.signature != x509.signature_algorithm {
            return Err(Malformed(
                "its two statements of the signature algorithm differ",
            ));
        }
        let fields = x509.tbs_certificate;
        check_fields(&fields)?;
        let extensions = Extensions::read(fields.extensions())?;
        extensions.check_subject(&fields.subject)?;
        // x509-parser keeps the bytes that are compared and verified to itself.
        let mut outer = Reader::new(der::only(bytes, der::SEQUENCE)?);
        Ok(Certificate {
            der: bytes,
            tbs: outer.expect_element(der::SEQUENCE)?.raw,
            signature_algorithm: outer.expect(der::SEQUENCE)?,
            signature: der::whole_bits(outer.expect(der::BIT_STRING)?)?,
            serial: Serial::from_der(fields.raw_serial())?,
            key: PublicKey::of(fields.subject_pki.raw)?,
            not_before: fields.validity.not_before.timestamp(),
            not_after: fields.validity.not_after.timestamp(),
            issuer: fields.issuer,
            subject: fields.subject,
            extensions,
        })
    }

    /// Issuer and subject are the same name: what a root looks like, and a CA's certificate for its own next key.
    pub(crate) fn is_self_issued(&self) -> bool {
        name::same(&self.issuer, &self.subject)
    }

    /// basicConstraints says that it is a CA.
    pub(crate) fn is_ca(&self) -> bool {
        self.extensions.is_ca()
    }

    /// keyUsage is absent or grants this.
    pub(crate) fn may(&self, usage: fn(&KeyUsage) -> bool) -> bool {
        self.extensions.key_usage.as_ref().is_none_or(usage)
    }
}

fn check_fields(fields: &TbsCertificate<'_>) -> Result<(), Malformed> {
    if fields.version != X509Version::V3 {
        return Err(Malformed("it is not version 3"));
    }
    if name::is_empty(&fields.issuer) {
        return Err(Malformed("its issuer has no name"));
    }
    name::check(&fields.issuer)?;
    name::check(&fields.subject)
}

impl<'a> PublicKey<'a> {
    /// Of a SubjectPublicKeyInfo.
    fn of(raw: &'a [u8]) -> Result<PublicKey<'a>, Malformed> {
        let mut parts = Reader::new(der::only(raw, der::SEQUENCE)?);
        Ok(PublicKey {
            raw,
            algorithm: parts.expect(der::SEQUENCE)?,
            bits: der::whole_bits(parts.expect(der::BIT_STRING)?)?,
        })
    }
}

impl<'a> Extensions<'a> {
    fn read(list: &[X509Extension<'a>]) -> Result<Extensions<'a>, Malformed> {
        if list.len() > EXTENSIONS_MAX {
            return Err(Malformed("it has more than 64 extensions"));
        }
        let mut found = Extensions::default();
        for (index, extension) in list.iter().enumerate() {
            if list
                .iter()
                .take(index)
                .any(|other| other.oid == extension.oid)
            {
                return Err(Malformed("it has an extension twice"));
            }
            if !found.remember(extension)? {
                found.others.push((extension.oid.clone(), extension.value));
                found.unknown_critical |= extension.critical;
            }
        }
        Ok(found)
    }

    fn is_ca(&self) -> bool {
        self.basic_constraints
            .as_ref()
            .is_some_and(|constraints| constraints.ca)
    }

    /// Sections 4.1.2.6 and 4.2.1.6: a CA has a name, and who has none must at least be known by alternative names that nobody
    /// may overlook.
    fn check_subject(&self, subject: &X509Name<'_>) -> Result<(), Malformed> {
        if !name::is_empty(subject) {
            Ok(())
        } else if self.is_ca() {
            Err(Malformed("it is a CA's and its subject has no name"))
        } else if self.subject_alt_names_critical {
            Ok(())
        } else {
            Err(Malformed(
                "its subject has no name and its alternative names are not critical",
            ))
        }
    }

    /// Says whether the extension is one that validation acts on.
    fn remember(&mut self, extension: &X509Extension<'a>) -> Result<bool, Malformed> {
        let [0x55, 0x1d, kind] = *extension.oid.as_bytes() else {
            return Ok(false);
        };
        let value = extension.value;
        match kind {
            14 => {
                let id: KeyIdentifier<'_> = read(value, &shape::SUBJECT_KEY_ID)?;
                self.subject_key_id = Some(id.0);
            }
            15 => self.key_usage = Some(key_usage(value)?),
            17 => {
                self.subject_alt_names = alternative_names(value)?;
                self.subject_alt_names_critical = extension.critical;
            }
            19 => self.basic_constraints = Some(basic_constraints(value)?),
            30 => self.name_constraints = Some(name_constraints(value)?),
            31 => self.crl_distribution_points = Some(non_empty(value)?),
            32 => self.policies = Some(non_empty(value)?),
            33 => self.policy_mappings = Some(read(value, &shape::POLICY_MAPPINGS)?),
            35 => {
                let id: AuthorityKeyIdentifier<'_> = read(value, &shape::AUTHORITY_KEY_ID)?;
                self.authority_key_id = id.key_identifier.map(|id| id.0);
            }
            36 => self.policy_constraints = Some(policy_constraints(value)?),
            37 => self.extended_key_usage = Some(read(value, &shape::EXTENDED_KEY_USAGE)?),
            54 => {
                let inhibit: InhibitAnyPolicy = read(value, &shape::INHIBIT_ANY_POLICY)?;
                self.inhibit_any_policy = Some(inhibit.skip_certs);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// Reads an extension's value that has a known shape.
fn read<'a, T: FromDer<'a, X509Error>>(value: &'a [u8], shape: &Shape) -> Result<T, Malformed> {
    shape.check(value)?;
    match T::from_der(value) {
        Ok(([], read)) => Ok(read),
        Ok(_) | Err(_) => Err(Malformed("an extension has an impossible value")),
    }
}

fn non_empty(value: &[u8]) -> Result<&[u8], Malformed> {
    let content = der::only(value, der::SEQUENCE)?;
    if content.is_empty() {
        Err(Malformed("an extension is empty"))
    } else {
        Ok(content)
    }
}

fn key_usage(value: &[u8]) -> Result<KeyUsage, Malformed> {
    let usage: KeyUsage = read(value, &shape::KEY_USAGE)?;
    if usage.flags == 0 {
        Err(Malformed("its key usage grants nothing"))
    } else {
        Ok(usage)
    }
}

fn basic_constraints(value: &[u8]) -> Result<BasicConstraints, Malformed> {
    let constraints: BasicConstraints = read(value, &shape::BASIC_CONSTRAINTS)?;
    if constraints.path_len_constraint.is_some() && !constraints.ca {
        Err(Malformed("it has a path length and is no CA"))
    } else {
        Ok(constraints)
    }
}

fn policy_constraints(value: &[u8]) -> Result<PolicyConstraints, Malformed> {
    let constraints: PolicyConstraints = read(value, &shape::POLICY_CONSTRAINTS)?;
    if constraints.require_explicit_policy.is_none() && constraints.inhibit_policy_mapping.is_none()
    {
        Err(Malformed("its policy constraints are empty"))
    } else {
        Ok(constraints)
    }
}

fn alternative_names(value: &[u8]) -> Result<Vec<GeneralName<'_>>, Malformed> {
    let names: SubjectAlternativeName<'_> = read(value, &shape::ALTERNATIVE_NAMES)?;
    names
        .general_names
        .iter()
        .try_for_each(check_general_name)?;
    Ok(names.general_names)
}

fn name_constraints(value: &[u8]) -> Result<NameConstraints<'_>, Malformed> {
    let constraints: NameConstraints<'_> = read(value, &shape::NAME_CONSTRAINTS)?;
    let lists = [
        &constraints.permitted_subtrees,
        &constraints.excluded_subtrees,
    ];
    if lists.iter().all(|list| list.is_none()) {
        return Err(Malformed("its name constraints are empty"));
    }
    lists
        .into_iter()
        .flatten()
        .flatten()
        .try_for_each(|subtree| check_general_name(&subtree.base))?;
    Ok(constraints)
}

/// What x509-parser cannot read it hands on as `Invalid`, and goes on.
fn check_general_name(general: &GeneralName<'_>) -> Result<(), Malformed> {
    match general {
        GeneralName::Invalid(_, _) => Err(Malformed("an alternative name is not readable")),
        GeneralName::DirectoryName(directory) => name::check(directory),
        GeneralName::OtherName(_, _)
        | GeneralName::RFC822Name(_)
        | GeneralName::DNSName(_)
        | GeneralName::X400Address(_)
        | GeneralName::EDIPartyName(_)
        | GeneralName::URI(_)
        | GeneralName::IPAddress(_)
        | GeneralName::RegisteredID(_) => Ok(()),
    }
}

/// Bytes of one certificate. Real ones are 1 to 4 KiB.
const CERTIFICATE_BYTES_MAX: usize = 64 * 1024;
/// Extensions of one certificate. Real ones have about ten.
const EXTENSIONS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_usage_is_a_clean_list_of_flags() {
        assert_eq!(key_usage(&[3, 2, 2, 0x04]).unwrap().flags, 1 << 5);
        assert_eq!(key_usage(&[3, 3, 7, 0x00, 0x80]).unwrap().flags, 1 << 8);
        for (bad, why) in [
            (&[3, 0][..], "no bits at all"),
            (&[3, 1, 1], "unused bits of nothing"),
            (&[3, 2, 8, 0], "more unused bits than a byte has"),
            (&[3, 2, 3, 0x04], "an unused bit that is set"),
            (&[3, 2, 7, 0], "nothing granted"),
            (&[4, 2, 7, 0x80], "another type"),
            (&[3, 2, 7, 0x80, 5, 0], "bytes behind it"),
        ] {
            assert!(key_usage(bad).is_err(), "{why}");
        }
    }
}
