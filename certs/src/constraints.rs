//! Name constraints (RFC 5280 section 4.2.1.10): what names a CA may vouch for, and everything below it too.
//!
//! Processed are DNS names, e-mail addresses, URIs (SPIFFE ids among them), IP addresses and distinguished names. A constraint of any other
//! kind refuses every certificate that has a name of that kind, which the standard allows and which fails closed.

use x509_parser::extensions::{GeneralName, GeneralSubtree, NameConstraints};

use crate::certificate::Certificate;
use crate::chain_error::ChainReason;
use crate::der::Malformed;
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
        let Some(constraints) = &authority.extensions.name_constraints else {
            continue;
        };
        let constraints =
            Constraints::of(constraints).map_err(|why| (ChainReason::Malformed(why), depth))?;
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
    permitted: Vec<&'a GeneralName<'a>>,
    excluded: Vec<&'a GeneralName<'a>>,
}

impl<'a> Constraints<'a> {
    fn of(constraints: &'a NameConstraints<'a>) -> Result<Constraints<'a>, Malformed> {
        let bases = |list: &'a Option<Vec<GeneralSubtree<'a>>>| {
            let bases: Vec<&GeneralName<'_>> =
                list.iter().flatten().map(|subtree| &subtree.base).collect();
            bases.iter().try_for_each(|base| check_base(base))?;
            Ok(bases)
        };
        Ok(Constraints {
            permitted: bases(&constraints.permitted_subtrees)?,
            excluded: bases(&constraints.excluded_subtrees)?,
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

fn check_base(base: &GeneralName<'_>) -> Result<(), Malformed> {
    match base {
        GeneralName::IPAddress(range) => check_range(range),
        GeneralName::DNSName(text) | GeneralName::RFC822Name(text) | GeneralName::URI(text) => {
            let is_plain = text
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b'*');
            if is_plain {
                Ok(())
            } else {
                Err(Malformed(
                    "a name constraint has a space, an asterisk or something not ASCII",
                ))
            }
        }
        GeneralName::DirectoryName(_)
        | GeneralName::OtherName(_, _)
        | GeneralName::X400Address(_)
        | GeneralName::EDIPartyName(_)
        | GeneralName::RegisteredID(_)
        | GeneralName::Invalid(_, _) => Ok(()),
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
fn names_of<'c>(certificate: &'c Certificate<'_>) -> Result<Vec<GeneralName<'c>>, Malformed> {
    let mut names = Vec::new();
    if !name::is_empty(&certificate.subject) {
        names.push(GeneralName::DirectoryName(certificate.subject.clone()));
    }
    for attribute in name::attributes(&certificate.subject) {
        if attribute.oid == name::EMAIL_ADDRESS {
            let email = str::from_utf8(attribute.value)
                .map_err(|_why| Malformed("an e-mail address in its subject is not text"))?;
            names.push(GeneralName::RFC822Name(email));
        }
    }
    names.extend(certificate.extensions.subject_alt_names.iter().cloned());
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
        (GeneralName::DNSName(name), GeneralName::DNSName(base)) => {
            if is_host(name.strip_prefix("*.").unwrap_or(name)) {
                Ok(dns_matches(name.as_bytes(), base.as_bytes(), list))
            } else {
                Err(ChainReason::NameConstraint(
                    "a DNS name is no host name to compare",
                ))
            }
        }
        (GeneralName::RFC822Name(name), GeneralName::RFC822Name(base)) => {
            email_matches(name, base, list)
        }
        (GeneralName::URI(name), GeneralName::URI(base)) => uri_matches(name, base),
        (GeneralName::IPAddress(name), GeneralName::IPAddress(base)) => Ok(ip_matches(name, base)),
        (GeneralName::DirectoryName(name), GeneralName::DirectoryName(base)) => {
            Ok(name::is_below(name, base))
        }
        (
            GeneralName::DNSName(_)
            | GeneralName::RFC822Name(_)
            | GeneralName::URI(_)
            | GeneralName::IPAddress(_)
            | GeneralName::DirectoryName(_)
            | GeneralName::OtherName(_, _)
            | GeneralName::X400Address(_)
            | GeneralName::EDIPartyName(_)
            | GeneralName::RegisteredID(_)
            | GeneralName::Invalid(_, _),
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

/// `mailbox@host` is one mailbox, `host` all mailboxes of that host, `.domain` those of every host below it. To the letter of the
/// standard the case of a mailbox counts; no mail server heeds it, so what is excluded is so in every case.
fn email_matches(name: &str, base: &str, list: List) -> Result<bool, ChainReason> {
    let (mailbox, host) = name
        .rsplit_once('@')
        .filter(|(_mailbox, host)| is_host(host))
        .ok_or(ChainReason::NameConstraint(
            "an e-mail address has no host to compare",
        ))?;
    let Some((base_mailbox, base_host)) = base.rsplit_once('@') else {
        return Ok(host_matches(host.as_bytes(), base.as_bytes()));
    };
    let same_mailbox = match list {
        List::Permitted => mailbox == base_mailbox,
        List::Excluded => mailbox.eq_ignore_ascii_case(base_mailbox),
    };
    Ok(same_mailbox && host.eq_ignore_ascii_case(base_host))
}

/// `host` is that host alone, `.domain` every host below it.
fn uri_matches(name: &str, base: &str) -> Result<bool, ChainReason> {
    // The standard: a URI whose host is missing or an address is refused when URIs are constrained.
    let host = uri_host(name).ok_or(ChainReason::NameConstraint(
        "a URI has no host name to compare",
    ))?;
    Ok(host_matches(host.as_bytes(), base.as_bytes()))
}

fn host_matches(host: &[u8], base: &[u8]) -> bool {
    if base.first() == Some(&b'.') {
        covers(base, host)
    } else {
        host.eq_ignore_ascii_case(base)
    }
}

fn uri_host(uri: &str) -> Option<&str> {
    let (_scheme, rest) = uri.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_user, host)| host);
    let host = host.rsplit_once(':').map_or(host, |(host, _port)| host);
    let is_address = host.parse::<std::net::Ipv4Addr>().is_ok();
    (is_host(host) && !is_address).then_some(host)
}

/// Labels with dots between. A dot at the end would make another text of the same host, and so slip past what is excluded.
fn is_host(host: &str) -> bool {
    host.split('.').all(|label| {
        !label.is_empty()
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    })
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
