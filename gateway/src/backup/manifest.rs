//! What is in an archive, and where it belongs.

use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::BackupError;
use super::seal::Derivation;

/// The file `manifest` of an archive.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    /// 1.
    pub(super) v: u32,
    /// Version of the program that wrote it.
    pub(super) hangu: String,
    /// When, RFC 3339.
    pub(super) made: String,
    /// On which machine.
    pub(super) node: String,
    /// Place of the configuration file.
    pub(super) config: String,
    /// Folder that the places are relative to, on that machine.
    pub(super) folder: String,
    /// Place of the audit folder.
    pub(super) audit: String,
    /// Place of the run folder, which nobody else may enter.
    pub(super) run: String,
    /// Where the audit log stands; `None` when it had no record.
    pub(super) log: Option<LogPlace>,
    /// How keys are sealed; `None` when there are none.
    pub(super) sealed: Option<Derivation>,
    /// The files, in the order of the archive.
    pub(super) files: Vec<Item>,
    /// Keys that are not in it.
    pub(super) keys_left_out: Vec<String>,
}

/// The end of the log that a backup covers.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LogPlace {
    pub(super) records: u64,
    /// Chain hash of the last of them, hexadecimal.
    pub(super) hash: String,
    /// Chain hash of the first record of all: the log's name for its sinks.
    pub(super) id: String,
}

/// One file.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Item {
    /// Its name in the archive.
    pub(super) name: String,
    /// Its place below the restored folder.
    pub(super) place: String,
    /// Its length in the archive.
    pub(super) bytes: u64,
    /// SHA-256 of its bytes in the archive, hexadecimal.
    pub(super) sha256: String,
    /// Whether it is a sealed key.
    pub(super) sealed: bool,
}

impl Manifest {
    /// Reads a manifest that was signed, and still believes only what it can follow.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, BackupError> {
        let wrong = |what: String| BackupError::Manifest(what);
        let manifest: Self =
            serde_json::from_slice(bytes).map_err(|error| wrong(error.to_string()))?;
        if manifest.v != 1 {
            return Err(wrong(format!(
                "it is of version {}, this program knows 1",
                manifest.v
            )));
        }
        if manifest.files.len() > FILES_MAX {
            return Err(wrong(format!("it names more than {FILES_MAX} files")));
        }
        let mut places = std::collections::BTreeSet::new();
        for (number, item) in (1..).zip(&manifest.files) {
            if item.name != name_of(number) {
                return Err(wrong(format!("file `{}` is out of order", item.name)));
            }
            if !places.insert(&item.place) {
                return Err(wrong(format!("`{}` is there twice", item.place)));
            }
        }
        let all = manifest.files.iter().map(|item| &item.place);
        for place in all.chain([&manifest.config, &manifest.audit, &manifest.run]) {
            below(Path::new("."), place)?;
        }
        Ok(manifest)
    }
}

/// The name in the archive of a manifest's file, counted from 1.
pub(super) fn name_of(number: usize) -> String {
    format!("files/{number:05}")
}

/// The place of a file that belongs to a configuration in `folder`: below it as it is, elsewhere under `outside/`.
pub(super) fn place_of(folder: &Path, file: &Path) -> Option<String> {
    let place = match file.strip_prefix(folder) {
        Ok(inside) => inside.to_owned(),
        Err(_) => Path::new(OUTSIDE).join(file.strip_prefix("/").ok()?),
    };
    let plain = place
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    plain.then(|| place.to_str().map(str::to_owned)).flatten()
}

/// A place as a path below `folder`; never one that leads out of it.
pub(super) fn below(folder: &Path, place: &str) -> Result<PathBuf, BackupError> {
    let path = Path::new(place);
    let plain = path
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    let tidy = !place.is_empty()
        && !place.contains(['\0', '\n'])
        && place
            .split('/')
            .all(|part| !matches!(part, "" | "." | ".."));
    if plain && tidy {
        return Ok(folder.join(path));
    }
    Err(BackupError::Manifest(format!(
        "the place `{}` leads out of the folder",
        place.escape_debug()
    )))
}

/// Where files from elsewhere are put.
pub(super) const OUTSIDE: &str = "outside";
/// As many as the largest configuration names, and the indexes of years.
pub(super) const FILES_MAX: usize = 99_999;
pub(super) const MANIFEST_BYTES_MAX: u64 = 64 * 1024 * 1024;
