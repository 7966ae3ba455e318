//! Who an upstream is: proven by authority and name, SPIFFE id or URI, on a connection that no other trust ever uses.

use hangu_certs::{Authority, Validity};
use hangu_tests::{Answer, Application, TestUpstream, UpstreamCertificate, UpstreamTls};

use super::over_tls;
use crate::support::{assert_allowed, assert_refused, gateway};

fn upstream(certificate: UpstreamCertificate) -> TestUpstream {
    let tls = UpstreamTls {
        certificate,
        clients: None,
    };
    TestUpstream::tls(&tls, |_| Answer::ok("proven"))
}

#[test]
fn an_upstream_can_be_pinned_by_its_spiffe_id_or_by_a_uri() {
    let world = gateway();
    let id = "spiffe://gov.test/records";
    for (pin, certificate, proves) in [
        (
            format!("spiffe_id = \"{id}\""),
            world.pki().workload(id, &[]),
            true,
        ),
        (
            format!("uri = \"{id}\""),
            world.pki().workload(id, &[]),
            true,
        ),
        (
            format!("spiffe_id = \"{id}\""),
            world
                .pki()
                .workload("spiffe://gov.test/other", &["app.internal"]),
            false,
        ),
        (
            format!("spiffe_id = \"{id}\""),
            world.pki().server(&["app.internal"]),
            false,
        ),
        (
            format!("uri = \"{id}/\""),
            world.pki().workload(id, &["app.internal"]),
            false,
        ),
        (String::new(), world.pki().workload(id, &[]), false),
    ] {
        let upstream = upstream(certificate);
        let gateway = over_tls(world.clone(), upstream.address(), &pin);
        let response = gateway.client("clerk").get("/").unwrap();
        if proves {
            assert_allowed(&gateway, &response);
        } else {
            assert_refused(&gateway, &response, 502, "cloud.upstream_identity");
            assert_eq!(upstream.count(), 0, "{pin}: nothing may be said to it");
        }
    }
}

#[test]
fn a_revoked_upstream_is_not_spoken_to_not_even_over_a_connection_that_is_open() {
    let world = gateway();
    let own = world.pki().server(&["app.internal"]);
    let upstream = upstream(own.clone());
    let folder = world
        .application(
            Application::new("records")
                .upstream(upstream.address())
                .upstream_tls(
                    "ca = \"certs/servers-ca.pem\"\nserver_name = \"app.internal\"\ncrls = [\"certs/servers.crl.pem\"]",
                ),
        )
        .prepare();
    folder.write(
        "certs/servers.crl.pem",
        &folder.pki().servers_crl_pem(&[], 1),
    );
    let gateway = folder.start();
    let client = gateway.client("clerk");
    for _ in 0..3 {
        assert_allowed(&gateway, &client.get("/").unwrap());
    }
    assert_eq!(
        upstream.connections(),
        2,
        "one to judge it, one that is kept for the requests"
    );
    let list = gateway.pki().servers_crl_pem(&[&own], 2);
    gateway.folder().write("certs/servers.crl.pem", &list);
    gateway.reload();
    let response = client.get("/").unwrap();
    assert_refused(&gateway, &response, 502, "cloud.upstream_identity");
    assert_eq!(upstream.count(), 3);
}

#[test]
fn the_list_of_an_intermediate_of_upstreams_counts() {
    let now = hangu_tests::now();
    let validity = Validity::days(now - 60, 1);
    let root = Authority::new_root("Upstreams", validity).unwrap();
    let issuing = root.new_intermediate("Issuing", validity).unwrap();
    let issued = issuing.issue_server(&["app.internal"], validity).unwrap();
    let upstream = upstream(UpstreamCertificate {
        chain_pem: issued.certificate_pem.clone(),
        key_pem: issued.key_pem.clone(),
    });
    let tls = "ca = \"certs/upstreams.pem\"\nserver_name = \"app.internal\"\ncrls = [\"certs/upstreams.crl.pem\"]";
    let folder = gateway()
        .application(
            Application::new("records")
                .upstream(upstream.address())
                .upstream_tls(&format!("{tls}\nintermediates = \"certs/issuing.pem\"")),
        )
        .prepare();
    let lists = |revoked: &[(hangu_certs::Serial, i64)], number: u64| {
        let of_root = root.crl(&[], now - 60, now + 3600, number).unwrap();
        let of_issuing = issuing.crl(revoked, now - 60, now + 3600, number).unwrap();
        format!("{of_root}{of_issuing}")
    };
    folder.write("certs/upstreams.pem", root.certificate_pem());
    folder.write("certs/issuing.pem", issuing.certificate_pem());
    folder.write("certs/upstreams.crl.pem", &lists(&[], 1));
    let gateway = folder.start();
    let client = gateway.client("clerk");
    assert_allowed(&gateway, &client.get("/").unwrap());
    let revoked = lists(&[(issued.serial, now - 60)], 2);
    gateway.folder().write("certs/upstreams.crl.pem", &revoked);
    gateway.reload();
    let response = client.get("/").unwrap();
    assert_refused(&gateway, &response, 502, "cloud.upstream_identity");
    assert_eq!(upstream.count(), 1);

    // Without the intermediate nobody could verify its list, and a stranger's is no intermediate.
    let folder = gateway.into_folder();
    let strangers = hangu_tests::TestPki::new();
    for (intermediate, says) in [
        (root.certificate_pem(), "`CN=Issuing`"),
        (
            strangers.servers_ca_pem(),
            "no authority of the bundle has signed it",
        ),
    ] {
        folder.write("certs/issuing.pem", intermediate);
        let checked = folder.check();
        let said = String::from_utf8_lossy(&checked.stderr);
        assert!(!checked.status.success() && said.contains(says), "{said}");
    }
}

#[test]
fn a_connection_that_one_trust_opened_is_never_used_by_another() {
    let world = gateway();
    let clients = world.pki().clients_roots();
    let tls = UpstreamTls {
        certificate: world.pki().server(&["app.internal"]),
        clients: Some(clients),
    };
    let upstream = TestUpstream::tls(&tls, |_| Answer::ok("proven"));
    let ours = "ca = \"certs/servers-ca.pem\"\nserver_name = \"app.internal\"\n\
                certificate = \"certs/gateway-client.pem\"\nkey = \"certs/gateway-client.key\"";
    let strangers = ours.replace("servers-ca", "foreign-ca");
    let nameless = ours.replace("app.internal", "other.internal");
    let without = "ca = \"certs/servers-ca.pem\"\nserver_name = \"app.internal\"";
    let application = |name: &str, tls: &str| {
        Application::new(name)
            .upstream(upstream.address())
            .upstream_tls(tls)
    };
    let folder = world
        .application(application("records", ours))
        .application(application("foreign", &strangers))
        .application(application("nameless", &nameless))
        .application(application("bare", without))
        .prepare();
    folder.write("certs/foreign-ca.pem", folder.pki().foreign_ca_pem());
    let gateway = folder.start();
    let client = gateway.client("clerk");
    for _ in 0..2 {
        assert_allowed(&gateway, &client.get("/").unwrap());
        for (host, reason) in [
            ("foreign.test", "cloud.upstream_identity"),
            ("nameless.test", "cloud.upstream_identity"),
        ] {
            let response = client.clone().named(host).get("/").unwrap();
            assert_refused(&gateway, &response, 502, reason);
        }
        let bare = client.clone().named("bare.test").get("/").unwrap();
        assert_eq!(bare.status, 502, "our certificate is not everybody's");
    }
    assert_eq!(upstream.count(), 2);
    let health = "the connection of the first application was kept, and only that";
    assert!(
        upstream.seen().iter().all(|seen| seen.showed_certificate),
        "{health}"
    );
}

#[test]
fn many_requests_at_once_go_over_proven_connections() {
    let world = gateway();
    let upstream = upstream(world.pki().server(&["app.internal"]));
    let gateway = over_tls(world, upstream.address(), "");
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..24)
            .map(|_| {
                let client = gateway.client("clerk");
                scope.spawn(move || {
                    let mut connection = client.connect().unwrap();
                    (0..10).all(|_| connection.get("/").unwrap().status == 200)
                })
            })
            .collect();
        for client in clients {
            assert!(client.join().unwrap());
        }
    });
    assert_eq!(upstream.count(), 240);
}

#[test]
fn another_upstream_answers_for_one_that_cannot_prove_itself() {
    let world = gateway();
    let impostor = upstream(world.pki().server(&["other.internal"]));
    let stranger = upstream(world.pki().foreign_server(&["app.internal"]));
    let right = upstream(world.pki().server(&["app.internal"]));
    let application = Application::new("records")
        .upstream(impostor.address())
        .upstream(stranger.address())
        .upstream(right.address())
        .health("failures = 1000")
        .upstream_tls("ca = \"certs/servers-ca.pem\"\nserver_name = \"app.internal\"");
    let gateway = world.application(application).start();
    let mut connection = gateway.client("clerk").connect().unwrap();
    for _ in 0..3 {
        let response = connection.get("/").unwrap();
        assert_allowed(&gateway, &response);
        // What may not be sent twice may be sent to another as long as nobody has heard it.
        let post = "POST / HTTP/1.1\r\nHost: records.test\r\nContent-Length: 5\r\n\r\nhello";
        let response = connection.exchange(post.as_bytes()).unwrap();
        assert_allowed(&gateway, &response);
    }
    assert_eq!((impostor.count(), stranger.count()), (0, 0));
    assert_eq!(right.count(), 6);
    assert_eq!(right.last().body, b"hello");
    assert!(impostor.connections() > 0, "it was asked who it is");
    right.stop();
    let response = connection.get("/").unwrap();
    assert_eq!(response.status, 502);
}
