//! Why an archive was not written or not taken in.

use crate::error::Error;
use crate::store::{CommitError, StoreError};

/// Why an archive was not written or not taken in. An import that was refused has changed nothing unless it says so.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// There is no such storage.
    #[error("there is no storage `{0}`")]
    NoStorage(String),
    /// The access rules changed while the archive was written, so that it might mix old and new ones.
    #[error("access rules or containers of the storage changed while the archive was written: write it again")]
    Changed,
    /// The archive cannot be written or read.
    #[error("the archive cannot be written or read: {0}")]
    File(#[from] std::io::Error),
    /// The bytes of a stored resource are not those that were stored.
    #[error("the stored bytes of `{0}` do not have their digest: check the store")]
    Rotten(String),
    /// It is no archive of a storage, or a damaged or doctored one.
    #[error("{place}: {reason}")]
    Invalid {
        /// Which file of the archive.
        place: String,
        /// What is wrong.
        reason: String,
    },
    /// Something in it breaks the rules of this server.
    #[error("`{name}` cannot be taken in: {reason}")]
    Refused {
        /// The resource.
        name: String,
        /// Why.
        reason: String,
    },
    /// There is a storage of that name already.
    #[error("the storage `{0}` exists already and does not come from this archive")]
    Exists(String),
    /// The store failed.
    #[error("the store failed: {0}")]
    Store(#[from] StoreError),
}

impl ArchiveError {
    pub(super) fn invalid(place: &str, reason: impl Into<String>) -> Self {
        Self::Invalid {
            place: place.to_owned(),
            reason: reason.into(),
        }
    }

    pub(super) fn refused(name: &impl ToString, error: &Error) -> Self {
        Self::Refused {
            name: name.to_string(),
            reason: error.to_string(),
        }
    }
}

impl From<CommitError<Self>> for ArchiveError {
    fn from(error: CommitError<Self>) -> Self {
        match error {
            CommitError::Refused(error) => error,
            CommitError::Store(error) => Self::Store(error),
        }
    }
}
