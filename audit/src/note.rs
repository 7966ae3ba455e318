//! Signed notes (C2SP signed-note): a few lines of text and, under them, who stands by it.
//!
//! The format of the checksum database of Go and of the public transparency logs, chosen so that any of their tools, and
//! their witnesses, can check ours.
//!
//! Text is worth nothing before [`Note::verify`] has returned.

use std::fmt;

use thiserror::Error;

use crate::base64;
use crate::key::{ID_BYTES, KeyKind, KeyName, Signer, Verifier};

/// Longest note in bytes; holds the 16 signatures that everybody must accept, at the size of the post-quantum ones.
pub const NOTE_BYTES_MAX: usize = 128 * 1024;
/// Most signatures on a note.
pub const SIGNATURES_MAX: usize = 32;

/// One signature under a note. Shown as its line, without the newline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureLine {
    pub(crate) name: KeyName,
    pub(crate) id: [u8; ID_BYTES],
    pub(crate) signature: Vec<u8>,
}

impl SignatureLine {
    /// Who claims to have signed.
    #[must_use]
    pub const fn name(&self) -> &KeyName {
        &self.name
    }

    /// Reads one line without its newline.
    ///
    /// # Errors
    /// When it is not an em dash, a name and base64 of at least five bytes.
    pub fn parse(line: &str) -> Result<Self, NoteError> {
        let wrong = || NoteError::Signature {
            line: line.to_owned(),
        };
        let (name, signature) = line
            .strip_prefix("— ")
            .and_then(|rest| rest.split_once(' '))
            .ok_or_else(wrong)?;
        let bytes = base64::decode(signature).ok_or_else(wrong)?;
        match bytes.split_first_chunk() {
            Some((id, signature)) if !signature.is_empty() => Ok(Self {
                name: KeyName::new(name)?,
                id: *id,
                signature: signature.to_vec(),
            }),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for SignatureLine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "— {} {}",
            self.name,
            base64::encode(&[&self.id[..], &self.signature].concat())
        )
    }
}

/// A signature that was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// Who signed.
    pub name: KeyName,
    /// What the key signs.
    pub kind: KeyKind,
    /// When, in seconds since 1970, as the cosigner says; `None` for a log's own signature.
    pub time: Option<u64>,
}

/// A text with signatures, of which nothing is known yet. Shown as the note itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<SignatureLine>,
}

impl Note {
    /// A note by `signer`; `time` as in [`Signer::sign`].
    ///
    /// # Errors
    /// When the text has no final newline, or control characters.
    pub fn sign(text: String, signer: &Signer, time: u64) -> Result<Self, NoteError> {
        check_text(&text)?;
        let signatures = vec![signer.sign(&text, time)];
        Ok(Self { text, signatures })
    }

    /// Reads a note.
    ///
    /// # Errors
    /// When it is too long, or not text, an empty line, and signature lines.
    pub fn parse(note: &str) -> Result<Self, NoteError> {
        if note.len() > NOTE_BYTES_MAX {
            return Err(NoteError::Frame {
                what: "it is longer than `131072` bytes",
            });
        }
        // The text may have empty lines of its own: the last one parts it from the signatures.
        let (lines, signatures) = note.rsplit_once("\n\n").ok_or(NoteError::Frame {
            what: "it has no empty line before its signatures",
        })?;
        let text = format!("{lines}\n");
        check_text(&text)?;
        let signatures = signatures.strip_suffix('\n').ok_or(NoteError::Frame {
            what: "its last line has no end",
        })?;
        if signatures.split('\n').count() > SIGNATURES_MAX {
            return Err(NoteError::Frame {
                what: "it has more than `32` signatures",
            });
        }
        let signatures = signatures
            .split('\n')
            .map(SignatureLine::parse)
            .collect::<Result<_, _>>()?;
        Ok(Self { text, signatures })
    }

    /// The text with its final newline. Believe it only after [`verify`](Self::verify).
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signature lines, checked or not.
    #[must_use]
    pub fn signatures(&self) -> &[SignatureLine] {
        &self.signatures
    }

    /// Adds a signature, such as a witness's.
    ///
    /// # Errors
    /// When there are [`SIGNATURES_MAX`] already.
    pub fn add(&mut self, line: SignatureLine) -> Result<(), NoteError> {
        if self.signatures.len() >= SIGNATURES_MAX {
            return Err(NoteError::Frame {
                what: "it has `32` signatures already",
            });
        }
        self.signatures.push(line);
        Ok(())
    }

    /// Who of the known keys has signed; each once. Lines of unknown keys say nothing.
    ///
    /// # Errors
    /// When none has signed, or when a line claims to be of a known key and is not.
    pub fn verify(&self, known: &[Verifier]) -> Result<Vec<Signed>, NoteError> {
        let mut signed: Vec<Signed> = Vec::new();
        for line in &self.signatures {
            let Some(verifier) = known.iter().find(|verifier| verifier.is_claimed_by(line)) else {
                continue;
            };
            let checked = verifier
                .check(&self.text, line)
                .ok_or_else(|| NoteError::Forged {
                    name: verifier.name().to_string(),
                })?;
            if !signed
                .iter()
                .any(|earlier| earlier.name == checked.name && earlier.kind == checked.kind)
            {
                signed.push(checked);
            }
        }
        if signed.is_empty() {
            Err(NoteError::Unsigned)
        } else {
            Ok(signed)
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{}", self.text)?;
        self.signatures
            .iter()
            .try_for_each(|line| writeln!(formatter, "{line}"))
    }
}

/// What is wrong with a note or a key.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NoteError {
    /// A name that cannot stand in a signature line.
    #[error("key name `{}` is empty or has white space or `+`; write one like `gate-1.example/audit`", name.escape_debug())]
    Name {
        /// The name.
        name: String,
    },
    /// A public key that cannot be read.
    #[error("verifier key `{}` is not NAME+ID+KEY of type 1 or 4, or its id does not fit; copy it whole from its owner", text.escape_debug())]
    Key {
        /// The key.
        text: String,
    },
    /// A secret key that cannot be read.
    #[error(
        "the signing key is not PRIVATE+KEY+NAME+ID+SEED of type 1 or 4, or its id does not fit; make a new one"
    )]
    Secret,
    /// A seed that gives no key.
    #[error("the seed gives no Ed25519 key; make a new one from 32 random bytes")]
    Seed,
    /// Not a note.
    #[error("this is not a signed note: {what}; fetch it again")]
    Frame {
        /// What is not as it should be.
        what: &'static str,
    },
    /// A signature line that is none.
    #[error("signature line `{}` is not a dash, a name and base64; fetch the note again", line.escape_debug())]
    Signature {
        /// The line.
        line: String,
    },
    /// A known key's name and id over a signature that is not its.
    #[error(
        "the signature of `{name}` does not fit the text; the note was changed after it was signed"
    )]
    Forged {
        /// The key's name.
        name: String,
    },
    /// Nobody known has signed.
    #[error("no known key has signed the note; check that the verifier key is the one of its log")]
    Unsigned,
}

fn check_text(text: &str) -> Result<(), NoteError> {
    if !text.ends_with('\n') {
        return Err(NoteError::Frame {
            what: "its text has no final newline",
        });
    }
    if text.contains(|character: char| character < ' ' && character != '\n') {
        return Err(NoteError::Frame {
            what: "its text has control characters",
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key pair and a note that Go's `note` package publishes as its example.
    const SECRET: &str =
        "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
    const PUBLIC: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const TEXT: &str = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
    const NOTE: &str = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n\
        — PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

    fn signer(name: &str, kind: KeyKind) -> Signer {
        Signer::from_seed(KeyName::new(name).unwrap(), kind, &[name.len() as u8; 32]).unwrap()
    }

    #[test]
    fn a_published_note_is_made_and_read_alike() {
        let (signer, verifier) = (
            Signer::parse(SECRET).unwrap(),
            Verifier::parse(PUBLIC).unwrap(),
        );
        assert_eq!(
            (signer.verifier(), verifier.to_string().as_str()),
            (&verifier, PUBLIC)
        );
        assert_eq!(
            Note::sign(TEXT.into(), &signer, 0).unwrap().to_string(),
            NOTE
        );
        let note = Note::parse(NOTE).unwrap();
        assert_eq!((note.text(), note.to_string().as_str()), (TEXT, NOTE));
        let signed = note.verify(&[verifier]).unwrap();
        assert_eq!(
            (signed.len(), signed[0].name.as_str(), signed[0].time),
            (1, "PeterNeumann", None)
        );
        assert!(
            !format!("{signer:?}").contains("AYEKFALV"),
            "the secret stays secret"
        );
    }

    #[test]
    fn every_changed_byte_of_a_note_is_refused() {
        let verifier = Verifier::parse(PUBLIC).unwrap();
        for at in 0..NOTE.len() {
            for bit in 0..8 {
                let mut bytes = NOTE.as_bytes().to_vec();
                bytes[at] ^= 1 << bit;
                let Ok(text) = String::from_utf8(bytes) else {
                    continue;
                };
                let verified = Note::parse(&text)
                    .and_then(|note| note.verify(std::slice::from_ref(&verifier)));
                assert!(verified.is_err(), "byte {at} bit {bit}: {text}");
            }
        }
    }

    #[test]
    fn unknown_keys_say_nothing_and_known_ones_must_be_right() {
        let (log, witness) = (
            signer("log", KeyKind::Note),
            signer("witness", KeyKind::Cosignature),
        );
        let known = [log.verifier().clone(), witness.verifier().clone()];
        let mut note = Note::sign("text\n\nmore\n".into(), &log, 0).unwrap();
        note.add(signer("stranger", KeyKind::Note).sign(note.text(), 0))
            .unwrap();
        assert_eq!(note.verify(&known).unwrap().len(), 1);
        note.add(witness.sign(note.text(), 1_679_315_147)).unwrap();
        note.add(witness.sign(note.text(), 1_679_315_148)).unwrap();
        let signed = Note::parse(&note.to_string())
            .unwrap()
            .verify(&known)
            .unwrap();
        assert_eq!(
            signed.iter().map(|signed| signed.time).collect::<Vec<_>>(),
            [None, Some(1_679_315_147)],
            "each once"
        );

        let mut forged = note.clone();
        forged.add(log.sign("other\n", 0)).unwrap();
        assert_eq!(
            forged.verify(&known),
            Err(NoteError::Forged { name: "log".into() })
        );
        assert_eq!(
            note.verify(&[signer("nobody", KeyKind::Note).verifier().clone()]),
            Err(NoteError::Unsigned)
        );
        assert_eq!(note.verify(&[]), Err(NoteError::Unsigned));
    }

    #[test]
    fn a_cosignature_cannot_be_passed_off_as_another_time_or_kind() {
        let witness = signer("witness", KeyKind::Cosignature);
        let plain = signer("witness", KeyKind::Note);
        assert_ne!(
            witness.verifier().to_string(),
            plain.verifier().to_string(),
            "the same key of another kind has another id"
        );
        let mut line = witness.sign("text\n", 5);
        line.signature[7] ^= 1;
        let note = Note {
            text: "text\n".into(),
            signatures: vec![line],
        };
        assert!(matches!(
            note.verify(&[witness.verifier().clone()]),
            Err(NoteError::Forged { .. })
        ));
    }

    #[test]
    fn what_is_no_note_is_refused_with_a_reason() {
        let line = "— a AAAAAAAA";
        let many = format!("t\n\n{}", format!("{line}\n").repeat(SIGNATURES_MAX + 1));
        let long = format!("{}\n\n{line}\n", "t".repeat(NOTE_BYTES_MAX));
        for (note, why) in [
            ("", "no empty line"),
            ("t\n", "no empty line"),
            ("t\n\n", "has no end"),
            ("t\n\n— a AAAAAAAA", "has no end"),
            ("t\u{7}\n\n— a AAAAAAAA\n", "control"),
            ("t\r\n\n— a AAAAAAAA\n", "control"),
            ("t\n\n- a AAAAAAAA\n", "not a dash"),
            ("t\n\n— a  AAAAAAAA\n", "not a dash"),
            ("t\n\n— a+b AAAAAAAA\n", "key name"),
            ("t\n\n— a AAAAAA==\n", "not a dash"),
            ("t\n\n— a AAAAAAB=\n", "not a dash"),
            ("t\n\n— a AAAAAAAA\n ", "has no end"),
            (many.as_str(), "more than"),
            (long.as_str(), "longer than"),
        ] {
            let error = Note::parse(note).map(|_| ()).unwrap_err().to_string();
            assert!(error.contains(why), "{note:?}: {error}");
        }
    }
}
