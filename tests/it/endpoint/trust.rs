//! What happens to those who are connected when whom the gateway trusts changes.

use hangu_tests::{Application, TestPki, TestUpstream};
use rustls::AlertDescription;

use super::{assert_ended, assert_handshake_refused};
use crate::support::{assert_allowed, gateway, records};

#[test]
fn an_authority_that_is_not_trusted_any_more_takes_its_open_connections_along() {
    let (gateway, upstream) = records();
    let mut connection = gateway.client("clerk").connect().unwrap();
    assert_eq!(connection.get("/").unwrap().status, 200);
    let other = TestPki::new();
    gateway
        .folder()
        .write("certs/clients-ca.pem", &other.clients_ca_pem());
    gateway
        .folder()
        .write("certs/clients.crl.pem", &other.crl_pem(&[], 2));
    gateway.reload();
    assert_ended(&gateway, &mut connection, "endpoint.certificate_untrusted");
    assert_eq!(upstream.count(), 1);
    let client = gateway.client("clerk");
    let alert = AlertDescription::CertificateUnknown;
    assert_handshake_refused(
        &gateway,
        &client,
        alert,
        "endpoint.certificate_untrusted",
        "anew",
    );
    let of_the_other = other.client("clerk");
    let response = gateway.client_with(Some(&of_the_other)).get("/").unwrap();
    assert_allowed(&gateway, &response);
}

#[test]
fn a_revoked_intermediate_takes_everybody_below_it_along() {
    let (mut gateway, upstream) = records();
    let mut connection = gateway.client("clerk").connect().unwrap();
    assert_eq!(connection.get("/").unwrap().status, 200);
    let crl = gateway.pki().crl_of_revoked_intermediate_pem(2);
    gateway.change(|world| world.crl(&crl));
    assert_ended(&gateway, &mut connection, "endpoint.revoked");
    assert_eq!(upstream.count(), 1);
    let alert = AlertDescription::CertificateUnknown;
    assert_handshake_refused(
        &gateway,
        &gateway.client("reader"),
        alert,
        "endpoint.revoked",
        "another one below it",
    );
}

#[test]
fn without_any_revocation_list_nobody_is_refused_for_want_of_one() {
    let upstream = TestUpstream::named("records");
    let folder = gateway()
        .application(Application::new("records").upstream(upstream.address()))
        .prepare();
    let config = folder
        .read("hangu.toml")
        .replace("crls = [\"certs/clients.crl.pem\"]", "crls = []");
    folder.write("hangu.toml", &config);
    let gateway = folder.start();
    assert_allowed(&gateway, &gateway.client("clerk").get("/").unwrap());
}

#[test]
fn an_older_revocation_list_does_not_replace_a_newer_one() {
    let upstream = TestUpstream::named("records");
    let world = gateway().records(upstream.address());
    let mole = world.pki().client("clerk");
    let (newer, older) = (
        world.pki().crl_pem(&[&mole], 7),
        world.pki().crl_pem(&[], 6),
    );
    let gateway = world.crl(&newer).start();
    gateway.folder().write("certs/clients.crl.pem", &older);
    gateway.reload_refused();
    let client = gateway.client_with(Some(&mole));
    assert_handshake_refused(
        &gateway,
        &client,
        AlertDescription::CertificateUnknown,
        "endpoint.revoked",
        "still",
    );
}
