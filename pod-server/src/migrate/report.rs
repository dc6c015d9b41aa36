//! What a migration says about what it met.

use std::fmt;

use crate::archive::ArchiveError;
use crate::identity::{AccountError, IdentityError};
use crate::store::StoreError;

/// What became of something that could not simply be taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It stays behind.
    LeftOut,
    /// It was taken over for its owner alone, because its access rules could not be used.
    OwnerOnly,
    /// It was taken over with a change that its holder must know of.
    Changed,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LeftOut => "left out",
            Self::OwnerOnly => "owner only",
            Self::Changed => "changed",
        })
    }
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What became of it.
    pub outcome: Outcome,
    /// What it is: an IRI on the other server, a path in its folder, or an account.
    pub what: String,
    /// Why, and what to do.
    pub reason: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |text: &str| text.replace(|character: char| character.is_control(), " ");
        let (what, reason) = (plain(&self.what), plain(&self.reason));
        write!(f, "{}\t{what}\t{reason}", self.outcome)
    }
}

/// What was taken over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Accounts.
    pub accounts: u64,
    /// Accounts that an earlier run had finished.
    pub accounts_before: u64,
    /// Storages.
    pub storages: u64,
    /// Resources with their access rules and descriptions.
    pub resources: u64,
    /// Bytes.
    pub bytes: u64,
    /// Lines of the report.
    pub findings: u64,
    /// Login name and one-time link of accounts without a password that could come along.
    pub setup_urls: Vec<(String, String)>,
}

/// Why a migration stopped. What was finished before stands; running it again goes on.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The folder is not what it should be.
    #[error("`{folder}`: {reason}")]
    Folder {
        /// The folder.
        folder: String,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// Something of the server here stands in the way. Nothing was stored.
    #[error("{0}")]
    Conflict(String),
    /// A storage could not be stored.
    #[error("the storage `{storage}`: {error}")]
    Storage {
        /// Its name here.
        storage: String,
        /// Why.
        error: ArchiveError,
    },
    /// An account could not be stored.
    #[error("the account `{name}`: {error}")]
    Account {
        /// Its login name here.
        name: String,
        /// Why.
        error: AccountError,
    },
    /// The store failed.
    #[error("the store failed: {0}")]
    Store(#[from] StoreError),
    /// A record of an account could not be read.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The report could not be written.
    #[error("the report cannot be written: {0}")]
    Report(std::io::Error),
}
