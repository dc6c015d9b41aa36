//! Deleting readable records, with an entry in the same commit that says which and why: a gap that anyone can check
//! (AUD-11). Leaves and tree stay, so every proof goes on to verify.

use policies::audit::{
    AuditAction, AuditRecord, Hash, Outcome, Purged, merkle, person_commitment, person_salt, position_of,
};
use server_kit::random::Random;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use super::Sealed;
use crate::origins::Origins;
use crate::store::{AuditEntry, Concerning, RecordKind, Storage, StorageId, StorageSet, StoreError, Transaction};

/// The rule under which the records of a person who left are deleted.
pub const ERASURE: &str = "erasure";

/// Sets of data subjects that one commit changes.
const SETS_PER_COMMIT: usize = 16;

/// How a deleted document is named: the digest of where it was kept.
#[must_use]
pub fn place(kept: &str) -> String {
    hex::encode(Sha256::digest(kept))
}

/// Who deletes, and when.
pub struct Purging<'p> {
    /// The server's origins.
    pub origins: &'p Origins,
    /// Identifiers and salts.
    pub random: &'p dyn Random,
    /// The time.
    pub now: OffsetDateTime,
}

impl Purging<'_> {
    /// Deletes the readable records of leaves and says so in an entry that `owners` see.
    ///
    /// # Errors
    /// When the store fails; the transaction must then not commit.
    pub fn purge(
        &self,
        transaction: &mut dyn Transaction,
        leaves: &[u64],
        purged: Purged,
        owners: Vec<StorageId>,
    ) -> Result<(), StoreError> {
        if leaves.is_empty() && purged.documents.is_empty() {
            return Ok(());
        }
        transaction.audit_purge(leaves)?;
        let mut record = AuditRecord::new(
            self.random.uuid(),
            self.now,
            self.origins.base_url(),
            AuditAction::Purge,
            Outcome::Permit,
        );
        record.purged = Some(purged);
        let mut salt = [0; 32];
        self.random.fill(&mut salt);
        let (leaf, record) = Sealed::seal(&record, &salt, &merkle::empty_root())
            .map_err(|error| StoreError::Damaged(format!("an audit record cannot be written: {error}")))?;
        let entry = AuditEntry {
            leaf,
            record,
            storages: owners,
            subjects: Vec::new(),
        };
        transaction.audit(&entry).map(drop)
    }

    /// Takes some of what the log tells about a storage out of it, before the storage is deleted: its share in records that
    /// concern others as well, the records that only its owner sees, and the documents that decisions about it rested on.
    /// What remains of it are salted commitments. `room` is how much one commit may do, and tells how much is left of that;
    /// nothing more is to be done when there is room left.
    ///
    /// # Errors
    /// When the store fails; the transaction must then not commit.
    pub fn forget(
        &self,
        transaction: &mut dyn Transaction,
        storage: &Storage,
        room: &mut usize,
    ) -> Result<(), StoreError> {
        let sets = transaction.audit_concerning(storage.id, SETS_PER_COMMIT)?;
        let more = sets.len() == SETS_PER_COMMIT;
        for set in sets {
            let left = self.commitments(transaction, storage, &set)?;
            transaction.audit_unlink(set.set, storage.id, &left)?;
            *room = room.saturating_sub(1 + left.len());
        }
        if more {
            *room = 0;
        }
        if *room == 0 {
            return Ok(());
        }
        let (mut alone, mut shared, mut apart) = (Vec::new(), Vec::new(), Vec::new());
        for stored in transaction.audit_entries(storage.id, None, *room)? {
            let sealed = Sealed::from_bytes(&stored.entry.record).ok();
            apart.extend(sealed.and_then(|sealed| sealed.record.basis.as_ref()?.kept.clone()));
            match stored.entry.storages.len() < 2 && stored.entry.subjects.is_empty() {
                true => alone.push(stored.leaf_index),
                false => shared.push(stored.leaf_index),
            }
        }
        *room -= (alone.len() + shared.len()).min(*room);
        transaction.audit_disown(storage.id, &shared)?;
        let documents = transaction.records(RecordKind::Evidence, storage.root.as_str(), None, *room)?;
        *room -= documents.len().min(*room);
        alone.sort_unstable();
        let mut purged = Purged::of(&alone, ERASURE, None);
        // What is told of several storages together tells of this one too.
        for key in documents.into_iter().map(|(key, _)| key).chain(apart) {
            if transaction.record_delete(RecordKind::Evidence, &key)? {
                purged.documents.push(place(&key));
            }
        }
        self.purge(transaction, &alone, purged, Vec::new())
    }

    /// What the others need to prove their part of the records of a set, once this storage's secret is gone.
    fn commitments(
        &self,
        transaction: &dyn Transaction,
        storage: &Storage,
        set: &Concerning,
    ) -> Result<Vec<(u64, u64, Hash)>, StoreError> {
        let secret = transaction.record(RecordKind::PersonSecret, storage.root.as_str())?;
        let Some(secret) = secret.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok()) else {
            return Ok(Vec::new());
        };
        let me = storage.root.iri(self.origins);
        let mut rank = 0;
        for other in StorageSet::from_bytes(&set.members)?
            .iter()
            .filter(|other| *other != storage.id)
        {
            let other = transaction.storage_by_id(other)?;
            rank += u64::from(other.is_some_and(|other| other.root.iri(self.origins) < me));
        }
        let mut left = Vec::with_capacity(set.records.len());
        for (leaf, bytes) in &set.records {
            let sealed = Sealed::from_bytes(bytes)
                .map_err(|error| StoreError::Damaged(format!("audit record {leaf}: {error}")))?;
            let id = &sealed.record.id;
            let commitment = person_commitment(&person_salt(&secret, id), &me, id);
            left.push((*leaf, position_of(rank, &transaction.audit_erased(*leaf)?), commitment));
        }
        Ok(left)
    }
}
