//! Backup and restore, drilled: a node that is lost comes back from one file and goes on with its log.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;

use hangu_tests::{Answer, GatewayFolder, TestUpstream, wait_until};
use tempfile::TempDir;

use crate::support::{field, gateway};

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&*output.stdout, &*output.stderr].concat()).into_owned()
}

#[track_caller]
fn done(output: &Output) -> String {
    let said = said(output);
    assert!(output.status.success(), "{said}");
    said
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// A folder of the operator's own: a signing key, and room for archives.
fn vault(folder: &GatewayFolder) -> TempDir {
    let vault = tempfile::tempdir().unwrap();
    let key = text(&vault.path().join("backup.key"));
    done(&folder.hangu(&["audit", "key", &key, "--name", "gate.test/backup"]));
    vault
}

/// How many records the checkpoint covers.
fn signed(folder: &GatewayFolder) -> u64 {
    let text = fs::read_to_string(folder.path("audit/checkpoint")).unwrap_or_default();
    let size = text.lines().nth(1);
    size.and_then(|size| size.parse().ok()).unwrap_or_default()
}

/// Whom an operator threw out stays out.
fn revoke_the_reader(folder: &GatewayFolder) {
    let config = text(&folder.config());
    let reader = "spiffe://gov.test/reader";
    done(&folder.hangu(&[
        "revoke",
        "--subject",
        reader,
        "--reason",
        "has left",
        "--config",
        &config,
    ]));
}

fn backup(folder: &GatewayFolder, vault: &TempDir, more: &[&str]) -> (String, String) {
    let archive = text(&vault.path().join("node.backup"));
    let key = text(&vault.path().join("backup.key"));
    let config = text(&folder.config());
    let arguments = [
        "backup", "--config", &config, "--out", &archive, "--key", &key,
    ];
    let said = done(&folder.hangu(&[&arguments[..], more].concat()));
    (archive, said)
}

#[test]
fn a_node_that_is_lost_comes_back_from_its_backup_and_continues_its_log() {
    let upstream = TestUpstream::answering(|_| Answer::ok("the records"));
    let gateway = gateway()
        .records(upstream.address())
        .audit("segment = \"1MiB\"")
        .start();
    let mut connection = gateway.client("clerk").connect().unwrap();
    for number in 0..30 {
        assert_eq!(connection.get(&format!("/a/{number}")).unwrap().status, 200);
    }
    wait_until("a checkpoint over the requests", || {
        signed(gateway.folder()) > 30
    });
    revoke_the_reader(gateway.folder());
    // While it serves.
    let vault = vault(gateway.folder());
    let passphrase = text(&vault.path().join("passphrase"));
    fs::write(&passphrase, "a passphrase that is long enough\n").unwrap();
    let sealing = ["--with-keys", "--passphrase-file", &passphrase];
    let (archive, _) = backup(gateway.folder(), &vault, &sealing);
    assert_eq!(connection.get("/after-the-backup").unwrap().status, 200);
    let before = gateway.audit().records();

    // All of it is lost: the folder, the log, the keys.
    let folder = gateway.into_folder();
    let home = folder.config().parent().unwrap().to_owned();
    fs::remove_dir_all(&home).unwrap();
    let public = text(&vault.path().join("backup.key.pub"));
    let target = text(&home);
    let restore = ["restore", &archive, "--dir", &target, "--key", &public];
    let verified = folder.hangu(&[&["audit"], &restore[..], &["--verify"]].concat());
    assert!(done(&verified).contains("good; made "), "{verified:?}");
    assert!(!home.exists());
    let without = folder.hangu(&restore);
    assert_eq!(without.status.code(), Some(2), "{}", said(&without));
    assert!(said(&without).contains("--passphrase-file"));
    assert!(!home.exists());
    done(&folder.hangu(&[&restore[..], &["--passphrase-file", &passphrase]].concat()));
    done(&folder.check());

    let gateway = folder.start();
    let response = gateway.client("clerk").get("/again").unwrap();
    assert_eq!(response.status, 200);
    assert!(
        gateway.client("reader").get("/again").is_err(),
        "still revoked"
    );
    let records = gateway.audit().records();
    let restored = &records[0];
    assert_eq!(field(restored, "kind"), "restored", "{restored:#}");
    let through = restored["removed_through"].as_u64().unwrap();
    let last = &before[usize::try_from(through).unwrap() - 1];
    assert_eq!(field(restored, "removed_hash"), field(last, "hash"));
    assert_eq!(field(restored, "prev"), field(last, "hash"));
    assert_eq!(restored["seq"], through + 1);
    let log = text(&gateway.folder().path("audit"));
    let key = text(&gateway.folder().path("audit.key.pub"));
    let verified = done(
        &gateway
            .folder()
            .hangu(&["audit", "verify", &log, "--key", &key]),
    );
    assert!(
        verified.contains(&format!("begins with record {}", through + 1)),
        "{verified}"
    );
}

#[test]
fn keys_stay_at_home_unless_they_are_asked_for() {
    let upstream = TestUpstream::answering(|_| Answer::ok("the records"));
    let folder = gateway()
        .records(upstream.address())
        .table("[audit.pseudonyms]\nkey = \"pseudonyms.key\"")
        .prepare();
    let key = text(&folder.path("pseudonyms.key"));
    done(&folder.hangu(&["audit", "key", &key, "--pseudonyms"]));
    let gateway = folder.start();
    let vault = vault(gateway.folder());
    let (archive, told) = backup(gateway.folder(), &vault, &[]);
    for key in ["certs/server.key", "audit.key", "pseudonyms.key"] {
        assert!(
            told.contains(&format!("not in it: the key `{key}`")),
            "{told}"
        );
    }
    let bytes = fs::read(&archive).unwrap();
    for secret in [
        &b"PRIVATE KEY-----"[..],
        b"PRIVATE+KEY+",
        b"hangu-pseudonyms-1",
    ] {
        assert!(!bytes.windows(secret.len()).any(|window| window == secret));
    }
    // A second one does not write over the first.
    let config = text(&gateway.folder().config());
    let key = text(&vault.path().join("backup.key"));
    let again = gateway.folder().hangu(&[
        "backup", "--config", &config, "--out", &archive, "--key", &key,
    ]);
    assert_eq!(again.status.code(), Some(2), "{}", said(&again));

    let to = text(&vault.path().join("to"));
    let public = text(&vault.path().join("backup.key.pub"));
    let restored = gateway
        .folder()
        .hangu(&["restore", &archive, "--dir", &to, "--key", &public]);
    assert!(
        done(&restored).contains("put back the key `certs/server.key`"),
        "{}",
        said(&restored)
    );
    // With its keys it is what it was.
    for key in ["certs/server.key", "audit.key", "pseudonyms.key"] {
        fs::copy(gateway.folder().path(key), Path::new(&to).join(key)).unwrap();
    }
    let config = text(&Path::new(&to).join("hangu.toml"));
    done(&gateway.folder().hangu(&["check", "--config", &config]));
}

#[test]
fn an_archive_of_somebody_else_or_that_was_changed_is_refused() {
    let upstream = TestUpstream::answering(|_| Answer::ok("the records"));
    let folder = gateway()
        .records(upstream.address())
        .table("[control]\nrevocations = \"state/revoked.json\"")
        .prepare();
    // Whom operators have revoked, wherever that is kept, and whatever else the process remembers, belongs to the node.
    folder.write("state/revoked.json", "kept\n");
    folder.write("run/state", "kept\n");
    let vault = vault(&folder);
    let (archive, _) = backup(&folder, &vault, &[]);
    let other = text(&vault.path().join("other.key"));
    done(&folder.hangu(&["audit", "key", &other, "--name", "gate.test/backup"]));
    let to = vault.path().join("to");
    let target = text(&to);
    let refused = |key: &str, archive: &str, why: &str| {
        let key = text(&vault.path().join(key));
        let output = folder.hangu(&["restore", archive, "--dir", &target, "--key", &key]);
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(said(&output).contains(why), "{}", said(&output));
        assert!(!to.exists());
    };
    refused("other.key.pub", &archive, "no given key has signed");
    let mut bytes = fs::read(&archive).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let changed = text(&vault.path().join("changed.backup"));
    fs::write(&changed, &bytes).unwrap();
    refused("backup.key.pub", &changed, "take another copy");
    bytes.truncate(middle);
    fs::write(&changed, &bytes).unwrap();
    refused("backup.key.pub", &changed, "it ends too early");

    let key = text(&vault.path().join("backup.key.pub"));
    done(&folder.hangu(&["restore", &archive, "--dir", &target, "--key", &key]));
    for file in ["state/revoked.json", "run/state"] {
        assert_eq!(fs::read_to_string(to.join(file)).unwrap(), "kept\n");
    }
    let mode = fs::metadata(to.join("run")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700, "nobody else may enter the run folder");
}
