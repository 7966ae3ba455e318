//! gRPC as grpcio speaks it, client and server, with the gateway between.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use hangu_tests::{Application, wait_for};
use serde_json::{Value, json};

use crate::support::{field, gateway, walked};

/// A server of `tests/grpc/server.py`; killed when dropped.
struct Server {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
    port: u16,
}

impl Server {
    /// `None` where grpcio is not installed, which CI does not allow.
    fn start() -> Option<Self> {
        let known = python().args(["-c", "import grpc"]).output().unwrap();
        if !known.status.success() && std::env::var_os("CI").is_none() {
            eprintln!("left out: there is no grpcio");
            return None;
        }
        let mut child = python()
            .arg(script("server.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = lines.next().unwrap().unwrap().parse().unwrap();
        Some(Self { child, lines, port })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Debian's, which Debian's grpcio belongs to.
fn python() -> Command {
    Command::new("/usr/bin/python3")
}

fn script(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("grpc")
        .join(name)
}

#[test]
fn calls_of_every_kind_go_through_and_are_judged_one_by_one() {
    let Some(mut server) = Server::start() else {
        return;
    };
    let records = Application::new("records")
        .key("upstream_protocol = \"h2\"")
        .route("prefix = \"/records.Records\", streaming = true")
        .route("prefix = \"/sealed\"")
        .upstream(([127, 0, 0, 1], server.port).into());
    let gateway = gateway().application(records).start();
    let clerk = gateway.pki().client("clerk");
    let folder = gateway.folder();
    folder.write("grpc/ca.pem", gateway.pki().servers_ca_pem());
    folder.write("grpc/key.pem", &clerk.issued.key_pem);
    folder.write("grpc/chain.pem", &clerk.issued.certificate_pem);
    let said = python()
        .arg(script("client.py"))
        .arg(gateway.address().port().to_string())
        .arg("records.test")
        .args(["ca", "key", "chain"].map(|name| folder.path(&format!("grpc/{name}.pem"))))
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&said.stderr).into_owned();
    let answers: Value = serde_json::from_slice(&said.stdout).expect(&stderr);
    assert_eq!(
        answers,
        json!({
            "unary": "got one",
            "trailers": { "x-subject": "spiffe://gov.test/clerk", "x-served-by": "grpcio" },
            "forged": "spiffe://gov.test/clerk",
            "large": true,
            "status": ["NOT_FOUND", "no such record"],
            "unknown": "UNIMPLEMENTED",
            "deadline": "DEADLINE_EXCEEDED",
            "denied": "PERMISSION_DENIED",
            "server stream": true,
            "client stream": "1000000",
            "conversation": ["you said first", "you said second", "you said third"],
            "conversation over": "OK",
        }),
        "{stderr}"
    );
    let told = server.lines.next().unwrap().unwrap();
    assert_eq!(told, "given up", "the server hears that nobody waits");
    let talk = gateway.audit().wait_for("a conversation", |record| {
        field(record, "path") == "/records.Records/Talk"
    });
    assert_eq!(walked(&talk), "pppppp");
    let denied = wait_for("the refused call", || {
        let requests = gateway.audit().of_kind("request");
        requests
            .into_iter()
            .find(|record| field(record, "path") == "/sealed/Get")
    });
    assert_eq!(field(&denied, "reason"), "application.explicit_deny");
    assert_eq!(gateway.metrics().sum("hangu_upstreams_out", &[]), 0.0);
}
