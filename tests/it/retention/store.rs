//! The archive in an S3-compatible store: a real one, that checks every signature.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use hangu_tests::{RunningGateway, free_port, must, wait_for, wait_until};

use super::{prepared, verify};
use crate::support::{field, gateway};

/// An S3 server over a folder; killed when it is dropped.
struct Store {
    folder: tempfile::TempDir,
    port: u16,
    process: Option<Child>,
}

const SECRET: &str = "a-secret-of-the-store";

impl Store {
    /// One with the bucket `archive`, not started. `None` where it is not installed, which in CI is a failure.
    fn new() -> Option<Self> {
        let runs = Command::new("s3s-fs")
            .arg("--version")
            .stdout(Stdio::null())
            .status();
        if runs.is_err() {
            assert!(std::env::var_os("CI").is_none(), "s3s-fs is missing");
            return None;
        }
        let folder = must(tempfile::tempdir(), "a folder for the store");
        must(
            fs::create_dir(folder.path().join("archive")),
            "make a bucket",
        );
        Some(Self {
            folder,
            port: free_port(),
            process: None,
        })
    }

    fn start(&mut self) {
        let port = self.port.to_string();
        let started = Command::new("s3s-fs")
            .args(["--access-key", "gate-1", "--secret-key", SECRET])
            .args(["--host", "127.0.0.1", "--port", &port])
            .arg(self.folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.process = Some(must(started, "start the store"));
        wait_until("the store to listen", || {
            TcpStream::connect(("127.0.0.1", self.port)).is_ok()
        });
    }

    fn object(&self, name: &str) -> PathBuf {
        self.folder.path().join("archive/gate-1").join(name)
    }

    /// What a gateway keeps its old segments here with.
    fn tables(&self, secret: &Path) -> String {
        format!(
            "[audit.retention]\nevery = \"1s\"\narchive = \"s3://archive/gate-1\"\n\
             [audit.retention.store]\nendpoint = \"http://127.0.0.1:{}\"\nregion = \"us-east-1\"\n\
             key_id = \"gate-1\"\nsecret = \"{}\"",
            self.port,
            secret.display()
        )
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            // Gone already is as good.
            let _gone = process.kill();
            let _gone = process.wait();
        }
    }
}

/// Waits until a round has failed for this reason.
fn wait_for_failure(gateway: &RunningGateway, reason: &str) {
    wait_until(reason, || gateway.stderr().contains(reason));
}

#[test]
fn old_segments_are_in_the_store_before_they_go() {
    let Some(mut store) = Store::new() else {
        return;
    };
    let keys = must(tempfile::tempdir(), "a folder for the secret");
    let secret = keys.path().join("secret");
    must(
        fs::write(&secret, "another-secret\n"),
        "write a wrong secret",
    );
    let (folder, _upstream) = prepared(&store.tables(&secret));
    let first = folder.path("audit/audit-000000000001.jsonl.zst");
    let gateway = folder.start();

    // Not there, not let in, somebody else's object in the way: nothing goes.
    wait_for_failure(&gateway, "the store cannot be asked");
    store.start();
    wait_for_failure(&gateway, "403 SignatureDoesNotMatch");
    must(fs::write(&secret, "two words\n"), "write no secret");
    wait_for_failure(&gateway, "it is no secret access key");
    let other = store.object("audit-000000000003.jsonl.zst");
    must(fs::create_dir_all(store.object("")), "make the prefix");
    must(fs::write(&other, "of another log"), "put another object");
    must(
        fs::write(&secret, format!("{SECRET}\n")),
        "write the secret",
    );
    wait_for_failure(&gateway, "another one of that name is there");
    assert!(first.exists());
    assert!(gateway.audit().of_kind("retention").is_empty());
    assert!(!gateway.stderr().contains(SECRET) && !gateway.stderr().contains("X-Amz-Signature"));

    must(fs::remove_file(&other), "take it away");
    gateway.wait_for_metric("hangu_audit_retention_removed_total", &[], 8.0);
    assert!(!first.exists());
    let record = wait_for("the record", || gateway.audit().of_kind("retention").pop());
    assert!(
        field(&record, "detail").contains("archived in s3://archive/gate-1/"),
        "{record:#}"
    );

    // With what is in the store the log is whole again.
    let copy = gateway.folder().path("audit");
    let names = must(fs::read_dir(store.object("")), "list the store");
    let mut kept = 0;
    for entry in names {
        let path = must(entry, "list the store").path();
        let name = path.file_name().unwrap().to_owned();
        if name.to_str().unwrap().starts_with("audit-") {
            must(fs::copy(&path, copy.join(name)), "bring an object back");
            kept += 1;
        }
    }
    assert_eq!(kept, 4);
    let said = verify(gateway.folder(), "audit");
    assert!(!said.contains("begins with"), "{said}");
}

#[test]
fn a_store_that_is_configured_wrongly_is_named() {
    let key = "key_id = \"k\"\nsecret = \"hangu.toml\"\nregion = \"r\"";
    for (tables, says) in [
        (
            "[audit.retention]\narchive = \"s3://b\"".to_owned(),
            "nothing says where this bucket is",
        ),
        (
            format!(
                "[audit.retention]\narchive = \"archive\"\n[audit.retention.store]\nendpoint = \"http://127.0.0.1:1\"\n{key}"
            ),
            "a folder beside the table of a store",
        ),
        (
            format!(
                "[audit.retention]\narchive = \"s3://b/../c\"\n[audit.retention.store]\nendpoint = \"http://127.0.0.1:1\"\n{key}"
            ),
            "this is no place in a store",
        ),
        (
            format!(
                "[audit.retention]\narchive = \"s3://b\"\n[audit.retention.store]\nendpoint = \"http://s3.example\"\n{key}"
            ),
            "`http://` is for loopback addresses only",
        ),
        (
            format!(
                "[audit.retention]\narchive = \"s3://b\"\n[audit.retention.store]\nendpoint = \"https://s3.example\"\n{key}"
            ),
            "nothing says who signs its server",
        ),
    ] {
        let folder = gateway().records("127.0.0.1:9".parse().unwrap());
        let output = folder.table(&tables).prepare().check();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(says), "{says}: {said}");
    }
}
