//! The configuration: one TOML file, read as written, then checked into what it means.
//!
//! An operator's mistake must stop the gateway from starting (or from reloading), with every mistake named at once,
//! by line and column, and with its remedy: a typing error in a key that is silently ignored is an open door.
//! This module reads the TOML file alone. It asks whether the named files exist; what is in them is loaded and
//! checked when the snapshot is built.

mod checked;
mod problem;
mod values;

pub use checked::{
    ANONYMOUS_SUBJECT, AccessLog, Admin, Application, Audit, Balance, ClientAuthentication,
    ClientCertificate, Config, HeaderRule, Health, Identity, Limits, Listener, Matrix, Policy,
    Rate, Route, Server, ServerCertificate, TlsVersion, Upstream, UpstreamTls, Zone,
};
pub use problem::{ConfigErrors, Fault, Problem};
pub use values::{
    ByteSize, Host, HostPattern, IpPrefix, LabelId, LabelSet, Method, MethodSet, Name, RoutePrefix,
    Template, Tenant, ZoneId,
};
