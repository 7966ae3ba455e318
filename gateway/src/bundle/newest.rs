//! The newest bundle that a gateway has taken, kept in a file over restarts: an old bundle with good signatures is still an
//! old bundle, and whoever can put files back must not be able to put back a policy that has been replaced.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A bundle by number and content.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Newest {
    /// Its epoch.
    pub(crate) epoch: u64,
    /// The digest of its manifest; `None` where only the epoch counts.
    pub(crate) digest: Option<String>,
}

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NewestError {
    /// It cannot be read.
    #[error("{}: cannot be read: {source}; let the gateway's user read it", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is not as we write it.
    #[error("{}: is not as the gateway writes it; restore it from a backup, or remove it to let any epoch in once", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be written, and what is not remembered is not taken.
    #[error("{}: cannot be written: {source}; let the gateway's user write to its folder", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Newest {
    /// What the file remembers; `None` if there is none yet.
    ///
    /// # Errors
    /// When there is one that cannot be read or understood.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>, NewestError> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(source) if source.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                let path = path.to_owned();
                return Err(NewestError::Read { path, source });
            }
        };
        let newest = toml::from_str(&text).map_err(|_| NewestError::Damaged {
            path: path.to_owned(),
        })?;
        Ok(Some(newest))
    }

    /// Remembers this bundle: on the disk, whole or not at all, before anything is judged by it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn write(&self, path: &Path) -> Result<(), NewestError> {
        if matches!(Self::read(path), Ok(Some(known)) if known == *self) {
            return Ok(());
        }
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        let beside = path.with_file_name(name);
        let body = toml::to_string(self).map_err(io::Error::other);
        let written = body.and_then(|body| {
            let mut file = File::create(&beside)?;
            file.write_all(NOTE.as_bytes())?;
            file.write_all(body.as_bytes())?;
            file.sync_all()?;
            fs::rename(&beside, path)?;
            File::open(path.parent().unwrap_or(path))?.sync_all()
        });
        written.map_err(|source| NewestError::Write {
            path: path.to_owned(),
            source,
        })
    }
}

/// For whoever opens the file at night.
const NOTE: &str = "# The newest policy bundle that the gateway has taken; it takes no older one. To go back, sign the old rules again with a\n# higher epoch.\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back_and_anything_else_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("policy.state");
        assert_eq!(Newest::read(&path).unwrap(), None);
        for epoch in [7, 7, 9] {
            let newest = Newest {
                epoch,
                digest: Some("ab".repeat(32)),
            };
            newest.write(&path).unwrap();
            assert_eq!(Newest::read(&path).unwrap(), Some(newest));
        }
        for text in [
            "",
            "epoch = -1\n",
            "epoch = 7\nepoch = 8\n",
            "epoch = 7\nmore = 1\n",
        ] {
            fs::write(&path, text).unwrap();
            let read = Newest::read(&path);
            assert!(matches!(read, Err(NewestError::Damaged { .. })), "{text}");
        }
        let nowhere = folder.path().join("none/policy.state");
        let newest = Newest {
            epoch: 1,
            digest: None,
        };
        assert!(matches!(
            newest.write(&nowhere),
            Err(NewestError::Write { .. })
        ));
    }
}
