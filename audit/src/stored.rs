//! The checkpoints that lie beside a log, read and held to the keys that somebody knows.

use std::io;
use std::path::{Path, PathBuf};

use crate::checkpoint::Checkpoint;
use crate::fault::{Damage, Fault};
use crate::head;
use crate::key::Verifier;
use crate::note::Note;
use crate::segment::{Disk, FileSystem};
use crate::verify::VerifyError;

/// Replaces a small file as a whole: afterwards it holds the old bytes or the new ones, whatever happens, also to the power.
///
/// # Errors
/// When it cannot be written; the old one is still whole.
pub fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    FileSystem.replace(path, bytes)
}

/// A checkpoint as it lies in a folder.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Where.
    pub file: PathBuf,
    /// With its signatures, of which nothing is known unless keys were given.
    pub note: Note,
    /// What it says.
    pub checkpoint: Checkpoint,
}

impl Stored {
    /// The checkpoint that the log's owner signed last: the file `checkpoint`. With `keys`, one of them must have signed it;
    /// without, `None` when there is none.
    ///
    /// # Errors
    /// [`Fault::BadCheckpoint`], [`Fault::NoCheckpoint`], [`Fault::Unsigned`], or the file cannot be read.
    pub fn signed(dir: &Path, keys: &[Verifier]) -> Result<Option<Self>, VerifyError> {
        Self::read(head::checkpoint_path(dir), keys)
    }

    /// The checkpoint that a witness cosigned last: the file `checkpoint.witnessed`. As [`signed`](Self::signed) otherwise.
    ///
    /// # Errors
    /// As for [`signed`](Self::signed).
    pub fn witnessed(dir: &Path, witnesses: &[Verifier]) -> Result<Option<Self>, VerifyError> {
        Self::read(head::witnessed_path(dir), witnesses)
    }

    /// Keeps a checkpoint that another process has signed. From then on the log is not opened again if it does not continue it.
    ///
    /// # Errors
    /// When the file cannot be replaced; the old one is still whole.
    pub fn keep_signed(dir: &Path, note: &Note) -> io::Result<()> {
        replace_file(&head::checkpoint_path(dir), note.to_string().as_bytes())
    }

    /// Keeps a checkpoint that a witness has cosigned. From then on the log is not opened again if it does not continue it.
    ///
    /// # Errors
    /// When the file cannot be replaced; the old one is still whole.
    pub fn keep_witnessed(dir: &Path, note: &Note) -> io::Result<()> {
        replace_file(&head::witnessed_path(dir), note.to_string().as_bytes())
    }

    fn read(file: PathBuf, keys: &[Verifier]) -> Result<Option<Self>, VerifyError> {
        let found = head::read_checkpoint(&file).map_err(|source| VerifyError::Io {
            path: file.clone(),
            source,
        })?;
        let damage = |what| {
            Err(VerifyError::Damage(Damage {
                file: file.clone(),
                line: 0,
                sequence: None,
                what,
            }))
        };
        match found {
            Err(()) => damage(Fault::BadCheckpoint),
            Ok(None) if keys.is_empty() => Ok(None),
            Ok(None) => damage(Fault::NoCheckpoint),
            Ok(Some((note, _))) if !keys.is_empty() && note.verify(keys).is_err() => {
                damage(Fault::Unsigned)
            }
            Ok(Some((note, checkpoint))) => Ok(Some(Self {
                file,
                note,
                checkpoint,
            })),
        }
    }
}
