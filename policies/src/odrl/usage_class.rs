//! The 25 usage-control classes of International Data Spaces (pc1 to pc25): which of them a policy uses, and whether each
//! can be kept by technique, on somebody's word, or by contract alone.

use std::collections::BTreeSet;

use vocab::{meent, odrl};

use super::model::{Constraint, Duty, Policy};
use crate::explain::ClauseClass;

/// A usage-control class, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UsageClass(u8);

impl UsageClass {
    /// All of them, pc1 to pc25.
    pub fn all() -> impl Iterator<Item = Self> {
        (1..=25).map(Self)
    }

    /// The name, `pc1` to `pc25`.
    #[must_use]
    pub fn name(self) -> String {
        format!("pc{}", self.0)
    }

    /// The IRI in Meent's vocabulary, where it has labels.
    #[must_use]
    pub fn iri(self) -> String {
        format!("{}{}", meent::NS, self.name())
    }

    /// How the server that holds the data can keep it at best. What a policy really gets is in [`crate::explain`].
    #[must_use]
    pub fn at_best(self) -> ClauseClass {
        match self.0 {
            1 | 7 | 9..=11 | 13 | 15 | 16 | 18 | 21 | 23 | 24 => ClauseClass::Technical,
            2 | 4 | 6 | 8 | 12 | 19 | 20 | 22 => ClauseClass::Attested,
            _ => ClauseClass::Contract,
        }
    }
}

/// The class of a left operand.
fn of_operand(operand: &str) -> Option<u8> {
    Some(match operand {
        odrl::RECIPIENT => 1,
        odrl::SYSTEM | odrl::SYSTEM_DEVICE | odrl::DEVICE => 2,
        odrl::VIRTUAL_LOCATION => 3,
        odrl::INDUSTRY => 4,
        odrl::SPATIAL | odrl::SPATIAL_COORDINATES => 5,
        odrl::PURPOSE => 6,
        odrl::EVENT => 7,
        odrl::DATE_TIME => 9,
        odrl::ELAPSED_TIME | odrl::METERED_TIME | odrl::TIME_INTERVAL | odrl::DELAY_PERIOD => 10,
        odrl::COUNT => 11,
        meent::PROPERTY => 13,
        odrl::PAY_AMOUNT => 19,
        meent::DATA_SUBJECT_CONSENT => 23,
        odrl::PRODUCT | odrl::MEDIA | odrl::FILE_FORMAT => 24,
        meent::DISTINCT_DATA_SUBJECTS | meent::ROUNDED_TO => 25,
        _ => return None,
    })
}

/// The class of a duty.
fn of_duty(action: &str) -> Option<u8> {
    Some(match action {
        odrl::DELETE | odrl::UNINSTALL => 12,
        meent::GENERALISE | meent::PSEUDONYMISE | meent::HASH | meent::DROP => 13,
        odrl::MODIFY | odrl::TRANSFORM => 14,
        meent::LOG | odrl::ACCEPT_TRACKING => 15,
        odrl::INFORM => 16,
        odrl::NEXT_POLICY => 17,
        odrl::COMPENSATE | odrl::PAY => 19,
        odrl::OBTAIN_CONSENT => 23,
        odrl::ANONYMIZE | meent::AGGREGATE_ONLY => 25,
        _ => return None,
    })
}

/// The classes that a policy uses, in order.
#[must_use]
pub fn classes(policy: &Policy) -> BTreeSet<UsageClass> {
    let mut found = BTreeSet::new();
    if policy.assignee.is_some() || policy.permissions.iter().any(|rule| rule.assignee.is_some()) {
        found.insert(UsageClass(1));
    }
    for rule in &policy.permissions {
        constraints(&rule.constraints, &mut found);
        constraints(&rule.action.refinements, &mut found);
        constraints(&rule.target.refinements, &mut found);
        rule.duties.iter().for_each(|one| duty(one, &mut found));
    }
    for rule in &policy.prohibitions {
        constraints(&rule.constraints, &mut found);
        constraints(&rule.target.refinements, &mut found);
        if rule.action.id == odrl::DISTRIBUTE {
            found.insert(UsageClass(17));
        }
    }
    policy.obligations.iter().for_each(|one| duty(one, &mut found));
    found
}

fn constraints(constraints: &[Constraint], found: &mut BTreeSet<UsageClass>) {
    for constraint in constraints {
        match constraint {
            Constraint::Atomic(atomic) => found.extend(of_operand(&atomic.left_operand).map(UsageClass)),
            Constraint::Logical(logical) => self::constraints(&logical.operands, found),
        }
    }
}

fn duty(duty: &Duty, found: &mut BTreeSet<UsageClass>) {
    found.extend(of_duty(&duty.action.id).map(UsageClass));
    constraints(&duty.constraints, found);
    constraints(&duty.action.refinements, found);
}
