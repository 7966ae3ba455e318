//! The tree of a log that is opened: as it was left, or made again from the records.

use std::io;
use std::path::Path;

use crate::chain::{Hash, Link};
use crate::fault::{Damage, Fault};
use crate::head;
use crate::open::{OpenError, at, damaged};
use crate::segment::{self, Disk, Segment};
use crate::tiles::{self, Growth, Tiles};
use crate::tree::{Frontier, root};
use crate::walk::{Rest, walk};

/// The tree over all records: those of the finished segments, whose last is `before`, and `newest`, those of the open one.
/// Afterwards all of it is on the disk.
pub(crate) fn regrow(
    dir: &Path,
    disk: &dyn Disk,
    finished: &[Segment],
    before: &Link,
    newest: &[Hash],
) -> Result<Growth, OpenError> {
    let folder = tiles::folder(dir);
    segment::make_folder(&folder).map_err(at(&folder))?;
    // What is there for the finished segments was synced when they were finished. The rest is written once more: a crash
    // may have left hashes of records that never were.
    let tiles = Tiles::of(dir);
    let mut growth = if tiles.reach(before.sequence).map_err(at(&folder))? {
        let frontier = Frontier::of(&tiles, before.sequence).map_err(|error| OpenError::Io {
            path: error.path,
            source: error.source,
        })?;
        Growth::of(dir, frontier)
    } else {
        from_records(dir, disk, finished)?
    };
    newest.iter().for_each(|hash| growth.push(hash));
    keep(&mut growth, disk).map_err(at(&folder))?;
    Ok(growth)
}

/// Refuses a log that does not continue the checkpoints which lie in its folder.
pub(crate) fn check_checkpoints(dir: &Path, size: u64) -> Result<(), OpenError> {
    check_checkpoint(dir, &head::checkpoint_path(dir), size)?;
    check_checkpoint(dir, &head::witnessed_path(dir), size)
}

fn check_checkpoint(dir: &Path, path: &Path, size: u64) -> Result<(), OpenError> {
    let Ok(found) = head::read_checkpoint(path).map_err(at(path))? else {
        return Err(damaged(path, 1, None, Fault::BadCheckpoint));
    };
    let Some((_, checkpoint)) = found else {
        return Ok(());
    };
    let promised = checkpoint.head();
    if promised.size > size {
        return Err(damaged(
            path,
            2,
            Some(size.saturating_add(1)),
            Fault::Cut {
                head: promised.size,
            },
        ));
    }
    match root(&Tiles::of(dir), promised.size) {
        Ok(root) if root == promised.root => Ok(()),
        Ok(_) => Err(damaged(
            path,
            3,
            None,
            Fault::Checkpoint {
                size: promised.size,
            },
        )),
        Err(error) => Err(OpenError::Io {
            path: error.path,
            source: error.source,
        }),
    }
}

/// Reads every finished segment; once, when the tree is missing.
fn from_records(dir: &Path, disk: &dyn Disk, finished: &[Segment]) -> Result<Growth, OpenError> {
    let mut growth = Growth::of(dir, Frontier::new());
    let mut last = Link::GENESIS;
    if finished.first().is_some_and(|segment| segment.first > 1) {
        return Err(damaged(&tiles::folder(dir), 0, None, Fault::NoTree));
    }
    for segment in finished {
        let next = last.sequence.saturating_add(1);
        let damage = |line, what| OpenError::Damaged {
            damage: Damage {
                file: segment.path.clone(),
                line,
                sequence: Some(next),
                what,
            },
        };
        if segment.first != next {
            return Err(damage(
                1,
                Fault::Gap {
                    first: segment.first,
                },
            ));
        }
        let walked = walk(segment, last, &mut |_, link| growth.push(&link.hash))
            .map_err(at(&segment.path))?;
        match walked.rest {
            None => last = walked.last,
            Some(Rest::Damaged(what)) => return Err(damage(walked.lines + 1, Fault::Line(what))),
            Some(Rest::Torn) => return Err(damage(walked.lines + 1, Fault::Torn { bytes: 0 })),
        }
        keep(&mut growth, disk).map_err(at(&tiles::folder(dir)))?;
    }
    Ok(growth)
}

fn keep(growth: &mut Growth, disk: &dyn Disk) -> io::Result<()> {
    growth.write(disk)?;
    growth.sync()?;
    growth.settle();
    Ok(())
}
