//! Policies compiled for decisions: rules found by asset and party without looking at the others, conditions ready.

use std::collections::HashMap;
use std::sync::Arc;

use vocab::odrl;

use super::action;
use super::condition::Condition;
use super::duty::CompiledDuty;
use super::evaluate::understood;
use super::model::{ConflictStrategy, Party, Policy, PolicyKind, Target};
use super::validate::findings;
use super::world::Of;
use crate::decision::ReasonCode;

/// Permission or prohibition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RuleKind {
    /// `odrl:permission`
    Permission,
    /// `odrl:prohibition`
    Prohibition,
}

/// A rule ready to be judged.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) kind: RuleKind,
    pub(super) policy: u32,
    /// Position in its list in the policy.
    pub(super) index: u32,
    pub(super) action: Box<str>,
    /// Whether the action is one of the vocabulary.
    pub(super) known_action: bool,
    /// All wider actions of the vocabulary.
    pub(super) wider: Vec<&'static str>,
    /// Constraints and all refinements.
    pub(super) condition: Condition,
    pub(super) duties: Vec<CompiledDuty>,
    /// The first term that is not understood.
    pub(super) unknown: Option<Box<str>>,
}

/// A policy ready to be judged.
#[derive(Clone, Debug)]
pub(super) struct Ready {
    pub(super) policy: Arc<Policy>,
    pub(super) conflict: ConflictStrategy,
    /// Profiles beyond those that are always understood.
    pub(super) profiles: Vec<String>,
    /// Why nothing in it counts.
    pub(super) broken: Option<(ReasonCode, Box<str>)>,
    pub(super) obligations: Vec<CompiledDuty>,
}

/// Policies compiled together. Immutable: a changed policy makes a new set, which readers take over when they like.
#[derive(Clone, Debug, Default)]
pub struct PolicySet {
    pub(super) policies: Vec<Ready>,
    pub(super) rules: Vec<Rule>,
    /// Rules by asset, then by party; the empty text stands for everything and for everyone.
    pub(super) index: HashMap<Box<str>, HashMap<Box<str>, Vec<u32>>>,
}

impl PolicySet {
    /// Compiles policies. What is wrong with one makes it refuse, and does not touch the others.
    #[must_use]
    pub fn compile(policies: impl IntoIterator<Item = Arc<Policy>>) -> Self {
        let mut set = Self::default();
        for policy in policies {
            set.add(policy);
        }
        set
    }

    /// How many policies there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.policies.len()
    }

    /// Whether there is no policy.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.policies.is_empty()
    }

    fn add(&mut self, policy: Arc<Policy>) {
        let Ok(number) = u32::try_from(self.policies.len()) else {
            return;
        };
        for (index, rule) in policy.permissions.iter().enumerate() {
            let assignee = rule.assignee.as_ref().or(policy.assignee.as_ref());
            let refined = rule.action.refinements.iter().chain(&rule.constraints);
            self.push(
                Rule {
                    kind: RuleKind::Permission,
                    policy: number,
                    index: u32::try_from(index).unwrap_or(u32::MAX),
                    action: rule.action.id.as_str().into(),
                    known_action: action::is_known(&rule.action.id),
                    wider: wider(&rule.action.id),
                    condition: condition(refined, assignee, &rule.target),
                    duties: rule.duties.iter().map(|duty| CompiledDuty::new(duty, 0)).collect(),
                    unknown: rule.unknown.first().map(|term| term.as_str().into()),
                },
                &rule.target,
                assignee,
            );
        }
        for (index, rule) in policy.prohibitions.iter().enumerate() {
            let assignee = rule.assignee.as_ref().or(policy.assignee.as_ref());
            let refined = rule.action.refinements.iter().chain(&rule.constraints);
            self.push(
                Rule {
                    kind: RuleKind::Prohibition,
                    policy: number,
                    index: u32::try_from(index).unwrap_or(u32::MAX),
                    action: rule.action.id.as_str().into(),
                    known_action: action::is_known(&rule.action.id),
                    wider: wider(&rule.action.id),
                    condition: condition(refined, assignee, &rule.target),
                    duties: Vec::new(),
                    unknown: rule.unknown.first().map(|term| term.as_str().into()),
                },
                &rule.target,
                assignee,
            );
        }
        self.policies.push(Ready {
            conflict: policy.conflict.unwrap_or_default(),
            profiles: policy
                .profiles
                .iter()
                .filter(|profile| !understood(profile))
                .cloned()
                .collect(),
            broken: broken(&policy),
            obligations: policy
                .obligations
                .iter()
                .map(|duty| CompiledDuty::new(duty, 0))
                .collect(),
            policy,
        });
    }

    fn push(&mut self, rule: Rule, target: &Target, assignee: Option<&Party>) {
        let Ok(number) = u32::try_from(self.rules.len()) else {
            return;
        };
        let party = assignee.map_or("", |party| party.id.as_str());
        let by_party = self.index.entry(target.source.as_str().into()).or_default();
        by_party.entry(party.into()).or_default().push(number);
        self.rules.push(rule);
    }
}

fn condition<'c>(
    constraints: impl Iterator<Item = &'c super::Constraint>,
    assignee: Option<&'c Party>,
    target: &'c Target,
) -> Condition {
    let of_party = assignee.into_iter().flat_map(|party| &party.refinements);
    Condition::all(
        constraints
            .map(|constraint| (Of::Request, constraint))
            .chain(of_party.map(|constraint| (Of::Party, constraint)))
            .chain(target.refinements.iter().map(|constraint| (Of::Target, constraint))),
    )
}

fn wider(action: &str) -> Vec<&'static str> {
    let mut found = Vec::new();
    let mut next = action::included_in(action);
    while let Some(wide) = next {
        if found.contains(&wide) {
            break;
        }
        found.push(wide);
        next = action::included_in(wide);
    }
    found
}

/// Why nothing in a policy counts, whatever the world; offers and profiles depend on the world.
fn broken(policy: &Policy) -> Option<(ReasonCode, Box<str>)> {
    if let Some(term) = policy.unknown.first() {
        return Some((ReasonCode::UnknownTerm, term.as_str().into()));
    }
    if let Some((_, successor)) = policy
        .annotations
        .iter()
        .find(|(predicate, _)| predicate == vocab::dcterms::IS_REPLACED_BY)
    {
        return Some((ReasonCode::PolicyInvalid, successor.to_string().into()));
    }
    let fault = findings(policy, true).into_iter().next();
    fault.map(|finding| (ReasonCode::PolicyInvalid, finding.to_string().into()))
}

/// Whether a policy is of a kind that grants.
pub(super) fn grants(kind: PolicyKind, what_if: bool) -> bool {
    kind != PolicyKind::Offer || what_if
}

/// What the whole vocabulary of a rule's kind is called.
pub(super) fn path(kind: RuleKind, index: u32) -> String {
    let name = match kind {
        RuleKind::Permission => vocab::local_name(odrl::PERMISSION),
        RuleKind::Prohibition => vocab::local_name(odrl::PROHIBITION),
    };
    format!("{name}[{index}]")
}
