//! Taking readable records out of the audit log: by age, or because a person left. Leaves and tree stay as they are.

use std::collections::BTreeMap;

use rusqlite::{Connection, params};

use super::audit_rows::{self, entry_owners};
use super::read::{all, one};
use super::rows::{self, signed};
use crate::store::{Concerning, StorageId, StorageSet, StoreError, StoredAuditEntry};

pub(super) fn details(connection: &Connection, from: u64, limit: usize) -> Result<Vec<StoredAuditEntry>, StoreError> {
    let sql = "SELECT leaf FROM audit_records WHERE leaf >= ?1 ORDER BY leaf LIMIT ?2";
    let leaves: Vec<i64> = all(connection, sql, params![signed(from), rows::limit(limit)], |row| {
        row.get(0)
    })?;
    leaves
        .into_iter()
        .map(|leaf| audit_rows::entry(connection, leaf))
        .collect()
}

pub(super) fn concerning(
    connection: &Connection,
    storage: StorageId,
    limit: usize,
) -> Result<Vec<Concerning>, StoreError> {
    let mut found = Vec::new();
    for set in audit_rows::sets_with(connection, storage)?.into_iter().take(limit) {
        let members = "SELECT members FROM audit_subject_sets WHERE id = ?1";
        let records = "SELECT leaf, record FROM audit_records WHERE subject_set = ?1 ORDER BY leaf";
        found.push(Concerning {
            set,
            members: one(connection, members, params![set], |row| row.get(0))?.unwrap_or_default(),
            records: all(connection, records, params![set], |row| {
                Ok((row.get::<_, i64>(0)?.unsigned_abs(), row.get(1)?))
            })?,
        });
    }
    Ok(found)
}

pub(super) fn erased(connection: &Connection, leaf: u64) -> Result<BTreeMap<u64, [u8; 32]>, StoreError> {
    let sql = "SELECT position, commitment FROM audit_erased WHERE leaf = ?1";
    let rows = all(connection, sql, params![signed(leaf)], |row| {
        Ok((row.get::<_, i64>(0)?.unsigned_abs(), row.get(1)?))
    })?;
    Ok(rows.into_iter().collect())
}

/// Deletes readable records; what they took on the disk is overwritten with zeros.
pub(super) fn purge(connection: &Connection, leaves: &[u64]) -> Result<(), StoreError> {
    overwriting(connection, |connection| {
        for leaf in leaves {
            let leaf = signed(*leaf);
            for owner in entry_owners(connection, leaf)? {
                connection
                    .prepare_cached("DELETE FROM audit_owners WHERE storage = ?1 AND leaf = ?2")?
                    .execute(params![owner.0, leaf])?;
            }
            let set: Option<Option<i64>> = one(
                connection,
                "SELECT subject_set FROM audit_records WHERE leaf = ?1",
                params![leaf],
                |row| row.get(0),
            )?;
            connection
                .prepare_cached("DELETE FROM audit_records WHERE leaf = ?1")?
                .execute(params![leaf])?;
            connection
                .prepare_cached("DELETE FROM audit_erased WHERE leaf = ?1")?
                .execute(params![leaf])?;
            if let Some(Some(set)) = set {
                drop_unused(connection, set)?;
            }
        }
        Ok(())
    })
}

/// A set of data subjects that no record names any more.
fn drop_unused(connection: &Connection, set: i64) -> Result<(), StoreError> {
    let used = "SELECT 1 FROM audit_records WHERE subject_set = ?1 LIMIT 1";
    if one(connection, used, params![set], |row| row.get::<_, i64>(0))?.is_some() {
        return Ok(());
    }
    let sql = "SELECT members FROM audit_subject_sets WHERE id = ?1";
    let members: Vec<u8> = one(connection, sql, params![set], |row| row.get(0))?.unwrap_or_default();
    drop_set(connection, set, &StorageSet::from_bytes(&members)?)
}

fn drop_set(connection: &Connection, set: i64, members: &StorageSet) -> Result<(), StoreError> {
    for storage in members.iter() {
        connection
            .prepare_cached("DELETE FROM audit_subjects WHERE storage = ?1 AND subject_set = ?2")?
            .execute(params![storage.0, set])?;
    }
    connection
        .prepare_cached("DELETE FROM audit_subject_sets WHERE id = ?1")?
        .execute(params![set])?;
    Ok(())
}

/// Takes a storage from the owners of leaves.
pub(super) fn disown(connection: &Connection, storage: StorageId, leaves: &[u64]) -> Result<(), StoreError> {
    for leaf in leaves {
        let leaf = signed(*leaf);
        let others: Vec<String> = entry_owners(connection, leaf)?
            .into_iter()
            .filter(|owner| *owner != storage)
            .map(|owner| owner.0.to_string())
            .collect();
        connection
            .prepare_cached("UPDATE audit_records SET owners = ?2 WHERE leaf = ?1")?
            .execute(params![leaf, others.join(",")])?;
        connection
            .prepare_cached("DELETE FROM audit_owners WHERE storage = ?1 AND leaf = ?2")?
            .execute(params![storage.0, leaf])?;
    }
    Ok(())
}

/// Takes a storage out of a set of data subjects. The set may then be one that there is already.
pub(super) fn unlink(
    connection: &Connection,
    set: i64,
    storage: StorageId,
    left: &[(u64, u64, [u8; 32])],
) -> Result<(), StoreError> {
    for (leaf, position, commitment) in left {
        connection
            .prepare_cached("INSERT OR REPLACE INTO audit_erased (leaf, position, commitment) VALUES (?1, ?2, ?3)")?
            .execute(params![signed(*leaf), signed(*position), commitment])?;
    }
    let sql = "SELECT members FROM audit_subject_sets WHERE id = ?1";
    let Some(members) = one(connection, sql, params![set], |row| row.get::<_, Vec<u8>>(0))? else {
        return Ok(());
    };
    let before = StorageSet::from_bytes(&members)?;
    let mut after = before.clone();
    after.remove(storage);
    if after == before {
        return Ok(());
    }
    overwriting(connection, |connection| {
        let into = match after.is_empty() {
            true => None,
            false => audit_rows::subject_set(connection, &after.to_bytes(), &after)?,
        };
        connection
            .prepare_cached("UPDATE audit_records SET subject_set = ?2 WHERE subject_set = ?1")?
            .execute(params![set, into])?;
        drop_set(connection, set, &before)
    })
}

/// Deletes with the space overwritten, and then as before: the rest of the store is in no need of it.
fn overwriting<T>(
    connection: &Connection,
    work: impl FnOnce(&Connection) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    connection.pragma_update(None, "secure_delete", true)?;
    let done = work(connection);
    connection.pragma_update(None, "secure_delete", false)?;
    done
}
