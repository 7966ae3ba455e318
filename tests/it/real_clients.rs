//! Programs that people use, held open while their holder is thrown out: curl, Python, and Node's HTTP/2 as a browser's page uses it.
//! Each runs twice, for somebody who is hit and for a neighbour who must notice nothing.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use hangu_certs::Validity;
use hangu_tests::{Answer, Credentials, RunningGateway, TestUpstream, now, wait_until};

use crate::support::gateway;

/// A client, with whatever it has said so far.
struct Program {
    what: &'static str,
    child: Child,
    input: ChildStdin,
    said: Arc<Mutex<Vec<String>>>,
}

impl Program {
    fn start(what: &'static str, command: &mut Command) -> Program {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap_or_else(|why| panic!("{what} does not start: {why}; .ci/run installs it"));
        let (input, output) = (child.stdin.take(), child.stdout.take().unwrap());
        let said = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&said);
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                heard.lock().unwrap().push(line);
            }
        });
        let input = input.unwrap();
        Program {
            what,
            child,
            input,
            said,
        }
    }

    fn said(&self, line: &str) -> usize {
        let said = self.said.lock().unwrap();
        said.iter().filter(|known| known.as_str() == line).count()
    }

    fn wait_to_say(&self, line: &str) {
        wait_until(&format!("{} to say `{line}`", self.what), || {
            self.said(line) > 0
        });
    }

    fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// One holder's programs.
struct Programs {
    /// Keeps its connection, silent.
    python: Program,
    /// A session with an event stream that stays open.
    browser: Program,
    /// Its second request on a kept connection has no answer yet.
    waiting: Program,
    /// An event stream that is silent.
    events: Program,
    /// A download over HTTP/2 that never ends.
    download: Program,
}

impl Programs {
    fn start(gateway: &RunningGateway, who: &str, credentials: &Credentials) -> Programs {
        let folder = gateway.folder();
        folder.write("servers.pem", gateway.pki().servers_ca_pem());
        folder.write(&format!("{who}.pem"), &credentials.issued.certificate_pem);
        folder.write(&format!("{who}.key"), &credentials.issued.key_pem);
        let folder = folder.path("");
        let port = gateway.address().port().to_string();
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("it/real_clients");
        let script = |program: &str, name: &str| {
            let mut command = Command::new(program);
            command.arg(sources.join(name)).arg(&port).arg(&folder);
            command.arg(who);
            command
        };
        let curl = |version: &str, paths: &[&str]| {
            let mut command = Command::new("curl");
            command
                .current_dir(&folder)
                .args([version, "--silent", "--fail"]);
            command.args(["--no-buffer", "--cacert", "servers.pem"]);
            command.args(["--cert", &format!("{who}.pem")]);
            command.args(["--key", &format!("{who}.key")]);
            command.args(["--write-out", "\nanswered %{http_code}\n"]);
            command.args(["--resolve", &format!("records.test:{port}:127.0.0.1")]);
            command.args(
                paths
                    .iter()
                    .map(|path| format!("https://records.test:{port}{path}")),
            );
            command
        };
        let programs = Programs {
            python: Program::start("python", &mut script("python3", "keep_alive.py")),
            browser: Program::start("node", &mut script("node", "browser.js")),
            waiting: Program::start("curl", &mut curl("--http1.1", &["/", "/silence"])),
            events: Program::start("curl's events", &mut curl("--http1.1", &["/events"])),
            download: Program::start("curl's download", &mut curl("--http2", &["/download"])),
        };
        programs.python.wait_to_say("answered 200");
        programs.browser.wait_to_say("answered 200");
        programs.browser.wait_to_say("event");
        programs.waiting.wait_to_say("the records");
        programs.events.wait_to_say("data: event");
        programs.download.wait_to_say("more and more");
        programs
    }

    fn all(&mut self) -> [&mut Program; 5] {
        [
            &mut self.python,
            &mut self.browser,
            &mut self.waiting,
            &mut self.events,
            &mut self.download,
        ]
    }

    /// All have ended, each in the way of its protocol.
    fn wait_for_end(&mut self) {
        for program in self.all() {
            wait_until(&format!("{} to end", program.what), || {
                !program.is_running()
            });
        }
        self.python.wait_to_say("closed");
        self.browser.wait_to_say("closed");
        assert_eq!(self.browser.said("goaway 0"), 1, "HTTP/2 is told");
        // What curl says of its requests it says when it ends. It has tried the second on a new connection, in vain.
        self.waiting.wait_to_say("answered 200");
        assert_eq!(self.waiting.said("answered 200"), 1);
        for program in [&mut self.waiting, &mut self.events, &mut self.download] {
            let status = program.child.wait().unwrap();
            assert!(!status.success(), "{} knows of the cut", program.what);
        }
    }

    /// None has noticed anything, and those that can ask are answered on the connections that they have.
    fn assert_untouched(&mut self) {
        for program in self.all() {
            assert!(program.is_running(), "{} goes on", program.what);
        }
        let more = self.download.said("more and more");
        for program in [&mut self.python, &mut self.browser] {
            program.input.write_all(b"again\n").unwrap();
            wait_until(&format!("{} to be answered", program.what), || {
                program.said("answered 200") == 2
            });
            assert_eq!(program.said("closed"), 0);
        }
        let download = &self.download;
        wait_until("the download to go on", || {
            download.said("more and more") > more
        });
    }
}

/// A gateway for whom `mole` is a clerk by the directory alone.
fn world() -> (RunningGateway, TestUpstream) {
    let chunked =
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-type: text/event-stream\r\n\r\n";
    let event = b"d\r\ndata: event\n\n\r\n";
    let more = b"e\r\nmore and more\n\r\n";
    let upstream = TestUpstream::answering(move |request| match request.target.as_str() {
        "/silence" => Answer::Silence,
        "/events" => Answer::Flow([chunked.as_bytes(), event].concat(), Vec::new()),
        "/download" => Answer::Flow(chunked.as_bytes().to_vec(), more.to_vec()),
        _ => Answer::ok("the records\n"),
    });
    let folder = gateway()
        .records(upstream.address())
        .table("[identity]\ndirectory = \"people.csv\"")
        .prepare();
    folder.write("people.csv", MOLE_IS_A_CLERK);
    (folder.start(), upstream)
}

const MOLE_IS_A_CLERK: &str =
    "match,subject\nspiffe://gov.test/mole,spiffe://gov.test/clerk\nspiffe://gov.test/x,y\n";
const MOLE_IS_NOBODY: &str = "match,subject\nspiffe://gov.test/x,y\n";

/// Holds everything open, throws the mole out and sees who ends. `throw_out` gives when it was published.
fn all_of_the_mole_end_and_nobody_elses(
    validity: Option<Validity>,
    reason: &str,
    throw_out: impl FnOnce(&RunningGateway, &Credentials) -> Instant,
) {
    let (gateway, _upstream) = world();
    let mole = match validity {
        Some(validity) => gateway.pki().client_valid("mole", validity),
        None => gateway.pki().client("mole"),
    };
    let clerk = gateway.pki().client("clerk");
    let mut neighbour = Programs::start(&gateway, "clerk", &clerk);
    let mut hit = Programs::start(&gateway, "mole", &mole);
    let published = throw_out(&gateway, &mole);
    hit.wait_for_end();
    let took = published.elapsed();
    neighbour.assert_untouched();
    let ended = [("reason", reason)];
    gateway.wait_for_metric("hangu_connections_closed_total", &ended, 5.0);
    let metrics = gateway.metrics();
    let effects =
        |within: &str| metrics.sum("hangu_revocation_effect_seconds_bucket", &[("le", within)]);
    assert!(effects("1") >= 5.0, "{}", metrics.text);
    assert_eq!(effects("1"), effects("+Inf"), "{}", metrics.text);
    // The gateway's second, and as much again for five programs that share this machine with all other tests.
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert!(gateway.client_with(Some(&mole)).get("/").is_err() || reason.ends_with("changed"));
}

#[test]
fn a_published_list_ends_every_client_of_whom_it_names() {
    all_of_the_mole_end_and_nobody_elses(None, "endpoint.revoked", |gateway, mole| {
        let list = gateway.pki().crl_pem(&[mole], 2);
        gateway.folder().write("certs/clients.crl.pem", &list);
        Instant::now()
    });
}

#[test]
fn a_pushed_serial_number_ends_every_client_that_has_it() {
    all_of_the_mole_end_and_nobody_elses(None, "endpoint.revoked", |gateway, mole| {
        let (config, serial) = (gateway.folder().config(), mole.issued.serial.to_string());
        let config = config.display().to_string();
        let words = ["revoke", "--serial", &serial, "--reason", "test"];
        let words = [&words[..], &["--config", &config]].concat();
        let output = gateway.folder().hangu(&words);
        assert!(output.status.success(), "{output:?}");
        Instant::now()
    });
}

#[test]
fn a_row_that_leaves_the_directory_ends_every_client_whom_it_made_somebody() {
    let changed = "endpoint.identity_changed";
    all_of_the_mole_end_and_nobody_elses(None, changed, |gateway, _mole| {
        gateway.folder().write("people.csv", MOLE_IS_NOBODY);
        Instant::now()
    });
}

#[test]
fn a_certificate_that_ends_ends_every_client_that_shows_it() {
    let soon = Validity {
        not_before: now() - 60,
        not_after: now() + 7,
    };
    let expired = "endpoint.certificate_expired";
    all_of_the_mole_end_and_nobody_elses(Some(soon), expired, |_gateway, _mole| {
        wait_until("the certificate to end", || now() > soon.not_after);
        Instant::now()
    });
}
