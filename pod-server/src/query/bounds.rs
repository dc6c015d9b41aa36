//! Between which bounds a withheld number lies, by all that was given (ENF-11, T93).
//!
//! Rows are never negative. So a consumer who cannot compute a withheld number can still bound it, from totals and from
//! what stands beside it. This module finds those bounds as a consumer would: which sums and differences of withheld
//! numbers are told follows from their [sketches](super::sketch), and linear programming does the rest. It must never
//! see less than a consumer does: what cannot be solved counts as told.

use std::collections::BTreeMap;

use microlp::{ComparisonOp, Error, OptimizationDirection, Problem, SolveOutcome, Variable};
use rustc_hash::FxHashMap;

use super::sketch::{Number, PRIME, Sketch, inverse};

/// Numerator and denominator that a factor between numbers may have,
const FRACTION_MAX: i64 = 32_767;
/// or their product: inline data and things that are joined to all rows can count one group forty thousand times.
const PRODUCT_MAX: i64 = 1 << 24;
/// Slack for the arithmetic of the solver, in rows.
const SLACK: f64 = 1e-6;
/// Most coordinates that are touched while relations are looked for: some seconds of work.
const COORDINATES_MAX: usize = 20_000_000;
/// Most unknowns times relations that are given to the solver for one table: some seconds of work.
const SOLVED_MAX: usize = 20_000_000;

/// A sum of unknown numbers that is told: a factor per number.
type Relation = Vec<(usize, f64)>;

/// What is told about numbers that are not given.
#[derive(Debug)]
pub(super) struct Bounds {
    rows: Vec<f64>,
    given: Vec<bool>,
    told: Vec<Told>,
    /// In which relations each number is.
    places: Vec<Vec<(usize, f64)>>,
    chains: Vec<Chain>,
    width_min: f64,
    solved: usize,
}

/// A relation, and what is left of it.
#[derive(Debug)]
struct Told {
    relation: Relation,
    /// Whether all factors have one sign: then the parts bound each other.
    one_sign: bool,
    /// The chain that it is in.
    chain: usize,
    unknown: usize,
    sum: f64,
}

/// Relations that are tied to each other by numbers that they share.
#[derive(Debug, Default)]
struct Chain {
    relations: Vec<usize>,
    /// The numbers in it to watch over. Those that were bounded closely before anything is given are not among them.
    guarded: Vec<usize>,
}

impl Bounds {
    /// What given numbers tell about others; none if that takes too long to find out. Those that are guarded must stay
    /// within bounds that are as far apart as the number is large, and by so many rows at least.
    pub(super) fn new(given: &[Sketch], others: &[&Number], guarded: &[usize], width_min: u32) -> Option<Self> {
        let relations = if guarded.is_empty() {
            Vec::new()
        } else {
            relations(given, others)?
        };
        // Rows of a number are far below the precision of a double.
        #[allow(clippy::cast_precision_loss)]
        let rows: Vec<f64> = others.iter().map(|number| number.rows as f64).collect();
        let mut places = vec![Vec::new(); others.len()];
        for (relation, terms) in relations.iter().enumerate() {
            for (number, factor) in terms {
                places
                    .get_mut(*number)
                    .into_iter()
                    .for_each(|places: &mut Vec<_>| places.push((relation, *factor)));
            }
        }
        let rows_of = |number: &usize| rows.get(*number).copied().unwrap_or(0.0);
        let told = relations.into_iter().map(|relation| Told {
            one_sign: relation.iter().all(|(_, factor)| *factor > 0.0)
                || relation.iter().all(|(_, factor)| *factor < 0.0),
            chain: usize::MAX,
            unknown: relation.len(),
            sum: relation.iter().map(|(number, factor)| factor * rows_of(number)).sum(),
            relation,
        });
        let told: Vec<Told> = told.collect();
        let mut bounds = Self {
            given: vec![false; others.len()],
            told,
            places,
            chains: Vec::new(),
            width_min: f64::from(width_min),
            solved: 0,
            rows,
        };
        bounds.chain();
        bounds.guard(guarded);
        Some(bounds)
    }

    /// Finds which relations are tied to each other.
    fn chain(&mut self) {
        for first in 0..self.told.len() {
            let number = self.chains.len();
            let (mut chain, mut open) = (Chain::default(), vec![first]);
            while let Some(relation) = open.pop() {
                let Some(told) = self.told.get_mut(relation).filter(|told| told.chain == usize::MAX) else {
                    continue;
                };
                told.chain = number;
                chain.relations.push(relation);
                let places = told.relation.iter().filter_map(|(number, _)| self.places.get(*number));
                open.extend(places.flatten().map(|(relation, _)| *relation));
            }
            if !chain.relations.is_empty() {
                self.chains.push(chain);
            }
        }
    }

    /// Watches over those numbers that are not bounded closely yet.
    fn guard(&mut self, guarded: &[usize]) {
        for number in guarded {
            if let Some(chain) = self.chain_of(*number)
                && self.is_wide(*number, chain)
                && let Some(chain) = self.chains.get_mut(chain)
            {
                chain.guarded.push(*number);
            }
        }
    }

    /// The chain that a number is in; none if nothing is told about it.
    fn chain_of(&self, number: usize) -> Option<usize> {
        let (relation, _) = self.places.get(number)?.first()?;
        self.told.get(*relation).map(|told| told.chain)
    }

    /// Gives some of the numbers as well, unless a guarded one could then be bounded too closely; says whether they are
    /// given.
    pub(super) fn give(&mut self, numbers: &[usize]) -> bool {
        let mut chains: Vec<usize> = numbers.iter().filter_map(|number| self.chain_of(*number)).collect();
        chains.dedup();
        self.mark(numbers, true);
        for chain in chains {
            let guarded = self
                .chains
                .get(chain)
                .map(|chain| chain.guarded.clone())
                .unwrap_or_default();
            if !guarded.into_iter().all(|number| self.is_wide(number, chain)) {
                self.mark(numbers, false);
                return false;
            }
        }
        true
    }

    /// Takes back what was given.
    pub(super) fn take(&mut self, numbers: &[usize]) {
        self.mark(numbers, false);
    }

    fn mark(&mut self, numbers: &[usize], given: bool) {
        for number in numbers {
            let Some(place) = self.given.get_mut(*number).filter(|place| **place != given) else {
                continue;
            };
            *place = given;
            let rows = self.rows.get(*number).copied().unwrap_or(0.0);
            for (relation, factor) in self.places.get(*number).into_iter().flatten() {
                let Some(told) = self.told.get_mut(*relation) else {
                    continue;
                };
                if given {
                    told.sum -= factor * rows;
                    told.unknown -= 1;
                } else {
                    told.sum += factor * rows;
                    told.unknown += 1;
                }
            }
        }
    }

    /// Whether the bounds of a number in a chain are far enough apart.
    fn is_wide(&mut self, number: usize, chain: usize) -> bool {
        let relations = self
            .chains
            .get(chain)
            .map(|chain| chain.relations.clone())
            .unwrap_or_default();
        let one = match relations.as_slice() {
            [one] => self.told.get(*one).filter(|told| told.one_sign),
            _ => None,
        };
        let width = match one {
            // Between nothing and all, if somebody else can have it.
            Some(told) if told.unknown > 1 => {
                let factor = self
                    .places
                    .get(number)
                    .and_then(|places| places.first())
                    .map_or(1.0, |(_, factor)| *factor);
                told.sum / factor
            }
            Some(_) => 0.0,
            None => self.solve(number, &relations),
        };
        width + SLACK >= self.rows.get(number).copied().unwrap_or(0.0).max(self.width_min)
    }

    /// How far the bounds of a number lie apart, by linear programming; nothing if that cannot be found.
    fn solve(&mut self, number: usize, relations: &[usize]) -> f64 {
        let told = || relations.iter().filter_map(|relation| self.told.get(*relation));
        let unknown: usize = told().map(|told| told.unknown).sum();
        self.solved = self.solved.saturating_add(unknown.saturating_mul(relations.len()));
        if self.solved > SOLVED_MAX {
            return 0.0;
        }
        let extreme = |direction| self.extreme(number, relations, direction);
        let (least, most) = (
            extreme(OptimizationDirection::Minimize),
            extreme(OptimizationDirection::Maximize),
        );
        match (least, most) {
            (Some(least), Some(most)) => most - least,
            _ => 0.0,
        }
    }

    /// The least or most that a number can be.
    fn extreme(&self, wanted: usize, relations: &[usize], direction: OptimizationDirection) -> Option<f64> {
        let mut problem = Problem::new(direction);
        let mut variables: FxHashMap<usize, Variable> = FxHashMap::default();
        variables.insert(wanted, problem.add_var(1.0, (0.0, f64::INFINITY)));
        for told in relations.iter().filter_map(|relation| self.told.get(*relation)) {
            let unknown = told
                .relation
                .iter()
                .filter(|(number, _)| self.given.get(*number) == Some(&false));
            let terms: Vec<(Variable, f64)> = unknown
                .map(|(number, factor)| {
                    let variable = variables.entry(*number);
                    (
                        *variable.or_insert_with(|| problem.add_var(0.0, (0.0, f64::INFINITY))),
                        *factor,
                    )
                })
                .collect();
            if !terms.is_empty() {
                problem.add_constraint(terms.as_slice(), ComparisonOp::Eq, told.sum);
            }
        }
        match problem.solve() {
            Ok(SolveOutcome::Solution(solution)) => Some(solution.objective()),
            Err(Error::Unbounded) => Some(f64::INFINITY),
            Ok(SolveOutcome::Interrupted(_)) | Err(_) => None,
        }
    }
}

/// A vector with one at its first coordinate, and of which numbers it is made.
struct Row {
    coordinates: Vec<(u16, u32)>,
    made_of: Vec<(usize, u32)>,
}

/// All independent ways in which numbers add up to what is given: the kernel of both together. The numbers come first:
/// groups of a table have no coordinates in common, so that hardly anything is to be done for them.
fn relations(given: &[Sketch], others: &[&Number]) -> Option<Vec<Relation>> {
    let mut basis: FxHashMap<u16, Row> = FxHashMap::default();
    let mut found = Vec::new();
    let mut touched = 0_usize;
    let numbered = others
        .iter()
        .enumerate()
        .map(|(number, other)| (Some(number), &other.sketch));
    for (number, sketch) in numbered.chain(given.iter().map(|sketch| (None, sketch))) {
        let mut row: BTreeMap<u16, u32> = sketch.entries().iter().copied().collect();
        let mut made_of: BTreeMap<usize, u32> = number.into_iter().map(|number| (number, 1)).collect();
        loop {
            let Some((first, value)) = row.first_key_value().map(|(at, value)| (*at, u64::from(*value))) else {
                // Factors of groups, as many times as the first, are small whole numbers or quotients of such.
                let scale = made_of
                    .first_key_value()
                    .map_or(1, |(_, first)| inverse((*first).into()));
                let factors = scaled(&made_of, scale)
                    .into_iter()
                    .map(|(number, factor)| Some((number, fraction(factor)?)));
                let relation: Option<Relation> = factors.collect();
                found.extend(relation.filter(|relation| !relation.is_empty()));
                break;
            };
            let Some(other) = basis.get(&first) else {
                let scale = inverse(value);
                basis.insert(
                    first,
                    Row {
                        coordinates: scaled(&row, scale),
                        made_of: scaled(&made_of, scale),
                    },
                );
                break;
            };
            touched = touched.saturating_add(other.coordinates.len());
            if touched > COORDINATES_MAX {
                return None;
            }
            subtract(&mut row, &other.coordinates, value);
            subtract(&mut made_of, &other.made_of, value);
        }
    }
    Some(found)
}

fn scaled<K: Copy>(row: &BTreeMap<K, u32>, times: u64) -> Vec<(K, u32)> {
    row.iter()
        .filter_map(|(at, value)| Some((*at, residue(u64::from(*value) * times)?)))
        .collect()
}

/// Takes so many times one row off another.
fn subtract<K: Copy + Ord>(row: &mut BTreeMap<K, u32>, other: &[(K, u32)], times: u64) {
    for (at, value) in other {
        let before = row.get(at).copied().map_or(0, u64::from);
        match residue(before + (PRIME - times) * u64::from(*value)) {
            Some(after) => row.insert(*at, after),
            None => row.remove(at),
        };
    }
}

/// A residue that is not zero.
fn residue(value: u64) -> Option<u32> {
    u32::try_from(value % PRIME).ok().filter(|value| *value != 0)
}

/// The fraction of two small numbers that a residue stands for (rational reconstruction by Euclid's algorithm).
fn fraction(residue: u32) -> Option<f64> {
    let prime = i64::try_from(PRIME).ok()?;
    let (mut before, mut rest) = (prime, i64::from(residue));
    let (mut t_before, mut t) = (0_i64, 1_i64);
    while rest > FRACTION_MAX && rest.saturating_mul(t.abs()) > PRODUCT_MAX {
        let quotient = before / rest;
        (before, rest) = (rest, before - quotient * rest);
        (t_before, t) = (t, t_before - quotient * t);
    }
    let small = t != 0 && (rest.max(t.abs()) <= FRACTION_MAX || rest.saturating_mul(t.abs()) <= PRODUCT_MAX);
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

    /// T93: a group that is counted forty thousand times, by inline data, is guarded as it is otherwise.
    #[test]
    fn counting_a_group_many_times_does_not_unguard_it() {
        let key = SketchKey::new([7; 32]);
        let times = |persons: std::ops::Range<i64>, times: u64| {
            let mut sum = Sum::default();
            for person in persons {
                sum.add(key.person(person), key.triple([&person.to_string(), "", ""]), times);
            }
            sum.number()
        };
        let total = over(0..50);
        for (small, others) in [(40_000, 40_000), (40_000, 1), (1, 40_000), (1_000_000, 1)] {
            let groups = [times(0..3, small), times(3..10, others), times(10..50, others)];
            let groups: Vec<&Number> = groups.iter().collect();
            let mut bounds = Bounds::new(std::slice::from_ref(&total.sketch), &groups, &[0], 5).unwrap();
            assert!(bounds.give(&[2]), "{small} {others}");
            assert!(!bounds.give(&[1]), "{small} {others}: this would tell the small one");
        }
    }

    #[test]
    fn residues_become_fractions() {
        let prime = u32::try_from(PRIME).unwrap();
        assert_eq!(fraction(40_000), Some(40_000.0));
        assert_eq!(fraction(prime - 40_000), Some(-40_000.0));
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
        let mut free = Bounds::new(&[], &others, &[0], 5).unwrap();
        assert!(free.give(&[1, 2]), "nothing is told");
        let given = std::slice::from_ref(&total.sketch);
        let mut bounds = Bounds::new(given, &others, &[0], 5).unwrap();
        assert!(bounds.give(&[2]), "the small and the middle one make ten together");
        assert!(!bounds.give(&[1]), "this would tell the small one");
        let mut bounds = Bounds::new(given, &others, &[0], 11).unwrap();
        assert!(!bounds.give(&[2]), "ten is not far enough apart");
        assert!(bounds.give(&[1]), "forty and three are");
        assert!(!bounds.give(&[2]));
        bounds.take(&[1]);
        assert!(!bounds.give(&[2]), "nothing was kept of it");
    }

    /// Requirements ENF-11, T93: two lines of a table that cross bound a cell more closely than each alone.
    #[test]
    fn lines_that_cross_bound_closer() {
        // Rows a b, c d with two to nine persons; both rows and the first column are told.
        let (a, b, c, d) = (over(0..2), over(2..9), over(9..14), over(14..20));
        let others = [&a, &b, &c, &d];
        let sum = |one: &Number, other: &Number| one.sketch.plus(&other.sketch, 1);
        let given = [sum(&a, &b), sum(&c, &d), sum(&a, &c)];
        assert_eq!(relations(&given, &others).unwrap().len(), 3);
        for (width_min, stays) in [(7, true), (8, false)] {
            let mut bounds = Bounds::new(&given[..2], &others, &[0], width_min).unwrap();
            let column = Bounds::new(&given, &others, &[0], width_min).unwrap();
            assert_eq!(
                column.chains.iter().any(|chain| chain.guarded == [0]),
                stays,
                "a is at most seven, the sum of the column"
            );
            assert_eq!(bounds.give(&[3]), width_min <= 9, "a and b make nine");
        }
    }

    /// Ten thousand groups beside a total are looked through at once.
    #[test]
    fn many_groups_beside_a_total() {
        let groups: Vec<Number> = (0..10_000).map(|group| over(group * 3..group * 3 + 3)).collect();
        let total = over(0..30_000);
        let others: Vec<&Number> = groups.iter().collect();
        let guarded: Vec<usize> = (0..1_000).collect();
        let mut bounds = Bounds::new(std::slice::from_ref(&total.sketch), &others, &guarded, 5).unwrap();
        let given = (1_000..10_000).filter(|group| bounds.give(&[*group])).count();
        assert_eq!(given, 9_000);
    }
}
