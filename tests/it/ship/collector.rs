//! A collector that is no code of ours: Python's HTTP server with OpenSSL beneath it, which asks for a client certificate.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use hangu_tests::{Answer, TestPki, TestUpstream, free_port, must, wait_until};
use serde_json::Value;

use super::{all_up_to, lag, last_record, requests};
use crate::support::gateway;

/// Keeps each batch as a file, named by when it came, that begins with its key.
const SERVER: &str = r#"
import http.server, os, ssl, sys, time
class Collector(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        name = os.path.join("got", str(time.time_ns()))
        with open(name + ".new", "wb") as file:
            file.write(self.headers["idempotency-key"].encode() + b"\n" + body)
        os.replace(name + ".new", name)
        self.send_response(204)
        self.end_headers()
    def log_message(self, *_):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Collector)
tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile="ca.pem")
tls.load_cert_chain("server.pem", "server.key")
tls.verify_mode = ssl.CERT_REQUIRED
server.socket = tls.wrap_socket(server.socket, server_side=True)
print("listens", flush=True)
server.serve_forever()
"#;

struct Collector {
    folder: tempfile::TempDir,
    port: u16,
    child: Option<Child>,
}

impl Collector {
    /// `None` where there is no Python, which in CI is a failure.
    fn new(pki: &TestPki) -> Option<Self> {
        let runs = Command::new("python3").arg("--version").output();
        if runs.is_err() {
            assert!(std::env::var_os("CI").is_none(), "python3 is missing");
            return None;
        }
        let folder = must(tempfile::tempdir(), "a folder for the collector");
        let own = pki.server(&["127.0.0.1"]);
        for (name, text) in [
            ("ca.pem", pki.clients_ca_pem().as_str()),
            ("server.pem", &own.chain_pem),
            ("server.key", &own.key_pem),
        ] {
            must(fs::write(folder.path().join(name), text), "write its TLS");
        }
        must(fs::create_dir(folder.path().join("got")), "make its store");
        Some(Self {
            folder,
            port: free_port(),
            child: None,
        })
    }

    fn start(&mut self) {
        let mut child = must(
            Command::new("python3")
                .args(["-c", SERVER, &self.port.to_string()])
                .current_dir(self.folder.path())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn(),
            "start the collector",
        );
        let mut line = String::new();
        let mut said = BufReader::new(must(child.stdout.take().ok_or("no pipe"), "its words"));
        must(said.read_line(&mut line), "hear that it listens");
        assert_eq!(line, "listens\n");
        self.child = Some(child);
    }

    /// As a crash would.
    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Gone already is as good.
            let _gone = child.kill();
            let _gone = child.wait();
        }
    }

    /// Key and text of each batch that arrived whole.
    fn batches(&self) -> Vec<(String, String)> {
        let entries = must(fs::read_dir(self.folder.path().join("got")), "list batches");
        let paths = entries.map(|entry| must(entry, "list batches").path());
        let whole = paths.filter(|path: &PathBuf| path.extension().is_none());
        whole.map(|path| batch(&path)).collect()
    }

    fn numbers(&self) -> BTreeSet<u64> {
        let numbers = |(_, text): (String, String)| -> Vec<u64> {
            let records = text
                .lines()
                .map(|line| serde_json::from_str::<Value>(line).unwrap());
            records
                .map(|record| record["seq"].as_u64().unwrap())
                .collect()
        };
        self.batches().into_iter().flat_map(numbers).collect()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.kill();
    }
}

fn batch(path: &Path) -> (String, String) {
    let text = must(fs::read_to_string(path), "read a batch");
    let (key, text) = must(text.split_once('\n').ok_or("no key"), "its key");
    (key.to_owned(), text.to_owned())
}

#[test]
fn a_collector_that_is_killed_under_load_gets_every_record_and_knows_what_comes_twice() {
    let upstream = TestUpstream::answering(|_| Answer::ok("the records"));
    let world = gateway().records(upstream.address());
    let Some(mut collector) = Collector::new(world.pki()) else {
        return;
    };
    collector.start();
    let sink = format!(
        "[[audit.sinks]]\nname = \"soc\"\nkind = \"http\"\nurl = \"https://127.0.0.1:{}/\"\nca = \"certs/servers-ca.pem\"\n\
         certificate = \"certs/gateway-client.pem\"\nkey = \"certs/gateway-client.key\"\nbatch = 10",
        collector.port
    );
    let gateway = world.table(&sink).start();
    requests(&gateway, 30);
    wait_until("the first records", || collector.numbers().len() >= 30);
    std::thread::scope(|scope| {
        let load = scope.spawn(|| requests(&gateway, 300));
        let before = collector.numbers().len();
        wait_until("some more", || collector.numbers().len() > before + 20);
        collector.kill();
        load.join().unwrap();
    });
    wait_until("the lag to be told", || lag(&gateway, "soc") > 0.0);
    collector.start();
    let last = last_record(&gateway, 331);
    wait_until("no lag", || lag(&gateway, "soc") == 0.0);
    assert!(collector.numbers().is_superset(&all_up_to(last)));

    // What comes twice is the same, under the same key.
    let mut by_key = BTreeMap::new();
    for (key, text) in collector.batches() {
        assert_eq!(by_key.entry(key).or_insert_with(|| text.clone()), &text);
    }
    let records: usize = by_key.values().map(|text| text.lines().count()).sum();
    assert_eq!(
        u64::try_from(records).ok(),
        Some(last),
        "each once by its key"
    );
}
