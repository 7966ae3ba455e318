//! Certificates, keys, authorities and lists are changed as a secret mount changes them: the folder that a symbolic link names is swapped
//! under the gateway, while clients go on.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use hangu_certs::Validity;
use hangu_tests::{Client, GatewayFolder, TestPki, TestUpstream, now, wait_until};

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
    let folder = gateway().records(upstream.address()).prepare();
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
