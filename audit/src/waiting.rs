//! Records of a process that could not have the log yet.
//!
//! On an upgrade the new process answers while the old one, which drains, still writes the log: a log has one writer. So that its
//! answers are as durable as any, the new process keeps a log of its own meanwhile, `waiting/NAME` in the folder, with everything a log has:
//! lock, chain, recovery. Whoever opens the log next with nobody writing there takes the records over, in their order, and removes
//! it: the process itself once the old one has ended, or the next one to start, should it die before.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::chain::fields;
use crate::log::{Log, Options};
use crate::log_error::AppendError;
use crate::open::{OpenError, at, is_live, last_line};
use crate::reader::{Position, Reader};
use crate::record::{Kind, Record};
use crate::segment;
use crate::time::Timestamp;
use crate::verify::verify;

/// Records that were taken over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TakenOver {
    /// How many.
    pub records: u64,
    /// From how many processes.
    pub processes: u64,
}

impl Log {
    /// Begins the log of a process that waits for the one in `dir`. `name` is that process's own, such as its boot: letters, digits and hyphens.
    ///
    /// # Errors
    /// As for [`open`](Self::open); a name with other characters is refused.
    pub fn open_waiting(
        dir: &Path,
        name: &str,
        options: Options,
        now: Timestamp,
    ) -> Result<Self, OpenError> {
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let path = folder(dir).join(name);
        if name.is_empty() || !name.bytes().all(is_name) {
            return Err(at(&path)(io::ErrorKind::InvalidInput.into()));
        }
        Self::open(&path, options, now)
    }

    /// Takes over what processes have left that waited for this log and do not live any more, and removes it. All of it is durable
    /// afterwards. What died half-way is gone on with: no record is taken twice.
    ///
    /// Of records that another process than `own` left a `recovered` record tells, since that one did not end well.
    ///
    /// # Errors
    /// When what waits cannot be read or is damaged, or the log does not take it; nothing that waits was removed then.
    pub fn take_waiting(&mut self, own: &str, now: Timestamp) -> Result<TakenOver, OpenError> {
        let mut taken = TakenOver::default();
        for path in waiting(self.dir())? {
            if is_live(&path) {
                continue;
            }
            let records = self.take_one(&path)?;
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if records > 0 && name != own {
                let origin = self.options().origin.clone();
                let detail = format!(
                    "{records} records of the process {name} were taken over; it ended while it waited for the log"
                );
                let told = Record::event(Kind::Recovered, now, origin, detail);
                self.put(|log| log.append(&told))?;
            }
            self.commit()?;
            fs::remove_dir_all(&path).map_err(at(&path))?;
            taken.records += records;
            taken.processes += 1;
        }
        Ok(taken)
    }

    /// Appends and commits the records of one folder, but for those that are there already.
    fn take_one(&mut self, path: &Path) -> Result<u64, OpenError> {
        let options = self.options().clone();
        // Opening it repairs what a crash left, and holds its lock meanwhile.
        let waited = Self::open(path, options, Timestamp::from_unix_ms(0))?;
        let broken = |error: &dyn std::fmt::Display| at(path)(io::Error::other(error.to_string()));
        if waited.committed().sequence == 0 {
            return Ok(0);
        }
        verify(path, |_| {}).map_err(|error| broken(&error))?;
        let last = self.last_fields()?;
        let mut lines = Vec::new();
        let mut reader = Reader::open(path, Position::First).map_err(|error| broken(&error))?;
        let (mut read, mut there) = (0_u64, 0_u64);
        while let Some(line) = reader.next_line().map_err(|error| broken(&error))? {
            read += 1;
            if fields(line.json.as_bytes()).is_some_and(|fields| fields == last) {
                // Everything up to this one was taken before a crash.
                there = read;
                lines.clear();
            } else {
                lines.push(line.json);
            }
        }
        for line in &lines {
            self.put(|log| log.append_again(line.as_bytes()))?;
        }
        Ok(read - there)
    }

    /// Appends; what has no room in memory goes to the disk first.
    fn put(
        &mut self,
        mut append: impl FnMut(&mut Self) -> Result<u64, AppendError>,
    ) -> Result<(), OpenError> {
        while append(self).is_err() {
            self.commit()?;
        }
        Ok(())
    }

    /// What the last record of this log says, without its number and chain; empty without a record.
    fn last_fields(&self) -> Result<Vec<u8>, OpenError> {
        let segments = segment::list(self.dir()).map_err(at(self.dir()))?;
        let Some(last) = segments.iter().rev().find(|segment| segment.bytes() > 0) else {
            return Ok(Vec::new());
        };
        let line = last_line(last).map_err(at(&last.path))?;
        Ok(fields(&line).unwrap_or_default().to_vec())
    }
}

fn folder(dir: &Path) -> PathBuf {
    dir.join("waiting")
}

/// Folders of processes that wait or waited, the oldest first by their time of change, as far as that can be told.
fn waiting(dir: &Path) -> Result<Vec<PathBuf>, OpenError> {
    let folder = folder(dir);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(at(&folder)(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(at(&folder))?;
        let file = entry.metadata().map_err(at(&folder))?;
        if file.is_dir() {
            found.push((file.modified().ok(), entry.path()));
        }
    }
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}
