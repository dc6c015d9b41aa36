//! The inside of a commit: puts and removes, with containment, quota and events kept in step.

use std::sync::Arc;

use rusqlite::{Connection, Transaction as Group, params};
use rustc_hash::FxHashSet;
use sha2::{Digest, Sha256};

use super::blobs::BlobDirectory;
use super::cache::Caches;
use super::changes::Changes;
use super::failure;
use super::health::Health;
use super::read::{self, Reads, one};
use super::rows::{self, signed, unsigned};
use super::{audit_purge, audit_rows};
use crate::name::{Auxiliary, ResourceName};
use crate::store::quota::{self, RESOURCE_BYTES};
use crate::store::{
    AuditEntry, BodyLocation, NewBody, NewState, RecordKind, Resource, ResourceId, ResourceKind, Sequence, Snapshot,
    Storage, StorageId, StoreError, Transaction,
};

/// Media type of a container that came into being by itself.
const CONTAINER_MEDIA_TYPE: &str = "text/turtle";

/// What a commit needs from the store around it.
pub(super) struct Surroundings<'s> {
    pub(super) blobs: &'s BlobDirectory,
    pub(super) caches: &'s Caches,
    pub(super) health: &'s Health,
    pub(super) inline_bytes_max: usize,
    pub(super) quota_bytes_max: u64,
}

/// One commit inside a group.
pub(super) struct WriteTransaction<'g> {
    group: &'g Group<'g>,
    around: &'g Surroundings<'g>,
    /// The last commit before this one.
    before: Sequence,
    /// Unix seconds.
    now: i64,
    pub(super) changes: Changes,
    /// Names that commits before this one in its group touched.
    pub(super) touched: FxHashSet<ResourceName>,
    /// Leaves of the audit log, as far as they were counted.
    pub(super) leaves: Option<u64>,
    /// A write failed half way: this commit must not happen, whatever its caller makes of the error.
    pub(super) broken: bool,
}

/// The columns of an existing resource that a write has to know.
struct Existing {
    id: ResourceId,
    parent: Option<i64>,
    size: u64,
    digest: [u8; 32],
    blob: bool,
    members: u64,
}

/// A body that was looked at: what goes into the columns of its resource.
struct Weighed {
    digest: [u8; 32],
    size: u64,
    blob: bool,
}

impl<'g> WriteTransaction<'g> {
    pub(super) fn new(
        group: &'g Group<'g>,
        around: &'g Surroundings<'g>,
        before: Sequence,
        leaves: Option<u64>,
        touched: FxHashSet<ResourceName>,
        now: i64,
    ) -> Self {
        Self {
            group,
            around,
            before,
            now,
            changes: Changes::default(),
            touched,
            leaves,
            broken: false,
        }
    }

    /// Carries out one write; remembers if it failed, and tells a full disk from other failures.
    fn whole<T>(&mut self, write: impl FnOnce(&mut Self) -> Result<T, StoreError>) -> Result<T, StoreError> {
        write(self).map_err(|error| {
            self.broken = true;
            failure::disk_full(error)
        })
    }

    /// Writes the events of this commit to the outbox.
    pub(super) fn store_changes(&mut self) -> Result<(), StoreError> {
        let next = self.next();
        self.whole(|inside| inside.changes.store(inside.group, next))
    }

    fn next(&self) -> Sequence {
        Sequence(self.before.0 + 1)
    }

    fn existing(&self, name: &ResourceName) -> Result<Option<Existing>, StoreError> {
        let sql = "SELECT id, parent, size, digest, blob, members FROM resources WHERE name = ?1";
        one(self.group, sql, params![name.as_str()], |row| {
            Ok(Existing {
                id: ResourceId(row.get(0)?),
                parent: row.get(1)?,
                size: unsigned(row, 2)?,
                digest: row.get(3)?,
                blob: row.get(4)?,
                members: unsigned(row, 5)?,
            })
        })
    }

    fn storage_of(&self, name: &ResourceName) -> Result<Storage, StoreError> {
        let storage = match name.storage_root() {
            Some(root) => read::storage(self.group, &root)?,
            None => None,
        };
        storage.ok_or_else(|| StoreError::Misuse(format!("`{name}` lies in no storage")))
    }

    fn weigh(&self, name: &ResourceName, body: &NewBody) -> Result<Weighed, StoreError> {
        match body {
            NewBody::Bytes(bytes) if bytes.len() > self.around.inline_bytes_max => Err(StoreError::Misuse(format!(
                "a body of {} bytes must come as a blob, at most {} go into the database",
                bytes.len(),
                self.around.inline_bytes_max
            ))),
            NewBody::Bytes(bytes) => Ok(Weighed {
                digest: Sha256::digest(bytes).into(),
                size: bytes.len() as u64,
                blob: false,
            }),
            NewBody::Blob { digest, size } if self.around.blobs.holds(digest, *size) => Ok(Weighed {
                digest: *digest,
                size: *size,
                blob: true,
            }),
            NewBody::Blob { .. } => Err(StoreError::Misuse(format!("the blob for `{name}` is not there"))),
        }
    }

    /// Keeps the bytes used by a storage; refuses growth beyond the quota.
    fn account(&self, storage: &Storage, removed: u64, added: u64) -> Result<(), StoreError> {
        if removed == added {
            return Ok(());
        }
        let used = storage.bytes_used.saturating_sub(removed).saturating_add(added);
        if added > removed {
            let most = quota::of(self, &storage.root)?.unwrap_or(self.around.quota_bytes_max);
            if used > most {
                return Err(StoreError::Full(format!(
                    "storage `{}` may hold {most} bytes and would hold {used}",
                    storage.root
                )));
            }
        }
        self.group
            .prepare_cached("UPDATE storages SET bytes_used = ?2 WHERE id = ?1")?
            .execute(params![storage.id.0, signed(used)])?;
        Ok(())
    }

    fn use_blob(&self, digest: &[u8; 32], size: u64) -> Result<(), StoreError> {
        self.group
            .prepare_cached(
                "INSERT INTO blobs (digest, size, uses) VALUES (?1, ?2, 1) \
                 ON CONFLICT (digest) DO UPDATE SET uses = uses + 1",
            )?
            .execute(params![digest, signed(size)])?;
        Ok(())
    }

    fn leave_blob(&self, digest: &[u8; 32]) -> Result<(), StoreError> {
        self.group
            .prepare_cached("UPDATE blobs SET uses = uses - 1 WHERE digest = ?1")?
            .execute(params![digest])?;
        // Whoever has just learned its path may still open it.
        self.around.blobs.spare(*digest);
        Ok(())
    }

    fn keep_inline(&self, id: ResourceId, body: &NewBody) -> Result<(), StoreError> {
        match body {
            NewBody::Bytes(bytes) if !bytes.is_empty() => self
                .group
                .prepare_cached("INSERT OR REPLACE INTO bodies (resource, bytes) VALUES (?1, ?2)")?
                .execute(params![id.0, &bytes[..]])?,
            _ => self
                .group
                .prepare_cached("DELETE FROM bodies WHERE resource = ?1")?
                .execute(params![id.0])?,
        };
        Ok(())
    }

    fn overwrite(&self, old: &Existing, state: &NewState, new: &Weighed) -> Result<(), StoreError> {
        if new.blob {
            self.use_blob(&new.digest, new.size)?;
        }
        if old.blob {
            self.leave_blob(&old.digest)?;
        }
        self.group
            .prepare_cached(
                "UPDATE resources SET kind = ?2, media_type = ?3, size = ?4, blob = ?5, digest = ?6, version = ?7, \
                 modified = ?8 WHERE id = ?1",
            )?
            .execute(params![
                old.id.0,
                rows::kind_number(state.kind),
                state.media_type,
                signed(new.size),
                new.blob,
                new.digest,
                signed(self.next().0),
                self.now
            ])?;
        Ok(())
    }

    /// Adds a row below an existing parent and counts it there.
    fn add(
        &mut self,
        storage: StorageId,
        parent: Option<i64>,
        name: &ResourceName,
        state: &NewState,
        new: &Weighed,
    ) -> Result<ResourceId, StoreError> {
        if let Some(twin) = name.slash_twin()
            && self.existing(&twin)?.is_some()
        {
            return Err(StoreError::Misuse(format!("`{name}` cannot exist beside `{twin}`")));
        }
        let auxiliary = name.auxiliary_subject().is_some();
        if new.blob {
            self.use_blob(&new.digest, new.size)?;
        }
        let above = name.parent();
        let skip = above.as_ref().map_or(0, |parent| parent.as_str().len());
        self.group
            .prepare_cached(
                "INSERT INTO resources (storage, parent, name, segment, auxiliary, kind, media_type, size, blob, \
                 digest, version, modified) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            )?
            .execute(params![
                storage.0,
                parent,
                name.as_str(),
                name.as_str().get(skip..).unwrap_or(""),
                auxiliary,
                rows::kind_number(state.kind),
                state.media_type,
                signed(new.size),
                new.blob,
                new.digest,
                signed(self.next().0),
                self.now
            ])?;
        let id = ResourceId(self.group.last_insert_rowid());
        self.changes.created(id, name);
        if let (Some(parent), Some(above), false) = (parent, above, auxiliary) {
            self.relist(parent, 1)?;
            self.changes.updated(ResourceId(parent), &above);
        }
        Ok(id)
    }

    /// Moves the version of a container's listing, and its count of members.
    fn relist(&self, container: i64, difference: i64) -> Result<(), StoreError> {
        self.group
            .prepare_cached(
                "UPDATE resources SET members = members + ?2, members_version = ?3, members_modified = ?4 \
                 WHERE id = ?1",
            )?
            .execute(params![container, difference, signed(self.next().0), self.now])?;
        Ok(())
    }

    /// Makes a resource, and the containers above it where they are missing (solid#24).
    fn make(
        &mut self,
        storage: &Storage,
        name: &ResourceName,
        state: &NewState,
        new: &Weighed,
    ) -> Result<ResourceId, StoreError> {
        if let Some((subject, _)) = name.auxiliary_subject()
            && self.existing(&subject)?.is_none()
        {
            return Err(StoreError::Misuse(format!("`{name}` would describe nothing")));
        }
        let (mut parent, mut missing) = self.container_of(storage, name)?;
        let made = (missing.len() as u64).saturating_add(1);
        self.account(storage, 0, new.size.saturating_add(made.saturating_mul(RESOURCE_BYTES)))?;
        while let Some(container) = missing.pop() {
            let (state, weighed) = empty_container();
            parent = self.add(storage.id, Some(parent), &container, &state, &weighed)?.0;
        }
        self.add(storage.id, Some(parent), name, state, new)
    }

    /// The nearest container above a resource, and those that are missing between them, the upper ones last.
    fn container_of(&self, storage: &Storage, name: &ResourceName) -> Result<(i64, Vec<ResourceName>), StoreError> {
        let mut missing = Vec::new();
        let mut above = name.parent();
        loop {
            let Some(container) = above.filter(|container| container.is_within(&storage.root)) else {
                return Err(StoreError::Damaged(format!("storage `{}` has no root", storage.root)));
            };
            if let Some(existing) = self.existing(&container)? {
                return Ok((existing.id.0, missing));
            }
            above = container.parent();
            missing.push(container);
        }
    }

    fn remove_row(&mut self, name: &ResourceName, old: &Existing) -> Result<(), StoreError> {
        let storage = self.storage_of(name)?;
        self.account(&storage, old.size.saturating_add(RESOURCE_BYTES), 0)?;
        if old.blob {
            self.leave_blob(&old.digest)?;
        }
        self.group
            .prepare_cached("DELETE FROM resources WHERE id = ?1")?
            .execute(params![old.id.0])?;
        self.changes.deleted(old.id, name);
        if let (Some(parent), None) = (old.parent, name.auxiliary_subject()) {
            self.relist(parent, -1)?;
            if let Some(above) = name.parent() {
                self.changes.updated(ResourceId(parent), &above);
            }
        }
        Ok(())
    }
}

fn empty_container() -> (NewState, Weighed) {
    let state = NewState {
        kind: ResourceKind::Container,
        media_type: CONTAINER_MEDIA_TYPE.to_owned(),
        body: NewBody::Bytes(bytes::Bytes::new()),
    };
    let weighed = Weighed {
        digest: Sha256::digest([]).into(),
        size: 0,
        blob: false,
    };
    (state, weighed)
}

impl Reads for WriteTransaction<'_> {
    fn connection(&self) -> Result<&Connection, StoreError> {
        Ok(self.group)
    }

    fn as_of(&self) -> Sequence {
        self.before
    }

    fn blobs(&self) -> &BlobDirectory {
        self.around.blobs
    }

    fn caches(&self) -> Option<&Caches> {
        None
    }

    fn remembered(&self, name: &ResourceName) -> Option<Option<Arc<Resource>>> {
        // What is in memory is the last committed state: the same that is seen here, unless this group changed it.
        (self.changes.is_empty() && !self.touched.contains(name))
            .then(|| self.around.caches.latest(name))
            .flatten()
    }
}

impl WriteTransaction<'_> {
    fn put_inside(&mut self, name: &ResourceName, state: NewState) -> Result<Resource, StoreError> {
        self.around.health.check_room()?;
        if (state.kind == ResourceKind::Container) != name.is_container() {
            return Err(StoreError::Misuse(format!(
                "`{name}` cannot be a {:?}: containers, and only they, end with a slash",
                state.kind
            )));
        }
        let storage = self.storage_of(name)?;
        let new = self.weigh(name, &state.body)?;
        if !new.blob {
            self.changes.weigh(usize::try_from(new.size).unwrap_or(usize::MAX));
        }
        let old = self.existing(name)?;
        let id = match &old {
            Some(old) => {
                self.account(&storage, old.size, new.size)?;
                self.overwrite(old, &state, &new)?;
                self.changes.updated(old.id, name);
                if let (Some(parent), None, Some(above)) = (old.parent, name.auxiliary_subject(), name.parent()) {
                    // The listing shows size and time of the member, so it is another listing now.
                    self.relist(parent, 0)?;
                    self.changes.touch(&above);
                }
                old.id
            }
            None => self.make(&storage, name, &state, &new)?,
        };
        self.keep_inline(id, &state.body)?;
        if state.kind == ResourceKind::Container {
            // Its listing has a version of its own.
            return self
                .resource_by_id(id)?
                .ok_or_else(|| StoreError::Damaged(format!("`{name}` vanished while it was written")));
        }
        Ok(Resource {
            id,
            storage: storage.id,
            name: name.clone(),
            kind: state.kind,
            media_type: state.media_type,
            size: new.size,
            version: self.next(),
            modified: self.now,
            body: if new.blob {
                BodyLocation::Blob(new.digest)
            } else {
                BodyLocation::Inline
            },
        })
    }

    fn remove_inside(&mut self, name: &ResourceName) -> Result<bool, StoreError> {
        let Some(old) = self.existing(name)? else {
            return Ok(false);
        };
        if old.members > 0 {
            return Err(StoreError::Misuse(format!("`{name}` still has members")));
        }
        for auxiliary in [Auxiliary::Acl, Auxiliary::Description] {
            self.remove_inside(&name.auxiliary(auxiliary))?;
        }
        self.remove_row(name, &old)?;
        if old.parent.is_none() {
            self.group
                .prepare_cached("DELETE FROM storages WHERE root = ?1")?
                .execute(params![name.as_str()])?;
        }
        Ok(true)
    }

    fn create_storage_inside(&mut self, root: &ResourceName, owner: &str) -> Result<Storage, StoreError> {
        self.around.health.check_room()?;
        if root.storage_root().as_ref() != Some(root) {
            return Err(StoreError::Misuse(format!("`{root}` cannot be the root of a storage")));
        }
        if read::storage(self.group, root)?.is_some() {
            return Err(StoreError::Misuse(format!("storage `{root}` exists already")));
        }
        self.group
            .prepare_cached("INSERT INTO storages (root, owner, bytes_used) VALUES (?1, ?2, ?3)")?
            .execute(params![root.as_str(), owner, signed(RESOURCE_BYTES)])?;
        let id = StorageId(self.group.last_insert_rowid());
        if u32::try_from(id.0).is_err() {
            return Err(StoreError::Full("no more storages fit".to_owned()));
        }
        let (state, weighed) = empty_container();
        self.add(id, None, root, &state, &weighed)?;
        Ok(Storage {
            id,
            root: root.clone(),
            owner: owner.to_owned(),
            bytes_used: RESOURCE_BYTES,
        })
    }

    fn record_put_inside(&mut self, kind: RecordKind, key: &str, value: &[u8]) -> Result<(), StoreError> {
        self.changes.weigh(key.len() + value.len());
        self.group
            .prepare_cached("INSERT OR REPLACE INTO records (kind, key, value) VALUES (?1, ?2, ?3)")?
            .execute(params![rows::record_word(kind), key, value])?;
        self.changes.record(kind, key, false);
        Ok(())
    }

    fn record_delete_inside(&mut self, kind: RecordKind, key: &str) -> Result<bool, StoreError> {
        let removed = self
            .group
            .prepare_cached("DELETE FROM records WHERE kind = ?1 AND key = ?2")?
            .execute(params![rows::record_word(kind), key])?;
        if removed > 0 {
            self.changes.record(kind, key, true);
        }
        Ok(removed > 0)
    }

    fn audit_inside(&mut self, entry: &AuditEntry) -> Result<u64, StoreError> {
        self.changes.weigh(entry.record.len() + entry.subjects.len());
        self.changes.note();
        let leaf = match self.leaves {
            Some(leaves) => leaves,
            None => audit_rows::size(self.group)?,
        };
        audit_rows::append(self.group, leaf, entry)?;
        self.leaves = Some(leaf + 1);
        Ok(leaf)
    }
}

impl Transaction for WriteTransaction<'_> {
    fn next_sequence(&self) -> Sequence {
        self.next()
    }

    fn put(&mut self, name: &ResourceName, state: NewState) -> Result<Resource, StoreError> {
        self.whole(|inside| inside.put_inside(name, state))
    }

    fn remove(&mut self, name: &ResourceName) -> Result<bool, StoreError> {
        self.whole(|inside| inside.remove_inside(name))
    }

    fn create_storage(&mut self, root: &ResourceName, owner: &str) -> Result<Storage, StoreError> {
        self.whole(|inside| inside.create_storage_inside(root, owner))
    }

    fn record_put(&mut self, kind: RecordKind, key: &str, value: &[u8]) -> Result<(), StoreError> {
        self.whole(|inside| inside.record_put_inside(kind, key, value))
    }

    fn record_delete(&mut self, kind: RecordKind, key: &str) -> Result<bool, StoreError> {
        self.whole(|inside| inside.record_delete_inside(kind, key))
    }

    fn audit(&mut self, entry: &AuditEntry) -> Result<u64, StoreError> {
        self.whole(|inside| inside.audit_inside(entry))
    }

    fn audit_purge(&mut self, leaves: &[u64]) -> Result<(), StoreError> {
        self.whole(|inside| audit_purge::purge(inside.group, leaves))
    }

    fn audit_disown(&mut self, storage: StorageId, leaves: &[u64]) -> Result<(), StoreError> {
        self.whole(|inside| audit_purge::disown(inside.group, storage, leaves))
    }

    fn audit_unlink(&mut self, set: i64, storage: StorageId, left: &[(u64, u64, [u8; 32])]) -> Result<(), StoreError> {
        self.whole(|inside| audit_purge::unlink(inside.group, set, storage, left))
    }
}
