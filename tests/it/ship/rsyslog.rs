//! A real rsyslog that takes TLS with client certificates and writes what it gets into a file.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use hangu_tests::{TestPki, free_port, wait_until};
use tempfile::TempDir;

/// Killed when dropped.
#[derive(Debug)]
pub(super) struct Rsyslog {
    folder: TempDir,
    port: u16,
    child: Option<Child>,
}

impl Rsyslog {
    /// `None` where rsyslog or its TLS driver is not installed, which in CI is a failure.
    pub(super) fn new() -> Option<Self> {
        let has_driver = ["x86_64-linux-gnu", "aarch64-linux-gnu"]
            .iter()
            .any(|arch| Path::new(&format!("/usr/lib/{arch}/rsyslog/lmnsd_ossl.so")).exists());
        let runs = Command::new("rsyslogd")
            .arg("-v")
            .stdout(Stdio::null())
            .status();
        if !has_driver || runs.is_err() {
            assert!(
                std::env::var_os("CI").is_none(),
                "rsyslogd with its OpenSSL driver is missing"
            );
            return None;
        }
        Some(Self {
            folder: tempfile::Builder::new()
                .prefix("hangu-rsyslog-")
                .tempdir()
                .unwrap(),
            port: free_port(),
            child: None,
        })
    }

    /// It shows a server certificate of this PKI and lets in whom its clients' authority has signed.
    pub(super) fn trust(&self, pki: &TestPki) {
        let own = pki.server(&["127.0.0.1"]);
        for (name, text) in [
            ("ca.pem", pki.clients_ca_pem().as_str()),
            ("server.pem", &own.chain_pem),
            ("server.key", &own.key_pem),
        ] {
            fs::write(self.path(name), text).unwrap();
        }
        let folder = self.folder.path().display();
        let config = format!(
            "global(workDirectory=\"{folder}\" maxMessageSize=\"160k\" defaultNetstreamDriver=\"ossl\"\n\
               defaultNetstreamDriverCAFile=\"{folder}/ca.pem\"\n\
               defaultNetstreamDriverCertFile=\"{folder}/server.pem\"\n\
               defaultNetstreamDriverKeyFile=\"{folder}/server.key\")\n\
             module(load=\"imtcp\" streamDriver.name=\"ossl\" streamDriver.mode=\"1\" streamDriver.authMode=\"x509/certvalid\")\n\
             input(type=\"imtcp\" address=\"127.0.0.1\" port=\"{port}\")\n\
             template(name=\"raw\" type=\"string\" string=\"%rawmsg%\\n\")\n\
             action(type=\"omfile\" file=\"{folder}/got\" template=\"raw\" flushOnTXEnd=\"on\")\n",
            port = self.port
        );
        fs::write(self.path("rsyslog.conf"), config).unwrap();
    }

    /// Starts it and waits until it listens.
    pub(super) fn start(&mut self) {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.path("log"))
            .unwrap();
        let child = Command::new("rsyslogd")
            .arg("-n")
            .arg("-f")
            .arg(self.path("rsyslog.conf"))
            .arg("-i")
            .arg(self.path("pid"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
        wait_until("rsyslog to listen", || {
            std::net::TcpStream::connect(("127.0.0.1", self.port)).is_ok()
        });
    }

    /// As a crash would.
    pub(super) fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        // A killed one leaves its pid file, and the next one would not start.
        let _missing = fs::remove_file(self.path("pid"));
    }

    /// The table of a sink that sends here; `more` are further keys.
    pub(super) fn sink(&self, name: &str, more: &str) -> String {
        format!(
            "{}\ncertificate = \"certs/gateway-client.pem\"\nkey = \"certs/gateway-client.key\"\n{more}",
            self.anonymous_sink(name)
        )
    }

    /// The same, without a certificate.
    pub(super) fn anonymous_sink(&self, name: &str) -> String {
        format!(
            "[[audit.sinks]]\nname = \"{name}\"\nkind = \"syslog\"\naddress = \"127.0.0.1:{}\"\nca = \"certs/servers-ca.pem\"",
            self.port
        )
    }

    /// The numbers of all records that have arrived whole.
    pub(super) fn sequences(&self) -> BTreeSet<u64> {
        self.lines()
            .iter()
            .filter(|line| line.ends_with("\"}"))
            .filter_map(|line| {
                let (_, rest) = line.split_once("[hangu@32473 seq=\"")?;
                rest.split_once('"')?.0.parse().ok()
            })
            .collect()
    }

    /// The message of one record, without what syslog has put in front of it.
    pub(super) fn message(&self, sequence: u64) -> String {
        let mark = format!("[hangu@32473 seq=\"{sequence}\"");
        let lines = self.lines();
        let line = lines.iter().find(|line| line.contains(&mark)).unwrap();
        line.split_once("] {")
            .map(|(_, json)| format!("{{{json}"))
            .unwrap()
    }

    fn lines(&self) -> Vec<String> {
        let text = fs::read(self.path("got")).unwrap_or_default();
        String::from_utf8_lossy(&text)
            .lines()
            .map(str::to_owned)
            .collect()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for Rsyslog {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.kill());
            drop(child.wait());
        }
    }
}
