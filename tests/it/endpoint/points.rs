//! Revocation lists from where the certificates themselves say that they are published.

use std::sync::{Arc, Mutex};

use hangu_certs::{ClientRequest, SpiffeId, Validity};
use hangu_tests::{
    Answer, Credentials, GatewayFolder, RunningGateway, TestPki, TestUpstream, now, wait_until,
};

use crate::support::gateway;

/// A server that publishes what it is given, and a gateway that has the root's list only, with this line about distribution points.
struct World {
    publisher: TestUpstream,
    list: Arc<Mutex<String>>,
    folder: GatewayFolder,
    _upstream: TestUpstream,
}

fn world(line: impl FnOnce(&TestUpstream) -> String) -> World {
    let list = Arc::new(Mutex::new(String::new()));
    let published = Arc::clone(&list);
    let publisher = TestUpstream::answering(move |_| {
        let list = published.lock().unwrap().clone();
        Answer::Reply(200, Vec::new(), list.into_bytes())
    });
    let upstream = TestUpstream::named("records");
    let folder = gateway()
        .records(upstream.address())
        .listener(&line(&publisher))
        .table("[crl_fetch]\nevery = \"1s\"")
        .prepare();
    *list.lock().unwrap() = folder.pki().crl_pem(&[], 2);
    let end = "-----END X509 CRL-----\n";
    let both = folder.pki().crl_pem(&[], 1);
    let (_of_clients, of_root) = both.split_once(end).unwrap();
    folder.write("certs/clients.crl.pem", of_root);
    World {
        publisher,
        list,
        folder,
        _upstream: upstream,
    }
}

fn clerk(pki: &TestPki, urls: &[String]) -> Credentials {
    let id = SpiffeId::parse("spiffe://gov.test/clerk").unwrap();
    pki.client_of(&ClientRequest {
        crl_urls: urls.to_vec(),
        ..ClientRequest::spiffe(&id, Validity::days(now() - 60, 1))
    })
}

fn is_let_in(gateway: &RunningGateway, client: &Credentials) -> bool {
    let response = gateway.client_with(Some(client)).get("/");
    response.is_ok_and(|response| response.status == 200)
}

fn refused(gateway: &RunningGateway, reason: &str) -> f64 {
    let labels = [("reason", reason)];
    gateway
        .metrics()
        .sum("hangu_crl_points_refused_total", &labels)
}

fn host_of(publisher: &TestUpstream) -> String {
    format!("crl_hosts = [\"{}\"]", publisher.address())
}

#[test]
fn the_list_of_a_distribution_point_is_fetched_from_a_listed_host_and_kept() {
    let world = world(host_of);
    let url = format!("http://{}/clients.crl", world.publisher.address());
    let pki = world.folder.pki();
    let (good, mole) = (
        clerk(pki, std::slice::from_ref(&url)),
        clerk(pki, std::slice::from_ref(&url)),
    );
    let gateway = world.folder.start();
    assert!(!is_let_in(&gateway, &good), "nobody knows yet");
    wait_until("the list", || is_let_in(&gateway, &good));
    assert!(is_let_in(&gateway, &mole));
    gateway.wait_for_metric("hangu_crl_points", &[], 1.0);
    *world.list.lock().unwrap() = gateway.pki().crl_pem(&[&mole], 3);
    wait_until("the revocation to count", || !is_let_in(&gateway, &mole));
    assert!(is_let_in(&gateway, &good));

    // After a restart it is there without a network, and asked for anew.
    *world.list.lock().unwrap() = String::new();
    let gateway = gateway.into_folder().start();
    assert!(is_let_in(&gateway, &good) && !is_let_in(&gateway, &mole));
    let asked = world.publisher.count();
    wait_until("a fetch after the restart", || {
        world.publisher.count() > asked
    });
    assert!(is_let_in(&gateway, &good) && !is_let_in(&gateway, &mole));
}

#[test]
fn nothing_is_fetched_from_a_host_that_is_not_listed() {
    let world = world(|_| "crl_hosts = [\"127.0.0.1:1\"]".to_owned());
    let address = world.publisher.address();
    let elsewhere = [
        format!("http://{address}/clients.crl"),
        format!("https://{address}/clients.crl"),
    ];
    let client = clerk(world.folder.pki(), &elsewhere);
    let gateway = world.folder.start();
    assert!(!is_let_in(&gateway, &client));
    wait_until("both to be refused", || {
        refused(&gateway, "host") == 1.0 && refused(&gateway, "form") == 1.0
    });
    let looked = gateway.client("clerk");
    assert!(
        looked.get("/").is_err(),
        "without a point there is no list either"
    );
    assert_eq!(world.publisher.count(), 0);
}

#[test]
fn no_spelling_of_a_point_leads_to_another_host() {
    let world = world(host_of);
    let address = world.publisher.address();
    let port = address.port();
    let tricks = [
        "http://127.0.0.1/admin".to_owned(),
        format!("http://{address}@127.0.0.2/a.crl"),
        format!("http://user:{port}@{address}/a.crl"),
        format!("http://127.0.0.1.:{port}/a.crl"),
        format!("http://localhost:{port}/a.crl"),
        format!("http://127.1:{port}/a.crl"),
        format!("http://[::ffff:127.0.0.1]:{port}/a.crl"),
        format!("http://127.0.0.1:0{port}1/a.crl"),
        format!("http://{address}#/a.crl"),
        format!("//{address}/a.crl"),
        format!("http:{address}/a.crl"),
    ];
    // So many are read of one certificate.
    let clients: Vec<_> = tricks
        .chunks(4)
        .map(|some| clerk(world.folder.pki(), some))
        .collect();
    let gateway = world.folder.start();
    for client in &clients {
        assert!(!is_let_in(&gateway, client));
    }
    wait_until("each to be refused", || {
        refused(&gateway, "host") + refused(&gateway, "form") == tricks.len() as f64
    });
    gateway.wait_for_metric("hangu_crl_points", &[], 0.0);
    assert_eq!(world.publisher.count(), 0);
}

#[test]
fn of_a_certificate_with_a_hundred_points_four_are_followed() {
    let world = world(host_of);
    let address = world.publisher.address();
    let urls: Vec<String> = (0..100)
        .map(|number| format!("http://{address}/{number}.crl"))
        .collect();
    let client = clerk(world.folder.pki(), &urls);
    let gateway = world.folder.start();
    assert!(!is_let_in(&gateway, &client));
    gateway.wait_for_metric("hangu_crl_points", &[], 4.0);
}

#[test]
fn a_stranger_teaches_no_distribution_point() {
    let world = world(host_of);
    let url = format!("http://{}/clients.crl", world.publisher.address());
    let stranger = clerk(&TestPki::new(), &[url]);
    let gateway = world.folder.start();
    assert!(!is_let_in(&gateway, &stranger));
    let untrusted = [("result", "endpoint.certificate_untrusted")];
    gateway.wait_for_metric("hangu_handshakes_total", &untrusted, 1.0);
    gateway.wait_for_metric("hangu_crl_points", &[], 0.0);
    assert_eq!(world.publisher.count(), 0);
}
