//! Where segments are kept once they are removed here: a folder, or a bucket of an S3-compatible store.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use ring::digest::{Context, Digest, SHA256};

use super::store::{Store, StoreError};
use crate::config::Archive;

/// A segment could not be archived; it stays.
#[derive(Debug, thiserror::Error)]
pub(super) enum ArchiveError {
    #[error("cannot archive a segment: {0}; look at space and permissions")]
    Folder(#[from] io::Error),
    #[error("cannot archive a segment: {0}")]
    Store(#[from] StoreError),
}

/// Keeps each of these files; one that is there already must be the same.
pub(super) fn keep_all(files: &[PathBuf], archive: &Archive) -> Result<(), ArchiveError> {
    match archive {
        Archive::Folder(folder) => copy_all(files, folder)?,
        Archive::Store(config) => {
            let store = Store::open(config)?;
            for file in files {
                store.keep(file)?;
            }
        }
    }
    Ok(())
}

/// Copies files into a folder, each whole and synced before it has its name.
fn copy_all(files: &[PathBuf], folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for file in files {
        let name = file.file_name().unwrap_or_default();
        let target = folder.join(name);
        if target.exists() {
            if digest(file)?.as_ref() != digest(&target)?.as_ref() {
                let what = format!("{}: another file of that name is there", target.display());
                return Err(io::Error::other(what));
            }
            continue;
        }
        let new = folder.join(format!("{}.new", name.display()));
        fs::copy(file, &new)?;
        File::open(&new)?.sync_all()?;
        if digest(file)?.as_ref() != digest(&new)?.as_ref() {
            return Err(io::Error::other("what was copied reads differently"));
        }
        fs::rename(&new, &target)?;
    }
    File::open(folder)?.sync_all()
}

/// SHA-256 of a file.
pub(super) fn digest(path: &Path) -> io::Result<Digest> {
    digest_of(&mut File::open(path)?)
}

/// SHA-256 of all that is read.
pub(super) fn digest_of(read: &mut impl Read) -> io::Result<Digest> {
    let mut context = Context::new(&SHA256);
    let mut buffer = vec![0; COPY_BYTES];
    loop {
        let bytes = read.read(&mut buffer)?;
        if bytes == 0 {
            return Ok(context.finish());
        }
        context.update(buffer.get(..bytes).unwrap_or_default());
    }
}

const COPY_BYTES: usize = 256 * 1024;
