//! Writing: the inside of a commit, and those who hear of it.

use super::audit::AuditEntry;
use super::error::StoreError;
use super::event::{Event, RecordKind};
use super::resource::{NewState, Resource, Sequence, Storage, StorageId};
use super::snapshot::Snapshot;
use crate::name::ResourceName;

/// The inside of a commit: sees its own writes, and commits whole or not at all.
pub trait Transaction: Snapshot {
    /// The sequence number that this commit will have.
    fn next_sequence(&self) -> Sequence;
    /// Gives a resource a state; makes missing intermediate containers (solid#24), containment, quota and events. The
    /// container's version changes too, since its listing does; it has an event of its own when a member is new.
    ///
    /// # Errors
    /// [`StoreError::Full`] over the quota; [`StoreError::Misuse`] for a name outside every storage, for a name whose
    /// twin with or without slash exists (solid#11), and for a body beyond `inline_bytes_max` that is no blob.
    fn put(&mut self, name: &ResourceName, state: NewState) -> Result<Resource, StoreError>;
    /// Removes a resource, its auxiliaries and its containment. A container must be empty: the caller has checked.
    fn remove(&mut self, name: &ResourceName) -> Result<bool, StoreError>;
    /// Makes a storage with its root container and owner.
    fn create_storage(&mut self, root: &ResourceName, owner: &str) -> Result<Storage, StoreError>;
    /// Writes a record.
    fn record_put(&mut self, kind: RecordKind, key: &str, value: &[u8]) -> Result<(), StoreError>;
    /// Removes a record; false if there was none.
    fn record_delete(&mut self, kind: RecordKind, key: &str) -> Result<bool, StoreError>;
    /// Appends an audit entry; its leaf commits with everything else.
    fn audit(&mut self, entry: &AuditEntry) -> Result<u64, StoreError>;
    /// Deletes the readable records of leaves and overwrites the space that they took. The leaves stay; the caller tells in
    /// the same commit which ones and why.
    fn audit_purge(&mut self, leaves: &[u64]) -> Result<(), StoreError>;
    /// Takes a storage from the owners of leaves.
    fn audit_disown(&mut self, storage: StorageId, leaves: &[u64]) -> Result<(), StoreError>;
    /// Takes a storage out of a set of data subjects, and leaves its commitments: leaf, position, commitment.
    fn audit_unlink(&mut self, set: i64, storage: StorageId, left: &[(u64, u64, [u8; 32])]) -> Result<(), StoreError>;
}

/// Called on the writer's thread after a commit is durable and before anyone is told of it, in commit order. Caches
/// that decide about access listen here, so that a revocation counts from the next decision (invariant 8).
/// It must be quick and must not write.
pub trait CommitListener: Send + Sync {
    /// These events are now true.
    fn committed(&self, snapshot: &dyn Snapshot, events: &[Event]);
}
