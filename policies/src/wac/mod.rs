//! Web Access Control: modes, compiled ACL documents, and which modes a subject has by them.
//!
//! An ACL is parsed once ([`Acl::parse`]) and cached by the caller; [`Acl::modes`] then allocates nothing. Access is
//! only ever added up: whatever is unknown, unreadable or unmatched adds nothing. A condition of an unknown type is an
//! error of the whole document, because leaving it out would widen access (solid#81).

mod as_policies;
#[cfg(test)]
mod as_policies_tests;
mod evaluate;
mod modes;
mod parse;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

pub use as_policies::{AsPolicies, Grants, Inexpressible};
pub use evaluate::{AclTarget, Membership};
pub use modes::{Modes, ModesError};
pub use parse::{AclError, AclLimits};

/// A compiled ACL document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acl {
    authorizations: Vec<Authorization>,
}

/// One `acl:Authorization`, with only what evaluation needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Authorization {
    access_to: Vec<Box<str>>,
    default: Vec<Box<str>>,
    modes: Modes,
    agents: Vec<Box<str>>,
    groups: Vec<Box<str>>,
    public: bool,
    authenticated: bool,
    origins: Vec<Box<str>>,
    conditions: Vec<Condition>,
}

/// One `acl:condition`; it holds when any of its members matches.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Condition {
    kind: ConditionKind,
    values: Vec<Box<str>>,
    groups: Vec<Box<str>>,
    /// `foaf:Agent`: anyone, even without a client or issuer.
    anyone: bool,
    /// `acl:AuthenticatedAgent`: whoever has a verified client or issuer.
    identified: bool,
}

/// What a condition looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ConditionKind {
    Client,
    Issuer,
}

impl Acl {
    /// IRIs of the types of condition that are enforced, to be announced with `Link` (solid#81).
    pub const CONDITIONS: [&'static str; 2] = [vocab::acl::CLIENT_CONDITION, vocab::acl::ISSUER_CONDITION];

    /// How many authorizations the document holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.authorizations.len()
    }

    /// WebIDs that any authorization names.
    #[must_use]
    pub fn named_agents(&self) -> BTreeSet<String> {
        let agents = self.authorizations.iter().flat_map(|one| &one.agents);
        agents.map(ToString::to_string).collect()
    }

    /// Groups that any authorization names.
    #[must_use]
    pub fn named_groups(&self) -> BTreeSet<String> {
        let groups = self.authorizations.iter().flat_map(|one| &one.groups);
        groups.map(ToString::to_string).collect()
    }

    /// Whether the document holds no authorization at all (then nobody has access by it).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.authorizations.is_empty()
    }
}
