//! Distribution points: the names by which a certificate and a list of a part of its issuer's certificates find each other.
//!
//! A CA with many certificates may split its list and write into each certificate which part it belongs to. The names are only
//! compared, never fetched.
//!
//! They are read here and not by x509-parser: that cannot read a name relative to the issuer (it looks for a SET where the
//! standard's implicit tag leaves none), and drops a name that it cannot read without a word.

use ring::digest::{Context, SHA256};

use x509_parser::asn1_rs::FromDer;
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

use crate::der::{self, Malformed, Reader, context, context_constructed};
use crate::name;
use crate::shape;

/// The names of a certificate's distribution points, each as 64 bits of a SHA-256; 0 where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Points([u64; POINTS_MAX]);

impl Points {
    /// Of a cRLDistributionPoints extension. Points of some reasons or of another issuer's lists do not count, nor do names
    /// beyond the fourth: such a certificate needs a complete list.
    pub(crate) fn of_certificate(
        content: Option<&[u8]>,
        issuer: &X509Name<'_>,
    ) -> Result<Points, Malformed> {
        let mut hashes = Vec::new();
        let mut list = Reader::new(content.unwrap_or_default());
        while !list.is_empty() {
            let mut point = Reader::new(list.expect(der::SEQUENCE)?);
            let named = point.optional(context_constructed(0))?;
            let has_reasons = point.optional(context(1))?.is_some();
            let has_issuer = point.optional(context_constructed(2))?.is_some();
            point.finish()?;
            if let Some(named) = named.filter(|_name| !has_reasons && !has_issuer) {
                hashes.extend(point_names(named, issuer)?);
            }
        }
        let mut points = Points::default();
        points
            .0
            .iter_mut()
            .zip(hashes)
            .for_each(|(to, from)| *to = from);
        Ok(points)
    }

    pub(crate) fn meet(&self, names: &[u64]) -> bool {
        self.0.iter().any(|own| *own != 0 && names.contains(own))
    }
}

/// The URIs of a cRLDistributionPoints extension at which complete lists of the issuer itself are published: at most four, each of at most
/// 1,024 bytes of ASCII.
pub(crate) fn uris(content: &[u8]) -> Result<Vec<String>, Malformed> {
    let mut found = Vec::new();
    let mut list = Reader::new(content);
    while !list.is_empty() {
        let mut point = Reader::new(list.expect(der::SEQUENCE)?);
        let named = point.optional(context_constructed(0))?;
        let has_reasons = point.optional(context(1))?.is_some();
        let has_issuer = point.optional(context_constructed(2))?.is_some();
        point.finish()?;
        let Some(named) = named.filter(|_name| !has_reasons && !has_issuer) else {
            continue;
        };
        let full = Reader::new(named).optional(context_constructed(0))?;
        let mut names = Reader::new(full.unwrap_or_default());
        while !names.is_empty() {
            let element = names.any()?;
            let is_uri = element.tag == context(6) && element.value.len() <= URI_BYTES_MAX;
            let uri = std::str::from_utf8(element.value).ok();
            let uri = uri.filter(|uri| is_uri && uri.is_ascii() && found.len() < POINTS_MAX);
            found.extend(uri.map(str::to_owned));
        }
    }
    Ok(found)
}

/// The hashes of a DistributionPointName's names, given its content.
pub(crate) fn point_names(content: &[u8], issuer: &X509Name<'_>) -> Result<Vec<u64>, Malformed> {
    let mut choice = Reader::new(content);
    let element = choice.any()?;
    choice.finish()?;
    if element.tag == context_constructed(1) {
        let members = attributes(element.value)?;
        let mut relative_names = name::canonical(issuer);
        relative_names.push(name::canonical_relative(members.iter()));
        return Ok(vec![hash(&relative_names)]);
    }
    if element.tag != context_constructed(0) {
        return Err(Malformed("a distribution point has no name"));
    }
    let mut names = Reader::new(element.value);
    let mut hashes = Vec::new();
    while !names.is_empty() {
        if hashes.len() >= POINT_NAMES_MAX {
            return Err(Malformed("a distribution point has more than 32 names"));
        }
        let element = names.any()?;
        shape::GENERAL_NAME.check(element.raw)?;
        hashes.push(if element.tag == context_constructed(4) {
            hash(&name::canonical(&name::read(element.value)?))
        } else {
            hash(&[element.raw.to_vec()])
        });
    }
    Ok(hashes)
}

/// The attributes of a relative name, given its content.
fn attributes(content: &[u8]) -> Result<Vec<AttributeTypeAndValue<'_>>, Malformed> {
    let mut found = Vec::new();
    let mut list = Reader::new(content);
    while !list.is_empty() {
        let raw = list.any()?.raw;
        shape::ATTRIBUTE.check(raw)?;
        let (_rest, attribute) = AttributeTypeAndValue::from_der(raw)
            .map_err(|_why| Malformed("a distribution point's name is not readable"))?;
        found.push(attribute);
    }
    Ok(found)
}

fn hash(parts: &[Vec<u8>]) -> u64 {
    let mut hash = Context::new(&SHA256);
    for part in parts {
        hash.update(&(part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let short = hash
        .finish()
        .as_ref()
        .iter()
        .take(8)
        .fold(0, |sum, byte| (sum << 8) | u64::from(*byte));
    // 0 stands for no name.
    short.max(1)
}

/// Names of one certificate that count. Real certificates have one or two.
const POINTS_MAX: usize = 4;
/// Bytes of a URI at which a list is published.
const URI_BYTES_MAX: usize = 1024;
/// Names of one distribution point.
const POINT_NAMES_MAX: usize = 32;
