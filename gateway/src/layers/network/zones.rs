//! Source address → zone, by the longest prefix that covers it (IPv4 and IPv6).

use std::net::IpAddr;

use crate::config::{Zone, ZoneId};

/// All prefixes of a configuration, ready to be asked.
#[derive(Debug)]
pub struct ZoneTable {
    /// Sorted by length, longest first: the first that covers an address wins.
    v4: Vec<Prefix<u32>>,
    v6: Vec<Prefix<u128>>,
}

#[derive(Debug)]
struct Prefix<Bits> {
    mask: Bits,
    network: Bits,
    zone: ZoneId,
}

impl ZoneTable {
    /// Numbers the prefixes of all zones.
    #[must_use]
    pub fn new(zones: &[(ZoneId, &Zone)]) -> Self {
        let mut table = Self {
            v4: Vec::new(),
            v6: Vec::new(),
        };
        for (id, zone) in zones {
            for prefix in &zone.prefixes {
                table.add(prefix.address(), prefix.length(), *id);
            }
        }
        table
            .v4
            .sort_by_key(|prefix| std::cmp::Reverse(prefix.mask));
        table
            .v6
            .sort_by_key(|prefix| std::cmp::Reverse(prefix.mask));
        table
    }

    /// The zone of an address. An IPv4 address in IPv6 clothes (`::ffff:10.0.0.1`) is the IPv4 address.
    #[must_use]
    pub fn zone_of(&self, address: IpAddr) -> Option<ZoneId> {
        match address.to_canonical() {
            IpAddr::V4(address) => {
                let bits = address.to_bits();
                self.v4
                    .iter()
                    .find(|prefix| bits & prefix.mask == prefix.network)
                    .map(|prefix| prefix.zone)
            }
            IpAddr::V6(address) => {
                let bits = address.to_bits();
                self.v6
                    .iter()
                    .find(|prefix| bits & prefix.mask == prefix.network)
                    .map(|prefix| prefix.zone)
            }
        }
    }

    fn add(&mut self, address: IpAddr, length: u8, zone: ZoneId) {
        match address {
            IpAddr::V4(address) => {
                let mask = u32::MAX
                    .checked_shl(32_u32.saturating_sub(length.into()))
                    .unwrap_or(0);
                self.v4.push(Prefix {
                    mask,
                    network: address.to_bits() & mask,
                    zone,
                });
            }
            IpAddr::V6(address) => {
                let mask = u128::MAX
                    .checked_shl(128_u32.saturating_sub(length.into()))
                    .unwrap_or(0);
                self.v6.push(Prefix {
                    mask,
                    network: address.to_bits() & mask,
                    zone,
                });
            }
        }
    }
}
