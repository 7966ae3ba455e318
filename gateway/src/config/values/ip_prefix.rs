//! Address prefixes of zones.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::config::problem::Fault;

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
        let what = || format!("`{text}` is not an address prefix");
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
        let Some(length) = parse_length(length).filter(|length| *length <= bits) else {
            let fix = format!("write a length from 0 to {bits}");
            return Err(Fault::new(what(), fix));
        };
        if let IpAddr::V6(six) = address
            && let Some(four) = six.to_ipv4_mapped()
        {
            let length = length.saturating_sub(MAPPED_BITS);
            let fix = format!(
                "write `{four}/{length}`: the addresses of clients are compared in that form"
            );
            return Err(Fault::new(what(), fix));
        }
        let network = network_of(address, length);
        if network != address {
            return Err(Fault::new(
                format!("`{text}` has bits set behind its length"),
                format!("write `{network}/{length}`"),
            ));
        }
        Ok(Self { address, length })
    }

    /// Whether an address lies in it. An IPv4 address in IPv6 clothes (`::ffff:10.0.0.1`) is the IPv4 address.
    #[must_use]
    pub fn covers(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4()
            && network_of(address, self.length) == self.address
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

/// Digits only, without zeros in front, which other tools read as octal.
fn parse_length(text: &str) -> Option<u8> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let plain = digits && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain)
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

/// Bits in front of the IPv4 address in an IPv4-mapped IPv6 address, RFC 4291 §2.5.5.2.
const MAPPED_BITS: u8 = 96;
