//! Name constraints (RFC 5280 section 4.2.1.10): what names a CA may vouch for, and everything below it too.
//!
//! Processed are DNS names, e-mail addresses, URIs (SPIFFE ids among them), IP addresses and distinguished names. A constraint of any other
//! kind refuses every certificate that has a name of that kind, which the standard allows and which fails closed.

use crate::certificate::{Certificate, GeneralName, general_name};
use crate::chain_error::ChainReason;
use crate::der::{self, Malformed, Reader, context_constructed};
use crate::name;

/// Checks every certificate of a path (leaf first, anchor last) against the constraints of every CA above it. Gives the depth of the
/// one that breaks them.
pub(crate) fn check(path: &[Certificate<'_>]) -> Result<(), (ChainReason, usize)> {
    if path
        .first()
        .is_some_and(|leaf| leaf.extensions.name_constraints.is_some())
    {
        return Err((
            ChainReason::NameConstraint("they belong in a CA's certificate, and this is none"),
            0,
        ));
    }
    let mut comparisons_left = COMPARISONS_MAX;
    for (depth, authority) in path.iter().enumerate().skip(1) {
        let Some(content) = authority.extensions.name_constraints else {
            continue;
        };
        let constraints =
            Constraints::parse(content).map_err(|why| (ChainReason::Malformed(why), depth))?;
        for (below, certificate) in path.iter().enumerate().take(depth) {
            // A CA's certificate for its own next key is not constrained by itself; a leaf always is.
            if below > 0 && certificate.is_self_issued() {
                continue;
            }
            constraints
                .check(certificate, &mut comparisons_left)
                .map_err(|reason| (reason, below))?;
        }
    }
    Ok(())
}

struct Constraints<'a> {
    permitted: Vec<GeneralName<'a>>,
    excluded: Vec<GeneralName<'a>>,
}

impl<'a> Constraints<'a> {
    fn parse(content: &'a [u8]) -> Result<Constraints<'a>, Malformed> {
        let mut parts = Reader::new(content);
        let permitted = parts
            .optional(context_constructed(0))?
            .map(subtrees)
            .transpose()?
            .unwrap_or_default();
        let excluded = parts
            .optional(context_constructed(1))?
            .map(subtrees)
            .transpose()?
            .unwrap_or_default();
        parts.finish()?;
        Ok(Constraints {
            permitted,
            excluded,
        })
    }

    fn check(&self, certificate: &Certificate<'_>, left: &mut usize) -> Result<(), ChainReason> {
        for name in names_of(certificate).map_err(ChainReason::Malformed)? {
            let cost = self.permitted.len() + self.excluded.len();
            *left = left.checked_sub(cost).ok_or(ChainReason::TooComplex)?;
            self.check_name(&name)?;
        }
        Ok(())
    }

    fn check_name(&self, name: &GeneralName<'_>) -> Result<(), ChainReason> {
        for excluded in self
            .excluded
            .iter()
            .filter(|excluded| same_kind(name, excluded))
        {
            if matches(name, excluded, List::Excluded)? {
                return Err(ChainReason::NameConstraint(
                    "a name is among those excluded",
                ));
            }
        }
        let mut constrained = false;
        for permitted in self
            .permitted
            .iter()
            .filter(|permitted| same_kind(name, permitted))
        {
            constrained = true;
            if matches(name, permitted, List::Permitted)? {
                return Ok(());
            }
        }
        if constrained {
            Err(ChainReason::NameConstraint(
                "a name is not among those permitted",
            ))
        } else {
            Ok(())
        }
    }
}

fn subtrees(content: &[u8]) -> Result<Vec<GeneralName<'_>>, Malformed> {
    let mut found = Vec::new();
    let mut list = Reader::new(content);
    while !list.is_empty() {
        let mut subtree = Reader::new(list.expect(der::SEQUENCE)?);
        let base = general_name(&mut subtree)?;
        // `minimum` and `maximum` are not used: the one is left out when it is 0, the other always.
        subtree.finish()?;
        check_base(&base)?;
        found.push(base);
    }
    if found.is_empty() {
        Err(Malformed("a list of name constraints is empty"))
    } else {
        Ok(found)
    }
}

fn check_base(base: &GeneralName<'_>) -> Result<(), Malformed> {
    match base {
        GeneralName::Ip(range) => check_range(range),
        GeneralName::Dns(text) | GeneralName::Email(text) | GeneralName::Uri(text) => {
            let is_plain = text
                .iter()
                .all(|byte| byte.is_ascii_graphic() && *byte != b'*');
            if is_plain {
                Ok(())
            } else {
                Err(Malformed(
                    "a name constraint has a space, an asterisk or something not ASCII",
                ))
            }
        }
        GeneralName::Directory(base) => name::attributes(base).map(|_attributes| ()),
        GeneralName::Other { .. } | GeneralName::Unused(_) => Ok(()),
    }
}

/// Address and mask, of equal length, the mask a prefix.
fn check_range(range: &[u8]) -> Result<(), Malformed> {
    if range.len() != 8 && range.len() != 32 {
        return Err(Malformed("an IP constraint is neither 8 nor 32 bytes"));
    }
    let (_, mask) = range.split_at(range.len() / 2);
    let ones = mask
        .iter()
        .map(|byte| byte.leading_ones())
        .take_while(|ones| *ones == 8)
        .count();
    let is_prefix = mask
        .iter()
        .enumerate()
        .all(|(at, byte)| match at.cmp(&ones) {
            std::cmp::Ordering::Less => true,
            std::cmp::Ordering::Equal => byte.leading_ones() + byte.trailing_zeros() >= 8,
            std::cmp::Ordering::Greater => *byte == 0,
        });
    if is_prefix {
        Ok(())
    } else {
        Err(Malformed("an IP constraint's mask is not a prefix"))
    }
}

/// Everything that a certificate calls its subject.
fn names_of<'a>(certificate: &Certificate<'a>) -> Result<Vec<GeneralName<'a>>, Malformed> {
    let mut names = Vec::new();
    let attributes = name::attributes(certificate.subject)?;
    if !attributes.is_empty() {
        names.push(GeneralName::Directory(certificate.subject));
    }
    let emails = attributes
        .iter()
        .filter(|attribute| attribute.oid == name::EMAIL_ADDRESS);
    names.extend(emails.map(|attribute| GeneralName::Email(attribute.value)));
    let mut list = Reader::new(certificate.extensions.subject_alt_names.unwrap_or_default());
    while !list.is_empty() {
        names.push(general_name(&mut list)?);
    }
    Ok(names)
}

fn same_kind(name: &GeneralName<'_>, base: &GeneralName<'_>) -> bool {
    std::mem::discriminant(name) == std::mem::discriminant(base)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum List {
    Permitted,
    Excluded,
}

/// Whether a name lies below a base of its own kind.
fn matches(
    name: &GeneralName<'_>,
    base: &GeneralName<'_>,
    list: List,
) -> Result<bool, ChainReason> {
    match (name, base) {
        (GeneralName::Dns(name), GeneralName::Dns(base)) => Ok(dns_matches(name, base, list)),
        (GeneralName::Email(name), GeneralName::Email(base)) => email_matches(name, base),
        (GeneralName::Uri(name), GeneralName::Uri(base)) => uri_matches(name, base),
        (GeneralName::Ip(name), GeneralName::Ip(base)) => Ok(ip_matches(name, base)),
        (GeneralName::Directory(name), GeneralName::Directory(base)) => {
            name::is_below(name, base).map_err(ChainReason::Malformed)
        }
        (
            GeneralName::Dns(_)
            | GeneralName::Email(_)
            | GeneralName::Uri(_)
            | GeneralName::Ip(_)
            | GeneralName::Directory(_)
            | GeneralName::Other { .. }
            | GeneralName::Unused(_),
            _,
        ) => Err(ChainReason::NameConstraint(
            "a name is of a kind whose constraints are not supported",
        )),
    }
}

/// `example.com` covers itself and everything below; `.example.com` only what is below; the empty base covers all.
fn dns_matches(name: &[u8], base: &[u8], list: List) -> bool {
    if base.is_empty() || covers(base, name) {
        return true;
    }
    // A wildcard stands for names that it does not spell out: exclude it when it could stand for the excluded one.
    let (Some(parent), List::Excluded) = (name.strip_prefix(b"*."), list) else {
        return false;
    };
    let base = base.strip_prefix(b".").unwrap_or(base);
    let first_dot = base.iter().position(|byte| *byte == b'.');
    first_dot
        .and_then(|dot| base.get(dot + 1..))
        .is_some_and(|above| above.eq_ignore_ascii_case(parent))
}

/// Whether a host is the base (unless that begins with a dot) or lies below it.
fn covers(base: &[u8], host: &[u8]) -> bool {
    let Some(start) = host.len().checked_sub(base.len()) else {
        return false;
    };
    let (before, end) = host.split_at(start);
    end.eq_ignore_ascii_case(base)
        && (before.is_empty() || base.first() == Some(&b'.') || before.last() == Some(&b'.'))
        && !(before.is_empty() && base.first() == Some(&b'.'))
}

/// `mailbox@host` is one mailbox, `host` all mailboxes of that host, `.domain` those of every host below it.
fn email_matches(name: &[u8], base: &[u8]) -> Result<bool, ChainReason> {
    let unusable = ChainReason::NameConstraint("an e-mail address has no host to compare");
    let at = name
        .iter()
        .rposition(|byte| *byte == b'@')
        .ok_or(unusable)?;
    let (mailbox, host) = (
        name.get(..at).unwrap_or_default(),
        name.get(at + 1..).unwrap_or_default(),
    );
    if let Some(base_at) = base.iter().rposition(|byte| *byte == b'@') {
        let (base_mailbox, base_host) = (
            base.get(..base_at),
            base.get(base_at + 1..).unwrap_or_default(),
        );
        return Ok(base_mailbox == Some(mailbox) && base_host.eq_ignore_ascii_case(host));
    }
    Ok(host_matches(host, base))
}

/// `host` is that host alone, `.domain` every host below it.
fn uri_matches(name: &[u8], base: &[u8]) -> Result<bool, ChainReason> {
    // The standard: a URI whose host is missing or an address is refused when URIs are constrained.
    let host = uri_host(name).ok_or(ChainReason::NameConstraint(
        "a URI has no host name to compare",
    ))?;
    Ok(host_matches(host, base))
}

fn host_matches(host: &[u8], base: &[u8]) -> bool {
    if base.first() == Some(&b'.') {
        covers(base, host)
    } else {
        host.eq_ignore_ascii_case(base)
    }
}

fn uri_host(uri: &[u8]) -> Option<&[u8]> {
    let text = str::from_utf8(uri).ok()?;
    let (_scheme, rest) = text.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_user, host)| host);
    let host = host.rsplit_once(':').map_or(host, |(host, _port)| host);
    let is_name = !host.is_empty()
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
        && host.parse::<std::net::Ipv4Addr>().is_err();
    is_name.then_some(host.as_bytes())
}

fn ip_matches(name: &[u8], range: &[u8]) -> bool {
    let (base, mask) = range.split_at(range.len() / 2);
    name.len() == base.len()
        && name
            .iter()
            .zip(base)
            .zip(mask)
            .all(|((address, base), mask)| address & mask == base & mask)
}

/// Comparisons of a name with a constraint that one chain may cost.
const COMPARISONS_MAX: usize = 50_000;
