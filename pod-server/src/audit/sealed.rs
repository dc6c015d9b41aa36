//! A readable record together with the salt that its leaf was made with: what the owner and the data subject keep.

use policies::audit::merkle;
use policies::audit::{self, AuditRecord, Hash};
use serde::{Deserialize, Serialize};

/// A record and its salt, as stored and as exported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// The record.
    pub record: AuditRecord,
    /// The salt, in hexadecimal. Without it the leaf says nothing.
    pub salt: String,
}

/// Why a sealed record cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SealedError {
    /// It is not what this server writes.
    #[error("not a sealed record: {0}")]
    Json(#[from] serde_json::Error),
    /// The salt is not 32 bytes in hexadecimal digits.
    #[error("the salt is not 32 bytes in hexadecimal digits")]
    Salt,
    /// The root over the people is not 32 bytes in hexadecimal digits.
    #[error("the root over the data subjects is not 32 bytes in hexadecimal digits")]
    SubjectsRoot,
}

impl Sealed {
    /// Reads what [`Self::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`SealedError::Json`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SealedError> {
        Ok(serde_json::from_slice(bytes)?)
    }

    /// Canonical JSON.
    ///
    /// # Errors
    /// When the time of the record cannot be written.
    pub fn to_bytes(&self) -> Result<Vec<u8>, SealedError> {
        around(&self.record.canonical_bytes()?, &self.salt)
    }

    /// Seals a record: the hash with which it stands in the tree, and what [`Self::from_bytes`] reads back. Both need the
    /// record's bytes, which are written once.
    ///
    /// # Errors
    /// As [`Self::to_bytes`].
    pub fn seal(record: &AuditRecord, salt: &[u8; 32], subjects_root: &Hash) -> Result<(Hash, Vec<u8>), SealedError> {
        let record = record.canonical_bytes()?;
        let mut digits = [0; 64];
        hex::encode_to_slice(salt, &mut digits).map_err(|_| SealedError::Salt)?;
        let text = std::str::from_utf8(&digits).map_err(|_| SealedError::Salt)?;
        Ok((leaf_of(&record, salt, subjects_root), around(&record, text)?))
    }

    /// The root over the people concerned that the record names; that of nobody if it names none.
    ///
    /// # Errors
    /// [`SealedError::SubjectsRoot`].
    pub fn subjects_root(&self) -> Result<Hash, SealedError> {
        match &self.record.subjects_root {
            None => Ok(merkle::empty_root()),
            Some(text) => hash(text).ok_or(SealedError::SubjectsRoot),
        }
    }

    /// The hash with which the record stands in the tree.
    ///
    /// # Errors
    /// When record or salt are malformed.
    pub fn leaf_hash(&self, subjects_root: &Hash) -> Result<Hash, SealedError> {
        let salt = hash(&self.salt).ok_or(SealedError::Salt)?;
        Ok(leaf_of(&self.record.canonical_bytes()?, &salt, subjects_root))
    }
}

fn leaf_of(record: &[u8], salt: &[u8; 32], subjects_root: &Hash) -> Hash {
    let commitment = audit::record_commitment(salt, record);
    merkle::leaf_hash(&audit::leaf(&commitment, subjects_root))
}

/// Canonical JSON around that of the record. `record` comes before `salt` in the order of names.
fn around(record: &[u8], salt: &str) -> Result<Vec<u8>, SealedError> {
    let mut bytes = Vec::with_capacity(record.len() + salt.len() + 24);
    bytes.extend_from_slice(b"{\"record\":");
    bytes.extend_from_slice(record);
    bytes.extend_from_slice(b",\"salt\":");
    serde_json::to_writer(&mut bytes, salt)?;
    bytes.push(b'}');
    Ok(bytes)
}

/// 32 bytes from hexadecimal digits, lower case only: one hash has one text.
#[must_use]
pub fn hash(text: &str) -> Option<Hash> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    let mut hash = [0; 32];
    hex::decode_to_slice(text, &mut hash).ok()?;
    Some(hash)
}
