//! Real handshakes in memory: what the gateway learns, and what the peer does not.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use rustls::{
    AlertDescription, ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection,
};

use super::ders;
use crate::authority::Authority;
use crate::issue::{ClientRequest, Issued, Validity};
use crate::revocation::{RevocationIndex, Uncovered};
use crate::server_certificate::ServerCertificate;
use crate::trust::TrustBundle;
use crate::verifier::{ClientAuthentication, ClientVerifier};

/// These take place when the test runs, since rustls passes the time itself.
fn today() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs() as i64
}

fn validity() -> Validity {
    Validity::days(today() - 3600, 30)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

struct Pki {
    root: Authority,
    issuing: Authority,
}

impl Pki {
    fn new() -> Pki {
        let root = Authority::new_root("Test Root", validity()).unwrap();
        let issuing = root.new_intermediate("Test Issuing", validity()).unwrap();
        Pki { root, issuing }
    }

    fn verifier(&self, revoked: &[&Issued], required: ClientAuthentication) -> Arc<ClientVerifier> {
        let now = today();
        let pem = format!(
            "{}{}",
            self.root.certificate_pem(),
            self.issuing.certificate_pem()
        );
        let trust = TrustBundle::from_pem("clients", pem.as_bytes(), now).unwrap();
        let of_root = self.root.crl(&[], now - 60, now + 3600, 1).unwrap();
        let serials: Vec<_> = revoked
            .iter()
            .map(|issued| (issued.serial, now - 60))
            .collect();
        let of_issuing = self.issuing.crl(&serials, now - 60, now + 3600, 1).unwrap();
        let lists = [
            ("root.crl", of_root.as_bytes()),
            ("issuing.crl", of_issuing.as_bytes()),
        ];
        let index = RevocationIndex::load(&lists, &trust, now).unwrap();
        Arc::new(ClientVerifier::new(
            Arc::new(trust),
            Arc::new(index),
            required,
            provider(),
        ))
    }

    /// Shakes hands and gives both sides' outcome.
    fn shake(
        &self,
        verifier: &Arc<ClientVerifier>,
        client: Option<&Issued>,
    ) -> (
        Result<ServerConnection, rustls::Error>,
        Result<(), rustls::Error>,
    ) {
        let server = self
            .issuing
            .issue_server(&["gate.example"], validity())
            .unwrap();
        let own = ServerCertificate::from_pem(
            "gate.pem",
            server.certificate_pem.as_bytes(),
            server.key_pem.as_bytes(),
            &["gate.example"],
            today(),
            &provider(),
        )
        .unwrap();
        let mut server_config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(Arc::clone(verifier) as Arc<_>)
            .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(
                own.key.as_ref().clone(),
            )));
        server_config.send_tls13_tickets = 0;
        let mut roots = RootCertStore::empty();
        ders(self.root.certificate_pem())
            .into_iter()
            .for_each(|root| roots.add(root).unwrap());
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let client_config = match client {
            Some(issued) => builder
                .with_client_auth_cert(
                    ders(&issued.certificate_pem),
                    PrivateKeyDer::from_pem_slice(issued.key_pem.as_bytes()).unwrap(),
                )
                .unwrap(),
            None => builder.with_no_client_auth(),
        };
        let name = ServerName::try_from("gate.example").unwrap();
        let mut client = ClientConnection::new(Arc::new(client_config), name).unwrap();
        let mut server = ServerConnection::new(Arc::new(server_config)).unwrap();
        let mut at_client = Ok(());
        let mut at_server = Ok(());
        for _flight in 0..6 {
            let mut wire = Vec::new();
            client.write_tls(&mut wire).unwrap();
            server.read_tls(&mut wire.as_slice()).unwrap();
            at_server = at_server.and(server.process_new_packets().map(|_state| ()));
            let mut wire = Vec::new();
            server.write_tls(&mut wire).unwrap();
            client.read_tls(&mut wire.as_slice()).unwrap();
            at_client = at_client.and(client.process_new_packets().map(|_state| ()));
        }
        assert!(
            at_server.is_err() || !server.is_handshaking(),
            "the handshake must come to an end"
        );
        (at_server.map(|()| server), at_client)
    }
}

fn alice(pki: &Pki) -> Issued {
    pki.issuing
        .issue_client(&ClientRequest::named("alice", validity()))
        .unwrap()
}

#[test]
fn after_a_handshake_the_gateway_knows_the_verified_chain() {
    let pki = Pki::new();
    let verifier = pki.verifier(&[], ClientAuthentication::Required);
    let (server, client) = pki.shake(&verifier, Some(&alice(&pki)));
    assert_eq!(client, Ok(()));
    let server = server.unwrap();
    let chain = verifier
        .chain(server.peer_certificates().unwrap(), today())
        .unwrap();
    assert_eq!(chain.identity.common_name.as_deref(), Some("alice"));
    assert_eq!(chain.certificates.len(), 3);
    assert_eq!(chain.identity.links.len(), 2);
}

#[test]
fn a_revoked_client_gets_an_alert_that_tells_nothing_and_the_gateway_the_reason() {
    let pki = Pki::new();
    let alice = alice(&pki);
    let verifier = pki.verifier(&[&alice], ClientAuthentication::Required);
    let (server, client) = pki.shake(&verifier, Some(&alice));
    let error = server.unwrap_err();
    let reason = ClientVerifier::reason(&error).unwrap();
    assert_eq!(
        (reason.code(), reason.depth, reason.subject.as_str()),
        ("revoked", 0, "CN=alice")
    );
    assert_eq!(
        client,
        Err(rustls::Error::AlertReceived(
            AlertDescription::CertificateUnknown
        ))
    );
}

#[test]
fn every_refusal_looks_the_same_on_the_wire() {
    let pki = Pki::new();
    let stranger = Pki::new();
    let expired = Validity {
        not_before: today() - 7200,
        not_after: today() - 3600,
    };
    let clients = [
        (alice(&stranger), "bad_signature"),
        (
            pki.issuing
                .issue_client(&ClientRequest::named("late", expired))
                .unwrap(),
            "expired",
        ),
        (
            pki.issuing
                .issue_server(&["gate.example"], validity())
                .unwrap(),
            "bad_usage",
        ),
    ];
    let verifier = pki.verifier(&[], ClientAuthentication::Optional);
    for (client, code) in &clients {
        let (server, at_client) = pki.shake(&verifier, Some(client));
        assert_eq!(
            ClientVerifier::reason(&server.unwrap_err()).unwrap().code(),
            *code
        );
        assert_eq!(
            at_client,
            Err(rustls::Error::AlertReceived(
                AlertDescription::CertificateUnknown
            )),
            "{code}"
        );
    }
}

#[test]
fn a_certificate_is_required_only_where_it_is_required() {
    let pki = Pki::new();
    let optional = pki.verifier(&[], ClientAuthentication::Optional);
    let (server, client) = pki.shake(&optional, None);
    assert_eq!(client, Ok(()));
    assert!(server.unwrap().peer_certificates().is_none());
    assert_eq!(
        optional.chain(&[], today()).unwrap_err().code(),
        "no_certificate"
    );
    let required = pki.verifier(&[], ClientAuthentication::Required);
    let (server, _client) = pki.shake(&required, None);
    assert_eq!(server.unwrap_err(), rustls::Error::NoCertificatesPresented);
}

#[test]
fn what_the_cache_remembers_is_judged_again() {
    let pki = Pki::new();
    let presented = ders(&alice(&pki).certificate_pem);
    let verifier = pki.verifier(&[], ClientAuthentication::Required);
    let first = verifier.chain(&presented, today()).unwrap();
    assert!(
        Arc::ptr_eq(&first, &verifier.chain(&presented, today()).unwrap()),
        "the second time costs no signature check"
    );
    assert_eq!(
        verifier
            .chain(&presented, today() + 31 * 86_400)
            .unwrap_err()
            .code(),
        "expired"
    );
    assert_eq!(
        verifier
            .chain(&presented, today() + 7200)
            .unwrap_err()
            .code(),
        "revocation_list_expired"
    );
    // Without lists, too, an unchecked bundle stays a bundle of its own.
    let trust =
        TrustBundle::from_pem("clients", pki.root.certificate_pem().as_bytes(), today()).unwrap();
    let unchecked = RevocationIndex::empty(Uncovered::Accepted);
    let other = ClientVerifier::new(
        Arc::new(trust),
        Arc::new(unchecked),
        ClientAuthentication::Required,
        provider(),
    );
    assert!(!Arc::ptr_eq(
        &first,
        &other.chain(&presented, today()).unwrap()
    ));
}
