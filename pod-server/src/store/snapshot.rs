//! Reading: a consistent view.

use std::collections::BTreeMap;

use super::audit::{Concerning, StoredAuditEntry};
use super::error::StoreError;
use super::event::{Event, RecordKind};
use super::resource::{Body, Member, Resource, ResourceId, Sequence, Storage, StorageId};
use crate::name::ResourceName;

/// A consistent view of the store. Cheap; hold it briefly.
pub trait Snapshot {
    /// The last commit that this view contains.
    fn sequence(&self) -> Result<Sequence, StoreError>;
    /// How many resources there ever were: no fewer than there are now.
    fn resources_ever(&self) -> Result<u64, StoreError>;
    /// A resource by its name.
    fn resource(&self, name: &ResourceName) -> Result<Option<Resource>, StoreError>;
    /// A resource by its identity.
    fn resource_by_id(&self, id: ResourceId) -> Result<Option<Resource>, StoreError>;
    /// The bytes of a resource.
    fn body(&self, resource: &Resource) -> Result<Body, StoreError>;
    /// Members of a container in name order, after a name, at most `limit`. Auxiliary resources are no members.
    fn members(
        &self,
        container: &ResourceName,
        after: Option<&ResourceName>,
        limit: usize,
    ) -> Result<Vec<Member>, StoreError>;
    /// Number of members of a container.
    fn member_count(&self, container: &ResourceName) -> Result<u64, StoreError>;
    /// Resources (auxiliaries included) below a container in name order, after a name, at most `limit`.
    fn descendants(
        &self,
        container: &ResourceName,
        after: Option<&ResourceName>,
        limit: usize,
    ) -> Result<Vec<Resource>, StoreError>;
    /// The access control list that exists nearest to `name`: its own, or that of the nearest ancestor.
    /// The answer names the resource whose list it is.
    fn effective_acl(&self, name: &ResourceName) -> Result<Option<(ResourceName, Resource)>, StoreError>;
    /// A storage by its root.
    fn storage(&self, root: &ResourceName) -> Result<Option<Storage>, StoreError>;
    /// A storage by its identity.
    fn storage_by_id(&self, id: StorageId) -> Result<Option<Storage>, StoreError>;
    /// Storages in name order, after a root, at most `limit`.
    fn storages(&self, after: Option<&ResourceName>, limit: usize) -> Result<Vec<Storage>, StoreError>;
    /// A record.
    fn record(&self, kind: RecordKind, key: &str) -> Result<Option<Vec<u8>>, StoreError>;
    /// Records whose key begins with `prefix`, in key order, after a key, at most `limit`.
    fn records(
        &self,
        kind: RecordKind,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Vec<u8>)>, StoreError>;
    /// Events after a sequence number, oldest first, at most about `limit` (a commit is never split).
    fn events(&self, after: Sequence, limit: usize) -> Result<Vec<Event>, StoreError>;
    /// Audit entries that a storage's owner may see (as owner or as data subject), newest first, before a leaf index.
    fn audit_entries(
        &self,
        storage: StorageId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<StoredAuditEntry>, StoreError>;
    /// Readable audit records from a leaf index on, oldest first, at most `limit`.
    fn audit_details(&self, from: u64, limit: usize) -> Result<Vec<StoredAuditEntry>, StoreError>;
    /// Leaves with their readable records in which a storage is a data subject, at most `limit` sets of subjects; each with
    /// the set as [`StorageSet::to_bytes`](super::StorageSet::to_bytes) writes it.
    fn audit_concerning(&self, storage: StorageId, limit: usize) -> Result<Vec<Concerning>, StoreError>;
    /// What is left of the data subjects of a leaf that were erased: commitments by position.
    fn audit_erased(&self, leaf: u64) -> Result<BTreeMap<u64, [u8; 32]>, StoreError>;
    /// Number of leaves in the audit log.
    fn audit_size(&self) -> Result<u64, StoreError>;
    /// Leaf hashes of a range of the audit log.
    fn audit_leaves(&self, from: u64, count: u64) -> Result<Vec<[u8; 32]>, StoreError>;
    /// Hash of the audit tree at a size (RFC 9162 §2.1.1).
    fn audit_root(&self, size: u64) -> Result<[u8; 32], StoreError>;
    /// Inclusion proof of a leaf in the tree of a size (RFC 9162 §2.1.3).
    fn audit_inclusion(&self, leaf: u64, size: u64) -> Result<Vec<[u8; 32]>, StoreError>;
    /// Consistency proof between two sizes (RFC 9162 §2.1.4).
    fn audit_consistency(&self, from: u64, to: u64) -> Result<Vec<[u8; 32]>, StoreError>;
    /// One tile of hashes at a level (C2SP tlog-tiles), `width` hashes wide.
    fn audit_tile(&self, level: u8, index: u64, width: u16) -> Result<Vec<u8>, StoreError>;
}
