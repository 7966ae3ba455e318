//! A blocking HTTPS/1.1 client that sends what it is told, well-formed or not.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::client::Resumption;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};

use super::certificates::{CA, credentials};
use super::error::{QuickstartError, at};
use super::people::Person;

/// One connection to the gateway.
#[derive(Debug)]
pub(super) struct Connection {
    tls: StreamOwned<ClientConnection, TcpStream>,
    /// What the gateway knows the connection by.
    pub(super) local: SocketAddr,
    /// Bytes that have been read and belong to no answer yet.
    rest: Vec<u8>,
}

/// An answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// Names in lower case.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: String,
}

impl Answer {
    /// The first header of this name, which is in lower case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// Sets a client up: it trusts the quickstart's CA alone, and shows the certificate of `person`.
pub(super) fn settings(
    certs: &Path,
    person: Option<Person>,
) -> Result<Arc<ClientConfig>, QuickstartError> {
    let unusable = |path: &Path, error: String| at(path)(io::Error::other(error));
    let ca = certs.join(CA);
    let mut roots = RootCertStore::empty();
    let anchor =
        CertificateDer::from_pem_file(&ca).map_err(|error| unusable(&ca, error.to_string()))?;
    roots.add(anchor)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let mut config = match person {
        None => builder.with_no_client_auth(),
        Some(person) => {
            let file = certs.join(person.file());
            let pem = std::fs::read(&file).map_err(at(&file))?;
            let (chain, key) = credentials(&pem).map_err(|error| unusable(&file, error))?;
            builder.with_client_auth_cert(chain, key)?
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

impl Connection {
    /// Connects and shakes hands. With TLS 1.3 a refused client certificate is heard of only at the first read.
    pub(super) fn open(gateway: SocketAddr, config: Arc<ClientConfig>) -> io::Result<Self> {
        let mut tcp = connect(gateway, Instant::now() + DEADLINE)?;
        let local = tcp.local_addr()?;
        let name = ServerName::try_from(HOST).map_err(io::Error::other)?;
        let mut tls = ClientConnection::new(config, name).map_err(io::Error::other)?;
        while tls.is_handshaking() {
            if tls.complete_io(&mut tcp)?.0 == 0 && tls.is_handshaking() {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(Self {
            tls: StreamOwned::new(tls, tcp),
            local,
            rest: Vec::new(),
        })
    }

    /// Sends bytes and reads one answer.
    pub(super) fn ask(&mut self, request: &[u8]) -> io::Result<Answer> {
        // A gateway that refuses hangs up while we write: its last words are read all the same, and tell more.
        let sent = self.tls.write_all(request).and_then(|()| self.tls.flush());
        match self.read_answer() {
            Err(error) if error.get_ref().is_none() => Err(sent.err().unwrap_or(error)),
            answer => answer,
        }
    }

    fn read_answer(&mut self) -> io::Result<Answer> {
        let head_end = loop {
            if let Some(end) = end_of_head(&self.rest) {
                break end;
            }
            self.read_more()?;
        };
        let (mut answer, length) = parse_head(self.rest.get(..head_end).unwrap_or_default())
            .ok_or(ErrorKind::InvalidData)?;
        while self.rest.len() < head_end + length {
            self.read_more()?;
        }
        let body: Vec<u8> = self
            .rest
            .drain(..head_end + length)
            .skip(head_end)
            .collect();
        answer.body = String::from_utf8_lossy(&body).into_owned();
        Ok(answer)
    }

    fn read_more(&mut self) -> io::Result<()> {
        if self.rest.len() > ANSWER_BYTES_MAX {
            return Err(ErrorKind::InvalidData.into());
        }
        let mut buffer = [0; 4096];
        match self.tls.read(&mut buffer)? {
            0 => Err(ErrorKind::UnexpectedEof.into()),
            read => {
                self.rest
                    .extend_from_slice(buffer.get(..read).unwrap_or_default());
                Ok(())
            }
        }
    }
}

/// Gets a path from a plain HTTP server that closes afterwards.
pub(super) fn get_plain(server: SocketAddr, path: &str) -> io::Result<String> {
    let mut tcp = connect(server, Instant::now())?;
    tcp.write_all(
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes(),
    )?;
    let mut answer = String::new();
    tcp.take(16 * 1024 * 1024).read_to_string(&mut answer)?;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .ok_or(ErrorKind::InvalidData)?;
    if head.starts_with("HTTP/1.1 200 ") {
        Ok(body.to_owned())
    } else {
        Err(io::Error::other(
            head.lines().next().unwrap_or_default().to_owned(),
        ))
    }
}

/// A listener that is about to be bound is waited for.
fn connect(server: SocketAddr, until: Instant) -> io::Result<TcpStream> {
    let tcp = loop {
        match TcpStream::connect_timeout(&server, DEADLINE) {
            Err(error)
                if error.kind() == ErrorKind::ConnectionRefused && Instant::now() < until =>
            {
                std::thread::sleep(Duration::from_millis(10));
            }
            other => break other?,
        }
    };
    tcp.set_read_timeout(Some(DEADLINE))?;
    tcp.set_write_timeout(Some(DEADLINE))?;
    tcp.set_nodelay(true)?;
    Ok(tcp)
}

fn end_of_head(bytes: &[u8]) -> Option<usize> {
    let at = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    Some(at + 4)
}

/// Status, headers, and the length of the body, which every answer here declares.
fn parse_head(head: &[u8]) -> Option<(Answer, usize)> {
    let head = std::str::from_utf8(head).ok()?;
    let mut lines = head.trim_end().split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let answer = Answer {
        status,
        headers,
        body: String::new(),
    };
    let length = match answer.header("content-length") {
        Some(length) => length.parse().ok()?,
        None => 0,
    };
    Some((answer, length))
}

/// The name that TLS is opened for.
pub(super) const HOST: &str = "localhost";
const DEADLINE: Duration = Duration::from_secs(5);
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answers_head_gives_status_headers_and_length() {
        let head = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\ncontent-length: 7\r\n\r\n";
        let (answer, length) = parse_head(head).unwrap();
        assert_eq!((answer.status, length), (429, 7));
        assert_eq!(answer.header("retry-after"), Some("1"));
        assert_eq!(end_of_head(head), Some(head.len()));
    }

    #[test]
    fn what_is_no_answer_is_not_taken_for_one() {
        for head in [
            &b"SSH-2.0\r\n\r\n"[..],
            b"HTTP/1.1 OK\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
        ] {
            assert_eq!(parse_head(head), None);
        }
    }
}
