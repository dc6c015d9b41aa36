//! Salted commitments: what a leaf says without telling it.
//!
//! ```text
//! person_salt       = SHA-256(person_secret ‖ record_id)
//! person_commitment = SHA-256(0x02 ‖ person_salt ‖ length(person_id) ‖ person_id ‖ record_id)
//! subjects_root     = Merkle root over the commitments, in ascending order of person_id
//! record_commitment = SHA-256(0x04 ‖ salt ‖ canonical bytes of the record)
//! leaf              = SHA-256(0x03 ‖ record_commitment ‖ subjects_root)
//! ```
//! The first bytes keep the kinds of hash apart from each other and from the tree's own 0x00 and 0x01.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::merkle::{self, Hash};

const PERSON: u8 = 0x02;
const LEAF: u8 = 0x03;
const RECORD: u8 = 0x04;

/// A person's salt for one record. Derived from the person's secret, so erasing that secret erases every link.
#[must_use]
pub fn person_salt(person_secret: &[u8; 32], record_id: &str) -> Hash {
    Sha256::new()
        .chain_update(person_secret)
        .chain_update(record_id)
        .finalize()
        .into()
}

/// The commitment that this record concerns this person.
#[must_use]
pub fn person_commitment(salt: &Hash, person_id: &str, record_id: &str) -> Hash {
    let length = u64::try_from(person_id.len()).unwrap_or(u64::MAX);
    Sha256::new()
        .chain_update([PERSON])
        .chain_update(salt)
        .chain_update(length.to_be_bytes())
        .chain_update(person_id)
        .chain_update(record_id)
        .finalize()
        .into()
}

/// The root over the people concerned: person id to that person's secret. The empty tree's root when there are none.
#[must_use]
pub fn subjects_root(people: &BTreeMap<&str, &[u8; 32]>, record_id: &str) -> Hash {
    merkle::root(&subject_leaves(people, &BTreeMap::new(), record_id))
}

/// The leaves of the tree over the people concerned: those whose secrets are there in their order, around the commitments
/// of those whose secrets were erased, which stay at their positions.
fn subject_leaves(people: &BTreeMap<&str, &[u8; 32]>, erased: &BTreeMap<u64, Hash>, record_id: &str) -> Vec<Hash> {
    let mut present = people
        .iter()
        .map(|(person, secret)| person_commitment(&person_salt(secret, record_id), person, record_id));
    (0_u64..)
        .take(people.len() + erased.len())
        .filter_map(|position| erased.get(&position).copied().or_else(|| present.next()))
        .map(|commitment| merkle::leaf_hash(&commitment))
        .collect()
}

/// The position in the tree over the people concerned of the one who stands at `rank` among those whose secrets are there.
#[must_use]
pub fn position_of(rank: u64, erased: &BTreeMap<u64, Hash>) -> u64 {
    let mut position = rank;
    for taken in erased.keys() {
        if *taken <= position {
            position += 1;
        }
    }
    position
}

/// The commitment to a record's bytes. Dropping the salt makes it say nothing.
#[must_use]
pub fn record_commitment(salt: &[u8; 32], record: &[u8]) -> Hash {
    Sha256::new()
        .chain_update([RECORD])
        .chain_update(salt)
        .chain_update(record)
        .finalize()
        .into()
}

/// The entry of the log: commits to the record and to the people it concerns. The tree hashes it once more, see
/// [`merkle::leaf_hash`].
#[must_use]
pub fn leaf(record_commitment: &Hash, subjects_root: &Hash) -> Hash {
    Sha256::new()
        .chain_update([LEAF])
        .chain_update(record_commitment)
        .chain_update(subjects_root)
        .finalize()
        .into()
}

/// What one person needs to show that a record concerns them, and nothing about anyone else but how many they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubjectProof {
    /// The person's salt for this record.
    pub salt: Hash,
    /// Position among the people concerned.
    pub index: u64,
    /// How many people are concerned.
    pub size: u64,
    /// Inclusion path up to the root over the people.
    pub path: Vec<Hash>,
}

impl SubjectProof {
    /// The proof for `person`, or `None` when the record does not concern them.
    #[must_use]
    pub fn make(people: &BTreeMap<&str, &[u8; 32]>, person: &str, record_id: &str) -> Option<Self> {
        Self::make_beside(people, &BTreeMap::new(), person, record_id)
    }

    /// As [`make`](Self::make), where the secrets of some people were erased: what is left of them are their commitments, by
    /// position.
    #[must_use]
    pub fn make_beside(
        people: &BTreeMap<&str, &[u8; 32]>,
        erased: &BTreeMap<u64, Hash>,
        person: &str,
        record_id: &str,
    ) -> Option<Self> {
        let secret = people.get(person)?;
        let rank = people.keys().position(|other| *other == person)?;
        let index = position_of(u64::try_from(rank).ok()?, erased);
        let leaves = subject_leaves(people, erased, record_id);
        Some(Self {
            salt: person_salt(secret, record_id),
            index,
            size: u64::try_from(leaves.len()).ok()?,
            path: merkle::inclusion_proof(&leaves, index)?,
        })
    }

    /// Whether it shows that the record under `root` concerns `person`.
    #[must_use]
    pub fn verify(&self, person: &str, record_id: &str, root: &Hash) -> bool {
        let commitment = person_commitment(&self.salt, person, record_id);
        let leaf = merkle::leaf_hash(&commitment);
        merkle::verify_inclusion(&leaf, self.index, self.size, &self.path, root)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn people(names: &[String]) -> Vec<(String, [u8; 32])> {
        names
            .iter()
            .map(|name| (name.clone(), Sha256::digest(name).into()))
            .collect()
    }

    proptest! {
        /// AUD-7: everyone concerned can prove it, for this record only, as themselves only, in this tree only.
        #[test]
        fn each_person_proves_their_own_part(names in proptest::collection::btree_set("[a-z]{1,8}", 1..40), pick in 0usize..40) {
            let names: Vec<String> = names.into_iter().collect();
            let secrets = people(&names);
            let map: BTreeMap<&str, &[u8; 32]> = secrets.iter().map(|(n, s)| (n.as_str(), s)).collect();
            let root = subjects_root(&map, "record-1");
            let me = names[pick % names.len()].as_str();
            let proof = SubjectProof::make(&map, me, "record-1").unwrap();
            prop_assert!(proof.verify(me, "record-1", &root));
            prop_assert!(!proof.verify("someone else", "record-1", &root));
            prop_assert!(!proof.verify(me, "record-2", &root));
            let other_root = subjects_root(&map, "record-2");
            prop_assert!(!proof.verify(me, "record-1", &other_root));
            let mut without = map.clone();
            without.remove(me);
            prop_assert!(!proof.verify(me, "record-1", &subjects_root(&without, "record-1")));
            prop_assert_eq!(SubjectProof::make(&without, me, "record-1"), None);
            // AUD-6: without the secret, the commitment cannot be made again.
            let wrong = SubjectProof { salt: person_salt(&[0; 32], "record-1"), ..proof };
            prop_assert!(!wrong.verify(me, "record-1", &root));
        }
    }

    proptest! {
        /// AUD-6, T113: whoever stays proves their part as before, however many others are erased, in whatever order.
        #[test]
        fn the_others_prove_their_part_after_an_erasure(
            names in proptest::collection::btree_set("[a-z]{1,6}", 2..20), order in proptest::collection::vec(0usize..100, 1..19),
        ) {
            let names: Vec<String> = names.into_iter().collect();
            let secrets = people(&names);
            let mut map: BTreeMap<&str, &[u8; 32]> = secrets.iter().map(|(n, s)| (n.as_str(), s)).collect();
            let root = subjects_root(&map, "record-1");
            let mut erased = BTreeMap::new();
            for pick in order {
                if map.len() < 2 {
                    break;
                }
                let rank = pick % map.len();
                let (name, secret) = map.iter().nth(rank).map(|(n, s)| (*n, **s)).unwrap();
                let commitment = person_commitment(&person_salt(&secret, "record-1"), name, "record-1");
                erased.insert(position_of(rank as u64, &erased), commitment);
                map.remove(name);
                for one in map.keys() {
                    let proof = SubjectProof::make_beside(&map, &erased, one, "record-1").unwrap();
                    prop_assert!(proof.verify(one, "record-1", &root));
                }
            }
        }
    }

    /// Requirements dataspace AUD-6: a leaf is a salted commitment; another salt or record is another leaf.
    #[test]
    fn a_leaf_depends_on_everything_it_commits_to() {
        let record = record_commitment(&[1; 32], b"record");
        let empty = subjects_root(&BTreeMap::new(), "r");
        let base = leaf(&record, &empty);
        let secret = [7; 32];
        let someone = subjects_root(&BTreeMap::from([("jan", &secret)]), "r");
        for other in [
            leaf(&record_commitment(&[2; 32], b"record"), &empty),
            leaf(&record_commitment(&[1; 32], b"Record"), &empty),
            leaf(&record, &someone),
            leaf(&empty, &record),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn names_cannot_flow_into_each_other() {
        let salt = [3; 32];
        assert_ne!(person_commitment(&salt, "ab", "c"), person_commitment(&salt, "a", "bc"));
    }
}
