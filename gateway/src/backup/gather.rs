//! Making a backup: what is taken, in which form, and the one pass that writes it.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Cursor, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use hangu_audit::key::Signer;
use hangu_audit::note::Note;
use hangu_audit::{Standing, Timestamp};
use ring::digest::{Context, SHA256, digest};

use super::archive::Writer;
use super::manifest::{FILES_MAX, Item, LogPlace, Manifest, name_of, place_of};
use super::seal::{Passphrase, Sealer};
use super::{BackupError, at, hex};
use crate::config::{Archive, Config, PolicySource, SigningKey, SinkTarget};
use crate::reload::files_of;

/// What a backup holds.
#[derive(Debug)]
pub struct BackedUp {
    /// Files.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Records of the audit log that it covers.
    pub records: u64,
    /// Keys that are not in it.
    pub keys_left_out: Vec<String>,
}

/// Writes a backup of the node that `config` configures to `out`, which must not be there yet. With a passphrase its keys are in it.
///
/// # Errors
/// What cannot be read or written; `out` is not left behind then.
pub fn backup(
    config: &Config,
    node: &str,
    out: &Path,
    signer: &Signer,
    passphrase: Option<&Passphrase>,
) -> Result<BackedUp, BackupError> {
    let mut gathered = Gathered::new(config, passphrase)?;
    gathered.configuration(config)?;
    let log = gathered.log(&config.audit.folder)?;
    let manifest = gathered.manifest(config, node, log)?;
    let text = serde_json::to_vec_pretty(&manifest)
        .map_err(|error| BackupError::Manifest(error.to_string()))?;
    let signature = sign(&text, signer)?;
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(ARCHIVE_MODE)
        .open(out);
    let file = match file {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(BackupError::Exists {
                path: out.to_owned(),
            });
        }
        file => file.map_err(at(out))?,
    };
    if let Err(error) = gathered.write(file, out, &text, &signature) {
        // Half an archive is none.
        drop(fs::remove_file(out));
        return Err(error);
    }
    Ok(BackedUp {
        files: manifest.files.len(),
        bytes: manifest.files.iter().map(|item| item.bytes).sum(),
        records: manifest.log.map_or(0, |log| log.records),
        keys_left_out: manifest.keys_left_out,
    })
}

/// What the signature is over: one line that says what for, and the manifest's digest.
pub(super) fn signed_text(manifest: &[u8]) -> String {
    let digest = digest(&SHA256, manifest);
    format!("hangu backup\nsha256 {}\n", hex(digest.as_ref()))
}

fn sign(manifest: &[u8], signer: &Signer) -> Result<String, BackupError> {
    Ok(Note::sign(signed_text(manifest), signer, 0)?.to_string())
}

/// Where a file's bytes come from.
enum Content {
    /// Read already: what must be of one moment, and what is sealed.
    Bytes(Vec<u8>),
    /// The first so many bytes of a file, which do not change.
    File(PathBuf, u64),
}

struct Gathered {
    folder: PathBuf,
    sealer: Option<Sealer>,
    derivation: Option<super::seal::Derivation>,
    items: Vec<(Item, Content)>,
    taken: BTreeSet<PathBuf>,
    keys_left_out: Vec<String>,
}

impl Gathered {
    fn new(config: &Config, passphrase: Option<&Passphrase>) -> Result<Self, BackupError> {
        let (sealer, derivation) = match passphrase.map(Sealer::fresh).transpose()? {
            Some((sealer, derivation)) => (Some(sealer), Some(derivation)),
            None => (None, None),
        };
        let folder = config.file.parent().unwrap_or(Path::new("/")).to_owned();
        Ok(Self {
            folder,
            sealer,
            derivation,
            items: Vec::new(),
            taken: BTreeSet::new(),
            keys_left_out: Vec::new(),
        })
    }

    /// The configuration and all that it names.
    fn configuration(&mut self, config: &Config) -> Result<(), BackupError> {
        let mut files = files_of(config, &config.file);
        let key = match &config.audit.key {
            SigningKey::File(key) | SigningKey::Beside(key) => Some(key),
            // The signer's own, and none of this node's business.
            SigningKey::Remote { .. } => None,
        };
        let secrets: BTreeSet<_> = config
            .sinks
            .iter()
            .filter_map(|sink| match &sink.to {
                SinkTarget::Http { token, .. } => token.clone(),
                SinkTarget::Syslog { .. } | SinkTarget::Folder(_) => None,
            })
            .chain(key.cloned())
            .chain(match &config.retention.archive {
                Some(Archive::Store(store)) => Some(store.secret.clone()),
                Some(Archive::Folder(_)) | None => None,
            })
            .chain(config.pseudonyms.iter().map(|own| own.key.clone()))
            .collect();
        let beside = key.map(|key| crate::audit_trail::key_file::public_path(key));
        let own = key.cloned().into_iter().chain(beside);
        let optional = own.chain(states(config));
        files.extend(optional);
        for file in expanded(files)? {
            let mut bytes = Vec::new();
            let opened = File::open(&file).map_err(at(&file))?;
            opened
                .take(FILE_BYTES_MAX)
                .read_to_end(&mut bytes)
                .map_err(at(&file))?;
            if bytes.len() as u64 == FILE_BYTES_MAX {
                let what = io::Error::other("is too large for a backup");
                return Err(at(&file)(what));
            }
            if secrets.contains(&file) || is_secret(&bytes) {
                self.secret(&file, &bytes)?;
            } else {
                self.add(&file, Content::Bytes(bytes), IsSealed::No)?;
            }
        }
        Ok(())
    }

    fn secret(&mut self, file: &Path, bytes: &[u8]) -> Result<(), BackupError> {
        let place = self.place(file)?;
        match &self.sealer {
            Some(sealer) => {
                let sealed = sealer.seal(bytes, &place)?;
                self.add(file, Content::Bytes(sealed), IsSealed::Yes)
            }
            None => {
                self.keys_left_out.push(place);
                Ok(())
            }
        }
    }

    /// Where the log stands.
    fn log(&mut self, audit: &Path) -> Result<Option<LogPlace>, BackupError> {
        if !audit.is_dir() {
            return Ok(None);
        }
        let standing = Standing::of(audit).map_err(|error| BackupError::Log {
            path: audit.to_owned(),
            what: error.to_string(),
        })?;
        let Some(standing) = standing else {
            return Ok(None);
        };
        for file in standing.files {
            let bytes = fs::read(&file).map_err(at(&file))?;
            self.add(&file, Content::Bytes(bytes), IsSealed::No)?;
        }
        for (file, bytes) in standing.tree {
            self.add(&file.clone(), Content::File(file, bytes), IsSealed::No)?;
        }
        if let Some(checkpoint) = standing.checkpoint {
            let file = audit.join("checkpoint");
            self.add(&file, Content::Bytes(checkpoint), IsSealed::No)?;
        }
        Ok(Some(LogPlace {
            records: standing.last.sequence,
            hash: standing.last.hash.to_string(),
            id: standing.log_id.to_string(),
        }))
    }

    fn add(&mut self, file: &Path, content: Content, sealed: IsSealed) -> Result<(), BackupError> {
        if !self.taken.insert(file.to_owned()) {
            return Ok(());
        }
        if self.items.len() >= FILES_MAX {
            let what = format!("there are more than {FILES_MAX} files to take");
            return Err(BackupError::Manifest(what));
        }
        let (bytes, sha256) = match &content {
            Content::Bytes(content) => {
                (content.len() as u64, hex(digest(&SHA256, content).as_ref()))
            }
            Content::File(path, bytes) => (*bytes, digest_of(path, *bytes)?),
        };
        let item = Item {
            name: name_of(self.items.len() + 1),
            place: self.place(file)?,
            bytes,
            sha256,
            sealed: matches!(sealed, IsSealed::Yes),
        };
        self.items.push((item, content));
        Ok(())
    }

    fn place(&self, file: &Path) -> Result<String, BackupError> {
        place_of(&self.folder, file).ok_or_else(|| {
            let what = format!("`{}` cannot stand in an archive", file.display());
            BackupError::Manifest(what)
        })
    }

    fn manifest(
        &self,
        config: &Config,
        node: &str,
        log: Option<LogPlace>,
    ) -> Result<Manifest, BackupError> {
        Ok(Manifest {
            v: 1,
            hangu: env!("CARGO_PKG_VERSION").to_owned(),
            made: Timestamp::from(SystemTime::now()).to_string(),
            node: node.to_owned(),
            config: self.place(&config.file)?,
            folder: self.folder.display().to_string(),
            audit: self.place(&config.audit.folder)?,
            run: self.place(&config.server.run_dir)?,
            log,
            sealed: self.derivation.clone(),
            files: self.items.iter().map(|(item, _)| item.clone()).collect(),
            keys_left_out: self.keys_left_out.clone(),
        })
    }

    fn write(
        &self,
        file: File,
        out: &Path,
        manifest: &[u8],
        signature: &str,
    ) -> Result<(), BackupError> {
        let mut writer = Writer::new(BufWriter::with_capacity(PIECE_BYTES, file));
        let mut whole = |name: &str, bytes: &[u8]| {
            writer
                .file(name, bytes.len() as u64, &mut Cursor::new(bytes))
                .map_err(at(out))
        };
        whole("manifest", manifest)?;
        whole("signature", signature.as_bytes())?;
        for (item, content) in &self.items {
            match content {
                Content::Bytes(bytes) => writer
                    .file(&item.name, item.bytes, &mut Cursor::new(bytes))
                    .map_err(at(out))?,
                Content::File(path, _) => {
                    let mut hashed = Hashed::new(File::open(path).map_err(at(path))?);
                    writer
                        .file(&item.name, item.bytes, &mut (&mut hashed).take(item.bytes))
                        .map_err(at(out))?;
                    if hashed.hex() != item.sha256 {
                        return Err(BackupError::Changed { path: path.clone() });
                    }
                }
            }
        }
        let file = writer.finish().map_err(at(out))?;
        let file = file
            .into_inner()
            .map_err(|error| at(out)(error.into_error()))?;
        file.sync_all().map_err(at(out))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum IsSealed {
    Yes,
    No,
}

/// A file that is hashed while it is read.
struct Hashed {
    file: File,
    context: Context,
}

impl Hashed {
    fn new(file: File) -> Self {
        Self {
            file,
            context: Context::new(&SHA256),
        }
    }

    fn hex(self) -> String {
        hex(self.context.finish().as_ref())
    }
}

impl Read for Hashed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.context.update(buffer.get(..read).unwrap_or_default());
        Ok(read)
    }
}

fn digest_of(path: &Path, bytes: u64) -> Result<String, BackupError> {
    let mut hashed = Hashed::new(File::open(path).map_err(at(path))?);
    let read = io::copy(&mut (&mut hashed).take(bytes), &mut io::sink()).map_err(at(path))?;
    if read != bytes {
        let what = io::Error::other("is shorter than the log's tree; open the log once to mend it");
        return Err(at(path)(what));
    }
    Ok(hashed.hex())
}

/// What the process remembers over restarts.
fn states(config: &Config) -> Vec<PathBuf> {
    let mut states = Vec::new();
    if let PolicySource::Bundle(bundle) = &config.policy.source {
        states.push(bundle.state.clone());
    }
    // Whom operators have revoked.
    states.push(config.control.revocations.clone());
    // Sockets are left: they belong to a process.
    for entry in fs::read_dir(&config.server.run_dir)
        .into_iter()
        .flatten()
        .flatten()
    {
        if entry.file_type().is_ok_and(|kind| kind.is_file()) {
            states.push(entry.path());
        }
    }
    states
}

/// Folders as the files in them, without what is not there: the configuration was checked, so that can only be a list that was not fetched yet.
fn expanded(files: BTreeSet<PathBuf>) -> Result<BTreeSet<PathBuf>, BackupError> {
    let mut all = BTreeSet::new();
    for file in files {
        if !file.is_dir() {
            all.extend(Some(file).filter(|file| file.exists()));
            continue;
        }
        for entry in fs::read_dir(&file).map_err(at(&file))? {
            let path = entry.map_err(at(&file))?.path();
            if path.is_file() {
                all.insert(path);
            }
        }
    }
    Ok(all)
}

/// Whether a file holds a private key, whatever its name.
fn is_secret(bytes: &[u8]) -> bool {
    [&b"PRIVATE KEY-----"[..], b"PRIVATE+KEY+"]
        .iter()
        .any(|mark| bytes.windows(mark.len()).any(|window| window == *mark))
}

/// Sealed keys or not, a backup is nobody else's.
const ARCHIVE_MODE: u32 = 0o600;
const FILE_BYTES_MAX: u64 = 512 * 1024 * 1024;
const PIECE_BYTES: usize = 256 * 1024;
