//! The subject and the alternative names of an end entity, read so that they can mean one thing only.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use x509_parser::extensions::GeneralName;
use x509_parser::x509::X509Name;

use crate::der::{self, Malformed, context_constructed};
use crate::identity::IdentityError;
use crate::name::{self, Attribute, check_text};

/// The attributes of a subject that policy can be written about. Others are allowed and ignored.
#[derive(Debug, Default)]
pub(crate) struct Subject {
    pub(crate) common_name: Option<String>,
    pub(crate) organisation: Option<String>,
    pub(crate) organisational_units: Vec<String>,
    pub(crate) country: Option<String>,
    pub(crate) locality: Option<String>,
    pub(crate) state: Option<String>,
    pub(crate) title: Option<String>,
    pub(crate) user_id: Option<String>,
    pub(crate) serial_number: Option<String>,
    pub(crate) organisation_identifier: Option<String>,
}

impl Subject {
    pub(crate) fn read(subject: &X509Name<'_>) -> Result<Subject, IdentityError> {
        let mut read = Subject::default();
        for attribute in name::attributes(subject) {
            if attribute.siblings > 1 {
                return Err(IdentityError::MultiValued);
            }
            read.add(&attribute)?;
        }
        Ok(read)
    }

    fn add(&mut self, attribute: &Attribute<'_>) -> Result<(), IdentityError> {
        let (place, called) = match attribute.oid {
            name::COMMON_NAME => (&mut self.common_name, "CN"),
            name::ORGANISATION => (&mut self.organisation, "O"),
            name::COUNTRY => (&mut self.country, "C"),
            name::LOCALITY => (&mut self.locality, "L"),
            name::STATE => (&mut self.state, "ST"),
            name::TITLE => (&mut self.title, "title"),
            name::USER_ID => (&mut self.user_id, "UID"),
            name::SERIAL_NUMBER => (&mut self.serial_number, "serialNumber"),
            name::ORGANISATION_IDENTIFIER => {
                (&mut self.organisation_identifier, "organizationIdentifier")
            }
            name::ORGANISATIONAL_UNIT => return self.add_unit(attribute),
            _ => return Ok(()),
        };
        if place.is_some() {
            return Err(IdentityError::Repeated(called));
        }
        *place = Some(attribute.text().map_err(IdentityError::Subject)?);
        Ok(())
    }

    fn add_unit(&mut self, attribute: &Attribute<'_>) -> Result<(), IdentityError> {
        let unit = attribute.text().map_err(IdentityError::Subject)?;
        if self.organisational_units.contains(&unit) {
            return Err(IdentityError::Repeated("OU"));
        }
        self.organisational_units.push(unit);
        Ok(())
    }
}

/// The alternative names that policy can be written about. Directory names, registered ids and the like are ignored.
#[derive(Debug, Default)]
pub(crate) struct AlternativeNames {
    pub(crate) uris: Vec<String>,
    pub(crate) dns: Vec<String>,
    pub(crate) emails: Vec<String>,
    pub(crate) ips: Vec<IpAddr>,
    pub(crate) upns: Vec<String>,
}

impl AlternativeNames {
    pub(crate) fn read(list: &[GeneralName<'_>]) -> Result<AlternativeNames, IdentityError> {
        if list.len() > ALTERNATIVE_NAMES_MAX {
            return Err(IdentityError::AlternativeName(Malformed(
                "there are more than 128 of them",
            )));
        }
        let mut names = AlternativeNames::default();
        list.iter()
            .try_for_each(|name| names.add(name))
            .map_err(IdentityError::AlternativeName)?;
        Ok(names)
    }

    fn add(&mut self, name: &GeneralName<'_>) -> Result<(), Malformed> {
        match name {
            GeneralName::URI(uri) => self.uris.push(uri_text(uri)?),
            GeneralName::DNSName(dns) => self.dns.push(dns_text(dns)?),
            GeneralName::RFC822Name(email) => self.emails.push(email_text(email)?),
            GeneralName::IPAddress(bytes) => self.ips.push(ip_address(bytes)?),
            GeneralName::OtherName(oid, value) if oid.as_bytes() == UPN => {
                self.upns.push(upn_text(value)?)
            }
            GeneralName::Invalid(_, _) => return Err(Malformed("it is not readable")),
            GeneralName::OtherName(_, _)
            | GeneralName::DirectoryName(_)
            | GeneralName::X400Address(_)
            | GeneralName::EDIPartyName(_)
            | GeneralName::RegisteredID(_) => {}
        }
        Ok(())
    }
}

fn ascii(text: &str, bytes_max: usize) -> Result<String, Malformed> {
    let text = name::decode(der::IA5_STRING, text.as_bytes())?;
    check_text(&text, bytes_max)?;
    if text.contains(' ') {
        Err(Malformed("it has a space"))
    } else {
        Ok(text)
    }
}

fn uri_text(text: &str) -> Result<String, Malformed> {
    let uri = ascii(text, URI_BYTES_MAX)?;
    let (scheme, rest) = uri
        .split_once(':')
        .ok_or(Malformed("a URI has no scheme"))?;
    let scheme_is_sound = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    if !scheme_is_sound || rest.is_empty() {
        return Err(Malformed("a URI is not `scheme:` followed by something"));
    }
    Ok(uri)
}

fn dns_text(text: &str) -> Result<String, Malformed> {
    let dns = ascii(text, DNS_BYTES_MAX)?.to_ascii_lowercase();
    if is_host(dns.strip_prefix("*.").unwrap_or(&dns)) {
        Ok(dns)
    } else {
        Err(Malformed("a DNS name is not a host name"))
    }
}

fn is_host(host: &str) -> bool {
    let in_label = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(in_label)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    host.split('.').all(is_label)
}

fn email_text(text: &str) -> Result<String, Malformed> {
    let email = ascii(text, EMAIL_BYTES_MAX)?;
    match email.split_once('@') {
        Some((mailbox, host)) if !mailbox.is_empty() && is_host(host) => Ok(email),
        _ => Err(Malformed("an e-mail address is not `mailbox@host`")),
    }
}

fn upn_text(value: &[u8]) -> Result<String, Malformed> {
    let text = der::only(value, context_constructed(0))?;
    let upn = name::decode(der::UTF8_STRING, der::only(text, der::UTF8_STRING)?)?;
    check_text(&upn, EMAIL_BYTES_MAX)?;
    Ok(upn)
}

fn ip_address(bytes: &[u8]) -> Result<IpAddr, Malformed> {
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        return Ok(IpAddr::V4(Ipv4Addr::from(v4)));
    }
    let v6 = <[u8; 16]>::try_from(bytes)
        .map_err(|_why| Malformed("an IP address is neither 4 nor 16 bytes"))?;
    Ok(IpAddr::V6(Ipv6Addr::from(v6)))
}

/// An address for people; hexadecimal if it is none.
pub(crate) fn ip_text(bytes: &[u8]) -> String {
    ip_address(bytes).map_or_else(|_why| name::hex(bytes), |address| address.to_string())
}

/// 1.3.6.1.4.1.311.20.2.3
const UPN: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x14, 0x02, 0x03];

/// Alternative names of one certificate that are read.
const ALTERNATIVE_NAMES_MAX: usize = 128;
/// Bytes of a URI; SPIFFE ids have the same bound.
const URI_BYTES_MAX: usize = 2048;
/// Bytes of a host name in presentation form (RFC 1035).
const DNS_BYTES_MAX: usize = 253;
/// Bytes of an e-mail address or user principal name (RFC 5321: 64 + 1 + 255).
const EMAIL_BYTES_MAX: usize = 320;
