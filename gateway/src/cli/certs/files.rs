//! Files that certificates are read from and written to.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::CertsError;

/// Who may read a file that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    /// Mode 0644: certificates and lists.
    Anyone,
    /// Mode 0600: keys and what belongs to the authority alone.
    Owner,
}

/// What happens to a file that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Existing {
    /// It is kept, and the command fails.
    Keep,
    Replace,
}

impl Existing {
    pub(super) fn forced(force: bool) -> Existing {
        if force {
            Existing::Replace
        } else {
            Existing::Keep
        }
    }
}

/// A whole file of at most so many bytes.
pub(super) fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, CertsError> {
    let refused = |why: io::Error| {
        let path = path.display();
        CertsError(format!("{path}: {why}; name a file that you may read"))
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(refused)?;
    file.take(bytes_max.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(refused)?;
    if bytes.len() as u64 > bytes_max {
        let path = path.display();
        return Err(CertsError(format!(
            "{path}: it is larger than {bytes_max} bytes; name a file of certificates, keys or revocation lists"
        )));
    }
    Ok(bytes)
}

pub(super) fn read_text(path: &Path) -> Result<String, CertsError> {
    String::from_utf8(read(path, CERTIFICATES_BYTES_MAX)?)
        .map_err(|_why| CertsError(format!("{}: it is not text in UTF-8", path.display())))
}

/// A private key. One that others may read is not used: it is not private.
pub(super) fn read_key(path: &Path) -> Result<String, CertsError> {
    let shown = path.display();
    let about = fs::metadata(path)
        .map_err(|why| CertsError(format!("{shown}: {why}; name a key that you may read")))?;
    if about.permissions().mode() & 0o077 != 0 {
        return Err(CertsError(format!(
            "{shown}: others may read this key; `chmod 600 {shown}`, and replace it if it was seen"
        )));
    }
    read_text(path)
}

/// Refuses when one of the files is there and may not be replaced, before anything is written.
pub(super) fn check_free(paths: &[&PathBuf], existing: Existing) -> Result<(), CertsError> {
    let taken = paths
        .iter()
        .find(|path| fs::symlink_metadata(path).is_ok())
        .filter(|_path| existing == Existing::Keep);
    match taken {
        Some(path) => Err(is_there(path)),
        None => Ok(()),
    }
}

/// Writes a whole file or none, and never one that others may read for a moment.
pub(super) fn write(
    path: &Path,
    text: &str,
    reader: Reader,
    existing: Existing,
) -> Result<(), CertsError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let beside = path.with_file_name(name);
    let result = write_beside(&beside, text, reader).and_then(|()| match existing {
        Existing::Replace => fs::rename(&beside, path),
        // Unlike a rename, a link never replaces.
        Existing::Keep => fs::hard_link(&beside, path),
    });
    let _gone_by_rename = fs::remove_file(&beside);
    result.map_err(|why| {
        if why.kind() == io::ErrorKind::AlreadyExists {
            return is_there(path);
        }
        CertsError(format!(
            "{}: {why}; name a place that you may write to",
            path.display()
        ))
    })
}

fn write_beside(beside: &Path, text: &str, reader: Reader) -> io::Result<()> {
    let mode = match reader {
        Reader::Anyone => 0o644,
        Reader::Owner => 0o600,
    };
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn is_there(path: &Path) -> CertsError {
    CertsError(format!(
        "{}: it is there already; name another place, or say `--force` to replace it",
        path.display()
    ))
}

/// How a file is called in what is printed.
pub(super) fn name(path: &Path) -> String {
    path.display().to_string()
}

/// Bytes of a file of certificates or keys.
pub(super) const CERTIFICATES_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Bytes of a revocation list: about ten million entries.
pub(super) const LISTS_BYTES_MAX: u64 = 512 * 1024 * 1024;
