//! Where requests come from. An address costs its sender nothing, so its counts stand in memory of a fixed size.

use std::net::IpAddr;
use std::sync::Arc;

use hangu_limits::{Nanos, Rate, Sketch, Verdict};

use super::plan::Rule;
use crate::config::{Network, SourceClients};

/// How often one source may ask.
#[derive(Debug)]
pub(super) struct SourceRule {
    pub(super) rule: Rule,
    pub(super) rate: Rate,
    pub(super) network: Network,
    pub(super) clients: SourceClients,
    pub(super) counts: Arc<Sketch>,
}

impl SourceRule {
    /// Counts one request from `address`.
    pub(super) fn check(&self, address: IpAddr, now: Nanos) -> Verdict {
        self.counts
            .check(&source_of(address, self.network), &self.rate, now)
    }
}

/// What an address is counted by.
pub(super) fn source_of(address: IpAddr, network: Network) -> IpAddr {
    match network {
        Network::Address => hangu_limits::source_of(address),
        Network::Prefix => hangu_limits::prefix_of(address),
    }
}
