//! What a decision rested on, so that it can be checked again inside the transaction that carries it out: a
//! revocation between decision and commit must not slip through (invariant 8, T21).

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
    /// Whether the document is still in the state that the decision used.
    ///
    /// # Errors
    /// When the store fails.
    pub fn holds(&self, snapshot: &dyn Snapshot) -> Result<bool, StoreError> {
        Ok(match self {
            Self::EffectiveAcl { subject, found } => {
                let now = snapshot.effective_acl(subject)?;
                now.map(|(_, acl)| (acl.id, acl.version)) == *found
            }
            Self::Group { document, found } => {
                let now = snapshot.resource(document)?;
                now.map(|group| (group.id, group.version)) == *found
            }
            // Nothing here says that it changed; its time is bounded where it is fetched.
            Self::RemoteGroup => true,
        })
    }
}
