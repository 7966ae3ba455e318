//! A certificate revocation list, taken apart strictly (RFC 5280 section 5), its entries read as a stream.
//!
//! x509-parser would make a million entries into a million objects, and takes a flag of the issuingDistributionPoint that it cannot
//! read for one that is not set; so lists are read here.

use std::fmt;

use x509_parser::x509::X509Name;

use crate::coverage::{Kinds, Scope};
use crate::der::{self, Malformed, Reader, context, context_constructed};
use crate::name;
use crate::points::point_names;
use crate::serial::Serial;

/// A list's parts, borrowed from its bytes. Nothing here has been verified.
#[derive(Clone, Debug)]
pub(crate) struct RevocationList<'a> {
    pub(crate) tbs: &'a [u8],
    pub(crate) signature_algorithm: &'a [u8],
    pub(crate) signature: &'a [u8],
    pub(crate) issuer: X509Name<'a>,
    /// Unix seconds.
    pub(crate) this_update: i64,
    /// Unix seconds.
    pub(crate) next_update: Option<i64>,
    /// Content: the entries one after the other.
    pub(crate) entries: &'a [u8],
    pub(crate) number: CrlNumber,
    pub(crate) scope: Scope,
    pub(crate) authority_key_id: Option<&'a [u8]>,
}

/// A list's number, by which one list supersedes another; at most 20 bytes. Lists without one count as 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct CrlNumber([u8; 20]);

impl fmt::Display for CrlNumber {
    /// Decimal up to 128 bits, hexadecimal above.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (high, low) = self.0.split_at(4);
        let number = low
            .iter()
            .fold(0_u128, |sum, &byte| (sum << 8) | u128::from(byte));
        if high == [0; 4] {
            write!(f, "{number}")
        } else {
            write!(f, "0x{}", name::hex(&self.0))
        }
    }
}

impl fmt::Debug for CrlNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CrlNumber({self})")
    }
}

/// Why a list is not usable as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListProblem {
    Malformed(Malformed),
    Delta,
    Indirect,
    /// It covers some reasons only, or attribute certificates.
    Partial,
    UnknownCritical,
}

impl From<Malformed> for ListProblem {
    fn from(why: Malformed) -> ListProblem {
        ListProblem::Malformed(why)
    }
}

impl<'a> RevocationList<'a> {
    /// Takes a list apart, all but its entries.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<RevocationList<'a>, ListProblem> {
        let mut outer = Reader::new(der::only(bytes, der::SEQUENCE)?);
        let tbs = outer.expect_element(der::SEQUENCE)?;
        let signature_algorithm = outer.expect(der::SEQUENCE)?;
        let signature = der::whole_bits(outer.expect(der::BIT_STRING)?)?;
        outer.finish()?;

        let mut fields = Reader::new(tbs.value);
        let version_2 = match fields.optional(der::INTEGER)? {
            Some([1]) => true,
            Some(_) => return Err(Malformed("its version is neither 1 nor 2").into()),
            None => false,
        };
        if fields.expect(der::SEQUENCE)? != signature_algorithm {
            return Err(Malformed("its two statements of the signature algorithm differ").into());
        }
        let issuer = name::read(fields.expect_element(der::SEQUENCE)?.raw)?;
        let this_update = der::time(&mut fields)?;
        let has_next = matches!(fields.tag(), Some(der::UTC_TIME | der::GENERALIZED_TIME));
        let next_update = if has_next {
            Some(der::time(&mut fields)?)
        } else {
            None
        };
        let entries = fields.optional(der::SEQUENCE)?.unwrap_or_default();
        let extensions = fields.optional(context_constructed(0))?;
        fields.finish()?;
        if extensions.is_some() && !version_2 {
            return Err(Malformed("it has extensions and is not version 2").into());
        }
        let mut list = RevocationList {
            tbs: tbs.raw,
            signature_algorithm,
            signature,
            issuer,
            this_update,
            next_update,
            entries,
            number: CrlNumber::default(),
            scope: Scope::ALL,
            authority_key_id: None,
        };
        if let Some(explicit) = extensions {
            list.read_extensions(der::only(explicit, der::SEQUENCE)?)?;
        }
        Ok(list)
    }

    /// The issuer of a list that may be of a kind that is not supported.
    pub(crate) fn issuer_of(bytes: &[u8]) -> Option<X509Name<'_>> {
        let mut outer = Reader::new(der::only(bytes, der::SEQUENCE).ok()?);
        let mut fields = Reader::new(outer.expect(der::SEQUENCE).ok()?);
        let _version = fields.optional(der::INTEGER).ok()?;
        let _algorithm = fields.expect(der::SEQUENCE).ok()?;
        let issuer = fields.expect_element(der::SEQUENCE).ok()?;
        name::read(issuer.raw).ok()
    }

    fn read_extensions(&mut self, list: &'a [u8]) -> Result<(), ListProblem> {
        let mut seen: Vec<&[u8]> = Vec::new();
        let mut list = Reader::new(list);
        while !list.is_empty() {
            let extension = Extension::parse(&mut list)?;
            if seen.contains(&extension.oid) || seen.len() >= EXTENSIONS_MAX {
                return Err(Malformed("it has an extension twice, or more than 32").into());
            }
            seen.push(extension.oid);
            match extension.oid {
                CRL_NUMBER => self.number = crl_number(extension.value)?,
                DELTA_CRL_INDICATOR => return Err(ListProblem::Delta),
                ISSUING_DISTRIBUTION_POINT => {
                    self.scope = scope(der::only(extension.value, der::SEQUENCE)?, &self.issuer)?
                }
                AUTHORITY_KEY_ID => {
                    self.authority_key_id = Reader::new(der::only(extension.value, der::SEQUENCE)?)
                        .optional(context(0))?;
                }
                _ if extension.critical => return Err(ListProblem::UnknownCritical),
                _ => {}
            }
        }
        Ok(())
    }

    /// How many entries there are, by walking over them.
    pub(crate) fn count(&self) -> Result<usize, Malformed> {
        let mut entries = Reader::new(self.entries);
        let mut count = 0;
        while !entries.is_empty() {
            entries.expect(der::SEQUENCE)?;
            count += 1;
        }
        Ok(count)
    }

    /// Calls `each` for every entry with its serial number, time in Unix seconds and reason code (0 when none is given).
    pub(crate) fn for_each(
        &self,
        mut each: impl FnMut(Serial, i64, u8),
    ) -> Result<(), ListProblem> {
        let mut entries = Reader::new(self.entries);
        while !entries.is_empty() {
            let mut parts = Reader::new(entries.expect(der::SEQUENCE)?);
            let serial = Serial::from_der(parts.expect(der::INTEGER)?)?;
            let revoked_at = der::time(&mut parts)?;
            let reason = match parts.optional(der::SEQUENCE)? {
                Some(extensions) => entry_reason(extensions)?,
                None => 0,
            };
            parts.finish()?;
            each(serial, revoked_at, reason);
        }
        Ok(())
    }
}

/// One extension of a list or of a list's entry.
#[derive(Clone, Copy, Debug)]
struct Extension<'a> {
    oid: &'a [u8],
    critical: bool,
    value: &'a [u8],
}

impl<'a> Extension<'a> {
    fn parse(list: &mut Reader<'a>) -> Result<Extension<'a>, Malformed> {
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

fn entry_reason(list: &[u8]) -> Result<u8, ListProblem> {
    let mut reason = 0;
    let mut list = Reader::new(list);
    while !list.is_empty() {
        let extension = Extension::parse(&mut list)?;
        match extension.oid {
            REASON_CODE => match der::only(extension.value, der::ENUMERATED)? {
                // removeFromCRL exists in delta lists only; 7 is unused.
                [8] => return Err(ListProblem::Delta),
                [code @ (0..=6 | 9 | 10)] => reason = *code,
                _ => return Err(Malformed("an entry has an unknown reason code").into()),
            },
            CERTIFICATE_ISSUER => return Err(ListProblem::Indirect),
            _ if extension.critical => return Err(ListProblem::UnknownCritical),
            _ => {}
        }
    }
    Ok(reason)
}

fn crl_number(value: &[u8]) -> Result<CrlNumber, Malformed> {
    let magnitude = der::unsigned(der::only(value, der::INTEGER)?)?;
    let mut number = CrlNumber::default();
    let start = number
        .0
        .len()
        .checked_sub(magnitude.len())
        .ok_or(Malformed("its number is longer than 20 bytes"))?;
    number
        .0
        .iter_mut()
        .skip(start)
        .zip(magnitude)
        .for_each(|(to, from)| *to = *from);
    Ok(number)
}

/// IssuingDistributionPoint: which certificates the list stands for.
fn scope(content: &[u8], issuer: &X509Name<'_>) -> Result<Scope, ListProblem> {
    let mut parts = Reader::new(content);
    let point = parts.optional(context_constructed(0))?;
    let mut points = point
        .map(|point| point_names(point, issuer))
        .transpose()?
        .unwrap_or_default();
    points.sort_unstable();
    let mut flag = |number: u8| {
        parts
            .optional(context(number))?
            .map_or(Ok(false), der::boolean)
    };
    let leaves_only = flag(1)?;
    let authorities_only = flag(2)?;
    let has_reasons = parts.optional(context(3))?.is_some();
    let mut flag = |number: u8| {
        parts
            .optional(context(number))?
            .map_or(Ok(false), der::boolean)
    };
    let indirect = flag(4)?;
    let attributes_only = flag(5)?;
    parts.finish()?;
    if indirect {
        return Err(ListProblem::Indirect);
    }
    if has_reasons || attributes_only {
        return Err(ListProblem::Partial);
    }
    let kinds = match (leaves_only, authorities_only) {
        (false, false) => Kinds::All,
        (true, false) => Kinds::LeavesOnly,
        (false, true) => Kinds::AuthoritiesOnly,
        (true, true) => return Err(Malformed("it covers leaves only and authorities only").into()),
    };
    Ok(Scope { kinds, points })
}

const CRL_NUMBER: &[u8] = &[0x55, 0x1d, 0x14];
const REASON_CODE: &[u8] = &[0x55, 0x1d, 0x15];
const DELTA_CRL_INDICATOR: &[u8] = &[0x55, 0x1d, 0x1b];
const ISSUING_DISTRIBUTION_POINT: &[u8] = &[0x55, 0x1d, 0x1c];
const CERTIFICATE_ISSUER: &[u8] = &[0x55, 0x1d, 0x1d];
const AUTHORITY_KEY_ID: &[u8] = &[0x55, 0x1d, 0x23];

/// Extensions of one list. Real ones have about four.
const EXTENSIONS_MAX: usize = 32;
