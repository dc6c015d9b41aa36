//! Writes the log as files, in the layout of C2SP tlog-tiles, for verification anywhere.

use std::fs;
use std::io::Write;
use std::path::Path;

use rusqlite::Connection;

use super::tiles::{TilePath, tile_path};
use super::{AuditLogError, Checkpoint, TILE_WIDTH, latest_checkpoint, leaves, tile};

/// Name of the file with one leaf hash per line, hexadecimal, in order.
pub(super) const LEAVES_FILE: &str = "leaves";
/// Name of the file with the signed note.
pub(super) const CHECKPOINT_FILE: &str = "checkpoint";

/// Writes the last checkpoint, all tiles of its tree and the list of leaf hashes into a directory.
///
/// # Errors
/// When nothing is signed yet, the database fails or a file cannot be written.
pub fn export(database: &Connection, directory: &Path) -> Result<Checkpoint, AuditLogError> {
    let note = latest_checkpoint(database)?.ok_or(AuditLogError::OutOfRange { size: 0, asked: 0 })?;
    let checkpoint = Checkpoint::parse_unverified(&note)?;
    fs::create_dir_all(directory)?;
    let mut count = checkpoint.size;
    for level in 0_u8..8 {
        for index in 0..count.div_ceil(TILE_WIDTH) {
            let width = u16::try_from((count - index * TILE_WIDTH).min(TILE_WIDTH)).unwrap_or(256);
            let path = directory.join(tile_path(TilePath { level, index, width }));
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(path, tile(database, level, index, width)?)?;
        }
        count /= TILE_WIDTH;
    }
    let mut list = std::io::BufWriter::new(fs::File::create(directory.join(LEAVES_FILE))?);
    let mut from = 0;
    while from < checkpoint.size {
        let some = leaves(database, from, (checkpoint.size - from).min(4_096))?;
        for leaf in &some {
            writeln!(list, "{}", hex::encode(leaf))?;
        }
        from += some.len() as u64;
    }
    list.flush()?;
    fs::write(directory.join(CHECKPOINT_FILE), note)?;
    Ok(checkpoint)
}
