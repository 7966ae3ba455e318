//! Checkpoints (C2SP tlog-checkpoint): what a log promises, in three lines that it signs.
//!
//! ```text
//! gate-1.example/audit
//! 20852163
//! CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
//! ```
//!
//! The origin names the log, the size how many records it has, the root commits to every one of them. Whoever keeps an old
//! checkpoint can ask for a [consistency proof](crate::proof::verify_consistency) to any later one.

use std::fmt;

use thiserror::Error;

use crate::base64;
use crate::chain::Hash;
use crate::key::{Signer, Verifier};
use crate::note::{Note, NoteError};
use crate::tree::TreeHead;

/// The state of a log. Shown as the text that is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    origin: String,
    head: TreeHead,
}

impl Checkpoint {
    /// The state of the log `origin`.
    ///
    /// # Errors
    /// When the origin is empty or has control characters.
    pub fn new(origin: &str, head: TreeHead) -> Result<Self, CheckpointError> {
        if origin.is_empty() || origin.contains(char::is_control) {
            return Err(CheckpointError::Origin {
                origin: origin.to_owned(),
            });
        }
        Ok(Self {
            origin: origin.to_owned(),
            head,
        })
    }

    /// Reads the text of a note. Lines after the third are somebody's extensions: they are signed and mean nothing here.
    ///
    /// # Errors
    /// When a line is missing, or the size or root has not its one spelling.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let wrong = |what| CheckpointError::Text { what };
        let lines = text
            .strip_suffix('\n')
            .ok_or(wrong("it has no final newline"))?;
        let mut lines = lines.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next())
        else {
            return Err(wrong("it has fewer than three lines"));
        };
        let number: u64 = size
            .parse()
            .map_err(|_| wrong("its second line is no size"))?;
        if number.to_string() != size {
            return Err(wrong("its second line is no size"));
        }
        let root = hash_from_base64(root).ok_or(wrong("its third line is no root hash"))?;
        if lines.any(str::is_empty) {
            return Err(wrong("it has an empty line"));
        }
        Self::new(origin, TreeHead { size: number, root })
    }

    /// Reads a note that is signed by at least one of the known keys.
    ///
    /// # Errors
    /// When nobody known has signed it, or it is not a checkpoint.
    pub fn open(note: &Note, known: &[Verifier]) -> Result<Self, CheckpointError> {
        note.verify(known)?;
        Self::parse(note.text())
    }

    /// The note that `signer` signs; `time` as in [`Signer::sign`].
    ///
    /// # Errors
    /// None for a checkpoint that was made by this type; the note's own rules are checked again.
    pub fn sign(&self, signer: &Signer, time: u64) -> Result<Note, CheckpointError> {
        Ok(Note::sign(self.to_string(), signer, time)?)
    }

    /// Which log.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Its size and root.
    #[must_use]
    pub const fn head(&self) -> TreeHead {
        self.head
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}\n{}\n{}\n",
            self.origin,
            self.head.size,
            hash_to_base64(&self.head.root)
        )
    }
}

/// What is wrong with a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CheckpointError {
    /// An origin that cannot be a line.
    #[error("log origin `{}` is empty or has control characters; write one like `gate-1.example/audit`", origin.escape_debug())]
    Origin {
        /// The origin.
        origin: String,
    },
    /// Not a checkpoint.
    #[error("this is not a checkpoint: {what}; fetch it again")]
    Text {
        /// What is not as it should be.
        what: &'static str,
    },
    /// The note around it.
    #[error(transparent)]
    Note(#[from] NoteError),
}

pub(crate) fn hash_to_base64(hash: &Hash) -> String {
    base64::encode(hash.as_bytes())
}

/// From the one spelling of 32 bytes.
pub(crate) fn hash_from_base64(text: &str) -> Option<Hash> {
    let bytes = base64::decode(text)?;
    (bytes.len() == 32).then(|| Hash::from_digest(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{KeyKind, KeyName};
    use crate::tree::empty_root;

    const TEXT: &str =
        "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";

    #[test]
    fn the_example_of_the_specification_is_read_and_written() {
        let checkpoint = Checkpoint::parse(TEXT).unwrap();
        assert_eq!(
            (checkpoint.origin(), checkpoint.head().size),
            ("example.com/behind-the-sofa", 20_852_163)
        );
        assert_eq!(checkpoint.to_string(), TEXT);
        let extended = Checkpoint::parse(&format!("{TEXT}an extension\n")).unwrap();
        assert_eq!(extended, checkpoint);
    }

    #[test]
    fn what_is_no_checkpoint_is_refused() {
        let root = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
        for text in [
            String::new(),
            "\n".into(),
            "o\n1\n".into(),
            format!("o\n1\n{root}"),
            format!("\n1\n{root}\n"),
            format!("o\n01\n{root}\n"),
            format!("o\n+1\n{root}\n"),
            format!("o\n-1\n{root}\n"),
            format!("o\n18446744073709551616\n{root}\n"),
            format!("o\n1\n{}\n", root.replace("2I=", "2J=")),
            "o\n1\nAAAA\n".into(),
            format!("o\n1\n{root}\n\n"),
            format!("o\n1\n{root}\n\nx\n"),
        ] {
            assert!(Checkpoint::parse(&text).is_err(), "{text:?}");
        }
        assert!(
            Checkpoint::new(
                "a\nb",
                TreeHead {
                    size: 0,
                    root: empty_root()
                }
            )
            .is_err()
        );
    }

    #[test]
    fn only_a_signed_checkpoint_is_opened() {
        let signer = |seed| {
            Signer::from_seed(KeyName::new("o").unwrap(), KeyKind::Note, &[seed; 32]).unwrap()
        };
        let checkpoint = Checkpoint::parse(TEXT).unwrap();
        let note = checkpoint.sign(&signer(1), 0).unwrap();
        assert_eq!(
            Checkpoint::open(&note, &[signer(1).verifier().clone()]).unwrap(),
            checkpoint
        );
        assert!(Checkpoint::open(&note, &[signer(2).verifier().clone()]).is_err());
        let note = Note::sign("no checkpoint\n".into(), &signer(1), 0).unwrap();
        assert!(Checkpoint::open(&note, &[signer(1).verifier().clone()]).is_err());
    }
}
