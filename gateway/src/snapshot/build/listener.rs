//! What a listener's handshakes need: server certificates by name, client trust, revocation lists.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use hangu_certs::{
    ClientAuthentication, ClientVerifier, CrlError, RevocationIndex, ServerCertificate,
    TrustBundle, Uncovered,
};
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::sync::Semaphore;

use super::{LoadError, Loader};
use crate::config::{self, Application, HostPattern, Listener, TlsVersion};
use crate::layers::cloud::routes::HostTable;
use crate::snapshot::{Expiry, ListenerState};

impl Loader {
    pub(super) fn listener(
        &mut self,
        listener: &Listener,
        applications: &[Application],
        last: Option<&RevocationIndex>,
    ) -> Option<ListenerState> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let names = self.server_certificates(listener, &provider);
        let trust = self.client_trust(listener);
        let trust = trust?;
        let revocation = self.revocation(listener, &trust, last)?;
        let authentication = match listener.client_authentication {
            config::ClientAuthentication::Required => ClientAuthentication::Required,
            config::ClientAuthentication::Optional => ClientAuthentication::Optional,
        };
        let verifier = Arc::new(ClientVerifier::new(
            Arc::clone(&trust),
            Arc::clone(&revocation),
            authentication,
            Arc::clone(&provider),
        ));
        match tls(listener.tls_min, Arc::clone(&verifier), names?, provider) {
            Ok(tls) => Some(ListenerState {
                hosts: HostTable::new(applications, listener),
                tls: Arc::new(tls),
                verifier,
                revocation,
                handshakes: Semaphore::new(
                    usize::try_from(listener.handshakes_max.get()).unwrap_or(usize::MAX >> 3),
                ),
            }),
            Err(source) => {
                self.problems.push(LoadError::Tls {
                    listener: listener.name.as_str().to_owned(),
                    source,
                });
                None
            }
        }
    }

    fn server_certificates(
        &mut self,
        listener: &Listener,
        provider: &CryptoProvider,
    ) -> Option<CertificatesByName> {
        let mut names = CertificatesByName::default();
        let mut complete = true;
        for certificate in &listener.certificates {
            let (chain, key) = (self.bytes(&certificate.chain), self.bytes(&certificate.key));
            let (Some(chain), Some(key)) = (chain, key) else {
                complete = false;
                continue;
            };
            let hosts: Vec<String> = certificate
                .hosts
                .iter()
                .map(HostPattern::to_string)
                .collect();
            let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
            let name = certificate.chain.display().to_string();
            match ServerCertificate::from_pem(&name, &chain, &key, &hosts, self.now, provider) {
                Ok(loaded) => {
                    self.expires("server", &certificate.chain, loaded.not_after);
                    names.add(&certificate.hosts, &loaded.key);
                }
                Err(problem) => {
                    self.wrong(&certificate.chain, problem.into());
                    complete = false;
                }
            }
        }
        complete.then_some(names)
    }

    fn client_trust(&mut self, listener: &Listener) -> Option<Arc<TrustBundle>> {
        let pem = self.bytes(&listener.client_ca)?;
        match TrustBundle::from_pem(&listener.client_ca.display().to_string(), &pem, self.now) {
            Ok(trust) => {
                for expiry in trust.expiries() {
                    self.expires("client_ca", &listener.client_ca, expiry.not_after);
                }
                Some(Arc::new(trust))
            }
            Err(problems) => {
                for problem in problems {
                    self.wrong(&listener.client_ca, problem.into());
                }
                None
            }
        }
    }

    fn wrong_lists(&mut self, problems: Vec<CrlError>) {
        for problem in problems {
            let file = PathBuf::from(&problem.file);
            self.wrong(&file, problem.into());
        }
    }

    fn revocation(
        &mut self,
        listener: &Listener,
        trust: &TrustBundle,
        last: Option<&RevocationIndex>,
    ) -> Option<Arc<RevocationIndex>> {
        if listener.crls.is_empty() {
            return Some(Arc::new(RevocationIndex::empty(Uncovered::Accepted)));
        }
        let mut files = Vec::new();
        let mut complete = true;
        for path in &listener.crls {
            match self.bytes(path) {
                Some(bytes) => files.push((path.display().to_string(), bytes)),
                None => complete = false,
            }
        }
        let lists: Vec<(&str, &[u8])> = files
            .iter()
            .map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
            .collect();
        let grace = u32::try_from(listener.crl_grace.as_secs()).unwrap_or(u32::MAX);
        match RevocationIndex::load_with_grace(&lists, trust, grace, self.now) {
            Ok(index) if complete => {
                warn_of_lists(&index, self.now);
                // A file put back would forget the revocations since.
                if let Some(Err(older)) = last.map(|last| index.check_follows(last)) {
                    self.wrong_lists(older);
                    return None;
                }
                for list in index.next_updates() {
                    self.expiries.push(Expiry {
                        kind: "crl",
                        name: list.file.clone(),
                        listener: listener.name.as_str().to_owned(),
                        at: list.next_update,
                    });
                }
                Some(Arc::new(index))
            }
            Ok(_) => None,
            Err(problems) => {
                self.wrong_lists(problems);
                None
            }
        }
    }
}

/// Lists that need somebody's hand, though the gateway serves.
fn warn_of_lists(index: &RevocationIndex, now: i64) {
    for list in index.stale(now) {
        tracing::warn!(
            "revocation list `{}` of `{}` is past its end and counts by `crl_grace` only; fetch the current one",
            list.file,
            list.issuer
        );
    }
    for list in index.ignored() {
        tracing::warn!("{list}");
    }
}

fn tls(
    floor: TlsVersion,
    verifier: Arc<ClientVerifier>,
    names: CertificatesByName,
    provider: Arc<CryptoProvider>,
) -> Result<ServerConfig, rustls::Error> {
    let versions: &[&rustls::SupportedProtocolVersion] = match floor {
        TlsVersion::Tls12 => &[&rustls::version::TLS13, &rustls::version::TLS12],
        TlsVersion::Tls13 => &[&rustls::version::TLS13],
    };
    let mut tls = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(names));
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    // A resumed session brings the old chain back without verifying it again: none is ever kept.
    tls.session_storage = Arc::new(NoServerSessionStorage {});
    tls.send_tls13_tickets = 0;
    Ok(tls)
}

/// Server certificates by the name that the client asks for.
#[derive(Debug, Default)]
struct CertificatesByName {
    exact: HashMap<Box<str>, Arc<CertifiedKey>>,
    below: HashMap<Box<str>, Arc<CertifiedKey>>,
    /// For a client that dialled an address and so names nothing.
    unnamed: Option<Arc<CertifiedKey>>,
}

impl CertificatesByName {
    fn add(&mut self, hosts: &[HostPattern], key: &Arc<CertifiedKey>) {
        self.unnamed.get_or_insert_with(|| Arc::clone(key));
        for host in hosts {
            match host {
                HostPattern::Exact(host) => {
                    self.exact.insert(host.as_str().into(), Arc::clone(key))
                }
                HostPattern::Below(domain) => {
                    self.below.insert(domain.as_str().into(), Arc::clone(key))
                }
            };
        }
    }
}

impl ResolvesServerCert for CertificatesByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let Some(name) = hello.server_name() else {
            return self.unnamed.clone();
        };
        let name = name.to_ascii_lowercase();
        let below = || self.below.get(name.split_once('.')?.1);
        self.exact.get(name.as_str()).or_else(below).cloned()
    }
}
