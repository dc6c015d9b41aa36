//! RFC 9162 §2.1.1.

use sha2::{Digest, Sha256};

use super::Hash;

pub(super) fn empty_root() -> Hash {
    Sha256::digest(b"").into()
}

pub(super) fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Sha256::new()
        .chain_update([1])
        .chain_update(left)
        .chain_update(right)
        .finalize()
        .into()
}

pub(super) fn root(hashes: &[Hash]) -> Hash {
    match hashes {
        [] => empty_root(),
        [only] => *only,
        many => {
            let middle = many.len().next_power_of_two() / 2;
            let (left, right) = many.split_at(middle);
            node_hash(&root(left), &root(right))
        }
    }
}
