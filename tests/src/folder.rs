//! The folder of a gateway under test: its configuration and everything that names, ready to be served or checked.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::application::Application;
use crate::client::Client;
use crate::gateway::TestGateway;
use crate::pki::{Credentials, TestPki};
use crate::port::free_port;
use crate::running::{Ended, Process, RunningGateway};
use crate::wait::must;

/// A folder with a configuration and all that it names.
#[derive(Debug)]
pub struct GatewayFolder {
    folder: TempDir,
    world: TestGateway,
    listener: SocketAddr,
    admin: SocketAddr,
}

impl GatewayFolder {
    pub(crate) fn new(world: TestGateway) -> Self {
        let folder = must(
            tempfile::Builder::new().prefix("hangu-test-").tempdir(),
            "make a folder",
        );
        let (ip, admin) = (
            world.ip,
            SocketAddr::from((Ipv4Addr::LOCALHOST, free_port())),
        );
        let folder = Self {
            folder,
            world,
            listener: SocketAddr::new(ip, free_port()),
            admin,
        };
        folder.write_all();
        folder
    }

    /// A file in it.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The configuration file.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.path("hangu.toml")
    }

    /// A file's text.
    #[must_use]
    pub fn read(&self, name: &str) -> String {
        must(
            fs::read_to_string(self.path(name)),
            &format!("read `{name}`"),
        )
    }

    /// Replaces a file at once, as an editor or a deployment tool does.
    pub fn write(&self, name: &str, text: &str) {
        let (path, new) = (self.path(name), self.path(&format!("{name}.new")));
        must(
            path.parent().map_or(Ok(()), fs::create_dir_all),
            "make a folder",
        );
        must(fs::write(&new, text), &format!("write `{name}`"));
        must(fs::rename(&new, &path), &format!("replace `{name}`"));
    }

    /// Who signs what.
    #[must_use]
    pub fn pki(&self) -> &TestPki {
        &self.world.pki
    }

    /// Where the gateway will listen.
    #[must_use]
    pub fn listener(&self) -> SocketAddr {
        self.listener
    }

    /// Where its admin listener will be.
    #[must_use]
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// The binary under test with these arguments, to its end.
    #[must_use]
    pub fn hangu(&self, arguments: &[&str]) -> Output {
        must(
            Command::new(&self.world.binary).args(arguments).output(),
            "run the binary under test",
        )
    }

    /// `hangu check` of the folder.
    #[must_use]
    pub fn check(&self) -> Output {
        self.hangu(&["check", "--config", &self.config().display().to_string()])
    }

    /// Starts the gateway and waits until it is ready. Where another process has taken a port meanwhile, it takes others.
    #[track_caller]
    #[must_use]
    pub fn start(mut self) -> RunningGateway {
        for _ in 0..STARTS_MAX {
            let process = self.spawn(&[], "run");
            match RunningGateway::once_ready(process, self) {
                Ok(running) => return running,
                Err((ended, folder)) if ended.stderr.contains("in use") => {
                    self = *folder;
                    self.listener.set_port(free_port());
                    self.admin.set_port(free_port());
                    self.write_all();
                }
                Err((ended, _)) => return must(Err(ended), "start the gateway"),
            }
        }
        must(
            Err("every port that was tried is taken"),
            "start the gateway",
        )
    }

    /// Changes what shall be served and writes the files that are different then.
    pub fn change(&mut self, change: impl FnOnce(TestGateway) -> TestGateway) {
        self.world = change(self.world.clone());
        self.write_all();
    }

    /// Starts the gateway and waits for its end: for one that should not serve.
    #[must_use]
    pub fn run_to_end(&self) -> Ended {
        let status = self.spawn(&[], "run").wait_for_end();
        Ended {
            status,
            stderr: self.read("run.stderr"),
        }
    }

    pub(crate) fn spawn(&self, arguments: &[&str], log: &str) -> Process {
        let file = |end: &str| {
            must(
                File::create(self.path(&format!("{log}.{end}"))),
                "make a log file",
            )
        };
        let mut command = match &self.world.shell {
            None => Command::new(&self.world.binary),
            Some(commands) => {
                let mut shell = Command::new("sh");
                shell
                    .arg("-c")
                    .arg(format!("{commands}; exec \"$0\" \"$@\""))
                    .arg(&self.world.binary);
                shell
            }
        };
        command
            .args(["run", "--config"])
            .arg(self.config())
            .args(arguments);
        command
            .stdin(Stdio::null())
            .stdout(file("stdout"))
            .stderr(file("stderr"));
        Process::new(must(command.spawn(), "start the binary under test"))
    }

    fn write_all(&self) {
        let world = &self.world;
        let config = world.configuration(self.listener, self.admin);
        let clients_ca = world.pki.clients_ca_pem();
        let names = world.server_names();
        if !self.path("certs/server.pem").exists() || self.read("certs/names") != names.join(" ") {
            let server = world.pki.server(&names);
            self.write("certs/server.pem", &server.chain_pem);
            self.write("certs/server.key", &server.key_pem);
            self.write("certs/names", &names.join(" "));
        }
        if !self.path("certs/gateway-client.key").exists() {
            let to_upstream = world.pki.client("gateway").issued;
            self.write("certs/gateway-client.pem", &to_upstream.certificate_pem);
            self.write("certs/gateway-client.key", &to_upstream.key_pem);
        }
        for (name, text) in [
            ("certs/clients-ca.pem", clients_ca.as_str()),
            ("certs/servers-ca.pem", world.pki.servers_ca_pem()),
            ("certs/clients.crl.pem", world.crl.as_str()),
            ("policy/model.conf", world.model.as_str()),
            ("policy/policy.csv", world.policy.as_str()),
            ("hangu.toml", config.as_str()),
        ] {
            if !self.path(name).exists() || self.read(name) != text {
                self.write(name, text);
            }
        }
    }

    /// A client with a certificate, for the first application.
    #[must_use]
    pub fn client_with(&self, credentials: Option<&Credentials>) -> Client {
        let name = self
            .world
            .applications
            .first()
            .map_or("127.0.0.1", Application::host);
        Client::new(&self.world.pki, self.listener, name, credentials)
    }
}

const STARTS_MAX: usize = 5;
