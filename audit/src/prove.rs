//! A record that proves itself (C2SP tlog-proof): one file that shows, to whoever knows the log's key, that a record is in the log.
//!
//! An auditor need not be given the log to check one line of it: the line, its proof of some hundred bytes and the log's public key
//! are enough, and stay enough when the log is long gone.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::chain::{self, Hash, LineFault};
use crate::checkpoint::{Checkpoint, CheckpointError, hash_from_base64, hash_to_base64};
use crate::head;
use crate::key::Verifier;
use crate::note::Note;
use crate::proof::{ProofError, prove_inclusion, verify_inclusion};
use crate::tiles::{TileError, Tiles};
use crate::tree::TreeHead;
use crate::witness::PROOF_HASHES_MAX;

/// That a record is in a log. Shown as the file that can be given away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordProof {
    /// The record's place in the tree: its sequence number less one.
    pub index: u64,
    /// From the leaf's sibling to the root's child.
    pub hashes: Vec<Hash>,
    /// The signed checkpoint that it leads to, with what cosignatures there are.
    pub note: Note,
}

/// Proves record `sequence` of the log in `dir` under its latest checkpoint. Reads a few KiB, however long the log is.
///
/// # Errors
/// When there is no checkpoint, or none that covers the record yet, or a file cannot be read.
pub fn prove(dir: &Path, sequence: u64) -> Result<RecordProof, ProveError> {
    let path = head::checkpoint_path(dir);
    let found = head::read_checkpoint(&path).map_err(|source| ProveError::Io {
        path: path.clone(),
        source,
    })?;
    let Ok(Some((note, checkpoint))) = found else {
        return Err(ProveError::NoCheckpoint { path });
    };
    let size = checkpoint.head().size;
    let uncovered = ProveError::Uncovered { sequence, size };
    let Some(index) = sequence.checked_sub(1) else {
        return Err(uncovered);
    };
    let hashes = prove_inclusion(&Tiles::of(dir), index, size)?.ok_or(uncovered)?;
    Ok(RecordProof {
        index,
        hashes,
        note,
    })
}

impl RecordProof {
    /// Checks that `line`, a record without its newline, is the proven one, and that one of `keys` has signed the checkpoint,
    /// which it gives.
    ///
    /// # Errors
    /// What does not hold.
    pub fn verify(&self, line: &[u8], keys: &[Verifier]) -> Result<Checkpoint, RecordProofError> {
        let checkpoint = Checkpoint::open(&self.note, keys)?;
        self.leads_to(line, Some(checkpoint.head()))?;
        Ok(checkpoint)
    }

    /// Checks that `line` is the proven record and leads to `head`, whoever signed that: for the log's own owner.
    ///
    /// # Errors
    /// What does not hold.
    pub fn leads_to(&self, line: &[u8], head: Option<TreeHead>) -> Result<(), RecordProofError> {
        let head = head.ok_or(RecordProofError::Form {
            what: "no checkpoint",
        })?;
        let (link, _) = chain::open(line)?;
        if link.sequence.checked_sub(1) != Some(self.index) {
            return Err(RecordProofError::OtherRecord {
                sequence: link.sequence,
                index: self.index,
            });
        }
        verify_inclusion(&link.hash, self.index, head.size, &self.hashes, &head.root)?;
        Ok(())
    }

    /// Reads the file.
    ///
    /// # Errors
    /// When it is not of this form.
    pub fn parse(text: &str) -> Result<Self, RecordProofError> {
        let wrong = |what| RecordProofError::Form { what };
        let (head, note) = text.split_once("\n\n").ok_or(wrong("no empty line"))?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(FIRST_LINE) {
            return Err(wrong("another first line"));
        }
        // Somebody's own data, which nothing vouches for.
        let _extra = lines.next_if(|line| line.starts_with("extra "));
        let digits = lines
            .next()
            .and_then(|line| line.strip_prefix("index "))
            .unwrap_or_default();
        let index: u64 = digits.parse().map_err(|_| wrong("no index"))?;
        if index.to_string() != digits {
            return Err(wrong("no index"));
        }
        let hashes: Vec<_> = lines
            .take(PROOF_HASHES_MAX + 1)
            .map(|line| hash_from_base64(line).ok_or(wrong("a line that is no hash")))
            .collect::<Result<_, _>>()?;
        if hashes.len() > PROOF_HASHES_MAX {
            return Err(wrong("more hashes than any tree has"));
        }
        let note = Note::parse(note).map_err(CheckpointError::from)?;
        Ok(Self {
            index,
            hashes,
            note,
        })
    }
}

impl fmt::Display for RecordProof {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{FIRST_LINE}\nindex {}", self.index)?;
        for hash in &self.hashes {
            writeln!(formatter, "{}", hash_to_base64(hash))?;
        }
        write!(formatter, "\n{}", self.note)
    }
}

/// A record cannot be proven.
#[derive(Debug, Error)]
pub enum ProveError {
    /// Nothing has been signed.
    #[error("{}: no checkpoint here; the log must be signed before its records can be proven", path.display())]
    NoCheckpoint {
        /// Where it should be.
        path: PathBuf,
    },
    /// The checkpoint does not reach the record.
    #[error(
        "record `{sequence}` is not among the `{size}` that the checkpoint covers; wait for the next checkpoint"
    )]
    Uncovered {
        /// The record.
        sequence: u64,
        /// Size of the checkpoint.
        size: u64,
    },
    /// The tree cannot be read.
    #[error(transparent)]
    Tile(#[from] TileError),
    /// The checkpoint cannot be read.
    #[error("{}: {source}; run as a user who may read the audit folder", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A proof does not prove the record.
#[derive(Debug, Error)]
pub enum RecordProofError {
    /// It is not a proof.
    #[error("this is not a record's proof: it has {what}; fetch it again")]
    Form {
        /// What it has, or has not.
        what: &'static str,
    },
    /// The line is not a record, or was changed.
    #[error("the record cannot be checked: {0}")]
    Line(#[from] LineFault),
    /// It is about another record.
    #[error("the proof is about record `{}`, not about record `{sequence}`; fetch the one of this record", index.saturating_add(1))]
    OtherRecord {
        /// The record's number.
        sequence: u64,
        /// The index in the proof.
        index: u64,
    },
    /// The checkpoint is not one, or nobody known signed it.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The hashes do not lead to the checkpoint.
    #[error(transparent)]
    Proof(#[from] ProofError),
}

const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";
