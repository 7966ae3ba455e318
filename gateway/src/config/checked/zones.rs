//! `[zones]` and `[matrix]` as they are meant.

use crate::config::values::{IpPrefix, LabelId, LabelSet, Name, ZoneId};

/// One line of `[zones]`.
#[derive(Clone, Debug)]
pub struct Zone {
    /// Unique.
    pub name: Name,
    /// No prefix stands twice in the whole configuration; a longer one wins over a shorter one. May be empty:
    /// such a zone is only reached as the zone of a listener.
    pub prefixes: Vec<IpPrefix>,
}

/// `[matrix]`: zone × label → may reach. What is not named is refused.
#[derive(Clone, Debug)]
pub struct Matrix {
    pub(in crate::config) reachable: Vec<LabelSet>,
}

impl Matrix {
    /// Whether clients in `zone` may reach what carries `label`. Ids of another configuration: no.
    #[must_use]
    pub fn allows(&self, zone: ZoneId, label: LabelId) -> bool {
        self.reachable(zone).contains(label)
    }

    /// All labels that `zone` may reach; empty for an id of another configuration.
    #[must_use]
    pub fn reachable(&self, zone: ZoneId) -> LabelSet {
        self.reachable
            .get(usize::from(zone.index()))
            .copied()
            .unwrap_or_default()
    }
}
