//! The harness of the end-to-end tests: a PKI, a small upstream, clients, and the gateway as a process.
//!
//! Everything goes over real sockets, for what is tested is what an operator runs. Builders have honest defaults ([`TestGateway`],
//! [`TestUpstream`], [`TestPki`]), nothing is shared between tests, and nothing sleeps: what becomes true later is polled
//! for ([`wait_until`]), what must be held up is held by a [`Gate`].

mod application;
mod audit;
mod client;
mod folder;
mod gate;
mod gateway;
mod h2_client;
mod h2_raw;
mod h2_upstream;
mod hand_upstream;
mod message;
mod metrics;
mod nginx;
mod pki;
mod port;
mod proof;
mod redis;
mod running;
mod upstream;
mod wait;

pub use application::Application;
pub use audit::Audit;
pub use client::{Client, ClientConnection, ClientError, Response, Tls};
pub use folder::GatewayFolder;
pub use gate::Gate;
pub use gateway::TestGateway;
pub use h2_client::{H2Connection, H2Request, H2Stream};
pub use h2_raw::{RawH2, RawH2Answer, frame, header_block};
pub use h2_upstream::{H2Answer, H2Seen, H2Upstream};
pub use hand_upstream::{HandConnection, HandUpstream};
pub use message::{Fields, Wire};
pub use metrics::Metrics;
pub use nginx::TestNginx;
pub use pki::{Credentials, TestPki, UpstreamCertificate, now};
pub use port::{DeadPort, free_port};
pub use redis::TestRedis;
pub use running::{Ended, Process, RunningGateway, resident_bytes};
pub use upstream::{Answer, SeenRequest, TestUpstream, UpstreamTls};
pub use wait::{DEADLINE, must, wait_for, wait_until};
