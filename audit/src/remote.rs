//! A signer in another process: what a gateway asks of it, and what it does not sign.
//!
//! The key then is nowhere that the gateway's user can read. The signer signs checkpoints and nothing else, and remembers the last one:
//! a log that does not continue it, since it was rewritten or put back, gets no signature, whoever asks.
//!
//! Here is the judgement; the socket and the file that remembers are the caller's.

use std::fmt;

use crate::chain::Hash;
use crate::checkpoint::Checkpoint;
use crate::key::Signer;
use crate::tree::TreeHead;
use crate::witness::{Cosigned, Refusal, continues, read_old, write_old};

/// What a log asks of its signer. Shown as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningRequest {
    /// The size that the log thinks the signer has signed last.
    pub old_size: u64,
    /// Proof from there to the checkpoint.
    pub proof: Vec<Hash>,
    /// What is to be signed.
    pub checkpoint: Checkpoint,
}

impl SigningRequest {
    /// Reads `old SIZE`, the proof a hash a line, an empty line, and the three lines of a checkpoint.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] when it is not of this form.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let wrong = |what| Refusal::Malformed { what };
        let (head, body) = text.split_once("\n\n").ok_or(wrong("no empty line"))?;
        let (old_size, proof) = read_old(head)?;
        let checkpoint = Checkpoint::parse(body).map_err(|_| wrong("no checkpoint"))?;
        // Nothing but what it was read as is signed: no extension lines that mean something elsewhere.
        if checkpoint.to_string() != body {
            return Err(wrong("more than a checkpoint"));
        }
        Ok(Self {
            old_size,
            proof,
            checkpoint,
        })
    }

    /// Judges it. `latest` is what was signed last, `None` for nothing yet; `time` as in [`Signer::sign`]. Between reading `latest` and
    /// storing the new one nothing else may be judged.
    ///
    /// # Errors
    /// Why it is not signed.
    pub fn judge(
        &self,
        signer: &Signer,
        latest: Option<TreeHead>,
        time: u64,
    ) -> Result<Cosigned, Refusal> {
        if self.checkpoint.origin() != signer.verifier().name().as_str() {
            return Err(Refusal::Malformed {
                what: "the name of another log",
            });
        }
        let head = self.checkpoint.head();
        continues(latest, self.old_size, head, &self.proof)?;
        let line = signer.sign(&self.checkpoint.to_string(), time);
        Ok(Cosigned::new(head, line))
    }
}

impl fmt::Display for SigningRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_old(formatter, self.old_size, &self.proof)?;
        write!(formatter, "{}", self.checkpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{KeyKind, KeyName};
    use crate::note::Note;
    use crate::proof::prove_consistency;
    use crate::tree::{MemoryTree, leaf_hash};

    const NAME: &str = "gate-1.example/audit";

    fn signer() -> Signer {
        Signer::from_seed(KeyName::new(NAME).unwrap(), KeyKind::Note, &[7; 32]).unwrap()
    }

    /// A tree of so many records, of another log when `seed` is another.
    fn tree(records: u64, seed: u8) -> MemoryTree {
        let mut tree = MemoryTree::new();
        for record in 0..records {
            tree.push(leaf_hash(&[&record.to_be_bytes()[..], &[seed]].concat()));
        }
        tree
    }

    fn request(tree: &MemoryTree, old_size: u64, size: u64) -> SigningRequest {
        let root = tree.root(size).unwrap();
        SigningRequest {
            old_size,
            proof: prove_consistency(tree, old_size, size).unwrap().unwrap(),
            checkpoint: Checkpoint::new(NAME, TreeHead { size, root }).unwrap(),
        }
    }

    fn signed(request: &SigningRequest, latest: Option<TreeHead>) -> Result<TreeHead, Refusal> {
        let cosigned = request.judge(&signer(), latest, 0)?;
        let head = cosigned.head();
        let line = cosigned.release(|_, _| Ok::<_, ()>(())).unwrap();
        let note = format!("{}\n{line}\n", request.checkpoint);
        let known = [signer().verifier().clone()];
        Checkpoint::open(&Note::parse(&note).unwrap(), &known).unwrap();
        Ok(head)
    }

    #[test]
    fn what_continues_is_signed_and_a_fork_or_a_rollback_is_not() {
        let (log, other) = (tree(9, 0), tree(9, 1));
        let first = signed(&request(&log, 0, 4), None).unwrap();
        assert_eq!(signed(&request(&log, 4, 4), Some(first)), Ok(first));
        let second = signed(&request(&log, 4, 9), Some(first)).unwrap();
        assert_eq!(second.size, 9);
        for (asked, why) in [
            (request(&log, 4, 7), Refusal::OtherSize { latest: 9 }),
            (request(&other, 9, 9), Refusal::Fork { size: 9 }),
            (request(&log, 0, 4), Refusal::OtherSize { latest: 9 }),
        ] {
            assert_eq!(signed(&asked, Some(second)), Err(why));
        }
        let forged = request(&other, 4, 9);
        assert_eq!(
            signed(&forged, Some(first)),
            Err(Refusal::Inconsistent { old: 4, new: 9 })
        );
    }

    #[test]
    fn a_request_is_read_as_it_was_written_and_nothing_else_is_signed() {
        let asked = request(&tree(9, 0), 4, 9);
        assert_eq!(SigningRequest::parse(&asked.to_string()), Ok(asked.clone()));
        let text = asked.to_string();
        for (wrong, why) in [
            (
                text.replace("old 4", "old 04"),
                "an old size of two spellings",
            ),
            (text.replace("\n\n", "\n"), "no empty line"),
            (format!("{text}extension\n"), "a line of another meaning"),
            (text.trim_end().to_owned(), "no end"),
            (String::new(), "nothing"),
        ] {
            assert!(SigningRequest::parse(&wrong).is_err(), "{why}: {wrong}");
        }
        let foreign = text.replace(NAME, "gate-2.example/audit");
        let foreign = SigningRequest::parse(&foreign).unwrap();
        assert!(matches!(
            signed(&foreign, None),
            Err(Refusal::Malformed { .. })
        ));
    }
}
