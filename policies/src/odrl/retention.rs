//! The duty to delete what was received: by when, counted from the receipt or on a day (ENF-19).

use oxrdf::Term;
use time::{Duration, OffsetDateTime};
use vocab::odrl;

use super::circumstance::exact_duration;
use super::constraint::moment;
use super::model::{Constraint, Duty, Operator, Policy};
use crate::decision::{Reason, ReasonCode};

/// By when data has to be deleted. Both may be said: the earlier counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// So long after it was received.
    pub within: Option<Duration>,
    /// At the latest at this instant.
    pub by: Option<OffsetDateTime>,
}

impl Retention {
    /// The deadline for what was received at an instant.
    #[must_use]
    pub fn deadline(&self, received: OffsetDateTime) -> Option<OffsetDateTime> {
        let within = self.within.and_then(|within| received.checked_add(within));
        [within, self.by].into_iter().flatten().min()
    }

    fn and(self, other: Self) -> Self {
        let stricter = |a: Option<Duration>, b: Option<Duration>| a.into_iter().chain(b).min();
        Self {
            within: stricter(self.within, other.within),
            by: self.by.into_iter().chain(other.by).min(),
        }
    }
}

/// What a duty to delete asks: `odrl:elapsedTime` or `odrl:delayPeriod` with a time after the receipt, or `odrl:dateTime`
/// with a day.
///
/// # Errors
/// A duty without a deadline, or with one that has no exact length, cannot be followed.
pub(super) fn read(duty: &Duty) -> Result<Retention, Reason> {
    let mut found = Retention::default();
    for condition in duty.constraints.iter().chain(&duty.action.refinements) {
        let Constraint::Atomic(atomic) = condition else {
            return Err(Reason::new(ReasonCode::UnknownRefinement, "a logical constraint"));
        };
        let left = atomic.left_operand.as_str();
        if !matches!(atomic.operator, Operator::Eq | Operator::Lt | Operator::Lteq) {
            return Err(Reason::new(ReasonCode::UnknownOperator, atomic.operator.iri()));
        }
        let plain = atomic.right_operand_reference.is_none() && atomic.unit.is_none() && atomic.status.is_none();
        let value = match atomic.right_operands.as_slice() {
            [Term::Literal(literal)] if plain => Some(literal),
            _ => None,
        };
        let read = match left {
            odrl::ELAPSED_TIME | odrl::DELAY_PERIOD => value.and_then(exact_duration).map(|within| Retention {
                within: Some(within),
                by: None,
            }),
            odrl::DATE_TIME => value
                .and_then(|literal| moment(&Term::from(literal.clone())))
                .and_then(|moment| moment.turning_points().min())
                .map(|by| Retention {
                    within: None,
                    by: Some(by),
                }),
            other => return Err(Reason::new(ReasonCode::UnknownLeftOperand, other)),
        };
        let read = read.ok_or_else(|| Reason::new(ReasonCode::UnknownRightOperand, left))?;
        found = found.and(read);
    }
    if found == Retention::default() {
        return Err(Reason::new(ReasonCode::UnknownDuty, odrl::DELETE));
    }
    Ok(found)
}

/// By when everything that is received under a policy has to be deleted; none when the policy does not say.
#[must_use]
pub fn retention(policy: &Policy) -> Option<Retention> {
    let duties = policy.permissions.iter().flat_map(|rule| &rule.duties);
    duties
        .chain(&policy.obligations)
        .filter(|duty| duty.action.id == odrl::DELETE)
        .filter_map(|duty| read(duty).ok())
        .reduce(Retention::and)
}
