//! Merkle tree mathematics of RFC 9162 (Certificate Transparency 2.0), section 2.1, with SHA-256.
//!
//! Functions over leaf hashes in memory. Whoever stores a tree computes the same values from stored nodes.

use sha2::{Digest, Sha256};

/// A SHA-256 value.
pub type Hash = [u8; 32];

/// The hash of a leaf: SHA-256(0x00 ‖ data).
#[must_use]
pub fn leaf_hash(data: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(data).finalize().into()
}

/// The hash of an inner node: SHA-256(0x01 ‖ left ‖ right).
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Sha256::new()
        .chain_update([1])
        .chain_update(left)
        .chain_update(right)
        .finalize()
        .into()
}

/// The root of the empty tree: SHA-256 of nothing.
#[must_use]
pub fn empty_root() -> Hash {
    Sha256::digest([]).into()
}

/// The root over leaf hashes (§2.1.1), in one pass.
#[must_use]
pub fn root(leaves: &[Hash]) -> Hash {
    // Complete subtrees from left to right, each with its height; equal neighbours merge.
    let mut stack: Vec<(u32, Hash)> = Vec::with_capacity(64);
    for leaf in leaves {
        let mut height = 0;
        let mut hash = *leaf;
        while let Some((_, left)) = stack.pop_if(|(below, _)| *below == height) {
            hash = node_hash(&left, &hash);
            height += 1;
        }
        stack.push((height, hash));
    }
    let Some((_, mut hash)) = stack.pop() else {
        return empty_root();
    };
    while let Some((_, left)) = stack.pop() {
        hash = node_hash(&left, &hash);
    }
    hash
}

/// Largest power of two below `size`, where `size` is at least 2.
fn split(size: usize) -> usize {
    size.next_power_of_two() / 2
}

/// The path from leaf `index` to the root (§2.1.3.1), lowest sibling first; `None` when there is no such leaf.
#[must_use]
pub fn inclusion_proof(leaves: &[Hash], index: u64) -> Option<Vec<Hash>> {
    let mut index = usize::try_from(index).ok().filter(|index| *index < leaves.len())?;
    let mut siblings = Vec::new();
    let mut part = leaves;
    while part.len() > 1 {
        let (left, right) = part.split_at(split(part.len()));
        if index < left.len() {
            siblings.push(root(right));
            part = left;
        } else {
            siblings.push(root(left));
            index -= left.len();
            part = right;
        }
    }
    siblings.reverse();
    Some(siblings)
}

/// Whether `proof` shows that the leaf with this hash is number `index` of the tree of `size` leaves with root `root`
/// (§2.1.3.2).
#[must_use]
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut number, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if number & 1 == 1 || number == last {
            hash = node_hash(sibling, &hash);
            while number & 1 == 0 && number != 0 {
                number >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        number >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

/// The proof that the tree of the first `old_size` leaves is a prefix of the whole (§2.1.4.1). Empty when the sizes are
/// equal or the old tree was empty; `None` when `old_size` is larger than the tree.
#[must_use]
pub fn consistency_proof(leaves: &[Hash], old_size: u64) -> Option<Vec<Hash>> {
    let mut old = usize::try_from(old_size).ok().filter(|old| *old <= leaves.len())?;
    if old == 0 || old == leaves.len() {
        return Some(Vec::new());
    }
    let mut proof = Vec::new();
    let mut part = leaves;
    let mut whole = true;
    while old != part.len() {
        let (left, right) = part.split_at(split(part.len()));
        if old <= left.len() {
            proof.push(root(right));
            part = left;
        } else {
            proof.push(root(left));
            old -= left.len();
            part = right;
            whole = false;
        }
    }
    // The old root itself is known to the verifier, so it is left out while the walk kept to the left edge.
    if !whole {
        proof.push(root(part));
    }
    proof.reverse();
    Some(proof)
}

/// Whether `proof` shows that the tree of `old_size` leaves with `old_root` is a prefix of the tree of `new_size` leaves
/// with `new_root` (§2.1.4.2). An empty old tree is a prefix of every tree.
#[must_use]
pub fn verify_consistency(old_size: u64, old_root: &Hash, new_size: u64, new_root: &Hash, proof: &[Hash]) -> bool {
    if old_size > new_size {
        return false;
    }
    if old_size == new_size {
        return proof.is_empty() && old_root == new_root;
    }
    if old_size == 0 {
        return proof.is_empty() && *old_root == empty_root();
    }
    let mut steps = proof.iter();
    let first = if old_size.is_power_of_two() {
        Some(old_root)
    } else {
        steps.next()
    };
    let Some(first) = first else { return false };
    let (mut number, mut last) = (old_size - 1, new_size - 1);
    while number & 1 == 1 {
        number >>= 1;
        last >>= 1;
    }
    let (mut old_hash, mut new_hash) = (*first, *first);
    for sibling in steps {
        if last == 0 {
            return false;
        }
        if number & 1 == 1 || number == last {
            old_hash = node_hash(sibling, &old_hash);
            new_hash = node_hash(sibling, &new_hash);
            while number & 1 == 0 && number != 0 {
                number >>= 1;
                last >>= 1;
            }
        } else {
            new_hash = node_hash(&new_hash, sibling);
        }
        number >>= 1;
        last >>= 1;
    }
    last == 0 && old_hash == *old_root && new_hash == *new_root
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SIZE_MAX: u64 = 130;

    fn leaves(size: u64) -> Vec<Hash> {
        (0..size).map(|i| leaf_hash(&i.to_be_bytes())).collect()
    }

    /// The definition, word for word.
    fn naive_root(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => empty_root(),
            [one] => *one,
            _ => {
                let mut k = 1;
                while k * 2 < leaves.len() {
                    k *= 2;
                }
                node_hash(&naive_root(&leaves[..k]), &naive_root(&leaves[k..]))
            }
        }
    }

    /// AUD-3: every leaf of every tree up to 130 is provable, and only with the right number, size and root.
    #[test]
    fn inclusion_of_every_leaf() {
        for size in 1..=SIZE_MAX {
            let leaves = leaves(size);
            let root = root(&leaves);
            assert_eq!(root, naive_root(&leaves), "size {size}");
            for index in 0..size {
                let leaf = &leaves[usize::try_from(index).unwrap()];
                let proof = inclusion_proof(&leaves, index).unwrap();
                assert!(verify_inclusion(leaf, index, size, &proof, &root), "{index} of {size}");
                assert!(!verify_inclusion(&leaf_hash(b"other"), index, size, &proof, &root));
                assert!(!verify_inclusion(leaf, (index + 1) % size, size, &proof, &root) || size == 1);
                assert!(!verify_inclusion(leaf, index, size, &proof, &empty_root()));
                if let Some(shorter) = proof.split_last().map(|(_, rest)| rest) {
                    assert!(!verify_inclusion(leaf, index, size, shorter, &root));
                }
            }
            assert_eq!(inclusion_proof(&leaves, size), None);
        }
        assert!(!verify_inclusion(&leaf_hash(b""), 0, 0, &[], &empty_root()));
    }

    /// AUD-3: every prefix of every tree up to 130 is provable, and nothing else is taken for a prefix.
    #[test]
    fn consistency_of_every_pair() {
        let all = leaves(SIZE_MAX);
        let roots: Vec<Hash> = (0..=all.len()).map(|size| root(&all[..size])).collect();
        for new in 0..=all.len() {
            for old in 0..=new {
                let (old_size, new_size) = (old as u64, new as u64);
                let proof = consistency_proof(&all[..new], old_size).unwrap();
                assert!(
                    verify_consistency(old_size, &roots[old], new_size, &roots[new], &proof),
                    "{old} in {new}"
                );
                let other = leaf_hash(b"other");
                assert!(
                    !verify_consistency(old_size, &other, new_size, &roots[new], &proof),
                    "{old} in {new}"
                );
                if old > 0 {
                    assert!(
                        !verify_consistency(old_size, &roots[old], new_size, &other, &proof),
                        "{old} in {new}"
                    );
                    assert!(!verify_consistency(
                        old_size,
                        &roots[old - 1],
                        new_size,
                        &roots[new],
                        &proof
                    ));
                }
                if let Some((_, shorter)) = proof.split_last() {
                    assert!(!verify_consistency(
                        old_size,
                        &roots[old],
                        new_size,
                        &roots[new],
                        shorter
                    ));
                }
            }
            assert_eq!(consistency_proof(&all[..new], new as u64 + 1), None);
        }
        assert!(!verify_consistency(2, &roots[2], 1, &roots[1], &[]));
    }

    /// RFC 9162's predecessor publishes these: the empty tree, and one empty leaf.
    #[test]
    fn known_values() {
        let hex = |hash: Hash| hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(
            hex(root(&[])),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(
            hex(root(&[leaf_hash(b"")])),
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
        );
    }

    proptest! {
        /// A forged proof does not verify: any change of any byte is seen.
        #[test]
        fn a_changed_proof_fails(size in 2u64..130, index in 0u64..130, step in 0usize..8, byte in 0usize..32, bit in 0u8..8) {
            let index = index % size;
            let leaves = leaves(size);
            let root = root(&leaves);
            let mut proof = inclusion_proof(&leaves, index).unwrap();
            let step = step % proof.len();
            proof[step][byte] ^= 1 << bit;
            prop_assert!(!verify_inclusion(&leaves[usize::try_from(index).unwrap()], index, size, &proof, &root));
        }
    }
}
