//! A blocking HTTPS/1.1 client that sends whatever bytes it is given.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, OnceLock};

use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::{
    AlertDescription, ClientConfig, RootCertStore, StreamOwned, SupportedProtocolVersion,
};
use socket2::{Domain, Socket, Type};

use crate::message::{Fields, Wire};
use crate::pki::{Credentials, TestPki};
use crate::wait::{DEADLINE, must};

/// How to connect; copy and change it as the test needs.
#[derive(Clone, Debug)]
pub struct Client {
    gateway: SocketAddr,
    roots: Arc<RootCertStore>,
    credentials: Option<Credentials>,
    name: String,
    source: Option<IpAddr>,
    preamble: Vec<u8>,
    alpn: Vec<Vec<u8>>,
    versions: Vec<&'static SupportedProtocolVersion>,
    /// Of a client that resumes: its one TLS configuration, since sessions are kept with it.
    kept: Option<Arc<OnceLock<Arc<ClientConfig>>>>,
}

/// One open connection.
#[derive(Debug)]
pub struct ClientConnection {
    wire: Wire<Tls>,
    name: String,
}

/// TLS over TCP, blocking.
pub type Tls = StreamOwned<rustls::ClientConnection, TcpStream>;

/// An answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Header fields, in order and spelling.
    pub fields: Fields,
    /// Body, decoded when it was chunked.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum ClientError {
    /// The gateway ended TLS with this alert.
    Alert(AlertDescription),
    /// The gateway closed the connection, or reset it.
    Closed,
    /// Nothing came within the deadline.
    Silence,
    /// Something else.
    Other(io::Error),
}

impl From<io::Error> for ClientError {
    fn from(error: io::Error) -> Self {
        if let Some(rustls::Error::AlertReceived(alert)) = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<rustls::Error>())
        {
            return Self::Alert(*alert);
        }
        let kind = error.kind();
        if matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut) {
            Self::Silence
        } else if CLOSED.contains(&kind) {
            Self::Closed
        } else {
            Self::Other(error)
        }
    }
}

impl Response {
    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        must(
            serde_json::from_slice(&self.body),
            &format!("read `{}` as JSON", self.text()),
        )
    }

    /// The request id that the gateway gave it.
    #[must_use]
    pub fn request_id(&self) -> String {
        let id = self.fields.get("x-hangu-request-id").map(str::to_owned);
        must(id.ok_or(&self.fields), "find the request id of an answer")
    }
}

impl Client {
    /// A client of the gateway at `gateway` that asks for `name` with HTTP/1.1.
    #[must_use]
    pub fn new(
        pki: &TestPki,
        gateway: SocketAddr,
        name: &str,
        credentials: Option<&Credentials>,
    ) -> Self {
        Self {
            gateway,
            roots: pki.servers_roots(),
            credentials: credentials.cloned(),
            name: name.to_owned(),
            source: None,
            preamble: Vec::new(),
            alpn: vec![b"http/1.1".to_vec()],
            versions: rustls::ALL_VERSIONS.to_vec(),
            kept: None,
        }
    }

    /// Another name for SNI, and for Host where the client writes it. An IP address sends no SNI.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// Another source address, out of 127.0.0.0/8.
    #[must_use]
    pub fn from(mut self, source: &str) -> Self {
        self.source = Some(must(source.parse(), "read a source address"));
        self
    }

    /// Sends these bytes in front of everything, as a balancer does.
    #[must_use]
    pub fn preamble(mut self, bytes: &[u8]) -> Self {
        bytes.clone_into(&mut self.preamble);
        self
    }

    /// Other protocols in ALPN; none: no ALPN at all.
    #[must_use]
    pub fn alpn(mut self, protocols: &[&str]) -> Self {
        self.alpn = protocols
            .iter()
            .map(|protocol| protocol.as_bytes().to_vec())
            .collect();
        self
    }

    /// Only this version of TLS.
    #[must_use]
    pub fn tls_version(mut self, version: &'static SupportedProtocolVersion) -> Self {
        self.versions = vec![version];
        self
    }

    /// Keeps sessions and tries to resume them. Whatever else is to be said of its TLS is said before.
    #[must_use]
    pub fn resuming(mut self) -> Self {
        self.kept = Some(Arc::default());
        self
    }

    /// The name that it asks for.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Opens a TCP connection and nothing more.
    ///
    /// # Errors
    /// What the system says.
    pub fn connect_tcp(&self) -> io::Result<TcpStream> {
        let socket = Socket::new(Domain::for_address(self.gateway), Type::STREAM, None)?;
        if let Some(source) = self.source {
            socket.bind(&SocketAddr::new(source, 0).into())?;
        }
        socket.connect_timeout(&self.gateway.into(), DEADLINE)?;
        socket.set_tcp_nodelay(true)?;
        let mut stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.set_write_timeout(Some(DEADLINE))?;
        stream.write_all(&self.preamble)?;
        Ok(stream)
    }

    /// Opens a TLS connection. With TLS 1.3 a refusal of the client's certificate is only heard at the first read.
    ///
    /// # Errors
    /// Why not.
    pub fn connect(&self) -> Result<ClientConnection, ClientError> {
        let wire = Wire::new(self.connect_tls()?);
        Ok(ClientConnection {
            wire,
            name: self.name.clone(),
        })
    }

    /// Opens a TLS connection for whatever speaks over it.
    ///
    /// # Errors
    /// Why not.
    pub fn connect_tls(&self) -> Result<Tls, ClientError> {
        let mut tcp = self.connect_tcp()?;
        let name = must(
            ServerName::try_from(self.name.clone()),
            "read a server name",
        );
        let config = match &self.kept {
            Some(kept) => Arc::clone(kept.get_or_init(|| Arc::new(self.tls_config()))),
            None => Arc::new(self.tls_config()),
        };
        let mut tls = must(
            rustls::ClientConnection::new(config, name),
            "configure a client",
        );
        while tls.is_handshaking() {
            if tls.complete_io(&mut tcp)?.0 == 0 && tls.is_handshaking() {
                return Err(ClientError::Closed);
            }
        }
        Ok(StreamOwned::new(tls, tcp))
    }

    /// A GET over a connection of its own.
    ///
    /// # Errors
    /// Why there is no answer.
    pub fn get(&self, path: &str) -> Result<Response, ClientError> {
        self.connect()?.get(path)
    }

    /// Any bytes over a connection of their own, and the answer.
    ///
    /// # Errors
    /// Why there is no answer.
    pub fn exchange(&self, bytes: &[u8]) -> Result<Response, ClientError> {
        self.connect()?.exchange(bytes)
    }

    pub(crate) fn tls_config(&self) -> ClientConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            ClientConfig::builder_with_provider(provider).with_protocol_versions(&self.versions);
        let builder = must(builder, "configure a client's TLS")
            .with_root_certificates(Arc::clone(&self.roots));
        let mut config = match &self.credentials {
            None => builder.with_no_client_auth(),
            Some(credentials) => {
                let (chain, key) = credentials.parse();
                must(
                    builder.with_client_auth_cert(chain, key),
                    "configure a client's certificate",
                )
            }
        };
        config.alpn_protocols.clone_from(&self.alpn);
        config.resumption = match &self.kept {
            Some(_) => Resumption::in_memory_sessions(8),
            None => Resumption::disabled(),
        };
        config
    }
}

impl ClientConnection {
    /// GET with a Host field and nothing else; the connection stays open.
    ///
    /// # Errors
    /// Why there is no answer.
    pub fn get(&mut self, path: &str) -> Result<Response, ClientError> {
        let head = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.name);
        self.exchange(head.as_bytes())
    }

    /// Sends any bytes and reads one answer.
    ///
    /// # Errors
    /// Why there is no answer.
    pub fn exchange(&mut self, bytes: &[u8]) -> Result<Response, ClientError> {
        // A refusal may have come, and the connection been closed, while we still write: the answer is what counts.
        let sent = self.send(bytes);
        self.read_response(!bytes.starts_with(b"HEAD "))
            .map_err(|error| match sent {
                Err(why) if matches!(error, ClientError::Closed) => why,
                _ => error,
            })
    }

    /// Sends any bytes.
    ///
    /// # Errors
    /// Why not.
    pub fn send(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        Ok(self.wire.send(bytes)?)
    }

    /// Reads one final answer; interim ones (1xx) are passed over.
    ///
    /// # Errors
    /// Why there is none.
    pub fn read_response(&mut self, has_body: bool) -> Result<Response, ClientError> {
        loop {
            let head = self.wire.head()?.ok_or(ClientError::Closed)?;
            let text = String::from_utf8_lossy(&head).into_owned();
            let (first, rest) = text.split_once("\r\n").unwrap_or((&text, ""));
            let status = first
                .split(' ')
                .nth(1)
                .and_then(|digits| digits.parse().ok())
                .unwrap_or(0);
            if (100..200).contains(&status) {
                continue;
            }
            let fields = Fields::parse(rest);
            let body = if has_body && status != 204 && status != 304 {
                self.body(&fields)?
            } else {
                Vec::new()
            };
            return Ok(Response {
                status,
                fields,
                body,
            });
        }
    }

    /// Reads one head, whatever its status: for 101, after which the connection is a tunnel.
    ///
    /// # Errors
    /// Why there is none.
    pub fn read_head(&mut self) -> Result<String, ClientError> {
        let head = self.wire.head()?.ok_or(ClientError::Closed)?;
        Ok(String::from_utf8_lossy(&head).into_owned())
    }

    /// Reads so many bytes as they are.
    ///
    /// # Errors
    /// Why they do not come.
    pub fn read_exactly(&mut self, count: usize) -> Result<Vec<u8>, ClientError> {
        Ok(self.wire.exactly(count)?)
    }

    /// Whatever comes next, at least one byte; nothing when the gateway has closed.
    ///
    /// # Errors
    /// Why nothing comes.
    pub fn read_some(&mut self) -> Result<Vec<u8>, ClientError> {
        Ok(self.wire.some()?)
    }

    /// Takes at most so many bytes off the socket, below TLS: they are lost, and the gateway may send as many more.
    ///
    /// # Errors
    /// What the system says.
    pub fn sip(&mut self, most: usize) -> io::Result<usize> {
        self.wire.stream().sock.read(&mut vec![0; most])
    }

    /// Whether the gateway has closed the connection, or closes it now without another byte.
    ///
    /// # Errors
    /// When it neither closes nor keeps silent.
    pub fn expect_close(&mut self) -> Result<(), ClientError> {
        match self.wire.to_end() {
            Ok(rest) if rest.is_empty() => Ok(()),
            Ok(rest) => Err(ClientError::Other(io::Error::other(
                String::from_utf8_lossy(&rest).into_owned(),
            ))),
            Err(error) => {
                let error = ClientError::from(error);
                if matches!(error, ClientError::Closed) {
                    Ok(())
                } else {
                    Err(error)
                }
            }
        }
    }

    /// Closes without a word.
    pub fn abort(mut self) {
        // It may be closed already.
        drop(self.wire.stream().sock.shutdown(Shutdown::Both));
    }

    /// Whether TLS resumed an earlier session.
    #[must_use]
    pub fn is_resumed(&mut self) -> bool {
        self.wire.stream().conn.handshake_kind() == Some(rustls::HandshakeKind::Resumed)
    }

    /// The protocol that the gateway chose, as ALPN names it.
    #[must_use]
    pub fn protocol(&mut self) -> Option<String> {
        self.wire
            .stream()
            .conn
            .alpn_protocol()
            .map(|name| String::from_utf8_lossy(name).into_owned())
    }

    fn body(&mut self, fields: &Fields) -> Result<Vec<u8>, ClientError> {
        let length = fields
            .get("content-length")
            .and_then(|value| value.parse().ok());
        Ok(match (fields.get("transfer-encoding"), length) {
            (Some(_), _) => self.wire.chunked()?,
            (None, Some(length)) => self.wire.exactly(length)?,
            (None, None) => self.wire.to_end()?,
        })
    }
}

/// How the other side's end looks from here.
const CLOSED: [ErrorKind; 4] = [
    ErrorKind::UnexpectedEof,
    ErrorKind::ConnectionReset,
    ErrorKind::ConnectionAborted,
    ErrorKind::BrokenPipe,
];
