//! Who counts as one source.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What an address is counted by: itself, and for IPv6 its /64. One customer of an IPv6 network owns at least that much:
/// counting single addresses would let him have 2^64 budgets. An IPv4 address inside IPv6 is the IPv4 address.
#[must_use]
pub fn source_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)))
        }
    }
}

/// The network of an address that one customer commonly has at most: its /24, for IPv6 its /56.
#[must_use]
pub fn prefix_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & (u32::MAX << 8))),
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 72)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_customer_are_one_source() {
        for (address, source, prefix) in [
            ("10.1.2.3", "10.1.2.3", "10.1.2.0"),
            ("::ffff:10.1.2.3", "10.1.2.3", "10.1.2.0"),
            ("2001:db8:1:2:3::4", "2001:db8:1:2::", "2001:db8:1::"),
            ("2001:db8:1:102::1", "2001:db8:1:102::", "2001:db8:1:100::"),
        ] {
            let address = address.parse().unwrap();
            assert_eq!(source_of(address).to_string(), source);
            assert_eq!(prefix_of(address).to_string(), prefix);
        }
    }
}
