//! Access Control Policies (Solid ACP, editor's draft 0.9): compiled access control resources, and which modes they give
//! in a context (solid#84-92).
//!
//! A resource is governed by its own access control resource and by the member access controls of all its ancestors
//! together ([`EffectiveAcp`]). A document is compiled once ([`AccessControlResource::parse`]) and cached by the caller.
//!
//! Because policies can deny, leaving something out may widen access. So whatever could narrow access and is not
//! enforced here is an error of the whole document, which is refused on write and denies on evaluation. What cannot be
//! known in a context (whether a valid credential was presented, who made a resource) counts neither as a match nor as
//! the absence of one: it never makes an allowing policy apply and never keeps a denying one from applying.

mod context;
mod effective;
mod matcher;
mod modes;
mod parse;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;

pub use context::AcpContext;
pub use effective::EffectiveAcp;
pub use parse::{AcpError, AcpLimits, Part};

pub(crate) use effective::decide;

use matcher::Matcher;
use modes::ModeSet;

/// A compiled access control resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessControlResource {
    matchers: Vec<Matcher>,
    policies: Vec<AcpPolicy>,
    /// Positions of the policies that the access controls of the resource itself apply, each once.
    access_controls: Vec<usize>,
    /// The same for its members, at any depth.
    member_access_controls: Vec<usize>,
    /// Whether a matcher asks who owns the resource.
    names_owner: bool,
    /// Whether a matcher asks who made the resource.
    names_creator: bool,
}

/// One policy, with only what evaluation needs. Matchers are positions in their document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct AcpPolicy {
    allow: ModeSet,
    deny: ModeSet,
    all_of: Vec<usize>,
    any_of: Vec<usize>,
    none_of: Vec<usize>,
}

impl AccessControlResource {
    /// IRIs of the modes that can be granted, to be announced on OPTIONS (solid#85).
    pub const GRANTS: [&'static str; 4] = [
        vocab::acl::READ,
        vocab::acl::APPEND,
        vocab::acl::WRITE,
        vocab::acl::CONTROL,
    ];

    /// IRIs of the attributes of a context that are known, to be announced on OPTIONS (solid#85). Verifiable credentials
    /// are not among them: none can be presented here.
    pub const ATTRIBUTES: [&'static str; 6] = [
        vocab::acp::TARGET,
        vocab::acp::AGENT,
        vocab::acp::CREATOR,
        vocab::acp::OWNER,
        vocab::acp::CLIENT,
        vocab::acp::ISSUER,
    ];

    /// Whether no policy is applied by this document.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.access_controls.is_empty() && self.member_access_controls.is_empty()
    }

    /// The applied policies: of the members' access controls, or of the resource's own.
    fn applied(&self, to_members: bool) -> impl Iterator<Item = &AcpPolicy> {
        let positions = if to_members {
            &self.member_access_controls
        } else {
            &self.access_controls
        };
        positions.iter().filter_map(|position| self.policies.get(*position))
    }
}
