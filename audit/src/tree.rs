//! A Merkle tree over the records, after RFC 6962 §2.1 with SHA-256.
//!
//! A chain says *nothing was changed* to whoever reads all of it. A tree says it in a few hundred bytes: a 32-byte root
//! commits to every record, an [inclusion](crate::proof::prove_inclusion) proof shows that one record is under it, and a
//! [consistency](crate::proof::prove_consistency) proof that a later root only added to an earlier one. That is what lets a witness with no copy
//! of the log notice that it was rewritten.
//!
//! Pure arithmetic over hashes: where leaf hashes are kept is behind [`Subtrees`]. Leaves are numbered from 0 here; record
//! `n` of a log is leaf `n - 1`.

use ring::digest::{Context, SHA256, digest};
use thiserror::Error;

use crate::chain::Hash;

/// The hash of a leaf: SHA-256 over a zero byte and the record's bytes.
#[must_use]
pub fn leaf_hash(record: &[u8]) -> Hash {
    let mut context = Context::new(&SHA256);
    context.update(&[0]);
    context.update(record);
    Hash::from_digest(context.finish().as_ref())
}

/// The hash of an inner node: SHA-256 over a one byte and its two children. The byte before keeps a node from being passed off as a leaf.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut bytes = [1; 65];
    let (_, children) = bytes.split_at_mut(1);
    for (child, hash) in children.chunks_exact_mut(32).zip([left, right]) {
        child.copy_from_slice(hash.as_bytes());
    }
    hash_of(&bytes)
}

/// SHA-256 of what already bears the byte in front that tells leaves from nodes.
pub(crate) fn hash_of(bytes: &[u8]) -> Hash {
    Hash::from_digest(digest(&SHA256, bytes).as_ref())
}

/// The root of a tree without leaves: SHA-256 of nothing.
#[must_use]
pub fn empty_root() -> Hash {
    hash_of(b"")
}

/// A size and the root over so many leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeHead {
    /// How many leaves.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
}

/// A tree that only grows, as the roots of its complete subtrees, largest first: at most 64 hashes, whatever its size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Hash>,
}

impl Frontier {
    /// A tree without leaves.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            size: 0,
            peaks: Vec::new(),
        }
    }

    /// The tree of `size` leaves whose hashes are kept in `tree`; reads at most 64.
    ///
    /// # Errors
    /// When a hash cannot be had.
    pub fn of<T: Subtrees>(tree: &T, size: u64) -> Result<Self, T::Error> {
        let (mut peaks, mut start) = (Vec::new(), 0);
        for level in (0..u64::BITS).rev().filter(|level| size >> level & 1 == 1) {
            peaks.push(tree.subtree(level, start >> level)?);
            start += 1 << level;
        }
        Ok(Self { size, peaks })
    }

    /// Adds one leaf; on average two hashes with that of the leaf itself.
    pub fn push(&mut self, leaf: Hash) {
        self.push_with(leaf, |_, _| {});
    }

    /// Adds one leaf, and tells `completed` the level and root of each complete subtree that it ends, itself first.
    pub fn push_with(&mut self, leaf: Hash, mut completed: impl FnMut(u32, &Hash)) {
        let mut hash = leaf;
        completed(0, &hash);
        // Every trailing one of the size is a complete subtree that this leaf completes into a larger one.
        for level in 1..=self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                hash = node_hash(&left, &hash);
                completed(level, &hash);
            }
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// How many leaves.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The root over all leaves so far; at most 63 hashes.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut peaks = self.peaks.iter().rev();
        let smallest = peaks.next().copied();
        smallest.map_or_else(empty_root, |smallest| {
            peaks.fold(smallest, |right, left| node_hash(left, &right))
        })
    }
}

/// Where the hashes of a tree are kept.
pub trait Subtrees {
    /// Why a hash cannot be had.
    type Error;

    /// The root over the leaves `index << level` up to, not including, `(index + 1) << level`, all of which exist. Level 0
    /// is the leaves themselves.
    ///
    /// # Errors
    /// When the hash cannot be had.
    fn subtree(&self, level: u32, index: u64) -> Result<Hash, Self::Error>;
}

/// All complete subtrees in memory: 64 bytes a leaf. For tests, tools and logs of some million records.
#[derive(Clone, Debug, Default)]
pub struct MemoryTree {
    levels: Vec<Vec<Hash>>,
}

impl MemoryTree {
    /// A tree without leaves.
    #[must_use]
    pub const fn new() -> Self {
        Self { levels: Vec::new() }
    }

    /// Adds one leaf.
    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        for level in 0.. {
            if self.levels.len() <= level {
                self.levels.push(Vec::new());
            }
            let Some(nodes) = self.levels.get_mut(level) else {
                return;
            };
            nodes.push(hash);
            match nodes.as_slice() {
                [.., left, right] if nodes.len().is_multiple_of(2) => hash = node_hash(left, right),
                _ => return,
            }
        }
    }

    /// How many leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.levels.first().map_or(0, |leaves| leaves.len() as u64)
    }

    /// The root over the first `size` leaves.
    ///
    /// # Errors
    /// When there are fewer.
    pub fn root(&self, size: u64) -> Result<Hash, NoSuchNode> {
        root(self, size)
    }
}

/// The tree has no such node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "the tree has no complete subtree `{index}` at level `{level}`; it has fewer leaves than were asked for"
)]
pub struct NoSuchNode {
    /// Height above the leaves.
    pub level: u32,
    /// Position in its level, from 0.
    pub index: u64,
}

impl Subtrees for MemoryTree {
    type Error = NoSuchNode;

    fn subtree(&self, level: u32, index: u64) -> Result<Hash, NoSuchNode> {
        let missing = NoSuchNode { level, index };
        let (row, column) = (usize::try_from(level), usize::try_from(index));
        let (Ok(row), Ok(column)) = (row, column) else {
            return Err(missing);
        };
        self.levels
            .get(row)
            .and_then(|nodes| nodes.get(column))
            .copied()
            .ok_or(missing)
    }
}

/// The root over the first `size` leaves of a tree.
///
/// # Errors
/// When a hash cannot be had.
pub fn root<T: Subtrees>(tree: &T, size: u64) -> Result<Hash, T::Error> {
    if size == 0 {
        Ok(empty_root())
    } else {
        range_root(tree, 0, size)
    }
}

/// The root over the leaves from `start` up to, not including, `end`. `start` is a multiple of the largest power of two
/// in the range, as it always is where RFC 6962 splits a tree, so the range is a row of complete subtrees.
pub(crate) fn range_root<T: Subtrees>(tree: &T, start: u64, end: u64) -> Result<Hash, T::Error> {
    let (mut rest, mut right) = (end - start, None);
    let mut from = end;
    // From the smallest subtree, the rightmost, to the largest.
    while rest != 0 {
        let level = rest.trailing_zeros();
        from -= 1 << level;
        let left = tree.subtree(level, from >> level)?;
        right = Some(right.map_or(left, |right| node_hash(&left, &right)));
        rest &= rest - 1;
    }
    Ok(right.unwrap_or_else(empty_root))
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The eight leaves that RFC 6962 implementations share as test data, and the root after each.
    pub(crate) const PUBLISHED: [(&str, &str); 8] = [
        (
            "",
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        ),
        (
            "00",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        ),
        (
            "10",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        ),
        (
            "2021",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ),
        (
            "3031",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        ),
        (
            "40414243",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        ),
        (
            "5051525354555657",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        ),
        (
            "606162636465666768696a6b6c6d6e6f",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ),
    ];

    pub(crate) fn bytes(hex: &str) -> Vec<u8> {
        hex.as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    pub(crate) fn hash(hex: &str) -> Hash {
        Hash::from_hex(hex.as_bytes()).unwrap()
    }

    pub(crate) fn published() -> MemoryTree {
        let mut tree = MemoryTree::new();
        PUBLISHED
            .iter()
            .for_each(|(leaf, _)| tree.push(leaf_hash(&bytes(leaf))));
        tree
    }

    /// A tree of so many different leaves.
    pub(crate) fn tree(size: u64) -> MemoryTree {
        let mut tree = MemoryTree::new();
        (0..size).for_each(|leaf| tree.push(leaf_hash(&leaf.to_be_bytes())));
        tree
    }

    #[test]
    fn roots_are_those_that_were_published() {
        let (mut frontier, tree) = (Frontier::new(), published());
        let empty = hash("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!((frontier.root(), tree.root(0).unwrap()), (empty, empty));
        for ((leaf, root), size) in PUBLISHED.iter().zip(1..) {
            frontier.push(leaf_hash(&bytes(leaf)));
            assert_eq!(frontier.root(), hash(root), "{size}");
            assert_eq!(tree.root(size).unwrap(), hash(root), "{size}");
        }
        assert!(tree.root(9).is_err());
    }

    proptest! {
        #[test]
        fn a_frontier_has_the_root_of_the_whole_tree(size in 0u64..300) {
            let (whole, mut frontier) = (tree(size), Frontier::new());
            (0..size).for_each(|leaf| frontier.push(leaf_hash(&leaf.to_be_bytes())));
            prop_assert_eq!((frontier.size(), frontier.root()), (size, whole.root(size).unwrap()));
            prop_assert_eq!(frontier.peaks.len(), size.count_ones() as usize);
        }

    }
}
