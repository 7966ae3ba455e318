//! Layer: 网 network. May this zone talk to that zone, and how fast.

pub mod limits;
pub mod zones;
