//! Copies of the lists that the configuration names as files, for an operator who gave grace.
//!
//! Without a copy a file that is gone when the gateway starts would keep it from starting, whatever grace its list was given. A copy is
//! made of what has been loaded and found good, and says when the file was last there: it stands in from then for as long as the grace
//! lasts. It is verified like any list when it does.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use tracing::warn;

use super::{NAME_BYTES, hex, sha256, unix_seconds, write};
use crate::config::CrlFetch;

/// A list that was loaded out of a file and is worth a copy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListFile {
    /// The file.
    pub path: PathBuf,
    /// SHA-256 of its bytes, in hexadecimal digits.
    digest: String,
}

impl ListFile {
    /// What was read out of a file.
    #[must_use]
    pub fn of(path: PathBuf, bytes: &[u8]) -> Self {
        let digest = sha256(bytes);
        Self { path, digest }
    }
}

/// A copy, by the file that it is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    at: PathBuf,
    digest: String,
    /// Unix seconds at which the file was last there, with these bytes.
    pub last_seen: i64,
}

impl Copy {
    /// The list, if it is as it was when it was copied.
    #[must_use]
    pub fn bytes(&self) -> Option<Vec<u8>> {
        let bytes = fs::read(&self.at).ok()?;
        (sha256(&bytes) == self.digest).then_some(bytes)
    }
}

/// All copies that there are, by the path of what they are a copy of. Those that cannot be read are none.
#[must_use]
pub fn copies(settings: &CrlFetch) -> BTreeMap<PathBuf, Copy> {
    let entries = fs::read_dir(folder_of(settings)).into_iter().flatten();
    let notes = entries.filter_map(|entry| {
        let path = entry.ok()?.path();
        (path.extension()? == NOTE).then_some(path)
    });
    notes
        .take(COPIES_MAX)
        .filter_map(|note| read(&note))
        .collect()
}

/// Copies each list that has no copy yet, notes of each that its file is still there, and forgets copies that no grace can reach.
pub(super) fn keep(settings: &CrlFetch, lists: &[ListFile]) {
    let known = copies(settings);
    let now = unix_seconds();
    for list in lists.iter().take(COPIES_MAX) {
        if let Err(why) = keep_one(settings, list, known.get(&list.path), now) {
            warn!(
                "no copy of the revocation list `{}` in `{}`: {why}; should the file get lost, no grace helps",
                list.path.display(),
                folder_of(settings).display()
            );
        }
    }
    for copy in known.values() {
        if now.saturating_sub(copy.last_seen) > FORGET_AFTER {
            // What cannot be removed is tried again.
            drop(fs::remove_file(copy.at.with_extension(NOTE)));
            drop(fs::remove_file(&copy.at));
        }
    }
}

fn keep_one(
    settings: &CrlFetch,
    list: &ListFile,
    known: Option<&Copy>,
    now: i64,
) -> io::Result<()> {
    // A file that is gone, or another one by now, was not seen; the reload that it causes says what it is.
    let is_copied = known.is_some_and(|copy| copy.digest == list.digest && copy.at.exists());
    if is_copied && fs::File::open(&list.path).is_err() {
        return Ok(());
    }
    let at = copy_at(settings, &list.path);
    if !is_copied {
        let Ok(bytes) = fs::read(&list.path) else {
            return Ok(());
        };
        if sha256(&bytes) != list.digest {
            return Ok(());
        }
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder_of(settings))?;
        write(&at, &bytes)?;
    }
    let path = list.path.to_str().filter(|path| !path.contains('\n'));
    let path = path.ok_or_else(|| io::Error::other("its name is not a line of text"))?;
    let note = format!("{}\n{now}\n{path}\n", list.digest);
    write(&at.with_extension(NOTE), note.as_bytes())
}

/// What a note says. One that lies where the copy of another file belongs is none.
fn read(note: &Path) -> Option<(PathBuf, Copy)> {
    let text = fs::read_to_string(note).ok()?;
    let mut lines = text.lines();
    let digest = lines.next()?.to_owned();
    let last_seen = lines.next()?.parse().ok()?;
    let source = PathBuf::from(lines.next()?);
    let at = note.with_extension("crl");
    (at.file_name()?.to_str()? == name_of(&source)).then_some((
        source,
        Copy {
            at,
            digest,
            last_seen,
        },
    ))
}

fn folder_of(settings: &CrlFetch) -> PathBuf {
    settings.folder.join("files")
}

fn copy_at(settings: &CrlFetch, source: &Path) -> PathBuf {
    folder_of(settings).join(name_of(source))
}

fn name_of(source: &Path) -> String {
    let bytes = source.as_os_str().as_encoded_bytes();
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    let name = hex(digest.as_ref().get(..NAME_BYTES).unwrap_or_default());
    format!("{name}.crl")
}

/// Says of a copy what it is of: three lines, digest, when the file was last there, and its path.
const NOTE: &str = "seen";
/// Files of lists of a whole configuration.
const COPIES_MAX: usize = 4096;
/// The longest grace there is (`bounds::CRL_GRACE`), in seconds, and a day.
const FORGET_AFTER: i64 = 8 * 86_400;
