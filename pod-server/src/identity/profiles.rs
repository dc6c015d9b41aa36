//! Profiles of this server, read from its own store when a token's issuer is checked (solid#95).
//!
//! Without this the server would ask itself over the network for every WebID that it hosts. A changed profile counts from
//! the next request: the authenticator forgets the WebID when the commit is durable.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use server_kit::authn::{Authenticator, LocalProfile, LocalProfiles};

use crate::name::ResourceName;
use crate::origins::Origins;
use crate::store::{Body, Change, CommitListener, Event, Snapshot, Store, StoreError};

use super::account;

/// Largest profile document that is read, in bytes.
const PROFILE_BYTES_MAX: u64 = 1 << 20;

/// Reads profile documents from the store.
pub struct StoredProfiles {
    store: Arc<dyn Store>,
    origins: Origins,
}

impl StoredProfiles {
    /// Profiles on the origins of a server.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, origins: &Origins) -> Self {
        Self {
            store,
            origins: origins.clone(),
        }
    }

    fn read(&self, document: &str) -> Result<LocalProfile, StoreError> {
        if !self.origins.hold(document) {
            return Ok(LocalProfile::Elsewhere);
        }
        // Only the one spelling of a name is an identity.
        let name = ResourceName::from_iri(document, &self.origins).filter(|name| name.iri(&self.origins) == document);
        let Some(name) = name else {
            return Ok(LocalProfile::Absent);
        };
        let snapshot = self.store.snapshot(account::permit())?;
        let Some(resource) = snapshot
            .resource(&name)?
            .filter(|resource| resource.size <= PROFILE_BYTES_MAX)
        else {
            return Ok(LocalProfile::Absent);
        };
        let bytes = match snapshot.body(&resource)? {
            Body::Bytes(bytes) => bytes,
            Body::File { path, .. } => Bytes::from(std::fs::read(path)?),
        };
        Ok(LocalProfile::Document {
            bytes,
            media_type: resource.media_type,
        })
    }
}

impl LocalProfiles for StoredProfiles {
    fn profile(&self, document: &str) -> BoxFuture<'_, LocalProfile> {
        let found = self.read(document).unwrap_or_else(|error| {
            tracing::error!(%error, "a profile cannot be read");
            LocalProfile::Absent
        });
        Box::pin(std::future::ready(found))
    }
}

/// Makes the authenticator forget the issuers of a WebID when its profile document changes.
///
/// It holds the authenticator weakly: the authenticator reads profiles from the store, which holds this watch.
pub struct ProfileWatch {
    authenticator: Weak<Authenticator>,
    origins: Origins,
}

impl ProfileWatch {
    /// Watches over profiles on the origins of a server. Add it to the store with [`Store::listen`].
    #[must_use]
    pub fn new(authenticator: &Arc<Authenticator>, origins: &Origins) -> Self {
        Self {
            authenticator: Arc::downgrade(authenticator),
            origins: origins.clone(),
        }
    }
}

impl CommitListener for ProfileWatch {
    fn committed(&self, _snapshot: &dyn Snapshot, events: &[Event]) {
        let Some(authenticator) = self.authenticator.upgrade() else {
            return;
        };
        for event in events {
            if let Change::Created { name, .. } | Change::Updated { name, .. } | Change::Deleted { name, .. } =
                &event.change
                && !name.is_container()
            {
                // The fragment that accounts of this server have; others are known again after their cache time.
                authenticator.forget_webid(&format!("{}#me", name.iri(&self.origins)));
            }
        }
    }
}
