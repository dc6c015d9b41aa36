//! How often agreements were used whose policy limits that (ENF-15).
//!
//! A use is counted in one commit with its record in the log, before anything leaves: whatever happens to the answer
//! afterwards, the use is gone. The number never falls, also not when a backup is restored.

use crate::store::{RecordKind, Snapshot, StoreError, Transaction};

/// How often an agreement was used until now.
///
/// # Errors
/// If the store fails or is damaged.
pub fn until_now(snapshot: &dyn Snapshot, agreement: &str) -> Result<u64, StoreError> {
    let Some(bytes) = snapshot.record(RecordKind::Use, agreement)? else {
        return Ok(0);
    };
    let number = std::str::from_utf8(&bytes).ok().and_then(|text| text.parse().ok());
    number.ok_or_else(|| StoreError::Damaged(format!("the uses of `{agreement}` are no number")))
}

/// Counts one more use, if there were exactly `until_now` before; false, and nothing is counted, if there were others.
///
/// # Errors
/// If the store fails or is damaged.
pub fn take(transaction: &mut dyn Transaction, agreement: &str, until_now: u64) -> Result<bool, StoreError> {
    let stands = self::until_now(&*transaction, agreement)?;
    if stands != until_now || transaction.record(RecordKind::Agreement, agreement)?.is_none() {
        return Ok(false);
    }
    put(transaction, agreement, stands.saturating_add(1))?;
    Ok(true)
}

/// Sees to it that at least so many uses are counted; false when they are already, or the agreement is gone.
///
/// # Errors
/// If the store fails or is damaged.
pub fn at_least(transaction: &mut dyn Transaction, agreement: &str, uses: u64) -> Result<bool, StoreError> {
    let stands = until_now(&*transaction, agreement)?;
    if stands >= uses || transaction.record(RecordKind::Agreement, agreement)?.is_none() {
        return Ok(false);
    }
    put(transaction, agreement, uses)?;
    Ok(true)
}

fn put(transaction: &mut dyn Transaction, agreement: &str, uses: u64) -> Result<(), StoreError> {
    transaction.record_put(RecordKind::Use, agreement, uses.to_string().as_bytes())
}
