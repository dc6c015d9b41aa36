//! Profiles of this server, read from its own store when a token's issuer is checked (solid#95).
//!
//! Without this the server would ask itself over the network for every WebID that it hosts. A changed profile counts from
//! the next request: the authenticator forgets the WebID when the commit is durable.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use server_kit::authn::{Authenticator, LocalProfile, LocalProfiles};

use crate::name::ResourceName;
use crate::store::{Body, Change, CommitListener, Event, Snapshot, Store, StoreError};

use super::account;

/// Largest profile document that is read, in bytes.
const PROFILE_BYTES_MAX: u64 = 1 << 20;

/// Reads profile documents from the store.
pub struct StoredProfiles {
    store: Arc<dyn Store>,
    base_url: String,
}

impl StoredProfiles {
    /// Profiles below an origin, which ends with a slash.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, base_url: &str) -> Self {
        Self {
            store,
            base_url: format!("{}/", base_url.trim_end_matches('/')),
        }
    }

    fn read(&self, document: &str) -> Result<LocalProfile, StoreError> {
        let Some(path) = document.strip_prefix(&self.base_url) else {
            return Ok(LocalProfile::Elsewhere);
        };
        let Ok(name) = ResourceName::parse(&format!("/{path}")) else {
            return Ok(LocalProfile::Absent);
        };
        // Only the one spelling of a name is an identity.
        if name.iri(&self.base_url) != document {
            return Ok(LocalProfile::Absent);
        }
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
    base_url: String,
}

impl ProfileWatch {
    /// Watches over profiles below an origin. Add it to the store with [`Store::listen`].
    #[must_use]
    pub fn new(authenticator: &Arc<Authenticator>, base_url: &str) -> Self {
        Self {
            authenticator: Arc::downgrade(authenticator),
            base_url: base_url.to_owned(),
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
                authenticator.forget_webid(&format!("{}#me", name.iri(&self.base_url)));
            }
        }
    }
}
