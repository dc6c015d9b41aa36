//! A new key for the log (T114): the old key and the new one sign the same checkpoint, so that whoever trusts the old key can
//! go over to the new one, and what was signed before goes on to verify.
//!
//! The new key lies beside the old one until the handover is durable; a start that finds both goes on with the one that the
//! kept checkpoint is signed with.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension};
use serde::{Deserialize, Serialize};
use server_kit::audit_log::{Checkpoint, CheckpointError, LogKey, VerifierKey};
use server_kit::random::Random;

use super::verify::LogFault;
use crate::store::{RecordKind, Snapshot, StoreError};

/// Key of the record that keeps the handovers, oldest first.
pub const RECORD: &str = "log/handovers";

/// Handovers of one log; a key a month for eighty years.
const HANDOVERS_MAX: usize = 1_000;

/// One key handed over to the next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handover {
    /// The public key until then.
    pub old: String,
    /// The public key from then on.
    pub new: String,
    /// A checkpoint that both have signed.
    pub note: String,
}

impl Handover {
    /// Signs the same tree with both keys.
    #[must_use]
    pub fn sign(old: &LogKey, new: &LogKey, size: u64, root: &[u8; 32]) -> Self {
        let (first, second) = (old.sign(size, root), new.sign(size, root));
        let line = second.lines().last().unwrap_or_default().to_owned();
        Self {
            old: old.verifier().to_string(),
            new: new.verifier().to_string(),
            note: format!("{first}{line}\n"),
        }
    }

    /// The key before, if both keys have signed.
    fn before(&self, key: &VerifierKey) -> Option<VerifierKey> {
        if self.new != key.to_string() {
            return None;
        }
        let old = VerifierKey::parse(&self.old).ok()?;
        (key.verify(&self.note).is_ok() && old.verify(&self.note).is_ok()).then_some(old)
    }
}

/// The checkpoint of a note that a key has signed, or one of the keys that were handed over to it.
///
/// # Errors
/// As [`VerifierKey::verify`] for the key itself.
pub fn verified(key: &VerifierKey, handovers: &[Handover], note: &str) -> Result<Checkpoint, CheckpointError> {
    let first = key.verify(note);
    let mut key = key.clone();
    for handover in handovers.iter().rev() {
        if first.is_ok() {
            break;
        }
        let Some(before) = handover.before(&key) else { continue };
        if let Ok(checkpoint) = before.verify(note) {
            return Ok(checkpoint);
        }
        key = before;
    }
    first
}

/// The handovers of a store.
///
/// # Errors
/// When the store fails, or the record cannot be read.
pub fn kept(snapshot: &dyn Snapshot) -> Result<Vec<Handover>, StoreError> {
    let found = snapshot.record(RecordKind::Server, RECORD)?;
    found.map_or_else(|| Ok(Vec::new()), |bytes| read(&bytes).map_err(StoreError::Damaged))
}

/// The handovers in a database.
///
/// # Errors
/// As [`kept`].
pub fn kept_in(connection: &Connection) -> Result<Vec<Handover>, LogFault> {
    let sql = "SELECT value FROM records WHERE kind = 'server' AND key = ?1";
    let found: Option<Vec<u8>> = connection.query_row(sql, [RECORD], |row| row.get(0)).optional()?;
    let unreadable = |reason: String| LogFault::File {
        file: PathBuf::from(RECORD),
        reason,
    };
    found.map_or_else(|| Ok(Vec::new()), |bytes| read(&bytes).map_err(unreadable))
}

fn read(bytes: &[u8]) -> Result<Vec<Handover>, String> {
    let found: Vec<Handover> = serde_json::from_slice(bytes)
        .map_err(|error| format!("the handovers of the log's key cannot be read: {error}"))?;
    match found.len() > HANDOVERS_MAX {
        true => Err("the log's key was handed over too often".to_owned()),
        false => Ok(found),
    }
}

/// Where the next key waits.
#[must_use]
pub fn next_to(key_file: &Path) -> PathBuf {
    let mut name = key_file.to_owned().into_os_string();
    name.push(".next");
    PathBuf::from(name)
}

/// Loads the key with which the kept note is signed: the present one, or the next one if a rotation was cut off after it
/// became durable. A next key that signed nothing is left where it is.
///
/// # Errors
/// When a key file cannot be used.
pub fn load(key_file: &Path, origin: &str, note: Option<&str>, random: &dyn Random) -> Result<LogKey, CheckpointError> {
    let key = LogKey::load_or_generate(key_file, origin, random)?;
    let next = next_to(key_file);
    if let Some(note) = note
        && key.verifier().verify(note).is_err()
        && next.exists()
    {
        let waiting = LogKey::load_or_generate(&next, origin, random)?;
        if waiting.verifier().verify(note).is_ok() {
            std::fs::rename(&next, key_file)
                .map_err(|_| CheckpointError::Key("the next key cannot be moved into its place"))?;
            return Ok(waiting);
        }
    }
    Ok(key)
}
