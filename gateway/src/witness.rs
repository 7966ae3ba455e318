//! `hangu audit witness`: a second party that remembers how far it has seen a log and cosigns only what continues it (C2SP tlog-witness).
//!
//! It belongs on another machine, under other hands than the gateway: whoever owns host and key of a log can rewrite it, and cannot
//! make this process forget. It keeps no records, only one checkpoint a log, and learns nothing of any request.
//!
//! Spoken in plain HTTP: what comes is signed, what goes is signed, and there is nothing to be kept secret.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hangu_audit::checkpoint::Checkpoint;
use hangu_audit::key::{Signer, Verifier};
use hangu_audit::note::Note;
use hangu_audit::tree::TreeHead;
use hangu_audit::witness::{Refusal, Submission, WatchedLog, Witness};
use ring::digest::{SHA256, digest};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;
use tracing::{error, info, warn};

use crate::control::http1;

/// How a witness is set up.
#[derive(Debug)]
pub struct Settings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// What it remembers; made when it is missing.
    pub folder: PathBuf,
    /// Its key.
    pub signer: Signer,
    /// Keys of the logs that it watches; those of one name are of one log.
    pub logs: Vec<Verifier>,
}

/// A witness cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// It cannot listen.
    #[error("cannot listen on `{address}`: {source}; choose a free address")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What it remembers cannot be read or written.
    #[error("witness memory `{}`: {source}; the folder must be writable by the witness's user alone", path.display())]
    Memory {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What it remembers is not what it signed.
    #[error("witness memory `{}`: not cosigned by this witness's key; put the file back, or compare the log with a copy before you remove it", path.display())]
    Forged {
        /// The file.
        path: PathBuf,
    },
    /// The runtime.
    #[error("cannot start: {0}")]
    Runtime(#[source] io::Error),
}

/// Serves until SIGTERM or SIGINT; `listening` is told the address.
///
/// # Errors
/// When it cannot listen, or what it remembers is not its own.
pub fn serve(settings: Settings, listening: impl FnOnce(SocketAddr)) -> Result<(), WitnessError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(WitnessError::Runtime)?;
    let address = settings.listen;
    let party = Arc::new(Party::new(settings)?);
    runtime.block_on(async {
        let at = |source| WitnessError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(at)?;
        listening(listener.local_addr().map_err(at)?);
        let (mut interrupt, mut terminate) = (
            signal(SignalKind::interrupt()).map_err(WitnessError::Runtime)?,
            signal(SignalKind::terminate()).map_err(WitnessError::Runtime)?,
        );
        let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = interrupt.recv() => return Ok(()),
                _ = terminate.recv() => return Ok(()),
            };
            let (Ok((stream, _)), Ok(slot)) = (accepted, Arc::clone(&slots).try_acquire_owned())
            else {
                // More at once than there are logs to watch: whoever it was comes again.
                continue;
            };
            let party = Arc::clone(&party);
            tokio::spawn(async move {
                let _slot = slot;
                // One that dawdles is cut off, one that has gone misses its answer: both come again.
                match tokio::time::timeout(REQUEST_TIMEOUT, one(&party, stream)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => warn!("a log went before its answer: {error}"),
                    Err(_) => warn!("a log took longer than {REQUEST_TIMEOUT:?} to say its word"),
                }
            });
        }
    })
}

/// One request and its answer.
async fn one(party: &Party, mut stream: TcpStream) -> io::Result<()> {
    let (status, kind, body) = match http1::read(&mut stream).await {
        Ok(None) => return Ok(()),
        Err(refused) => (refused.status, TEXT, "not a request\n".to_owned()),
        Ok(Some(call)) if call.path != PATH => (404, TEXT, format!("there is only {PATH}\n")),
        Ok(Some(call)) if call.method != "POST" => (405, TEXT, "only POST\n".to_owned()),
        Ok(Some(call)) => match party.cosign(&String::from_utf8_lossy(&call.body)) {
            Ok(line) => (200, TEXT, format!("{line}\n")),
            Err(Answer::Refused(Refusal::OtherSize { latest })) => {
                (409, SIZE, format!("{latest}\n"))
            }
            Err(Answer::Refused(refusal)) => (refusal.status(), TEXT, format!("{refusal}\n")),
            Err(Answer::Unable) => (500, TEXT, "the witness cannot remember now\n".to_owned()),
        },
    };
    answer(&mut stream, status, kind, &body).await
}

async fn answer<S: AsyncWrite + Unpin>(
    stream: &mut S,
    status: u16,
    kind: &str,
    body: &str,
) -> io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status} {}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        if status == 200 { "OK" } else { "Refused" },
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.shutdown().await
}

/// Why there is no cosignature.
enum Answer {
    Refused(Refusal),
    Unable,
}

/// The witness with its memory.
struct Party {
    witness: Witness,
    folder: PathBuf,
    /// By origin. Held from the judgement until it is on the disk: one word at a time.
    latest: Mutex<BTreeMap<String, TreeHead>>,
}

impl Party {
    fn new(settings: Settings) -> Result<Self, WitnessError> {
        let Settings {
            folder,
            signer,
            logs,
            ..
        } = settings;
        fs::create_dir_all(&folder).map_err(|source| WitnessError::Memory {
            path: folder.clone(),
            source,
        })?;
        let mut watched: Vec<WatchedLog> = Vec::new();
        for key in logs {
            let origin = key.name().as_str();
            match watched.iter_mut().find(|log| log.origin == origin) {
                Some(log) => log.keys.push(key),
                None => watched.push(WatchedLog {
                    origin: origin.to_owned(),
                    keys: vec![key],
                }),
            }
        }
        let party = Self {
            witness: Witness {
                signer,
                logs: watched,
            },
            folder,
            latest: Mutex::new(BTreeMap::new()),
        };
        let mut latest = BTreeMap::new();
        for log in &party.witness.logs {
            if let Some(head) = party.remembered(&log.origin)? {
                latest.insert(log.origin.clone(), head);
            }
        }
        Ok(Self {
            latest: Mutex::new(latest),
            ..party
        })
    }

    /// What was cosigned last for a log; it must carry the witness's own signature.
    fn remembered(&self, origin: &str) -> Result<Option<TreeHead>, WitnessError> {
        let path = self.file_of(origin);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(WitnessError::Memory { path, source }),
        };
        let own = [self.witness.signer.verifier().clone()];
        let checkpoint = Note::parse(&text)
            .ok()
            .and_then(|note| Checkpoint::open(&note, &own).ok())
            .filter(|checkpoint| checkpoint.origin() == origin);
        match checkpoint {
            Some(checkpoint) => Ok(Some(checkpoint.head())),
            None => Err(WitnessError::Forged { path }),
        }
    }

    /// A name of hexadecimal digits: an origin may hold anything.
    fn file_of(&self, origin: &str) -> PathBuf {
        let hash = digest(&SHA256, origin.as_bytes());
        let name: String = hash
            .as_ref()
            .iter()
            .take(16)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        self.folder.join(format!("{name}.checkpoint"))
    }

    fn cosign(&self, body: &str) -> Result<String, Answer> {
        let submission = Submission::parse(body).map_err(Answer::Refused)?;
        let origin = match self.witness.log_of(&submission) {
            Ok(log) => log.origin.clone(),
            Err(refusal) => return Err(Answer::Refused(refusal)),
        };
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let judged = self
            .witness
            .judge(&submission, latest.get(&origin).copied(), unix_seconds());
        let cosigned = judged.map_err(|refusal| {
            match refusal {
                Refusal::Fork { .. } | Refusal::Inconsistent { .. } => {
                    error!("`{origin}`: {refusal}");
                }
                Refusal::Malformed { .. }
                | Refusal::UnknownLog
                | Refusal::Unsigned
                | Refusal::OtherSize { .. } => warn!("`{origin}`: {refusal}"),
            }
            Answer::Refused(refusal)
        })?;
        let head = cosigned.head();
        let mut note = submission.note;
        let path = self.file_of(&origin);
        // A witness that forgets what it signed can be rolled back: it is on the disk before anybody sees it.
        let released = cosigned.release(|_, line| {
            note.add(line.clone()).map_err(io::Error::other)?;
            hangu_audit::replace_file(&path, note.to_string().as_bytes())
        });
        let line = released.map_err(|error| {
            error!("cannot remember `{origin}` in {}: {error}", path.display());
            Answer::Unable
        })?;
        info!("`{origin}` at size {}", head.size);
        latest.insert(origin, head);
        Ok(line.to_string())
    }
}

fn unix_seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

/// Where checkpoints are sent to.
pub(crate) const PATH: &str = "/add-checkpoint";
const TEXT: &str = "text/plain; charset=utf-8";
/// What the protocol calls the body that only holds a size.
const SIZE: &str = "text/x.tlog.size";
const CONNECTIONS_MAX: usize = 64;
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
