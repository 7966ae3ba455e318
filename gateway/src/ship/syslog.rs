//! Syslog over TLS (RFC 5425): each message behind its length and a space.
//!
//! The protocol has no word for "received". What a receiver had taken from its socket and not yet kept is lost when it dies, and it can
//! not say so. Hence what was sent counts as delivered only after the connection has lived on for a while; when it breaks
//! before, all of that is sent again.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::{ClientConfig, ClientConnection, StreamOwned};
use rustls_pki_types::ServerName;

use super::delivery::{Batch, Destination};
use super::error::ShipError;

/// One receiver.
pub(super) struct Syslog {
    to: (String, u16),
    name: ServerName<'static>,
    tls: Arc<ClientConfig>,
    timeout: Duration,
    settle: Duration,
    connection: Option<StreamOwned<ClientConnection, TcpStream>>,
    frames: Vec<u8>,
}

impl Syslog {
    pub(super) fn new(
        to: (String, u16),
        name: ServerName<'static>,
        tls: Arc<ClientConfig>,
        timeout: Duration,
        settle: Duration,
    ) -> Self {
        Self {
            to,
            name,
            tls,
            timeout,
            settle,
            connection: None,
            frames: Vec::new(),
        }
    }

    fn connect(&self) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
        let mut last = io::Error::from(ErrorKind::NotFound);
        for address in (self.to.0.as_str(), self.to.1).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, self.timeout) {
                Ok(socket) => return self.shake_hands(socket),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn shake_hands(
        &self,
        mut socket: TcpStream,
    ) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
        socket.set_read_timeout(Some(self.timeout))?;
        socket.set_write_timeout(Some(self.timeout))?;
        socket.set_nodelay(true)?;
        let mut session = ClientConnection::new(Arc::clone(&self.tls), self.name.clone())
            .map_err(io::Error::other)?;
        while session.is_handshaking() {
            session.complete_io(&mut socket)?;
        }
        Ok(StreamOwned::new(session, socket))
    }
}

impl Destination for Syslog {
    fn open(&mut self) -> Result<(), ShipError> {
        if self.connection.is_none() {
            let connection = self.connect().map_err(|source| ShipError::Connect {
                to: format!("{}:{}", self.to.0, self.to.1),
                source,
            })?;
            self.connection = Some(connection);
        }
        Ok(())
    }

    fn send(&mut self, batch: &Batch) -> Result<(), ShipError> {
        self.frames.clear();
        for line in &batch.lines {
            // Writing into a vector cannot fail.
            let _written = write!(self.frames, "{} {line}", line.len());
        }
        let until = Instant::now() + self.timeout;
        let connection = self.connection.as_mut().ok_or(ShipError::Closed)?;
        for piece in self.frames.chunks(PIECE_BYTES) {
            connection.write_all(piece).map_err(ShipError::Send)?;
            if Instant::now() > until {
                return Err(ShipError::TooSlow);
            }
        }
        connection.flush().map_err(ShipError::Send)?;
        self.check()
    }

    /// Looks, without waiting, whether the receiver has ended the connection or sent an alert.
    fn check(&mut self) -> Result<(), ShipError> {
        let connection = self.connection.as_mut().ok_or(ShipError::Closed)?;
        connection
            .sock
            .set_nonblocking(true)
            .map_err(ShipError::Send)?;
        let looked = look(connection);
        connection
            .sock
            .set_nonblocking(false)
            .map_err(ShipError::Send)?;
        looked
    }

    fn settle(&self) -> Duration {
        self.settle
    }
}

fn look(connection: &mut StreamOwned<ClientConnection, TcpStream>) -> Result<(), ShipError> {
    let StreamOwned { conn, sock } = connection;
    loop {
        match conn.read_tls(sock) {
            Ok(0) => return Err(ShipError::Closed),
            Ok(_) => {
                let state = conn
                    .process_new_packets()
                    .map_err(|error| ShipError::Send(io::Error::other(error)))?;
                if state.peer_has_closed() {
                    return Err(ShipError::Closed);
                }
                // A syslog receiver has nothing to say: whatever it says is read and left.
                let mut rest = [0; 1024];
                while conn.reader().read(&mut rest).is_ok_and(|bytes| bytes > 0) {}
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(ShipError::Send(error)),
        }
    }
}

/// After each piece the clock is asked.
const PIECE_BYTES: usize = 16 * 1024;
