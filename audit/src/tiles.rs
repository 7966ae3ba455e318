//! The tree of a log on the disk: `tree/level-0`, `tree/level-8`, `tree/level-16` and so on, each the roots of all complete
//! subtrees of that height, 32 bytes each, one after another.
//!
//! Every eighth level only: the seven between are computed from at most 128 hashes that stand side by side, so a proof
//! in a log of ten million records reads three short pieces, and the files take little more than 32 bytes a record. All of it
//! follows from the segments: a missing file is made again when the log is opened, and the verifier compares every hash.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::chain::Hash;
use crate::segment::{self, Disk, Tape};
use crate::tree::{Frontier, Subtrees, TreeHead, node_hash};

/// The tree of the log in a folder, for making proofs.
#[derive(Clone, Debug)]
pub struct Tiles {
    dir: PathBuf,
}

/// A hash of the tree cannot be had.
#[derive(Debug, Error)]
#[error("{}: {source}; a missing tree is made again when the log is next opened for writing", path.display())]
pub struct TileError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub source: io::Error,
}

impl Tiles {
    /// The tree of the log in `dir`.
    #[must_use]
    pub fn of(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
        }
    }

    /// Whether every file is as long as a tree of `size` leaves needs it; one that is missing could go unnoticed, because
    /// the larger subtrees do not need it.
    pub(crate) fn reach(&self, size: u64) -> io::Result<bool> {
        for tile in (0..).take_while(|tile| {
            size.checked_shr(tile * TILE_LEVELS)
                .is_some_and(|count| count > 0)
        }) {
            let bytes = match path(&self.dir, tile).metadata() {
                Ok(file) => file.len(),
                Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
                Err(error) => return Err(error),
            };
            if bytes / (HASH_BYTES as u64) < size >> (tile * TILE_LEVELS) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn read(&self, tile: u32, first: u64, count: usize) -> io::Result<Vec<Hash>> {
        let mut bytes = vec![0; count * HASH_BYTES];
        let file = File::open(path(&self.dir, tile))?;
        file.read_exact_at(&mut bytes, first.saturating_mul(HASH_BYTES as u64))?;
        Ok(bytes
            .chunks_exact(HASH_BYTES)
            .map(Hash::from_digest)
            .collect())
    }
}

impl Subtrees for Tiles {
    type Error = TileError;

    fn subtree(&self, level: u32, index: u64) -> Result<Hash, TileError> {
        let (tile, height) = (level / TILE_LEVELS, level % TILE_LEVELS);
        let mut hashes = self
            .read(tile, index << height, 1 << height)
            .map_err(|source| TileError {
                path: path(&self.dir, tile),
                source,
            })?;
        for _ in 0..height {
            hashes = hashes
                .chunks_exact(2)
                .filter_map(|pair| Some(node_hash(pair.first()?, pair.last()?)))
                .collect();
        }
        Ok(hashes.pop().unwrap_or(Hash::ZERO))
    }
}

pub(crate) fn folder(dir: &Path) -> PathBuf {
    dir.join("tree")
}

pub(crate) fn path(dir: &Path, tile: u32) -> PathBuf {
    folder(dir).join(format!("level-{}", tile * TILE_LEVELS))
}

/// Which file the roots of subtrees of this height stand in, if any.
pub(crate) const fn tile_of(level: u32) -> Option<u32> {
    if level.is_multiple_of(TILE_LEVELS) {
        Some(level / TILE_LEVELS)
    } else {
        None
    }
}

/// The tree at the open end of a log: what is on the disk, and what was appended since.
#[derive(Debug)]
pub(crate) struct Growth {
    dir: PathBuf,
    committed: Frontier,
    grown: Frontier,
    /// Hashes after `committed`, for each file.
    pending: Vec<Vec<Hash>>,
    tapes: Vec<Box<dyn Tape>>,
}

impl Growth {
    /// The tree of the first `size` records, which are on the disk.
    pub(crate) fn of(dir: &Path, committed: Frontier) -> Self {
        Self {
            dir: dir.to_owned(),
            grown: committed.clone(),
            committed,
            pending: Vec::new(),
            tapes: Vec::new(),
        }
    }

    /// Adds a record: its chain hash is its leaf.
    pub(crate) fn push(&mut self, record: &Hash) {
        let pending = &mut self.pending;
        self.grown.push_with(*record, |level, hash| {
            let Some(tile) = tile_of(level).map(|tile| tile as usize) else {
                return;
            };
            if pending.len() <= tile {
                pending.resize_with(tile + 1, Vec::new);
            }
            if let Some(hashes) = pending.get_mut(tile) {
                hashes.push(*hash);
            }
        });
    }

    /// Writes what was added; again, after an error, the same bytes to the same places.
    pub(crate) fn write(&mut self, disk: &dyn Disk) -> io::Result<()> {
        for (tile, hashes) in (0..).zip(&self.pending) {
            if self.tapes.len() <= tile as usize {
                segment::make_folder(&folder(&self.dir))?;
                self.tapes.push(disk.open(&path(&self.dir, tile))?);
            }
            let bytes: Vec<u8> = hashes.iter().flat_map(Hash::as_bytes).copied().collect();
            // So many subtrees of this height were complete before.
            let first = self.committed.size() >> (tile * TILE_LEVELS);
            if let Some(tape) = self.tapes.get_mut(tile as usize) {
                tape.write(&bytes, first * HASH_BYTES as u64)?;
            }
        }
        Ok(())
    }

    /// What was written is committed.
    pub(crate) fn settle(&mut self) {
        self.committed.clone_from(&self.grown);
        self.pending.iter_mut().for_each(Vec::clear);
    }

    /// Makes what was written survive a loss of power.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        self.tapes.iter_mut().try_for_each(|tape| tape.sync())
    }

    pub(crate) fn head(&self) -> TreeHead {
        TreeHead {
            size: self.committed.size(),
            root: self.committed.root(),
        }
    }
}

pub(crate) const TILE_LEVELS: u32 = 8;
pub(crate) const HASH_BYTES: usize = 32;
