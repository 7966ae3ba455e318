//! The gateway's side of a signer in another process: each checkpoint goes there with its proof, and what comes back is kept.
//!
//! It has a thread of its own, so that a signer that hangs holds no record up. While it cannot be asked the log goes on unsigned, which is an
//! alarm; the first answer after that covers everything.

use std::fmt::Display;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hangu_audit::Stored;
use hangu_audit::checkpoint::Checkpoint;
use hangu_audit::key::Verifier;
use hangu_audit::note::Note;
use hangu_audit::proof::prove_consistency;
use hangu_audit::remote::SigningRequest;
use hangu_audit::tiles::Tiles;
use hangu_audit::tree::TreeHead;
use tracing::{error, info, warn};

use super::desk::Desk;
use crate::observe::metrics::Metrics;

/// Where the signer is asked, and the key that its answers must be signed with.
#[derive(Clone, Debug)]
pub(super) struct Signer {
    pub(super) socket: PathBuf,
    pub(super) key: Verifier,
}

/// Why a round brought no signature.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// It could not be asked, or gave no sense.
    #[error("the signer at `{}` cannot be asked: {why}; the log goes on unsigned", socket.display())]
    Unreachable {
        /// Where.
        socket: PathBuf,
        /// Why.
        why: String,
    },
    /// It has signed something else, or does not sign for us.
    #[error(
        "THE SIGNER REFUSES THIS LOG: {said}; if it has signed another one, compare the folder with a copy before anything else"
    )]
    Refused {
        /// Its words.
        said: String,
    },
}

/// The thread's own.
pub(super) struct Client {
    desk: Arc<Desk<TreeHead>>,
    folder: PathBuf,
    signer: Signer,
    /// Who gets what was signed.
    witness: Option<Arc<Desk<Arc<Note>>>>,
    metrics: Arc<Metrics>,
    /// The size that was signed last, as far as we know.
    known: u64,
    fails: bool,
}

impl Client {
    /// Starts the thread.
    pub(super) fn start(
        desk: Arc<Desk<TreeHead>>,
        folder: PathBuf,
        signer: Signer,
        witness: Option<Arc<Desk<Arc<Note>>>>,
        metrics: Arc<Metrics>,
    ) -> io::Result<JoinHandle<()>> {
        let client = Self {
            desk,
            folder,
            signer,
            witness,
            metrics,
            known: 0,
            fails: false,
        };
        thread::Builder::new()
            .name("audit signer".to_owned())
            .spawn(move || client.run())
    }

    fn run(mut self) {
        while self.desk.wait(ASK_EVERY) {
            self.round();
        }
        // The last checkpoint of this process.
        self.round();
    }

    fn round(&mut self) {
        if self.desk.age() == Duration::ZERO {
            return;
        }
        let Some((head, put_at)) = self.desk.newest() else {
            return;
        };
        match self.ask(head) {
            Ok(note) => {
                if let Err(error) = Stored::keep_signed(&self.folder, &note) {
                    warn!("cannot keep the checkpoint that was signed: {error}");
                    return;
                }
                self.known = head.size;
                self.desk.done(put_at);
                self.metrics.audit.signer_refuses.set(0);
                if let Some(witness) = &self.witness {
                    witness.put(Arc::new(note));
                }
                if std::mem::take(&mut self.fails) {
                    info!("the audit log is signed again");
                }
            }
            Err(failure) => {
                if matches!(failure, Failure::Refused { .. }) {
                    self.metrics.audit.signer_refuses.set(1);
                }
                if !std::mem::replace(&mut self.fails, true) {
                    error!("{failure}");
                }
            }
        }
    }

    fn ask(&mut self, head: TreeHead) -> Result<Note, Failure> {
        // Once more when it has signed another size than we thought: our first question, or an answer that was lost.
        for _ in 0..2 {
            match self.submit(head)? {
                Said::Signed(note) => return Ok(note),
                Said::Latest(latest) if latest > head.size => {
                    let said = format!("it has signed size {latest}, this log has {}", head.size);
                    return Err(Failure::Refused { said });
                }
                Said::Latest(latest) => self.known = latest,
            }
        }
        Err(self.unreachable(&"it cannot make up its mind"))
    }

    fn submit(&self, head: TreeHead) -> Result<Said, Failure> {
        let origin = self.signer.key.name().as_str();
        let checkpoint = Checkpoint::new(origin, head).map_err(|error| self.unreachable(&error))?;
        let proof = prove_consistency(&Tiles::of(&self.folder), self.known, head.size)
            .map_err(|error| self.unreachable(&error))?
            .ok_or_else(|| self.unreachable(&"the tree is shorter than the log"))?;
        let request = SigningRequest {
            old_size: self.known,
            proof,
            checkpoint,
        };
        let answer = self
            .exchange(&request.to_string())
            .map_err(|error| self.unreachable(&error))?;
        let (word, rest) = answer.trim_end().split_once(' ').unwrap_or_default();
        match (word, rest.parse::<u64>()) {
            ("signed", _) => {
                let note = Note::parse(&format!("{}\n{rest}\n", request.checkpoint));
                let note = note.map_err(|error| self.unreachable(&error))?;
                // It is the key that counts, not who listens there.
                let key = [self.signer.key.clone()];
                note.verify(&key)
                    .map_err(|error| self.unreachable(&error))?;
                Ok(Said::Signed(note))
            }
            ("size", Ok(latest)) => Ok(Said::Latest(latest)),
            ("refused", _) => Err(Failure::Refused {
                said: rest.to_owned(),
            }),
            _ => Err(self.unreachable(&format!("it says `{}`", answer.trim_end()))),
        }
    }

    fn exchange(&self, request: &str) -> io::Result<String> {
        let mut stream = UnixStream::connect(&self.signer.socket)?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.write_all(request.as_bytes())?;
        stream.shutdown(Shutdown::Write)?;
        let mut answer = String::new();
        stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer)?;
        Ok(answer)
    }

    fn unreachable(&self, why: &dyn Display) -> Failure {
        Failure::Unreachable {
            socket: self.signer.socket.clone(),
            why: why.to_string(),
        }
    }
}

/// What the signer said.
enum Said {
    Signed(Note),
    /// Another size than we thought is what it signed last.
    Latest(u64),
}

/// How often it is looked whether there is something to sign.
const ASK_EVERY: Duration = Duration::from_millis(200);
const TIMEOUT: Duration = Duration::from_secs(3);
const ANSWER_BYTES_MAX: u64 = 4 * 1024;
