//! A witness (C2SP tlog-witness): a second party that remembers one checkpoint a log and signs only what continues it.
//!
//! Whoever owns a log's host and key can rewrite the log and sign the new one. He cannot make a witness forget: a checkpoint
//! that does not continue the one it signed last is refused, so a rewritten log goes without cosignatures from then on, and
//! what was signed before contradicts it.
//!
//! Here is the judgement; HTTP and the file that remembers are the caller's.

use std::fmt;

use thiserror::Error;

use crate::chain::Hash;
use crate::checkpoint::{Checkpoint, hash_from_base64, hash_to_base64};
use crate::key::{Signer, Verifier};
use crate::note::{Note, SignatureLine};
use crate::proof::verify_consistency;
use crate::tree::{TreeHead, empty_root};

/// What a log sends to a witness. Shown as the body of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// The size that the log thinks the witness has signed last.
    pub old_size: u64,
    /// Proof from there to the checkpoint; at most [`PROOF_HASHES_MAX`].
    pub proof: Vec<Hash>,
    /// The signed checkpoint.
    pub note: Note,
}

impl Submission {
    /// Reads the body of a request: `old SIZE`, the proof a hash a line, an empty line, the note.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] when it is not of this form.
    pub fn parse(body: &str) -> Result<Self, Refusal> {
        let wrong = |what| Refusal::Malformed { what };
        let (head, note) = body.split_once("\n\n").ok_or(wrong("no empty line"))?;
        let (old_size, proof) = read_old(head)?;
        let note = Note::parse(note).map_err(|_| wrong("no signed note"))?;
        Ok(Self {
            old_size,
            proof,
            note,
        })
    }
}

impl fmt::Display for Submission {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_old(formatter, self.old_size, &self.proof)?;
        write!(formatter, "{}", self.note)
    }
}

/// Reads `old SIZE` and the hashes of a proof, a line each.
pub(crate) fn read_old(head: &str) -> Result<(u64, Vec<Hash>), Refusal> {
    let wrong = |what| Refusal::Malformed { what };
    let mut lines = head.split('\n');
    let size = lines
        .next()
        .and_then(|line| line.strip_prefix("old "))
        .unwrap_or_default();
    let old_size: u64 = size.parse().map_err(|_| wrong("no old size"))?;
    if old_size.to_string() != size {
        return Err(wrong("no old size"));
    }
    let proof: Vec<_> = lines
        .take(PROOF_HASHES_MAX + 1)
        .map(|line| hash_from_base64(line).ok_or(wrong("a proof line that is no hash")))
        .collect::<Result<_, _>>()?;
    if proof.len() > PROOF_HASHES_MAX {
        return Err(wrong("a proof too long"));
    }
    Ok((old_size, proof))
}

/// Writes what [`read_old`] reads, and the empty line behind it.
pub(crate) fn write_old(
    formatter: &mut fmt::Formatter<'_>,
    old_size: u64,
    proof: &[Hash],
) -> fmt::Result {
    writeln!(formatter, "old {old_size}")?;
    for hash in proof {
        writeln!(formatter, "{}", hash_to_base64(hash))?;
    }
    writeln!(formatter)
}

/// Whether a log of `new` continues what was signed last, by a proof from `old_size`.
pub(crate) fn continues(
    latest: Option<TreeHead>,
    old_size: u64,
    new: TreeHead,
    proof: &[Hash],
) -> Result<(), Refusal> {
    let old = latest.unwrap_or(TreeHead {
        size: 0,
        root: empty_root(),
    });
    if old_size > new.size {
        return Err(Refusal::Malformed {
            what: "an old size above the new one",
        });
    }
    if old_size != old.size {
        return Err(Refusal::OtherSize { latest: old.size });
    }
    if old.size == new.size && old.root != new.root {
        return Err(Refusal::Fork { size: old.size });
    }
    verify_consistency(&old, &new, proof).map_err(|_| Refusal::Inconsistent {
        old: old.size,
        new: new.size,
    })
}

/// A log that a witness watches.
#[derive(Clone, Debug)]
pub struct WatchedLog {
    /// The first line of its checkpoints.
    pub origin: String,
    /// Its keys; more than one while it changes them.
    pub keys: Vec<Verifier>,
}

/// A witness: its key, of kind [`Cosignature`](crate::key::KeyKind::Cosignature), and the logs that it watches.
#[derive(Debug)]
pub struct Witness {
    /// Its key.
    pub signer: Signer,
    /// Whom it watches.
    pub logs: Vec<WatchedLog>,
}

impl Witness {
    /// Which log a submission is from, by its origin line alone: to find what was signed last. Proves nothing.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] or [`Refusal::UnknownLog`].
    pub fn log_of(&self, submission: &Submission) -> Result<&WatchedLog, Refusal> {
        let checkpoint =
            Checkpoint::parse(submission.note.text()).map_err(|_| Refusal::Malformed {
                what: "no checkpoint",
            })?;
        self.logs
            .iter()
            .find(|log| log.origin == checkpoint.origin())
            .ok_or(Refusal::UnknownLog)
    }

    /// Judges a submission. `latest` is what this witness signed last for the log, `None` for nothing yet; `time` is now in
    /// seconds since 1970. Between reading `latest` and storing the new one no other submission of the log may be judged.
    ///
    /// # Errors
    /// Why it is not signed.
    pub fn judge(
        &self,
        submission: &Submission,
        latest: Option<TreeHead>,
        time: u64,
    ) -> Result<Cosigned, Refusal> {
        let log = self.log_of(submission)?;
        let checkpoint =
            Checkpoint::open(&submission.note, &log.keys).map_err(|_| Refusal::Unsigned)?;
        let new = checkpoint.head();
        continues(latest, submission.old_size, new, &submission.proof)?;
        let line = self.signer.sign(submission.note.text(), time);
        Ok(Cosigned::new(new, line))
    }
}

/// A cosignature that may leave the house once its head has been stored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "store the head, then send the cosignature"]
pub struct Cosigned {
    head: TreeHead,
    line: SignatureLine,
}

impl Cosigned {
    pub(crate) const fn new(head: TreeHead, line: SignatureLine) -> Self {
        Self { head, line }
    }

    /// What to remember as signed last.
    #[must_use]
    pub const fn head(&self) -> TreeHead {
        self.head
    }

    /// The cosignature, after `store` has made the head durable: a witness that forgets what it signed can be rolled back.
    ///
    /// # Errors
    /// That of `store`; nothing is sent then.
    pub fn release<E>(
        self,
        store: impl FnOnce(TreeHead, &SignatureLine) -> Result<(), E>,
    ) -> Result<SignatureLine, E> {
        store(self.head, &self.line)?;
        Ok(self.line)
    }
}

/// Why a witness does not sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The request cannot be read.
    #[error(
        "the submission has {what}; send `old SIZE`, proof lines, an empty line and the checkpoint"
    )]
    Malformed {
        /// What it has, or has not.
        what: &'static str,
    },
    /// It watches no such log.
    #[error("this witness does not watch that log; add its origin and verifier key to the witness")]
    UnknownLog,
    /// No key of the log has signed.
    #[error("no key of the log has signed the checkpoint; check the verifier key at the witness")]
    Unsigned,
    /// The log is behind or ahead of what was signed: it may ask again from there.
    #[error("size `{latest}` was signed last; send a proof from there")]
    OtherSize {
        /// What was signed last.
        latest: u64,
    },
    /// Another root for a size that was signed: the log has two histories.
    #[error("another root was signed for size `{size}`; the log was rewritten")]
    Fork {
        /// The size.
        size: u64,
    },
    /// The checkpoint does not continue what was signed.
    #[error(
        "the checkpoint of size `{new}` does not continue the one of size `{old}`; the log was rewritten, or the proof is wrong"
    )]
    Inconsistent {
        /// What was signed last.
        old: u64,
        /// What was sent.
        new: u64,
    },
}

impl Refusal {
    /// The HTTP status that the protocol gives it.
    #[must_use]
    pub const fn status(&self) -> u16 {
        match self {
            Self::Malformed { .. } => 400,
            Self::Unsigned => 403,
            Self::UnknownLog => 404,
            Self::OtherSize { .. } | Self::Fork { .. } => 409,
            Self::Inconsistent { .. } => 422,
        }
    }
}

/// Most hashes in a proof; no tree needs more.
pub const PROOF_HASHES_MAX: usize = 63;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{KeyKind, KeyName};
    use crate::proof::prove_consistency;
    use crate::tree::{MemoryTree, leaf_hash};

    const ORIGIN: &str = "gate-1.example/audit";

    fn signer(name: &str, kind: KeyKind) -> Signer {
        Signer::from_seed(KeyName::new(name).unwrap(), kind, &[7; 32]).unwrap()
    }

    fn witness() -> Witness {
        let keys = vec![signer(ORIGIN, KeyKind::Note).verifier().clone()];
        let logs = vec![WatchedLog {
            origin: ORIGIN.into(),
            keys,
        }];
        Witness {
            signer: signer("witness.example", KeyKind::Cosignature),
            logs,
        }
    }

    fn tree(records: &[&str]) -> MemoryTree {
        let mut tree = MemoryTree::new();
        records
            .iter()
            .for_each(|record| tree.push(leaf_hash(record.as_bytes())));
        tree
    }

    fn head(tree: &MemoryTree, size: u64) -> TreeHead {
        TreeHead {
            size,
            root: tree.root(size).unwrap(),
        }
    }

    fn submission(tree: &MemoryTree, old_size: u64, size: u64) -> Submission {
        let note = Checkpoint::new(ORIGIN, head(tree, size))
            .unwrap()
            .sign(&signer(ORIGIN, KeyKind::Note), 0)
            .unwrap();
        Submission {
            old_size,
            proof: prove_consistency(tree, old_size, size)
                .unwrap()
                .unwrap_or_default(),
            note,
        }
    }

    #[test]
    fn what_continues_is_signed_with_its_time() {
        let (witness, tree) = (witness(), tree(&["a", "b", "c", "d", "e"]));
        let mut latest = None;
        for (old, new) in [(0, 0), (0, 2), (2, 5), (5, 5)] {
            let submission = submission(&tree, old, new);
            assert_eq!(
                Submission::parse(&submission.to_string()).unwrap(),
                submission
            );
            let cosigned = witness.judge(&submission, latest, 1_795_504_222).unwrap();
            let line = cosigned
                .release(|head, _| {
                    latest = Some(head);
                    Ok::<_, ()>(())
                })
                .unwrap();
            let mut note = submission.note.clone();
            note.add(SignatureLine::parse(&line.to_string()).unwrap())
                .unwrap();
            let signed = note.verify(&[witness.signer.verifier().clone()]).unwrap();
            assert_eq!(signed[0].time, Some(1_795_504_222));
        }
        assert_eq!(latest, Some(head(&tree, 5)));
    }

    #[test]
    fn a_fork_a_rollback_and_a_rewritten_past_are_refused() {
        let (witness, honest) = (witness(), tree(&["a", "b", "c", "d", "e"]));
        let rewritten = tree(&["a", "X", "c", "d", "e", "f"]);
        let latest = Some(head(&honest, 4));
        for (submission, refusal) in [
            (submission(&honest, 2, 3), Refusal::OtherSize { latest: 4 }),
            (submission(&honest, 0, 5), Refusal::OtherSize { latest: 4 }),
            (
                submission(&honest, 5, 4),
                Refusal::Malformed {
                    what: "an old size above the new one",
                },
            ),
            (
                submission(&honest, 4, 3),
                Refusal::Malformed {
                    what: "an old size above the new one",
                },
            ),
            (submission(&rewritten, 4, 4), Refusal::Fork { size: 4 }),
            (
                submission(&rewritten, 4, 6),
                Refusal::Inconsistent { old: 4, new: 6 },
            ),
        ] {
            assert_eq!(witness.judge(&submission, latest, 0), Err(refusal));
        }
        assert!(witness.judge(&submission(&honest, 4, 5), latest, 0).is_ok());
    }

    #[test]
    fn strangers_are_refused() {
        let (mut witness, tree) = (witness(), tree(&["a"]));
        let mut unsigned = submission(&tree, 0, 1);
        unsigned.note = Checkpoint::new(ORIGIN, head(&tree, 1))
            .unwrap()
            .sign(&signer("else", KeyKind::Note), 0)
            .unwrap();
        assert_eq!(witness.judge(&unsigned, None, 0), Err(Refusal::Unsigned));
        witness.logs.clear();
        assert_eq!(
            witness.judge(&submission(&tree, 0, 1), None, 0),
            Err(Refusal::UnknownLog)
        );
    }

    #[test]
    fn a_head_that_cannot_be_stored_is_not_signed() {
        let cosigned = witness()
            .judge(&submission(&tree(&["a"]), 0, 1), None, 0)
            .unwrap();
        assert_eq!(cosigned.release(|_, _| Err("disk full")), Err("disk full"));
    }

    #[test]
    fn what_is_no_submission_is_refused() {
        let good = submission(&tree(&["a", "b", "c"]), 2, 3).to_string();
        for (from, to) in [
            ("old 2", "old 02"),
            ("old 2", "old"),
            ("old 2", "2"),
            ("\n\n", "\n"),
            ("=\n\n", "\n\n"),
            ("—", "-"),
        ] {
            let refusal = Submission::parse(&good.replacen(from, to, 1)).unwrap_err();
            assert_eq!(refusal.status(), 400, "{from:?} became {to:?}");
        }
        let hash = hash_to_base64(&empty_root());
        let long = format!(
            "old 2\n{}{}",
            format!("{hash}\n").repeat(PROOF_HASHES_MAX + 1),
            "\nx\n\n— a AAAAAAAA\n"
        );
        assert_eq!(
            Submission::parse(&long),
            Err(Refusal::Malformed {
                what: "a proof too long"
            })
        );
    }
}
