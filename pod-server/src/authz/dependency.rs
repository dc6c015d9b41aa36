//! What a decision rested on, so that it can be checked again inside the transaction that carries it out: a
//! revocation between decision and commit must not slip through (invariant 8, T21).

use std::sync::Arc;

use policies::audit::Document;

use super::rules::access_control_resources;
use crate::name::ResourceName;
use crate::store::{ResourceId, Sequence, Snapshot, StoreError};

/// One state of a policy document that a decision used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dependency {
    /// The access control list that governs a resource.
    EffectiveAcl {
        /// The governed resource.
        subject: ResourceName,
        /// The list found, in its state; none if there was none up to the root.
        found: Option<(ResourceId, Sequence)>,
        /// The same as it is told in records.
        documents: Arc<[Document]>,
    },
    /// The access control resources that govern a resource: its own and those of all containers above it.
    EffectivePolicies {
        /// The governed resource.
        subject: ResourceName,
        /// Those found, each in its state, from the resource upwards.
        found: Vec<(ResourceId, Sequence)>,
        /// The same as it is told in records; empty where they were not read.
        documents: Arc<[Document]>,
    },
    /// The owner of a storage.
    Owner {
        /// Root of the storage.
        root: ResourceName,
        /// WebID; none if there is no such storage.
        found: Option<String>,
    },
    /// Which resource has a name. Who made it never changes.
    Identity {
        /// The name.
        subject: ResourceName,
        /// None if nothing has it.
        found: Option<ResourceId>,
    },
    /// A group document on this server.
    Group {
        /// The document.
        document: ResourceName,
        /// Its state; none if it did not exist.
        found: Option<(ResourceId, Sequence)>,
    },
    /// A group document of another server. It counts for a bounded time and changes without any commit here, so nothing
    /// that rests on it may be kept until the next one.
    RemoteGroup,
}

impl Dependency {
    /// Whether it changes with the policy number alone, so that what rests on it may be kept under that.
    #[must_use]
    pub const fn is_list(&self) -> bool {
        matches!(self, Self::EffectiveAcl { .. } | Self::EffectivePolicies { .. })
    }

    /// The documents that it is about, as they are told in records.
    #[must_use]
    pub fn documents(&self) -> &[Document] {
        match self {
            Self::EffectiveAcl { documents, .. } | Self::EffectivePolicies { documents, .. } => documents,
            _ => &[],
        }
    }

    /// Whether the document is still in the state that the decision used.
    ///
    /// # Errors
    /// When the store fails.
    pub fn holds(&self, snapshot: &dyn Snapshot) -> Result<bool, StoreError> {
        Ok(match self {
            Self::EffectiveAcl { subject, found, .. } => {
                let now = snapshot.effective_acl(subject)?;
                now.map(|(_, acl)| (acl.id, acl.version)) == *found
            }
            Self::EffectivePolicies { subject, found, .. } => {
                let now = access_control_resources(snapshot, subject)?;
                now.iter()
                    .map(|(_, acr)| (acr.id, acr.version))
                    .eq(found.iter().copied())
            }
            Self::Owner { root, found } => snapshot.storage(root)?.map(|storage| storage.owner) == *found,
            Self::Identity { subject, found } => snapshot.resource(subject)?.map(|resource| resource.id) == *found,
            Self::Group { document, found } => {
                let now = snapshot.resource(document)?;
                now.map(|group| (group.id, group.version)) == *found
            }
            // Nothing here says that it changed; its time is bounded where it is fetched.
            Self::RemoteGroup => true,
        })
    }
}
