//! What calls over `control.remote` are checked against.

use std::sync::Arc;
use std::time::Duration;

use hangu_certs::ServerCertificate;
use rustls::ServerConfig;
use rustls::server::NoServerSessionStorage;
use rustls::sign::SingleCertAndKey;

use super::authorities::Scope;
use super::{LoadError, Loader};
use crate::config::{ClientAuthentication, ClientTrust, ControlRemote};
use crate::snapshot::{ControlTrust, Snapshot};

impl Loader {
    /// `Ok(None)` where nobody may call over TCP; `None` when something is wrong.
    pub(super) fn control(
        &mut self,
        remote: Option<&ControlRemote>,
        before: Option<&Snapshot>,
    ) -> Option<Option<ControlTrust>> {
        let Some(remote) = remote else {
            return Some(None);
        };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let (chain, key) = (self.bytes(&remote.certificate), self.bytes(&remote.key));
        let trust = ClientTrust {
            client_authentication: ClientAuthentication::Required,
            client_ca: remote.client_ca.clone(),
            intermediates: None,
            crls: remote.crls.clone(),
            crl_urls: Vec::new(),
            crl_hosts: Vec::new(),
            crl_grace: Duration::ZERO,
            spiffe_trust_domains: None,
        };
        let last = before.and_then(|before| before.control.as_ref());
        let last = last.map(|control| &*control.revocation);
        let group = self.clients_of("control", &trust, last, &provider)?;
        self.vouch(Scope::Control, &trust, &group.bundle);
        let name = remote.certificate.display().to_string();
        let own = ServerCertificate::from_pem(&name, &chain?, &key?, &[], self.now, &provider);
        let own = match own {
            Ok(own) => own,
            Err(mut problem) => {
                let file = if problem.problem.is_of_the_key() {
                    &remote.key
                } else {
                    &remote.certificate
                };
                problem.name = file.display().to_string();
                self.wrong(file, problem.into());
                return None;
            }
        };
        self.expires("server", &remote.certificate, own.not_after);
        let tls = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13]);
        let mut tls = match tls {
            Ok(tls) => tls
                .with_client_cert_verifier(Arc::clone(&group.verifier) as Arc<_>)
                .with_cert_resolver(Arc::new(SingleCertAndKey::from(own.key))),
            Err(source) => {
                let listener = "control".to_owned();
                self.problems.push(LoadError::Tls { listener, source });
                return None;
            }
        };
        tls.session_storage = Arc::new(NoServerSessionStorage {});
        tls.send_tls13_tickets = 0;
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        Some(Some(ControlTrust {
            tls: Arc::new(tls),
            verifier: group.verifier,
            revocation: group.revocation,
        }))
    }
}
