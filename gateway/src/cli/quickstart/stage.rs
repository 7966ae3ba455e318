//! What a self-test needs around it: a folder that is cleared away, a gateway that is stopped, its audit log.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use hangu_audit::{Entry, Position, Reader};
use pingora::server::{RunArgs, ShutdownSignal, ShutdownSignalWatch};

use super::bureau::Seen;
use super::client::get_plain;
use super::error::{QuickstartError, at};
use super::folder::{Folder, Reader as MayRead, config_text, make_folder, write_file};
use super::ports::Addresses;
use super::{add_application, stop_signal, unix_seconds};
use crate::request_id::RequestId;
use crate::server::{Start, StartError, run_beside};

/// Something on the disk that goes when this goes.
#[derive(Debug)]
pub(super) struct Scratch(PathBuf);

impl Scratch {
    /// A new folder among the system's temporary ones.
    pub(super) fn new() -> Result<Self, QuickstartError> {
        // The id begins with a random number of this process.
        let name = format!("hangu-quickstart-{}", RequestId::next());
        let path = std::env::temp_dir().join(name);
        DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(at(&path))?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is no reason for a test to fail.
        drop(fs::remove_dir_all(&self.0).or_else(|_| fs::remove_file(&self.0)));
    }
}

/// The text of a file, put back when this goes.
#[derive(Debug)]
pub(super) struct PutBack {
    path: PathBuf,
    text: Vec<u8>,
}

impl PutBack {
    pub(super) fn of(path: &Path) -> Result<Self, QuickstartError> {
        Ok(Self {
            path: path.to_owned(),
            text: fs::read(path).map_err(at(path))?,
        })
    }
}

impl Drop for PutBack {
    fn drop(&mut self) {
        drop(write_file(&self.path, &self.text, MayRead::Anyone));
    }
}

/// A running gateway with the demo application behind it, on ports and with an audit log of its own, so that the folder's
/// own log stays as it is.
pub(super) struct Stage {
    pub(super) addresses: Addresses,
    pub(super) certs: PathBuf,
    pub(super) audit: PathBuf,
    /// What has reached the application.
    pub(super) seen: Arc<Mutex<Vec<Seen>>>,
    gateway: JoinHandle<Result<(), StartError>>,
    interrupted: Arc<AtomicBool>,
    _files: [Scratch; 2],
}

impl Stage {
    /// Fills the folder and starts the gateway; gives it back once it is ready.
    pub(super) fn set(folder: &Folder, port: Option<u16>) -> Result<Self, QuickstartError> {
        folder.fill(unix_seconds())?;
        let addresses = match port {
            Some(first) => Addresses::from(first),
            None => Addresses::free()?,
        };
        addresses.check()?;
        let own = folder.path().join(OWN);
        let config = folder.path().join("self-test.toml");
        let files = [Scratch(own.clone()), Scratch(config.clone())];
        if own.exists() {
            fs::remove_dir_all(&own).map_err(at(&own))?;
        }
        make_folder(&own)?;
        let text = config_text(&addresses, &format!("{OWN}/"));
        write_file(&config, text.as_bytes(), MayRead::Anyone)?;
        let seen = Arc::default();
        let interrupted = Arc::new(AtomicBool::new(false));
        let gateway = {
            let (seen, interrupted) = (Arc::clone(&seen), Arc::clone(&interrupted));
            thread::spawn(move || {
                let until = RunArgs {
                    shutdown_signal: Box::new(Note(interrupted)),
                };
                run_beside(&config, Start::Fresh, until, |server| {
                    add_application(server, &addresses, seen);
                })
            })
        };
        let stage = Self {
            addresses,
            certs: folder.path().join("certs"),
            audit: own.join("audit"),
            seen,
            gateway,
            interrupted,
            _files: files,
        };
        stage.wait_until_ready()
    }

    /// Whether the gateway has ended, or somebody wants all of this to end.
    pub(super) fn has_ended(&self) -> bool {
        self.interrupted.load(Ordering::Acquire) || self.gateway.is_finished()
    }

    fn wait_until_ready(self) -> Result<Self, QuickstartError> {
        let until = Instant::now() + READY_WITHIN;
        loop {
            if self.gateway.is_finished() {
                return match self.gateway.join() {
                    Ok(Err(error)) => Err(error.into()),
                    Ok(Ok(())) | Err(_) => Err(QuickstartError::Ended),
                };
            }
            if self.has_ended() {
                return Err(QuickstartError::Ended);
            }
            if get_plain(self.addresses.admin, "/readyz").is_ok() {
                return Ok(self);
            }
            if Instant::now() > until {
                return Err(QuickstartError::Slow {
                    seconds: READY_WITHIN.as_secs(),
                });
            }
            thread::sleep(LOOK_EVERY);
        }
    }
}

/// Notes the signals that people and supervisors send, and goes on: the test ends itself and clears away what it wrote.
/// The gateway ends with the process.
struct Note(Arc<AtomicBool>);

#[async_trait]
impl ShutdownSignalWatch for Note {
    async fn recv(&self) -> ShutdownSignal {
        stop_signal().await;
        self.0.store(true, Ordering::Release);
        std::future::pending().await
    }
}

/// Every record of the gateway's audit log, read as it comes.
#[derive(Debug)]
pub(super) struct AuditLog {
    reader: Reader,
    entries: Vec<Entry>,
}

impl AuditLog {
    pub(super) fn open(folder: &Path) -> Result<Self, QuickstartError> {
        Ok(Self {
            reader: Reader::open(folder, Position::First)?,
            entries: Vec::new(),
        })
    }

    /// The record that is looked for, once it is there; `None` if it does not come.
    pub(super) fn wait_for(
        &mut self,
        is_it: impl Fn(&Entry) -> bool,
    ) -> Result<Option<Entry>, QuickstartError> {
        let until = Instant::now() + RECORD_WITHIN;
        loop {
            self.read()?;
            if let Some(entry) = self.entries.iter().find(|entry| is_it(entry)) {
                return Ok(Some(entry.clone()));
            }
            if Instant::now() > until {
                return Ok(None);
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    /// Every record with a decision so far.
    pub(super) fn decisions(&mut self) -> Result<Vec<&Entry>, QuickstartError> {
        self.read()?;
        let decided = self.entries.iter();
        Ok(decided.filter(|entry| !entry.decision.is_empty()).collect())
    }

    fn read(&mut self) -> Result<(), QuickstartError> {
        while let Some(line) = self.reader.next_line()? {
            self.entries.push(Entry::parse(&line.json)?);
        }
        Ok(())
    }
}

/// Asks again until the answer is `wanted`, or time is up; gives the last answer.
pub(super) fn wait_for<T: PartialEq>(
    wanted: &T,
    mut ask: impl FnMut() -> Result<T, QuickstartError>,
) -> Result<T, QuickstartError> {
    let until = Instant::now() + RECORD_WITHIN;
    loop {
        let answer = ask()?;
        if answer == *wanted || Instant::now() > until {
            return Ok(answer);
        }
        thread::sleep(LOOK_EVERY);
    }
}

/// All of the gateway's metrics.
pub(super) fn metrics(admin: std::net::SocketAddr) -> Result<String, QuickstartError> {
    get_plain(admin, "/metrics").map_err(|error: io::Error| QuickstartError::Metrics(error))
}

/// What the self-test's gateway writes, below the quickstart's folder.
const OWN: &str = "self-test";
const READY_WITHIN: Duration = Duration::from_secs(15);
const RECORD_WITHIN: Duration = Duration::from_secs(3);
const LOOK_EVERY: Duration = Duration::from_millis(10);
