//! Pushed revocations, kept in a file over restarts.
//!
//! A push takes effect in memory first and is saved before it is confirmed; taking one back is saved first. So whatever fails, the
//! stricter side holds. The file is replaced whole, its first line carries the digest of the rest, and a gateway does not start
//! with one that is damaged: it would let in who was thrown out.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::{ArcSwap, Guard};
use hangu_certs::{PushError, PushedRevocation, PushedRevocations, Target};
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

/// The pushed revocations of a gateway.
#[derive(Debug)]
pub struct PushedStore {
    path: PathBuf,
    set: ArcSwap<PushedRevocations>,
    /// What the file was when it was last read or written; the lock orders writers.
    seen: Mutex<Option<Seen>>,
}

/// Inode, bytes, and the time of the last change.
type Seen = (u64, u64, i64, i64);

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PushedFileError {
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
    #[error("{}: is not as the gateway writes it, so it is not known who is revoked; restore it from a backup, or remove it and revoke anew", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
}

/// Why a push or its end did not come about as wanted.
#[derive(Debug, thiserror::Error)]
pub enum PushedStoreError {
    /// It is not taken.
    #[error(transparent)]
    Refused(#[from] PushError),
    /// Nothing of the kind is pushed.
    #[error("`{0}` is not revoked by an operator; `hangu revoke --list` shows who is")]
    Unknown(Target),
    /// The file cannot be read any more.
    #[error(transparent)]
    File(#[from] PushedFileError),
    /// The file cannot be written.
    #[error("{}: cannot be written: {source}; let the gateway's user write to its folder. {state}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What holds now.
        state: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Head {
    format: u32,
    sha256: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Row {
    target: String,
    by: String,
    reason: String,
    at: i64,
    until: Option<i64>,
}

impl PushedStore {
    /// What the file holds; nothing when there is none yet.
    ///
    /// # Errors
    /// When there is one that cannot be read or understood.
    pub fn open(path: &Path) -> Result<Self, PushedFileError> {
        let seen = look(path);
        Ok(Self {
            path: path.to_owned(),
            set: ArcSwap::from_pointee(read(path)?),
            seen: Mutex::new(seen),
        })
    }

    /// Who is revoked now. No lock.
    pub fn load(&self) -> Guard<Arc<PushedRevocations>> {
        self.set.load()
    }

    /// Takes up what another process, of which this one is the successor or predecessor, has written. Says whether there was something.
    ///
    /// # Errors
    /// When the file cannot be read; what was known stays in force.
    pub fn refresh(&self) -> Result<bool, PushedFileError> {
        self.refresh_locked(&mut self.lock())
    }

    fn refresh_locked(&self, seen: &mut Option<Seen>) -> Result<bool, PushedFileError> {
        let now = look(&self.path);
        if now == *seen || now.is_none() {
            return Ok(false);
        }
        self.set.store(Arc::new(read(&self.path)?));
        *seen = now;
        Ok(true)
    }

    /// Revokes: in force at once, and once `act` has used it, saved.
    ///
    /// # Errors
    /// When it is not taken, or is in force and could not be saved.
    pub fn push<T>(
        &self,
        revocation: PushedRevocation,
        act: impl FnOnce(&PushedRevocations) -> T,
    ) -> Result<T, PushedStoreError> {
        let mut seen = self.lock();
        self.refresh_locked(&mut seen)?;
        let now = revocation.at;
        let mut set = PushedRevocations::clone(&self.set.load());
        set.forget_past(now);
        set.push(revocation)?;
        let set = Arc::new(set);
        self.set.store(Arc::clone(&set));
        let acted = act(&set);
        self.save(&set, &mut seen, "It is in force until the gateway ends.")?;
        Ok(acted)
    }

    /// Takes a revocation back at `now` (seconds since 1970); gives it.
    ///
    /// # Errors
    /// When there is none, or the file cannot be written: it then stays in force.
    pub fn lift(&self, target: &Target, now: i64) -> Result<PushedRevocation, PushedStoreError> {
        let mut seen = self.lock();
        self.refresh_locked(&mut seen)?;
        let mut set = PushedRevocations::clone(&self.set.load());
        let lifted = set
            .lift(target)
            .ok_or_else(|| PushedStoreError::Unknown(target.clone()))?;
        set.forget_past(now);
        self.save(&set, &mut seen, "The revocation stays in force.")?;
        self.set.store(Arc::new(set));
        Ok(lifted)
    }

    fn save(
        &self,
        set: &PushedRevocations,
        seen: &mut Option<Seen>,
        state: &'static str,
    ) -> Result<(), PushedStoreError> {
        write(&self.path, set).map_err(|source| PushedStoreError::Write {
            path: self.path.clone(),
            state,
            source,
        })?;
        *seen = look(&self.path);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn look(path: &Path) -> Option<Seen> {
    let meta = fs::metadata(path).ok()?;
    Some((meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec()))
}

fn read(path: &Path) -> Result<PushedRevocations, PushedFileError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Ok(PushedRevocations::default());
        }
        Err(source) => {
            let path = path.to_owned();
            return Err(PushedFileError::Read { path, source });
        }
    };
    parse(&text).ok_or_else(|| PushedFileError::Damaged {
        path: path.to_owned(),
    })
}

fn parse(text: &str) -> Option<PushedRevocations> {
    let (head, rows) = text.split_once('\n')?;
    let head: Head = serde_json::from_str(head).ok()?;
    if head.format != FORMAT || head.sha256 != hex(rows.as_bytes()) {
        return None;
    }
    let mut set = PushedRevocations::default();
    for line in rows.lines() {
        let row: Row = serde_json::from_str(line).ok()?;
        let revocation = PushedRevocation {
            target: row.target.parse().ok()?,
            by: row.by,
            reason: row.reason,
            at: row.at,
            until: row.until,
        };
        set.push(revocation).ok()?;
    }
    Some(set)
}

/// Beside its place, synced, renamed into it, and the folder synced: after a crash there is the old file or the new one.
fn write(path: &Path, set: &PushedRevocations) -> io::Result<()> {
    let mut rows = String::new();
    for revocation in set.all() {
        let row = Row {
            target: revocation.target.to_string(),
            by: revocation.by.clone(),
            reason: revocation.reason.clone(),
            at: revocation.at,
            until: revocation.until,
        };
        rows.push_str(&serde_json::to_string(&row)?);
        rows.push('\n');
    }
    let head = Head {
        format: FORMAT,
        sha256: hex(rows.as_bytes()),
    };
    let text = format!("{}\n{rows}", serde_json::to_string(&head)?);
    let beside = path.with_extension("new");
    let mut options = File::options();
    let options = options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

fn hex(bytes: &[u8]) -> String {
    let digest = digest(&SHA256, bytes);
    digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

const FORMAT: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn revocation(target: &str, until: Option<i64>) -> PushedRevocation {
        PushedRevocation {
            target: target.parse().unwrap(),
            by: "uid:0".to_owned(),
            reason: "stolen".to_owned(),
            at: 1_000,
            until,
        }
    }

    #[test]
    fn what_is_pushed_is_found_after_a_restart_and_by_the_other_process() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("revocations");
        let store = PushedStore::open(&path).unwrap();
        let other = PushedStore::open(&path).unwrap();
        assert!(!other.refresh().unwrap());
        store.push(revocation("serial:22", None), |_| ()).unwrap();
        store
            .push(revocation("subject:mole", Some(2_000)), |_| ())
            .unwrap();
        assert!(other.refresh().unwrap());
        assert_eq!(other.load().all(), store.load().all());
        assert_eq!(PushedStore::open(&path).unwrap().load().len(), 2);

        // The other one writes what it has not lost.
        other
            .push(
                revocation("key:00".replace("00", &"ab".repeat(32)).as_str(), None),
                |_| (),
            )
            .unwrap();
        store.lift(&"serial:22".parse().unwrap(), 3_000).unwrap();
        let left: Vec<String> = store
            .load()
            .all()
            .iter()
            .map(|one| one.target.to_string())
            .collect();
        assert_eq!(
            left,
            [format!("key:{}", "ab".repeat(32))],
            "lifted, and past"
        );
        assert!(matches!(
            store.lift(&"serial:22".parse().unwrap(), 3_000),
            Err(PushedStoreError::Unknown(_))
        ));
    }

    #[test]
    fn a_damaged_file_is_refused_wherever_it_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("revocations");
        let store = PushedStore::open(&path).unwrap();
        store.push(revocation("serial:22", None), |_| ()).unwrap();
        let good = fs::read(&path).unwrap();
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            fs::write(&path, &bad).unwrap();
            assert!(PushedStore::open(&path).is_err(), "byte {at}");
        }
        fs::write(&path, &good[..good.len() - 1]).unwrap();
        let error = PushedStore::open(&path).unwrap_err().to_string();
        assert!(error.contains("restore it from a backup"), "{error}");
    }

    #[test]
    fn what_cannot_be_saved_is_in_force_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nowhere/revocations");
        let store = PushedStore::open(&path).unwrap();
        let error = store
            .push(revocation("serial:22", None), |_| ())
            .unwrap_err();
        assert!(
            error
                .to_string()
                .contains("in force until the gateway ends"),
            "{error}"
        );
        assert_eq!(store.load().len(), 1);
        store.lift(&"serial:22".parse().unwrap(), 1).unwrap_err();
        assert_eq!(store.load().len(), 1, "stays in force");
    }
}
