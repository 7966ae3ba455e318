//! Who counts as one source.

use std::net::{IpAddr, Ipv6Addr};

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
