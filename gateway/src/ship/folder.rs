//! Files for an agent: each is whole and synced before it gets its name, and is the agent's from then on.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::Duration;

use hangu_audit::Format;

use super::delivery::{Batch, Destination};
use super::error::ShipError;
use crate::config::Sink;

/// One folder.
pub(super) struct Folder {
    folder: PathBuf,
    sink: String,
    ending: &'static str,
}

impl Folder {
    pub(super) fn new(sink: &Sink, folder: PathBuf) -> Self {
        Self {
            folder,
            sink: sink.name.as_str().to_owned(),
            ending: match sink.format {
                Format::Native | Format::Ocsf | Format::Ecs => "jsonl",
                Format::Cef | Format::Rfc5424 => "log",
            },
        }
    }

    fn waiting(&self) -> io::Result<usize> {
        Ok(fs::read_dir(&self.folder)?.take(FILES_MAX + 1).count())
    }

    fn write(&self, batch: &Batch) -> io::Result<()> {
        // Its name begins with a dot, which agents pass over.
        let new = self.folder.join(format!(".{}.new", self.sink));
        let name = format!(
            "{}-{:012}-{:012}.{}",
            self.sink, batch.first, batch.last, self.ending
        );
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(FILE_MODE)
            .open(&new)?;
        file.write_all(batch.text().as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, self.folder.join(name))?;
        File::open(&self.folder)?.sync_all()
    }
}

impl Destination for Folder {
    fn open(&mut self) -> Result<(), ShipError> {
        fs::create_dir_all(&self.folder).map_err(ShipError::Folder)
    }

    fn send(&mut self, batch: &Batch) -> Result<(), ShipError> {
        let waiting = self.waiting().map_err(ShipError::Folder)?;
        if waiting > FILES_MAX {
            return Err(ShipError::FolderFull(waiting));
        }
        self.write(batch).map_err(ShipError::Folder)
    }

    fn linger(&self) -> Duration {
        LINGER
    }
}

/// More than this nobody takes away.
const FILES_MAX: usize = 10_000;
/// Readable by the group, for the agent.
const FILE_MODE: u32 = 0o640;
/// A file a second at most, while there is not much to write.
const LINGER: Duration = Duration::from_secs(1);
