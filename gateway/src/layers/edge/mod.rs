//! Layer: 边 edge. Is the connection admitted, is the message well formed and addressed to us.

pub mod accept;
pub mod authority;
pub mod canonical;
pub mod chunked;
mod counted;
pub mod handshakes;
mod hang_up;
pub mod head;
pub mod headers;
mod hop;
pub mod http2;
pub mod proxy_protocol;
pub mod query;
pub mod send_rate;
pub mod stream;
mod streams;
pub mod tls_error;
pub mod websocket;
