//! A file system with switches for what fails. With none thrown it is a quick one: it never waits for the real disk, which
//! a crash of the process, as all our drills are, does not need.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use super::{at, options};
use crate::segment::{Disk, Tape};
use crate::{Log, Options};

#[derive(Clone, Debug)]
pub(crate) struct Failing(pub(crate) Arc<Switches>);

#[derive(Debug)]
pub(crate) struct Switches {
    /// Bytes that can still be written.
    pub(crate) room: AtomicU64,
    /// So many syncs fail from now on.
    pub(crate) sync_failures: AtomicU64,
    pub(crate) cut_fails: AtomicBool,
    pub(crate) open_fails: AtomicBool,
    pub(crate) replace_fails: AtomicBool,
    /// No room is kept for anybody.
    pub(crate) reserve_fails: AtomicBool,
}

impl Failing {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Switches {
            room: AtomicU64::new(u64::MAX),
            sync_failures: AtomicU64::new(0),
            cut_fails: AtomicBool::new(false),
            open_fails: AtomicBool::new(false),
            replace_fails: AtomicBool::new(false),
            reserve_fails: AtomicBool::new(false),
        }))
    }

    pub(crate) fn mend(&self) {
        self.0.room.store(u64::MAX, Relaxed);
        self.0.sync_failures.store(0, Relaxed);
        let switches = &self.0;
        for switch in [
            &switches.cut_fails,
            &switches.open_fails,
            &switches.replace_fails,
            &switches.reserve_fails,
        ] {
            switch.store(false, Relaxed);
        }
    }

    pub(crate) fn log(&self, dir: &Path, segment_bytes_max: u64) -> Log {
        let options = Options {
            segment_bytes_max,
            ..options()
        };
        Log::open_on(dir, options, at(0), Box::new(self.clone())).unwrap()
    }

    fn check(switch: &AtomicBool) -> io::Result<()> {
        if switch.load(Relaxed) {
            Err(io::Error::other("switched off"))
        } else {
            Ok(())
        }
    }
}

impl Disk for Failing {
    fn open(&self, path: &Path) -> io::Result<Box<dyn Tape>> {
        Self::check(&self.0.open_fails)?;
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        Ok(Box::new(FailingTape {
            file,
            disk: self.clone(),
        }))
    }

    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        Self::check(&self.0.replace_fails)?;
        let new = path.with_extension("new");
        fs::write(&new, bytes)?;
        fs::rename(new, path)
    }
}

#[derive(Debug)]
struct FailingTape {
    file: File,
    disk: Failing,
}

impl Tape for FailingTape {
    fn write(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let room = self.disk.0.room.load(Relaxed);
        let fits = bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX));
        self.file.write_all_at(&bytes[..fits], offset)?;
        self.disk.0.room.store(room - fits as u64, Relaxed);
        if fits < bytes.len() {
            Err(io::ErrorKind::StorageFull.into())
        } else {
            Ok(())
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        let failures = &self.disk.0.sync_failures;
        match failures.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)) {
            Ok(_) => Err(io::Error::other("switched off")),
            Err(_) => Ok(()),
        }
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        Failing::check(&self.disk.0.cut_fails)?;
        self.file.set_len(length)
    }

    fn reserve(&mut self, _from: u64, _to: u64) -> io::Result<()> {
        Failing::check(&self.disk.0.reserve_fails)
    }
}
