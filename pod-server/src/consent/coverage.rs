//! Which storages a kind of consent covers at an instant, answered from bitmaps (CON-13).
//!
//! Intervals are half open: a consent counts from its first instant and no longer at its last one. Most people have one
//! consent of a kind; the few with several are looked at one by one. Starts and ends are gathered by day: of a day that is
//! over or has not come nobody needs to be looked at, and of the present one only those whose day it is. The instants
//! themselves lie with the person, so that a kind takes a few bytes for each.

use std::collections::BTreeMap;
use std::ops::Bound;

use roaring::RoaringBitmap;
use time::OffsetDateTime;

const DAY_NANOSECONDS: i64 = 86_400_000_000_000;

/// Nanoseconds since 1970; what lies beyond the years 1677 and 2262 lies at their edge.
#[must_use]
pub fn nanoseconds(instant: OffsetDateTime) -> i64 {
    let exact = instant.unix_timestamp_nanos();
    i64::try_from(exact).unwrap_or(if exact < 0 { i64::MIN } else { i64::MAX })
}

/// From when until when one consent counts, in nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First instant.
    pub from: i64,
    /// First instant at which it no longer counts.
    pub until: i64,
}

impl Span {
    /// From one instant to another.
    #[must_use]
    pub fn new(from: OffsetDateTime, until: OffsetDateTime) -> Self {
        Self {
            from: nanoseconds(from),
            until: nanoseconds(until),
        }
    }

    /// Whether an instant lies in it.
    #[must_use]
    pub const fn contains(self, now: i64) -> bool {
        self.from <= now && now < self.until
    }
}

/// All consents of one kind: who has them, and on which days they begin and end. Their spans lie elsewhere and are given
/// with each call.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    single: RoaringBitmap,
    several: RoaringBitmap,
    starts: BTreeMap<i64, Day>,
    ends: BTreeMap<i64, Day>,
    settled: Settled,
    changes: u64,
}

/// Of one day: the storages whose one consent counts from its first instant to its last.
#[derive(Clone, Debug, Default)]
struct Settled {
    day: i64,
    storages: RoaringBitmap,
}

impl Settled {
    /// Whether a consent counts all day long.
    const fn is_of(&self, span: Span) -> bool {
        day(span.from) < self.day && self.day < day(span.until)
    }
}

/// The storages whose consent begins or ends on a day, and between which instants all of them do.
#[derive(Clone, Debug)]
struct Day {
    storages: RoaringBitmap,
    first: i64,
    last: i64,
}

impl Coverage {
    /// Takes a storage in that has these consents of the kind.
    pub fn note(&mut self, storage: u32, spans: &[Span]) {
        self.changes += 1;
        match spans {
            [] => {}
            [span] => {
                self.single.insert(storage);
                if self.settled.is_of(*span) {
                    self.settled.storages.insert(storage);
                }
                put(&mut self.starts, span.from, storage);
                put(&mut self.ends, span.until, storage);
            }
            _ => {
                self.several.insert(storage);
            }
        }
    }

    /// Takes a storage out that was noted with these consents.
    pub fn forget(&mut self, storage: u32, spans: &[Span]) {
        self.changes += 1;
        self.settled.storages.remove(storage);
        self.several.remove(storage);
        if self.single.remove(storage)
            && let [span] = spans
        {
            take(&mut self.starts, span.from, storage);
            take(&mut self.ends, span.until, storage);
        }
    }

    /// Whether there are none at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.single.is_empty() && self.several.is_empty()
    }

    /// Whether a storage has a consent of this kind, whenever it counts.
    #[must_use]
    pub fn holds(&self, storage: u32) -> bool {
        self.single.contains(storage) || self.several.contains(storage)
    }

    /// A number that is another one after each change.
    #[must_use]
    pub const fn changes(&self) -> u64 {
        self.changes
    }

    /// Whether [`Self::settled`] looks at the day of an instant.
    #[must_use]
    pub const fn is_settled_for(&self, now: i64) -> bool {
        self.settled.day == day(now)
    }

    /// Looks at the day of an instant from now on.
    pub fn settle(&mut self, now: i64) {
        let today = day(now);
        let mut storages = self.single.clone();
        for (_, ended) in self.ends.range(..=today) {
            storages -= &ended.storages;
        }
        for (_, begun) in self.starts.range(today..) {
            storages -= &begun.storages;
        }
        self.settled = Settled { day: today, storages };
    }

    /// Whether a storage has a consent that counts at an instant, where that can be told without its spans.
    #[must_use]
    pub fn settled(&self, storage: u32, now: i64) -> Option<bool> {
        if self.is_settled_for(now) && self.settled.storages.contains(storage) {
            return Some(true);
        }
        (!self.holds(storage)).then_some(false)
    }

    /// The first instant after this one at which some consent begins or ends, or one before that.
    #[must_use]
    pub fn next_change(&self, now: i64, spans: &dyn Fn(u32) -> Vec<Span>) -> i64 {
        let today = day(now);
        let later = |days: &BTreeMap<i64, Day>| {
            let first = days.range((Bound::Excluded(today), Bound::Unbounded)).next();
            first.map_or(i64::MAX, |(_, day)| day.first)
        };
        let of_today = [self.starts.get(&today), self.ends.get(&today)].into_iter().flatten();
        let storages = of_today.flat_map(|day| &day.storages).chain(&self.several);
        let instants = storages.flat_map(spans).flat_map(|span| [span.from, span.until]);
        let today = instants.filter(|instant| *instant > now).min().unwrap_or(i64::MAX);
        today.min(later(&self.starts)).min(later(&self.ends))
    }

    /// The storages with a consent that counts at an instant.
    #[must_use]
    pub fn at(&self, now: i64, spans: &dyn Fn(u32) -> Vec<Span>) -> RoaringBitmap {
        let mut covered = self.single.clone();
        let counts = |storage: u32| spans(storage).iter().any(|span| span.contains(now));
        let today = day(now);
        for (_, ended) in self.ends.range(..=today) {
            without(&mut covered, ended, ended.last <= now, ended.first > now, &counts);
        }
        for (_, begun) in self.starts.range(today..) {
            without(&mut covered, begun, begun.first > now, begun.last <= now, &counts);
        }
        covered.extend(self.several.iter().filter(|storage| counts(*storage)));
        covered
    }

    /// Those of [`Self::at`] whose consent was not given before an instant in Unix seconds.
    #[must_use]
    pub fn given_since(&self, since: i64, now: i64, spans: &dyn Fn(u32) -> Vec<Span>) -> RoaringBitmap {
        let since = since.saturating_mul(1_000_000_000);
        let mut covered = self.at(now, spans);
        let counts = |storage: u32| {
            let spans = spans(storage);
            spans.iter().any(|span| span.contains(now) && span.from >= since)
        };
        for (_, begun) in self.starts.range((Bound::Unbounded, Bound::Included(day(since)))) {
            without(&mut covered, begun, begun.last < since, begun.first >= since, &counts);
        }
        for storage in &self.several {
            if !counts(storage) {
                covered.remove(storage);
            }
        }
        covered
    }
}

const fn day(instant: i64) -> i64 {
    instant.div_euclid(DAY_NANOSECONDS)
}

/// Takes those of a day out who do not count: all, none, or each for itself.
fn without(covered: &mut RoaringBitmap, day: &Day, all: bool, none: bool, counts: &dyn Fn(u32) -> bool) {
    if all {
        *covered -= &day.storages;
    } else if !none {
        for storage in &day.storages {
            if covered.contains(storage) && !counts(storage) {
                covered.remove(storage);
            }
        }
    }
}

fn put(days: &mut BTreeMap<i64, Day>, at: i64, storage: u32) {
    let day = days.entry(day(at)).or_insert_with(|| Day {
        storages: RoaringBitmap::new(),
        first: at,
        last: at,
    });
    day.storages.insert(storage);
    (day.first, day.last) = (day.first.min(at), day.last.max(at));
}

fn take(days: &mut BTreeMap<i64, Day>, at: i64, storage: u32) {
    let number = day(at);
    if let Some(day) = days.get_mut(&number) {
        day.storages.remove(storage);
        if day.storages.is_empty() {
            days.remove(&number);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Between two instants: a third of a day, so that several fall on one day.
    const SECONDS: i64 = 28_800;

    fn moment(number: i64) -> i64 {
        number * SECONDS * 1_000_000_000
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u32, u8, i64, i64),
        Remove(u32, u8),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => (0_u32..6, 0_u8..3, 0_i64..20, 0_i64..20).prop_map(|(s, k, a, b)| Step::Insert(s, k, a, b)),
            1 => (0_u32..6, 0_u8..3).prop_map(|(s, k)| Step::Remove(s, k)),
        ]
    }

    proptest! {
        /// CON-13, CON-22: after any history and at any instant, the bitmap holds exactly those whom a plain search finds.
        #[test]
        fn bitmaps_agree_with_a_plain_search(steps in prop::collection::vec(step(), 0..40)) {
            let mut coverage = Coverage::default();
            let mut plain: BTreeMap<(u32, u8), Span> = BTreeMap::new();
            let of = |plain: &BTreeMap<(u32, u8), Span>, storage: u32| -> Vec<Span> {
                plain.range((storage, 0)..=(storage, u8::MAX)).map(|(_, span)| *span).collect()
            };
            for (number, step) in steps.into_iter().enumerate() {
                if number % 7 == 3 {
                    coverage.settle(moment(10));
                }
                let (Step::Insert(storage, ..) | Step::Remove(storage, _)) = step;
                coverage.forget(storage, &of(&plain, storage));
                match step {
                    Step::Insert(storage, key, from, until) => {
                        plain.insert((storage, key), Span { from: moment(from), until: moment(until) });
                    }
                    Step::Remove(storage, key) => {
                        plain.remove(&(storage, key));
                    }
                }
                coverage.note(storage, &of(&plain, storage));
            }
            let spans = |storage: u32| of(&plain, storage);
            for second in -1..21 {
                let now = moment(second);
                let expected: RoaringBitmap = plain
                    .iter()
                    .filter(|(_, span)| span.contains(now))
                    .map(|((storage, _), _)| *storage)
                    .collect();
                prop_assert_eq!(coverage.at(now, &spans), expected.clone(), "at second {}", second);
                for storage in 0..6 {
                    let told = coverage.settled(storage, now);
                    prop_assert!(told.is_none_or(|told| told == expected.contains(storage)), "{} at {}", storage, second);
                }
                let next = coverage.next_change(now, &spans);
                prop_assert!(next > now);
                let unchanged = (second..21).map(moment).filter(|later| *later < next);
                for later in unchanged {
                    prop_assert_eq!(coverage.at(later, &spans), expected.clone(), "from {} to {}", second, later);
                }
                for since in [0, 7, 19] {
                    let expected: RoaringBitmap = plain
                        .iter()
                        .filter(|(_, span)| span.contains(now) && span.from >= moment(since))
                        .map(|((storage, _), _)| *storage)
                        .collect();
                    prop_assert_eq!(coverage.given_since(SECONDS * since, now, &spans), expected, "since {} at {}", since, second);
                }
            }
            prop_assert_eq!(coverage.is_empty(), plain.is_empty());
        }
    }
}
