//! Effective policies of a resource, and the modes that they grant (ACP §6.1 to §6.4).

use std::collections::BTreeSet;
use std::sync::Arc;

use super::matcher::{AgentValue, Answer};
use super::modes::ModeSet;
use super::{AccessControlResource, AcpContext, AcpPolicy};
use crate::decide::{Response, by_modes};
use crate::facts::{Fact, FactRequest, Facts};
use crate::request::AccessRequest;
use crate::wac::Modes;

/// Everything that governs one resource: its own access control resource and those of its ancestors (solid#86).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EffectiveAcp {
    /// The resource's own, if it has one: its access controls count.
    pub own: Option<Arc<AccessControlResource>>,
    /// Those of the containers above it, in any order: their member access controls count.
    pub ancestors: Vec<Arc<AccessControlResource>>,
}

impl EffectiveAcp {
    /// The modes granted in a context: those that a satisfied policy allows and no satisfied policy denies (solid#87).
    #[must_use]
    pub fn modes(&self, context: &AcpContext<'_>) -> Modes {
        let (mut allowed, mut denied) = (ModeSet::default(), ModeSet::default());
        for (document, to_members) in self.documents() {
            let answers: Vec<Answer> = document.matchers.iter().map(|one| one.answer(context)).collect();
            for policy in document.applied(to_members) {
                match policy.satisfied(&answers) {
                    Answer::Yes => {
                        allowed = allowed.with(policy.allow);
                        denied = denied.with(policy.deny);
                    }
                    // It may apply: what it denies stays denied, and what it allows is not given.
                    Answer::Unknown => denied = denied.with(policy.deny),
                    Answer::No => {}
                }
            }
        }
        allowed.without(denied).modes()
    }

    /// WebIDs that any matcher names.
    #[must_use]
    pub fn named_agents(&self) -> BTreeSet<String> {
        let matchers = self.documents().flat_map(|(document, _)| &document.matchers);
        matchers
            .flat_map(|matcher| &matcher.agents)
            .filter_map(|agent| match agent {
                AgentValue::Agent(web_id) => Some(web_id.to_string()),
                _ => None,
            })
            .collect()
    }

    /// Whether any policy asks who owns the resource.
    #[must_use]
    pub fn asks_for_owners(&self) -> bool {
        self.documents().any(|(document, _)| document.names_owner)
    }

    /// Whether any policy asks who made the resource.
    #[must_use]
    pub fn asks_for_creators(&self) -> bool {
        self.documents().any(|(document, _)| document.names_creator)
    }

    /// Each document, and whether the resource is a member (of a member…) of its subject.
    fn documents(&self) -> impl Iterator<Item = (&AccessControlResource, bool)> {
        let own = self.own.iter().map(|own| (own.as_ref(), false));
        own.chain(self.ancestors.iter().map(|ancestor| (ancestor.as_ref(), true)))
    }
}

impl AccessControlResource {
    /// Whether the document, as that of a storage's root, leaves the owner in control whatever the application and the
    /// issuer. One that does not must be refused on write, or the owner could never repair it (solid#70).
    #[must_use]
    pub fn gives_control(&self, owner: &str) -> bool {
        let owners = [owner.to_owned()];
        let context = AcpContext {
            agent: Some(owner),
            owners: Some(&owners),
            ..AcpContext::default()
        };
        let alone = EffectiveAcp {
            own: Some(Arc::new(self.clone())),
            ancestors: Vec::new(),
        };
        alone.modes(&context).contains(Modes::CONTROL)
    }
}

impl AcpPolicy {
    /// Whether the policy is satisfied (solid#88): no matcher of `acp:noneOf`, every one of `acp:allOf`, at least one of
    /// `acp:anyOf` if there are any, and at least one matcher in `acp:allOf` or `acp:anyOf` at all.
    fn satisfied(&self, answers: &[Answer]) -> Answer {
        let of = |position: &usize| answers.get(*position).copied().unwrap_or(Answer::Unknown);
        if self.all_of.is_empty() && self.any_of.is_empty() {
            return Answer::No;
        }
        let all = self.all_of.iter().map(of).min().unwrap_or(Answer::Yes);
        let any = self.any_of.iter().map(of).max().unwrap_or(Answer::Yes);
        let none = self.none_of.iter().map(of).max().unwrap_or(Answer::No);
        all.min(any).min(none.not())
    }
}

/// Decides on an operation by the effective policies of its resource.
pub(crate) fn decide(request: &AccessRequest, required: Modes, effective: &EffectiveAcp, facts: &Facts) -> Response {
    let mut context = AcpContext::of(&request.subject);
    let resource = || request.resource.clone();
    let mut lacking = Vec::new();
    let mut people = |asked: bool, wanted: FactRequest| {
        // Who is nobody neither owns nor made anything.
        if !asked || context.agent.is_none() {
            return Some(&[][..]);
        }
        match facts.find(&wanted) {
            Some(Fact::People(people)) => return Some(people.as_slice()),
            Some(Fact::Absent) => return Some(&[]),
            Some(_) => {}
            None => lacking.push(wanted),
        }
        None
    };
    let asked = effective.asks_for_owners();
    let owners = people(asked, FactRequest::Owners { resource: resource() });
    let asked = effective.asks_for_creators();
    let creators = people(asked, FactRequest::Creators { resource: resource() });
    if !lacking.is_empty() {
        return Response::NeedsFacts(lacking);
    }
    context.owners = owners;
    context.creators = creators;
    let modes = effective.modes(&context);
    let public_modes = effective.modes(&AcpContext::default());
    let about = &request.resource;
    Response::Decided(by_modes(about, Vec::new(), required, modes, public_modes))
}
