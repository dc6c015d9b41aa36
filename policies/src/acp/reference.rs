//! A second evaluator, slow and plain: it reads the graph anew for every question and follows the words of ACP §6 one by
//! one. Tests hold the first one to it.

use std::collections::BTreeSet;

use oxrdf::{NamedOrBlankNode, Term, Triple};
use vocab::{acl, acp};

use super::AcpContext;

/// One document: its triples, the IRI of the resource that it controls.
pub(super) struct Document {
    pub(super) triples: Vec<Triple>,
    pub(super) resource: String,
}

/// What may be true of a matcher or policy: certainly not, certainly, or both are possible.
type Possible = BTreeSet<bool>;

fn certainly(answer: bool) -> Possible {
    BTreeSet::from([answer])
}

/// Everything that both can come to, put together by `join`.
fn joined(left: &Possible, right: &Possible, join: fn(bool, bool) -> bool) -> Possible {
    let pairs = left.iter().flat_map(|l| right.iter().map(|r| (*l, *r)));
    pairs.map(|(l, r)| join(l, r)).collect()
}

impl Document {
    fn objects(&self, subject: &NamedOrBlankNode, predicate: &str) -> Vec<Term> {
        let about = |triple: &&Triple| triple.subject == *subject && triple.predicate.as_str() == predicate;
        self.triples
            .iter()
            .filter(about)
            .map(|triple| triple.object.clone())
            .collect()
    }

    fn nodes(&self, subject: &NamedOrBlankNode, predicate: &str) -> Vec<NamedOrBlankNode> {
        let node = |term: Term| match term {
            Term::NamedNode(node) => Some(node.into()),
            Term::BlankNode(node) => Some(node.into()),
            _ => None,
        };
        self.objects(subject, predicate).into_iter().filter_map(node).collect()
    }

    fn iris(&self, subject: &NamedOrBlankNode, predicate: &str) -> Vec<String> {
        let iri = |term: Term| match term {
            Term::NamedNode(node) => Some(node.into_string()),
            _ => None,
        };
        self.objects(subject, predicate).into_iter().filter_map(iri).collect()
    }

    fn effective_policies(&self, to_members: bool) -> Vec<NamedOrBlankNode> {
        let property = if to_members {
            acp::MEMBER_ACCESS_CONTROL
        } else {
            acp::ACCESS_CONTROL_PROPERTY
        };
        let controlling = self.triples.iter().filter(|triple| {
            triple.predicate.as_str() == acp::RESOURCE
                && matches!(&triple.object, Term::NamedNode(node) if node.as_str() == self.resource)
        });
        controlling
            .flat_map(|triple| self.nodes(&triple.subject, property))
            .flat_map(|control| self.nodes(&control, acp::APPLY))
            .collect()
    }

    fn matcher(&self, matcher: &NamedOrBlankNode, context: &AcpContext<'_>) -> Possible {
        let (agents, clients, issuers, credentials) = (
            self.iris(matcher, acp::AGENT),
            self.iris(matcher, acp::CLIENT),
            self.iris(matcher, acp::ISSUER),
            self.iris(matcher, acp::VC),
        );
        if agents.is_empty() && clients.is_empty() && issuers.is_empty() && credentials.is_empty() {
            return certainly(false);
        }
        let mut all = certainly(true);
        let mut attribute = |values: &[String], matches: &dyn Fn(&str) -> Possible| {
            if values.is_empty() {
                return;
            }
            let mut any = certainly(false);
            for value in values {
                any = joined(&any, &matches(value), |l, r| l || r);
            }
            all = joined(&all, &any, |l, r| l && r);
        };
        attribute(&agents, &|value| agent(value, context));
        attribute(&clients, &|value| {
            certainly(
                value == acp::PUBLIC_CLIENT
                    || (value == acp::AUTHENTICATED_CLIENT && context.client.is_some())
                    || context.client == Some(value),
            )
        });
        attribute(&issuers, &|value| {
            certainly(
                value == acp::PUBLIC_ISSUER
                    || (value == acp::AUTHENTICATED_ISSUER && context.issuer.is_some())
                    || context.issuer == Some(value),
            )
        });
        attribute(&credentials, &|_| BTreeSet::from([false, true]));
        all
    }

    fn policy(&self, policy: &NamedOrBlankNode, context: &AcpContext<'_>) -> Possible {
        let answers = |property: &str| -> Vec<Possible> {
            let matchers = self.nodes(policy, property);
            matchers.iter().map(|matcher| self.matcher(matcher, context)).collect()
        };
        let (all_of, any_of, none_of) = (answers(acp::ALL_OF), answers(acp::ANY_OF), answers(acp::NONE_OF));
        if all_of.is_empty() && any_of.is_empty() {
            return certainly(false);
        }
        let mut satisfied = certainly(true);
        for one in &all_of {
            satisfied = joined(&satisfied, one, |l, r| l && r);
        }
        if !any_of.is_empty() {
            let mut any = certainly(false);
            for one in &any_of {
                any = joined(&any, one, |l, r| l || r);
            }
            satisfied = joined(&satisfied, &any, |l, r| l && r);
        }
        for one in &none_of {
            satisfied = joined(&satisfied, one, |l, r| l && !r);
        }
        satisfied
    }
}

fn agent(value: &str, context: &AcpContext<'_>) -> Possible {
    let Some(agent) = context.agent else {
        return certainly(value == acp::PUBLIC_AGENT);
    };
    let among = |people: Option<&[String]>| match people {
        Some(people) => certainly(people.contains(&agent.to_owned())),
        None => BTreeSet::from([false, true]),
    };
    match value {
        acp::PUBLIC_AGENT | acp::AUTHENTICATED_AGENT => certainly(true),
        acp::CREATOR_AGENT => among(context.creators),
        acp::OWNER_AGENT => among(context.owners),
        other => certainly(other == agent),
    }
}

/// The modes that are granted: allowed by a policy that is certainly satisfied, and denied by none that may be.
pub(super) fn granted(own: Option<&Document>, ancestors: &[&Document], context: &AcpContext<'_>) -> BTreeSet<String> {
    let (mut allowed, mut denied) = (BTreeSet::new(), BTreeSet::new());
    let documents = own.into_iter().map(|own| (own, false));
    for (document, to_members) in documents.chain(ancestors.iter().map(|one| (*one, true))) {
        for policy in document.effective_policies(to_members) {
            let satisfied = document.policy(&policy, context);
            if satisfied == certainly(true) {
                allowed.extend(document.iris(&policy, acp::ALLOW));
            }
            if satisfied.contains(&true) {
                denied.extend(document.iris(&policy, acp::DENY));
            }
        }
    }
    let known = [acl::READ, acl::APPEND, acl::WRITE, acl::CONTROL];
    allowed
        .into_iter()
        .filter(|mode| !denied.contains(mode) && known.contains(&mode.as_str()))
        .collect()
}
