//! A gateway that does not have its log's key, beside the process that has it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Stdio};

use hangu_audit::key::Verifier;
use hangu_audit::{Trust, Verified, verify_against};
use hangu_tests::{TestGateway, must, wait_until};

use super::witness::{copy, hangu};
use crate::support::{field, records_with};

/// Where a signer lives: its key, its memory and its socket.
struct Place {
    folder: tempfile::TempDir,
    key: Verifier,
}

/// A signer process; killed when it is dropped.
struct Signer {
    process: Child,
    _stdout: BufReader<ChildStdout>,
}

impl Place {
    fn new() -> Self {
        let folder = must(tempfile::tempdir(), "a folder for the signer");
        let file = folder.path().join("audit.key");
        let made = must(
            hangu()
                .args(["audit", "key", "--name", "gate-1.test/audit"])
                .arg(&file)
                .output(),
            "make the log's key",
        );
        assert!(made.status.success(), "{made:?}");
        let public = must(
            fs::read_to_string(folder.path().join("audit.key.pub")),
            "read the public key",
        );
        let key = must(Verifier::parse(public.trim()), "parse it");
        Self { folder, key }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self) -> std::process::Command {
        let mut command = hangu();
        command
            .args(["audit", "signer", "--key"])
            .arg(self.path("audit.key"))
            .arg("--socket")
            .arg(self.path("socket"))
            .arg("--memory")
            .arg(self.path("memory"));
        command
    }

    fn start(&self) -> Signer {
        let mut process = must(
            self.command()
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn(),
            "start a signer",
        );
        let mut stdout = BufReader::new(must(process.stdout.take().ok_or("no pipe"), "its words"));
        let mut line = String::new();
        must(stdout.read_line(&mut line), "hear that it listens");
        assert!(line.contains("listens on"), "{line}");
        Signer {
            process,
            _stdout: stdout,
        }
    }

    /// A gateway that is signed for from here.
    fn table(&self, world: TestGateway) -> TestGateway {
        world.table(&format!(
            "[audit.signer]\nsocket = \"{}\"\nkey = \"{}\"",
            self.path("socket").display(),
            self.key
        ))
    }

    fn verified(&self, audit: &Path) -> Option<Verified> {
        let keys = [self.key.clone()];
        let trust = Trust {
            keys: &keys,
            ..Trust::default()
        };
        verify_against(audit, &trust, |_| ()).ok()
    }
}

impl Drop for Signer {
    fn drop(&mut self) {
        // Gone already is as good.
        let _gone = self.process.kill();
        let _gone = self.process.wait();
    }
}

#[test]
fn a_gateway_without_the_key_is_signed_for_and_goes_on_unsigned_while_the_signer_is_away() {
    let place = Place::new();
    // The gateway is there first.
    let (mut gateway, _upstream) = records_with(|world| place.table(world));
    let audit = gateway.folder().path("audit");
    let unsigned = || {
        gateway
            .metrics()
            .sum("hangu_audit_checkpoint_age_seconds", &[])
    };
    wait_until("the alarm", || unsigned() > 0.3);
    let signer = place.start();
    wait_until("the start to be signed", || {
        place.verified(&audit).is_some_and(|log| log.signed >= 1)
    });
    wait_until("nothing to be left unsigned", || unsigned() == 0.0);
    assert!(
        !gateway.folder().path("audit.key").exists(),
        "the gateway has no key"
    );

    drop(signer);
    let response = gateway.client("clerk").get("/residents/7").unwrap();
    assert_eq!(response.status, 200, "no signer is needed for an answer");
    let record = gateway.audit().of_request(&response.request_id());
    let sequence = record["seq"].as_u64().unwrap();
    wait_until("the alarm", || unsigned() > 0.3);
    assert!(place.verified(&audit).unwrap().signed < sequence);
    assert!(gateway.stderr().contains("the log goes on unsigned"));

    let _signer = place.start();
    wait_until("it to catch up", || {
        place
            .verified(&audit)
            .is_some_and(|log| log.signed >= sequence)
    });
    assert_eq!(
        gateway.metrics().sum("hangu_audit_signer_refuses", &[]),
        0.0
    );
    gateway.signal("TERM");
    assert_eq!(gateway.wait_for_end().status.code(), Some(0));
    let end = place.verified(&audit).unwrap();
    assert_eq!(end.signed, end.records, "with the stop record");
    let stop = gateway.audit().of_kind("stop");
    assert_eq!(field(&stop[0], "kind"), "stop");
}

#[test]
fn a_signer_signs_no_log_that_was_put_back() {
    let place = Place::new();
    let signer = place.start();
    let (mut gateway, _upstream) = records_with(|world| place.table(world));
    let audit = gateway.folder().path("audit");
    gateway.signal("TERM");
    assert_eq!(gateway.wait_for_end().status.code(), Some(0));
    let older = gateway.folder().path("older");
    copy(&audit, &older);
    let mut gateway = gateway.into_folder().start();
    gateway.signal("TERM");
    assert_eq!(gateway.wait_for_end().status.code(), Some(0));
    let newest = place.verified(&audit).unwrap().signed;

    must(
        fs::rename(&audit, gateway.folder().path("taken")),
        "take the log away",
    );
    copy(&older, &audit);
    let gateway = gateway.into_folder().start();
    gateway.wait_for_metric("hangu_audit_signer_refuses", &[], 1.0);
    let said = gateway.stderr();
    assert!(said.contains("THE SIGNER REFUSES THIS LOG"), "{said}");
    assert!(
        said.contains(&format!("it has signed size {newest}")),
        "{said}"
    );

    // It takes no memory that it did not sign, and no second one listens there.
    let second = must(place.command().output(), "start a second signer");
    assert_eq!(second.status.code(), Some(2), "{second:?}");
    assert!(String::from_utf8_lossy(&second.stderr).contains("listens there already"));
    drop(signer);
    let memory = place.path("memory/signed.checkpoint");
    let remembered = must(fs::read_to_string(&memory), "read its memory");
    let forged = remembered.replace(&format!("\n{newest}\n"), "\n1\n");
    assert_ne!(forged, remembered);
    must(fs::write(&memory, forged), "forge its memory");
    let refused = must(place.command().output(), "start it on that");
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("not signed by this signer's key"));
}

#[test]
fn a_key_beside_a_signer_is_one_too_many() {
    let place = Place::new();
    let (mut gateway, _upstream) = records_with(|world| place.table(world));
    gateway.change_refused(|world| {
        world.audit(&format!("key = \"{}\"", place.path("audit.key").display()))
    });
    let said = gateway.stderr();
    assert!(said.contains("take one of the two out"), "{said}");
}
