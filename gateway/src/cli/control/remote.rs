//! The way to a gateway on another machine: `https://` with a certificate of one's own.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::{ANSWER_BYTES_MAX, ANSWER_TIME};

/// Who calls, and who must answer.
#[derive(Args, Clone, Debug)]
pub(crate) struct Own {
    /// With `--control`: the certificate to show, PEM with its chain
    #[arg(
        long,
        value_name = "FILE",
        requires = "control",
        requires = "cert_key",
        requires = "ca"
    )]
    cert: Option<PathBuf>,
    /// With `--control`: its key, PEM
    #[arg(long, value_name = "FILE", requires = "control")]
    cert_key: Option<PathBuf>,
    /// With `--control`: who signed the certificate of the gateway's control address, PEM
    #[arg(long, value_name = "FILE", requires = "control")]
    ca: Option<PathBuf>,
}

/// Sends a request to `https://HOST:PORT` and gives the whole answer.
pub(super) fn exchange(url: &str, own: &Own, request: &[u8]) -> io::Result<Vec<u8>> {
    let (host, address) = place(url).ok_or_else(|| {
        let why = "write the gateway's control address as `https://HOST:PORT`";
        io::Error::new(io::ErrorKind::InvalidInput, why)
    })?;
    let (Some(cert), Some(key), Some(ca)) = (&own.cert, &own.cert_key, &own.ca) else {
        let why = "name `--cert`, `--cert-key` and `--ca` too";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    };
    let config = config(cert, key, ca)?;
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let tls = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(tls, connect(address)?);
    // Who is refused is told so by an alert, which comes while we still write.
    let sent = stream.write_all(request).and_then(|()| stream.flush());
    let mut answer = Vec::new();
    let read = stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer);
    match read {
        Ok(0) => Err(sent.err().unwrap_or_else(|| {
            let why = "the gateway closed without an answer: this certificate may not call";
            io::Error::new(io::ErrorKind::PermissionDenied, why)
        })),
        Ok(_) => Ok(answer),
        Err(error) => Err(error),
    }
}

/// Host, and host with port.
fn place(url: &str) -> Option<(&str, &str)> {
    let address = url.strip_prefix("https://")?.trim_end_matches('/');
    let (host, port) = address.rsplit_once(':')?;
    port.parse::<u16>().ok()?;
    let host = host
        .strip_prefix('[')
        .and_then(|inner| inner.strip_suffix(']'))
        .unwrap_or(host);
    (!host.is_empty() && !host.contains('/')).then_some((host, address))
}

fn connect(address: &str) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, ANSWER_TIME) {
            Ok(stream) => {
                stream.set_read_timeout(Some(ANSWER_TIME))?;
                stream.set_write_timeout(Some(ANSWER_TIME))?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn config(cert: &Path, key: &Path, ca: &Path) -> io::Result<ClientConfig> {
    let of = |path: &Path, why: String| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("{}: {why}", path.display()),
        )
    };
    let certificates = |path: &Path| -> io::Result<Vec<CertificateDer<'static>>> {
        let all = CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| of(path, error.to_string()))?;
        if all.is_empty() {
            return Err(of(path, "there is no certificate in it".to_owned()));
        }
        Ok(all)
    };
    let mut roots = RootCertStore::empty();
    for anchor in certificates(ca)? {
        roots
            .add(anchor)
            .map_err(|error| of(ca, error.to_string()))?;
    }
    let own = PrivateKeyDer::from_pem_file(key).map_err(|error| of(key, error.to_string()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_client_auth_cert(certificates(cert)?, own)
        .map_err(|error| of(cert, error.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = Resumption::disabled();
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port_by_https() {
        for (url, expected) in [
            (
                "https://gate.test:7443",
                Some(("gate.test", "gate.test:7443")),
            ),
            (
                "https://127.0.0.1:7443/",
                Some(("127.0.0.1", "127.0.0.1:7443")),
            ),
            ("https://[::1]:7443", Some(("::1", "[::1]:7443"))),
            ("http://gate.test:7443", None),
            ("https://gate.test", None),
            ("https://:7443", None),
            ("https://gate.test/x:7443", None),
            ("gate.test:7443", None),
        ] {
            assert_eq!(place(url), expected, "{url}");
        }
    }
}
