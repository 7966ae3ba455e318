//! What a listener's handshakes need: server certificates by name, client trust, revocation lists.

use std::path::PathBuf;
use std::sync::Arc;

use hangu_certs::{
    ClientAuthentication, ClientVerifier, CrlError, RevocationIndex, ServerCertificate,
    TrustBundle, Uncovered,
};
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::server::{NoServerSessionStorage, ResolvesServerCert, ServerSessionMemoryCache};
use tokio::sync::Semaphore;

use super::{LoadError, Loader};
use crate::config::{self, Application, ClientTrust, HostPattern, Listener, TlsVersion};
use crate::layers::cloud::routes::HostTable;
use crate::snapshot::{Expiry, ListenerState, Names, TrustGroup};

impl Loader {
    pub(super) fn listener(
        &mut self,
        listener: &Listener,
        applications: &[Application],
        last: Option<&ListenerState>,
    ) -> Option<ListenerState> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut trusts: Vec<&ClientTrust> = Vec::new();
        for certificate in &listener.certificates {
            if !trusts.contains(&&certificate.trust) {
                trusts.push(&certificate.trust);
            }
        }
        let names = self.server_certificates(listener, &trusts, &provider);
        let groups: Vec<_> = trusts
            .into_iter()
            .map(|trust| {
                let last = last_of(last, trust);
                self.verifier(listener, trust, last, &provider)
            })
            .collect();
        let names = Arc::new(names?);
        let groups = groups.into_iter().map(|verified| {
            let (trust, verifier, revocation) = verified?;
            match tls(listener, Arc::clone(&verifier), &names, &provider) {
                Ok(tls) => Some(TrustGroup {
                    trust: trust.clone(),
                    tls: Arc::new(tls),
                    verifier,
                    revocation,
                }),
                Err(source) => {
                    self.problems.push(LoadError::Tls {
                        listener: listener.name.as_str().to_owned(),
                        source,
                    });
                    None
                }
            }
        });
        Some(ListenerState {
            groups: groups.collect::<Option<Vec<_>>>()?,
            hosts: HostTable::new(applications, listener),
            names,
            handshakes: Semaphore::new(
                usize::try_from(listener.handshakes_max.get()).unwrap_or(usize::MAX >> 3),
            ),
        })
    }

    fn verifier<'t>(
        &mut self,
        listener: &Listener,
        trust: &'t ClientTrust,
        last: Option<&RevocationIndex>,
        provider: &Arc<CryptoProvider>,
    ) -> Option<(&'t ClientTrust, Arc<ClientVerifier>, Arc<RevocationIndex>)> {
        let bundle = self.client_trust(trust)?;
        let revocation = self.revocation(listener, trust, &bundle, last)?;
        let authentication = match trust.client_authentication {
            config::ClientAuthentication::Required => ClientAuthentication::Required,
            config::ClientAuthentication::Optional => ClientAuthentication::Optional,
        };
        let verifier = ClientVerifier::new(
            bundle,
            Arc::clone(&revocation),
            authentication,
            Arc::clone(provider),
        );
        Some((trust, Arc::new(verifier), revocation))
    }

    fn server_certificates(
        &mut self,
        listener: &Listener,
        trusts: &[&ClientTrust],
        provider: &CryptoProvider,
    ) -> Option<Names> {
        let mut names = Names::default();
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
                    let group = trusts.iter().position(|trust| **trust == certificate.trust);
                    names.add(&certificate.hosts, &loaded.key, group.unwrap_or(usize::MAX));
                }
                Err(problem) => {
                    self.wrong(&certificate.chain, problem.into());
                    complete = false;
                }
            }
        }
        complete.then_some(names)
    }

    fn client_trust(&mut self, trust: &ClientTrust) -> Option<Arc<TrustBundle>> {
        let file = &trust.client_ca;
        let pem = self.bytes(file)?;
        match TrustBundle::from_pem(&file.display().to_string(), &pem, self.now) {
            Ok(trust) => {
                for expiry in trust.expiries() {
                    self.expires("client_ca", file, expiry.not_after);
                }
                Some(Arc::new(trust))
            }
            Err(problems) => {
                for problem in problems {
                    self.wrong(file, problem.into());
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
        settings: &ClientTrust,
        trust: &TrustBundle,
        last: Option<&RevocationIndex>,
    ) -> Option<Arc<RevocationIndex>> {
        if settings.crls.is_empty() {
            return Some(Arc::new(RevocationIndex::empty(Uncovered::Accepted)));
        }
        let mut files = Vec::new();
        let mut complete = true;
        for path in &settings.crls {
            match self.bytes(path) {
                Some(bytes) => files.push((path.display().to_string(), bytes)),
                None => complete = false,
            }
        }
        let lists: Vec<(&str, &[u8])> = files
            .iter()
            .map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
            .collect();
        let grace = u32::try_from(settings.crl_grace.as_secs()).unwrap_or(u32::MAX);
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

/// The lists that a group had: of the same authorities, and of several such of the same files.
fn last_of<'s>(
    last: Option<&'s ListenerState>,
    trust: &ClientTrust,
) -> Option<&'s RevocationIndex> {
    let groups = || last.into_iter().flat_map(|state| &state.groups);
    let same_files = groups()
        .find(|group| group.trust.client_ca == trust.client_ca && group.trust.crls == trust.crls);
    let same_authorities = || groups().find(|group| group.trust.client_ca == trust.client_ca);
    same_files
        .or_else(same_authorities)
        .or_else(|| groups().next())
        .map(|group| &*group.revocation)
}

fn tls(
    listener: &Listener,
    verifier: Arc<ClientVerifier>,
    names: &Arc<Names>,
    provider: &Arc<CryptoProvider>,
) -> Result<ServerConfig, rustls::Error> {
    let versions: &[&rustls::SupportedProtocolVersion] = match listener.tls_min {
        TlsVersion::Tls12 => &[&rustls::version::TLS13, &rustls::version::TLS12],
        TlsVersion::Tls13 => &[&rustls::version::TLS13],
    };
    let mut tls = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(versions)?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::clone(names) as Arc<dyn ResolvesServerCert>);
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    match listener.session_resumption {
        // Kept here and not in tickets, so that they are bounded and gone with this generation; and a store for each group, so that
        // nobody resumes at hosts that would not have let him in. The chain that a resumed session brings back is verified after
        // the handshake like any other (`Accept::connection`).
        Some(sessions) => {
            let sessions = usize::try_from(sessions.get()).unwrap_or(usize::MAX);
            tls.session_storage = ServerSessionMemoryCache::new(sessions);
            tls.send_tls13_tickets = TICKETS;
        }
        None => {
            tls.session_storage = Arc::new(NoServerSessionStorage {});
            tls.send_tls13_tickets = 0;
        }
    }
    Ok(tls)
}

/// Tickets that a TLS 1.3 client gets: each can be used once.
const TICKETS: usize = 1;
