//! Requests that the gateway makes by itself, each on a thread that may wait: to a witness, to an object store.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// Who signs a server cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("`{}`: {what}; it must hold PEM certificates", path.display())]
pub struct AuthoritiesError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong.
    pub what: String,
}

/// Speaks TLS to whom these authorities sign, follows no redirect and asks no proxy; any status is an answer.
///
/// # Errors
/// When the authorities cannot be read.
pub(crate) fn agent(ca: Option<&Path>, timeout: Duration) -> Result<ureq::Agent, AuthoritiesError> {
    let mut config = ureq::Agent::config_builder()
        .timeout_global(Some(timeout))
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None);
    if let Some(path) = ca {
        let at = |what: String| AuthoritiesError {
            path: path.to_owned(),
            what,
        };
        let text = fs::read(path).map_err(|error| at(error.to_string()))?;
        let certificates: Vec<Certificate<'static>> = CertificateDer::pem_slice_iter(&text)
            .map(|der| der.map(|der| Certificate::from_der(&der).to_owned()))
            .collect::<Result<_, _>>()
            .map_err(|error| at(error.to_string()))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(provider)
            .root_certs(RootCerts::new_with_certs(&certificates))
            .build();
        config = config.tls_config(tls);
    }
    Ok(config.build().new_agent())
}
