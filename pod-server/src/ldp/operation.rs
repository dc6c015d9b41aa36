//! From a request to the operation that it asks for, and the modes that the operation needs (WAC §4; solid#74-77).

use policies::wac::Modes;

use crate::authz::{Requirement, UseKind};
use crate::name::ResourceName;

use super::patch::PatchDocument;
use super::situation::Situation;
use super::target::Target;

/// What is to be done, as far as rights are concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// See a representation.
    Read,
    /// Give a resource a new state, or make it.
    Put,
    /// Change a document, or make it.
    Patch {
        /// It has conditions.
        reads: bool,
        /// It adds statements.
        inserts: bool,
        /// It removes statements.
        deletes: bool,
    },
    /// Make a member of a container under a name that the server picks.
    Post,
    /// Remove.
    Delete,
}

impl Operation {
    /// The operation of a patch.
    #[must_use]
    pub fn of_patch(patch: &PatchDocument) -> Self {
        Self::Patch {
            reads: patch.reads(),
            inserts: patch.inserts(),
            deletes: patch.deletes(),
        }
    }

    /// The word for the audit log.
    #[must_use]
    pub const fn use_kind(&self, exists: bool) -> UseKind {
        match self {
            Self::Read => UseKind::Read,
            Self::Delete => UseKind::Delete,
            Self::Post => UseKind::Create,
            Self::Put | Self::Patch { .. } if !exists => UseKind::Create,
            Self::Patch { deletes: false, .. } => UseKind::Append,
            Self::Put | Self::Patch { .. } => UseKind::Update,
        }
    }

    /// The modes that it needs, the target's own first.
    #[must_use]
    pub fn requirements(&self, target: &Target, situation: &Situation) -> Vec<Requirement> {
        // An access control list is read and written by whoever controls its subject (solid#77).
        if target.is_acl() {
            return vec![needs(target.subject(), Modes::CONTROL)];
        }
        let mut own = self.own_modes();
        if *self == Self::Delete && target.is_container() {
            // Whether it can be deleted tells whether it has members.
            own |= Modes::READ;
        }
        let mut requirements = vec![needs(target.subject(), own)];
        let is_member = target.auxiliary().is_none();
        match self {
            Self::Delete if is_member => {
                // A member's removal changes its container (solid#76).
                let parent = target.name.parent().filter(|parent| !parent.is_root());
                requirements.extend(parent.map(|parent| needs(&parent, Modes::WRITE)));
            }
            Self::Put | Self::Patch { .. } if is_member && situation.existing.is_none() => {
                requirements.extend(situation.nearest.iter().map(|parent| needs(parent, Modes::APPEND)));
                // Each container on the way is made too (solid#74).
                requirements.extend(situation.missing.iter().map(|made| needs(made, Modes::APPEND)));
            }
            _ => {}
        }
        requirements
    }

    /// The modes on the target itself.
    fn own_modes(&self) -> Modes {
        match self {
            Self::Read => Modes::READ,
            Self::Put | Self::Delete => Modes::WRITE,
            Self::Post => Modes::APPEND,
            Self::Patch {
                reads,
                inserts,
                deletes,
            } => {
                // Conditions could otherwise be used to find out what a document says (solid#38, T16).
                let mut modes = if *reads { Modes::READ } else { Modes::NONE };
                if *deletes {
                    modes |= Modes::READ | Modes::WRITE;
                }
                if *inserts || !*deletes && !*reads {
                    modes |= Modes::APPEND;
                }
                modes
            }
        }
    }
}

/// What a patch needs before its body was looked at: someone who may not even add must learn nothing of its parsing.
#[must_use]
pub fn before_the_patch_is_read(target: &Target) -> Vec<Requirement> {
    let modes = if target.is_acl() { Modes::CONTROL } else { Modes::APPEND };
    vec![needs(target.subject(), modes)]
}

fn needs(resource: &ResourceName, modes: Modes) -> Requirement {
    Requirement {
        resource: resource.clone(),
        modes,
    }
}
