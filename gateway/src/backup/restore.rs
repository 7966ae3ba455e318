//! Restoring a backup: everything is proven before anything is written.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{BufReader, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use hangu_audit::key::Verifier;
use hangu_audit::note::Note;
use hangu_audit::{Hash, Link, Log, Options, Origin, Timestamp};
use ring::digest::{Context, SHA256};

use super::archive::Reader;
use super::gather::signed_text;
use super::manifest::{Item, MANIFEST_BYTES_MAX, Manifest, OUTSIDE, below};
use super::seal::{Passphrase, Sealer};
use super::{BackupError, at, hex};
use crate::request_id::boot_id;

/// Where a backup is restored to.
#[derive(Debug)]
pub struct Target<'a> {
    /// The folder; it must be empty or missing, but for `replace`.
    pub folder: &'a Path,
    /// What is there is moved aside and not deleted.
    pub replace: bool,
    /// Opens sealed keys.
    pub passphrase: Option<&'a Passphrase>,
}

/// What an archive holds, proven.
#[derive(Debug)]
pub struct Proven {
    file: File,
    manifest: Manifest,
}

/// What was restored, or would be.
#[derive(Debug)]
pub struct Restored {
    /// When the backup was made, RFC 3339.
    pub made: String,
    /// On which machine.
    pub node: String,
    /// Files.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Records of the audit log before the restored one.
    pub records: u64,
    /// Place of the configuration below the folder.
    pub config: String,
    /// Keys that must be put back.
    pub keys_left_out: Vec<String>,
    /// Files that the configuration names elsewhere, and where they lie now.
    pub outside: Vec<String>,
    /// Where what was there before is now.
    pub moved_aside: Option<PathBuf>,
}

/// Proves an archive: that one of `keys` has signed it, and every byte of it.
///
/// # Errors
/// The first thing that does not hold.
pub fn prove(archive: &Path, keys: &[Verifier]) -> Result<Proven, BackupError> {
    let file = File::open(archive).map_err(at(archive))?;
    let mut reader = Reader::new(BufReader::new(&file));
    let text = reader.whole("manifest", MANIFEST_BYTES_MAX)?;
    let signature = reader.whole("signature", SIGNATURE_BYTES_MAX)?;
    let note = String::from_utf8(signature)
        .ok()
        .and_then(|note| Note::parse(&note).ok())
        .ok_or(BackupError::Unsigned)?;
    // Nothing of the manifest is looked at before it is known whose it is.
    if note.text() != signed_text(&text) || note.verify(keys).is_err() {
        return Err(BackupError::Unsigned);
    }
    let manifest = Manifest::parse(&text)?;
    each(&mut reader, &manifest, |_, _| Ok(()))?;
    Ok(Proven { file, manifest })
}

/// The places of the files of an archive that holds together, whoever has signed it: for whoever tests what archives can do. Writes
/// nothing.
///
/// # Errors
/// The first thing that does not hold.
pub fn places(archive: impl std::io::Read) -> Result<Vec<String>, BackupError> {
    let mut reader = Reader::new(archive);
    let text = reader.whole("manifest", MANIFEST_BYTES_MAX)?;
    reader.whole("signature", SIGNATURE_BYTES_MAX)?;
    let manifest = Manifest::parse(&text)?;
    each(&mut reader, &manifest, |_, _| Ok(()))?;
    Ok(manifest.files.into_iter().map(|item| item.place).collect())
}

impl Proven {
    /// What it would restore.
    #[must_use]
    pub fn summary(&self) -> Restored {
        let manifest = &self.manifest;
        let is_outside = |place: &&String| place.split('/').next() == Some(OUTSIDE);
        Restored {
            made: manifest.made.clone(),
            node: manifest.node.clone(),
            files: manifest.files.len(),
            bytes: manifest.files.iter().map(|item| item.bytes).sum(),
            records: manifest.log.as_ref().map_or(0, |log| log.records),
            config: manifest.config.clone(),
            keys_left_out: manifest.keys_left_out.clone(),
            outside: manifest
                .files
                .iter()
                .map(|item| &item.place)
                .filter(is_outside)
                .cloned()
                .collect(),
            moved_aside: None,
        }
    }
}

/// Writes what was proven into the target, and has the audit log go on with a `restored` record.
///
/// # Errors
/// What cannot be written or opened; the target is as it was then.
pub fn restore(mut proven: Proven, target: &Target<'_>) -> Result<Restored, BackupError> {
    let folder = target.folder;
    let is_occupied = match fs::read_dir(folder) {
        Ok(mut found) => found.next().is_some(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
        Err(error) => return Err(at(folder)(error)),
    };
    if is_occupied && !target.replace {
        return Err(BackupError::Occupied {
            path: folder.to_owned(),
        });
    }
    let sealer = match (&proven.manifest.sealed, target.passphrase) {
        (None, _) => None,
        (Some(_), None) => return Err(BackupError::NoPassphrase),
        (Some(derivation), Some(passphrase)) => Some(Sealer::of(passphrase, derivation)?),
    };
    let new = sibling(folder, "restoring");
    make_folder(&new)?;
    let written = write_all(&mut proven, &new, sealer.as_ref())
        .and_then(|()| go_on(&proven.manifest, &new))
        .and_then(|()| put_in_place(&new, folder, is_occupied));
    match written {
        Ok(moved_aside) => Ok(Restored {
            moved_aside,
            ..proven.summary()
        }),
        Err(error) => {
            // Nobody is helped by half of it.
            drop(fs::remove_dir_all(&new));
            Err(error)
        }
    }
}

/// Gives each file's content piece by piece and proves its length and digest, and that nothing else is there.
fn each<R: std::io::Read>(
    reader: &mut Reader<R>,
    manifest: &Manifest,
    mut take: impl FnMut(&Item, &[u8]) -> Result<(), BackupError>,
) -> Result<(), BackupError> {
    for item in &manifest.files {
        let wrong = || BackupError::Content {
            name: item.name.clone(),
        };
        match reader.next_file()? {
            Some((name, bytes)) if name == item.name && bytes == item.bytes => {}
            _ => return Err(wrong()),
        }
        let mut context = Context::new(&SHA256);
        reader.content(item.bytes, |piece| {
            context.update(piece);
            take(item, piece)
        })?;
        if hex(context.finish().as_ref()) != item.sha256 {
            return Err(wrong());
        }
    }
    match reader.next_file()? {
        None => Ok(()),
        Some((name, _)) => Err(BackupError::Content { name }),
    }
}

/// The second pass: the archive may have changed since the first, so it proves everything again.
fn write_all(
    proven: &mut Proven,
    folder: &Path,
    sealer: Option<&Sealer>,
) -> Result<(), BackupError> {
    let Proven { file, manifest } = proven;
    file.seek(SeekFrom::Start(0)).map_err(at(folder))?;
    let mut reader = Reader::new(BufReader::new(&*file));
    reader.whole("manifest", MANIFEST_BYTES_MAX)?;
    reader.whole("signature", SIGNATURE_BYTES_MAX)?;
    let run = below(folder, &manifest.run)?;
    make_folder(&run)?;
    fs::set_permissions(&run, Permissions::from_mode(RUN_MODE)).map_err(at(&run))?;
    let mut open: Option<(String, File)> = None;
    let mut sealed: Vec<(Item, Vec<u8>)> = Vec::new();
    for item in manifest.files.iter().filter(|item| item.bytes == 0) {
        create(folder, item)?;
    }
    each(&mut reader, manifest, |item, piece| {
        if item.sealed {
            match sealed.last_mut() {
                Some((last, bytes)) if last.name == item.name => bytes.extend_from_slice(piece),
                _ => sealed.push((item.clone(), piece.to_vec())),
            }
            return Ok(());
        }
        let is_next = open.as_ref().is_none_or(|(name, _)| *name != item.name);
        if is_next {
            let file = create(folder, item)?;
            open = Some((item.name.clone(), file));
        }
        match &mut open {
            Some((_, file)) => file.write_all(piece).map_err(at(&folder.join(&item.place))),
            None => Ok(()),
        }
    })?;
    for (item, bytes) in sealed {
        let sealer = sealer.ok_or(BackupError::NoPassphrase)?;
        let content = sealer.open(&bytes, &item.place)?;
        let mut file = create(folder, &item)?;
        file.write_all(&content)
            .and_then(|()| file.sync_all())
            .map_err(at(&folder.join(&item.place)))?;
    }
    Ok(())
}

fn create(folder: &Path, item: &Item) -> Result<File, BackupError> {
    let path = below(folder, &item.place)?;
    if let Some(parent) = path.parent() {
        make_folder(parent)?;
    }
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(if item.sealed { KEY_MODE } else { FILE_MODE })
        .open(&path)
        .map_err(at(&path))
}

/// The audit log goes on behind what the backup covers.
fn go_on(manifest: &Manifest, folder: &Path) -> Result<(), BackupError> {
    let Some(log) = &manifest.log else {
        return Ok(());
    };
    let hash = |text: &str| {
        Hash::from_hex(text.as_bytes())
            .ok_or_else(|| BackupError::Manifest(format!("`{text}` is no hash")))
    };
    let last = Link {
        sequence: log.records,
        hash: hash(&log.hash)?,
    };
    let audit = below(folder, &manifest.audit)?;
    make_folder(&audit)?;
    let origin = Origin {
        node: manifest.node.clone(),
        boot: format!("{:016x}", boot_id()),
    };
    let detail = format!(
        "restored from the backup of {}, made on {}; records up to {} are in its segments' archive, later ones are lost here",
        manifest.made, manifest.node, log.records
    );
    let now = Timestamp::from(SystemTime::now());
    let options = Options::new(Arc::new(origin));
    Log::restore(&audit, (last, hash(&log.id)?), options, now, &detail)?;
    Ok(())
}

fn put_in_place(
    new: &Path,
    folder: &Path,
    is_occupied: bool,
) -> Result<Option<PathBuf>, BackupError> {
    let mut moved_aside = None;
    if is_occupied {
        let seconds = Timestamp::from(SystemTime::now()).unix_ms() / 1_000;
        let aside = sibling(folder, &format!("before-restore-{seconds}"));
        fs::rename(folder, &aside).map_err(at(folder))?;
        moved_aside = Some(aside);
    }
    fs::rename(new, folder).map_err(at(folder))?;
    let parent = folder
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    File::open(parent)
        .and_then(|parent| parent.sync_all())
        .map_err(at(parent))?;
    Ok(moved_aside)
}

fn make_folder(path: &Path) -> Result<(), BackupError> {
    DirBuilder::new()
        .recursive(true)
        .mode(FOLDER_MODE)
        .create(path)
        .map_err(at(path))
}

/// `…/name` → `…/name.ending`.
fn sibling(folder: &Path, ending: &str) -> PathBuf {
    let mut name = folder.components().as_path().as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}

const SIGNATURE_BYTES_MAX: u64 = 128 * 1024;
const RUN_MODE: u32 = 0o700;
const FOLDER_MODE: u32 = 0o750;
const FILE_MODE: u32 = 0o640;
const KEY_MODE: u32 = 0o600;
