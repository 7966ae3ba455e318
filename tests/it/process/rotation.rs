//! Certificates, keys, authorities and lists are changed as a secret mount changes them: the folder that a symbolic link names is swapped
//! under the gateway, while clients go on.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hangu_certs::Validity;
use hangu_tests::{
    Answer, Application, Client, GatewayFolder, TestPki, TestUpstream, UpstreamCertificate,
    UpstreamTls, now, wait_until,
};
use rustls::RootCertStore;

use crate::support::gateway;

const MOUNTED: [&str; 4] = [
    "server.pem",
    "server.key",
    "clients-ca.pem",
    "clients.crl.pem",
];

/// One version of the mount: a server certificate that ends at `end`, and authorities and lists of these clients.
fn version(folder: &GatewayFolder, name: &str, end: i64, clients: &[&TestPki]) {
    let validity = Validity {
        not_before: now() - 60,
        not_after: end,
    };
    let server = folder
        .pki()
        .server_valid(&["records.test", "127.0.0.1"], validity);
    let of =
        |text: fn(&TestPki) -> String| -> String { clients.iter().map(|pki| text(pki)).collect() };
    for (file, text) in MOUNTED.iter().zip([
        server.chain_pem.clone(),
        server.key_pem.clone(),
        of(TestPki::clients_ca_pem),
        of(|pki| pki.crl_pem(&[], 1)),
    ]) {
        folder.write(&format!("certs/{name}/{file}"), &text);
    }
}

/// As a kubelet does it: a new link, renamed over the old one.
fn swap(certs: &Path, to: &str) {
    symlink(to, certs.join("..data_tmp")).unwrap();
    fs::rename(certs.join("..data_tmp"), certs.join("..data")).unwrap();
}

fn ends(gateway: &hangu_tests::RunningGateway) -> f64 {
    gateway.metrics().sum(
        "hangu_cert_not_after_timestamp_seconds",
        &[("kind", "server")],
    )
}

#[test]
fn a_swapped_secret_mount_is_taken_under_load_without_a_failed_request() {
    let upstream = TestUpstream::named("records");
    // Old and new root are one authority, although their keys differ: else either could name the clients of the other.
    let one = "[identity]\n[identity.authorities]\nclients = [\"CN=Test clients root\"]";
    let folder = gateway().records(upstream.address()).table(one).prepare();
    let certs = folder.path("certs");
    let newcomers = TestPki::new();
    let (first, second, third) = (now() + 40_000, now() + 50_000, now() + 60_000);
    version(&folder, "v1", first, &[folder.pki()]);
    swap(&certs, "v1");
    for file in MOUNTED {
        fs::remove_file(certs.join(file)).unwrap();
        symlink(format!("..data/{file}"), certs.join(file)).unwrap();
    }
    let gateway = folder.start();
    let newcomer = gateway.client_with(Some(&newcomers.client("clerk")));
    assert!(newcomer.get("/").is_err());
    let is_over = AtomicBool::new(false);
    let one_client = |client: Client| {
        let mut kept = client.connect().unwrap();
        let mut served = 0;
        while !is_over.load(Ordering::Relaxed) {
            assert_eq!(kept.get("/").unwrap().status, 200, "on a kept connection");
            assert_eq!(client.get("/").unwrap().status, 200, "on a new connection");
            served += 1;
        }
        served
    };
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..3)
            .map(|_| {
                let client = gateway.client("clerk");
                scope.spawn(|| one_client(client))
            })
            .collect();
        // Authorities overlap: those of old and new clients together.
        version(gateway.folder(), "v2", second, &[gateway.pki(), &newcomers]);
        swap(&certs, "v2");
        wait_until("the second version", || ends(&gateway) == second as f64);
        assert_eq!(newcomer.get("/").unwrap().status, 200);
        // A version whose key is another's changes nothing.
        version(gateway.folder(), "bad", third, &[gateway.pki(), &newcomers]);
        let other = gateway.pki().server(&["records.test"]);
        gateway
            .folder()
            .write("certs/bad/server.key", &other.key_pem);
        swap(&certs, "bad");
        gateway.wait_for_metric("hangu_config_reloads_total", &[("result", "refused")], 1.0);
        assert_eq!(ends(&gateway), second as f64);
        version(gateway.folder(), "v3", third, &[gateway.pki(), &newcomers]);
        swap(&certs, "v3");
        wait_until("the third version", || ends(&gateway) == third as f64);
        is_over.store(true, Ordering::Relaxed);
        for client in clients {
            assert!(client.join().unwrap() > 0);
        }
    });
}

const TOWARDS_UPSTREAMS: &str = "ca = \"certs/servers-ca.pem\"\nserver_name = \"app.internal\"\n\
     certificate = \"certs/gateway-client.pem\"\nkey = \"certs/gateway-client.key\"";

/// An upstream that lets in clients of these authorities.
fn proven(certificate: UpstreamCertificate, clients: &Arc<RootCertStore>) -> TestUpstream {
    let tls = UpstreamTls {
        certificate,
        clients: Some(Arc::clone(clients)),
    };
    TestUpstream::tls(&tls, |_| Answer::ok("proven"))
}

#[test]
fn what_the_gateway_and_its_upstreams_know_each_other_by_rotates_under_load() {
    let (world, others) = (gateway(), TestPki::new());
    let clients = world.pki().clients_roots();
    let before = proven(world.pki().server(&["app.internal"]), &clients);
    let after = proven(others.server(&["app.internal"]), &clients);
    let records = Application::new("records")
        .upstream(before.address())
        .upstream_tls(TOWARDS_UPSTREAMS);
    let folder = world.application(records).prepare();
    let gateway = folder.start();
    let folder = gateway.folder();
    let end_of = |kind| {
        gateway
            .metrics()
            .sum("hangu_cert_not_after_timestamp_seconds", &[("kind", kind)])
    };
    let is_over = AtomicBool::new(false);
    let one_client = |client: Client| {
        let mut kept = client.connect().unwrap();
        while !is_over.load(Ordering::Relaxed) {
            assert_eq!(kept.get("/").unwrap().status, 200);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..3 {
            let client = gateway.client("clerk");
            scope.spawn(|| one_client(client));
        }
        // What the gateway shows.
        let validity = Validity {
            not_before: now() - 60,
            not_after: now() + 50_000,
        };
        let shown = gateway.pki().client_valid("gateway", validity).issued;
        folder.write("certs/gateway-client.pem", &shown.certificate_pem);
        folder.write("certs/gateway-client.key", &shown.key_pem);
        wait_until("the new client certificate", || {
            end_of("upstream_client") == validity.not_after as f64
        });
        // A key of another certificate changes nothing.
        let refused = [("result", "refused")];
        let refusals = gateway
            .metrics()
            .sum("hangu_config_reloads_total", &refused);
        let other = gateway.pki().client("gateway").issued;
        folder.write("certs/gateway-client.key", &other.key_pem);
        gateway.wait_for_metric("hangu_config_reloads_total", &refused, refusals + 1.0);
        folder.write("certs/gateway-client.key", &shown.key_pem);
        // What upstreams are known by: old and new authority overlap, then the workload moves, then the old one goes.
        let both = format!(
            "{}{}",
            gateway.pki().servers_ca_pem(),
            others.servers_ca_pem()
        );
        for (ca, upstream) in [
            (both.as_str(), &before),
            (both.as_str(), &after),
            (others.servers_ca_pem(), &after),
        ] {
            let text = folder.read("hangu.toml").replace(
                &before.address().to_string(),
                &upstream.address().to_string(),
            );
            folder.write("hangu.toml", &text);
            folder.write("certs/servers-ca.pem", ca);
            gateway.reload();
            let served = upstream.count();
            wait_until("requests", || upstream.count() > served + 3);
        }
        is_over.store(true, Ordering::Relaxed);
    });
    assert!(before.count() > 0);
    assert!(after.seen().iter().all(|seen| seen.showed_certificate));
}
