//! The audit log inside the database: leaves and tree through `server_kit`, readable records beside them.

use std::collections::BTreeSet;

use rusqlite::{Connection, Transaction, params};
use server_kit::audit_log::{self, AuditLogError};
use sha2::{Digest, Sha256};

use super::read::{all, one};
use super::rows::{self, signed};
use crate::store::{AuditEntry, StorageId, StorageSet, StoreError, StoredAuditEntry};

/// Sets with more members than this have no row per member; they are looked through one by one instead.
const NARROW_MEMBERS_MAX: u64 = 64;

/// Appends an entry as the leaf with this index, which is the number of leaves before it.
pub(super) fn append(connection: &Transaction<'_>, leaf: u64, entry: &AuditEntry) -> Result<(), StoreError> {
    let subjects = StorageSet::from_bytes(&entry.subjects)?;
    let set = subject_set(connection, &entry.subjects, &subjects)?;
    audit_log::append_at(connection, leaf, &entry.leaf).map_err(log_error)?;
    let owners: Vec<String> = entry.storages.iter().map(|storage| storage.0.to_string()).collect();
    connection
        .prepare_cached("INSERT INTO audit_records (leaf, record, owners, subject_set) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![signed(leaf), entry.record, owners.join(","), set])?;
    let mut owned = connection.prepare_cached("INSERT OR IGNORE INTO audit_owners (storage, leaf) VALUES (?1, ?2)")?;
    for storage in &entry.storages {
        owned.execute(params![storage.0, signed(leaf)])?;
    }
    Ok(())
}

/// Finds or makes the row of a set of data subjects.
pub(super) fn subject_set(
    connection: &Connection,
    bytes: &[u8],
    members: &StorageSet,
) -> Result<Option<i64>, StoreError> {
    if members.is_empty() {
        return Ok(None);
    }
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    let sql = "SELECT id FROM audit_subject_sets WHERE digest = ?1";
    if let Some(id) = one(connection, sql, params![digest], |row| row.get(0))? {
        return Ok(Some(id));
    }
    let wide = members.len() > NARROW_MEMBERS_MAX;
    connection
        .prepare_cached("INSERT INTO audit_subject_sets (digest, members, wide) VALUES (?1, ?2, ?3)")?
        .execute(params![digest, bytes, wide])?;
    let id = connection.last_insert_rowid();
    if !wide {
        let mut insert =
            connection.prepare_cached("INSERT INTO audit_subjects (storage, subject_set) VALUES (?1, ?2)")?;
        for storage in members.iter() {
            insert.execute(params![storage.0, id])?;
        }
    }
    Ok(Some(id))
}

/// Entries that concern a storage as owner or data subject, newest first.
pub(super) fn entries(
    connection: &Connection,
    storage: StorageId,
    before: Option<u64>,
    limit: usize,
) -> Result<Vec<StoredAuditEntry>, StoreError> {
    let before = before.map_or(i64::MAX, signed);
    let first = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
    let owned = "SELECT leaf FROM audit_owners WHERE storage = ?1 AND leaf < ?2 ORDER BY leaf DESC LIMIT ?3";
    let page = params![storage.0, before, rows::limit(limit)];
    let mut leaves: BTreeSet<i64> = all(connection, owned, page, first)?.into_iter().collect();
    let concerned = "SELECT leaf FROM audit_records WHERE subject_set = ?1 AND leaf < ?2 ORDER BY leaf DESC LIMIT ?3";
    for set in sets_with(connection, storage)? {
        leaves.extend(all(
            connection,
            concerned,
            params![set, before, rows::limit(limit)],
            first,
        )?);
        // Only the newest of all these lists are wanted.
        while leaves.len() > limit {
            leaves.pop_first();
        }
    }
    leaves.into_iter().rev().map(|leaf| entry(connection, leaf)).collect()
}

/// The sets of data subjects that hold a storage.
pub(super) fn sets_with(connection: &Connection, storage: StorageId) -> Result<Vec<i64>, StoreError> {
    let narrow = "SELECT subject_set FROM audit_subjects WHERE storage = ?1";
    let mut sets: Vec<i64> = all(connection, narrow, params![storage.0], |row| row.get(0))?;
    let mut statement = connection.prepare_cached("SELECT id, members FROM audit_subject_sets WHERE wide = 1")?;
    let mut wide = statement.query([])?;
    while let Some(row) = wide.next()? {
        if StorageSet::from_bytes(row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?)?.contains(storage) {
            sets.push(row.get(0)?);
        }
    }
    Ok(sets)
}

pub(super) fn entry(connection: &Connection, leaf: i64) -> Result<StoredAuditEntry, StoreError> {
    let sql = "SELECT record, owners, members FROM audit_records \
               LEFT JOIN audit_subject_sets ON audit_subject_sets.id = subject_set WHERE leaf = ?1";
    let found = one(connection, sql, params![leaf], |row| {
        let subjects: Option<Vec<u8>> = row.get(2)?;
        Ok((
            row.get::<_, Vec<u8>>(0)?,
            row.get::<_, String>(1)?,
            subjects.unwrap_or_default(),
        ))
    })?;
    let leaf_index = u64::try_from(leaf).unwrap_or(0);
    let hash = leaves(connection, leaf_index, 1)?.pop();
    let (Some((record, owners, subjects)), Some(hash)) = (found, hash) else {
        return Err(StoreError::Damaged(format!("audit leaf {leaf} lacks its record")));
    };
    let storages = parsed(&owners, leaf)?;
    Ok(StoredAuditEntry {
        leaf_index,
        entry: AuditEntry {
            leaf: hash,
            record,
            storages,
            subjects,
        },
    })
}

/// The storages whose owners see a record; none if there is no such record.
pub(super) fn entry_owners(connection: &Connection, leaf: i64) -> Result<Vec<StorageId>, StoreError> {
    let sql = "SELECT owners FROM audit_records WHERE leaf = ?1";
    let owners: Option<String> = one(connection, sql, params![leaf], |row| row.get(0))?;
    parsed(&owners.unwrap_or_default(), leaf)
}

fn parsed(owners: &str, leaf: i64) -> Result<Vec<StorageId>, StoreError> {
    owners
        .split(',')
        .filter(|id| !id.is_empty())
        .map(|id| id.parse().map(StorageId))
        .collect::<Result<_, _>>()
        .map_err(|_| StoreError::Damaged(format!("the owners of audit leaf {leaf} cannot be read")))
}

pub(super) fn size(connection: &Connection) -> Result<u64, StoreError> {
    audit_log::size(connection).map_err(log_error)
}

pub(super) fn leaves(connection: &Connection, from: u64, count: u64) -> Result<Vec<[u8; 32]>, StoreError> {
    audit_log::leaves(connection, from, count).map_err(log_error)
}

pub(super) fn root(connection: &Connection, size: u64) -> Result<[u8; 32], StoreError> {
    audit_log::root(connection, size).map_err(log_error)
}

pub(super) fn inclusion(connection: &Connection, leaf: u64, size: u64) -> Result<Vec<[u8; 32]>, StoreError> {
    audit_log::inclusion(connection, leaf, size).map_err(log_error)
}

pub(super) fn consistency(connection: &Connection, from: u64, to: u64) -> Result<Vec<[u8; 32]>, StoreError> {
    audit_log::consistency(connection, from, to).map_err(log_error)
}

pub(super) fn tile(connection: &Connection, level: u8, index: u64, width: u16) -> Result<Vec<u8>, StoreError> {
    audit_log::tile(connection, level, index, width).map_err(log_error)
}

/// The log's own errors in the store's terms.
pub(super) fn log_error(error: AuditLogError) -> StoreError {
    match error {
        AuditLogError::Database(error) => StoreError::Database(error),
        AuditLogError::Io(error) => StoreError::File(error),
        out_of_range @ AuditLogError::OutOfRange { .. } => StoreError::Misuse(out_of_range.to_string()),
        damaged => StoreError::Damaged(damaged.to_string()),
    }
}
