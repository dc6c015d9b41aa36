//! Removes blobs that no commit refers to: at the start all of them, later those that have been unused for long enough.

use std::time::Duration;

use rusqlite::{Connection, params};

use super::blobs::BlobDirectory;
use super::read::one;
use crate::store::StoreError;

/// Blobs that one round removes at most; a round runs between commits.
const ROUND_BLOBS_MAX: usize = 64;

/// At the start, when nobody can be reading: removes every file that no commit refers to, and the rows of those.
pub(super) fn at_start(connection: &Connection, blobs: &BlobDirectory) -> Result<u64, StoreError> {
    connection.execute("DELETE FROM blobs WHERE uses = 0", [])?;
    let mut removed = 0;
    for (path, digest) in blobs.files()? {
        let used = match digest {
            Some(digest) => is_used(connection, &digest)?,
            None => false,
        };
        if !used {
            std::fs::remove_file(path)?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// One round while the store is open. Runs on the writer's thread outside any transaction, so that no commit can take a
/// blob into use meanwhile.
pub(super) fn round(connection: &Connection, blobs: &BlobDirectory, grace: Duration) -> Result<u64, StoreError> {
    let mut removed = 0;
    for digest in blobs.take_expired(grace, ROUND_BLOBS_MAX) {
        // An upload whose commit never came has no row at all.
        if !is_used(connection, &digest)? && blobs.discard(&digest, grace)? {
            connection
                .prepare_cached("DELETE FROM blobs WHERE digest = ?1 AND uses = 0")?
                .execute(params![digest])?;
            removed += 1;
        }
    }
    Ok(removed)
}

fn is_used(connection: &Connection, digest: &[u8; 32]) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM blobs WHERE digest = ?1 AND uses > 0";
    Ok(one(connection, sql, params![digest], |_| Ok(()))?.is_some())
}
