//! Why a backup was not made or not restored.

use std::path::{Path, PathBuf};

use crate::store::StoreError;

/// Why a backup was not made or not restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file cannot be read or written.
    #[error("`{}`: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The database cannot be read or written.
    #[error("the database: {0}")]
    Database(#[from] rusqlite::Error),
    /// Something is not what it should be.
    #[error("`{}`: {reason}", path.display())]
    Unsound {
        /// Where.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Another backup is being made into the same directory.
    #[error("another backup is being made into `{}`", .0.display())]
    Busy(PathBuf),
    /// Bodies vanished faster than they could be copied.
    #[error("bodies were given up while they were copied, several times: make the backup again")]
    Restless,
    /// The journal does not reach back to the backup.
    #[error(
        "the revocation journal begins after commit {begins}, the backup was taken at commit {taken}: what was revoked in between \
         is unknown, so it cannot be used (`--without-journal` restores with every consent, agreement and shared right ended)"
    )]
    Gap {
        /// Commit after which the journal is complete.
        begins: u64,
        /// Commit of the backup.
        taken: u64,
    },
    /// The store failed.
    #[error("the store failed: {0}")]
    Store(#[from] StoreError),
    /// The restored server cannot be built.
    #[error("{0}")]
    Start(String),
}

impl BackupError {
    pub(super) fn file(path: &Path, source: std::io::Error) -> Self {
        Self::File {
            path: path.to_owned(),
            source,
        }
    }

    pub(super) fn unsound(path: &Path, reason: impl Into<String>) -> Self {
        Self::Unsound {
            path: path.to_owned(),
            reason: reason.into(),
        }
    }
}
