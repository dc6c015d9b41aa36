//! When and how often agreements were used whose policy looks at that, and since when data is held that has to be deleted
//! (ENF-15, ENF-19).
//!
//! A use is counted in one commit with its record in the log, before anything leaves: whatever happens to the answer
//! afterwards, the use is gone. The number never falls, also not when a backup is restored.

use serde::{Deserialize, Serialize};

use crate::store::{RecordKind, Snapshot, StoreError, Transaction};

/// The use of one agreement. Instants are Unix seconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// How often it was used.
    pub uses: u64,
    /// When first.
    pub first: Option<i64>,
    /// When last.
    pub last: Option<i64>,
    /// When the time before.
    pub before_last: Option<i64>,
    /// Since when the recipient has held something that it has not confirmed to have deleted; 0 when only the fact is
    /// known.
    pub held_since: Option<i64>,
    /// The recipient's last word that it deleted what it had received.
    pub deleted: Option<Deletion>,
}

/// A recipient's word that it deleted everything received until then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletion {
    /// Unix seconds.
    pub at: i64,
    /// In its own words.
    pub note: String,
}

/// The use of an agreement until now.
///
/// # Errors
/// If the store fails or is damaged.
pub fn usage(snapshot: &dyn Snapshot, agreement: &str) -> Result<Usage, StoreError> {
    let Some(bytes) = snapshot.record(RecordKind::Use, agreement)? else {
        return Ok(Usage::default());
    };
    let damaged = |_| StoreError::Damaged(format!("the uses of `{agreement}` cannot be read"));
    // Earlier releases kept the number alone.
    if let Some(uses) = std::str::from_utf8(&bytes).ok().and_then(|text| text.parse().ok()) {
        return Ok(Usage {
            uses,
            ..Usage::default()
        });
    }
    serde_json::from_slice(&bytes).map_err(damaged)
}

/// How often an agreement was used until now.
///
/// # Errors
/// If the store fails or is damaged.
pub fn until_now(snapshot: &dyn Snapshot, agreement: &str) -> Result<u64, StoreError> {
    usage(snapshot, agreement).map(|usage| usage.uses)
}

/// When an agreement was used before its last use; never, where that cannot be read: then the next decision, which reads the
/// same record, refuses.
#[must_use]
pub fn before_last(snapshot: &dyn Snapshot, agreement: &str) -> Option<time::OffsetDateTime> {
    let before = usage(snapshot, agreement).ok()?.before_last?;
    time::OffsetDateTime::from_unix_timestamp(before).ok()
}

/// Counts one more use at an instant, if there were exactly `until_now` before; false, and nothing is counted, if there
/// were others.
///
/// # Errors
/// If the store fails or is damaged.
pub fn take(transaction: &mut dyn Transaction, agreement: &str, until_now: u64, now: i64) -> Result<bool, StoreError> {
    let mut usage = usage(&*transaction, agreement)?;
    if usage.uses != until_now || transaction.record(RecordKind::Agreement, agreement)?.is_none() {
        return Ok(false);
    }
    usage.uses = usage.uses.saturating_add(1);
    usage.first.get_or_insert(now);
    usage.before_last = usage.last.replace(now);
    usage.held_since.get_or_insert(now);
    put(transaction, agreement, &usage)?;
    Ok(true)
}

/// Sees to it that at least so many uses are counted; false when they are already, or the agreement is gone. What was
/// received in the uses that come back counts as held.
///
/// # Errors
/// If the store fails or is damaged.
pub fn at_least(transaction: &mut dyn Transaction, agreement: &str, uses: u64) -> Result<bool, StoreError> {
    let mut usage = usage(&*transaction, agreement)?;
    if usage.uses >= uses || transaction.record(RecordKind::Agreement, agreement)?.is_none() {
        return Ok(false);
    }
    usage.uses = uses;
    usage.held_since.get_or_insert(0);
    put(transaction, agreement, &usage)?;
    Ok(true)
}

/// Keeps what a recipient says it deleted; false when nothing was held.
///
/// # Errors
/// If the store fails or is damaged.
pub fn delete_confirmed(
    transaction: &mut dyn Transaction,
    agreement: &str,
    deletion: Deletion,
) -> Result<bool, StoreError> {
    let mut usage = usage(&*transaction, agreement)?;
    if usage.held_since.take().is_none() {
        return Ok(false);
    }
    usage.deleted = Some(deletion);
    put(transaction, agreement, &usage)?;
    Ok(true)
}

fn put(transaction: &mut dyn Transaction, agreement: &str, usage: &Usage) -> Result<(), StoreError> {
    transaction.record_put(RecordKind::Use, agreement, &super::agreement::to_json(usage)?)
}
