//! The servers behind the gateway: the right one, and not another of the same CA.

use std::sync::Arc;

use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::{ServerName, UnixTime};

use super::{DAY, NOW, ders};
use crate::authority::Authority;
use crate::identity::{Identity, sha256};
use crate::issue::{ClientRequest, Issued, Validity};
use crate::revocation::{RevocationIndex, Uncovered};
use crate::server_verifier::{ExpectedServer, ServerError, ServerVerifier};
use crate::spiffe::SpiffeId;
use crate::trust::TrustBundle;

fn validity() -> Validity {
    Validity::days(NOW - DAY, 30)
}

fn verifier(
    root: &Authority,
    expected: ExpectedServer,
    revoked: Option<&Issued>,
) -> ServerVerifier {
    let trust = TrustBundle::from_pem("upstream", root.certificate_pem().as_bytes(), NOW).unwrap();
    let index = match revoked {
        Some(issued) => {
            let list = root
                .crl(&[(issued.serial, NOW - 60)], NOW - 60, NOW + DAY, 1)
                .unwrap();
            RevocationIndex::load(&[("root.crl", list.as_bytes())], &trust, NOW).unwrap()
        }
        None => RevocationIndex::empty(Uncovered::Accepted),
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ServerVerifier::new(Arc::new(trust), Arc::new(index), expected, provider)
}

fn judge(verifier: &ServerVerifier, server: &Issued, requested: &str) -> Result<(), ServerError> {
    let chain = ders(&server.certificate_pem);
    let requested = ServerName::try_from(requested.to_owned()).unwrap();
    let judged = verifier.chain(&chain[0], &chain[1..], &requested, NOW);
    // The handshake says the same, and carries the reason.
    let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(NOW as u64));
    let shaken = verifier.verify_server_cert(&chain[0], &chain[1..], &requested, &[], now);
    assert_eq!(
        shaken.as_ref().err().and_then(ServerVerifier::reason),
        judged.as_ref().err()
    );
    judged.map(|_chain| ())
}

#[test]
fn a_server_of_the_right_ca_and_another_name_is_refused() {
    let root = Authority::new_root("Root", validity()).unwrap();
    let tax = SpiffeId::parse("spiffe://gov.example/tax").unwrap();
    let audit = SpiffeId::parse("spiffe://gov.example/audit").unwrap();
    let server = root
        .issue_workload(&tax, &["tax.internal", "10.0.0.7"], validity())
        .unwrap();
    let key = Identity::from_chain(&ders(&server.certificate_pem))
        .unwrap()
        .key_fingerprint;
    let uri = |text: &str| ExpectedServer::Uri(text.to_owned());
    for (expected, requested, is_right) in [
        (ExpectedServer::RequestedName, "tax.internal", true),
        (ExpectedServer::RequestedName, "10.0.0.7", true),
        (ExpectedServer::RequestedName, "audit.internal", false),
        (
            ExpectedServer::Spiffe(tax.clone()),
            "anything.internal",
            true,
        ),
        (ExpectedServer::Spiffe(audit), "tax.internal", false),
        (uri("spiffe://gov.example/tax"), "tax.internal", true),
        (uri("spiffe://gov.example/TAX"), "tax.internal", false),
        (ExpectedServer::Key(key), "tax.internal", true),
        (
            ExpectedServer::Key(sha256(b"another")),
            "tax.internal",
            false,
        ),
    ] {
        let judged = judge(&verifier(&root, expected.clone(), None), &server, requested);
        match judged {
            Ok(()) => assert!(is_right, "{expected:?}"),
            Err(error) => assert!(
                !is_right && error.code() == "wrong_server",
                "{expected:?}: {error}"
            ),
        }
    }
    let error = judge(
        &verifier(&root, ExpectedServer::RequestedName, None),
        &server,
        "audit.internal",
    )
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the server is `spiffe://gov.example/tax`, `tax.internal`, `10.0.0.7` and not `audit.internal`"
    );
}

#[test]
fn a_server_is_judged_as_strictly_as_a_client() {
    let root = Authority::new_root("Root", validity()).unwrap();
    let other = Authority::new_root("Other", validity()).unwrap();
    let good = root.issue_server(&["tax.internal"], validity()).unwrap();
    let stranger = other.issue_server(&["tax.internal"], validity()).unwrap();
    let client = root
        .issue_client(&ClientRequest::named("tax.internal", validity()))
        .unwrap();
    let code = |revoked, server| {
        judge(
            &verifier(&root, ExpectedServer::RequestedName, revoked),
            server,
            "tax.internal",
        )
        .map_err(|error| error.code())
    };
    assert_eq!(code(None, &good), Ok(()));
    assert_eq!(code(Some(&good), &good), Err("revoked"));
    assert_eq!(code(None, &stranger), Err("unknown_issuer"));
    assert_eq!(code(None, &client), Err("bad_usage"));
}
