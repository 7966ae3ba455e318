//! `head.json`: how far the log had got, kept outside the segments.
//!
//! A chain proves everything about its records but one: that there were no more of them. The head is written anew at
//! each rotation, now and then in between, and at a clean stop; a log that ends before its head has lost its tail. It is
//! no proof against somebody who may write the folder: the checkpoint beside it, signed, is.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::chain::{Hash, Link, is_other_version};
use crate::checkpoint::Checkpoint;
use crate::note::Note;

/// What is in `head.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Head {
    Link(Link),
    Missing,
    /// Another version of the format wrote it.
    OtherVersion,
    /// It is there and was not written by us.
    Damaged,
}

pub(crate) fn path(dir: &Path) -> PathBuf {
    dir.join("head.json")
}

/// The signed checkpoint, where there is one.
pub(crate) fn checkpoint_path(dir: &Path) -> PathBuf {
    dir.join("checkpoint")
}

/// The last checkpoint that a witness has cosigned, where there is one.
pub(crate) fn witnessed_path(dir: &Path) -> PathBuf {
    dir.join("checkpoint.witnessed")
}

/// A checkpoint as it lies in a file, with its note; `Ok(Err(()))` when the file is not one. Its signatures are not checked.
pub(crate) fn read_checkpoint(path: &Path) -> io::Result<Result<Option<(Note, Checkpoint)>, ()>> {
    if is_no_file(path) {
        return Ok(Err(()));
    }
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Ok(None)),
        Err(error) => return Err(error),
    };
    let note = String::from_utf8(bytes)
        .ok()
        .and_then(|text| Note::parse(&text).ok());
    let read = note.and_then(|note| {
        Checkpoint::parse(note.text())
            .ok()
            .map(|checkpoint| (note, checkpoint))
    });
    Ok(read.map(Some).ok_or(()))
}

pub(crate) fn read(dir: &Path) -> io::Result<Head> {
    read_file(&path(dir))
}

/// Reads a file of a head's form.
pub(crate) fn read_file(path: &Path) -> io::Result<Head> {
    if is_no_file(path) {
        return Ok(Head::Damaged);
    }
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Head::Missing),
        Err(error) => return Err(error),
    };
    Ok(match parse(&bytes) {
        Some(link) => Head::Link(link),
        None if is_other_version(&bytes) => Head::OtherVersion,
        None => Head::Damaged,
    })
}

/// Whether something else than a file is there: reading a pipe would wait for ever.
fn is_no_file(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|there| !there.is_file())
}

/// The one spelling of a head.
pub(crate) fn write(link: &Link) -> Vec<u8> {
    format!(
        "{{\"v\":2,\"seq\":{},\"hash\":\"{}\"}}\n",
        link.sequence, link.hash
    )
    .into_bytes()
}

fn parse(bytes: &[u8]) -> Option<Link> {
    let sequence = crate::chain::sequence(bytes)?;
    let (_, rest) = str::from_utf8(bytes).ok()?.split_once(",\"hash\":\"")?;
    let link = Link {
        sequence,
        hash: Hash::from_hex(rest.split('"').next()?.as_bytes())?,
    };
    (write(&link) == bytes).then_some(link)
}
