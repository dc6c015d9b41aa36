//! Normalisation: a policy with the rules that it inherits, every party in place, no rule twice (ODRL 2.2 §2.8, §2.9).
//!
//! Compact rules are expanded to atomic ones when a policy is read; collections and hierarchies are followed when the
//! world is built. What is left is inheritance, which needs the other policies.

use std::collections::BTreeMap;

use super::model::{Constraint, Duty, Party, Policy};

/// Bounds on inheritance.
#[derive(Clone, Copy, Debug)]
pub struct InheritanceLimits {
    /// Longest chain of parents.
    pub depth_max: usize,
    /// Most rules of the whole.
    pub rules_max: usize,
    /// Most policies taken over, each counted as often as it is inherited from.
    pub policies_max: usize,
}

impl Default for InheritanceLimits {
    fn default() -> Self {
        Self {
            depth_max: 8,
            rules_max: 400,
            policies_max: 400,
        }
    }
}

/// Why a policy has no normal form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NormaliseError {
    /// A parent is not at hand.
    #[error("<{child}> inherits from <{parent}>, which is not at hand (ODRL 2.2 §2.9)")]
    ParentMissing {
        /// The policy that inherits.
        child: String,
        /// The policy that it names.
        parent: String,
    },
    /// A policy inherits from itself.
    #[error("<{0}> inherits from itself, directly or through others (ODRL 2.2 §2.9)")]
    Circular(String),
    /// The chain of parents is too long.
    #[error("<{0}> inherits through more than {1} policies (`depth_max`)")]
    TooDeep(String, usize),
    /// Too many rules in all.
    #[error("<{0}> has more than {1} rules with those that it inherits (`rules_max`)")]
    TooManyRules(String, usize),
    /// Too many parents in all.
    #[error("<{0}> inherits from policies more than {1} times (`policies_max`)")]
    TooManyParents(String, usize),
    /// Parents and child name different conflict strategies, so none of them can be followed (ODRL 2.2 §2.10).
    #[error("<{0}> and what it inherits from name different conflict strategies (ODRL 2.2 §2.10)")]
    Conflict(String),
    /// The policy, or one that it inherits from, has been replaced.
    #[error("<{0}> is replaced by {1}")]
    Replaced(String, String),
}

/// The normal form of a policy. `library` holds the policies that may be inherited from, by IRI.
///
/// # Errors
/// See [`NormaliseError`]; a policy without normal form must not be evaluated.
pub fn normalise(
    policy: &Policy,
    library: &BTreeMap<String, Policy>,
    limits: &InheritanceLimits,
) -> Result<Policy, NormaliseError> {
    let mut path = Vec::new();
    let mut visited = 0;
    let mut whole = inherited(policy, library, limits, &mut path, &mut visited)?;
    let (assigner, assignee) = (whole.assigner.clone(), whole.assignee.clone());
    for rule in &mut whole.permissions {
        fill(&mut rule.assigner, &assigner);
        fill(&mut rule.assignee, &assignee);
    }
    for rule in &mut whole.prohibitions {
        fill(&mut rule.assigner, &assigner);
        fill(&mut rule.assignee, &assignee);
    }
    once(&mut whole.permissions);
    once(&mut whole.prohibitions);
    once(&mut whole.obligations);
    Ok(whole)
}

fn inherited<'p>(
    policy: &'p Policy,
    library: &'p BTreeMap<String, Policy>,
    limits: &InheritanceLimits,
    path: &mut Vec<&'p str>,
    visited: &mut usize,
) -> Result<Policy, NormaliseError> {
    *visited += 1;
    if *visited > limits.policies_max {
        let child = path.first().copied().unwrap_or_default().to_owned();
        return Err(NormaliseError::TooManyParents(child, limits.policies_max));
    }
    if path.contains(&policy.id.as_str()) {
        return Err(NormaliseError::Circular(policy.id.clone()));
    }
    if path.len() > limits.depth_max {
        let child = path.first().copied().unwrap_or_default().to_owned();
        return Err(NormaliseError::TooDeep(child, limits.depth_max));
    }
    let replaced = policy
        .annotations
        .iter()
        .find(|(predicate, _)| predicate == vocab::dcterms::IS_REPLACED_BY);
    if let Some((_, successor)) = replaced {
        return Err(NormaliseError::Replaced(policy.id.clone(), successor.to_string()));
    }
    path.push(&policy.id);
    let mut whole = policy.clone();
    whole.inherit_from.clear();
    for parent in &policy.inherit_from {
        let Some(found) = library.get(parent) else {
            let (child, parent) = (policy.id.clone(), parent.clone());
            return Err(NormaliseError::ParentMissing { child, parent });
        };
        let parent = inherited(found, library, limits, path, visited)?;
        take_over(&mut whole, parent)?;
        if whole.rules() > limits.rules_max {
            return Err(NormaliseError::TooManyRules(policy.id.clone(), limits.rules_max));
        }
    }
    path.pop();
    Ok(whole)
}

/// Adds what a parent has: its rules with its own parties in place, its profiles, and what the child leaves out.
fn take_over(child: &mut Policy, parent: Policy) -> Result<(), NormaliseError> {
    match (child.conflict, parent.conflict) {
        (Some(own), Some(other)) if own != other => return Err(NormaliseError::Conflict(child.id.clone())),
        (None, other) => child.conflict = other,
        _ => {}
    }
    for mut rule in parent.permissions {
        fill(&mut rule.assigner, &parent.assigner);
        fill(&mut rule.assignee, &parent.assignee);
        without_status(&mut rule.constraints);
        rule.duties.iter_mut().for_each(duty_without_status);
        child.permissions.push(rule);
    }
    for mut rule in parent.prohibitions {
        fill(&mut rule.assigner, &parent.assigner);
        fill(&mut rule.assignee, &parent.assignee);
        without_status(&mut rule.constraints);
        rule.remedies.iter_mut().for_each(duty_without_status);
        child.prohibitions.push(rule);
    }
    for mut duty in parent.obligations {
        let inherited = [
            (vocab::odrl::ASSIGNER, &parent.assigner),
            (vocab::odrl::ASSIGNEE, &parent.assignee),
        ];
        for (function, party) in inherited {
            if let (None, Some(party)) = (duty.party(function), party) {
                duty.parties.push((function.to_owned(), party.clone()));
            }
        }
        duty_without_status(&mut duty);
        child.obligations.push(duty);
    }
    fill(&mut child.assigner, &parent.assigner);
    fill(&mut child.assignee, &parent.assignee);
    child.profiles.extend(parent.profiles);
    once(&mut child.profiles);
    child.unknown.extend(parent.unknown);
    Ok(())
}

fn fill(slot: &mut Option<Party>, value: &Option<Party>) {
    if slot.is_none() {
        slot.clone_from(value);
    }
}

/// A status is a fact about the parent's own use and is not inherited.
fn without_status(constraints: &mut [Constraint]) {
    for constraint in constraints {
        match constraint {
            Constraint::Atomic(atomic) => atomic.status = None,
            Constraint::Logical(logical) => without_status(&mut logical.operands),
        }
    }
}

fn duty_without_status(duty: &mut Duty) {
    without_status(&mut duty.constraints);
    without_status(&mut duty.action.refinements);
    duty.consequences.iter_mut().for_each(duty_without_status);
}

/// Keeps the first of equal ones.
fn once<T: PartialEq>(values: &mut Vec<T>) {
    let mut kept: Vec<T> = Vec::with_capacity(values.len());
    for value in values.drain(..) {
        if !kept.contains(&value) {
            kept.push(value);
        }
    }
    *values = kept;
}
