//! What the enforcement point tells the audit log about a use. The log itself is written elsewhere.

use std::sync::Arc;

use policies::audit::Basis;
use policies::decision::Decision;
use policies::request::Subject;

use crate::name::ResourceName;
use crate::store::AuditEntry;

/// One use, permitted or refused.
#[derive(Clone, Copy, Debug)]
pub struct Use<'u> {
    /// Who.
    pub subject: &'u Subject,
    /// Agreement that the credentials are bound to.
    pub agreement: Option<&'u str>,
    /// Purpose that was stated.
    pub purpose: Option<&'u str>,
    /// Server that acts for the subject under a delegation.
    pub via: Option<&'u str>,
    /// What was asked for.
    pub operation: UseKind,
    /// On which resource.
    pub resource: &'u ResourceName,
}

/// Kinds of use of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UseKind {
    /// GET, HEAD, OPTIONS.
    Read,
    /// A new resource.
    Create,
    /// Statements added.
    Append,
    /// A new state.
    Update,
    /// A resource removed.
    Delete,
}

impl UseKind {
    /// The word in audit records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Create => "create",
            Self::Append => "append",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

/// Makes an audit entry of a use and its decision.
pub trait Recorder: Send + Sync {
    /// The entry, with what the decision was made from, salted and addressed to the storages that may see it.
    ///
    /// # Errors
    /// Says why the use cannot be recorded; it must then not take place.
    fn entry(&self, used: &Use<'_>, decision: &Decision, basis: &Arc<Basis>) -> Result<AuditEntry, String>;
}
