//! 边 edge, over real sockets: is the message well formed, addressed to us, and read by everybody in the same way.

mod bodies;
mod corpus;
mod differential;
mod handshakes;
mod headers;
mod http2;
mod http2_frames;
mod limits;
mod preface;
mod profiles;
mod proxy;
mod query;
mod requests;
mod slow;
mod tls;
