//! Keys of signed notes: Ed25519 by `ring`, with the names and ids that C2SP signed-note and tlog-cosignature give them.
//!
//! The seed of a key comes in as an argument, because this crate neither draws random numbers nor reads files.

use std::fmt;

use ring::digest::{Context, SHA256};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

use crate::base64;
use crate::note::{NoteError, SignatureLine, Signed};

/// What a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// The text itself (type 1): a log's own key.
    Note,
    /// The text and the time at which it was seen to be consistent (type 4, tlog-cosignature): a witness's key.
    Cosignature,
}

impl KeyKind {
    const fn byte(self) -> u8 {
        match self {
            Self::Note => 1,
            Self::Cosignature => 4,
        }
    }
}

/// Who signs: a name such as `gate-1.example/audit`. Not empty, no white space, no `+`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyName(String);

impl KeyName {
    /// Takes a name.
    ///
    /// # Errors
    /// When it could not stand in a signature line.
    pub fn new(name: &str) -> Result<Self, NoteError> {
        if name.is_empty()
            || name.contains(|character: char| {
                character.is_whitespace() || character.is_control() || character == '+'
            })
        {
            return Err(NoteError::Name {
                name: name.to_owned(),
            });
        }
        Ok(Self(name.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A public key with its name: checks signatures. Written `NAME+ID+KEY`, as the tools of transparency logs do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verifier {
    name: KeyName,
    kind: KeyKind,
    key: [u8; KEY_BYTES],
    id: [u8; ID_BYTES],
}

impl Verifier {
    /// A verifier for an Ed25519 public key.
    #[must_use]
    pub fn new(name: KeyName, kind: KeyKind, key: [u8; KEY_BYTES]) -> Self {
        let id = key_id(&name, kind, &key);
        Self {
            name,
            kind,
            key,
            id,
        }
    }

    /// Reads `NAME+ID+KEY`: the id in eight hexadecimal digits, the key in base64 with its type in front.
    ///
    /// # Errors
    /// When it is not of this form, of a type other than 1 or 4, or its id is not that of its name and key.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let wrong = || NoteError::Key {
            text: text.to_owned(),
        };
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(wrong());
        };
        let (kind, key) = keyed(key).ok_or_else(wrong)?;
        let verifier = Self::new(KeyName::new(name)?, kind, key);
        if hex(verifier.id) == id {
            Ok(verifier)
        } else {
            Err(wrong())
        }
    }

    /// Whose key it is.
    #[must_use]
    pub const fn name(&self) -> &KeyName {
        &self.name
    }

    /// What it signs.
    #[must_use]
    pub const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The Ed25519 public key alone: two verifiers with the same one are the same person.
    #[must_use]
    pub const fn public_key(&self) -> &[u8; KEY_BYTES] {
        &self.key
    }

    /// Whether `line` claims to be of this key.
    pub(crate) fn is_claimed_by(&self, line: &SignatureLine) -> bool {
        self.id == line.id && self.name == line.name
    }

    /// Checks `line` over `text`; a cosignature gives its time.
    pub(crate) fn check(&self, text: &str, line: &SignatureLine) -> Option<Signed> {
        let key = UnparsedPublicKey::new(&ED25519, &self.key);
        let time = match self.kind {
            KeyKind::Note => {
                key.verify(text.as_bytes(), &line.signature).ok()?;
                None
            }
            KeyKind::Cosignature => {
                let (time, signature) = line.signature.split_first_chunk()?;
                let time = u64::from_be_bytes(*time);
                key.verify(cosigned(time, text).as_bytes(), signature)
                    .ok()?;
                Some(time)
            }
        };
        Some(Signed {
            name: self.name.clone(),
            kind: self.kind,
            time,
        })
    }
}

impl fmt::Display for Verifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [&[self.kind.byte()], &self.key[..]].concat();
        write!(
            formatter,
            "{}+{}+{}",
            self.name,
            hex(self.id),
            base64::encode(&key)
        )
    }
}

/// A secret key with its name: makes signatures. Its `Debug` shows the public key only.
#[derive(Debug)]
pub struct Signer {
    verifier: Verifier,
    pair: Ed25519KeyPair,
}

impl Signer {
    /// The key that grows from 32 secret random bytes.
    ///
    /// # Errors
    /// [`NoteError::Seed`] when `ring` refuses the seed, which it does for no 32 bytes today.
    pub fn from_seed(
        name: KeyName,
        kind: KeyKind,
        seed: &[u8; KEY_BYTES],
    ) -> Result<Self, NoteError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| NoteError::Seed)?;
        let key = pair
            .public_key()
            .as_ref()
            .try_into()
            .map_err(|_| NoteError::Seed)?;
        Ok(Self {
            verifier: Verifier::new(name, kind, key),
            pair,
        })
    }

    /// Reads `PRIVATE+KEY+NAME+ID+SEED`, as the tools of transparency logs write it.
    ///
    /// # Errors
    /// When it is not of this form, or its id is not that of its name and key. The error does not hold the key.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let mut parts = text
            .strip_prefix("PRIVATE+KEY+")
            .unwrap_or_default()
            .splitn(3, '+');
        let (Some(name), Some(id), Some(seed)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteError::Secret);
        };
        let (kind, seed) = keyed(seed).ok_or(NoteError::Secret)?;
        let signer = Self::from_seed(
            KeyName::new(name).map_err(|_| NoteError::Secret)?,
            kind,
            &seed,
        )?;
        if hex(signer.verifier.id) == id {
            Ok(signer)
        } else {
            Err(NoteError::Secret)
        }
    }

    /// The key that grows from a seed as [`parse`](Self::parse) reads it: for a file that nobody else can read, and nothing else.
    ///
    /// # Errors
    /// As for [`from_seed`](Self::from_seed).
    pub fn secret_text(
        name: KeyName,
        kind: KeyKind,
        seed: &[u8; KEY_BYTES],
    ) -> Result<String, NoteError> {
        let signer = Self::from_seed(name, kind, seed)?;
        let key = [&[kind.byte()], &seed[..]].concat();
        Ok(format!(
            "PRIVATE+KEY+{}+{}+{}",
            signer.verifier.name,
            hex(signer.verifier.id),
            base64::encode(&key)
        ))
    }

    /// The public key.
    #[must_use]
    pub const fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// Signs a note's text, which ends in a newline. `time` in seconds since 1970 is part of a cosignature, and nothing
    /// to a key of kind [`Note`](KeyKind::Note).
    #[must_use]
    pub fn sign(&self, text: &str, time: u64) -> SignatureLine {
        let signature = match self.verifier.kind {
            KeyKind::Note => self.pair.sign(text.as_bytes()).as_ref().to_vec(),
            KeyKind::Cosignature => {
                let signature = self.pair.sign(cosigned(time, text).as_bytes());
                [&time.to_be_bytes(), signature.as_ref()].concat()
            }
        };
        SignatureLine {
            name: self.verifier.name.clone(),
            id: self.verifier.id,
            signature,
        }
    }
}

/// The message under a cosignature.
fn cosigned(time: u64, text: &str) -> String {
    format!("cosignature/v1\ntime {time}\n{text}")
}

fn key_id(name: &KeyName, kind: KeyKind, key: &[u8; KEY_BYTES]) -> [u8; ID_BYTES] {
    let mut context = Context::new(&SHA256);
    for part in [name.0.as_bytes(), b"\n", &[kind.byte()], key] {
        context.update(part);
    }
    context
        .finish()
        .as_ref()
        .first_chunk()
        .copied()
        .unwrap_or_default()
}

/// The type and the 32 bytes behind it.
fn keyed(text: &str) -> Option<(KeyKind, [u8; KEY_BYTES])> {
    let bytes = base64::decode(text)?;
    let (kind, key) = bytes.split_first()?;
    let kind = [KeyKind::Note, KeyKind::Cosignature]
        .into_iter()
        .find(|known| known.byte() == *kind)?;
    Some((kind, key.try_into().ok()?))
}

fn hex(id: [u8; ID_BYTES]) -> String {
    format!("{:08x}", u32::from_be_bytes(id))
}

pub(crate) const KEY_BYTES: usize = 32;
pub(crate) const ID_BYTES: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_do_not_fit_their_id_are_refused() {
        for key in [
            "",
            "a+b",
            "a+00000000+AQ==",
            "PeterNeumann+c74f20a4+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        ] {
            assert!(
                matches!(Verifier::parse(key), Err(NoteError::Key { .. })),
                "{key}"
            );
            assert_eq!(
                Signer::parse(&format!("PRIVATE+KEY+{key}")).unwrap_err(),
                NoteError::Secret,
                "{key}"
            );
        }
        for name in ["", "a b", "a+b", "a\u{a0}b", "a\nb"] {
            assert!(KeyName::new(name).is_err(), "{name:?}");
        }
    }
}
