//! Layer: 端 endpoint. The connections that are open now, and how one of them is ended.
//!
//! A handshake proves who speaks at one moment; a connection may last for days. So each is registered under everything that a
//! revocation can name (every certificate of its chain, the keys, the serial numbers, the subject, the organisation) and under
//! its expiry. Whoever learns that somebody is no longer to be trusted finds his connections here and ends them, without
//! touching a neighbour's. What ends a connection is a word to its own task ([`Session::end`]); nothing here waits or closes sockets.

mod judge;
mod pushed;
mod registry;
mod session;
mod streams;
mod under_way;
mod watch;

pub use judge::{Judgement, end_pushed, end_refused_connections, judge};
pub use pushed::{PushedFileError, PushedStore, PushedStoreError};
pub use registry::{Registered, Registry};
pub use session::{Ended, Session, Word};
pub use under_way::{Begun, Running, UnderWay};
pub use watch::Watcher;
