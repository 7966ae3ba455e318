//! The key that signs the log's checkpoints, as a file.
//!
//! It is read once, before the first request, and never again: the file may be one that is taken away after the start. Whoever can
//! read it can sign another log; SECURITY.md says what a witness does about that.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use hangu_audit::key::{KeyKind, KeyName, Signer};
use hangu_audit::note::NoteError;
use hangu_audit::{Hidden, Pseudonyms};
use ring::rand::{SecureRandom, SystemRandom};

/// A key cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read or written.
    #[error("audit key `{}`: {source}; `hangu audit key` makes one, readable to the gateway's user alone", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Others may read it.
    #[error("audit key `{}`: everybody may read it (mode {mode:o}); `chmod 600` it, and make a new one if it was read", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It holds no key, or the name is none.
    #[error("audit key `{}`: {source}", path.display())]
    Note {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: NoteError,
    },
    /// The key is for another purpose.
    #[error("audit key `{}`: it is the key of a {is}, and that of a {wanted} is needed; make one with `hangu audit key`", path.display())]
    Kind {
        /// The file.
        path: PathBuf,
        /// What it is.
        is: &'static str,
        /// What was wanted.
        wanted: &'static str,
    },
    /// The system gives no random numbers.
    #[error("the system gives no random numbers for a key")]
    Random,
}

/// Reads a key of this kind.
///
/// # Errors
/// When the file cannot be read, is open to everybody, or holds another kind of key.
pub fn read_key(path: &Path, kind: KeyKind) -> Result<Signer, KeyError> {
    let at = |source| KeyError::Io {
        path: path.to_owned(),
        source,
    };
    let mode = fs::metadata(path).map_err(at)?.mode() & 0o777;
    if mode & OTHERS != 0 {
        return Err(KeyError::Open {
            path: path.to_owned(),
            mode,
        });
    }
    let text = fs::read_to_string(path).map_err(at)?;
    let signer = Signer::parse(text.trim()).map_err(|source| KeyError::Note {
        path: path.to_owned(),
        source,
    })?;
    let is = signer.verifier().kind();
    if is != kind {
        return Err(KeyError::Kind {
            path: path.to_owned(),
            is: owner(is),
            wanted: owner(kind),
        });
    }
    Ok(signer)
}

/// Draws a new key and writes it to `path`, for its owner alone, and what others check its signatures with to `path` and `.pub`.
///
/// # Errors
/// When a file is there already or cannot be written, or the name is none.
pub fn make_key(path: &Path, name: &str, kind: KeyKind) -> Result<Signer, KeyError> {
    let mut seed = [0; 32];
    SystemRandom::new()
        .fill(&mut seed)
        .map_err(|_| KeyError::Random)?;
    let wrong = |source| KeyError::Note {
        path: path.to_owned(),
        source,
    };
    let name = KeyName::new(name).map_err(wrong)?;
    let secret = Signer::secret_text(name, kind, &seed).map_err(wrong)?;
    let signer = Signer::parse(&secret).map_err(wrong)?;
    write_new(path, OWNER_ONLY, &secret)?;
    write_new(
        &public_path(path),
        EVERYBODY,
        &signer.verifier().to_string(),
    )?;
    Ok(signer)
}

/// Makes a key for pseudonyms; the file must not be there yet.
///
/// # Errors
/// When it cannot be written.
pub fn make_pseudonym_key(path: &Path) -> Result<Pseudonyms, KeyError> {
    let mut secret = [0; 32];
    SystemRandom::new()
        .fill(&mut secret)
        .map_err(|_| KeyError::Random)?;
    write_new(path, OWNER_ONLY, &Pseudonyms::secret_text(&secret))?;
    Ok(Pseudonyms::new(&secret, Hidden::default()))
}

/// Where the public half of a key is written.
#[must_use]
pub fn public_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    PathBuf::from(name)
}

/// The name of the log of a machine: `gate-1/audit`.
#[must_use]
pub fn default_name(node: &str) -> String {
    let plain = |character: char| {
        if character.is_ascii_alphanumeric() || matches!(character, '.' | '-') {
            character
        } else {
            '-'
        }
    };
    let node: String = node.chars().take(NODE_CHARACTERS_MAX).map(plain).collect();
    let node = if node.is_empty() { "hangu" } else { &node };
    format!("{node}/audit")
}

fn write_new(path: &Path, mode: u32, line: &str) -> Result<(), KeyError> {
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(path)?;
        writeln!(file, "{line}")?;
        file.sync_all()
    };
    write().map_err(|source| KeyError::Io {
        path: path.to_owned(),
        source,
    })
}

const fn owner(kind: KeyKind) -> &'static str {
    match kind {
        KeyKind::Note => "log",
        KeyKind::Cosignature => "witness",
    }
}

const OTHERS: u32 = 0o007;
const OWNER_ONLY: u32 = 0o600;
const EVERYBODY: u32 = 0o644;
const NODE_CHARACTERS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_key_is_read_back_and_nobody_else_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.key");
        let made = make_key(&path, "gate-1/audit", KeyKind::Note).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let read = read_key(&path, KeyKind::Note).unwrap();
        assert_eq!(read.verifier(), made.verifier());
        let public = fs::read_to_string(public_path(&path)).unwrap();
        assert_eq!(public.trim(), made.verifier().to_string());
        assert!(matches!(
            read_key(&path, KeyKind::Cosignature),
            Err(KeyError::Kind { .. })
        ));
        assert!(matches!(
            make_key(&path, "gate-1/audit", KeyKind::Note),
            Err(KeyError::Io { .. })
        ));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o604)).unwrap();
        assert!(matches!(
            read_key(&path, KeyKind::Note),
            Err(KeyError::Open { .. })
        ));
    }

    #[test]
    fn every_machine_has_a_name_for_its_log() {
        for (node, name) in [
            ("gate-1", "gate-1/audit"),
            ("", "hangu/audit"),
            ("a b+c", "a-b-c/audit"),
        ] {
            assert_eq!(default_name(node), name);
            KeyName::new(name).unwrap();
        }
    }
}
