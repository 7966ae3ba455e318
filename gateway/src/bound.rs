//! Listening sockets that are bound before anything is started.
//!
//! Pingora binds in a service's own thread and panics there when an address is taken. Here all addresses are bound first: a taken
//! one is a clear error and no half-started process, and clients that connect early wait in the backlog instead of being refused.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{IntoRawFd, OwnedFd};

use async_trait::async_trait;
use pingora::apps::ServerApp;
use pingora::listeners::{L4BufferSettings, ListenerConfig};
use pingora::server::{ListenFds, ShutdownWatch};
use pingora::services::Service;
use pingora::services::listening::Service as ListeningService;

/// A service of one address, with its socket.
pub struct Bound<A> {
    inner: ListeningService<A>,
    address: SocketAddr,
    /// `None` when the socket comes from the gateway that is being replaced.
    socket: Option<OwnedFd>,
}

impl<A> Bound<A> {
    /// Serves `app` at `address`, on `socket` or on the one that an upgrade brings.
    #[must_use]
    pub fn new(name: &str, app: A, address: SocketAddr, socket: Option<OwnedFd>) -> Self {
        let mut inner = ListeningService::new(name.to_owned(), app);
        let buffers = L4BufferSettings {
            read: Some(READ_BUFFER_BYTES),
            write: None,
        };
        inner.add_listener(ListenerConfig::tcp(address.to_string()).l4_buffer(buffers));
        Self {
            inner,
            address,
            socket,
        }
    }

    /// Serves with so many threads instead of the process's number.
    #[must_use]
    pub fn with_threads(mut self, threads: usize) -> Self {
        self.inner.threads = Some(threads);
        self
    }
}

/// Binds an address, ready to be listened on.
///
/// # Errors
/// What the system says: taken, not ours, not allowed.
pub fn bind(address: SocketAddr) -> io::Result<OwnedFd> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener.into())
}

#[async_trait]
impl<A: ServerApp + Send + Sync + 'static> Service for Bound<A> {
    async fn start_service(
        &mut self,
        fds: Option<ListenFds>,
        shutdown: ShutdownWatch,
        listeners_per_fd: usize,
    ) {
        if let (Some(fds), Some(socket)) = (&fds, self.socket.take()) {
            fds.lock()
                .add(self.address.to_string(), socket.into_raw_fd());
        }
        self.inner
            .start_service(fds, shutdown, listeners_per_fd)
            .await;
    }

    fn name(&self) -> &str {
        self.inner.name()
    }

    fn threads(&self) -> Option<usize> {
        self.inner.threads()
    }

    fn listen_addresses(&self) -> Option<Vec<String>> {
        self.inner.listen_addresses()
    }
}

impl<A> std::fmt::Debug for Bound<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bound")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// Below TLS, which keeps what it reads in a buffer of its own. Pingora's 64 KiB would be three quarters of an idle connection.
const READ_BUFFER_BYTES: usize = 4 * 1024;
