//! What a listener's handshakes need: server certificates by name, client trust, revocation lists.

use std::path::Path;
use std::sync::Arc;

use hangu_certs::{
    ClientAuthentication, ClientVerifier, RevocationIndex, ServerCertificate, TrustBundle,
};
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::server::{NoServerSessionStorage, ResolvesServerCert, ServerSessionMemoryCache};
use tokio::sync::Semaphore;

use super::authorities::Scope;
use super::revocation::Lists;
use super::{LoadError, Loader};
use crate::config::{self, Application, ClientTrust, HostPattern, Listener, TlsVersion};
use crate::layers::cloud::routes::HostTable;
use crate::snapshot::{ListenerState, Names, TrustGroup};

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
                let group = self.clients_of(listener.name.as_str(), trust, last, &provider)?;
                let of = Scope::Listener(listener.name.as_str().into());
                self.vouch(of, trust, &group.bundle);
                Some(group)
            })
            .collect();
        let names = Arc::new(names?);
        let groups = groups.into_iter().map(|group| {
            let Group {
                trust,
                bundle,
                verifier,
                revocation,
            } = group?;
            let tls = tls(listener, Arc::clone(&verifier), &names, &provider);
            Some(TrustGroup {
                trust: trust.clone(),
                bundle,
                tls: Arc::new(self.tls_ready(listener, tls)?),
                verifier,
                revocation,
            })
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

    fn tls_ready(
        &mut self,
        listener: &Listener,
        tls: Result<ServerConfig, rustls::Error>,
    ) -> Option<ServerConfig> {
        tls.map_err(|source| {
            self.problems.push(LoadError::Tls {
                listener: listener.name.as_str().to_owned(),
                source,
            });
        })
        .ok()
    }

    /// Authorities, lists and verifier of the clients of a listener, whose lists must not go back behind `last`.
    pub(super) fn clients_of<'t>(
        &mut self,
        of: &str,
        trust: &'t ClientTrust,
        last: Option<&RevocationIndex>,
        provider: &Arc<CryptoProvider>,
    ) -> Option<Group<'t>> {
        let bundle = self.client_trust(trust)?;
        let lists = Lists {
            of,
            files: &trust.crls,
            urls: &trust.crl_urls,
            hosts: &trust.crl_hosts,
            grace: trust.crl_grace,
        };
        let revocation = self.revocation(lists, &bundle, last)?;
        let authentication = match trust.client_authentication {
            config::ClientAuthentication::Required => ClientAuthentication::Required,
            config::ClientAuthentication::Optional => ClientAuthentication::Optional,
        };
        let verifier = ClientVerifier::new(
            Arc::clone(&bundle),
            Arc::clone(&revocation),
            authentication,
            Arc::clone(provider),
        );
        Some(Group {
            trust,
            bundle,
            verifier: Arc::new(verifier),
            revocation,
        })
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
                Err(mut problem) => {
                    let file = if problem.problem.is_of_the_key() {
                        &certificate.key
                    } else {
                        &certificate.chain
                    };
                    problem.name = file.display().to_string();
                    self.wrong(file, problem.into());
                    complete = false;
                }
            }
        }
        complete.then_some(names)
    }

    fn client_trust(&mut self, trust: &ClientTrust) -> Option<Arc<TrustBundle>> {
        let (file, intermediates) = (&trust.client_ca, trust.intermediates.as_deref());
        let pem = self.bytes(file)?;
        match TrustBundle::from_pem(&file.display().to_string(), &pem, self.now) {
            Ok(trust) => {
                for expiry in trust.expiries() {
                    self.expires("client_ca", file, expiry.not_after);
                    self.authorities.insert(expiry.subject);
                }
                let known = trust.expiries().len();
                let trust = self.intermediates(trust, intermediates)?;
                for expiry in trust.expiries().into_iter().skip(known) {
                    let file = intermediates.unwrap_or(file);
                    self.expires("client_ca", file, expiry.not_after);
                    self.authorities.insert(expiry.subject);
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
}

impl Loader {
    /// The bundle with the intermediates of a file, where there is one.
    pub(super) fn intermediates(
        &mut self,
        trust: TrustBundle,
        file: Option<&Path>,
    ) -> Option<TrustBundle> {
        let Some(file) = file else {
            return Some(trust);
        };
        let pem = self.bytes(file)?;
        let name = file.display().to_string();
        match trust.with_intermediates_from_pem(&name, &pem, self.now) {
            Ok(trust) => Some(trust),
            Err(problems) => {
                for problem in problems {
                    self.wrong(file, problem.into());
                }
                None
            }
        }
    }
}

/// A group before its TLS.
pub(super) struct Group<'t> {
    trust: &'t ClientTrust,
    pub(super) bundle: Arc<TrustBundle>,
    pub(super) verifier: Arc<ClientVerifier>,
    pub(super) revocation: Arc<RevocationIndex>,
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
