//! Which numbers of a table may leave, beside all that left before (ENF-11, ENF-12, T90, T93 to T95).
//!
//! One ledger for each consumer and dataset holds a [sketch](super::sketch) of what every released number rests on. A
//! number leaves only if
//!
//! - its group has at least *k* data subjects and none of them dominates it,
//! - it differs from no released number by the data of fewer than *k* persons, and
//! - no combination of released numbers, of whatever length, would leave single persons: the span of all that was
//!   released is kept in reduced form, and a row of it with fewer than *k* persons is refused, and
//! - no group that was withheld for its own sake could then be [bounded](super::bounds) more closely than by *k* rows, or by as many
//!   as it has.
//!
//! So a total is withheld beside a table from which a small group is missing, and beside a total not only the small
//! group is missing from the table but also the smallest others, until those missing are at least *k* persons
//! (complementary suppression); the same holds for every line of a table with several keys, whichever was asked first. A
//! number that can be computed from released ones tells nothing new and always leaves, so that the same question gets the
//! same answer in whatever words.
//!
//! **What remains possible.** Combinations are found exactly where they leave one coordinate, and between two numbers;
//! a longer combination that leaves several persons, fewer than *k*, is found only where the reduced form shows it. A group
//! is guarded from being bounded once somebody asked for it: margins that were given before may bound it already.
//! That a number is withheld says a little about the data. Ledgers are kept for each consumer and dataset: consumers who
//! put their answers together, and one consumer with two datasets over the same data, are not seen. What somebody knows
//! from elsewhere is not in any ledger.

use oxrdf::Term;

use super::bounds::Bounds;
use super::sketch::{Number, Sketch, Span};

/// Most bytes of the reduced form that are walked through for one table: some seconds of work.
const WORK_BYTES_MAX: usize = 16 << 30;

/// Bounds of a ledger.
#[derive(Clone, Copy, Debug)]
pub struct AnswersLimits {
    /// Most released numbers of which none can be computed from others.
    pub count_max: usize,
    /// Most bytes of their sketches; in memory, five times as many.
    pub bytes_max: usize,
    /// Most numbers that were asked for and withheld.
    pub withheld_max: usize,
}

/// The ledger is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "so many different numbers were given to this consumer about this dataset that no more are given: `{bound}` is {max}"
)]
pub struct Exhausted {
    /// Name of the bound.
    pub bound: &'static str,
    /// Its value.
    pub max: usize,
}

/// A group of an answer, before it is decided whether it leaves.
#[derive(Clone, Debug)]
pub struct Group {
    /// The values of the grouping variables.
    pub keys: Vec<Option<Term>>,
    /// The aggregates.
    pub values: Vec<Option<Term>>,
    /// Distinct data subjects: of the triple pattern that has the fewest.
    pub subjects: u64,
    /// Whether one data subject contributes too much.
    pub dominated: bool,
    /// What its numbers rest on: the things whose rows were counted, and the triples whose values were added up.
    pub numbers: Vec<Number>,
}

/// A number that somebody asked for and did not get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withheld {
    /// What it rests on.
    pub number: Number,
    /// Whether it was withheld for its own sake, and not to hide another.
    pub guarded: bool,
}

/// All numbers that were released to a consumer about a dataset.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    released: Vec<Sketch>,
    withheld: Vec<Withheld>,
    span: Span,
    bytes: usize,
}

/// What leaves.
#[derive(Debug, Default)]
pub struct Release {
    /// For each group, whether it leaves.
    pub leaves: Vec<bool>,
    /// What is new in the ledger.
    pub new: Vec<Sketch>,
    /// What was withheld for the first time.
    pub withheld: Vec<Withheld>,
}

impl Answers {
    /// Adds a number that is released.
    pub fn keep(&mut self, sketch: Sketch) {
        self.bytes += sketch.size();
        // What left has left: nothing is too few any more.
        let _ = self.span.add(&sketch, 0);
        self.released.push(sketch);
    }

    /// Adds a number that is withheld.
    pub fn withhold(&mut self, withheld: Withheld) {
        self.bytes += withheld.number.sketch.size();
        self.withheld.push(withheld);
    }

    /// How many numbers it holds.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.released.len()
    }

    /// Whether nothing was released yet.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.released.is_empty()
    }

    /// Decides which groups leave.
    ///
    /// # Errors
    /// [`Exhausted`] when the ledger has no room for what would leave.
    pub fn decide(&self, groups: &[Group], subjects_min: u32, limits: AnswersLimits) -> Result<Release, Exhausted> {
        let mut release = Release {
            leaves: vec![false; groups.len()],
            ..Release::default()
        };
        let mut order: Vec<usize> = Vec::new();
        for (number, group) in groups.iter().enumerate() {
            if group.subjects >= u64::from(subjects_min) && !group.dominated {
                order.push(number);
            }
        }
        // The largest first, so that what must be left out beside a small group is small itself.
        order.sort_by_key(|number| std::cmp::Reverse(groups.get(*number).map_or(0, |group| group.subjects)));
        let mut guard = Guard::new(self, groups, &order, subjects_min);
        let mut span = self.span.clone();
        let full = |bound, max| Exhausted { bound, max };
        let (mut bytes, mut work) = (self.bytes, 0_usize);
        for number in order {
            let Some(group) = groups.get(number) else { continue };
            work = work.saturating_add(span.size().saturating_mul(group.numbers.len()));
            if work > WORK_BYTES_MAX {
                return Err(full("answers_work", WORK_BYTES_MAX));
            }
            if !guard.lets(number) {
                continue;
            }
            let Some(fresh) = self.fresh(group, &release.new, &mut span, subjects_min) else {
                guard.keeps(number);
                continue;
            };
            bytes += fresh.iter().map(Sketch::size).sum::<usize>();
            release.new.extend(fresh);
            if self.released.len() + release.new.len() > limits.count_max {
                return Err(full("answers_max", limits.count_max));
            }
            if let Some(leaves) = release.leaves.get_mut(number) {
                *leaves = true;
            }
        }
        release.withheld = guard.withheld(&release.leaves);
        bytes += release
            .withheld
            .iter()
            .map(|one| one.number.sketch.size())
            .sum::<usize>();
        // The reduced form of what is kept takes memory besides.
        let large = bytes > limits.bytes_max || span.size() / 4 > limits.bytes_max;
        if large && !(release.new.is_empty() && release.withheld.is_empty()) {
            return Err(full("answers_bytes_max", limits.bytes_max));
        }
        if !release.withheld.is_empty() && self.withheld.len() + release.withheld.len() > limits.withheld_max {
            return Err(full("answers_withheld_max", limits.withheld_max));
        }
        Ok(release)
    }

    /// What a group would add to the ledger; none if it must stay.
    fn fresh(&self, group: &Group, new: &[Sketch], span: &mut Span, subjects_min: u32) -> Option<Vec<Sketch>> {
        let mut fresh: Vec<Sketch> = Vec::new();
        for Number { sketch, .. } in &group.numbers {
            if self.span.contains(sketch) {
                continue;
            }
            let mut known = self.released.iter().chain(new).chain(&fresh);
            if known.clone().any(|one| sketch.differs_by_fewer_than(one, subjects_min)) {
                return None;
            }
            if !known.any(|one| one == sketch) {
                fresh.push(sketch.clone());
            }
        }
        match fresh.as_slice() {
            [] => {}
            [one] => {
                if !span.add(one, subjects_min).ok()? {
                    fresh.clear();
                }
            }
            several => {
                let mut tried = span.clone();
                for one in several {
                    tried.add(one, subjects_min).ok()?;
                }
                *span = tried;
            }
        }
        Some(fresh)
    }
}

/// Watches over groups that are withheld for their own sake while others of the same table leave.
struct Guard<'t> {
    /// None if it takes too long to find out what is told.
    bounds: Option<Bounds>,
    /// What is not given: what was withheld before, then what this table has of it.
    others: Vec<&'t Number>,
    before: usize,
    /// Which of these must not be bounded closely.
    guarded: Vec<usize>,
    /// The numbers of each group among them.
    of_group: Vec<Vec<usize>>,
}

impl<'t> Guard<'t> {
    fn new(answers: &'t Answers, groups: &'t [Group], candidates: &[usize], width_min: u32) -> Self {
        let mut guard = Self {
            bounds: None,
            others: Vec::new(),
            before: 0,
            guarded: Vec::new(),
            of_group: Vec::with_capacity(groups.len()),
        };
        for (number, withheld) in answers.withheld.iter().enumerate() {
            guard.others.push(&withheld.number);
            guard.guarded.extend(withheld.guarded.then_some(number));
        }
        guard.before = guard.others.len();
        for (place, group) in groups.iter().enumerate() {
            let leaves = candidates.contains(&place);
            let mut places = Vec::with_capacity(group.numbers.len());
            for number in group
                .numbers
                .iter()
                .filter(|number| !answers.span.contains(&number.sketch))
            {
                let known = guard
                    .others
                    .iter()
                    .take(guard.before)
                    .position(|other| *other == number);
                let at = known.unwrap_or(guard.others.len());
                if known.is_none() {
                    guard.others.push(number);
                }
                if !leaves && !guard.guarded.contains(&at) {
                    guard.guarded.push(at);
                }
                places.push(at);
            }
            guard.of_group.push(places);
        }
        guard.bounds = Bounds::new(&answers.released, &guard.others, &guard.guarded, width_min);
        guard
    }

    /// Whether a group may leave as far as the guarded ones are concerned; if so, it counts as given from now on.
    fn lets(&mut self, group: usize) -> bool {
        let numbers = self.of_group.get(group).map_or(&[][..], Vec::as_slice);
        match &mut self.bounds {
            Some(bounds) => bounds.give(numbers),
            None => numbers.is_empty(),
        }
    }

    /// A group stays after all.
    fn keeps(&mut self, group: usize) {
        let numbers = self.of_group.get(group).map_or(&[][..], Vec::as_slice);
        if let Some(bounds) = &mut self.bounds {
            bounds.take(numbers);
        }
    }

    /// What of this table is withheld for the first time.
    fn withheld(&self, leaves: &[bool]) -> Vec<Withheld> {
        let mut given = vec![false; self.others.len()];
        for (numbers, leaves) in self.of_group.iter().zip(leaves) {
            for number in numbers.iter().filter(|_| *leaves) {
                given.get_mut(*number).into_iter().for_each(|given| *given = true);
            }
        }
        let new = self.others.iter().enumerate().skip(self.before);
        let stays = new.filter(|(at, _)| !given.get(*at).copied().unwrap_or(true));
        stays
            .map(|(at, number)| Withheld {
                number: (*number).clone(),
                guarded: self.guarded.contains(&at),
            })
            .collect()
    }
}
