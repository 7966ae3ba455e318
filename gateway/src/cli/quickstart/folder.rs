//! The quickstart's folder: made, found again, repaired.
//!
//! Every file is written beside its place and renamed into it, so an interrupted run leaves whole files or none; what is
//! missing is written again, what is there is kept, for a newcomer may have edited it. A marker file says that the folder is
//! ours, and its lock that nobody else is using it.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::certificates::{self, Made};
use super::error::{QuickstartError, at};
use super::ports::{Addresses, PORT};
use crate::config::{self, Config};

/// The folder, held for as long as this lives.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    _lock: File,
}

/// Whether a file of the folder is for its owner alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    Anyone,
    Owner,
}

impl Folder {
    /// Makes the folder, or takes one that an earlier quickstart made.
    pub(super) fn open(path: &Path) -> Result<Self, QuickstartError> {
        make_folder(path)?;
        let marker = path.join(MARKER);
        if !marker.exists() && fs::read_dir(path).map_err(at(path))?.next().is_some() {
            return Err(QuickstartError::ForeignFolder {
                path: path.to_owned(),
            });
        }
        let mut lock = OpenOptions::new()
            .append(true)
            .create(true)
            .open(&marker)
            .map_err(at(&marker))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(QuickstartError::FolderInUse {
                    path: path.to_owned(),
                });
            }
            Err(TryLockError::Error(source)) => return Err(at(&marker)(source)),
        }
        if lock.metadata().map_err(at(&marker))?.len() == 0 {
            lock.write_all(MARKER_TEXT.as_bytes())
                .map_err(at(&marker))?;
        }
        Ok(Self {
            path: path.to_owned(),
            _lock: lock,
        })
    }

    /// Its path, as the newcomer wrote it.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Its path from the root, for commands that can be given anywhere.
    pub(super) fn absolute(&self) -> PathBuf {
        std::path::absolute(&self.path).unwrap_or_else(|_| self.path.clone())
    }

    /// The configuration file.
    pub(super) fn config(&self) -> PathBuf {
        self.path.join("hangu.toml")
    }

    /// Writes what is missing or has expired: certificates, model, rules. Gives one line for each thing that was done.
    pub(super) fn fill(&self, now: i64) -> Result<Vec<String>, QuickstartError> {
        let mut done = Vec::new();
        match certificates::ensure(&self.path.join("certs"), now)? {
            Made::New => done.push(
                "made a throw-away CA, certificates and a revocation list in certs/".to_owned(),
            ),
            Made::Kept => {}
            Made::Again { why } => {
                done.push(format!("made the certificates in certs/ anew: {why}"))
            }
        }
        let policy = self.path.join("policy");
        make_folder(&policy)?;
        make_folder(&self.path.join("audit"))?;
        for (name, text) in [
            ("model.conf", hangu_policy::RBAC_WITH_DOMAINS),
            ("policy.csv", POLICY),
        ] {
            if !policy.join(name).exists() {
                write_file(&policy.join(name), text.as_bytes(), Reader::Anyone)?;
                done.push(format!("wrote policy/{name}"));
            }
        }
        Ok(done)
    }

    /// Writes `hangu.toml` unless it is there, moves it to the ports that begin with `first` if asked to, and gives the
    /// addresses in it.
    pub(super) fn addresses(
        &self,
        first: Option<u16>,
        done: &mut Vec<String>,
    ) -> Result<Addresses, QuickstartError> {
        let file = self.config();
        if !file.exists() {
            let text = config_text(&Addresses::from(first.unwrap_or(PORT)), "");
            write_file(&file, text.as_bytes(), Reader::Anyone)?;
            done.push("wrote hangu.toml".to_owned());
        }
        let found = addresses_of(&config::load(&file)?)?;
        let wanted = first.map_or(found, Addresses::from);
        if wanted == found {
            return Ok(found);
        }
        let text = fs::read_to_string(&file).map_err(at(&file))?;
        write_file(
            &file,
            moved(&text, &found, &wanted).as_bytes(),
            Reader::Anyone,
        )?;
        done.push(format!(
            "moved hangu.toml to the ports from {}",
            wanted.office.port()
        ));
        addresses_of(&config::load(&file)?)
    }
}

/// The text of a configuration with these addresses. What the gateway writes goes into `audit` and `run` below `prefix`, which
/// is empty or ends with a slash.
pub(super) fn config_text(addresses: &Addresses, prefix: &str) -> String {
    CONFIG
        .replace("{office}", &addresses.office.to_string())
        .replace("{internet}", &addresses.internet.to_string())
        .replace("{application}", &addresses.application.to_string())
        .replace("{admin}", &addresses.admin.to_string())
        .replace("{audit}", &format!("{prefix}audit"))
        .replace("{run}", &format!("{prefix}run"))
}

/// Writes a whole file or none.
pub(super) fn write_file(path: &Path, bytes: &[u8], reader: Reader) -> Result<(), QuickstartError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let beside = path.with_file_name(name);
    let write = || -> io::Result<()> {
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(match reader {
                Reader::Anyone => 0o644,
                Reader::Owner => 0o600,
            })
            .open(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    write().map_err(at(path))
}

/// A folder that only its owner may enter; one that is there is left as it is.
pub(super) fn make_folder(path: &Path) -> Result<(), QuickstartError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(at(path))
}

fn addresses_of(config: &Config) -> Result<Addresses, QuickstartError> {
    let missing = |what| QuickstartError::Incomplete {
        path: config.file.clone(),
        what,
    };
    let door = |name: &str| {
        let found = config
            .listeners
            .iter()
            .find(|door| door.name.as_str() == name);
        found.map(|door| door.address)
    };
    Ok(Addresses {
        office: door("office").ok_or(missing("listener `office`"))?,
        internet: door("internet").ok_or(missing("listener `internet`"))?,
        application: config
            .applications
            .iter()
            .find(|application| application.name.as_str() == "resident-records")
            .and_then(|application| application.upstreams.first())
            .map(|upstream| upstream.address)
            .ok_or(missing("application `resident-records`"))?,
        admin: config.admin.ok_or(missing("table `[admin]`"))?.address,
    })
}

/// The text with every address replaced where it stands in quotes, all at once: an old address may be another's new one.
fn moved(text: &str, from: &Addresses, to: &Addresses) -> String {
    let mut text = text.to_owned();
    for (number, (_, address)) in from.named().iter().enumerate() {
        text = text.replace(&format!("\"{address}\""), &format!("\"\0{number}\""));
    }
    for (number, (_, address)) in to.named().iter().enumerate() {
        text = text.replace(&format!("\"\0{number}\""), &format!("\"{address}\""));
    }
    text
}

const MARKER: &str = ".hangu-quickstart";
const MARKER_TEXT: &str =
    "`hangu quickstart` made this folder and uses it again; delete the folder to start anew\n";
const CONFIG: &str = include_str!("files/hangu.toml");
const POLICY: &str = include_str!("files/policy.csv");

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const NOW: i64 = 1_795_000_000;

    fn filled() -> (tempfile::TempDir, Folder) {
        let parent = tempfile::tempdir().unwrap();
        let folder = Folder::open(&parent.path().join("demo")).unwrap();
        folder.fill(NOW).unwrap();
        folder.addresses(None, &mut Vec::new()).unwrap();
        (parent, folder)
    }

    #[test]
    fn a_folder_with_files_of_others_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("letter.txt"), "dear reader").unwrap();
        let error = Folder::open(folder.path()).unwrap_err().to_string();
        assert!(
            error.contains("holds files that no quickstart wrote"),
            "{error}"
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_serves_one_quickstart_at_a_time() {
        let (_parent, folder) = filled();
        let error = Folder::open(folder.path()).unwrap_err().to_string();
        assert!(
            error.contains("another quickstart uses this folder"),
            "{error}"
        );
    }

    #[test]
    fn what_is_there_is_kept_and_what_is_missing_is_written_again() {
        let (_parent, folder) = filled();
        let policy = folder.path().join("policy/policy.csv");
        fs::write(&policy, "p, clerk, civil-affairs, /a, GET, allow\n").unwrap();
        fs::remove_file(folder.path().join("policy/model.conf")).unwrap();
        assert_eq!(folder.fill(NOW).unwrap(), ["wrote policy/model.conf"]);
        assert!(fs::read_to_string(&policy).unwrap().starts_with("p, clerk"));
    }

    #[test]
    fn moving_the_ports_keeps_the_newcomers_edits() {
        let (_parent, folder) = filled();
        let file = folder.config();
        let edited = fs::read_to_string(&file).unwrap() + "# mine\n";
        fs::write(&file, &edited).unwrap();
        let first = folder.addresses(None, &mut Vec::new()).unwrap();
        assert_eq!(first, Addresses::from(PORT));
        // The new ports overlap the old ones.
        let second = folder.addresses(Some(PORT + 1), &mut Vec::new()).unwrap();
        assert_eq!(second, Addresses::from(PORT + 1));
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.ends_with("# mine\n"));
        assert_eq!(text.len(), edited.len());
    }

    #[test]
    fn the_written_configuration_loads_with_its_policy_and_certificates() {
        let (_parent, folder) = filled();
        let metrics = crate::observe::metrics::Metrics::new().unwrap();
        let config = config::load(&folder.config()).unwrap();
        let built = crate::snapshot::build(config, 1, None, &metrics, NOW).unwrap();
        assert!(built.policy.rule_count() >= 8);
    }

    #[test]
    fn private_keys_are_for_their_owner_alone() {
        let (_parent, folder) = filled();
        let certs = folder.path().join("certs");
        for entry in fs::read_dir(&certs).unwrap() {
            let path = entry.unwrap().path();
            if fs::read_to_string(&path).unwrap().contains("PRIVATE KEY") {
                let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
                assert_eq!(mode, 0o600, "{}", path.display());
            }
        }
    }
}
