//! Free ports, for a configuration that has to name them.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

use socket2::{Domain, Socket, Type};

use crate::wait::{must, wait_for};

/// A port of 127.0.0.1 that nobody listens on right now. It lies below the range that the system hands out by itself, so that no
/// outgoing connection takes it, and each call gives another one. Two processes may still meet: whoever binds it must retry.
#[must_use]
pub fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    wait_for("a free port", || {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let start =
            u16::try_from(std::process::id().wrapping_mul(97) % u32::from(RANGE)).unwrap_or(0);
        let port = LOWEST + (start.wrapping_add(step)) % RANGE;
        TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .is_ok()
            .then_some(port)
    })
}

/// An address that refuses every connection for as long as this lives: bound, and never listened on.
#[derive(Debug)]
pub struct DeadPort {
    socket: Socket,
}

impl DeadPort {
    /// Binds one.
    #[must_use]
    pub fn new() -> Self {
        let socket = must(
            Socket::new(Domain::IPV4, Type::STREAM, None),
            "make a socket",
        );
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        must(socket.bind(&any.into()), "bind a socket");
        Self { socket }
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        let address = must(self.socket.local_addr(), "read the address of a socket");
        must(
            address.as_socket().ok_or("no IP address"),
            "read the address of a socket",
        )
    }
}

impl Default for DeadPort {
    fn default() -> Self {
        Self::new()
    }
}

const LOWEST: u16 = 12_000;
const RANGE: u16 = 20_000;
