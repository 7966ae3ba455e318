//! The gateway's own certificate: loaded only when it will work.

use super::{DAY, NOW};
use crate::authority::Authority;
use crate::issue::{ClientRequest, Issued, Validity};
use crate::server_certificate::{ServerCertificate, ServerCertificateError};

fn validity() -> Validity {
    Validity::days(NOW - DAY, 30)
}

fn load(
    chain: &str,
    key: &str,
    hosts: &[&str],
    now: i64,
) -> Result<ServerCertificate, ServerCertificateError> {
    let provider = rustls::crypto::ring::default_provider();
    ServerCertificate::from_pem(
        "gate.pem",
        chain.as_bytes(),
        key.as_bytes(),
        hosts,
        now,
        &provider,
    )
}

fn issued() -> (Authority, Issued) {
    let root = Authority::new_root("Root", Validity::days(NOW - DAY, 60)).unwrap();
    let issuing = root
        .new_intermediate("Issuing", Validity::days(NOW - DAY, 20))
        .unwrap();
    let issued = issuing
        .issue_server(&["gate.example", "*.apps.example", "10.0.0.1"], validity())
        .unwrap();
    (root, issued)
}

#[test]
fn a_certificate_for_its_hosts_is_loaded_with_its_dates() {
    let (_root, issued) = issued();
    let hosts = ["gate.example", "tax.apps.example", "10.0.0.1"];
    let loaded = load(&issued.certificate_pem, &issued.key_pem, &hosts, NOW).unwrap();
    assert_eq!(loaded.key.cert.len(), 2);
    assert_eq!(
        loaded.not_after,
        NOW + 19 * DAY,
        "the intermediate ends first"
    );
    assert_eq!(loaded.expiries[0].subject, "CN=gate.example");
}

fn refused(chain: &str, key: &str, hosts: &[&str], now: i64, part: &str) {
    let message = load(chain, key, hosts, now).unwrap_err().to_string();
    assert!(
        message.starts_with("certificate `gate.pem`: ") && message.contains(part),
        "{message}"
    );
}

#[test]
fn files_that_do_not_hold_a_matching_pair_are_refused() {
    let (root, good) = issued();
    let (chain, key) = (good.certificate_pem.as_str(), good.key_pem.as_str());
    let other = root.issue_server(&["gate.example"], validity()).unwrap();
    let two_keys = format!("{key}{}", other.key_pem);
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let mut blocks: Vec<&str> = chain
        .split_inclusive("-----END CERTIFICATE-----\n")
        .collect();
    blocks.reverse();
    for (chain, key, part) in [
        ("", key, "the file holds no certificate"),
        (chain, "", "the key file holds no private key"),
        (chain, chain, "the key file holds no private key"),
        (chain, &two_keys, "more than one private key"),
        (chain, encrypted, "the private key is encrypted"),
        (
            chain,
            &other.key_pem,
            "the private key is not the certificate's",
        ),
        (
            &blocks.concat(),
            key,
            "certificate 2 of the chain is not the issuer",
        ),
    ] {
        refused(chain, key, &[], NOW, part);
    }
}

#[test]
fn a_certificate_that_clients_would_refuse_is_refused() {
    let (root, good) = issued();
    let (chain, key) = (good.certificate_pem.as_str(), good.key_pem.as_str());
    let client = root
        .issue_client(&ClientRequest::named("alice", validity()))
        .unwrap();
    let elsewhere = "it is not for `portal.example` (it is for gate.example, *.apps.example)";
    refused(chain, key, &["portal.example"], NOW, elsewhere);
    refused(
        chain,
        key,
        &["a.b.apps.example"],
        NOW,
        "it is not for `a.b.apps.example`",
    );
    refused(
        chain,
        key,
        &["not a host"],
        NOW,
        "it is not for `not a host`",
    );
    refused(chain, key, &[], NOW + 25 * DAY, "`CN=Issuing` expired at");
    refused(chain, key, &[], NOW - 2 * DAY, "is not valid before");
    refused(
        &client.certificate_pem,
        &client.key_pem,
        &[],
        NOW,
        "lacks serverAuth",
    );
    refused(
        root.certificate_pem(),
        root.key_pem(),
        &[],
        NOW,
        "a CA's certificate",
    );
}
