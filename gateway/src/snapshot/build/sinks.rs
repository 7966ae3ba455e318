//! What the audit sinks' files hold.

use std::sync::Arc;

use hangu_certs::{Identity, TrustBundle};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::{LoadError, Loader};
use crate::config::{Config, Sink, SinkTarget};
use crate::ship::Plan;

impl Loader {
    pub(super) fn sinks(&mut self, config: &Config) -> Option<Vec<Arc<Plan>>> {
        let plans: Vec<_> = config.sinks.iter().map(|sink| self.sink(sink)).collect();
        plans.into_iter().collect()
    }

    fn sink(&mut self, sink: &Sink) -> Option<Arc<Plan>> {
        match Plan::new(sink, |path| self.bytes(path)) {
            Ok(plan) => {
                self.sink_expiries(sink);
                plan.map(Arc::new)
            }
            Err(error) => {
                let sink = sink.name.as_str().to_owned();
                let path = error.path.clone();
                self.wrong(
                    &path,
                    LoadError::Sink {
                        sink,
                        source: error,
                    },
                );
                None
            }
        }
    }

    /// What ends is told, whatever it is for.
    fn sink_expiries(&mut self, sink: &Sink) {
        let tls = match &sink.to {
            SinkTarget::Syslog { tls, .. } => Some(tls),
            SinkTarget::Http { tls, .. } => tls.as_ref(),
            SinkTarget::Folder(_) => None,
        };
        let Some(tls) = tls else { return };
        if let Ok(pem) = std::fs::read(&tls.ca)
            && let Ok(trust) = TrustBundle::from_pem(&tls.ca.display().to_string(), &pem, self.now)
        {
            for expiry in trust.expiries() {
                self.expires("sink_ca", &tls.ca, expiry.not_after);
            }
        }
        let Some(client) = &tls.client else { return };
        let chain = std::fs::read(&client.chain).unwrap_or_default();
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&chain).flatten().collect();
        if let Ok(identity) = Identity::from_chain(&chain) {
            self.expires("sink_client", &client.chain, identity.not_after);
        }
    }
}
