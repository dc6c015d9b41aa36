//! The audit log: an append-only Merkle tree (RFC 9162 §2) in the caller's own database, published as tiles (C2SP tlog-tiles)
//! with signed checkpoints (C2SP signed-note, tlog-checkpoint).
//!
//! The log keeps leaf hashes only: salted commitments, never a readable record. A leaf is appended in the transaction of what
//! it records, so both become durable together. This module never opens a database and never commits.

mod checkpoint;
mod cosignature;
mod export;
mod jws;
mod tiles;
mod verify;
pub mod witness;

use rusqlite::{Connection, OptionalExtension, Transaction, params};

pub use checkpoint::{Checkpoint, CheckpointError, LogKey, VerifierKey};
pub use cosignature::{WitnessKey, WitnessVerifier};
pub use export::export;
pub use jws::JwsError;
pub use verify::{LogFault, VerifiedLog, verify_directory, verify_leaves};

pub use policies::audit::Hash;

/// Hashes in a full tile.
pub const TILE_WIDTH: u64 = 256;

/// The tables of the log. Idempotent; run inside the caller's migration.
pub const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS audit_log_hash (
    level INTEGER NOT NULL,
    position INTEGER NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (level, position)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS audit_log_checkpoint (
    size INTEGER NOT NULL PRIMARY KEY,
    note TEXT NOT NULL
);
";

/// Why the log cannot answer.
#[derive(Debug, thiserror::Error)]
pub enum AuditLogError {
    /// The database failed.
    #[error("audit log database: {0}")]
    Database(#[from] rusqlite::Error),
    /// The log has fewer leaves than asked for.
    #[error("the audit log has {size} leaves, not {asked}")]
    OutOfRange {
        /// Leaves in the log.
        size: u64,
        /// What was asked for.
        asked: u64,
    },
    /// A stored hash is missing or has the wrong length, or does not agree with what was signed.
    #[error("the audit log is damaged at level {level}, position {position}: {reason}")]
    Damaged {
        /// Level of tiles.
        level: u8,
        /// Position in the level.
        position: u64,
        /// What is wrong.
        reason: &'static str,
    },
    /// The new tree does not contain the tree that was signed last.
    #[error("the audit log no longer contains its own checkpoint of {size} leaves: it is not signed")]
    Forked {
        /// Size of the last checkpoint.
        size: u64,
    },
    /// A checkpoint cannot be read or signed.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A file cannot be written.
    #[error("audit log export: {0}")]
    Io(#[from] std::io::Error),
}

/// Number of leaves in the log.
///
/// # Errors
/// When the database fails.
pub fn size(database: &Connection) -> Result<u64, AuditLogError> {
    let mut statement = database
        .prepare_cached("SELECT position FROM audit_log_hash WHERE level = 0 ORDER BY position DESC LIMIT 1")?;
    let last: Option<i64> = statement.query_row([], |row| row.get(0)).optional()?;
    Ok(last.map_or(0, |position| position.unsigned_abs() + 1))
}

/// Appends a leaf hash (RFC 9162 §2.1.1: SHA-256 of 0x00 and the entry) inside the caller's transaction; returns its index.
///
/// Writes one row, and one more per tile that it completes: O(log n) in all.
///
/// # Errors
/// When the database fails or an earlier hash is damaged; the caller must then roll back.
pub fn append(transaction: &Transaction<'_>, leaf: &Hash) -> Result<u64, AuditLogError> {
    let index = size(transaction)?;
    append_at(transaction, index, leaf)?;
    Ok(index)
}

/// As [`append`], for a caller that knows how many leaves there are, because it appended the one before: `index`. With any
/// other number the log would have a gap, which is damage.
///
/// # Errors
/// As [`append`]; a leaf that is there already is refused by the database.
pub fn append_at(transaction: &Transaction<'_>, index: u64, leaf: &Hash) -> Result<(), AuditLogError> {
    let mut insert =
        transaction.prepare_cached("INSERT INTO audit_log_hash (level, position, hash) VALUES (?1, ?2, ?3)")?;
    insert.execute(params![0, to_sql(index), leaf])?;
    let (mut level, mut position) = (0_u8, index);
    while (position + 1) % TILE_WIDTH == 0 {
        let hashes = tiles::read(transaction, level, position + 1 - TILE_WIDTH, TILE_WIDTH)?;
        (level, position) = (level + 1, position / TILE_WIDTH);
        insert.execute(params![level, to_sql(position), tiles::hash_of(&hashes)])?;
    }
    Ok(())
}

/// Hash of the tree of the first `size` leaves (RFC 9162 §2.1.1).
///
/// # Errors
/// When the log has fewer leaves, the database fails or a hash is damaged.
pub fn root(database: &Connection, size: u64) -> Result<Hash, AuditLogError> {
    in_range(database, size)?;
    tiles::subtree(database, 0, size)
}

/// Inclusion proof of a leaf in the tree of `size` leaves (RFC 9162 §2.1.3.1).
///
/// # Errors
/// When the leaf is not in that tree, the log has fewer leaves, the database fails or a hash is damaged.
pub fn inclusion(database: &Connection, leaf: u64, size: u64) -> Result<Vec<Hash>, AuditLogError> {
    in_range(database, size)?;
    if leaf >= size {
        return Err(AuditLogError::OutOfRange { size, asked: leaf });
    }
    let (mut start, mut count, mut proof) = (0, size, Vec::new());
    while count > 1 {
        let left = tiles::split(count);
        if leaf - start < left {
            proof.push(tiles::subtree(database, start + left, count - left)?);
            count = left;
        } else {
            proof.push(tiles::subtree(database, start, left)?);
            (start, count) = (start + left, count - left);
        }
    }
    proof.reverse();
    Ok(proof)
}

/// Consistency proof between the trees of `from` and `to` leaves (RFC 9162 §2.1.4.1); empty when `from` is 0 or equals `to`.
///
/// # Errors
/// When `from` is larger than `to`, the log has fewer leaves, the database fails or a hash is damaged.
pub fn consistency(database: &Connection, from: u64, to: u64) -> Result<Vec<Hash>, AuditLogError> {
    in_range(database, to)?;
    if from > to {
        return Err(AuditLogError::OutOfRange { size: to, asked: from });
    }
    let (mut start, mut count, mut whole, mut proof) = (0, to, true, Vec::new());
    if from == 0 {
        return Ok(proof);
    }
    while from - start < count {
        let left = tiles::split(count);
        if from - start <= left {
            proof.push(tiles::subtree(database, start + left, count - left)?);
            count = left;
        } else {
            proof.push(tiles::subtree(database, start, left)?);
            (start, count, whole) = (start + left, count - left, false);
        }
    }
    if !whole {
        proof.push(tiles::subtree(database, start, count)?);
    }
    proof.reverse();
    Ok(proof)
}

/// The bytes of a tile: `width` hashes from `index` × 256 at a level (C2SP tlog-tiles, Merkle tree tiles).
///
/// # Errors
/// When the tile is not that wide yet, the database fails or a hash is damaged.
pub fn tile(database: &Connection, level: u8, index: u64, width: u16) -> Result<Vec<u8>, AuditLogError> {
    let width = u64::from(width).clamp(1, TILE_WIDTH);
    let (start, whole) = (index.saturating_mul(TILE_WIDTH), size(database)?);
    let at_level = whole.checked_shr(8 * u32::from(level)).unwrap_or(0);
    if start.saturating_add(width) > at_level {
        return Err(AuditLogError::OutOfRange {
            size: at_level,
            asked: start.saturating_add(width),
        });
    }
    Ok(tiles::read(database, level, start, width)?.concat())
}

/// Leaf hashes `from .. from + count`, as many as there are.
///
/// # Errors
/// When the database fails or a hash is damaged.
pub fn leaves(database: &Connection, from: u64, count: u64) -> Result<Vec<Hash>, AuditLogError> {
    let count = count.min(size(database)?.saturating_sub(from));
    tiles::read(database, 0, from, count)
}

/// Signs the present state of the log, unless it is signed already, and keeps the note.
///
/// First the part that is new since the last checkpoint is recomputed from its leaves, and the new tree is shown to contain the
/// old one: a damaged or rewritten log is refused, not signed.
///
/// # Errors
/// When the log is damaged or forked, or the database fails.
pub fn sign_checkpoint(transaction: &Transaction<'_>, key: &LogKey) -> Result<String, AuditLogError> {
    let size = size(transaction)?;
    let last = match latest_checkpoint(transaction)? {
        Some(note) => {
            let last = Checkpoint::parse_unverified(&note)?;
            if last.size > size {
                return Err(AuditLogError::Forked { size: last.size });
            }
            if last.size == size && last.root == root(transaction, size)? && key.verifier().verify(&note).is_ok() {
                return Ok(note);
            }
            Some(last)
        }
        None => None,
    };
    let signed = last.as_ref().map_or(0, |last| last.size);
    tiles::recompute(transaction, signed, size)?;
    if let Some(last) = last.filter(|last| last.size > 0)
        && root(transaction, last.size)? != last.root
    {
        return Err(AuditLogError::Forked { size: last.size });
    }
    let note = key.sign(size, &root(transaction, size)?);
    transaction.execute("DELETE FROM audit_log_checkpoint", [])?;
    transaction.execute(
        "INSERT INTO audit_log_checkpoint (size, note) VALUES (?1, ?2)",
        params![to_sql(size), note],
    )?;
    Ok(note)
}

/// The signed note of the last checkpoint.
///
/// # Errors
/// When the database fails.
pub fn latest_checkpoint(database: &Connection) -> Result<Option<String>, AuditLogError> {
    let mut statement = database.prepare_cached("SELECT note FROM audit_log_checkpoint ORDER BY size DESC LIMIT 1")?;
    Ok(statement.query_row([], |row| row.get(0)).optional()?)
}

pub use tiles::{TilePath, parse_tile_path, tile_path};

fn in_range(database: &Connection, asked: u64) -> Result<(), AuditLogError> {
    let size = size(database)?;
    if asked > size {
        Err(AuditLogError::OutOfRange { size, asked })
    } else {
        Ok(())
    }
}

/// SQLite integers are signed; a log never reaches 2^63 leaves.
fn to_sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
