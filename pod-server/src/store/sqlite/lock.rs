//! One process per store directory (D28).
//!
//! The operating system drops the lock when the process ends, however it ends, so that nothing has to be cleaned up.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::store::StoreError;

/// Holds the directory until it is dropped.
#[derive(Debug)]
pub(super) struct DirectoryLock {
    /// Keeps the lock: closing the file releases it.
    _file: File,
}

impl DirectoryLock {
    /// Longest note that is read from another holder, in bytes.
    const NOTE_BYTES_MAX: u64 = 64;

    pub(super) fn acquire(directory: &Path) -> Result<Self, StoreError> {
        let path = directory.join("lock");
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // The note only helps a person; without it the refusal stands all the same.
                let _ = file.take(Self::NOTE_BYTES_MAX).read_to_string(&mut holder);
                return Err(StoreError::Locked {
                    directory: directory.display().to_string(),
                    holder: holder.trim().to_owned(),
                });
            }
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;
        writeln!(file, "process {}", std::process::id())?;
        Ok(Self { _file: file })
    }
}
