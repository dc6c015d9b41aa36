//! Disk space held back, so that a full disk still takes deletions, records and audit entries (D5).

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::blobs::room;
use crate::store::StoreError;

/// A file that occupies space until it is needed.
pub(super) struct Reserve {
    path: PathBuf,
    bytes: u64,
}

impl Reserve {
    const CHUNK_BYTES: usize = 64 << 10;

    pub(super) fn new(directory: &Path, bytes: u64) -> Self {
        Self {
            path: directory.join("reserve"),
            bytes,
        }
    }

    /// Occupies the space, if there is as much.
    pub(super) fn hold(&self) -> Result<(), StoreError> {
        if fs::metadata(&self.path).is_ok_and(|metadata| metadata.len() == self.bytes) {
            return Ok(());
        }
        self.fill().inspect_err(|_| self.release())
    }

    /// Gives the space free.
    pub(super) fn release(&self) {
        if let Err(error) = fs::remove_file(&self.path)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "the reserve of disk space could not be released");
        }
    }

    fn fill(&self) -> Result<(), StoreError> {
        let mut file = File::create(&self.path).map_err(room)?;
        let chunk = [0_u8; Self::CHUNK_BYTES];
        let mut left = self.bytes;
        while left > 0 {
            let count = usize::try_from(left).unwrap_or(usize::MAX).min(chunk.len());
            file.write_all(chunk.get(..count).unwrap_or(&chunk)).map_err(room)?;
            left -= count as u64;
        }
        // Until the blocks are really taken, the space is only promised.
        file.sync_all().map_err(room)
    }
}
