//! Whether the grants behind the issuer's tokens stand, for the authenticator to ask (T40).
//!
//! A token names its grant: a family of refresh tokens, or client credentials. Both belong to an account. Every change of
//! an account, of its credentials or of its families counts up the epoch of the account's slot, so that a token's grant
//! is read from the store again only when something near it has changed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use server_kit::authn::LocalGrants;

use crate::store::{Change, CommitListener, Event, RecordKind, Snapshot, Store};

use super::error::IdentityError;
use super::{account, credential, grant};

/// Slots that accounts share; neighbours in one slot only cost each other a look into the store.
const SLOTS: usize = 4_096;

/// One number per slot of accounts, counting up with every change.
pub struct GrantEpochs(Box<[AtomicU64]>);

impl Default for GrantEpochs {
    fn default() -> Self {
        Self((0..SLOTS).map(|_| AtomicU64::new(0)).collect())
    }
}

impl GrantEpochs {
    fn slot(&self, account: &str) -> Option<&AtomicU64> {
        // FNV-1a: short keys, no attacker gains from a collision.
        let hash = account.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        let slots = u64::try_from(self.0.len()).unwrap_or(1);
        self.0.get(usize::try_from(hash % slots).unwrap_or_default())
    }
}

impl CommitListener for GrantEpochs {
    fn committed(&self, _snapshot: &dyn Snapshot, events: &[Event]) {
        for event in events {
            let Change::Record { kind, key, .. } = &event.change else {
                continue;
            };
            let account = match kind {
                RecordKind::Account => Some(key.as_str()),
                RecordKind::ClientCredential => key.split('.').next(),
                RecordKind::Issuer => account_of_family(key),
                _ => None,
            };
            if let Some(slot) = account.and_then(|account| self.slot(account)) {
                slot.fetch_add(1, Ordering::AcqRel);
            }
        }
    }
}

fn account_of_family(key: &str) -> Option<&str> {
    key.strip_prefix(grant::FAMILY_PREFIX)?.split('/').next()
}

/// The account that a grant belongs to.
fn account_of(grant: &str) -> Option<&str> {
    account_of_family(grant).or_else(|| grant.strip_prefix(credential::GRANT_PREFIX)?.split('.').next())
}

/// Reads grants from the store. It holds the store, and the store holds only the epochs.
pub struct StandingGrants {
    store: Arc<dyn Store>,
    epochs: Arc<GrantEpochs>,
}

impl StandingGrants {
    /// The grants in a store. Add the epochs to it with [`Store::listen`].
    #[must_use]
    pub fn new(store: Arc<dyn Store>, epochs: Arc<GrantEpochs>) -> Self {
        Self { store, epochs }
    }

    fn read(&self, name: &str) -> Result<bool, IdentityError> {
        let snapshot = self.store.snapshot(account::permit())?;
        if name.starts_with(grant::FAMILY_PREFIX) {
            grant::stands(snapshot.as_ref(), name)
        } else {
            credential::stands(snapshot.as_ref(), name)
        }
    }
}

impl LocalGrants for StandingGrants {
    fn epoch(&self, grant: &str) -> u64 {
        account_of(grant)
            .and_then(|account| self.epochs.slot(account))
            .map_or(0, |slot| slot.load(Ordering::Acquire))
    }

    fn stands(&self, grant: &str) -> bool {
        self.read(grant).unwrap_or_else(|error| {
            tracing::error!(%error, "a grant cannot be read; its tokens are refused");
            false
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_a_grant_leads_to_its_account() {
        for (name, account) in [
            ("family/abc/def", Some("abc")),
            ("credential/abc.def/0", Some("abc")),
            ("client/abc", None),
            ("", None),
        ] {
            assert_eq!(account_of(name), account, "{name}");
        }
    }
}
