//! What goes along with each answer under a policy: the policy for whoever gets the data next, and whom to name (ENF-18);
//! and whether what was received may be handed on at all (ENF-21, ENF-34).

use std::collections::BTreeSet;

use vocab::{cc, meent, odrl};

use super::model::{Duty, Policy};
use crate::decision::{Reason, ReasonCode};

/// What goes along with each answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attached {
    /// IRIs of policies that bind whoever receives the data next (`odrl:nextPolicy`).
    pub next_policies: BTreeSet<String>,
    /// IRIs of those who have to be named as the source (`odrl:attribute`, `cc:Attribution`); the assigner where the duty
    /// names nobody.
    pub attributed_to: BTreeSet<String>,
}

/// Actions by which data reaches somebody else.
const HANDING_ON: [&str; 9] = [
    odrl::DISTRIBUTE,
    odrl::TRANSFER,
    odrl::GIVE,
    odrl::SELL,
    odrl::GRANT_USE,
    odrl::SHARE,
    odrl::AD_HOC_SHARE,
    cc::DISTRIBUTION,
    cc::SHARING,
];

/// Whether an action hands data on.
#[must_use]
pub fn hands_on(action: &str) -> bool {
    HANDING_ON.contains(&action)
}

/// Whether a policy forbids to hand data on, or might.
#[must_use]
pub fn stays_with_recipient(policy: &Policy) -> bool {
    policy.prohibitions.iter().any(|rule| hands_on(&rule.action.id))
}

/// Whether a policy lets values reach other owners, as keys of a join, only behind a mask: by a duty of any of its permissions, or of
/// the policy.
#[must_use]
pub fn masks_keys(policy: &Policy) -> bool {
    let of_rules = policy.permissions.iter().flat_map(|rule| &rule.duties);
    let mut duties = of_rules.chain(&policy.obligations);
    duties.any(|duty| duty.action.id == meent::MASK_KEYS)
}

/// What a policy asks to go along with each answer, whichever of its permissions is used.
#[must_use]
pub fn attached(policy: &Policy) -> Attached {
    let mut found = Attached::default();
    let of_rules = policy.permissions.iter().flat_map(|rule| {
        let assigner = rule.assigner.as_ref().or(policy.assigner.as_ref());
        rule.duties.iter().map(move |duty| (duty, assigner))
    });
    let of_policy = policy.obligations.iter().map(|duty| (duty, policy.assigner.as_ref()));
    for (duty, assigner) in of_rules.chain(of_policy) {
        match duty.action.id.as_str() {
            odrl::NEXT_POLICY => found
                .next_policies
                .extend(duty.target.iter().map(|target| target.source.clone())),
            odrl::ATTRIBUTE | cc::ATTRIBUTION => {
                let named = duty.party(odrl::ATTRIBUTED_PARTY).or(assigner);
                found.attributed_to.extend(named.map(|party| party.id.clone()));
            }
            _ => {}
        }
    }
    found
}

/// Whether a duty is one that is fulfilled by sending something along, or by how a join is carried out, and can be.
///
/// # Errors
/// When it names what cannot be sent along.
pub(super) fn check(duty: &Duty) -> Result<bool, Reason> {
    let action = duty.action.id.as_str();
    let unknown = || Reason::new(ReasonCode::UnknownDuty, action);
    let plain_target = |duty: &Duty| {
        let target = duty.target.as_ref()?;
        (!target.collection && target.refinements.is_empty()).then_some(())
    };
    let conditions = !duty.constraints.is_empty() || !duty.action.refinements.is_empty();
    match action {
        odrl::NEXT_POLICY => {
            if conditions || !duty.parties.is_empty() || plain_target(duty).is_none() {
                return Err(unknown());
            }
        }
        odrl::ATTRIBUTE | cc::ATTRIBUTION => {
            let named = duty
                .parties
                .iter()
                .all(|(function, party)| function == odrl::ATTRIBUTED_PARTY && party.refinements.is_empty());
            if conditions || duty.target.is_some() || !named {
                return Err(unknown());
            }
        }
        meent::MASK_KEYS => {
            if conditions || !duty.parties.is_empty() || duty.target.is_some() {
                return Err(unknown());
            }
        }
        _ => return Ok(false),
    }
    match duty.unknown.first() {
        Some(term) => Err(Reason::new(ReasonCode::UnknownTerm, term)),
        None => Ok(true),
    }
}
