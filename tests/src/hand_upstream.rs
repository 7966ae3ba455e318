//! An application whose every byte the test sends itself, at the moment that it chooses.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

use crate::message::Wire;
use crate::wait::{DEADLINE, must, wait_for};

/// Listens until it is dropped.
#[derive(Debug)]
pub struct HandUpstream {
    listener: TcpListener,
}

/// One connection to it.
#[derive(Debug)]
pub struct HandConnection {
    wire: Wire<TcpStream>,
}

impl HandUpstream {
    /// On a free port.
    #[must_use]
    pub fn new() -> Self {
        let listener = must(
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)),
            "bind an upstream",
        );
        must(listener.set_nonblocking(true), "make a socket non-blocking");
        Self { listener }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        must(self.listener.local_addr(), "read the upstream's address")
    }

    /// Waits for the gateway's next connection.
    #[track_caller]
    #[must_use]
    pub fn accept(&self) -> HandConnection {
        let (stream, _) = wait_for("a connection of the gateway", || {
            self.listener.accept().ok()
        });
        must(stream.set_nonblocking(false), "make a socket blocking");
        must(stream.set_nodelay(true), "send at once");
        must(
            stream.set_read_timeout(Some(DEADLINE)),
            "set a read deadline",
        );
        must(
            stream.set_write_timeout(Some(DEADLINE)),
            "set a write deadline",
        );
        HandConnection {
            wire: Wire::new(stream),
        }
    }
}

impl Default for HandUpstream {
    fn default() -> Self {
        Self::new()
    }
}

impl HandConnection {
    /// The head of the next request.
    #[track_caller]
    pub fn head(&mut self) -> String {
        let head = must(self.wire.head(), "read a request");
        let head = must(head.ok_or("it closed"), "read a request");
        String::from_utf8_lossy(&head).into_owned()
    }

    /// Sends any bytes.
    ///
    /// # Errors
    /// When the gateway no longer takes them.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.wire.send(bytes)
    }

    /// So many bytes of a body.
    ///
    /// # Errors
    /// Why they do not come.
    pub fn exactly(&mut self, count: usize) -> io::Result<Vec<u8>> {
        self.wire.exactly(count)
    }

    /// Whatever comes next; nothing when the gateway has closed.
    ///
    /// # Errors
    /// Why nothing comes.
    pub fn some(&mut self) -> io::Result<Vec<u8>> {
        self.wire.some()
    }

    /// A chunked body, decoded.
    ///
    /// # Errors
    /// Why it does not come.
    pub fn chunked(&mut self) -> io::Result<Vec<u8>> {
        self.wire.chunked()
    }
}
