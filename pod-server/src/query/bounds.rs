//! Between which bounds a withheld number lies, by all that was given (ENF-11, T93).
//!
//! Rows are never negative. So a consumer who cannot compute a withheld number can still bound it, from totals and from
//! what stands beside it. This module finds those bounds as a consumer would: which sums and differences of withheld
//! numbers are told follows from their [sketches](super::sketch), and linear programming does the rest. It must never
//! see less than a consumer does: what cannot be solved counts as told.

use microlp::{ComparisonOp, Error, OptimizationDirection, Problem, SolveOutcome, Variable};
use rustc_hash::{FxHashMap, FxHashSet};

use super::sketch::{Number, PRIME, Sketch, add_multiple, inverse};

/// Numerator and denominator that a factor between numbers may have.
const FRACTION_MAX: i64 = 32_767;
/// Slack for the arithmetic of the solver, in rows.
const SLACK: f64 = 1e-6;

/// Sums of unknown numbers that are told: each a factor per number.
type Relation = Vec<(usize, f64)>;

/// What is told about numbers that are not given.
#[derive(Debug)]
pub(super) struct Bounds {
    rows: Vec<f64>,
    given: Vec<bool>,
    relations: Vec<Relation>,
}

impl Bounds {
    /// What given numbers tell about others.
    pub(super) fn new(given: &[Sketch], others: &[&Number]) -> Self {
        // Rows of a number are far below the precision of a double.
        #[allow(clippy::cast_precision_loss)]
        let rows = others.iter().map(|number| number.rows as f64).collect();
        Self {
            rows,
            given: vec![false; others.len()],
            relations: relations(given, others),
        }
    }

    /// Gives some of the numbers as well, unless one of those to be guarded could then be bounded more closely than it
    /// must stay; says whether they are given.
    pub(super) fn give(&mut self, numbers: &[usize], guarded: &[usize], width_min: u32) -> bool {
        let touched = self.connected(numbers);
        let at_risk = guarded.iter().filter(|number| touched.contains(number));
        let at_risk: Vec<usize> = at_risk
            .copied()
            .filter(|number| self.is_wide(*number, width_min))
            .collect();
        self.mark(numbers, true);
        let stay = at_risk.into_iter().all(|number| self.is_wide(number, width_min));
        if !stay {
            self.mark(numbers, false);
        }
        stay
    }

    /// Takes back what was given.
    pub(super) fn mark(&mut self, numbers: &[usize], given: bool) {
        for number in numbers {
            if let Some(place) = self.given.get_mut(*number) {
                *place = given;
            }
        }
    }

    /// Whether a consumer is as unsure about a number as it is large, and by so many rows at least.
    fn is_wide(&self, number: usize, width_min: u32) -> bool {
        let rows = self.rows.get(number).copied().unwrap_or(0.0);
        self.width(number) + SLACK >= rows.max(f64::from(width_min))
    }

    /// How far the bounds of a number lie apart, in rows.
    fn width(&self, number: usize) -> f64 {
        let connected = self.connected(&[number]);
        let extreme = |direction| self.extreme(number, &connected, direction);
        match (
            extreme(OptimizationDirection::Minimize),
            extreme(OptimizationDirection::Maximize),
        ) {
            (Some(least), Some(most)) => most - least,
            _ => 0.0,
        }
    }

    /// The unknown numbers that some chain of relations ties to these, and these.
    fn connected(&self, numbers: &[usize]) -> FxHashSet<usize> {
        let mut found: FxHashSet<usize> = numbers.iter().copied().collect();
        loop {
            let before = found.len();
            for relation in &self.relations {
                if self.unknown(relation).any(|(number, _)| found.contains(&number)) {
                    found.extend(self.unknown(relation).map(|(number, _)| number));
                }
            }
            if found.len() == before {
                return found;
            }
        }
    }

    fn unknown<'r>(&'r self, relation: &'r Relation) -> impl Iterator<Item = (usize, f64)> + 'r {
        let known = |number: usize| self.given.get(number).copied().unwrap_or(true);
        relation.iter().copied().filter(move |(number, _)| !known(*number))
    }

    /// The least or most that a number can be; none if that cannot be found.
    fn extreme(&self, wanted: usize, within: &FxHashSet<usize>, direction: OptimizationDirection) -> Option<f64> {
        let mut problem = Problem::new(direction);
        let mut variables: FxHashMap<usize, Variable> = FxHashMap::default();
        let mut numbers: Vec<usize> = within.iter().copied().collect();
        numbers.sort_unstable();
        for number in numbers {
            let price = if number == wanted { 1.0 } else { 0.0 };
            variables.insert(number, problem.add_var(price, (0.0, f64::INFINITY)));
        }
        for relation in &self.relations {
            let mut sum = 0.0;
            let mut terms = Vec::new();
            for (number, factor) in self.unknown(relation) {
                if let (Some(variable), Some(rows)) = (variables.get(&number), self.rows.get(number)) {
                    sum += factor * rows;
                    terms.push((*variable, factor));
                }
            }
            if !terms.is_empty() {
                problem.add_constraint(terms.as_slice(), ComparisonOp::Eq, sum);
            }
        }
        match problem.solve() {
            Ok(SolveOutcome::Solution(solution)) => Some(solution.objective()),
            Err(Error::Unbounded) => Some(f64::INFINITY),
            Ok(SolveOutcome::Interrupted(_)) | Err(_) => None,
        }
    }
}

/// All independent ways in which numbers add up to what is given: the kernel of what is left of them beside it.
fn relations(given: &[Sketch], others: &[&Number]) -> Vec<Relation> {
    let size = (given.len() + others.len()).next_power_of_two().max(64);
    let mut basis: Vec<(usize, Vec<u32>)> = Vec::new();
    let mut found = Vec::new();
    let own = |sketch: &Sketch, number: Option<usize>| {
        // Behind the coordinates stands of which numbers a row is made.
        let mut row = sketch.folded(size);
        row.resize(size + others.len(), 0);
        if let Some(place) = number.and_then(|number| row.get_mut(size + number)) {
            *place = 1;
        }
        row
    };
    let given = given.iter().map(|sketch| own(sketch, None));
    let others = others
        .iter()
        .enumerate()
        .map(|(number, other)| own(&other.sketch, Some(number)));
    for mut row in given.chain(others) {
        for (pivot, other) in &basis {
            let share = row.get(*pivot).copied().unwrap_or(0);
            if share != 0 {
                add_multiple(&mut row, other, PRIME - u64::from(share));
            }
        }
        let (coordinates, made_of) = row.split_at(size);
        if let Some((pivot, first)) = coordinates.iter().enumerate().find(|(_, value)| **value != 0) {
            let whole = row.clone();
            let times = PRIME - 1 + inverse(u64::from(*first));
            add_multiple(&mut row, &whole, times);
            basis.push((pivot, row));
            continue;
        }
        let factors = made_of.iter().enumerate().filter(|(_, value)| **value != 0);
        let relation: Option<Relation> = factors
            .map(|(number, value)| Some((number, fraction(*value)?)))
            .collect();
        // Factors of groups are small whole numbers, or quotients of such.
        found.extend(relation.filter(|relation| !relation.is_empty()));
    }
    found
}

/// The fraction of two small numbers that a residue stands for (rational reconstruction by Euclid's algorithm).
fn fraction(residue: u32) -> Option<f64> {
    let prime = i64::try_from(PRIME).ok()?;
    let (mut before, mut rest) = (prime, i64::from(residue));
    let (mut t_before, mut t) = (0_i64, 1_i64);
    while rest > FRACTION_MAX {
        let quotient = before / rest;
        (before, rest) = (rest, before - quotient * rest);
        (t_before, t) = (t, t_before - quotient * t);
    }
    let small = t != 0 && t.abs() <= FRACTION_MAX;
    let (above, below) = (i32::try_from(rest).ok()?, i32::try_from(t).ok()?);
    small.then(|| f64::from(above) / f64::from(below))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::float_cmp)]
mod tests {
    use super::super::sketch::{SketchKey, Sum};
    use super::*;

    fn over(persons: std::ops::Range<i64>) -> Number {
        let key = SketchKey::new([7; 32]);
        let mut sum = Sum::default();
        for person in persons {
            sum.add(key.person(person), key.triple([&person.to_string(), "", ""]), 1);
        }
        sum.number()
    }

    #[test]
    fn residues_become_fractions() {
        let prime = u32::try_from(PRIME).unwrap();
        assert_eq!(fraction(1), Some(1.0));
        assert_eq!(fraction(prime - 1), Some(-1.0));
        assert_eq!(fraction(prime - 3), Some(-3.0));
        assert_eq!(fraction(u32::try_from(inverse(2)).unwrap()), Some(0.5));
        assert_eq!(fraction(0), Some(0.0));
    }

    /// Requirements ENF-11, T93: a total and parts of it bound what is left.
    #[test]
    fn totals_bound_the_rest() {
        let (total, small, middle, large) = (over(0..50), over(0..3), over(3..10), over(10..50));
        let others = [&small, &middle, &large];
        let free = Bounds::new(&[], &others);
        assert_eq!(free.width(0), f64::INFINITY, "nothing is told");
        let mut bounds = Bounds::new(std::slice::from_ref(&total.sketch), &others);
        assert_eq!(bounds.width(0), 50.0);
        assert!(
            bounds.give(&[2], &[0], 5),
            "the small and the middle one make ten together"
        );
        assert!((bounds.width(0) - 10.0).abs() < SLACK);
        assert!(!bounds.give(&[1], &[0], 5), "this would tell the small one");
        assert!((bounds.width(0) - 10.0).abs() < SLACK, "nothing was given");
    }
}
