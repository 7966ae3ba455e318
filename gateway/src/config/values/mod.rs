//! Single values of the configuration: newtypes with one way in, so that what they promise always holds.
//!
//! Each `parse` answers with a [`Fault`](super::Fault) (what, how to fix); the caller knows the place.

mod crl_url;
mod host;
mod id;
mod ip_prefix;
mod name;
mod quantity;
mod route;
mod template;

pub use crl_url::{CrlHost, CrlUrl};
pub use host::{Host, HostPattern};
pub use id::{LabelId, LabelSet, ZoneId};
pub use ip_prefix::IpPrefix;
pub use name::{Name, Tenant};
pub use quantity::ByteSize;
pub use route::{Method, MethodSet, RoutePrefix};

pub(super) use id::LABELS_MAX;
pub(super) use quantity::{Written, parse_duration};
pub(super) use template::parse_template;
