//! What must hold for any bytes that a stranger, or a careless author, hands to Hangu.
//!
//! One function a target. Each takes bytes and panics when a law is broken; it is called by libFuzzer (`fuzz_targets/`) and,
//! for every file of `corpus/`, by `cargo test`.

mod backup;
mod certificate;
mod chunked;
mod frames;
mod list;
mod names;
mod path;
mod policy;
mod proxy;
mod request;

pub use backup::backup;
pub use certificate::certificate_identity;
pub use chunked::chunked_body;
pub use frames::http2_frames;
pub use list::revocation_list;
pub use names::{directory, name_template, spiffe_id};
pub use path::canonicalise;
pub use policy::{model, policy_csv};
pub use proxy::proxy_header;
pub use request::request_head;
