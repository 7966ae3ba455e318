//! The gateway under test as a process.

use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus};

use crate::audit::Audit;
use crate::client::Client;
use crate::folder::GatewayFolder;
use crate::gateway::TestGateway;
use crate::metrics::{self, Metrics};
use crate::pki::{Credentials, TestPki};
use crate::wait::{must, wait_for, wait_until};

/// A gateway that serves. Killed when dropped.
#[derive(Debug)]
pub struct RunningGateway {
    process: Process,
    folder: GatewayFolder,
}

/// A process of the binary under test. Killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
}

/// How a process ended.
#[derive(Debug)]
pub struct Ended {
    /// Exit code or signal.
    pub status: ExitStatus,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl RunningGateway {
    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &GatewayFolder {
        &self.folder
    }

    /// Who signs what.
    #[must_use]
    pub fn pki(&self) -> &TestPki {
        self.folder.pki()
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.folder.listener()
    }

    /// A client `spiffe://gov.test/<name>` with a good certificate, for the first application.
    #[must_use]
    pub fn client(&self, name: &str) -> Client {
        self.client_with(Some(&self.pki().client(name)))
    }

    /// A client with this certificate, or with none.
    #[must_use]
    pub fn client_with(&self, credentials: Option<&Credentials>) -> Client {
        self.folder.client_with(credentials)
    }

    /// The id of its process.
    #[must_use]
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// Its audit folder.
    #[must_use]
    pub fn audit(&self) -> Audit {
        Audit::new(&self.folder.path("audit"))
    }

    /// A scrape of `/metrics`.
    #[track_caller]
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        let (status, text) = must(self.admin_get("/metrics"), "scrape the metrics");
        must(
            if status == 200 { Ok(()) } else { Err(status) },
            "scrape the metrics",
        );
        Metrics::parse(&text)
    }

    /// Waits until the samples of this name and these labels add up to at least `least`.
    #[track_caller]
    pub fn wait_for_metric(&self, name: &str, labels: &[(&str, &str)], least: f64) {
        wait_until(&format!("{name}{labels:?} to reach {least}"), || {
            self.metrics().sum(name, labels) >= least
        });
    }

    /// A plain GET to the admin listener: status and body.
    ///
    /// # Errors
    /// What the system says.
    pub fn admin_get(&self, path: &str) -> std::io::Result<(u16, String)> {
        metrics::get(self.folder.admin(), path)
    }

    /// Sends a signal by name, such as `HUP`.
    pub fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    /// Changes what shall be served, writes it and reloads.
    #[track_caller]
    pub fn change(&mut self, change: impl FnOnce(TestGateway) -> TestGateway) {
        self.folder.change(change);
        self.reload();
    }

    /// Changes what shall be served, writes it and waits until that has been refused.
    #[track_caller]
    pub fn change_refused(&mut self, change: impl FnOnce(TestGateway) -> TestGateway) {
        self.folder.change(change);
        self.reload_refused();
    }

    /// Sends SIGHUP and waits until the reload has been taken.
    #[track_caller]
    pub fn reload(&self) {
        let before = self.metrics().sum("hangu_config_generation", &[]);
        self.signal("HUP");
        self.wait_for_metric("hangu_config_generation", &[], before + 1.0);
    }

    /// Sends SIGHUP and waits until the reload has been refused.
    #[track_caller]
    pub fn reload_refused(&self) {
        let refused = [("result", "refused")];
        let before = self.metrics().sum("hangu_config_reloads_total", &refused);
        self.signal("HUP");
        self.wait_for_metric("hangu_config_reloads_total", &refused, before + 1.0);
    }

    /// Starts a second process on the same folder with `--upgrade`. The first one still serves.
    #[must_use]
    pub fn spawn_upgrade(&self) -> Process {
        self.folder.spawn(&["--upgrade"], "upgrade")
    }

    /// From now on `process` is the gateway; gives the one before.
    pub fn replace_process(&mut self, process: Process) -> Process {
        std::mem::replace(&mut self.process, process)
    }

    /// What it wrote to standard error so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.folder.read("run.stderr")
    }

    /// The process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Waits for the process to end.
    #[track_caller]
    #[must_use]
    pub fn wait_for_end(&mut self) -> Ended {
        let status = self.process.wait_for_end();
        Ended {
            status,
            stderr: self.stderr(),
        }
    }

    /// Kills it as a crash would, if it still runs; the folder stays.
    #[must_use]
    pub fn into_folder(self) -> GatewayFolder {
        self.folder
    }

    pub(crate) fn once_ready(
        mut process: Process,
        folder: GatewayFolder,
    ) -> Result<Self, (Ended, Box<GatewayFolder>)> {
        let admin = folder.admin();
        let ended = wait_for("the gateway to be ready", || match process.status() {
            Some(status) => Some(Some(status)),
            None => matches!(metrics::get(admin, "/readyz"), Ok((200, _))).then_some(None),
        });
        match ended {
            None => {
                wait_until("the listener to listen", || {
                    is_listening(folder.listener().port())
                });
                Ok(Self { process, folder })
            }
            Some(status) => Err((
                Ended {
                    status,
                    stderr: folder.read("run.stderr"),
                },
                Box::new(folder),
            )),
        }
    }
}

/// Memory that a process has in use, in bytes.
#[track_caller]
#[must_use]
pub fn resident_bytes(process: u32) -> u64 {
    let path = format!("/proc/{process}/status");
    let status = must(std::fs::read_to_string(path), "read a process's status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse().ok());
    must(kib.map(|kib: u64| kib * 1024).ok_or(status), "find VmRSS")
}

/// Asked of the kernel and not by connecting, which would leave a record in the gateway's log.
fn is_listening(port: u16) -> bool {
    let of = |file| std::fs::read_to_string(file).unwrap_or_default();
    let sockets = of("/proc/net/tcp") + &of("/proc/net/tcp6");
    let port = format!(":{port:04X}");
    sockets.lines().any(|line| {
        let mut words = line.split_whitespace().skip(1);
        words.next().is_some_and(|local| local.ends_with(&port)) && words.nth(1) == Some(TCP_LISTEN)
    })
}

/// As the kernel writes the state of a listening socket.
const TCP_LISTEN: &str = "0A";

impl Process {
    pub(crate) fn new(child: Child) -> Self {
        Self { child }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended; `None` while it runs.
    #[track_caller]
    pub fn status(&mut self) -> Option<ExitStatus> {
        must(self.child.try_wait(), "look at a process")
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait_for_end(&mut self) -> ExitStatus {
        wait_for("the process to end", || self.status())
    }

    /// Sends a signal by name, such as `HUP`.
    pub fn signal(&self, name: &str) {
        // The shell's own kill: no crate, no unsafe code, and everywhere the same.
        let sent = Command::new("sh")
            .arg("-c")
            .arg(format!("kill -{name} {}", self.id()))
            .status();
        let sent = must(sent, "send a signal");
        must(
            if sent.success() { Ok(()) } else { Err(sent) },
            "send a signal",
        );
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
