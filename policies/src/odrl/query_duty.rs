//! What the duties of a policy ask of whoever answers a query: only aggregates, a record, values that are changed before
//! anybody sees them.

use std::collections::BTreeSet;

use oxrdf::Term;
use vocab::meent;

use super::attached;
use super::model::{AtomicConstraint, Constraint, Duty, Operator};
use super::retention;
use crate::decision::{Obligation, Reason, ReasonCode};
use crate::treatment::{Change, Precision, Treatment};

/// The unit of precision for places.
const METRE: &str = "http://qudt.org/vocab/unit/M";

/// What several duties ask together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) obligations: Vec<Obligation>,
    pub(super) treatment: Treatment,
    /// Properties that are not shown: because a duty says so, or because two duties ask for what cannot both be.
    pub(super) dropped: BTreeSet<String>,
}

impl Asked {
    /// Adds a duty.
    ///
    /// # Errors
    /// A duty that is not understood, or that cannot be carried out here, is not fulfilled.
    pub(super) fn take(&mut self, duty: &Duty) -> Result<(), Reason> {
        let unknown = |about: &str| Reason::new(ReasonCode::UnknownDuty, about);
        // Fulfilled by what goes along with the answer or by how a join is carried out, see `odrl::attached`.
        if attached::check(duty)? {
            return Ok(());
        }
        if duty.target.is_some() {
            return Err(unknown("a duty on another asset"));
        }
        if let Some((function, _)) = duty.parties.first() {
            return Err(unknown(function));
        }
        if let Some(term) = duty.unknown.first() {
            return Err(Reason::new(ReasonCode::UnknownTerm, term));
        }
        let mut conditions = duty.constraints.iter().chain(&duty.action.refinements);
        match duty.action.id.as_str() {
            meent::LOG => match conditions.next() {
                None => self.obligations.push(Obligation::Log),
                Some(_) => return Err(unknown(meent::LOG)),
            },
            meent::AGGREGATE_ONLY => {
                let mut subjects_min = 1;
                for condition in conditions {
                    match rounding(condition)? {
                        Some(base) => self.obligations.push(Obligation::Round { base }),
                        None => subjects_min = subjects_min.max(group_size(condition)?),
                    }
                }
                self.obligations.push(Obligation::AggregateOnly { subjects_min });
            }
            // It is followed up by the server that holds the data, see `odrl::retention`.
            vocab::odrl::DELETE => drop(retention::read(duty)?),
            action @ (meent::GENERALISE | meent::PSEUDONYMISE | meent::HASH | meent::DROP) => {
                let manner = Manner::read(conditions)?;
                self.change(action, manner)?;
            }
            other => return Err(unknown(other)),
        }
        Ok(())
    }

    fn change(&mut self, action: &str, manner: Manner) -> Result<(), Reason> {
        let unknown = || Reason::new(ReasonCode::UnknownDuty, action);
        let Manner { properties, precision } = manner;
        let change = match (action, precision) {
            (meent::GENERALISE, Some(precision)) => Change::Generalise { precision },
            (meent::HASH, None) => Change::Hash,
            (meent::PSEUDONYMISE, None) if properties.is_empty() => {
                self.treatment.names = true;
                self.obligations.push(Obligation::ChangeValues);
                return Ok(());
            }
            (meent::PSEUDONYMISE, None) => Change::Pseudonymise,
            (meent::DROP, None) if !properties.is_empty() => {
                self.dropped.extend(properties);
                return Ok(());
            }
            _ => return Err(unknown()),
        };
        if properties.is_empty() {
            return Err(unknown());
        }
        for property in properties {
            if !self.treatment.add(&property, &change) {
                self.dropped.insert(property);
            }
        }
        self.obligations.push(Obligation::ChangeValues);
        Ok(())
    }

    /// Everything of both.
    pub(super) fn and(mut self, other: &Self) -> Self {
        self.obligations.extend(other.obligations.iter().copied());
        self.treatment.names |= other.treatment.names;
        for (property, change) in &other.treatment.values {
            if !self.treatment.add(property, change) {
                self.dropped.insert(property.clone());
            }
        }
        self.dropped.extend(other.dropped.iter().cloned());
        self.obligations = joined(self.obligations);
        self
    }
}

/// How values are to be changed, and which.
#[derive(Default)]
struct Manner {
    properties: BTreeSet<String>,
    precision: Option<Precision>,
}

impl Manner {
    fn read<'c>(conditions: impl Iterator<Item = &'c Constraint>) -> Result<Self, Reason> {
        let mut manner = Self::default();
        for condition in conditions {
            let Constraint::Atomic(atomic) = condition else {
                return Err(Reason::new(ReasonCode::UnknownRefinement, "a logical constraint"));
            };
            let unusable = || Reason::new(ReasonCode::UnknownRightOperand, &atomic.left_operand);
            if atomic.right_operand_reference.is_some() || atomic.status.is_some() {
                return Err(unusable());
            }
            match (atomic.left_operand.as_str(), &atomic.operator) {
                (meent::PROPERTY, Operator::Eq | Operator::IsAnyOf) => {
                    manner.properties.extend(named(atomic).ok_or_else(unusable)?);
                }
                (meent::PRECISION, Operator::Eq) => {
                    let precision = precision(atomic).ok_or_else(unusable)?;
                    if manner.precision.replace(precision).is_some() {
                        return Err(unusable());
                    }
                }
                (meent::PROPERTY | meent::PRECISION, operator) => {
                    return Err(Reason::new(ReasonCode::UnknownOperator, operator.iri()));
                }
                (other, _) => return Err(Reason::new(ReasonCode::UnknownLeftOperand, other)),
            }
        }
        Ok(manner)
    }
}

fn named(atomic: &AtomicConstraint) -> Option<Vec<String>> {
    let several = atomic.operator == Operator::IsAnyOf && !atomic.right_operands.is_empty();
    if atomic.unit.is_some() || !(several || atomic.right_operands.len() == 1) {
        return None;
    }
    let names = atomic.right_operands.iter().map(|term| match term {
        Term::NamedNode(node) => Some(node.as_str().to_owned()),
        _ => None,
    });
    names.collect()
}

fn precision(atomic: &AtomicConstraint) -> Option<Precision> {
    let metres = match atomic.unit.as_deref() {
        None => false,
        Some(METRE) => true,
        Some(_) => return None,
    };
    match atomic.right_operands.as_slice() {
        [Term::Literal(literal)] => Precision::read(literal, metres),
        _ => None,
    }
}

/// The number whose multiples aggregates are rounded to, if a constraint says one.
fn rounding(constraint: &Constraint) -> Result<Option<u32>, Reason> {
    let Constraint::Atomic(atomic) = constraint else {
        return Ok(None);
    };
    if atomic.left_operand != meent::ROUNDED_TO {
        return Ok(None);
    }
    let unusable = || Reason::new(ReasonCode::UnknownRightOperand, &atomic.left_operand);
    if atomic.operator != Operator::Eq {
        return Err(Reason::new(ReasonCode::UnknownOperator, atomic.operator.iri()));
    }
    let base = whole(atomic).filter(|base| *base > 0).ok_or_else(unusable)?;
    Ok(Some(base))
}

/// The one whole number on the right, without unit or anything else.
fn whole(atomic: &AtomicConstraint) -> Option<u32> {
    match (
        &atomic.right_operand_reference,
        &atomic.unit,
        &atomic.status,
        atomic.right_operands.as_slice(),
    ) {
        (None, None, None, [Term::Literal(literal)]) => literal.value().trim().parse().ok(),
        _ => None,
    }
}

fn group_size(constraint: &Constraint) -> Result<u32, Reason> {
    let Constraint::Atomic(atomic) = constraint else {
        return Err(Reason::new(ReasonCode::UnknownDuty, meent::AGGREGATE_ONLY));
    };
    if atomic.left_operand != meent::DISTINCT_DATA_SUBJECTS {
        return Err(Reason::new(ReasonCode::UnknownLeftOperand, &atomic.left_operand));
    }
    let unusable = || Reason::new(ReasonCode::UnknownRightOperand, &atomic.left_operand);
    let number = whole(atomic).ok_or_else(unusable)?;
    match atomic.operator {
        Operator::Gteq => Ok(number),
        Operator::Gt => number.checked_add(1).ok_or_else(unusable),
        _ => Err(Reason::new(ReasonCode::UnknownOperator, atomic.operator.iri())),
    }
}

/// Sorted, one of each kind, the strictest group size.
fn joined(mut obligations: Vec<Obligation>) -> Vec<Obligation> {
    // AggregateOnly and Round sort by their numbers, so the last one seen is the strictest.
    obligations.sort_unstable();
    obligations.reverse();
    obligations.dedup_by_key(|obligation| std::mem::discriminant(obligation));
    obligations.reverse();
    obligations
}
