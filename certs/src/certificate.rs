//! An X.509 certificate, taken apart once and strictly (RFC 5280 section 4).
//!
//! The public libraries read certificates leniently, because the web holds every oddity ever issued. A government's PKI
//! does not have to live with those, so here anything but a clean version 3 certificate is refused: repeated extensions, unique
//! identifiers, values with bytes left over, odd serial numbers.

use crate::der::{self, Malformed, Reader, context_constructed};
use crate::name;
use crate::serial::Serial;

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
    /// The issuer's name, tag and length included.
    pub(crate) issuer: &'a [u8],
    /// The subject's name, tag and length included.
    pub(crate) subject: &'a [u8],
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
    /// Bit 0 (digitalSignature) is the most significant.
    pub(crate) key_usage: Option<u16>,
    /// Content: KeyPurposeIds.
    pub(crate) extended_key_usage: Option<&'a [u8]>,
    /// Content: GeneralNames.
    pub(crate) subject_alt_names: Option<&'a [u8]>,
    pub(crate) subject_alt_names_critical: bool,
    /// Content: NameConstraints.
    pub(crate) name_constraints: Option<&'a [u8]>,
    /// Content: DistributionPoints.
    pub(crate) crl_distribution_points: Option<&'a [u8]>,
    /// Content: PolicyInformation.
    pub(crate) policies: Option<&'a [u8]>,
    /// Content: pairs of policies.
    pub(crate) policy_mappings: Option<&'a [u8]>,
    pub(crate) policy_constraints: Option<PolicyConstraints>,
    /// Certificates that may follow before anyPolicy stops counting.
    pub(crate) inhibit_any_policy: Option<u32>,
    pub(crate) subject_key_id: Option<&'a [u8]>,
    pub(crate) authority_key_id: Option<&'a [u8]>,
    /// OID and value of those that validation does not act on.
    pub(crate) others: Vec<(&'a [u8], &'a [u8])>,
    /// The OID of a critical extension that we do not process.
    pub(crate) unknown_critical: Option<&'a [u8]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BasicConstraints {
    pub(crate) ca: bool,
    pub(crate) path_length: Option<u32>,
}

/// Skip counts, in certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PolicyConstraints {
    pub(crate) require_explicit: Option<u32>,
    pub(crate) inhibit_mapping: Option<u32>,
}

impl<'a> Certificate<'a> {
    /// Takes a certificate apart.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Certificate<'a>, Malformed> {
        if bytes.len() > CERTIFICATE_BYTES_MAX {
            return Err(Malformed("it is longer than 64 KiB"));
        }
        let mut outer = Reader::new(der::only(bytes, der::SEQUENCE)?);
        let tbs = outer.expect_element(der::SEQUENCE)?;
        let signature_algorithm = outer.expect(der::SEQUENCE)?;
        let signature = der::whole_bits(outer.expect(der::BIT_STRING)?)?;
        outer.finish()?;

        let mut fields = Reader::new(tbs.value);
        expect_version_3(&mut fields)?;
        let serial = Serial::from_der(fields.expect(der::INTEGER)?)?;
        if fields.expect(der::SEQUENCE)? != signature_algorithm {
            return Err(Malformed(
                "its two statements of the signature algorithm differ",
            ));
        }
        let issuer = fields.expect_element(der::SEQUENCE)?;
        let mut validity = Reader::new(fields.expect(der::SEQUENCE)?);
        let not_before = der::time(&mut validity)?;
        let not_after = der::time(&mut validity)?;
        validity.finish()?;
        let subject = fields.expect_element(der::SEQUENCE)?;
        let key = PublicKey::parse(fields.expect_element(der::SEQUENCE)?)?;
        // Unique identifiers ([1], [2]) are obsolete and would fail the next line.
        let extensions = match fields.optional(context_constructed(3))? {
            Some(explicit) => Extensions::parse(der::only(explicit, der::SEQUENCE)?)?,
            None => Extensions::default(),
        };
        fields.finish()?;
        if issuer.value.is_empty() {
            return Err(Malformed("its issuer has no name"));
        }
        extensions.check_subject(subject.value)?;
        Ok(Certificate {
            der: bytes,
            tbs: tbs.raw,
            signature_algorithm,
            signature,
            serial,
            issuer: issuer.raw,
            subject: subject.raw,
            key,
            not_before,
            not_after,
            extensions,
        })
    }

    /// Issuer and subject are the same name: what a root looks like, and a CA's certificate for its own next key.
    pub(crate) fn is_self_issued(&self) -> bool {
        name::same(self.issuer, self.subject)
    }

    /// basicConstraints says that it is a CA.
    pub(crate) fn is_ca(&self) -> bool {
        self.extensions
            .basic_constraints
            .is_some_and(|constraints| constraints.ca)
    }

    /// keyUsage is absent or grants this bit.
    pub(crate) fn may(&self, usage: u16) -> bool {
        self.extensions
            .key_usage
            .is_none_or(|granted| granted & usage != 0)
    }
}

fn expect_version_3(fields: &mut Reader<'_>) -> Result<(), Malformed> {
    let version = fields
        .optional(context_constructed(0))?
        .ok_or(Malformed("it is not version 3"))?;
    if der::only(version, der::INTEGER)? == [2] {
        Ok(())
    } else {
        Err(Malformed("it is not version 3"))
    }
}

impl<'a> PublicKey<'a> {
    fn parse(spki: der::Element<'a>) -> Result<PublicKey<'a>, Malformed> {
        let mut parts = Reader::new(spki.value);
        let algorithm = parts.expect(der::SEQUENCE)?;
        let bits = der::whole_bits(parts.expect(der::BIT_STRING)?)?;
        parts.finish()?;
        Ok(PublicKey {
            raw: spki.raw,
            algorithm,
            bits,
        })
    }
}

impl<'a> Extensions<'a> {
    fn parse(list: &'a [u8]) -> Result<Extensions<'a>, Malformed> {
        let mut found = Extensions::default();
        let mut seen: Vec<&[u8]> = Vec::new();
        let mut list = Reader::new(list);
        if list.is_empty() {
            return Err(Malformed("its list of extensions is empty"));
        }
        while !list.is_empty() {
            let extension = Extension::parse(&mut list)?;
            if seen.contains(&extension.oid) {
                return Err(Malformed("it has an extension twice"));
            }
            if seen.len() >= EXTENSIONS_MAX {
                return Err(Malformed("it has more than 64 extensions"));
            }
            seen.push(extension.oid);
            let known = found.remember(&extension)?;
            if known {
                continue;
            }
            found.others.push((extension.oid, extension.value));
            if extension.critical && found.unknown_critical.is_none() {
                found.unknown_critical = Some(extension.oid);
            }
        }
        Ok(found)
    }

    /// Sections 4.1.2.6 and 4.2.1.6: a CA has a name, and who has none must at least be known by alternative names that nobody
    /// may overlook.
    fn check_subject(&self, subject: &[u8]) -> Result<(), Malformed> {
        if !subject.is_empty() {
            return Ok(());
        }
        if self
            .basic_constraints
            .is_some_and(|constraints| constraints.ca)
        {
            return Err(Malformed("it is a CA's and its subject has no name"));
        }
        if self.subject_alt_names_critical {
            Ok(())
        } else {
            Err(Malformed(
                "its subject has no name and its alternative names are not critical",
            ))
        }
    }

    /// Says whether the extension is one that validation acts on.
    fn remember(&mut self, extension: &Extension<'a>) -> Result<bool, Malformed> {
        let [0x55, 0x1d, kind] = *extension.oid else {
            return Ok(false);
        };
        let sequence = || der::only(extension.value, der::SEQUENCE);
        match kind {
            14 => self.subject_key_id = Some(der::only(extension.value, der::OCTET_STRING)?),
            15 => self.key_usage = Some(key_usage(extension.value)?),
            17 => {
                self.subject_alt_names = Some(non_empty(sequence()?)?);
                self.subject_alt_names_critical = extension.critical;
            }
            19 => self.basic_constraints = Some(BasicConstraints::parse(sequence()?)?),
            30 => self.name_constraints = Some(non_empty(sequence()?)?),
            31 => self.crl_distribution_points = Some(non_empty(sequence()?)?),
            32 => self.policies = Some(non_empty(sequence()?)?),
            33 => self.policy_mappings = Some(non_empty(sequence()?)?),
            35 => self.authority_key_id = key_identifier(sequence()?)?,
            36 => self.policy_constraints = Some(PolicyConstraints::parse(sequence()?)?),
            37 => self.extended_key_usage = Some(non_empty(sequence()?)?),
            54 => {
                self.inhibit_any_policy =
                    Some(der::small(der::only(extension.value, der::INTEGER)?)?)
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// One extension of a certificate, a list or a list's entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extension<'a> {
    pub(crate) oid: &'a [u8],
    pub(crate) critical: bool,
    pub(crate) value: &'a [u8],
}

impl<'a> Extension<'a> {
    pub(crate) fn parse(list: &mut Reader<'a>) -> Result<Extension<'a>, Malformed> {
        let mut parts = Reader::new(list.expect(der::SEQUENCE)?);
        let oid = parts.expect(der::OID)?;
        let critical = match parts.optional(der::BOOLEAN)? {
            // DER leaves a default value out; many a CA writes it all the same, and it says nothing ambiguous.
            Some(flag) => der::boolean(flag)?,
            None => false,
        };
        let value = parts.expect(der::OCTET_STRING)?;
        parts.finish()?;
        Ok(Extension {
            oid,
            critical,
            value,
        })
    }
}

fn non_empty(content: &[u8]) -> Result<&[u8], Malformed> {
    if content.is_empty() {
        Err(Malformed("an extension is empty"))
    } else {
        Ok(content)
    }
}

fn key_usage(value: &[u8]) -> Result<u16, Malformed> {
    let bits = der::named_bits(der::only(value, der::BIT_STRING)?)?;
    if bits == 0 {
        Err(Malformed("its key usage grants nothing"))
    } else {
        Ok(bits)
    }
}

fn key_identifier(sequence: &[u8]) -> Result<Option<&[u8]>, Malformed> {
    Reader::new(sequence).optional(der::context(0))
}

impl BasicConstraints {
    fn parse(content: &[u8]) -> Result<BasicConstraints, Malformed> {
        let mut parts = Reader::new(content);
        let ca = parts
            .optional(der::BOOLEAN)?
            .map_or(Ok(false), der::boolean)?;
        let path_length = parts.optional(der::INTEGER)?.map(der::small).transpose()?;
        parts.finish()?;
        if path_length.is_some() && !ca {
            return Err(Malformed("it has a path length and is no CA"));
        }
        Ok(BasicConstraints { ca, path_length })
    }
}

impl PolicyConstraints {
    fn parse(content: &[u8]) -> Result<PolicyConstraints, Malformed> {
        let mut parts = Reader::new(content);
        let require_explicit = parts
            .optional(der::context(0))?
            .map(der::small)
            .transpose()?;
        let inhibit_mapping = parts
            .optional(der::context(1))?
            .map(der::small)
            .transpose()?;
        parts.finish()?;
        if require_explicit.is_none() && inhibit_mapping.is_none() {
            return Err(Malformed("its policy constraints are empty"));
        }
        Ok(PolicyConstraints {
            require_explicit,
            inhibit_mapping,
        })
    }
}

/// One alternative name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GeneralName<'a> {
    /// The type's OID and the value's DER, its explicit tag removed.
    Other {
        oid: &'a [u8],
        value: &'a [u8],
    },
    Email(&'a [u8]),
    Dns(&'a [u8]),
    /// The whole Name element.
    Directory(&'a [u8]),
    Uri(&'a [u8]),
    /// 4 or 16 bytes as a name; twice as many as a constraint.
    Ip(&'a [u8]),
    /// x400Address, ediPartyName or registeredID.
    Unused(u8),
}

/// Reads the next of some GeneralNames.
pub(crate) fn general_name<'a>(names: &mut Reader<'a>) -> Result<GeneralName<'a>, Malformed> {
    let element = names.any()?;
    let value = element.value;
    match element.tag {
        0xa0 => {
            let mut parts = Reader::new(value);
            let oid = parts.expect(der::OID)?;
            let value = parts.expect(context_constructed(0))?;
            parts.finish()?;
            Ok(GeneralName::Other { oid, value })
        }
        0x81 => Ok(GeneralName::Email(value)),
        0x82 => Ok(GeneralName::Dns(value)),
        0xa4 => Ok(GeneralName::Directory(
            Reader::new(value).expect_element(der::SEQUENCE)?.raw,
        )),
        0x86 => Ok(GeneralName::Uri(value)),
        0x87 => Ok(GeneralName::Ip(value)),
        0xa3 | 0xa5 | 0x88 => Ok(GeneralName::Unused(element.tag)),
        _ => Err(Malformed("an alternative name is of no known kind")),
    }
}

pub(crate) const DIGITAL_SIGNATURE: u16 = 1 << 15;
pub(crate) const KEY_CERT_SIGN: u16 = 1 << 10;
pub(crate) const CRL_SIGN: u16 = 1 << 9;

/// Bytes of one certificate. Real ones are 1 to 4 KiB.
const CERTIFICATE_BYTES_MAX: usize = 64 * 1024;
/// Extensions of one certificate. Real ones have about ten.
const EXTENSIONS_MAX: usize = 64;
