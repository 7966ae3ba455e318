//! Proofs over the tree: *this record is in it*, and *the later tree only added to the earlier one*.
//!
//! Both directions after RFC 6962 §2.1; checking after the loops of RFC 9162 §2.1.3.2 and §2.1.4.2, which touch each hash once and
//! accept exactly one length. A proof comes from whoever may have forged the log, so checking it must neither panic nor take
//! longer than its own length.

use thiserror::Error;

use crate::chain::Hash;
use crate::tree::{Subtrees, TreeHead, empty_root, node_hash, range_root};

/// The hashes that lead from leaf `index` to the root over the first `size` leaves (RFC 6962 §2.1.1), nearest first: at most 64.
/// `None` when `index` is not below `size`.
///
/// # Errors
/// When a hash cannot be had.
pub fn prove_inclusion<T: Subtrees>(
    tree: &T,
    index: u64,
    size: u64,
) -> Result<Option<Vec<Hash>>, T::Error> {
    if index >= size {
        return Ok(None);
    }
    let (mut start, mut end, mut path) = (0, size, Vec::new());
    while end - start > 1 {
        let middle = start + largest_half(end - start);
        if index < middle {
            path.push(range_root(tree, middle, end)?);
            end = middle;
        } else {
            path.push(range_root(tree, start, middle)?);
            start = middle;
        }
    }
    path.reverse();
    Ok(Some(path))
}

/// The hashes that show that the tree of `new_size` leaves begins with the tree of `old_size` (RFC 6962 §2.1.2): at most 65.
/// Empty when the sizes are equal or the old one is zero; `None` when the old size is the larger.
///
/// # Errors
/// When a hash cannot be had.
pub fn prove_consistency<T: Subtrees>(
    tree: &T,
    old_size: u64,
    new_size: u64,
) -> Result<Option<Vec<Hash>>, T::Error> {
    if old_size > new_size {
        return Ok(None);
    }
    if old_size == 0 || old_size == new_size {
        return Ok(Some(Vec::new()));
    }
    let (mut start, mut end, mut path) = (0, new_size, Vec::new());
    // The old root is known to the verifier, so it is left out where it is itself a subtree.
    while old_size != end {
        let middle = start + largest_half(end - start);
        if old_size <= middle {
            path.push(range_root(tree, middle, end)?);
            end = middle;
        } else {
            path.push(range_root(tree, start, middle)?);
            start = middle;
        }
    }
    if start > 0 {
        path.push(range_root(tree, start, end)?);
    }
    path.reverse();
    Ok(Some(path))
}

/// A proof does not show what it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ProofError {
    /// Numbers that no tree has: a leaf beyond the size, an old size beyond the new one.
    #[error("the proof is about `{small}` of `{large}`, which no tree has; ask for another proof")]
    Range {
        /// The leaf, or the old size.
        small: u64,
        /// The size.
        large: u64,
    },
    /// The proof has not as many hashes as the sizes ask for.
    #[error("the proof has `{hashes}` hashes, which do not fit its sizes; ask for another proof")]
    Length {
        /// How many it has.
        hashes: usize,
    },
    /// The hashes do not lead to the root.
    #[error(
        "the proof does not lead to the root; the log was rewritten, or the proof is of another one"
    )]
    Root,
}

/// Checks that the leaf with this hash is number `index` of the `size` leaves under `root`.
///
/// # Errors
/// When the proof does not show it.
pub fn verify_inclusion(
    leaf: &Hash,
    index: u64,
    size: u64,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::Range {
            small: index,
            large: size,
        });
    }
    // `node` is where we are in its level, `last` the last node of the level (RFC 9162 §2.1.3.2).
    let (mut node, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in proof {
        if last == 0 {
            return Err(ProofError::Length {
                hashes: proof.len(),
            });
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            // A last node without a sibling of its own stands for its parents up to where it has one.
            climb(&mut node, &mut last);
        } else {
            hash = node_hash(&hash, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    match (last, hash == *root) {
        (1.., _) => Err(ProofError::Length {
            hashes: proof.len(),
        }),
        (0, false) => Err(ProofError::Root),
        (0, true) => Ok(()),
    }
}

/// Checks that the tree of `new` begins with all the leaves of `old`.
///
/// # Errors
/// When the proof does not show it.
pub fn verify_consistency(
    old: &TreeHead,
    new: &TreeHead,
    proof: &[Hash],
) -> Result<(), ProofError> {
    let wrong_length = ProofError::Length {
        hashes: proof.len(),
    };
    if old.size > new.size {
        return Err(ProofError::Range {
            small: old.size,
            large: new.size,
        });
    }
    if old.size == 0 || old.size == new.size {
        let expected = if old.size == 0 {
            empty_root()
        } else {
            new.root
        };
        return match (proof, old.root == expected) {
            ([], true) => Ok(()),
            ([], false) => Err(ProofError::Root),
            _ => Err(wrong_length),
        };
    }
    // Both roots are computed from the same hashes, from the last node of the old tree on (RFC 9162 §2.1.4.2).
    let (mut node, mut last) = (old.size - 1, new.size - 1);
    while node & 1 == 1 {
        (node, last) = (node >> 1, last >> 1);
    }
    let (seed, rest) = if old.size.is_power_of_two() {
        (old.root, proof)
    } else {
        let (first, rest) = proof.split_first().ok_or(wrong_length)?;
        (*first, rest)
    };
    let (mut old_hash, mut new_hash) = (seed, seed);
    for sibling in rest {
        if last == 0 {
            return Err(wrong_length);
        }
        if node & 1 == 1 || node == last {
            old_hash = node_hash(sibling, &old_hash);
            new_hash = node_hash(sibling, &new_hash);
            climb(&mut node, &mut last);
        } else {
            new_hash = node_hash(&new_hash, sibling);
        }
        (node, last) = (node >> 1, last >> 1);
    }
    if last > 0 {
        return Err(wrong_length);
    }
    if old_hash == old.root && new_hash == new.root {
        Ok(())
    } else {
        Err(ProofError::Root)
    }
}

/// From a node that is the left child, or has no sibling, up to the one that stands for it as a right child.
fn climb(node: &mut u64, last: &mut u64) {
    while *node & 1 == 0 && *node != 0 {
        (*node, *last) = (*node >> 1, *last >> 1);
    }
}

/// The largest power of two below `size`, which is 2 or more.
const fn largest_half(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tree::tests::{hash, published, tree};
    use crate::tree::{MemoryTree, leaf_hash};

    fn head(tree: &MemoryTree, size: u64) -> TreeHead {
        TreeHead {
            size,
            root: tree.root(size).unwrap(),
        }
    }

    #[test]
    fn inclusion_proofs_are_those_that_were_published() {
        let tree = published();
        for (leaf, size, path) in [
            (0, 1, vec![]),
            (
                0,
                8,
                vec![
                    "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                    "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
                ],
            ),
            (
                5,
                8,
                vec![
                    "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
                    "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
                ],
            ),
            (
                2,
                3,
                vec!["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
            ),
        ] {
            let expected: Vec<_> = path.into_iter().map(hash).collect();
            assert_eq!(
                prove_inclusion(&tree, leaf, size).unwrap().unwrap(),
                expected,
                "{leaf} of {size}"
            );
        }
        assert_eq!(prove_inclusion(&tree, 3, 3).unwrap(), None);
    }

    #[test]
    fn consistency_proofs_are_those_that_were_published() {
        let tree = published();
        for (old, new, path) in [
            (1, 1, vec![]),
            (
                1,
                8,
                vec![
                    "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                    "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
                ],
            ),
            (
                6,
                8,
                vec![
                    "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
                    "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
                ],
            ),
            (
                2,
                5,
                vec![
                    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                    "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
                ],
            ),
        ] {
            let expected: Vec<_> = path.into_iter().map(hash).collect();
            assert_eq!(
                prove_consistency(&tree, old, new).unwrap().unwrap(),
                expected,
                "{old} to {new}"
            );
        }
        assert_eq!(prove_consistency(&tree, 4, 3).unwrap(), None);
    }

    #[test]
    fn every_proof_of_every_small_tree_verifies_and_nothing_else_does() {
        const SIZE: u64 = 21;
        let (whole, other) = (tree(SIZE), leaf_hash(b"other"));
        for size in 1..=SIZE {
            let new = head(&whole, size);
            for index in 0..size {
                let leaf = whole.subtree(0, index).unwrap();
                let proof = prove_inclusion(&whole, index, size).unwrap().unwrap();
                let verify = |index, leaf: &Hash, proof: &[Hash]| {
                    verify_inclusion(leaf, index, size, proof, &new.root)
                };
                assert_eq!(verify(index, &leaf, &proof), Ok(()), "{index} of {size}");
                assert_eq!(verify(index, &other, &proof), Err(ProofError::Root));
                assert!(
                    (0..size).all(|at| at == index || verify(at, &leaf, &proof).is_err()),
                    "{index} of {size}"
                );
                assert!(
                    spoilt(&proof)
                        .iter()
                        .all(|proof| verify(index, &leaf, proof).is_err()),
                    "{index} of {size}"
                );
                assert!(verify_inclusion(&leaf, index, size, &proof, &other).is_err());
            }
            for old_size in 0..=size {
                let old = head(&whole, old_size);
                let proof = prove_consistency(&whole, old_size, size).unwrap().unwrap();
                assert_eq!(
                    verify_consistency(&old, &new, &proof),
                    Ok(()),
                    "{old_size} to {size}"
                );
                let forked = TreeHead { root: other, ..old };
                assert!(
                    verify_consistency(&forked, &new, &proof).is_err(),
                    "{old_size} to {size}"
                );
                let spoilt = spoilt(&proof);
                assert!(
                    spoilt
                        .iter()
                        .all(|proof| verify_consistency(&old, &new, proof).is_err()),
                    "{old_size} to {size}"
                );
                if old_size > 0 {
                    let forked = TreeHead { root: other, ..new };
                    assert!(
                        verify_consistency(&old, &forked, &proof).is_err(),
                        "{old_size} to {size}"
                    );
                }
            }
        }
    }

    /// The proof shortened, lengthened, and with each of its hashes changed.
    fn spoilt(proof: &[Hash]) -> Vec<Vec<Hash>> {
        let mut all = vec![[proof, &[empty_root()]].concat()];
        if let Some((_, shorter)) = proof.split_last() {
            all.push(shorter.to_vec());
        }
        for at in 0..proof.len() {
            let mut changed = proof.to_vec();
            changed[at] = leaf_hash(changed[at].as_bytes());
            all.push(changed);
        }
        all
    }

    #[test]
    fn an_old_tree_larger_than_the_new_is_no_growth() {
        let whole = tree(5);
        let rollback = verify_consistency(&head(&whole, 5), &head(&whole, 4), &[]);
        assert_eq!(rollback, Err(ProofError::Range { small: 5, large: 4 }));
    }

    proptest! {
        #[test]
        fn proofs_of_large_trees_verify(size in 1u64..400, at in 0u64..400) {
            let whole = tree(size);
            let (index, new) = (at % size, head(&whole, size));
            let proof = prove_inclusion(&whole, index, size).unwrap().unwrap();
            let leaf = whole.subtree(0, index).unwrap();
            prop_assert_eq!(verify_inclusion(&leaf, index, size, &proof, &new.root), Ok(()));
            let proof = prove_consistency(&whole, index, size).unwrap().unwrap();
            prop_assert_eq!(verify_consistency(&head(&whole, index), &new, &proof), Ok(()));
        }

        #[test]
        fn hostile_proofs_neither_panic_nor_pass(
            index: u64, size: u64, old: u64, hashes in prop::collection::vec(any::<[u8; 32]>(), 0..70),
        ) {
            let hashes: Vec<_> = hashes.iter().map(|bytes| Hash::from_digest(bytes)).collect();
            let root = leaf_hash(b"root");
            prop_assert!(verify_inclusion(&leaf_hash(b"x"), index, size, &hashes, &root).is_err());
            let (old, new) = (TreeHead { size: old, root: leaf_hash(b"old") }, TreeHead { size, root });
            prop_assert!(verify_consistency(&old, &new, &hashes).is_err());
        }
    }
}
