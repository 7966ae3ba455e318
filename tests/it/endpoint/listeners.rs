//! Several listeners in one process: each serves what it has a certificate for, to those whom it trusts.

use std::net::{Ipv4Addr, SocketAddr};

use hangu_tests::{
    Application, Client, Credentials, RunningGateway, TestPki, TestUpstream, free_port,
};

use crate::support::{assert_refused, gateway};

#[test]
fn an_application_answers_only_at_listeners_that_have_its_certificate() {
    let (inner, outer) = (TestUpstream::named("records"), TestUpstream::named("outer"));
    let guests = TestPki::new();
    let second = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
    let folder = gateway()
        .records(inner.address())
        .application(Application::new("outer").upstream(outer.address()))
        .table("[identity]\n[identity.authorities]\nclients = [\"CN=Test clients root\"]")
        .table(&format!(
            "[[listeners]]\nname = \"guests\"\naddress = \"{second}\"\nclient_ca = \"certs/guests-ca.pem\"\n\
             [[listeners.certificates]]\nhosts = [\"outer.test\"]\nchain = \"certs/server.pem\"\nkey = \"certs/server.key\""
        ))
        .prepare();
    folder.write("certs/guests-ca.pem", &guests.clients_ca_pem());
    let gateway = folder.start();
    let guest = guests.client("clerk");
    let without_sni = nameless(&gateway, second, &guest);

    let response = without_sni
        .exchange(b"GET / HTTP/1.1\r\nHost: records.test\r\n\r\n")
        .unwrap();
    assert_refused(&gateway, &response, 404, "cloud.no_application");
    assert!(
        nameless(&gateway, second, &guest)
            .named("records.test")
            .get("/")
            .is_err(),
        "nor with the name: the listener has no such certificate"
    );
    assert!(
        nameless(&gateway, gateway.address(), &guest)
            .get("/")
            .is_err(),
        "the other listener does not know the guest"
    );
    assert_eq!(inner.count(), 0);

    let own = without_sni
        .exchange(b"GET / HTTP/1.1\r\nHost: outer.test\r\n\r\n")
        .unwrap();
    assert_eq!((own.status, own.text().as_str()), (200, "outer"));
}

/// A client that asks for an address, and so sends no name in the handshake.
fn nameless(gateway: &RunningGateway, address: SocketAddr, credentials: &Credentials) -> Client {
    Client::new(gateway.pki(), address, "127.0.0.1", Some(credentials))
}
