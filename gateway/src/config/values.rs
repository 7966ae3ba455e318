//! Single values of the configuration: newtypes with one way in, so that what they promise always holds.
//!
//! Each `parse` answers with a [`Fault`] (what, how to fix); the caller knows the place.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use super::problem::Fault;

/// Bytes of a [`Name`].
const NAME_BYTES_MAX: usize = 64;
/// Bytes of a [`Tenant`].
const TENANT_BYTES_MAX: usize = 128;
/// Bytes of a host name, RFC 1035 §3.1 (without the root dot).
const HOST_BYTES_MAX: usize = 253;
/// Bytes of one label of a host name, RFC 1035 §3.1.
const HOST_LABEL_BYTES_MAX: usize = 63;
/// Bytes of a [`RoutePrefix`].
const ROUTE_PREFIX_BYTES_MAX: usize = 1024;

/// A name that we give ourselves: 1 to 64 of `a-z`, `0-9` and `-`, so that it is safe in a metric and in a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<str>);

impl Name {
    /// Takes a name.
    ///
    /// # Errors
    /// Empty, too long, or another character.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if text.is_empty() || text.len() > NAME_BYTES_MAX || !text.bytes().all(known) {
            return Err(Fault::new(
                format!("`{text}` is not a name"),
                format!("use 1 to {NAME_BYTES_MAX} of the characters a-z, 0-9 and -"),
            ));
        }
        Ok(Self(text.into()))
    }

    /// The name as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The Casbin domain of an application: 1 to 128 bytes without space, control character, comma, quote or `#`,
/// which a policy file could not hold unquoted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tenant(Box<str>);

impl Tenant {
    /// Takes a tenant.
    ///
    /// # Errors
    /// Empty, too long, or a character that a policy file could not hold.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let refused =
            |c: char| c.is_whitespace() || c.is_control() || matches!(c, ',' | '"' | '\'' | '#');
        if text.is_empty() || text.len() > TENANT_BYTES_MAX || text.chars().any(refused) {
            return Err(Fault::new(
                format!("`{}` is not a tenant", text.escape_debug()),
                format!("use 1 to {TENANT_BYTES_MAX} bytes without spaces, commas, quotes and #"),
            ));
        }
        Ok(Self(text.into()))
    }

    /// The tenant as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

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
        let what = || format!("`{}` is not a host name", text.escape_debug());
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
                format!("`{}` covers a whole top-level domain", text.escape_debug()),
                "write at least two labels after `*.`",
            ));
        }
        Host::parse(domain).map(Self::Below)
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

/// The beginning of a canonical path, made of whole segments: `/` or `/a/b`, never with a slash at the end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoutePrefix(Box<str>);

impl RoutePrefix {
    /// Takes a prefix that a canonical path can begin with.
    ///
    /// # Errors
    /// No slash in front, one at the end, empty or dot segments, query, escape, or a byte that a canonical path
    /// never holds: such a route could not be reached.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let what = || format!("`{}` is not a path prefix", text.escape_debug());
        let Some(inside) = text.strip_prefix('/') else {
            return Err(Fault::new(what(), "begin it with `/`"));
        };
        if text.len() > ROUTE_PREFIX_BYTES_MAX {
            return Err(Fault::new(
                what(),
                format!("shorten it to {ROUTE_PREFIX_BYTES_MAX} bytes"),
            ));
        }
        if inside.is_empty() {
            return Ok(Self(text.into()));
        }
        if let Some(shorter) = text.strip_suffix('/') {
            return Err(Fault::new(
                what(),
                format!("leave the slash at the end away: `{shorter}`"),
            ));
        }
        if inside
            .split('/')
            .any(|segment| matches!(segment, "" | "." | ".."))
        {
            return Err(Fault::new(
                what(),
                "remove empty, `.` and `..` segments: no canonical path holds them",
            ));
        }
        if !inside
            .bytes()
            .all(|byte| byte == b'/' || is_path_byte(byte))
        {
            return Err(Fault::new(
                what(),
                "write a-z, A-Z, 0-9 and -._~!$&'()*+,;=:@ only, other bytes as upper-case escapes such as `%E5`",
            ));
        }
        if !escapes_are_canonical(inside) {
            return Err(Fault::new(
                what(),
                "write escapes as `%` and two upper-case hex digits, and only for bytes that need one",
            ));
        }
        Ok(Self(text.into()))
    }

    /// The prefix as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a canonical path lies under it: the same path, or one that goes on with a `/`.
    #[must_use]
    pub fn covers(&self, path: &str) -> bool {
        if &*self.0 == "/" {
            return path.starts_with('/');
        }
        path.strip_prefix(&*self.0)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// Bytes of RFC 3986 `pchar`, with `%` of an escape.
fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@%".contains(&byte)
}

/// Escapes are upper case (RFC 3986 §6.2.2.1) and stand only for bytes that are not `pchar` themselves, so not for
/// letters, nor for a slash, which would be ambiguous.
fn escapes_are_canonical(text: &str) -> bool {
    let mut pieces = text.split('%');
    pieces.next();
    pieces.all(|piece| {
        let Some(digits) = piece.get(..2) else {
            return false;
        };
        let upper = digits
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte));
        let byte = u8::from_str_radix(digits, 16);
        upper
            && byte.is_ok_and(|byte| {
                byte >= 0x80
                    || (!is_path_byte(byte) && !matches!(byte, b'/' | b'\\' | 0..=0x1f | 0x7f))
            })
    })
}

/// An address prefix without host bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IpPrefix {
    address: IpAddr,
    length: u8,
}

impl IpPrefix {
    /// Takes `10.1.0.0/16` or `2001:db8::/32`.
    ///
    /// # Errors
    /// No length, too long, host bits set, or IPv6 that maps IPv4.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let what = || format!("`{}` is not an address prefix", text.escape_debug());
        let Some((address, length)) = text.split_once('/') else {
            let fix = match text.parse() {
                Ok(IpAddr::V4(_)) => format!("write the length too: `{text}/32` for one address"),
                Ok(IpAddr::V6(_)) => format!("write the length too: `{text}/128` for one address"),
                Err(_) => EXAMPLE_PREFIXES.into(),
            };
            return Err(Fault::new(what(), fix));
        };
        let Ok(address) = address.parse::<IpAddr>() else {
            return Err(Fault::new(what(), EXAMPLE_PREFIXES));
        };
        let bits: u8 = if address.is_ipv4() { 32 } else { 128 };
        let plain = !length.is_empty()
            && length.bytes().all(|byte| byte.is_ascii_digit())
            && (length == "0" || !length.starts_with('0'));
        let Some(length) = length
            .parse::<u8>()
            .ok()
            .filter(|length| plain && *length <= bits)
        else {
            return Err(Fault::new(
                what(),
                format!("write a length from 0 to {bits}"),
            ));
        };
        if let IpAddr::V6(six) = address
            && let Some(four) = six.to_ipv4_mapped()
        {
            return Err(Fault::new(
                what(),
                format!("write the IPv4 prefix of `{four}`: clients are compared in that form"),
            ));
        }
        let network = network_of(address, length);
        if network != address {
            return Err(Fault::new(
                format!("`{}` has bits set behind its length", text.escape_debug()),
                format!("write `{network}/{length}`"),
            ));
        }
        Ok(Self { address, length })
    }

    /// The network address; no bit behind [`length`](Self::length) is set.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// 0 to 32 for IPv4, 0 to 128 for IPv6.
    #[must_use]
    pub fn length(&self) -> u8 {
        self.length
    }

    /// Whether an address lies in it; an IPv4 address never lies in an IPv6 prefix.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.address.is_ipv4()
            && network_of(address, self.length) == self.address
    }
}

impl fmt::Display for IpPrefix {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.address, self.length)
    }
}

fn network_of(address: IpAddr, length: u8) -> IpAddr {
    let length = u32::from(length);
    match address {
        IpAddr::V4(four) => {
            let mask = u32::MAX
                .checked_shl(32_u32.saturating_sub(length))
                .unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(four.to_bits() & mask))
        }
        IpAddr::V6(six) => {
            let mask = u128::MAX
                .checked_shl(128_u32.saturating_sub(length))
                .unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(six.to_bits() & mask))
        }
    }
}

const EXAMPLE_PREFIXES: &str = "write address and length, as in `10.1.0.0/16` or `2001:db8::/32`";

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

impl ByteSize {
    /// So many bytes.
    #[must_use]
    pub const fn of(bytes: u64) -> Self {
        Self(bytes)
    }

    /// The number of bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// The number of bytes; on a machine with small pointers, the largest number that fits.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    /// Takes a whole number and `B`, `KiB`, `MiB` or `GiB`.
    ///
    /// # Errors
    /// Another unit, or a number that does not fit.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        number_with_unit(text, &SIZE_UNITS)
            .map(Self)
            .ok_or_else(|| {
                Fault::new(
                    format!("`{}` is not a size", text.escape_debug()),
                    "write a whole number and B, KiB, MiB or GiB, as in `64KiB`",
                )
            })
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        with_largest_unit(out, self.0, &SIZE_UNITS)
    }
}

const SIZE_UNITS: [(&str, u64); 4] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];
const TIME_UNITS_MS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Takes a whole number and `ms`, `s`, `m` or `h`.
///
/// # Errors
/// Another unit, or a number that does not fit.
pub(super) fn parse_duration(text: &str) -> Result<Duration, Fault> {
    number_with_unit(text, &TIME_UNITS_MS)
        .map(Duration::from_millis)
        .ok_or_else(|| {
            Fault::new(
                format!("`{}` is not a duration", text.escape_debug()),
                "write a whole number and ms, s, m or h, as in `10s`",
            )
        })
}

/// A duration as it is written in the file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written(pub(super) Duration);

impl fmt::Display for Written {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        with_largest_unit(out, ms, &TIME_UNITS_MS)
    }
}

fn number_with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

fn with_largest_unit(
    out: &mut fmt::Formatter<'_>,
    number: u64,
    units: &[(&str, u64)],
) -> fmt::Result {
    let fits = |factor: u64| factor <= number && number.is_multiple_of(factor);
    match units
        .iter()
        .find(|(_, factor)| fits(*factor))
        .or(units.last())
    {
        Some((name, factor)) => write!(
            out,
            "{}{name}",
            number.checked_div(*factor).unwrap_or(number)
        ),
        None => write!(out, "{number}"),
    }
}

/// Number of a zone in one configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ZoneId(u16);

impl ZoneId {
    pub(super) fn new(index: u16) -> Self {
        Self(index)
    }

    /// Its place in [`Config::zones`](super::Config::zones).
    #[must_use]
    pub fn index(self) -> u16 {
        self.0
    }
}

/// Number of a label in one configuration; a higher label compares greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LabelId(u8);

/// Labels in one configuration, as many as a [`LabelSet`] has bits.
pub(super) const LABELS_MAX: usize = 64;

impl LabelId {
    // INVARIANT: index < LABELS_MAX, held by the one caller in `check`.
    pub(super) fn new(index: u8) -> Self {
        Self(index)
    }

    /// Its place in [`Config::labels`](super::Config::labels), 0 to 63.
    #[must_use]
    pub fn index(self) -> u8 {
        self.0
    }
}

/// A set of labels; one word, so that the matrix costs one load and one mask for a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LabelSet(u64);

impl LabelSet {
    /// Whether the label is in it.
    #[must_use]
    pub fn contains(self, label: LabelId) -> bool {
        self.0 & bit(label) != 0
    }

    #[must_use]
    pub(super) fn with(self, label: LabelId) -> Self {
        Self(self.0 | bit(label))
    }
}

fn bit(label: LabelId) -> u64 {
    1_u64.checked_shl(u32::from(label.0)).unwrap_or(0)
}

/// The methods that a route can name. TRACE, CONNECT and unknown methods are never let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// GET
    Get,
    /// HEAD
    Head,
    /// POST
    Post,
    /// PUT
    Put,
    /// PATCH
    Patch,
    /// DELETE
    Delete,
    /// OPTIONS
    Options,
}

impl Method {
    /// All of them, in the order of the documentation.
    pub const ALL: [Self; 7] = [
        Self::Get,
        Self::Head,
        Self::Post,
        Self::Put,
        Self::Patch,
        Self::Delete,
        Self::Options,
    ];

    /// As on the wire; case matters (RFC 9110 §9.1).
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
        }
    }

    /// The method of that name; `None` for every one that is never let through.
    #[must_use]
    pub fn from_wire(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str() == name)
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of methods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MethodSet(u8);

impl MethodSet {
    /// Every method that a route can name.
    pub const ALL: Self = Self(0b0111_1111);

    /// Whether the method is in it.
    #[must_use]
    pub fn contains(self, method: Method) -> bool {
        self.0 & method.bit() != 0
    }

    /// Its methods, in the order of [`Method::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Method> {
        Method::ALL
            .into_iter()
            .filter(move |method| self.contains(*method))
    }

    /// Whether no method is in it.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    #[must_use]
    pub(super) fn with(self, method: Method) -> Self {
        Self(self.0 | method.bit())
    }

    #[must_use]
    pub(super) fn common(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

/// A text with fields of the client's identity in braces, such as `{san.uri}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Box<str>);

impl Template {
    pub(super) fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The template as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
