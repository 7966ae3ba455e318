//! The control socket: who may call, what is recorded, what survives an upgrade.

mod remote;

use std::fs::Permissions;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::{field, records, records_with};

/// Status and body of one call, byte for byte as given.
fn exchange(socket: &Path, request: &str) -> (u16, Value) {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap())
}

#[test]
fn the_command_line_finds_the_gateway_by_its_configuration_or_its_socket() {
    let (gateway, _upstream) = records();
    let folder = gateway.folder();
    let config = folder.config().display().to_string();
    let socket = folder.path("run/control.sock").display().to_string();
    for target in [["--config", &config], ["--socket", &socket]] {
        let status = folder.hangu(&["status", target[0], target[1], "--json"]);
        assert!(status.status.success(), "{status:?}");
        let status: Value = serde_json::from_slice(&status.stdout).unwrap();
        assert_eq!(status["config"], config.as_str());
        assert_eq!(status["generation"], 1);
    }
    let readable = folder.hangu(&["status", "--socket", &socket]);
    assert!(String::from_utf8_lossy(&readable.stdout).contains("generation     1\n"));

    let nobody = folder.hangu(&["status", "--socket", "/nowhere/control.sock"]);
    assert_eq!(nobody.status.code(), Some(1));
    let complaint = String::from_utf8_lossy(&nobody.stderr).into_owned();
    assert!(complaint.contains("is the gateway running"), "{complaint}");
}

#[test]
fn every_refused_call_is_recorded_before_it_is_answered() {
    let (gateway, _upstream) = records();
    let socket = gateway.folder().path("run/control.sock");
    for (request, status, action) in [
        (
            "GET /v1/nothing HTTP/1.1\r\nHost: a\r\n\r\n",
            404,
            "GET /v1/nothing",
        ),
        (
            "DELETE /v1/status HTTP/1.1\r\nHost: a\r\n\r\n",
            405,
            "DELETE /v1/status",
        ),
        ("GET /v1/status HTTP/1.1\r\n\r\n", 400, "unreadable"),
        (
            "POST /v1/status HTTP/1.1\r\nHost: a\r\nContent-Length: 70000\r\n\r\n",
            413,
            "unreadable",
        ),
    ] {
        let (answered, body) = exchange(&socket, request);
        assert_eq!(answered, status, "{request}");
        let why = body["error"].as_str().unwrap();
        // No waiting: the answer came after the record was on the disk.
        let record = gateway.audit().of_kind("admin").pop().unwrap();
        assert_eq!(field(&record, "action"), action, "{record:#}");
        assert_eq!(field(&record, "outcome"), format!("refused: {why}"));
        assert!(field(&record, "actor").starts_with("uid:"), "{record:#}");
    }
}

#[test]
fn only_users_who_are_listed_may_call() {
    let place = tempfile::tempdir().unwrap();
    std::fs::set_permissions(place.path(), Permissions::from_mode(0o755)).unwrap();
    let socket = place.path().join("control.sock");
    let control = format!("[control]\nsocket = {socket:?}");
    let (mut gateway, _upstream) = records_with(|world| world.table(&control));
    let asked = || {
        let asked = Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .args(["curl", "-s", "-w", "%{http_code}", "-o", "/dev/null"])
            .arg("--unix-socket")
            .arg(&socket)
            .arg("http://hangu/v1/status")
            .output();
        match asked {
            Ok(asked) if asked.status.success() => Some(String::from_utf8(asked.stdout).unwrap()),
            // Only root can become somebody else.
            other if std::env::var_os("CI").is_none() => {
                eprintln!("left out: {other:?}");
                None
            }
            other => panic!("{other:?}"),
        }
    };
    let Some(stranger) = asked() else { return };
    assert_eq!(stranger, "403");
    let record = gateway.audit().of_kind("admin").pop().unwrap();
    assert_eq!(field(&record, "actor"), "uid:65534");

    gateway.change(|world| world.table("uids = [65534]"));
    assert_eq!(asked().as_deref(), Some("200"));
}

#[test]
fn an_upgrade_takes_the_control_socket_over() {
    let (mut gateway, _upstream) = records();
    let socket = gateway.folder().path("run/control.sock");
    let ask = "GET /v1/status HTTP/1.1\r\nHost: a\r\n\r\n";
    let pid = || exchange(&socket, ask).1["pid"].as_u64().unwrap();
    assert_eq!(pid(), u64::from(gateway.process().id()));
    let new = gateway.spawn_upgrade();
    hangu_tests::wait_until("the new process to wait for the sockets", || {
        gateway.folder().path("run/upgrade.sock").exists()
    });
    let mut old = gateway.replace_process(new);
    old.signal("QUIT");
    // Each call is answered, by one of the two.
    while old.status().is_none() {
        pid();
    }
    assert_eq!(pid(), u64::from(gateway.process().id()));
}
