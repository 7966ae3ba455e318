//! Host names and the patterns of certificates.

use std::fmt;
use std::net::IpAddr;

use crate::config::problem::Fault;

/// An exact host name: lower-case ASCII (RFC 1123 §2.1; IDN in its `xn--` form), no port, no dot at the end, not an
/// IP address, since a client sends no SNI for one (RFC 6066 §3).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Host(Box<str>);

impl Host {
    /// Takes a host name.
    ///
    /// # Errors
    /// Upper case, port, wildcard, address, empty or over-long label, another character.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let what = || format!("`{text}` is not a host name");
        if text.parse::<IpAddr>().is_ok() || text.starts_with('[') {
            return Err(Fault::new(
                what(),
                "write a name: clients send no SNI for an address",
            ));
        }
        if text.contains('*') {
            return Err(Fault::new(
                what(),
                "write the exact name: `*.` is for certificates only",
            ));
        }
        if text.contains(':') {
            return Err(Fault::new(
                what(),
                "leave the port away: it comes from the listener",
            ));
        }
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(Fault::new(
                what(),
                format!("write it in lower case: `{}`", text.to_ascii_lowercase()),
            ));
        }
        if !text.is_ascii() {
            return Err(Fault::new(
                what(),
                "write an internationalised name in its `xn--` form",
            ));
        }
        if let Some(shorter) = text.strip_suffix('.') {
            return Err(Fault::new(
                what(),
                format!("leave the dot at the end away: `{shorter}`"),
            ));
        }
        if text.len() > HOST_BYTES_MAX || !text.split('.').all(is_host_label) {
            return Err(Fault::new(
                what(),
                "write labels of 1 to 63 of a-z, 0-9 and inner -, joined by dots, as in `records.civil.example`",
            ));
        }
        if text
            .rsplit('.')
            .next()
            .is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()))
        {
            return Err(Fault::new(
                what(),
                "write a name whose last label is not a number: it would be read as an address",
            ));
        }
        Ok(Self(text.into()))
    }

    /// The host name, in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_host_label(label: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    !label.is_empty()
        && label.len() <= HOST_LABEL_BYTES_MAX
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(known)
}

/// What a server certificate serves: one host, or all hosts one label below a domain (RFC 9525 §6.3).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HostPattern {
    /// This host only.
    Exact(Host),
    /// `*.` and this domain: exactly one more label.
    Below(Host),
}

impl HostPattern {
    /// Takes `records.civil.example` or `*.civil.example`.
    ///
    /// # Errors
    /// As [`Host::parse`]; a wildcard anywhere else, or above a top-level domain.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let Some(domain) = text.strip_prefix("*.") else {
            return Host::parse(text).map(Self::Exact);
        };
        if !domain.contains('.') {
            return Err(Fault::new(
                format!("`{text}` covers a whole top-level domain"),
                "write at least two labels after `*.`",
            ));
        }
        Host::parse(domain).map(Self::Below)
    }

    /// The patterns that serve this host: itself, and the wildcard one label up if there is one.
    pub(in crate::config) fn all_covering(host: &Host) -> impl Iterator<Item = Self> {
        let above = host
            .0
            .split_once('.')
            .map(|(_, rest)| Self::Below(Host(rest.into())));
        [Self::Exact(host.clone())].into_iter().chain(above)
    }

    /// Whether it serves this host.
    #[must_use]
    pub fn covers(&self, host: &Host) -> bool {
        match self {
            Self::Exact(exact) => exact == host,
            Self::Below(domain) => host
                .0
                .split_once('.')
                .is_some_and(|(_, rest)| *rest == *domain.0),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => out.write_str(&host.0),
            Self::Below(domain) => write!(out, "*.{}", domain.0),
        }
    }
}

/// Bytes of a host name, RFC 1035 §3.1 (without the root dot).
const HOST_BYTES_MAX: usize = 253;
/// Bytes of one label of a host name, RFC 1035 §3.1.
const HOST_LABEL_BYTES_MAX: usize = 63;
