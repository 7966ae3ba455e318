//! What the gateway tells about itself: every metric in one struct, and the operators' log.

pub mod boundary;
pub mod crl;
pub mod limits;
pub mod live;
pub mod log;
pub mod metrics;
pub mod policy;
pub mod retention;
pub mod shipping;
