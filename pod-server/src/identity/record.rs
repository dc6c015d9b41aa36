//! Records of identity in the store, as JSON.

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::store::{RecordKind, Snapshot, Transaction};

use super::error::IdentityError;

/// Reads a record.
///
/// # Errors
/// When the store fails or the record is damaged.
pub fn read<T: DeserializeOwned>(
    snapshot: &(impl Snapshot + ?Sized),
    kind: RecordKind,
    key: &str,
) -> Result<Option<T>, IdentityError> {
    snapshot
        .record(kind, key)?
        .map(|bytes| decode(kind, key, &bytes))
        .transpose()
}

/// Understands the bytes of a record.
///
/// # Errors
/// When the record is damaged.
pub fn decode<T: DeserializeOwned>(kind: RecordKind, key: &str, bytes: &[u8]) -> Result<T, IdentityError> {
    serde_json::from_slice(bytes).map_err(|error| {
        tracing::error!(?kind, %error, "a record is damaged");
        IdentityError::Damaged {
            kind: name(kind),
            key: key.to_owned(),
        }
    })
}

/// Writes a record.
///
/// # Errors
/// When the store fails.
pub fn write<T: Serialize>(
    transaction: &mut (impl Transaction + ?Sized),
    kind: RecordKind,
    key: &str,
    value: &T,
) -> Result<(), IdentityError> {
    let bytes = serde_json::to_vec(value).map_err(|_| IdentityError::Damaged {
        kind: name(kind),
        key: key.to_owned(),
    })?;
    Ok(transaction.record_put(kind, key, &bytes)?)
}

/// The key under which a secret is known: its SHA-256. Enough for secrets of 32 random bytes, which cannot be guessed.
#[must_use]
pub fn digest(secret: &str) -> String {
    hex::encode(Sha256::digest(secret.as_bytes()))
}

const fn name(kind: RecordKind) -> &'static str {
    match kind {
        RecordKind::Account => "account",
        RecordKind::Login => "login",
        RecordKind::ClientCredential => "client credential",
        RecordKind::Session => "session",
        _ => "issuer",
    }
}
