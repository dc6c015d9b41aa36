//! Which of the two authorization systems of Solid a storage uses (Solid Protocol §9, solid#50).
//!
//! A storage has one of them from the moment it is made. Both keep their documents under the same auxiliary name, which
//! clients find by `Link rel="acl"`.

use serde::{Deserialize, Serialize};

use crate::name::ResourceName;
use crate::store::{RecordKind, Snapshot, StoreError, Transaction};

/// An authorization system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum AuthorizationSystem {
    /// Web Access Control: the nearest access control list counts.
    #[default]
    Wac,
    /// Access Control Policies: those of a resource and of all containers above it count together.
    Acp,
}

impl AuthorizationSystem {
    const ACP: &'static [u8] = b"acp";

    /// The system of a storage, by its root.
    ///
    /// # Errors
    /// When the store fails, or holds a word that is no system.
    pub fn of(snapshot: &dyn Snapshot, root: &ResourceName) -> Result<Self, StoreError> {
        match snapshot
            .record(RecordKind::AuthorizationSystem, root.as_str())?
            .as_deref()
        {
            None => Ok(Self::Wac),
            Some(Self::ACP) => Ok(Self::Acp),
            Some(_) => Err(StoreError::Damaged(format!(
                "the authorization system of `{root}` is not known to this version"
            ))),
        }
    }

    /// Gives a storage this system. Its access rules must be written anew in the same commit.
    ///
    /// # Errors
    /// When the store fails.
    pub fn assign(self, transaction: &mut dyn Transaction, root: &ResourceName) -> Result<(), StoreError> {
        let (kind, key) = (RecordKind::AuthorizationSystem, root.as_str());
        match self {
            Self::Wac => transaction.record_delete(kind, key).map(drop),
            Self::Acp => transaction.record_put(kind, key, Self::ACP),
        }
    }
}
