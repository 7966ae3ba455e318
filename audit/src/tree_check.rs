//! The tree beside the verifier's pass over the records: grown anew, compared with what is on the disk and what was promised.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use crate::chain::{Hash, Link};
use crate::fault::{Damage, Fault};
use crate::tiles::{self, HASH_BYTES, leaf, tile_of};
use crate::tree::{Frontier, TreeHead, empty_root};

pub(crate) struct TreeCheck {
    dir: PathBuf,
    frontier: Frontier,
    /// The files of the tree, read along; `None` from where one ends or is missing, which opening the log mends.
    tiles: Vec<Option<BufReader<File>>>,
    compares_tiles: bool,
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
            damage,
            ..
        } = self;
        frontier.push_with(leaf(&link.hash), |level, hash| {
            let Some(tile) = tile_of(level).filter(|_| *compares_tiles) else {
                return;
            };
            while tiles.len() <= tile as usize {
                let next = u32::try_from(tiles.len()).unwrap_or(u32::MAX);
                tiles.push(File::open(tiles::path(dir, next)).ok().map(BufReader::new));
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

fn next_hash(reader: &mut BufReader<File>) -> Option<Hash> {
    let mut hash = [0; HASH_BYTES];
    reader.read_exact(&mut hash).ok()?;
    Some(Hash::from_digest(&hash))
}
