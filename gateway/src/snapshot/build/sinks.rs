//! What the audit sinks' files hold.

use std::path::Path;
use std::sync::Arc;

use hangu_certs::{Identity, TrustBundle};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::{LoadError, Loader};
use crate::config::{Archive, Config, Sink, SinkTarget};
use crate::ship::Plan;

impl Loader {
    pub(super) fn sinks(&mut self, config: &Config) -> Option<Vec<Arc<Plan>>> {
        self.services_expire(config);
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

    /// When the authorities end by which the gateway knows the services that help it.
    fn services_expire(&mut self, config: &Config) {
        let witness = config.audit.witness.as_ref();
        let shared = config.limits.shared.as_ref();
        let store_ca = match &config.retention.archive {
            Some(Archive::Store(store)) => store.ca.as_ref(),
            Some(Archive::Folder(_)) | None => None,
        };
        for (kind, ca) in [
            (
                "witness_ca",
                witness.and_then(|witness| witness.ca.as_ref()),
            ),
            ("archive_ca", store_ca),
            ("limits_ca", shared.and_then(|shared| shared.ca.as_ref())),
        ] {
            if let Some(ca) = ca {
                self.authorities_expire(kind, ca);
            }
        }
    }

    /// Whether they are good is for those to say who use them.
    fn authorities_expire(&mut self, kind: &'static str, ca: &Path) {
        if let Ok(pem) = std::fs::read(ca)
            && let Ok(trust) = TrustBundle::from_pem(&ca.display().to_string(), &pem, self.now)
        {
            for expiry in trust.expiries() {
                self.expires(kind, ca, expiry.not_after);
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
        self.authorities_expire("sink_ca", &tls.ca);
        let Some(client) = &tls.client else { return };
        let chain = std::fs::read(&client.chain).unwrap_or_default();
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&chain).flatten().collect();
        if let Ok(identity) = Identity::from_chain(&chain) {
            self.expires("sink_client", &client.chain, identity.not_after);
        }
    }
}
