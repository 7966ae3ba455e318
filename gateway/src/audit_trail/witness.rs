//! The log's side of a witness: each interval the newest checkpoint goes there with its proof, and what comes back is kept.
//!
//! It has a thread of its own and touches no request. A witness that cannot be reached is an alarm, not an outage; one that refuses to
//! continue says that somebody has rewritten the log, or put an older one in its place.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hangu_audit::checkpoint::Checkpoint;
use hangu_audit::key::Verifier;
use hangu_audit::note::{Note, SignatureLine};
use hangu_audit::proof::prove_consistency;
use hangu_audit::tiles::Tiles;
use hangu_audit::witness::Submission;
use hangu_audit::{Stored, VerifyError};
use tracing::{error, info, warn};

use super::desk::Desk;
use crate::config;
use crate::observe::metrics::Metrics;
use crate::web_client::{self, AuthoritiesError};
use crate::witness::PATH;

/// The witness's thread cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// What was cosigned before.
    #[error(transparent)]
    Stored(#[from] VerifyError),
    /// Who signs its server.
    #[error("`audit.witness.ca` {0}")]
    Authorities(#[from] AuthoritiesError),
    /// No thread.
    #[error("cannot start the witness's thread: {0}")]
    Thread(#[source] io::Error),
}

/// Why a round brought no cosignature.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// It could not be asked, or gave no sense.
    #[error("the witness cannot be asked: {0}")]
    Unreachable(String),
    /// It has seen something else.
    #[error(
        "THE WITNESS REFUSES THIS LOG (status {status}): {said}; it has seen another one: compare the folder with a copy before anything else"
    )]
    Refused {
        /// Of HTTP.
        status: u16,
        /// Its words.
        said: String,
    },
}

/// The thread's own.
pub(super) struct Client {
    desk: Arc<Desk<Arc<Note>>>,
    folder: PathBuf,
    settings: config::Witness,
    metrics: Arc<Metrics>,
    agent: ureq::Agent,
    /// The size that the witness has signed last, as far as we know.
    known: u64,
    fails: bool,
}

impl Client {
    /// Starts the thread.
    pub(super) fn start(
        desk: Arc<Desk<Arc<Note>>>,
        folder: PathBuf,
        settings: config::Witness,
        metrics: Arc<Metrics>,
    ) -> Result<JoinHandle<()>, WitnessError> {
        let key = [settings.key.clone()];
        let known = match Stored::witnessed(&folder, &[])? {
            Some(_) => Stored::witnessed(&folder, &key)?,
            None => None,
        };
        let agent = web_client::agent(settings.ca.as_deref(), TIMEOUT)?;
        let client = Self {
            desk,
            folder,
            settings,
            metrics,
            agent,
            known: known.map_or(0, |stored| stored.checkpoint.head().size),
            fails: false,
        };
        thread::Builder::new()
            .name("audit witness".to_owned())
            .spawn(move || client.run())
            .map_err(WitnessError::Thread)
    }

    fn run(mut self) {
        // At once: a log that was replaced while nobody wrote it is refused now, and not an interval later.
        self.round();
        while self.desk.wait(self.settings.interval) {
            self.round();
        }
        // The last checkpoint of this process.
        self.round();
    }

    fn round(&mut self) {
        let Some((note, put_at)) = self.desk.newest() else {
            return;
        };
        let Ok(checkpoint) = Checkpoint::parse(note.text()) else {
            return;
        };
        let size = checkpoint.head().size;
        if size == self.known && self.desk.age() == Duration::ZERO {
            return;
        }
        match self.ask(&note, size) {
            Ok(cosigned) => {
                if let Err(error) = Stored::keep_witnessed(&self.folder, &cosigned) {
                    warn!("cannot keep what the witness has cosigned: {error}");
                    return;
                }
                self.known = size;
                self.desk.done(put_at);
                self.metrics.audit.witness_refuses.set(0);
                if std::mem::take(&mut self.fails) {
                    info!("the witness cosigns the audit log again");
                }
            }
            Err(failure) => {
                if matches!(failure, Failure::Refused { .. }) {
                    self.metrics.audit.witness_refuses.set(1);
                }
                if !std::mem::replace(&mut self.fails, true) {
                    error!("{failure}");
                }
            }
        }
    }

    fn ask(&mut self, note: &Note, size: u64) -> Result<Note, Failure> {
        // Once more when it has signed another size than we thought: a lost answer, or a folder that was restored.
        match self.submit(note, size)? {
            Said::Cosigned(cosigned) => return Ok(cosigned),
            Said::Latest(latest) if latest > size => {
                let said = format!("it has signed size {latest}, this log has {size}");
                return Err(Failure::Refused { status: 409, said });
            }
            Said::Latest(latest) => self.known = latest,
        }
        match self.submit(note, size)? {
            Said::Cosigned(cosigned) => Ok(cosigned),
            Said::Latest(_) => Err(Failure::Unreachable(
                "it cannot make up its mind".to_owned(),
            )),
        }
    }

    fn submit(&self, note: &Note, size: u64) -> Result<Said, Failure> {
        let unreachable = |why: &dyn std::fmt::Display| Failure::Unreachable(why.to_string());
        let proof = prove_consistency(&Tiles::of(&self.folder), self.known, size)
            .map_err(|error| unreachable(&error))?
            .ok_or_else(|| Failure::Refused {
                status: 409,
                said: format!("it has signed size {}, this log has {size}", self.known),
            })?;
        let submission = Submission {
            old_size: self.known,
            proof,
            note: note.clone(),
        };
        let url = format!("{}{PATH}", self.settings.url);
        let mut answer = self
            .agent
            .post(&url)
            .header("content-type", "text/plain; charset=utf-8")
            .send(submission.to_string())
            .map_err(|error| unreachable(&error))?;
        let status = answer.status().as_u16();
        let body = answer
            .body_mut()
            .with_config()
            .limit(ANSWER_BYTES_MAX)
            .read_to_string()
            .map_err(|error| unreachable(&error))?;
        let said = body.trim().to_owned();
        match (status, said.parse::<u64>()) {
            (200, _) => self.checked(note, &body).map(Said::Cosigned),
            (409, Ok(latest)) => Ok(Said::Latest(latest)),
            (409 | 422, _) => Err(Failure::Refused { status, said }),
            _ => Err(Failure::Unreachable(format!("status {status}: {said}"))),
        }
    }

    /// The note with the cosignatures that came, one of which must be good.
    fn checked(&self, note: &Note, body: &str) -> Result<Note, Failure> {
        let unreachable = |why: &dyn std::fmt::Display| Failure::Unreachable(why.to_string());
        let mut cosigned = note.clone();
        for line in body.lines() {
            let line = SignatureLine::parse(line).map_err(|error| unreachable(&error))?;
            cosigned.add(line).map_err(|error| unreachable(&error))?;
        }
        let key: [Verifier; 1] = [self.settings.key.clone()];
        cosigned.verify(&key).map_err(|error| unreachable(&error))?;
        Ok(cosigned)
    }
}

/// What the witness said.
enum Said {
    Cosigned(Note),
    /// Another size than we thought is what it signed last.
    Latest(u64),
}

const TIMEOUT: Duration = Duration::from_secs(5);
const ANSWER_BYTES_MAX: u64 = 16 * 1024;
