//! Which modes a subject has by a compiled ACL.

use super::{Acl, Authorization, Condition, ConditionKind, Modes};
use crate::request::{Agent, Subject};

/// Which part of an ACL counts for the resource in question (solid#71).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AclTarget<'a> {
    /// IRI of the resource that holds the ACL: the resource itself, or the ancestor container it is inherited from.
    pub resource: &'a str,
    /// True when inherited: then `acl:default` counts, and `acl:accessTo` does not.
    pub inherited: bool,
}

impl<'a> AclTarget<'a> {
    /// The resource's own ACL.
    #[must_use]
    pub fn own(resource: &'a str) -> Self {
        Self {
            resource,
            inherited: false,
        }
    }

    /// An ACL inherited from the container `holder`.
    #[must_use]
    pub fn inherited(holder: &'a str) -> Self {
        Self {
            resource: holder,
            inherited: true,
        }
    }
}

/// Answers whether `member` (a WebID, client or issuer) is in the group `group`; `None` when the group cannot be read.
pub type Membership<'a> = dyn Fn(&str, &str) -> Option<bool> + 'a;

impl Acl {
    /// All modes that `subject` has on the target.
    ///
    /// With an `Origin` (solid#78), a mode that the public does not have needs an authorization that lists this
    /// origin and gives the mode to this agent, or lists no agents at all.
    #[must_use]
    pub fn modes(&self, subject: &Subject, target: AclTarget<'_>, membership: &Membership<'_>) -> Modes {
        let applicable = || self.applicable(target);
        let mut granted = Modes::NONE;
        for authorization in applicable() {
            if !granted.contains(authorization.modes) && authorization.admits(subject, membership) {
                granted |= authorization.modes;
            }
        }
        let Some(origin) = subject.origin.as_deref() else {
            return granted;
        };
        let public = self.public_modes(target, membership);
        if public.contains(granted) {
            return granted;
        }
        let mut by_origin = Modes::NONE;
        for authorization in applicable() {
            let listed = authorization.origins.iter().any(|listed| **listed == *origin);
            if listed
                && authorization.conditions_hold(subject, membership)
                && (authorization.has_no_agents() || authorization.admits_agent(subject, membership))
            {
                by_origin |= authorization.modes;
            }
        }
        granted & (public | by_origin)
    }

    /// Whether any authorization lists origins. Where none does, a server may choose not to ask for them (solid#78).
    #[must_use]
    pub fn names_origins(&self) -> bool {
        self.authorizations
            .iter()
            .any(|authorization| !authorization.origins.is_empty())
    }

    /// All modes that anyone has on the target, without credentials.
    #[must_use]
    pub fn public_modes(&self, target: AclTarget<'_>, membership: &Membership<'_>) -> Modes {
        let nobody = Subject::public();
        let mut granted = Modes::NONE;
        for authorization in self.applicable(target) {
            if authorization.public && authorization.conditions_hold(&nobody, membership) {
                granted |= authorization.modes;
            }
        }
        granted
    }

    /// The groups whose members matter for this subject on this target, each once, in document order.
    #[must_use]
    pub fn groups(&self, subject: &Subject, target: AclTarget<'_>) -> Vec<&str> {
        let mut found: Vec<&Box<str>> = Vec::new();
        for authorization in self.applicable(target) {
            if subject.agent != Agent::Public {
                found.extend(authorization.groups.iter());
            }
            for condition in &authorization.conditions {
                if condition.value_of(subject).is_some() {
                    found.extend(condition.groups.iter());
                }
            }
        }
        let mut groups: Vec<&str> = Vec::new();
        for group in found {
            if !groups.contains(&&**group) {
                groups.push(group);
            }
        }
        groups
    }

    /// Whether the document, as the own ACL of `root`, gives Control to someone (solid#70). A root ACL that does not
    /// must be refused on write, or nobody could ever repair it.
    #[must_use]
    pub fn gives_control(&self, root: &str) -> bool {
        self.applicable(AclTarget::own(root))
            .any(|authorization| authorization.modes.contains(Modes::CONTROL) && !authorization.has_no_agents())
    }

    pub(super) fn applicable(&self, target: AclTarget<'_>) -> impl Iterator<Item = &Authorization> {
        self.authorizations.iter().filter(move |authorization| {
            let listed = if target.inherited {
                &authorization.default
            } else {
                &authorization.access_to
            };
            listed.iter().any(|iri| **iri == *target.resource)
        })
    }
}

impl Authorization {
    fn admits(&self, subject: &Subject, membership: &Membership<'_>) -> bool {
        self.admits_agent(subject, membership) && self.conditions_hold(subject, membership)
    }

    fn admits_agent(&self, subject: &Subject, membership: &Membership<'_>) -> bool {
        if self.public {
            return true;
        }
        match &subject.agent {
            Agent::Public => false,
            Agent::Authenticated(web_id) => {
                let web_id = web_id.as_str();
                self.authenticated
                    || self.agents.iter().any(|agent| **agent == *web_id)
                    || self.groups.iter().any(|group| membership(group, web_id) == Some(true))
            }
        }
    }

    fn conditions_hold(&self, subject: &Subject, membership: &Membership<'_>) -> bool {
        self.conditions
            .iter()
            .all(|condition| condition.holds(subject, membership))
    }

    pub(super) fn has_no_agents(&self) -> bool {
        !self.public && !self.authenticated && self.agents.is_empty() && self.groups.is_empty()
    }
}

impl Condition {
    fn value_of<'s>(&self, subject: &'s Subject) -> Option<&'s str> {
        match self.kind {
            ConditionKind::Client => subject.client.as_deref(),
            ConditionKind::Issuer => subject.issuer.as_deref(),
        }
    }

    fn holds(&self, subject: &Subject, membership: &Membership<'_>) -> bool {
        if self.anyone {
            return true;
        }
        self.value_of(subject).is_some_and(|value| {
            self.identified
                || self.values.iter().any(|listed| **listed == *value)
                || self.groups.iter().any(|group| membership(group, value) == Some(true))
        })
    }
}
