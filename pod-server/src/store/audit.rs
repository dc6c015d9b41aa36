//! Entries of the audit log as the store keeps them.

use roaring::RoaringBitmap;

use super::error::StoreError;
use super::resource::StorageId;

/// A record for the audit log, on its way into a transaction. The log keeps `leaf`; the readable part lies with the
/// storages named, so that owner and data subject can read it (ARCHITECTURE §6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Hash that enters the Merkle tree: a salted commitment.
    pub leaf: [u8; 32],
    /// Canonical JSON of the readable record.
    pub record: Vec<u8>,
    /// Storages whose owners see the record.
    pub storages: Vec<StorageId>,
    /// Storages of the data subjects concerned, as [`StorageSet::to_bytes`] writes them; empty if none.
    pub subjects: Vec<u8>,
}

/// An audit entry as it was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredAuditEntry {
    /// Position in the log.
    pub leaf_index: u64,
    /// The entry.
    pub entry: AuditEntry,
}

/// The leaves that concern one set of data subjects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Concerning {
    /// Identity of the set.
    pub set: i64,
    /// Its members, as [`StorageSet::to_bytes`] writes them.
    pub members: Vec<u8>,
    /// Leaves with their readable records, oldest first.
    pub records: Vec<(u64, Vec<u8>)>,
}

/// A set of storages: the data subjects whose storages a use touched. One use may touch 100,000 of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StorageSet(RoaringBitmap);

impl StorageSet {
    /// The portable serialisation of a 32-bit roaring bitmap; nothing for an empty set.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let mut bytes = Vec::with_capacity(self.0.serialized_size());
        // Writing to memory does not fail.
        let _ = self.0.serialize_into(&mut bytes);
        bytes
    }

    /// Reads what [`StorageSet::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] for anything else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StoreError> {
        if bytes.is_empty() {
            return Ok(Self::default());
        }
        RoaringBitmap::deserialize_from(bytes)
            .map(Self)
            .map_err(|error| StoreError::Damaged(format!("a set of storages cannot be read: {error}")))
    }

    /// Whether a storage is in the set.
    #[must_use]
    pub fn contains(&self, storage: StorageId) -> bool {
        u32::try_from(storage.0).is_ok_and(|id| self.0.contains(id))
    }

    /// Takes a storage out.
    pub fn remove(&mut self, storage: StorageId) {
        if let Ok(id) = u32::try_from(storage.0) {
            self.0.remove(id);
        }
    }

    /// Number of storages.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The storages in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = StorageId> + '_ {
        self.0.iter().map(|id| StorageId(i64::from(id)))
    }
}

impl FromIterator<StorageId> for StorageSet {
    /// Collects storages. An identity beyond 32 bits cannot occur: the store refuses to make more storages than that.
    fn from_iter<I: IntoIterator<Item = StorageId>>(storages: I) -> Self {
        Self(storages.into_iter().filter_map(|id| u32::try_from(id.0).ok()).collect())
    }
}
