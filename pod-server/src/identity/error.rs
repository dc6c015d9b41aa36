//! What can go wrong with identity on our side. What a visitor or a client did wrong is answered in place, as a page or as
//! an OAuth error.

use server_kit::problem::Problem;

use crate::error::Error;
use crate::store::{CommitError, StoreError};

/// A failure of the server, not of the caller.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A record does not mean what it should.
    #[error("the {kind} record `{key}` is damaged")]
    Damaged {
        /// What the record describes.
        kind: &'static str,
        /// Its key.
        key: String,
    },
    /// Too many passwords wait to be checked.
    #[error("too many log-ins at one time")]
    Busy,
    /// A password could not be hashed.
    #[error("the password could not be hashed: {0}")]
    Hash(String),
    /// A token could not be signed.
    #[error("the token could not be signed: {0}")]
    Sign(String),
    /// The key of the digests under which people of other providers are known cannot be used.
    #[error("the key for people of other providers: {0}")]
    PersonKey(String),
    /// Another provider, through which people log in, cannot be used as it is configured.
    #[error("identity.external `{provider}`: {reason}")]
    External {
        /// Its name in the configuration.
        provider: String,
        /// What is wrong.
        reason: String,
    },
}

impl From<IdentityError> for Error {
    fn from(error: IdentityError) -> Self {
        match error {
            IdentityError::Store(error) => Self::Store(error),
            IdentityError::Busy => Self::Problem(Box::new(Problem::unavailable(
                "too many people log in at one time: try again",
                2,
            ))),
            other => Self::Internal(other.to_string()),
        }
    }
}

/// Why an account was not made or changed.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The name breaks a rule.
    #[error("the name `{name}` cannot be used: {reason}")]
    Name {
        /// The name.
        name: String,
        /// The rule.
        reason: &'static str,
    },
    /// Another account or storage has the name.
    #[error("the name `{0}` is taken")]
    Taken(String),
    /// The label is empty or longer than 200 characters, or holds control characters.
    #[error("the label must have 1 to 200 characters and no control characters")]
    Label,
    /// The password is too short, too long, or the name itself.
    #[error("{0}")]
    Password(#[from] super::password::WeakPassword),
    /// There is no such template for a new storage.
    #[error("there is no template `{0}`")]
    Template(String),
    /// The account has as many storages as it may.
    #[error("the account has as many storages as it may")]
    Full,
    /// There is no such account.
    #[error("there is no account `{0}`")]
    Unknown(String),
    /// Our own failure.
    #[error(transparent)]
    Failed(#[from] IdentityError),
}

impl From<StoreError> for AccountError {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<CommitError<Self>> for AccountError {
    fn from(error: CommitError<Self>) -> Self {
        match error {
            CommitError::Refused(refused) => refused,
            CommitError::Store(error) => error.into(),
        }
    }
}

impl From<CommitError<Self>> for IdentityError {
    fn from(error: CommitError<Self>) -> Self {
        match error {
            CommitError::Refused(refused) => refused,
            CommitError::Store(error) => error.into(),
        }
    }
}
