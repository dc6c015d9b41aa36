//! What the store holds around a target: the difference between creating and changing, and what stands in the way.
//!
//! It is read once before a decision and again inside the transaction: if it changed, the decision is made anew.

use crate::error::Error;
use crate::name::ResourceName;
use crate::store::{Resource, ResourceId, Sequence, Snapshot, StoreError};

use super::target::{Role, Target};

/// The surroundings of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Situation {
    /// What exists under the name.
    pub existing: Option<Resource>,
    /// Whether the name with or without the closing slash exists instead (solid#11).
    pub twin: bool,
    /// Containers that would have to be made, outermost first.
    pub missing: Vec<ResourceName>,
    /// The nearest container that exists; none outside every storage.
    pub nearest: Option<ResourceName>,
    /// For an auxiliary resource: whether its subject exists.
    pub subject_exists: bool,
}

/// As much of a situation as a decision rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    existing: Option<ResourceId>,
    twin: bool,
    nearest: Option<ResourceName>,
    subject_exists: bool,
}

impl Situation {
    /// The surroundings of something that is only read: they do not matter for the decision.
    #[must_use]
    pub const fn unseen() -> Self {
        Self {
            existing: None,
            twin: false,
            missing: Vec::new(),
            nearest: None,
            subject_exists: false,
        }
    }

    /// Looks around a target.
    ///
    /// # Errors
    /// When the store fails.
    pub fn read(snapshot: &dyn Snapshot, target: &Target) -> Result<Self, StoreError> {
        let existing = snapshot.resource(&target.name)?;
        let subject_exists = match &target.role {
            Role::Auxiliary { subject, .. } => snapshot.resource(subject)?.is_some(),
            _ => existing.is_some(),
        };
        let twin = match target.name.slash_twin() {
            Some(twin) if existing.is_none() => snapshot.resource(&twin)?.is_some(),
            _ => false,
        };
        let mut missing = Vec::new();
        let mut nearest = target.subject().parent();
        while let Some(container) = nearest.clone() {
            if container.is_root() {
                nearest = None;
                break;
            }
            if snapshot.resource(&container)?.is_some() {
                break;
            }
            nearest = container.parent();
            missing.insert(0, container);
        }
        Ok(Self {
            existing,
            twin,
            missing,
            nearest,
            subject_exists,
        })
    }

    /// What a decision rests on.
    #[must_use]
    pub fn shape(&self) -> Shape {
        Shape {
            existing: self.existing.as_ref().map(|resource| resource.id),
            twin: self.twin,
            nearest: self.nearest.clone(),
            subject_exists: self.subject_exists,
        }
    }

    /// State and time of what exists, for preconditions.
    #[must_use]
    pub fn current(&self) -> Option<(Sequence, i64)> {
        self.existing
            .as_ref()
            .map(|resource| (resource.version, resource.modified))
    }

    /// Refuses to write where the name cannot be had.
    ///
    /// # Errors
    /// [`Error::Conflict`] with the reason.
    pub fn check_writable(&self, snapshot: &dyn Snapshot, target: &Target) -> Result<(), Error> {
        if self.twin {
            let twin = if target.name.is_container() {
                "document"
            } else {
                "container"
            };
            return Err(Error::Conflict(format!(
                "a {twin} exists under this name {} the closing slash",
                if target.name.is_container() { "without" } else { "with" }
            )));
        }
        if let Role::Auxiliary { subject, .. } = &target.role
            && !self.subject_exists
        {
            return Err(Error::Conflict(format!(
                "`{subject}`, which this resource is about, does not exist"
            )));
        }
        // A container to be made must not have a document for a twin.
        for container in &self.missing {
            if let Some(document) = container.slash_twin()
                && snapshot.resource(&document)?.is_some()
            {
                return Err(Error::Conflict(format!(
                    "`{document}` is a document and cannot hold members"
                )));
            }
        }
        Ok(())
    }
}
