//! A consent as it is stored in its person's storage: every version, the words that were shown, and who asked.
//!
//! Versions are only added. The last one counts.

use std::collections::BTreeMap;

use policies::consent::{ConsentError, ConsentEvent, ConsentRecord, ConsentStatus, Mandate};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;

use crate::dataspace::agreement::{read_json, to_json};
use crate::store::{RecordKind, Snapshot, StoreError, Transaction};

/// A consent with its history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredConsent {
    /// All versions, oldest first.
    pub versions: Vec<ConsentRecord>,
    /// The exact words that the person was shown; their hash stands in the record.
    pub notice_text: String,
    /// WebID of whoever asked; none when the person gave it on their own account.
    pub requested_by: Option<String>,
    /// The words in other languages, by language tag.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub translations: BTreeMap<String, String>,
    /// What the mandate rested on under which a version was made, in the person's words, by version. For the person, the
    /// controller and whoever acted; no record tells it to recipients.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub bases: BTreeMap<u32, String>,
    /// Where the audit log tells of a version: position by version.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub leaves: BTreeMap<u32, u64>,
}

impl StoredConsent {
    /// A consent with its first version.
    #[must_use]
    pub fn new(first: ConsentRecord, notice_text: String, requested_by: Option<String>) -> Self {
        Self {
            versions: vec![first],
            notice_text,
            requested_by,
            translations: BTreeMap::new(),
            bases: BTreeMap::new(),
            leaves: BTreeMap::new(),
        }
    }

    /// The version that counts; none only in a damaged store.
    #[must_use]
    pub fn current(&self) -> Option<&ConsentRecord> {
        self.versions.last()
    }

    /// Keeps beside the present version what its mandate rests on.
    pub(super) fn note_basis(&mut self, mandate: Option<&Mandate>) {
        if let (Some(version), Some(mandate)) = (self.current().map(|record| record.version), mandate) {
            self.bases.insert(version, mandate.basis.clone());
        }
    }

    /// Adds the version after an event.
    ///
    /// # Errors
    /// When the state machine does not allow it; then nothing has changed.
    pub fn step(&mut self, event: ConsentEvent, now: OffsetDateTime) -> Result<(), ConsentError> {
        let next = self.current().ok_or(ConsentError::Versions)?.next(event, now)?;
        self.versions.push(next);
        Ok(())
    }

    /// Where it stands at an instant: its end counts also where nobody has written it down.
    #[must_use]
    pub fn status_at(&self, now: OffsetDateTime) -> ConsentStatus {
        match self.current() {
            None => ConsentStatus::Expired,
            Some(record) => match record.status {
                status if (status.permits() || status.waits()) && now >= record.expires_at => ConsentStatus::Expired,
                status => status,
            },
        }
    }
}

/// The hash of a notice as records carry it.
#[must_use]
pub fn notice_hash(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}

/// The record key of a consent.
#[must_use]
pub fn key(storage: &str, id: &str) -> String {
    format!("{storage}/{id}")
}

/// Reads a consent.
///
/// # Errors
/// When the store fails or is damaged.
pub fn load(snapshot: &dyn Snapshot, key: &str) -> Result<Option<StoredConsent>, StoreError> {
    read_json(snapshot.record(RecordKind::Consent, key)?, key)
}

/// Writes a consent.
///
/// # Errors
/// When the store fails.
pub fn save(transaction: &mut dyn Transaction, key: &str, consent: &StoredConsent) -> Result<(), StoreError> {
    transaction.record_put(RecordKind::Consent, key, &to_json(consent)?)
}

/// All consents of a storage, oldest name first, at most `limit`.
///
/// # Errors
/// When the store fails or is damaged.
pub fn of_storage(
    snapshot: &dyn Snapshot,
    storage: &str,
    limit: usize,
) -> Result<Vec<(String, StoredConsent)>, StoreError> {
    let prefix = key(storage, "");
    let mut found = Vec::new();
    for (key, bytes) in snapshot.records(RecordKind::Consent, &prefix, None, limit)? {
        let id = key.strip_prefix(&prefix).unwrap_or(&key).to_owned();
        found.extend(read_json(Some(bytes), &key)?.map(|consent| (id, consent)));
    }
    Ok(found)
}
