//! `ipMatch`: whether an address is another one or in a network, as in Go.
//!
//! An IPv4 address written in IPv6 (`::ffff:10.1.1.1`) is the IPv4 address; Rust casbin takes it for another one.

use std::net::{IpAddr, Ipv6Addr};

/// An address, or all addresses with its first bits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Network {
    v4: bool,
    bits: u128,
    mask: u128,
}

impl Network {
    /// Reads `10.1.0.0/16`, `2001:db8::/32` or a single address.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let Some((host, prefix)) = text.split_once('/') else {
            let (v4, bits) = bits_of(address(text)?);
            let mask = if v4 { u128::from(u32::MAX) } else { u128::MAX };
            return Some(Self { v4, bits, mask });
        };
        if prefix.is_empty() || !prefix.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let prefix: u32 = prefix.parse().ok()?;
        match address(host)? {
            IpAddr::V4(address) if prefix <= 32 => Some(Self::masked(u32::from(address), prefix)),
            IpAddr::V6(address) if prefix <= 128 => {
                match (address.to_ipv4_mapped(), prefix.checked_sub(96)) {
                    (Some(v4), Some(prefix)) => Some(Self::masked(u32::from(v4), prefix)),
                    _ => {
                        let mask = u128::MAX.checked_shl(128 - prefix).unwrap_or(0);
                        Some(Self {
                            v4: false,
                            bits: u128::from(address) & mask,
                            mask,
                        })
                    }
                }
            }
            IpAddr::V4(_) | IpAddr::V6(_) => None,
        }
    }

    fn masked(address: u32, prefix: u32) -> Self {
        let mask = u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
        Self {
            v4: true,
            bits: u128::from(address & mask),
            mask: u128::from(mask),
        }
    }

    /// Whether `address` is in it.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        let (v4, bits) = bits_of(address);
        v4 == self.v4 && bits & self.mask == self.bits
    }
}

/// Reads an address; an IPv4 address may be written in IPv6.
pub(crate) fn address(text: &str) -> Option<IpAddr> {
    text.parse().ok()
}

fn bits_of(address: IpAddr) -> (bool, u128) {
    match address {
        IpAddr::V4(v4) => (true, u128::from(u32::from(v4))),
        IpAddr::V6(v6) => match Ipv6Addr::to_ipv4_mapped(&v6) {
            Some(v4) => (true, u128::from(u32::from(v4))),
            None => (false, u128::from(v6)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_in_networks_as_in_go() {
        for (value, network, expected) in [
            ("192.168.2.123", "192.168.2.0/24", true),
            ("192.168.3.1", "192.168.2.0/24", false),
            ("192.168.2.1", "192.168.2.77/24", true),
            ("10.1.1.1", "10.1.1.1", true),
            ("10.1.1.1", "10.1.1.2", false),
            ("::ffff:10.1.1.1", "10.0.0.0/8", true),
            ("10.1.1.1", "::ffff:10.0.0.0/104", true),
            ("10.1.1.1", "::ffff:10.1.1.1", true),
            ("10.1.1.1", "::/0", false),
            ("10.1.1.1", "0.0.0.0/0", true),
            ("2001:db8::1", "2001:db8::/32", true),
            ("2001:db9::1", "2001:db8::/32", false),
            ("2001:db8::1", "0.0.0.0/0", false),
            ("::1", "::/0", true),
        ] {
            let network = Network::parse(network).unwrap();
            assert_eq!(
                network.contains(address(value).unwrap()),
                expected,
                "{value} {network:?}"
            );
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "",
            "10.0.0",
            "10.0.0.0/33",
            "10.0.0.0/",
            "10.0.0.0/x",
            "10.0.0.0/+8",
            "::/129",
            "10.0.0.1:80",
            "fe80::1%eth0",
        ] {
            assert_eq!(Network::parse(text), None, "{text}");
        }
        assert_eq!(address("10.0.0.1:80"), None);
        assert_eq!(address("010.0.0.1"), None);
    }
}
