//! A small HTTP/1.1 application behind the gateway: it remembers every byte it got, and answers as the test tells it to.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use crate::gate::Gate;
use crate::message::{Fields, Wire};
use crate::pki::UpstreamCertificate;
use crate::wait::{must, wait_until};

/// Runs until it is dropped or [stopped](TestUpstream::stop).
#[derive(Debug)]
pub struct TestUpstream {
    address: SocketAddr,
    inner: Arc<Inner>,
}

/// How an upstream speaks TLS.
#[derive(Clone, Debug)]
pub struct UpstreamTls {
    /// What it shows.
    pub certificate: UpstreamCertificate,
    /// Whose certificates it demands; `None`: nobody's.
    pub clients: Option<Arc<RootCertStore>>,
}

/// One request as it came in.
#[derive(Clone, Debug)]
pub struct SeenRequest {
    /// Method.
    pub method: String,
    /// Request target, byte for byte.
    pub target: String,
    /// Header fields, in order and spelling.
    pub fields: Fields,
    /// Body, decoded when it was chunked.
    pub body: Vec<u8>,
    /// The head, byte for byte.
    pub head: Vec<u8>,
    /// Whether the gateway showed a certificate.
    pub showed_certificate: bool,
}

/// What an upstream does with a request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// A whole answer; the connection stays open.
    Reply(u16, Vec<(String, String)>, Vec<u8>),
    /// These bytes; then the connection closes.
    Raw(Vec<u8>),
    /// 101, and from then on whatever comes is sent back, until the other side closes.
    Echo,
    /// These bytes, and then the second ones again and again, fifty times a second, until the other side closes; nothing more if there are none.
    Flow(Vec<u8>, Vec<u8>),
    /// Nothing: the connection closes.
    Close,
    /// Nothing at all, until the other side gives up.
    Silence,
    /// Once the gate is open, the answer within.
    Held(Gate, Box<Answer>),
}

impl Answer {
    /// 200 with a text.
    #[must_use]
    pub fn ok(body: &str) -> Self {
        Self::Reply(200, Vec::new(), body.as_bytes().to_vec())
    }

    /// This answer once the gate is open.
    #[must_use]
    pub fn held_by(self, gate: &Gate) -> Self {
        Self::Held(gate.clone(), Box::new(self))
    }
}

type Script = dyn Fn(&SeenRequest) -> Answer + Send + Sync;

struct Inner {
    script: Box<Script>,
    tls: Option<Arc<ServerConfig>>,
    seen: Mutex<Vec<SeenRequest>>,
    connections: AtomicUsize,
    open: Mutex<Vec<TcpStream>>,
    stopping: AtomicBool,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner")
            .field("connections", &self.connections)
            .finish_non_exhaustive()
    }
}

impl TestUpstream {
    /// Answers everything with 200 and its name.
    #[must_use]
    pub fn named(name: &str) -> Self {
        let answer = Answer::ok(name);
        Self::answering(move |_| answer.clone())
    }

    /// Answers as the script says.
    #[must_use]
    pub fn answering(script: impl Fn(&SeenRequest) -> Answer + Send + Sync + 'static) -> Self {
        Self::start(Box::new(script), None)
    }

    /// Speaks TLS.
    #[must_use]
    pub fn tls(
        tls: &UpstreamTls,
        script: impl Fn(&SeenRequest) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::start(Box::new(script), Some(server_config(tls)))
    }

    fn start(script: Box<Script>, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = must(
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)),
            "bind an upstream",
        );
        let address = must(listener.local_addr(), "read the upstream's address");
        let inner = Arc::new(Inner {
            script,
            tls,
            seen: Mutex::default(),
            connections: AtomicUsize::new(0),
            open: Mutex::default(),
            stopping: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&inner);
        thread::spawn(move || accepting.accept(&listener));
        Self { address, inner }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Everything it got so far.
    #[must_use]
    pub fn seen(&self) -> Vec<SeenRequest> {
        lock(&self.inner.seen).clone()
    }

    /// How many requests it got so far.
    #[must_use]
    pub fn count(&self) -> usize {
        lock(&self.inner.seen).len()
    }

    /// The last request.
    #[must_use]
    pub fn last(&self) -> SeenRequest {
        must(
            lock(&self.inner.seen).last().cloned().ok_or("it saw none"),
            "the upstream's last request",
        )
    }

    /// How many connections were made to it so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.inner.connections.load(Ordering::Acquire)
    }

    /// Closes its port and all its connections, as a crash would.
    pub fn stop(&self) {
        if self.inner.stopping.swap(true, Ordering::AcqRel) {
            return;
        }
        // Wakes the accepting thread, which then drops the listener.
        drop(TcpStream::connect(self.address));
        for stream in lock(&self.inner.open).drain(..) {
            // It may be closed already.
            drop(stream.shutdown(Shutdown::Both));
        }
        wait_until("the upstream's port to close", || {
            TcpStream::connect(self.address).is_err()
        });
    }
}

impl Drop for TestUpstream {
    fn drop(&mut self) {
        if !thread::panicking() {
            self.stop();
        }
    }
}

impl Inner {
    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        for stream in listener.incoming() {
            if self.stopping.load(Ordering::Acquire) {
                return;
            }
            let Ok(stream) = stream else { continue };
            self.connections.fetch_add(1, Ordering::AcqRel);
            if let Ok(other) = stream.try_clone() {
                lock(&self.open).push(other);
            }
            let inner = Arc::clone(self);
            thread::spawn(move || {
                // The gateway may close whenever it likes.
                drop(inner.serve(stream));
            });
        }
    }

    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let closer = stream.try_clone()?;
        let served = self.serve_stream(stream);
        // Dropping would not close it: `open` holds it too.
        closer.shutdown(Shutdown::Both)?;
        served
    }

    fn serve_stream(&self, stream: TcpStream) -> io::Result<()> {
        match &self.tls {
            None => self.serve_http(&mut Wire::new(stream), false),
            Some(config) => {
                let connection =
                    ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
                let mut tls = StreamOwned::new(connection, stream);
                while tls.conn.is_handshaking() {
                    tls.conn.complete_io(&mut tls.sock)?;
                }
                let showed = tls.conn.peer_certificates().is_some();
                self.serve_http(&mut Wire::new(tls), showed)
            }
        }
    }

    fn serve_http<S: Read + Write>(
        &self,
        wire: &mut Wire<S>,
        showed_certificate: bool,
    ) -> io::Result<()> {
        while let Some(request) = read_request(wire, showed_certificate)? {
            lock(&self.seen).push(request.clone());
            let is_head = request.method == "HEAD";
            if !act(wire, (self.script)(&request), is_head)? {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Does what the answer says; true when the connection stays open.
fn act<S: Read + Write>(wire: &mut Wire<S>, answer: Answer, is_head: bool) -> io::Result<bool> {
    match answer {
        Answer::Reply(status, fields, body) => {
            let mut head = format!(
                "HTTP/1.1 {status} Because\r\ncontent-length: {}\r\n",
                body.len()
            );
            for (name, value) in fields {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
            head.push_str("\r\n");
            let mut bytes = head.into_bytes();
            if !is_head {
                bytes.extend(body);
            }
            wire.send(&bytes)?;
            Ok(true)
        }
        Answer::Raw(bytes) => {
            wire.send(&bytes)?;
            Ok(false)
        }
        Answer::Echo => {
            wire.send(SWITCHING)?;
            loop {
                let bytes = wire.some()?;
                if bytes.is_empty() {
                    return Ok(false);
                }
                wire.send(&bytes)?;
            }
        }
        Answer::Flow(first, again) if again.is_empty() => {
            wire.send(&first)?;
            act(wire, Answer::Silence, is_head)
        }
        Answer::Flow(first, again) => {
            wire.send(&first)?;
            loop {
                wire.send(&again)?;
                thread::park_timeout(TICK);
            }
        }
        Answer::Close => Ok(false),
        Answer::Silence => {
            wire.to_end()?;
            Ok(false)
        }
        Answer::Held(gate, within) => {
            gate.pass();
            act(wire, *within, is_head)
        }
    }
}

fn read_request<S: Read + Write>(
    wire: &mut Wire<S>,
    showed_certificate: bool,
) -> io::Result<Option<SeenRequest>> {
    let Some(head) = wire.head()? else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(&head).into_owned();
    let (first, rest) = text.split_once("\r\n").unwrap_or((&text, ""));
    let mut parts = first.split(' ');
    let method = parts.next().unwrap_or_default().to_owned();
    let target = parts.next().unwrap_or_default().to_owned();
    let fields = Fields::parse(rest);
    let length = fields
        .get("content-length")
        .and_then(|value| value.parse().ok());
    let body = match (fields.get("transfer-encoding"), length) {
        (Some(_), _) => wire.chunked()?,
        (None, Some(length)) => wire.exactly(length)?,
        (None, None) => Vec::new(),
    };
    Ok(Some(SeenRequest {
        method,
        target,
        fields,
        body,
        head,
        showed_certificate,
    }))
}

pub(crate) fn server_config(tls: &UpstreamTls) -> Arc<ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions();
    let builder = must(builder, "configure an upstream's TLS");
    let builder = match &tls.clients {
        None => builder.with_no_client_auth(),
        Some(roots) => {
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), provider).build();
            builder.with_client_cert_verifier(must(
                verifier,
                "configure an upstream's client authentication",
            ))
        }
    };
    let (chain, key) = tls.certificate.parse();
    Arc::new(must(
        builder.with_single_cert(chain, key),
        "configure an upstream's certificate",
    ))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Between two pieces of what flows.
const TICK: Duration = Duration::from_millis(20);
const SWITCHING: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
