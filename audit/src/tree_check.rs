//! The tree beside the verifier's pass over the records: grown anew, compared with what is on the disk and what was promised.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::chain::{Hash, Link};
use crate::fault::{Damage, Fault};
use crate::tiles::{self, HASH_BYTES, TILE_LEVELS, Tiles, tile_of};
use crate::tree::{Frontier, TreeHead, empty_root, root};

pub(crate) struct TreeCheck {
    dir: PathBuf,
    frontier: Frontier,
    /// The files of the tree, read along; `None` from where one ends or is missing, which opening the log mends.
    tiles: Vec<Option<BufReader<File>>>,
    compares_tiles: bool,
    /// Records that are gone.
    begins: u64,
    /// What must be reached, the smallest last.
    promises: Vec<(TreeHead, PathBuf)>,
    promised: u64,
    damage: Option<Damage>,
}

impl TreeCheck {
    pub(crate) fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            frontier: Frontier::new(),
            tiles: Vec::new(),
            compares_tiles: true,
            begins: 0,
            promises: Vec::new(),
            promised: 0,
            damage: None,
        }
    }

    /// The tree must have this root when it has this size.
    pub(crate) fn expect(&mut self, promise: TreeHead, file: &Path) {
        if promise.size == 0 && promise.root != empty_root() {
            self.damage = Some(broken_promise(file, 0));
        }
        self.promised = self.promised.max(promise.size);
        self.promises.push((promise, file.to_owned()));
        self.promises
            .sort_by_key(|(promise, _)| std::cmp::Reverse(promise.size));
    }

    /// The first `size` records are gone, and what the files hold of them is taken as it is: only a promise says whether it is right.
    pub(crate) fn begin_at(&mut self, size: u64) -> Result<(), Damage> {
        let tiles = Tiles::of(&self.dir);
        let is_there = tiles.reach(size).unwrap_or(false);
        let frontier = Frontier::of(&tiles, size).ok().filter(|_| is_there);
        self.frontier = frontier.ok_or_else(|| Damage {
            file: tiles::folder(&self.dir),
            line: 0,
            sequence: None,
            what: Fault::NoTree,
        })?;
        self.begins = size;
        while let Some((promise, file)) = self.promises.pop_if(|(promise, _)| promise.size <= size)
        {
            if promise.size > 0 && root(&tiles, promise.size).ok() != Some(promise.root) {
                return Err(broken_promise(&file, promise.size));
            }
        }
        Ok(())
    }

    /// From here on the files are not compared: they were not synced with the records of the open segment, so after a loss of
    /// power they may differ without anybody having touched them.
    pub(crate) const fn forgive_tiles(&mut self) {
        self.compares_tiles = false;
    }

    pub(crate) fn push(&mut self, link: &Link) {
        let Self {
            dir,
            frontier,
            tiles,
            compares_tiles,
            begins,
            damage,
            ..
        } = self;
        frontier.push_with(link.hash, |level, hash| {
            let Some(tile) = tile_of(level).filter(|_| *compares_tiles) else {
                return;
            };
            while tiles.len() <= tile as usize {
                let next = u32::try_from(tiles.len()).unwrap_or(u32::MAX);
                let gone = (*begins >> (next * TILE_LEVELS)) * HASH_BYTES as u64;
                tiles.push(open_at(&tiles::path(dir, next), gone));
            }
            let Some(reader) = tiles.get_mut(tile as usize) else {
                return;
            };
            match reader.as_mut().and_then(next_hash) {
                None => *reader = None,
                Some(found) if found == *hash => {}
                Some(_) => {
                    damage.get_or_insert_with(|| Damage {
                        file: tiles::path(dir, tile),
                        line: 0,
                        sequence: Some(link.sequence),
                        what: Fault::Tile,
                    });
                }
            }
        });
        while let Some((promise, file)) = self
            .promises
            .pop_if(|(promise, _)| promise.size <= link.sequence)
        {
            if promise.size == link.sequence && promise.root != self.frontier.root() {
                let damage = broken_promise(&file, promise.size);
                self.damage.get_or_insert(damage);
            }
        }
    }

    /// What was found so far.
    pub(crate) fn result(&self) -> Result<(), Damage> {
        self.damage.clone().map_or(Ok(()), Err)
    }

    /// The largest size that was promised.
    pub(crate) const fn promised(&self) -> u64 {
        self.promised
    }

    pub(crate) fn head(&self) -> TreeHead {
        TreeHead {
            size: self.frontier.size(),
            root: self.frontier.root(),
        }
    }
}

fn broken_promise(file: &Path, size: u64) -> Damage {
    Damage {
        file: file.to_owned(),
        line: 0,
        sequence: Some(size),
        what: Fault::Checkpoint { size },
    }
}

/// The file from this byte on.
fn open_at(path: &Path, bytes: u64) -> Option<BufReader<File>> {
    let mut file = File::open(path).ok()?;
    file.seek(SeekFrom::Start(bytes)).ok()?;
    Some(BufReader::new(file))
}

fn next_hash(reader: &mut BufReader<File>) -> Option<Hash> {
    let mut hash = [0; HASH_BYTES];
    reader.read_exact(&mut hash).ok()?;
    Some(Hash::from_digest(&hash))
}
