//! A throw-away PKI: everything that the tests' gateways, clients and upstreams show to one another.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use hangu_certs::{
    Authority, ClientRequest, Identity, Issued, Serial, SpiffeId, UnixSeconds, Validity,
};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::wait::must;

/// Two trees: one that signs clients (root, intermediate, leaves) and one that signs servers, with a stranger beside them.
#[derive(Debug)]
pub struct TestPki {
    clients_root: Authority,
    clients: Authority,
    servers: Authority,
    foreign: Authority,
}

/// A certificate chain and its key.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// As issued.
    pub issued: Issued,
}

/// What an upstream or the gateway is given: PEM of chain and key.
#[derive(Clone, Debug)]
pub struct UpstreamCertificate {
    /// Chain, leaf first.
    pub chain_pem: String,
    /// PKCS #8.
    pub key_pem: String,
}

impl TestPki {
    /// A new one, valid from an hour ago for a day.
    #[must_use]
    pub fn new() -> Self {
        let root = |name| must(Authority::new_root(name, a_day()), "make a root");
        let clients_root = root("Test clients root");
        let clients = must(
            clients_root.new_intermediate("Test clients", a_day()),
            "make an intermediate",
        );
        Self {
            clients_root,
            clients,
            servers: root("Test servers"),
            foreign: root("Somebody else's clients"),
        }
    }

    /// A client `spiffe://gov.test/<name>`, signed by the intermediate.
    #[must_use]
    pub fn client(&self, name: &str) -> Credentials {
        self.client_valid(name, a_day())
    }

    /// A client that is valid at other times.
    #[must_use]
    pub fn client_valid(&self, name: &str, validity: Validity) -> Credentials {
        self.client_of(&ClientRequest::spiffe(&spiffe(name), validity))
    }

    /// A client of whatever kind, signed by the intermediate.
    #[must_use]
    pub fn client_of(&self, request: &ClientRequest) -> Credentials {
        let request = ClientRequest {
            validity: request.validity.or(Some(a_day())),
            ..request.clone()
        };
        Credentials {
            issued: must(
                self.clients.issue_client(&request),
                "issue a client certificate",
            ),
        }
    }

    /// A client whose certificate ended an hour ago.
    #[must_use]
    pub fn expired_client(&self, name: &str) -> Credentials {
        self.client_valid(
            name,
            Validity {
                not_before: now() - 2 * HOUR,
                not_after: now() - HOUR,
            },
        )
    }

    /// A client whose certificate begins in an hour.
    #[must_use]
    pub fn future_client(&self, name: &str) -> Credentials {
        self.client_valid(
            name,
            Validity {
                not_before: now() + HOUR,
                not_after: now() + 2 * HOUR,
            },
        )
    }

    /// A client of the same name, signed by an authority that nobody here trusts.
    #[must_use]
    pub fn foreign_client(&self, name: &str) -> Credentials {
        let request = ClientRequest::spiffe(&spiffe(name), a_day());
        Credentials {
            issued: must(
                self.foreign.issue_client(&request),
                "issue a client certificate",
            ),
        }
    }

    /// A certificate for servers, used by a client: the tree is right for neither.
    #[must_use]
    pub fn server_certificate_as_client(&self) -> Credentials {
        Credentials {
            issued: must(
                self.clients.issue_server(&["client.test"], a_day()),
                "issue a server certificate",
            ),
        }
    }

    /// A server certificate for these names (addresses too).
    #[must_use]
    pub fn server(&self, names: &[&str]) -> UpstreamCertificate {
        self.server_valid(names, a_day())
    }

    /// One that is valid at other times.
    #[must_use]
    pub fn server_valid(&self, names: &[&str], validity: Validity) -> UpstreamCertificate {
        let issued = must(
            self.servers.issue_server(names, validity),
            "issue a server certificate",
        );
        UpstreamCertificate {
            chain_pem: issued.certificate_pem,
            key_pem: issued.key_pem,
        }
    }

    /// A certificate of a workload: a SPIFFE id, and no other name but these.
    #[must_use]
    pub fn workload(&self, id: &str, names: &[&str]) -> UpstreamCertificate {
        let id = must(SpiffeId::parse(id), "read a SPIFFE id");
        let issued = must(
            self.servers.issue_workload(&id, names, a_day()),
            "issue a workload's certificate",
        );
        UpstreamCertificate {
            chain_pem: issued.certificate_pem,
            key_pem: issued.key_pem,
        }
    }

    /// The revocation list of the server tree, with these on it.
    #[must_use]
    pub fn servers_crl_pem(&self, revoked: &[&UpstreamCertificate], number: u64) -> String {
        let this_update = now() - 60;
        let serials: Vec<_> = revoked
            .iter()
            .map(|server| {
                let links = must(Identity::from_chain(&server.parse().0), "read a server").links;
                let serial = must(links.first().ok_or("no link"), "read a server").serial;
                (serial, this_update)
            })
            .collect();
        let list = self
            .servers
            .crl(&serials, this_update, now() + HOUR, number);
        must(list, "make a revocation list")
    }

    /// PEM of the stranger's authority.
    #[must_use]
    pub fn foreign_ca_pem(&self) -> &str {
        self.foreign.certificate_pem()
    }

    /// A server certificate of the stranger.
    #[must_use]
    pub fn foreign_server(&self, names: &[&str]) -> UpstreamCertificate {
        let issued = must(
            self.foreign.issue_server(names, a_day()),
            "issue a server certificate",
        );
        UpstreamCertificate {
            chain_pem: issued.certificate_pem,
            key_pem: issued.key_pem,
        }
    }

    /// PEM bundle that a listener trusts clients by: the root, and the intermediate for its revocation list.
    #[must_use]
    pub fn clients_ca_pem(&self) -> String {
        format!(
            "{}{}",
            self.clients.certificate_pem(),
            self.clients_root.certificate_pem()
        )
    }

    /// PEM of the root of the client tree alone.
    #[must_use]
    pub fn clients_root_pem(&self) -> &str {
        self.clients_root.certificate_pem()
    }

    /// PEM of the intermediate that signs clients.
    #[must_use]
    pub fn clients_intermediate_pem(&self) -> &str {
        self.clients.certificate_pem()
    }

    /// PEM bundle that clients trust the gateway by, and the gateway its upstreams.
    #[must_use]
    pub fn servers_ca_pem(&self) -> &str {
        self.servers.certificate_pem()
    }

    /// Both revocation lists of the client tree in one PEM file: the root's (empty) and the intermediate's with these
    /// certificates. `number` must grow from list to list.
    #[must_use]
    pub fn crl_pem(&self, revoked: &[&Credentials], number: u64) -> String {
        self.crl_pem_until(revoked, number, now() + HOUR)
    }

    /// The same, with certificates of these numbers: as many as a large authority has revoked.
    #[must_use]
    pub fn crl_pem_of(&self, serials: &[Serial], number: u64) -> String {
        let (this_update, next_update) = (now() - 60, now() + HOUR);
        let revoked: Vec<_> = serials
            .iter()
            .map(|serial| (*serial, this_update))
            .collect();
        let of_clients = self.clients.crl(&revoked, this_update, next_update, number);
        let of_root = self.clients_root.crl(&[], this_update, next_update, number);
        must(of_clients, "make a revocation list") + &must(of_root, "make a revocation list")
    }

    /// The same, due at another time.
    #[must_use]
    pub fn crl_pem_until(
        &self,
        revoked: &[&Credentials],
        number: u64,
        next_update: UnixSeconds,
    ) -> String {
        let this_update = next_update.min(now()) - 60;
        let serials: Vec<_> = revoked
            .iter()
            .map(|client| (client.issued.serial, this_update))
            .collect();
        let of_root = must(
            self.clients_root
                .crl(&[], this_update, now() + HOUR, number),
            "make a revocation list",
        );
        let of_clients = must(
            self.clients.crl(&serials, this_update, next_update, number),
            "make a revocation list",
        );
        format!("{of_clients}{of_root}")
    }

    /// Both lists, the root's with the intermediate on it.
    #[must_use]
    pub fn crl_of_revoked_intermediate_pem(&self, number: u64) -> String {
        let this_update = now() - 60;
        let der = CertificateDer::from_pem_slice(self.clients.certificate_pem().as_bytes());
        let der = must(der, "read the intermediate");
        let links = must(Identity::from_chain(&[der]), "read the intermediate").links;
        let serial = must(links.first().ok_or("no link"), "read the intermediate").serial;
        let until = now() + HOUR;
        let of_root = self
            .clients_root
            .crl(&[(serial, this_update)], this_update, until, number);
        let of_clients = self.clients.crl(&[], this_update, until, number);
        let make = "make a revocation list";
        format!("{}{}", must(of_clients, make), must(of_root, make))
    }

    /// The roots of the server tree, for clients.
    #[must_use]
    pub fn servers_roots(&self) -> Arc<RootCertStore> {
        Arc::new(root_store(self.servers_ca_pem()))
    }

    /// The roots of the client tree, for an upstream that wants to see a certificate.
    #[must_use]
    pub fn clients_roots(&self) -> Arc<RootCertStore> {
        Arc::new(root_store(self.clients_root.certificate_pem()))
    }
}

impl Default for TestPki {
    fn default() -> Self {
        Self::new()
    }
}

impl Credentials {
    /// Chain and key as rustls wants them.
    #[must_use]
    pub fn parse(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        parse_pem(&self.issued.certificate_pem, &self.issued.key_pem)
    }
}

impl fmt::Display for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "certificate {}", self.issued.serial)
    }
}

impl UpstreamCertificate {
    /// Chain and key as rustls wants them.
    #[must_use]
    pub fn parse(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        parse_pem(&self.chain_pem, &self.key_pem)
    }
}

/// Seconds since 1970.
#[must_use]
pub fn now() -> UnixSeconds {
    let since = must(
        SystemTime::now().duration_since(UNIX_EPOCH),
        "read the clock",
    );
    UnixSeconds::try_from(since.as_secs()).unwrap_or(UnixSeconds::MAX)
}

fn a_day() -> Validity {
    Validity {
        not_before: now() - HOUR,
        not_after: now() + 24 * HOUR,
    }
}

fn spiffe(name: &str) -> SpiffeId {
    must(
        SpiffeId::parse(&format!("spiffe://gov.test/{name}")),
        "make a SPIFFE id",
    )
}

fn parse_pem(chain: &str, key: &str) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain.as_bytes()).collect();
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes());
    (must(chain, "read a chain"), must(key, "read a key"))
}

fn root_store(pem: &str) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        must(
            roots.add(must(certificate, "read a certificate")),
            "trust a certificate",
        );
    }
    roots
}

const HOUR: i64 = 3600;
