//! What an upstream must prove and what we show to it, in the types that Pingora wants.

use std::panic::catch_unwind;
use std::sync::Arc;

use hangu_certs::TrustBundle;
use pingora::utils::tls::{CertKey, WrappedX509, parse_x509};
use ring::digest::{Context, SHA256};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::{LoadError, Loader};
use crate::config::{ClientCertificate, UpstreamTls};
use crate::layers::cloud::peer::PeerTls;

impl Loader {
    pub(super) fn upstream_tls(&mut self, tls: &UpstreamTls) -> Option<PeerTls> {
        let mut trust = Context::new(&SHA256);
        let authorities = self.upstream_authorities(tls, &mut trust);
        let client = match &tls.client {
            Some(client) => self.upstream_client(client, &mut trust).map(Some),
            None => Some(None),
        };
        let (authorities, client) = (authorities?, client?);
        let mut trust_digest = [0; 32];
        trust_digest
            .iter_mut()
            .zip(trust.finish().as_ref())
            .for_each(|(to, from)| *to = *from);
        Some(PeerTls {
            server_name: tls.server_name.as_str().to_owned(),
            ca: authorities.into(),
            trust_digest,
            client: client.map(Arc::new),
        })
    }

    fn upstream_authorities(
        &mut self,
        tls: &UpstreamTls,
        digest: &mut Context,
    ) -> Option<Vec<WrappedX509>> {
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
        Some(authorities)
    }

    fn upstream_client(
        &mut self,
        client: &ClientCertificate,
        digest: &mut Context,
    ) -> Option<CertKey> {
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
        let chain: Vec<Vec<u8>> = chain
            .iter()
            .map(|certificate| certificate.to_vec())
            .collect();
        match catch_unwind(|| CertKey::new(chain, key.secret_der().to_vec())) {
            Ok(key) => Some(key),
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

/// Pingora's parser panics on what it dislikes; here that is one more problem to report.
fn parsed(certificate: Vec<u8>) -> Option<WrappedX509> {
    catch_unwind(|| WrappedX509::new(certificate, parse_x509)).ok()
}
