//! Bounds on single storages, besides the one for all of them (solid#62, T125).

use super::error::StoreError;
use super::event::RecordKind;
use super::snapshot::Snapshot;
use super::transaction::Transaction;
use crate::name::ResourceName;

/// What every resource counts for besides its body, in bytes: its name, its row and what refers to it. Stores hold sums of
/// it, so that another number needs another format.
pub const RESOURCE_BYTES: u64 = 512;

/// Key of the record with a storage's own bound.
#[must_use]
pub fn key(root: &ResourceName) -> String {
    format!("quota{root}")
}

/// Reads the value of such a record, in bytes.
///
/// # Errors
/// [`StoreError::Damaged`] when it is no number.
pub fn read(value: &[u8]) -> Result<u64, StoreError> {
    std::str::from_utf8(value)
        .ok()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| StoreError::Damaged("the bound of a storage is no number".to_owned()))
}

/// The bound that a storage has of its own, in bytes.
///
/// # Errors
/// When the store fails or is damaged.
pub fn of(snapshot: &dyn Snapshot, root: &ResourceName) -> Result<Option<u64>, StoreError> {
    let value = snapshot.record(RecordKind::Server, &key(root))?;
    value.map(|value| read(&value)).transpose()
}

/// Gives a storage a bound of its own, in bytes, or takes it away. What lies in it already stays.
///
/// # Errors
/// When the store fails.
pub fn assign(transaction: &mut dyn Transaction, root: &ResourceName, bytes: Option<u64>) -> Result<(), StoreError> {
    match bytes {
        Some(bytes) => transaction.record_put(RecordKind::Server, &key(root), bytes.to_string().as_bytes()),
        None => transaction.record_delete(RecordKind::Server, &key(root)).map(drop),
    }
}
