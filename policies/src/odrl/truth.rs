//! Three-valued logic: what holds, what does not, and what cannot be said.

use super::model::LogicalOperator;

/// The answer to a question about the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tri {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// It cannot be said. Grants nothing, and makes a prohibition bite.
    Unknown,
}

impl From<Option<bool>> for Tri {
    fn from(answer: Option<bool>) -> Self {
        match answer {
            Some(true) => Self::True,
            Some(false) => Self::False,
            None => Self::Unknown,
        }
    }
}

/// How many parts of a logical constraint hold, and of how many it cannot be said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) yes: usize,
    pub(super) no: usize,
    pub(super) unknown: usize,
}

impl Tally {
    pub(super) fn add(&mut self, truth: Tri) {
        *self.slot(truth) += 1;
    }

    pub(super) fn remove(&mut self, truth: Tri) {
        let slot = self.slot(truth);
        *slot = slot.saturating_sub(1);
    }

    fn slot(&mut self, truth: Tri) -> &mut usize {
        match truth {
            Tri::True => &mut self.yes,
            Tri::False => &mut self.no,
            Tri::Unknown => &mut self.unknown,
        }
    }

    /// What the whole says. A sequence holds when all its parts hold now: no order of evaluation is recorded.
    pub(super) fn answer(self, operator: &LogicalOperator) -> Tri {
        match (operator, self) {
            (LogicalOperator::And | LogicalOperator::AndSequence, Self { no: 1.., .. }) => Tri::False,
            (LogicalOperator::Or, Self { yes: 1.., .. }) => Tri::True,
            (LogicalOperator::Xone, Self { yes: 2.., .. }) => Tri::False,
            (_, Self { unknown: 1.., .. }) => Tri::Unknown,
            (LogicalOperator::And | LogicalOperator::AndSequence, _) | (LogicalOperator::Xone, Self { yes: 1, .. }) => {
                Tri::True
            }
            (LogicalOperator::Or | LogicalOperator::Xone, _) => Tri::False,
        }
    }
}
