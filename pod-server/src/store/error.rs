//! What can go wrong in the store itself.

use super::resource::Sequence;

/// What can go wrong in the store itself. Conditions of callers are not errors of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused.
    #[error("the database failed")]
    Database(#[from] rusqlite::Error),
    /// A file operation failed.
    #[error("a file operation failed")]
    File(#[from] std::io::Error),
    /// The stored bytes do not mean what they should.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// The store has stopped, because a sync failed or the server is shutting down.
    #[error("the store has stopped")]
    Stopped,
    /// The caller asked for something that no store may do, such as a resource outside every storage.
    #[error("the store was misused: {0}")]
    Misuse(String),
    /// Too much is going on at once; trying again later helps.
    #[error("the store is busy: {0}")]
    Busy(&'static str),
    /// Events this old are no longer kept: the follower has to start over from the resources themselves.
    #[error("events up to commit {} are no longer kept", .kept_after.0)]
    Forgotten {
        /// Every event after this commit is still kept.
        kept_after: Sequence,
    },
    /// Another process works on the same directory (D28).
    #[error(
        "the store in `{directory}` is in use by another process ({holder}): end that one first, then run this again"
    )]
    Locked {
        /// The directory.
        directory: String,
        /// What the lock file tells about the other process.
        holder: String,
    },
    /// The directory was written by another version of this program.
    #[error("the store has format {found}, this program reads format {supported}")]
    Format {
        /// Number in the database.
        found: i64,
        /// Number that this program writes.
        supported: i64,
    },
    /// A storage would exceed its quota, or the disk is full.
    #[error("there is no room left: {0}")]
    Full(String),
}
