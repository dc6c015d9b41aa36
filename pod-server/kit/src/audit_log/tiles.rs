//! Stored hashes: every leaf, and the hash of every full tile, each once. Nodes inside a tile are recomputed when read.

use policies::audit::merkle::{self, empty_root, node_hash};
use rusqlite::{Connection, params};

use super::{AuditLogError, Hash, TILE_WIDTH, to_sql};

/// Height of a full tile in the tree.
const TILE_HEIGHT: u32 = 8;

/// `count` hashes of a level from a position.
pub(super) fn read(database: &Connection, level: u8, from: u64, count: u64) -> Result<Vec<Hash>, AuditLogError> {
    let mut statement = database.prepare_cached(
        "SELECT position, hash FROM audit_log_hash WHERE level = ?1 AND position >= ?2 AND position < ?3 ORDER BY position",
    )?;
    let mut rows = statement.query(params![level, to_sql(from), to_sql(from.saturating_add(count))])?;
    let mut hashes = Vec::with_capacity(usize::try_from(count).unwrap_or(0).min(65_536));
    let mut expected = from;
    while let Some(row) = rows.next()? {
        let position: i64 = row.get(0)?;
        if position.unsigned_abs() != expected {
            return Err(AuditLogError::Damaged {
                level,
                position: expected,
                reason: "the hash is missing",
            });
        }
        let bytes = row.get_ref(1)?.as_blob().unwrap_or_default();
        let hash = Hash::try_from(bytes).map_err(|_| AuditLogError::Damaged {
            level,
            position: expected,
            reason: "not a SHA-256 hash",
        })?;
        hashes.push(hash);
        expected += 1;
    }
    if expected != from + count {
        return Err(AuditLogError::Damaged {
            level,
            position: expected,
            reason: "the hash is missing",
        });
    }
    Ok(hashes)
}

/// Hash of the tree over hashes (RFC 9162 §2.1.1, the hashes being those of leaves or of complete subtrees).
pub(super) fn hash_of(hashes: &[Hash]) -> Hash {
    merkle::root(hashes)
}

/// The largest power of two smaller than `count`, for `count` > 1.
pub(super) fn split(count: u64) -> u64 {
    1 << (u64::BITS - 1 - (count - 1).leading_zeros())
}

/// Hash of the tree over leaves `start .. start + count`, where `start` is as RFC 9162 splits trees.
pub(super) fn subtree(database: &Connection, start: u64, count: u64) -> Result<Hash, AuditLogError> {
    if count == 0 {
        return Ok(empty_root());
    }
    // Complete subtrees from left to right, then folded from the right: the recursion of RFC 9162 without recursing.
    let (mut start, mut count, mut nodes) = (start, count, Vec::new());
    while count > 0 {
        let size = if count.is_power_of_two() { count } else { split(count) };
        nodes.push(complete(database, start, size)?);
        (start, count) = (start + size, count - size);
    }
    let last = nodes.pop().unwrap_or_else(empty_root);
    Ok(nodes
        .into_iter()
        .rev()
        .fold(last, |right, left| node_hash(&left, &right)))
}

/// Hash of a complete subtree of `size` (a power of two) leaves, from the highest stored level.
fn complete(database: &Connection, start: u64, size: u64) -> Result<Hash, AuditLogError> {
    let height = size.trailing_zeros();
    let level = height / TILE_HEIGHT;
    let shift = level * TILE_HEIGHT;
    let hashes = read(
        database,
        u8::try_from(level).unwrap_or(u8::MAX),
        start >> shift,
        size >> shift,
    )?;
    Ok(hash_of(&hashes))
}

/// Recomputes the hash of every tile that holds a leaf of `from .. to`, and compares it with the stored one.
pub(super) fn recompute(database: &Connection, from: u64, to: u64) -> Result<(), AuditLogError> {
    let (mut first, mut end, mut level) = (from, to, 0_u8);
    while end / TILE_WIDTH > 0 {
        (first, end) = (first / TILE_WIDTH, end / TILE_WIDTH);
        for index in first..end {
            let below = read(database, level, index * TILE_WIDTH, TILE_WIDTH)?;
            let stored = read(database, level + 1, index, 1)?;
            if stored.first() != Some(&hash_of(&below)) {
                let reason = "the hash of a tile does not follow from its hashes";
                return Err(AuditLogError::Damaged {
                    level: level + 1,
                    position: index,
                    reason,
                });
            }
        }
        level += 1;
    }
    Ok(())
}

/// Which tile a path means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TilePath {
    /// Level of tiles: 0 for leaves.
    pub level: u8,
    /// Index of the tile in its level.
    pub index: u64,
    /// Number of hashes, 1 to 256.
    pub width: u16,
}

/// The path of a tile below the log's prefix, for instance `tile/0/x001/x234/067.p/8` (C2SP tlog-tiles).
pub fn tile_path(tile: TilePath) -> String {
    let mut index = format!("{:03}", tile.index % 1_000);
    let mut rest = tile.index / 1_000;
    while rest > 0 {
        index = format!("x{:03}/{index}", rest % 1_000);
        rest /= 1_000;
    }
    let partial = if u64::from(tile.width) == TILE_WIDTH {
        String::new()
    } else {
        format!(".p/{}", tile.width)
    };
    format!("tile/{}/{index}{partial}", tile.level)
}

/// Reads a path as [`tile_path`] writes it; `None` for any other spelling.
pub fn parse_tile_path(path: &str) -> Option<TilePath> {
    let (level, rest) = path.strip_prefix("tile/")?.split_once('/')?;
    let (index, width) = match rest.split_once(".p/") {
        Some((index, width)) => (index, width.parse().ok()?),
        None => (rest, 256),
    };
    let mut number = 0_u64;
    for part in index.split('/') {
        let digits = part.strip_prefix('x').unwrap_or(part);
        number = number.checked_mul(1_000)?.checked_add(digits.parse().ok()?)?;
    }
    let tile = TilePath {
        level: level.parse().ok()?,
        index: number,
        width,
    };
    // One spelling per tile: whatever does not come out again is not a path.
    (tile.level < 8 && (1..=256).contains(&tile.width) && tile_path(tile) == path).then_some(tile)
}
