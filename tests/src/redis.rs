//! A real redis-server of a test's own, without persistence and on a free port.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::port::free_port;
use crate::wait::{must, wait_until};

/// Runs until it is dropped.
#[derive(Debug)]
pub struct TestRedis {
    port: u16,
    arguments: Vec<String>,
    folder: TempDir,
    child: Option<Child>,
}

impl TestRedis {
    /// Starts one with these further arguments, and waits until it answers. `None` where no redis-server is installed, which CI
    /// does not allow.
    #[must_use]
    pub fn start(arguments: &[&str]) -> Option<Self> {
        let known = Command::new("redis-server").arg("--version").output();
        if known.is_err() && std::env::var_os("CI").is_none() {
            eprintln!("left out: there is no redis-server");
            return None;
        }
        let _version = must(known, "run redis-server");
        let port = free_port();
        let own = [
            "--port",
            &port.to_string(),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
        ];
        Some(Self::at(
            port,
            own.iter().chain(arguments).map(|&word| word.to_owned()),
        ))
    }

    /// A sentinel that watches this server as the service of this name.
    #[must_use]
    pub fn sentinel(&self, service: &str) -> Self {
        let port = free_port();
        let config = format!(
            "port {port}\nbind 127.0.0.1\nsentinel monitor {service} 127.0.0.1 {} 1\n",
            self.port
        );
        let file = self.folder.path().join("sentinel.conf");
        must(fs::write(&file, config), "write a sentinel's configuration");
        let arguments = [file.display().to_string(), "--sentinel".to_owned()];
        Self::at(port, arguments.into_iter())
    }

    fn at(port: u16, arguments: impl Iterator<Item = String>) -> Self {
        let folder = must(
            tempfile::Builder::new().prefix("hangu-redis-").tempdir(),
            "make a folder",
        );
        let mut redis = Self {
            port,
            arguments: arguments.collect(),
            folder,
            child: None,
        };
        redis.restart();
        redis
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Kills it as a crash would.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            drop(child.kill());
            drop(child.wait());
        }
    }

    /// Starts it again, empty, at the same port.
    pub fn restart(&mut self) {
        self.kill();
        let mut command = Command::new("redis-server");
        command
            .args(&self.arguments)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        self.child = Some(must(command.spawn(), "start redis-server"));
        wait_until("redis-server to answer", || {
            !self.command("PING").is_empty()
        });
    }

    /// Sends a signal by name, such as `STOP`.
    pub fn signal(&self, name: &str) {
        let id = self.child.as_ref().map_or(0, Child::id);
        let sent = Command::new("sh")
            .arg("-c")
            .arg(format!("kill -{name} {id}"))
            .status();
        let sent = must(sent, "send a signal");
        must(
            if sent.success() { Ok(()) } else { Err(sent) },
            "send a signal",
        );
    }

    /// The first bytes of the answer to a command, as they come; empty when there is none.
    #[must_use]
    pub fn command(&self, words: &str) -> String {
        let answer = || {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
            let mut stream = TcpStream::connect(address)?;
            stream.set_read_timeout(Some(ANSWER))?;
            stream.write_all(format!("{words}\r\n").as_bytes())?;
            stream.shutdown(Shutdown::Write)?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok::<_, std::io::Error>(answer)
        };
        answer().unwrap_or_default()
    }
}

impl Drop for TestRedis {
    fn drop(&mut self) {
        self.kill();
    }
}

/// How long a command may take.
const ANSWER: Duration = Duration::from_secs(5);
