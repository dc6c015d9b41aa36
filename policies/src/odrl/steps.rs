//! Constraints on the clock as a step function: whatever their number and nesting, one binary search answers them, and
//! says when the answer changes next.

use time::OffsetDateTime;

use super::model::LogicalOperator;
use super::moment::Moment;
use super::truth::{Tally, Tri};

/// Truth over time: one answer before the first instant, and one from each instant on. Instants are nanoseconds since
/// 1970 UTC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Steps {
    first: Tri,
    changes: Vec<(i128, Tri)>,
}

impl Steps {
    /// The step function of a comparison with these moments.
    pub(super) fn of(moments: &[Moment], answer: impl Fn(OffsetDateTime) -> Tri) -> Self {
        let mut points: Vec<i128> = moments
            .iter()
            .flat_map(Moment::turning_points)
            .map(OffsetDateTime::unix_timestamp_nanos)
            .flat_map(|point| [point, point + 1])
            .collect();
        points.sort_unstable();
        points.dedup();
        let at = |nanos| OffsetDateTime::from_unix_timestamp_nanos(nanos).map_or(Tri::Unknown, &answer);
        let first = points.first().map_or(Tri::Unknown, |first| at(first - 1));
        let changes = points.into_iter().map(|point| (point, at(point))).collect();
        Self { first, changes }.merged()
    }

    /// The step function of a logical constraint over several.
    pub(super) fn combine(operator: &LogicalOperator, parts: &[Self]) -> Self {
        let mut tally = Tally::default();
        let mut present: Vec<Tri> = parts.iter().map(|part| part.first).collect();
        for truth in &present {
            tally.add(*truth);
        }
        let first = tally.answer(operator);
        let mut events: Vec<(i128, usize, Tri)> = parts
            .iter()
            .enumerate()
            .flat_map(|(index, part)| part.changes.iter().map(move |(at, truth)| (*at, index, *truth)))
            .collect();
        events.sort_by_key(|(at, index, _)| (*at, *index));
        let mut changes: Vec<(i128, Tri)> = Vec::new();
        for (at, index, truth) in events {
            if let Some(present) = present.get_mut(index) {
                tally.remove(*present);
                tally.add(truth);
                *present = truth;
            }
            match changes.last_mut() {
                Some((last, answer)) if *last == at => *answer = tally.answer(operator),
                _ => changes.push((at, tally.answer(operator))),
            }
        }
        Self { first, changes }.merged()
    }

    /// Without steps that change nothing.
    fn merged(mut self) -> Self {
        let mut last = self.first;
        self.changes.retain(|(_, truth)| {
            let keep = *truth != last;
            last = *truth;
            keep
        });
        self
    }

    /// The answer at an instant, and the instant at which it changes next.
    pub(super) fn at(&self, now: i128) -> (Tri, Option<i128>) {
        let after = self.changes.partition_point(|(at, _)| *at <= now);
        let truth = match after.checked_sub(1).and_then(|index| self.changes.get(index)) {
            Some((_, truth)) => *truth,
            None => self.first,
        };
        (truth, self.changes.get(after).map(|(at, _)| *at))
    }

    /// Whether it holds at no instant from now on.
    pub(super) fn over_by(&self, now: i128) -> bool {
        self.at(now).0 == Tri::False
            && self
                .changes
                .iter()
                .all(|(at, truth)| *at <= now || *truth == Tri::False)
    }

    /// The answers it gives at some time.
    pub(super) fn answers(&self) -> impl Iterator<Item = Tri> {
        std::iter::once(self.first).chain(self.changes.iter().map(|(_, truth)| *truth))
    }

    /// The instants at which something changes, and one before all of them.
    pub(super) fn instants(&self) -> impl Iterator<Item = i128> {
        let before = self.changes.first().map(|(at, _)| at - 1);
        before.into_iter().chain(self.changes.iter().map(|(at, _)| *at))
    }
}
