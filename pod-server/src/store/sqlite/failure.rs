//! Failures of the database, told apart by what they mean for those who wait.

use rusqlite::{Error, ErrorCode, ffi};

use crate::store::StoreError;

/// What a failed commit of a group means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The disk is full: nothing was written, and it can go on when there is room.
    Full,
    /// Another program holds the database for the moment.
    Busy,
    /// Nobody knows what the disk holds now.
    Fatal,
}

/// Judges a failure of `BEGIN` or `COMMIT`.
pub(super) fn meaning(error: &Error) -> Meaning {
    match error {
        Error::SqliteFailure(failure, _) if failure.code == ErrorCode::DiskFull => Meaning::Full,
        // The index of the log lies in memory that is backed by a file, which a full disk keeps from growing.
        Error::SqliteFailure(failure, _) if failure.extended_code == ffi::SQLITE_IOERR_SHMSIZE => Meaning::Full,
        Error::SqliteFailure(failure, _)
            if matches!(failure.code, ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) =>
        {
            Meaning::Busy
        }
        _ => Meaning::Fatal,
    }
}

/// A full disk in the database's words becomes a full disk in the store's.
pub(super) fn disk_full(error: StoreError) -> StoreError {
    match error {
        StoreError::Database(error) if meaning(&error) == Meaning::Full => full(),
        other => other,
    }
}

/// The disk is full.
pub(super) fn full() -> StoreError {
    StoreError::Full("the disk is full".to_owned())
}
