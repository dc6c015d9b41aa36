//! Reading rows: the same for a view, for the inside of a commit, and for listeners.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest, Sha256};

use super::blobs::BlobDirectory;
use super::cache::Caches;
use super::rows::{self, signed, unsigned};
use super::{audit_purge, audit_rows};
use crate::name::{Auxiliary, ResourceName};
use crate::store::{
    Body, BodyLocation, Change, Concerning, Event, Member, RecordKind, Resource, ResourceId, Sequence, Snapshot,
    Storage, StorageId, StoreError, StoredAuditEntry,
};

/// What reading needs: a connection inside a transaction, and what lies beside the database.
pub(super) trait Reads {
    fn connection(&self) -> Result<&Connection, StoreError>;
    /// The last commit in this view.
    fn as_of(&self) -> Sequence;
    fn blobs(&self) -> &BlobDirectory;
    /// None where uncommitted states are visible.
    fn caches(&self) -> Option<&Caches>;
    /// What this view shows under a name, if that is in memory.
    fn remembered(&self, name: &ResourceName) -> Option<Option<Arc<Resource>>> {
        self.caches()?.as_of(name, self.as_of())
    }
}

impl<T: Reads> Snapshot for T {
    fn sequence(&self) -> Result<Sequence, StoreError> {
        Ok(self.as_of())
    }

    fn resources_ever(&self) -> Result<u64, StoreError> {
        let last = one(
            self.connection()?,
            "SELECT id FROM resources ORDER BY id DESC LIMIT 1",
            [],
            |row| unsigned(row, 0),
        )?;
        Ok(last.unwrap_or(0))
    }

    fn resource(&self, name: &ResourceName) -> Result<Option<Resource>, StoreError> {
        Ok(find(self, name)?.map(Arc::unwrap_or_clone))
    }

    fn resource_by_id(&self, id: ResourceId) -> Result<Option<Resource>, StoreError> {
        let sql = format!("SELECT {} FROM resources WHERE id = ?1", rows::RESOURCE);
        one(self.connection()?, &sql, params![id.0], rows::resource)
    }

    fn body(&self, resource: &Resource) -> Result<Body, StoreError> {
        body(self, resource)
    }

    fn members(
        &self,
        container: &ResourceName,
        after: Option<&ResourceName>,
        limit: usize,
    ) -> Result<Vec<Member>, StoreError> {
        // A segment sorts as the whole name does, because what stands before it is the same for all members.
        let skip = container.as_str().len();
        let after = after.and_then(|name| name.as_str().get(skip..)).unwrap_or("");
        let sql = format!(
            "SELECT {} FROM resources WHERE parent = (SELECT id FROM resources WHERE name = ?1) \
             AND auxiliary = 0 AND segment > ?2 ORDER BY segment LIMIT ?3",
            rows::MEMBER
        );
        all(
            self.connection()?,
            &sql,
            params![container.as_str(), after, rows::limit(limit)],
            rows::member,
        )
    }

    fn member_count(&self, container: &ResourceName) -> Result<u64, StoreError> {
        let sql = "SELECT members FROM resources WHERE name = ?1";
        let count = one(self.connection()?, sql, params![container.as_str()], |row| {
            unsigned(row, 0)
        })?;
        Ok(count.unwrap_or(0))
    }

    fn descendants(
        &self,
        container: &ResourceName,
        after: Option<&ResourceName>,
        limit: usize,
    ) -> Result<Vec<Resource>, StoreError> {
        // `0` follows `/` in the order of bytes: everything below `/a/` lies between `/a/` and `/a0`.
        let beyond = format!("{}0", container.as_str().trim_end_matches('/'));
        let from = after.unwrap_or(container).max(container);
        let sql = format!(
            "SELECT {} FROM resources WHERE name > ?1 AND name < ?2 ORDER BY name LIMIT ?3",
            rows::RESOURCE
        );
        all(
            self.connection()?,
            &sql,
            params![from.as_str(), beyond, rows::limit(limit)],
            rows::resource,
        )
    }

    fn effective_acl(&self, name: &ResourceName) -> Result<Option<(ResourceName, Resource)>, StoreError> {
        let found = nearest_acl(name, |acl| find(self, acl))?;
        Ok(found.map(|(subject, acl)| (subject, Arc::unwrap_or_clone(acl))))
    }

    fn storage(&self, root: &ResourceName) -> Result<Option<Storage>, StoreError> {
        storage(self.connection()?, root)
    }

    fn storage_by_id(&self, id: StorageId) -> Result<Option<Storage>, StoreError> {
        let sql = format!("SELECT {} FROM storages WHERE id = ?1", rows::STORAGE);
        one(self.connection()?, &sql, params![id.0], rows::storage)
    }

    fn storages(&self, after: Option<&ResourceName>, limit: usize) -> Result<Vec<Storage>, StoreError> {
        let after = after.map_or("", ResourceName::as_str);
        let sql = format!(
            "SELECT {} FROM storages WHERE root > ?1 ORDER BY root LIMIT ?2",
            rows::STORAGE
        );
        all(
            self.connection()?,
            &sql,
            params![after, rows::limit(limit)],
            rows::storage,
        )
    }

    fn record(&self, kind: RecordKind, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let sql = "SELECT value FROM records WHERE kind = ?1 AND key = ?2";
        one(self.connection()?, sql, params![rows::record_word(kind), key], |row| {
            row.get(0)
        })
    }

    fn records(
        &self,
        kind: RecordKind,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let mut statement = self.connection()?.prepare_cached(
            "SELECT key, value FROM records WHERE kind = ?1 AND key >= ?2 AND (?3 IS NULL OR key > ?3) ORDER BY key",
        )?;
        let from = after.map_or(prefix, |after| after.max(prefix));
        let mut rows = statement.query(params![rows::record_word(kind), from, after])?;
        let mut found = Vec::new();
        while found.len() < limit
            && let Some(row) = rows.next()?
        {
            let key: String = row.get(0)?;
            if !key.starts_with(prefix) {
                break;
            }
            found.push((key, row.get(1)?));
        }
        Ok(found)
    }

    fn events(&self, after: Sequence, limit: usize) -> Result<Vec<Event>, StoreError> {
        events(self.connection()?, after, limit)
    }

    fn audit_entries(
        &self,
        storage: StorageId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<StoredAuditEntry>, StoreError> {
        audit_rows::entries(self.connection()?, storage, before, limit)
    }

    fn audit_details(&self, from: u64, limit: usize) -> Result<Vec<StoredAuditEntry>, StoreError> {
        audit_purge::details(self.connection()?, from, limit)
    }

    fn audit_concerning(&self, storage: StorageId, limit: usize) -> Result<Vec<Concerning>, StoreError> {
        audit_purge::concerning(self.connection()?, storage, limit)
    }

    fn audit_erased(&self, leaf: u64) -> Result<BTreeMap<u64, [u8; 32]>, StoreError> {
        audit_purge::erased(self.connection()?, leaf)
    }

    fn audit_size(&self) -> Result<u64, StoreError> {
        audit_rows::size(self.connection()?)
    }

    fn audit_leaves(&self, from: u64, count: u64) -> Result<Vec<[u8; 32]>, StoreError> {
        audit_rows::leaves(self.connection()?, from, count)
    }

    fn audit_root(&self, size: u64) -> Result<[u8; 32], StoreError> {
        audit_rows::root(self.connection()?, size)
    }

    fn audit_inclusion(&self, leaf: u64, size: u64) -> Result<Vec<[u8; 32]>, StoreError> {
        audit_rows::inclusion(self.connection()?, leaf, size)
    }

    fn audit_consistency(&self, from: u64, to: u64) -> Result<Vec<[u8; 32]>, StoreError> {
        audit_rows::consistency(self.connection()?, from, to)
    }

    fn audit_tile(&self, level: u8, index: u64, width: u16) -> Result<Vec<u8>, StoreError> {
        audit_rows::tile(self.connection()?, level, index, width)
    }
}

/// A resource by name, from memory where the view allows it.
pub(super) fn find<R: Reads + ?Sized>(reads: &R, name: &ResourceName) -> Result<Option<Arc<Resource>>, StoreError> {
    if let Some(known) = reads.remembered(name) {
        return Ok(known);
    }
    let sql = format!("SELECT {} FROM resources WHERE name = ?1", rows::RESOURCE);
    let found = one(reads.connection()?, &sql, params![name.as_str()], rows::resource)?.map(Arc::new);
    if let Some(caches) = reads.caches() {
        caches.remember(name, found.clone(), reads.as_of());
    }
    Ok(found)
}

/// The bytes of a resource, checked against their digest when they come from the disk (D9).
pub(super) fn body<R: Reads + ?Sized>(reads: &R, resource: &Resource) -> Result<Body, StoreError> {
    if let BodyLocation::Blob(digest) = &resource.body {
        return Ok(Body::File {
            path: reads.blobs().path(digest),
            size: resource.size,
        });
    }
    if resource.size == 0 {
        return Ok(Body::Bytes(Bytes::new()));
    }
    if let Some(bytes) = reads.caches().and_then(|caches| caches.body(resource)) {
        return Ok(Body::Bytes(bytes));
    }
    let sql = "SELECT bytes, digest, max(version, members_version) FROM resources JOIN bodies ON resource = id \
               WHERE id = ?1";
    let found = one(reads.connection()?, sql, params![resource.id.0], |row| {
        let bytes: Vec<u8> = row.get(0)?;
        let digest: [u8; 32] = row.get(1)?;
        Ok((bytes, digest, unsigned(row, 2)?))
    })?;
    let Some((bytes, digest, version)) = found.filter(|(_, _, version)| *version == resource.version.0) else {
        return Err(StoreError::Misuse(format!(
            "the body of `{}` was asked from another view than the one that described it",
            resource.name
        )));
    };
    if <[u8; 32]>::from(Sha256::digest(&bytes)) != digest || version == 0 {
        return Err(StoreError::Damaged(format!(
            "the body of `{}` does not have its digest",
            resource.name
        )));
    }
    let bytes = Bytes::from(bytes);
    if let Some(caches) = reads.caches() {
        caches.remember_body(resource, &bytes);
    }
    Ok(Body::Bytes(bytes))
}

/// Walks from a resource upwards to the first access control list that exists.
pub(super) fn nearest_acl(
    name: &ResourceName,
    mut find: impl FnMut(&ResourceName) -> Result<Option<Arc<Resource>>, StoreError>,
) -> Result<Option<(ResourceName, Arc<Resource>)>, StoreError> {
    let mut subject = Some(name.clone());
    while let Some(candidate) = subject {
        if let Some(acl) = find(&candidate.auxiliary(Auxiliary::Acl))? {
            return Ok(Some((candidate, acl)));
        }
        subject = candidate.parent();
    }
    Ok(None)
}

pub(super) fn storage(connection: &Connection, root: &ResourceName) -> Result<Option<Storage>, StoreError> {
    let sql = format!("SELECT {} FROM storages WHERE root = ?1", rows::STORAGE);
    one(connection, &sql, params![root.as_str()], rows::storage)
}

/// The last commit in the database, and the last one whose events are no longer kept.
pub(super) fn state(connection: &Connection) -> Result<(Sequence, Sequence), StoreError> {
    let mut statement = connection.prepare_cached("SELECT sequence, events_after FROM state WHERE id = 1")?;
    Ok(statement.query_row([], |row| Ok((Sequence(unsigned(row, 0)?), Sequence(unsigned(row, 1)?))))?)
}

/// What the column `change` of an event means.
pub(super) mod change {
    pub(in crate::store::sqlite) const CREATED: i64 = 0;
    pub(in crate::store::sqlite) const UPDATED: i64 = 1;
    pub(in crate::store::sqlite) const DELETED: i64 = 2;
    pub(in crate::store::sqlite) const RECORD_WRITTEN: i64 = 3;
    pub(in crate::store::sqlite) const RECORD_DELETED: i64 = 4;
}

fn events(connection: &Connection, after: Sequence, limit: usize) -> Result<Vec<Event>, StoreError> {
    let (_, kept_after) = state(connection)?;
    if after < kept_after {
        return Err(StoreError::Forgotten { kept_after });
    }
    let mut statement = connection.prepare_cached(
        "SELECT sequence, change, resource, record_kind, name FROM events WHERE sequence > ?1 \
         ORDER BY sequence, ordinal",
    )?;
    let mut rows = statement.query(params![signed(after.0)])?;
    let mut events: Vec<Event> = Vec::new();
    while let Some(row) = rows.next()? {
        let sequence = Sequence(unsigned(row, 0)?);
        let commit_ended = events.last().is_some_and(|last| last.sequence != sequence);
        if commit_ended && events.len() >= limit {
            break;
        }
        let change = match row.get::<_, i64>(1)? {
            kind @ (change::RECORD_WRITTEN | change::RECORD_DELETED) => Change::Record {
                kind: rows::record_kind(row, 3)?,
                key: row.get(4)?,
                deleted: kind == change::RECORD_DELETED,
            },
            kind => {
                let id = ResourceId(row.get(2)?);
                let name = rows::name(row, 4)?;
                match kind {
                    change::CREATED => Change::Created { id, name },
                    change::UPDATED => Change::Updated { id, name },
                    change::DELETED => Change::Deleted { id, name },
                    other => return Err(StoreError::Damaged(format!("unknown change `{other}` in the outbox"))),
                }
            }
        };
        events.push(Event { sequence, change });
    }
    Ok(events)
}

/// At most one row.
pub(super) fn one<T>(
    connection: &Connection,
    sql: &str,
    parameters: impl rusqlite::Params,
    map: impl FnOnce(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
) -> Result<Option<T>, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    Ok(statement.query_row(parameters, map).optional()?)
}

/// All rows of a bounded query.
pub(super) fn all<T>(
    connection: &Connection,
    sql: &str,
    parameters: impl rusqlite::Params,
    map: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
) -> Result<Vec<T>, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map(parameters, map)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
