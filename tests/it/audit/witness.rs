//! A real witness beside a real gateway: it cosigns what continues, and nothing that was put in its place.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use hangu_audit::key::Verifier;
use hangu_audit::{Fault, Trust, VerifyError, verify_against};
use hangu_tests::{GatewayFolder, must, wait_for, wait_until};

use crate::support::{gateway, records};

/// A witness process; killed when it is dropped.
struct Witness {
    process: Child,
    _stdout: BufReader<ChildStdout>,
    url: String,
    key: Verifier,
}

impl Witness {
    /// One that watches the log of this key, with its own key and memory in the folder.
    fn start(folder: &Path, log: &str) -> Self {
        let file = folder.join("witness.key");
        let path = file.display().to_string();
        if !file.exists() {
            let mut key = hangu();
            key.args(["audit", "key", &path, "--witness", "--name", "witness.test"]);
            let made = must(key.output(), "make the witness's key");
            assert!(made.status.success(), "{made:?}");
        }
        let public = must(
            fs::read_to_string(folder.join("witness.key.pub")),
            "read the witness's key",
        );
        let mut process = must(
            hangu()
                .args(["audit", "witness", "--listen", "127.0.0.1:0"])
                .args(["--key", &path, "--log", log, "--memory"])
                .arg(folder.join("memory"))
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn(),
            "start a witness",
        );
        let mut stdout = BufReader::new(must(process.stdout.take().ok_or("no pipe"), "its words"));
        let mut line = String::new();
        must(stdout.read_line(&mut line), "hear where it listens");
        let address = line
            .trim()
            .rsplit(' ')
            .next()
            .unwrap_or_default()
            .to_owned();
        Self {
            process,
            _stdout: stdout,
            url: format!("http://{address}"),
            key: must(Verifier::parse(public.trim()), "parse its key"),
        }
    }

    fn table(&self) -> String {
        format!(
            "[audit.witness]\nurl = \"{}\"\nkey = \"{}\"\ninterval = \"1s\"",
            self.url, self.key
        )
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        // Gone already is as good.
        let _gone = self.process.kill();
        let _gone = self.process.wait();
    }
}

pub(super) fn hangu() -> Command {
    Command::new(env!("CARGO_BIN_EXE_hangu-under-test"))
}

/// How many records are cosigned.
fn witnessed(audit: &Path, key: &Verifier) -> Result<u64, VerifyError> {
    let witnesses = [key.clone()];
    let trust = Trust {
        witnesses: &witnesses,
        ..Trust::default()
    };
    verify_against(audit, &trust, |_| ()).map(|verified| verified.witnessed)
}

/// A folder whose gateway has run once, so that its log has a key; and that key.
fn with_a_key() -> (GatewayFolder, String) {
    let (mut gateway, _upstream) = records();
    gateway.signal("TERM");
    assert_eq!(gateway.wait_for_end().status.code(), Some(0));
    let folder = gateway.into_folder();
    let key = folder.read("audit.key.pub").trim().to_owned();
    (folder, key)
}

#[test]
fn a_witness_cosigns_a_running_log_and_refuses_the_one_that_was_put_in_its_place() {
    let (mut folder, log) = with_a_key();
    let place = must(tempfile::tempdir(), "a folder for the witness");
    let witness = Witness::start(place.path(), &log);
    folder.change(|world| world.table(&witness.table()));
    let audit = folder.path("audit");
    copy(&audit, &folder.path("older"));

    let mut gateway = folder.start();
    wait_until("the start to be witnessed", || {
        witnessed(&audit, &witness.key).is_ok_and(|size| size >= 3)
    });
    wait_until("nothing to wait for the witness", || {
        gateway
            .metrics()
            .sum("hangu_audit_witness_age_seconds", &[])
            == 0.0
    });
    gateway.signal("TERM");
    assert_eq!(gateway.wait_for_end().status.code(), Some(0));
    let size = witnessed(&audit, &witness.key).unwrap();
    assert_eq!(size, 4, "the stop too");

    // The older folder comes back, whole and signed, as if nothing had been. By itself it is good.
    fs::rename(&audit, gateway.folder().path("taken")).unwrap();
    copy(&gateway.folder().path("older"), &audit);
    let mut folder = gateway.into_folder();
    // It is asked at the start, however seldom afterwards.
    let seldom = witness.table().replace("\"1s\"", "\"1h\"");
    folder.change(|world| world.without_tables().table(&seldom));
    let mut gateway = folder.start();
    gateway.wait_for_metric("hangu_audit_witness_refuses", &[], 1.0);
    let said = wait_for("the alarm", || {
        let stderr = gateway.stderr();
        stderr
            .contains("THE WITNESS REFUSES THIS LOG")
            .then_some(stderr)
    });
    assert!(said.contains("it has signed size 4"), "{said}");
    gateway.signal("TERM");
    assert_eq!(gateway.wait_for_end().status.code(), Some(0));
    let unsigned = witnessed(&audit, &witness.key).unwrap_err();
    assert!(
        matches!(&unsigned, VerifyError::Damage(damage) if damage.what == Fault::NoCheckpoint),
        "{unsigned}"
    );
}

#[test]
fn a_witness_that_was_away_takes_up_where_it_was_and_forgets_nothing() {
    let (mut folder, log) = with_a_key();
    let place = must(tempfile::tempdir(), "a folder for the witness");
    let witness = Witness::start(place.path(), &log);
    let (url, key) = (witness.url.clone(), witness.key.clone());
    folder.change(|world| world.table(&witness.table()));
    let audit = folder.path("audit");
    let gateway = folder.start();
    wait_until("the start to be witnessed", || {
        witnessed(&audit, &key).is_ok_and(|size| size >= 3)
    });
    drop(witness);
    let response = gateway.client("clerk").get("/residents/7").unwrap();
    assert_eq!(
        response.status, 502,
        "no upstream is left, and no witness is needed"
    );
    wait_until("the alarm", || {
        gateway
            .metrics()
            .sum("hangu_audit_witness_age_seconds", &[])
            > 0.5
    });
    assert_eq!(
        gateway.metrics().sum("hangu_audit_witness_refuses", &[]),
        0.0
    );

    // It remembers what it signed, and that only under its own signature.
    let memory = fs::read_dir(place.path().join("memory")).unwrap();
    let memory = memory.map(|entry| entry.unwrap().path()).next().unwrap();
    let remembered = fs::read_to_string(&memory).unwrap();
    fs::write(&memory, remembered.replace("\n3\n", "\n2\n")).unwrap();
    let refused = hangu()
        .args(["audit", "witness", "--listen", "127.0.0.1:0", "--key"])
        .arg(place.path().join("witness.key"))
        .args(["--log", &log, "--memory"])
        .arg(place.path().join("memory"))
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    fs::write(&memory, &remembered).unwrap();
    let port = url.rsplit(':').next().unwrap();
    let mut again = hangu()
        .args(["audit", "witness", "--listen", &format!("127.0.0.1:{port}")])
        .arg("--key")
        .arg(place.path().join("witness.key"))
        .args(["--log", &log, "--memory"])
        .arg(place.path().join("memory"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_until("the request to be witnessed", || {
        witnessed(&audit, &key).is_ok_and(|size| size >= 4)
    });
    again.kill().unwrap();
    again.wait().unwrap();
}

#[test]
fn a_witness_answers_nothing_but_checkpoints_of_its_logs() {
    let (_folder, log) = with_a_key();
    let place = must(tempfile::tempdir(), "a folder for the witness");
    let witness = Witness::start(place.path(), &log);
    let address = witness.url.trim_start_matches("http://").to_owned();
    let ask = |request: &str| {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(&address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse::<u16>().ok())
    };
    let post = |body: &str| {
        ask(&format!(
            "POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))
    };
    let unsigned = "old 0\n\nother/audit\n1\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n— other/audit AAAAAAAA\n";
    assert_eq!(post(unsigned), Some(404), "a log that it does not watch");
    let name = log.split('+').next().unwrap();
    assert_eq!(
        post(&unsigned.replace("other/audit", name)),
        Some(403),
        "a signature that is none"
    );
    for (request, status) in [
        ("GET /add-checkpoint HTTP/1.1\r\nHost: w\r\n\r\n", 405),
        ("GET / HTTP/1.1\r\nHost: w\r\n\r\n", 404),
        ("nonsense\r\n\r\n", 400),
        (
            "POST /add-checkpoint HTTP/1.1\r\nHost: w\r\nContent-Length: 99999999\r\n\r\n",
            413,
        ),
    ] {
        assert_eq!(ask(request), Some(status), "{request}");
    }
    assert_eq!(post("old 1"), Some(400));
}

#[test]
fn a_witness_that_is_configured_wrongly_is_named() {
    let folder = gateway().records("127.0.0.1:9".parse().unwrap());
    let folder = folder
        .table("[audit.witness]\nurl = \"https://w.test\"\nkey = \"w+0+A\"")
        .prepare();
    let output = folder.check();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    for part in [
        "nothing says who signs its server",
        "is not the key of a witness",
    ] {
        assert!(said.contains(part), "{said}");
    }
}

/// A copy of a log that nobody writes.
pub(super) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap_or_default();
    for entry in must(fs::read_dir(from), "list a log") {
        let path = must(entry, "list a log").path();
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            must(fs::copy(&path, &target), "copy a log");
        }
    }
}
