//! What the rules of a resource say about whom they may reach, as far as it can be told without deciding.
//!
//! It only ever says too much: rules that mention none of those that apply to a caller cannot give that caller anything.

use std::collections::BTreeSet;

use oxrdf::{Term, Triple};
use vocab::{acl, acp, foaf};

/// Stands among the mentions for everyone whom rules may reach without naming them: members of groups, users of an
/// application, owners.
pub const ANYONE_ELSE: &str = "";

/// Whom access rules mention, and how far they reach.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mentions {
    /// Agents, `foaf:Agent`, `acl:AuthenticatedAgent` and [`ANYONE_ELSE`].
    pub agents: BTreeSet<Box<str>>,
    /// They count for all resources below, whatever rules these have of their own (ACP's member access controls).
    pub cumulative: bool,
    /// They can take away what others give (ACP's denials and exceptions), so that a right of everyone is not a right
    /// of each.
    pub narrowing: bool,
}

impl Mentions {
    /// Reads the statements of a list or an access control resource, whichever it is.
    #[must_use]
    pub fn of(triples: &[Triple]) -> Self {
        let mut mentions = Self::default();
        for triple in triples {
            let predicate = triple.predicate.as_str();
            if predicate.starts_with(acl::NS) {
                mentions.agents.extend(listed(predicate, &triple.object));
            } else if predicate.starts_with(acp::NS) {
                mentions.agents.extend(matched(predicate, &triple.object));
                mentions.cumulative |= predicate == acp::MEMBER_ACCESS_CONTROL;
                mentions.narrowing |= matches!(predicate, acp::DENY | acp::NONE_OF);
            }
        }
        mentions
    }
}

fn named(object: &Term) -> Option<&str> {
    match object {
        Term::NamedNode(node) => Some(node.as_str()),
        _ => None,
    }
}

/// By a property of Web Access Control.
fn listed(predicate: &str, object: &Term) -> Option<Box<str>> {
    match predicate {
        acl::AGENT | acl::AGENT_CLASS => named(object).map(Into::into),
        acl::MODE | acl::ACCESS_TO | acl::DEFAULT | acl::OWNER => None,
        // What does not by itself say whom it reaches may reach anyone.
        _ => Some(ANYONE_ELSE.into()),
    }
}

/// By a property of Access Control Policies.
fn matched(predicate: &str, object: &Term) -> Option<Box<str>> {
    match predicate {
        acp::AGENT => Some(match named(object)? {
            acp::PUBLIC_AGENT => foaf::AGENT_CLASS.into(),
            acp::AUTHENTICATED_AGENT => acl::AUTHENTICATED_AGENT.into(),
            acp::CREATOR_AGENT | acp::OWNER_AGENT => ANYONE_ELSE.into(),
            agent => agent.into(),
        }),
        acp::CLIENT | acp::ISSUER | acp::VC => Some(ANYONE_ELSE.into()),
        _ => None,
    }
}
