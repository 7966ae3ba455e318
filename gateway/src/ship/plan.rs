//! A sink as a generation of the configuration wants it: its settings, and what its files held when they were read.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ring::digest::{Context, SHA256};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts};

use super::delivery::Destination;
use super::folder::Folder;
use super::http::Http;
use super::syslog::Syslog;
use crate::config::{Sink, SinkTarget, SinkTls};

/// What one sink's thread is to do.
pub struct Plan {
    sink: Sink,
    /// Of every file that was read: a changed certificate makes another plan.
    digest: Vec<u8>,
    way: Way,
}

/// What the files of a sink gave.
enum Way {
    Syslog {
        tls: Arc<ClientConfig>,
        name: ServerName<'static>,
    },
    Http {
        agent: ureq::Agent,
        token: Option<String>,
    },
    Folder,
}

/// What is wrong with a file of a sink.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct PlanError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub what: String,
}

impl Plan {
    /// Reads what `sink` names; `read` gives a file's bytes, or `None` when it has reported why not.
    ///
    /// # Errors
    /// The first file that cannot be used.
    pub fn new(
        sink: &Sink,
        mut read: impl FnMut(&PathBuf) -> Option<Vec<u8>>,
    ) -> Result<Option<Self>, PlanError> {
        let mut digest = Context::new(&SHA256);
        let mut read = |path: &PathBuf| {
            let bytes = read(path)?;
            digest.update(&bytes);
            Some(bytes)
        };
        let way = match &sink.to {
            SinkTarget::Syslog {
                server_name, tls, ..
            } => Keys::read(tls, &mut read)?.map(|keys| {
                let name = ServerName::try_from(server_name.clone());
                keys.config(tls).and_then(|config| {
                    Ok(Way::Syslog {
                        tls: Arc::new(config),
                        name: name.map_err(|error| wrong(&tls.ca, &error))?,
                    })
                })
            }),
            SinkTarget::Http { tls, token, .. } => {
                let token = token.as_ref().map(|path| read_token(path, &mut read));
                match (token.transpose()?, tls) {
                    (Some(None), _) => None,
                    (token, tls) => {
                        let token = token.flatten();
                        let keys = match tls {
                            Some(tls) => match Keys::read(tls, &mut read)? {
                                Some(keys) => Some((tls, keys)),
                                None => return Ok(None),
                            },
                            None => None,
                        };
                        Some(agent(sink, keys).map(|agent| Way::Http { agent, token }))
                    }
                }
            }
            SinkTarget::Folder(_) => Some(Ok(Way::Folder)),
        };
        let Some(way) = way.transpose()? else {
            return Ok(None);
        };
        Ok(Some(Self {
            sink: sink.clone(),
            digest: digest.finish().as_ref().to_vec(),
            way,
        }))
    }

    /// The sink's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.sink.name.as_str()
    }

    /// Its settings.
    #[must_use]
    pub const fn sink(&self) -> &Sink {
        &self.sink
    }

    /// Whether a thread that follows `self` need not be replaced to follow `other`.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.sink == other.sink && self.digest == other.digest
    }

    pub(super) fn destination(&self) -> Box<dyn Destination> {
        match (&self.way, &self.sink.to) {
            (
                Way::Syslog { tls, name },
                SinkTarget::Syslog {
                    host, port, settle, ..
                },
            ) => Box::new(Syslog::new(
                (host.clone(), *port),
                name.clone(),
                Arc::clone(tls),
                self.sink.timeout,
                *settle,
            )),
            (Way::Http { agent, token }, SinkTarget::Http { url, .. }) => {
                Box::new(Http::new(agent.clone(), url.clone(), token.clone()))
            }
            (_, SinkTarget::Folder(folder)) => Box::new(Folder::new(&self.sink, folder.clone())),
            // INVARIANT: the way is made from the target. A folder that cannot be is a sink that fails, and says so.
            (_, SinkTarget::Syslog { .. } | SinkTarget::Http { .. }) => {
                Box::new(Folder::new(&self.sink, PathBuf::new()))
            }
        }
    }
}

impl fmt::Debug for Plan {
    /// Without what the files held: keys and tokens.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Plan")
            .field("sink", &self.sink)
            .finish_non_exhaustive()
    }
}

/// What the files of a sink's TLS hold.
struct Keys {
    authorities: Vec<CertificateDer<'static>>,
    client: Option<Own>,
}

/// What we show.
struct Own {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    /// As the HTTP client wants it.
    http: PrivateKey<'static>,
}

impl Keys {
    fn read(
        tls: &SinkTls,
        read: &mut impl FnMut(&PathBuf) -> Option<Vec<u8>>,
    ) -> Result<Option<Self>, PlanError> {
        let Some(ca) = read(&tls.ca) else {
            return Ok(None);
        };
        let authorities = certificates(&tls.ca, &ca)?;
        let Some(client) = &tls.client else {
            return Ok(Some(Self {
                authorities,
                client: None,
            }));
        };
        let (Some(chain), Some(key)) = (read(&client.chain), read(&client.key)) else {
            return Ok(None);
        };
        let chain = certificates(&client.chain, &chain)?;
        let own = Own {
            chain,
            http: PrivateKey::from_pem(&key).map_err(|error| wrong(&client.key, &error))?,
            key: PrivateKeyDer::from_pem_slice(&key).map_err(|error| wrong(&client.key, &error))?,
        };
        Ok(Some(Self {
            authorities,
            client: Some(own),
        }))
    }

    fn config(&self, tls: &SinkTls) -> Result<ClientConfig, PlanError> {
        let mut roots = RootCertStore::empty();
        for authority in &self.authorities {
            roots
                .add(authority.clone())
                .map_err(|error| wrong(&tls.ca, &error))?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| wrong(&tls.ca, &error))?
            .with_root_certificates(roots);
        match (&self.client, &tls.client) {
            (Some(own), Some(files)) => builder
                .with_client_auth_cert(own.chain.clone(), own.key.clone_key())
                .map_err(|error| wrong(&files.chain, &error)),
            (None, _) | (_, None) => Ok(builder.with_no_client_auth()),
        }
    }
}

/// The HTTP client: no redirects, no proxy of the environment, no authorities but those that are named.
fn agent(sink: &Sink, tls: Option<(&SinkTls, Keys)>) -> Result<ureq::Agent, PlanError> {
    let mut config = ureq::Agent::config_builder()
        .timeout_global(Some(sink.timeout))
        .max_redirects(0)
        .proxy(None)
        .http_status_as_error(false)
        .user_agent(concat!("hangu/", env!("CARGO_PKG_VERSION")));
    if let Some((files, keys)) = tls {
        // Said in our words now, since the client would say it only when it connects.
        keys.config(files)?;
        let owned = |all: &[CertificateDer<'_>]| -> Vec<Certificate<'static>> {
            all.iter()
                .map(|der| Certificate::from_der(der).to_owned())
                .collect()
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut tls = ureq::tls::TlsConfig::builder()
            .unversioned_rustls_crypto_provider(provider)
            .root_certs(RootCerts::new_with_certs(&owned(&keys.authorities)));
        if let Some(own) = keys.client {
            let own = ClientCert::new_with_certs(&owned(&own.chain), own.http);
            tls = tls.client_cert(Some(own));
        }
        config = config.https_only(true).tls_config(tls.build());
    }
    Ok(config.build().new_agent())
}

/// A token: one line that can stand in a header.
fn read_token(
    path: &PathBuf,
    read: &mut impl FnMut(&PathBuf) -> Option<Vec<u8>>,
) -> Result<Option<String>, PlanError> {
    let Some(bytes) = read(path) else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(&bytes).trim().to_owned();
    if text.is_empty()
        || text.len() > TOKEN_BYTES_MAX
        || !text.bytes().all(|b| b.is_ascii_graphic())
    {
        let what = io::Error::other("it does not hold one token of printable ASCII");
        return Err(wrong(path, &what));
    }
    Ok(Some(text))
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, PlanError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let all = all.map_err(|error| wrong(path, &error))?;
    if all.is_empty() {
        let what = io::Error::other("it holds no certificate");
        return Err(wrong(path, &what));
    }
    Ok(all)
}

fn wrong(path: &Path, error: &dyn std::error::Error) -> PlanError {
    PlanError {
        path: path.to_owned(),
        what: error.to_string(),
    }
}

const TOKEN_BYTES_MAX: usize = 8 * 1024;
