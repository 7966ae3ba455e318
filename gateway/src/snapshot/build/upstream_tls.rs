//! What an upstream must prove and what we show to it, in the types that Pingora wants.

use std::panic::catch_unwind;
use std::sync::Arc;

use hangu_certs::{ExpectedServer, RevocationIndex, ServerVerifier, TrustBundle};
use pingora::utils::tls::{CertKey, WrappedX509, parse_x509};
use ring::digest::{Context, SHA256};
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};

use super::revocation::Lists;
use super::{LoadError, Loader};
use crate::config::{Application, ClientCertificate, UpstreamProtocol, UpstreamTls};
use crate::layers::cloud::peer::PeerTls;
use crate::layers::cloud::prover::Prover;
use crate::snapshot::{ApplicationState, UpstreamTrust};

impl Loader {
    /// How the upstreams of an application are connected to, and what they are judged by.
    pub(super) fn upstream_tls(
        &mut self,
        application: &Application,
        tls: &UpstreamTls,
        last: Option<&ApplicationState>,
    ) -> Option<(PeerTls, UpstreamTrust)> {
        let mut digest = Context::new(&SHA256);
        let authorities = self.upstream_authorities(tls, &mut digest);
        let client = match &tls.client {
            Some(client) => self.upstream_client(client, &mut digest).map(Some),
            None => Some(None),
        };
        let ((authorities, bundle), client) = (authorities?, client?);
        let name = format!("upstream:{}", application.name.as_str());
        let lists = Lists {
            of: &name,
            files: &tls.crls,
            urls: &tls.crl_urls,
            hosts: &[],
            grace: tls.crl_grace,
        };
        let trust = last.and_then(|last| last.upstream_trust.as_ref());
        let revocation = self.revocation(lists, &bundle, trust.map(|last| &*last.revocation))?;
        // A new list ends the use of connections that were made under the old one.
        for list in revocation.next_updates() {
            digest.update(format!("{list:?}").as_bytes());
        }
        digest.update(format!("{:?}", tls.expected).as_bytes());
        let mut trust_digest = [0; 32];
        trust_digest
            .iter_mut()
            .zip(digest.finish().as_ref())
            .for_each(|(to, from)| *to = *from);
        let (shown, own) = client.unzip();
        let protocol = application.upstream_protocol;
        let prover = match prover(tls, &bundle, &revocation, shown, protocol) {
            Ok(prover) => prover,
            Err(why) => {
                let file = tls.client.as_ref().map_or(&tls.ca, |client| &client.chain);
                return self.unusable(file, &why);
            }
        };
        if let Some((before, _)) = last.and_then(|last| last.peer_settings.prover()) {
            prover.learn_from(before, self.now);
        }
        let settings = PeerTls {
            server_name: tls.server_name.as_str().to_owned(),
            ca: authorities.into(),
            trust_digest,
            client: own.map(Arc::new),
            is_known_by_name: tls.expected == ExpectedServer::RequestedName,
            prover: Arc::new(prover),
        };
        let trust = UpstreamTrust {
            name,
            bundle,
            revocation,
            crl_urls: tls.crl_urls.clone(),
        };
        Some((settings, trust))
    }

    fn upstream_authorities(
        &mut self,
        tls: &UpstreamTls,
        digest: &mut Context,
    ) -> Option<(Vec<WrappedX509>, Arc<TrustBundle>)> {
        let pem = self.bytes(&tls.ca)?;
        let trust = match TrustBundle::from_pem(&tls.ca.display().to_string(), &pem, self.now) {
            Ok(trust) => trust,
            Err(problems) => {
                for problem in problems {
                    self.wrong(&tls.ca, problem.into());
                }
                return None;
            }
        };
        for expiry in trust.expiries() {
            self.expires("upstream_ca", &tls.ca, expiry.not_after);
            self.authorities.insert(expiry.subject);
        }
        let known = trust.expiries().len();
        let trust = self.intermediates(trust, tls.intermediates.as_deref())?;
        for expiry in trust.expiries().into_iter().skip(known) {
            let file = tls.intermediates.as_ref().unwrap_or(&tls.ca);
            self.expires("upstream_ca", file, expiry.not_after);
            self.authorities.insert(expiry.subject);
        }
        if let Some(file) = &tls.intermediates {
            // Who trusts upstreams by other intermediates does so over connections of its own; a name alone does not tell them apart.
            digest.update(&self.bytes(file)?);
        }
        let mut authorities = Vec::new();
        for certificate in CertificateDer::pem_slice_iter(&pem).flatten() {
            digest.update(&certificate);
            match parsed(certificate.to_vec()) {
                Some(parsed) => authorities.push(parsed),
                None => {
                    return self.unusable(&tls.ca, "a certificate of the CA file cannot be parsed");
                }
            }
        }
        Some((authorities, Arc::new(trust)))
    }

    fn upstream_client(
        &mut self,
        client: &ClientCertificate,
        digest: &mut Context,
    ) -> Option<(Shown, CertKey)> {
        let (chain, key) = (self.bytes(&client.chain), self.bytes(&client.key));
        let (chain, key) = (chain?, key?);
        digest.update(&chain);
        digest.update(&key);
        let chain: Vec<CertificateDer<'static>> =
            match CertificateDer::pem_slice_iter(&chain).collect() {
                Ok(chain) => chain,
                Err(error) => return self.unusable(&client.chain, &error.to_string()),
            };
        let key = match PrivateKeyDer::from_pem_slice(&key) {
            Ok(key) => key,
            Err(error) => return self.unusable(&client.key, &error.to_string()),
        };
        let identity = match hangu_certs::Identity::from_chain(&chain) {
            Ok(identity) => identity,
            Err(error) => return self.unusable(&client.chain, &error.to_string()),
        };
        if identity.not_after < self.now {
            return self.unusable(&client.chain, "it has expired");
        }
        let provider = rustls::crypto::ring::default_provider();
        if let Err(error) = CertifiedKey::from_der(chain.clone(), key.clone_key(), &provider) {
            return self.unusable(&client.chain, &error.to_string());
        }
        self.expires("upstream_client", &client.chain, identity.not_after);
        let encoded: Vec<Vec<u8>> = chain
            .iter()
            .map(|certificate| certificate.to_vec())
            .collect();
        match catch_unwind(|| CertKey::new(encoded, key.secret_der().to_vec())) {
            Ok(own) => Some(((chain, key), own)),
            Err(_) => self.unusable(&client.chain, "a certificate of the chain cannot be parsed"),
        }
    }

    fn unusable<T>(&mut self, path: &std::path::Path, why: &str) -> Option<T> {
        self.wrong(
            path,
            LoadError::UpstreamClient {
                path: path.to_owned(),
                why: why.into(),
            },
        );
        None
    }
}

/// Our own handshake, for what Pingora's cannot judge.
fn prover(
    tls: &UpstreamTls,
    bundle: &Arc<TrustBundle>,
    revocation: &Arc<RevocationIndex>,
    shown: Option<Shown>,
    protocol: UpstreamProtocol,
) -> Result<Prover, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Arc::new(ServerVerifier::new(
        Arc::clone(bundle),
        Arc::clone(revocation),
        tls.expected.clone(),
        Arc::clone(&provider),
    ));
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&verifier) as Arc<_>);
    let mut config = match shown {
        Some((chain, key)) => builder
            .with_client_auth_cert(chain, key)
            .map_err(|error| error.to_string())?,
        None => builder.with_no_client_auth(),
    };
    let spoken: &[u8] = match protocol {
        UpstreamProtocol::Http1 => b"http/1.1",
        UpstreamProtocol::Http2 => b"h2",
    };
    config.alpn_protocols = vec![spoken.to_vec()];
    // A resumed session would bring back a proof that nobody has judged since.
    config.resumption = Resumption::disabled();
    let name = ServerName::try_from(tls.server_name.as_str().to_owned())
        .map_err(|error| error.to_string())?;
    Ok(Prover::new(config, name, verifier, Arc::clone(revocation)))
}

/// What we show to an upstream: chain and key.
type Shown = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// Pingora's parser panics on what it dislikes; here that is one more problem to report.
fn parsed(certificate: Vec<u8>) -> Option<WrappedX509> {
    catch_unwind(|| WrappedX509::new(certificate, parse_x509)).ok()
}
