//! What the writer signs: a checkpoint of the log, at least once a second while records come, at each rotation and at the end.
//!
//! Before it signs anything it holds the log to what it signed before: a log that somebody wrote anew while the gateway was down must
//! not get a good signature from us.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use hangu_audit::checkpoint::{Checkpoint, CheckpointError};
use hangu_audit::key::{KeyKind, Signer, Verifier};
use hangu_audit::note::Note;
use hangu_audit::tree::TreeHead;
use hangu_audit::{CommitError, Log, Stored, VerifyError};
use tracing::warn;

use super::desk::Desk;
use super::key_file::{KeyError, default_name, make_key, public_path, read_key};
use crate::config::SigningKey;

/// A log cannot be signed.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// The key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The checkpoint in the folder.
    #[error("{0}; it must be what this gateway signed last")]
    Checkpoint(#[from] VerifyError),
    /// Somebody took the checkpoint away.
    #[error("{}: the log has `{records}` records and no checkpoint, although its key is there; put the file `checkpoint` back, or keep the folder as evidence and start a new log in another one", folder.display())]
    Missing {
        /// The folder.
        folder: PathBuf,
        /// How many records.
        records: u64,
    },
    /// A checkpoint cannot be made.
    #[error(transparent)]
    Made(#[from] CheckpointError),
    /// A checkpoint cannot be written.
    #[error(transparent)]
    Write(#[from] CommitError),
}

/// The log's key, and how far it has signed.
#[derive(Debug)]
pub(super) struct Signing {
    hand: Hand,
    /// Keys that may have signed what lies in the folder.
    known: Vec<Verifier>,
    is_new: bool,
    /// An earlier start has made the key.
    is_used: bool,
    signed: Option<u64>,
    segment_first: u64,
}

/// Who signs.
#[derive(Debug)]
enum Hand {
    /// This process, with a key that it has read.
    Own(Box<Signer>),
    /// Another process, by way of a thread that asks it.
    Remote(Arc<Desk<TreeHead>>),
}

impl Signing {
    /// Reads the key, or makes it where the configuration names none and there is none.
    pub(super) fn load(key: &SigningKey, node: &str) -> Result<Self, SigningError> {
        let mut is_used = false;
        let (signer, is_new) = match key {
            SigningKey::Remote { key, .. } => return Ok(Self::remote(key)),
            SigningKey::File(path) => (read_key(path, KeyKind::Note)?, false),
            SigningKey::Beside(path) if path.exists() => {
                is_used = true;
                (read_key(path, KeyKind::Note)?, false)
            }
            SigningKey::Beside(path) => {
                let signer = make_key(path, &default_name(node), KeyKind::Note)?;
                warn!(
                    "made the key `{}` that signs the audit log; keep `{}` on another machine to verify it with, and see docs/audit-format.md on where the key should live",
                    path.display(),
                    public_path(path).display()
                );
                (signer, true)
            }
        };
        Ok(Self {
            known: vec![signer.verifier().clone()],
            hand: Hand::Own(Box::new(signer)),
            is_new,
            is_used,
            signed: None,
            segment_first: 0,
        })
    }

    fn remote(key: &Verifier) -> Self {
        Self {
            hand: Hand::Remote(Arc::new(Desk::new())),
            known: vec![key.clone()],
            // A checkpoint that was taken away is missed by the signer: it signs only what continues the last one.
            is_new: true,
            is_used: false,
            signed: None,
            segment_first: 0,
        }
    }

    /// Where checkpoints wait for a signer in another process; `None` when this one signs.
    pub(super) fn desk(&self) -> Option<&Arc<Desk<TreeHead>>> {
        match &self.hand {
            Hand::Own(_) => None,
            Hand::Remote(desk) => Some(desk),
        }
    }

    /// Whether a log without any record has a key that an earlier start made for the one in this folder.
    pub(super) fn misses_a_log(&self, log: &Log) -> bool {
        self.is_used && log.committed().sequence == 0
    }

    /// Holds a log that was just opened to its checkpoint, and signs it or has it signed; it was opened only if it continues it.
    pub(super) fn take_up(
        &mut self,
        log: &mut Log,
        folder: &Path,
    ) -> Result<Option<Arc<Note>>, SigningError> {
        let records = log.committed().sequence;
        match Stored::signed(folder, &[])? {
            Some(_) => drop(Stored::signed(folder, &self.known)?),
            // A first start, or the first one with a key: there is nothing that could have been signed.
            None if records == 0 || self.is_new => {}
            None => {
                return Err(SigningError::Missing {
                    folder: folder.to_owned(),
                    records,
                });
            }
        }
        self.sign_anew(log)
    }

    /// Whether there is something new to sign at once: the log has begun another segment.
    pub(super) fn is_rotated(&self, log: &Log) -> bool {
        self.segment_first != log.segment_first()
    }

    /// Signs the log as it is on the disk, unless that was signed before; gives the new checkpoint, if it is signed here.
    pub(super) fn sign(&mut self, log: &mut Log) -> Result<Option<Arc<Note>>, SigningError> {
        if self.signed == Some(log.tree_head().size) {
            self.segment_first = log.segment_first();
            return Ok(None);
        }
        self.sign_anew(log)
    }

    fn sign_anew(&mut self, log: &mut Log) -> Result<Option<Arc<Note>>, SigningError> {
        let head = log.tree_head();
        self.segment_first = log.segment_first();
        let note = match &self.hand {
            Hand::Own(signer) => {
                let origin = signer.verifier().name().as_str();
                let note = Checkpoint::new(origin, head)?.sign(signer, unix_seconds())?;
                log.write_checkpoint(&note)?;
                Some(Arc::new(note))
            }
            Hand::Remote(desk) => {
                desk.put(head);
                None
            }
        };
        self.signed = Some(head.size);
        Ok(note)
    }
}

/// The wall clock in seconds since 1970.
pub(super) fn unix_seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
