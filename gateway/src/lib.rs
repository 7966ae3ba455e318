//! Hangu's gateway: the process that stands in front of every application and lets nothing through that six layers of protection
//! have not each agreed to. Alone in the house it knows Pingora, tokio, sockets, files and the clock.

pub mod access_log;
pub mod admin;
pub mod audit_trail;
pub mod backup;
mod blame;
pub mod bound;
pub mod bundle;
pub mod cli;
pub mod config;
pub mod connection;
pub mod context;
pub mod control;
pub mod crl_fetch;
pub mod denial;
pub mod events;
pub mod layers;
pub mod lazy_timer;
pub mod live;
pub mod observe;
pub mod pipeline;
mod proof;
pub mod refusal;
pub mod reload;
pub mod request_deadlines;
pub mod request_id;
pub mod retention;
pub mod server;
pub mod shared;
pub mod ship;
pub mod signer;
pub mod snapshot;
pub mod stage;
pub mod stop;
mod told;
pub mod web_client;
pub mod witness;
