//! How much room the log has left, in steps: at 90 % somebody is told, at 95 % somebody is woken, at 99 % what is left is kept for
//! denials, acts on the gateway and events, and nothing is permitted any more.

use std::fs;
use std::io;
use std::path::Path;

use hangu_audit::Reservation;
use tracing::{info, warn};

/// How much room there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Room {
    /// Below 90 %.
    Enough,
    /// From 90 %.
    Low,
    /// From 95 %: routes that only count their records drop them.
    Scarce,
    /// From 99 %: only denials and events are taken.
    Reserved,
}

impl Room {
    /// The room at this share of the disk.
    pub(super) fn at(used: f64) -> Self {
        match used {
            used if used >= 0.99 => Self::Reserved,
            used if used >= 0.95 => Self::Scarce,
            used if used >= 0.90 => Self::Low,
            _ => Self::Enough,
        }
    }

    pub(super) const fn number(self) -> u8 {
        match self {
            Self::Enough => 0,
            Self::Low => 1,
            Self::Scarce => 2,
            Self::Reserved => 3,
        }
    }

    /// Anything that is no step is the last one.
    pub(super) const fn of_number(number: u8) -> Self {
        match number {
            0 => Self::Enough,
            1 => Self::Low,
            2 => Self::Scarce,
            _ => Self::Reserved,
        }
    }
}

/// Share of the file system that is in use, as a normal user sees it: 0 to 1. Of what is in use, `reserved_bytes` are the log's own to
/// write to, and count as free.
pub(super) fn file_system_used(folder: &Path, reserved_bytes: u64) -> io::Result<f64> {
    let system = rustix::fs::statvfs(folder)?;
    let reserved = reserved_bytes / system.f_frsize.max(1);
    let taken = system.f_blocks.saturating_sub(system.f_bfree);
    let usable = taken.saturating_add(system.f_bavail);
    if usable == 0 {
        return Ok(0.0);
    }
    Ok(taken.saturating_sub(reserved) as f64 / usable as f64)
}

/// Says how the room of the open segment is kept, whenever that has changed.
pub(super) fn tell(folder: &Path, before: Option<Reservation>, now: Reservation) {
    if before == Some(now) {
        return;
    }
    let folder = folder.display();
    match (before, now) {
        (None, Reservation::Held) => {}
        (Some(_), Reservation::Held) => {
            info!("{folder}: the room of the audit log's segment is kept again");
        }
        (_, Reservation::NoRoom) => warn!(
            "{folder}: the disk has no room for a whole segment of the audit log (`audit.segment`), so none is kept for it; make room, or choose smaller segments"
        ),
        (_, Reservation::Unsupported) => warn!(
            "{folder}: the file system keeps no room for the audit log's segments (fallocate), so what else is on it can take the last of it; give the log a file system of its own"
        ),
    }
}

/// Bytes of all files in the folder and in those below it.
pub(super) fn folder_bytes(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0_u64;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        // A file that goes away meanwhile takes no room.
        let Ok(found) = entry.metadata() else {
            continue;
        };
        bytes += if found.is_dir() {
            folder_bytes(&entry.path())?
        } else {
            found.len()
        };
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steps_are_at_90_95_and_99_percent() {
        for (used, room) in [
            (0.0, Room::Enough),
            (0.899, Room::Enough),
            (0.90, Room::Low),
            (0.95, Room::Scarce),
            (0.989, Room::Scarce),
            (0.99, Room::Reserved),
            (1.7, Room::Reserved),
        ] {
            assert_eq!(Room::at(used), room, "{used}");
            assert_eq!(Room::of_number(room.number()), room);
        }
    }

    #[test]
    fn files_below_the_folder_count_too() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("tree")).unwrap();
        fs::write(folder.path().join("a"), [0; 10]).unwrap();
        fs::write(folder.path().join("tree/b"), [0; 32]).unwrap();
        assert_eq!(folder_bytes(folder.path()).unwrap(), 42);
        let used = file_system_used(folder.path(), 0).unwrap();
        assert!((0.0..=1.0).contains(&used), "{used}");
        let reserved = file_system_used(folder.path(), 64 * 1024 * 1024).unwrap();
        assert!(reserved < used, "what is kept for the log is free for it");
    }
}
