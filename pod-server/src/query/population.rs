//! Whose data stands behind each group of an answer: the triples that were matched, their data subjects, and how much each
//! contributes.

use std::sync::Arc;

use oxrdf::{Literal, NamedNode, Term};
use parking_lot::Mutex;
use roaring::RoaringTreemap;
use rustc_hash::{FxHashMap, FxHashSet};
use spareval::AggregateFunctionAccumulator;

use super::dataset::Execution;
use super::sketch::{Number, PersonPlace, SketchKey, Sum, TripleValue};
use super::terms::Traced;
use crate::index::TermId;

/// Name under which the evaluator knows the gathering of what was matched. Queries cannot use it: custom functions are
/// refused when they are parsed.
const POPULATION: &str = "https://w3id.org/meent/ns#population";

/// What a matched triple adds to a group.
#[derive(Clone, Copy, Debug, Default)]
struct Share {
    rows: u64,
    /// Sum of absolute values, where a value was told.
    value: f64,
}

type Matched = FxHashMap<u32, Share>;

/// The populations that an evaluation gathers, by number.
#[derive(Clone, Debug, Default)]
pub(super) struct Populations(Arc<Mutex<Vec<Matched>>>);

impl Populations {
    /// The name to register the gathering under.
    pub(super) fn name() -> NamedNode {
        NamedNode::new_unchecked(POPULATION)
    }

    /// Gathers one population; its end is its number.
    pub(super) fn gathering(&self) -> Box<dyn AggregateFunctionAccumulator + Send + Sync> {
        Box::new(Gathering {
            matched: Matched::default(),
            into: self.clone(),
        })
    }

    /// Takes the population of which a term is the number.
    pub(super) fn take(&self, term: Option<&Term>) -> Population {
        let number = match term {
            Some(Term::Literal(literal)) => literal.value().parse::<usize>().ok(),
            _ => None,
        };
        let mut all = self.0.lock();
        Population(
            number
                .and_then(|number| all.get_mut(number))
                .map(std::mem::take)
                .unwrap_or_default(),
        )
    }
}

struct Gathering {
    matched: Matched,
    into: Populations,
}

impl AggregateFunctionAccumulator for Gathering {
    /// Takes the number of a trace, with or without a value behind it.
    fn accumulate(&mut self, element: Term) {
        let Term::Literal(literal) = &element else { return };
        let mut parts = literal.value().splitn(2, ' ');
        let Some(trace) = parts.next().and_then(|number| number.parse().ok()) else {
            return;
        };
        let share: &mut Share = self.matched.entry(trace).or_default();
        share.rows += 1;
        if let Some(value) = parts.next() {
            let value: f64 = value.parse().unwrap_or(f64::INFINITY);
            share.value += if value.is_nan() { f64::INFINITY } else { value.abs() };
        }
    }

    fn finish(&mut self) -> Option<Term> {
        let mut all = self.into.0.lock();
        all.push(std::mem::take(&mut self.matched));
        Some(Literal::from(i64::try_from(all.len() - 1).ok()?).into())
    }
}

/// What one triple pattern matched in one group.
#[derive(Debug, Default)]
pub(super) struct Population(Matched);

impl Population {
    /// The distinct data subjects.
    pub(super) fn subjects(&self, execution: &Execution<'_>) -> RoaringTreemap {
        let traces = self.0.keys().filter_map(|trace| execution.terms.trace_of(*trace));
        traces
            .flat_map(|trace| trace.subjects.into_vec())
            .filter_map(|subject| u64::try_from(subject).ok())
            .collect()
    }

    /// The matched triples.
    pub(super) fn traces(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.keys().copied()
    }

    /// Whether those other than the two largest contributors together contribute less than a share, in percent, of what
    /// the largest does (the p % rule): then the second could tell the part of the first nearly.
    pub(super) fn dominated(&self, execution: &Execution<'_>, percent: u32) -> bool {
        let mut contributions: FxHashMap<i64, f64> = FxHashMap::default();
        for (trace, share) in &self.0 {
            let Some(trace) = execution.terms.trace_of(*trace) else {
                continue;
            };
            let holders = u32::try_from(trace.subjects.len()).unwrap_or(u32::MAX).max(1);
            for subject in &trace.subjects {
                *contributions.entry(*subject).or_default() += share.value / f64::from(holders);
            }
        }
        let (mut first, mut second, mut total) = (0.0_f64, 0.0_f64, 0.0_f64);
        for value in contributions.into_values() {
            total += value;
            if value > first {
                (first, second) = (value, first);
            } else if value > second {
                second = value;
            }
        }
        if !total.is_finite() {
            return true;
        }
        first > 0.0 && total - first - second < first * f64::from(percent) / 100.0
    }
}

/// What of a triple is told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grain {
    /// What it is about: all patterns on one thing are one.
    Subject,
    /// All of it: another value is another triple.
    Triple,
}

/// Makes sketches; remembers persons and triples.
pub(super) struct Sketches<'e> {
    execution: &'e Execution<'e>,
    key: &'e SketchKey,
    persons: FxHashMap<i64, PersonPlace>,
    triples: FxHashMap<(u32, bool), Option<TripleValue>>,
}

impl<'e> Sketches<'e> {
    pub(super) fn new(execution: &'e Execution<'e>, key: &'e SketchKey) -> Self {
        Self {
            execution,
            key,
            persons: FxHashMap::default(),
            triples: FxHashMap::default(),
        }
    }

    /// What a number over a population rests on; with `distinct`, each triple once. None where a term is not known.
    pub(super) fn of(&mut self, population: &Population, grain: Grain, distinct: bool) -> Option<Number> {
        let mut sum = Sum::default();
        for (number, share) in &population.0 {
            let trace = self.execution.terms.trace_of(*number)?;
            let place = (*number, grain == Grain::Triple);
            let value = match self.triples.get(&place) {
                Some(known) => *known,
                None => {
                    let value = self.triple(trace.triple, grain);
                    self.triples.insert(place, value);
                    value
                }
            }?;
            let times = if distinct { 1 } else { share.rows };
            for subject in &trace.subjects {
                let person = *self
                    .persons
                    .entry(*subject)
                    .or_insert_with(|| self.key.person(*subject));
                sum.add(person, value, times);
            }
        }
        Some(sum.number())
    }

    fn triple(&self, (subject, predicate, object): Traced, grain: Grain) -> Option<TripleValue> {
        let text = |number: u32| {
            let term = self.execution.terms.term(TermId::from_number(number)?).ok()?;
            // The labels of blank nodes change when the index is built anew.
            Some(if term.is_blank_node() {
                String::new()
            } else {
                term.to_string()
            })
        };
        if grain == Grain::Subject {
            return Some(self.key.triple([&text(subject)?, "", ""]));
        }
        let object = match object {
            Some(number) => text(number)?,
            None => String::new(),
        };
        Some(self.key.triple([&text(subject)?, &text(predicate)?, &object]))
    }
}

/// Which triple patterns say whose rows a group has: of those whose triples are one person's each, the ones with the most
/// triples; all where there are none such.
pub(super) fn telling(groups: &[Vec<Population>], execution: &Execution<'_>) -> Vec<bool> {
    let patterns = groups.first().map_or(0, Vec::len);
    let personal = (0..patterns).map(|pattern| {
        let mut seen = FxHashSet::default();
        for trace in groups
            .iter()
            .filter_map(|group| group.get(pattern))
            .flat_map(Population::traces)
        {
            let trace_of = execution.terms.trace_of(trace);
            if trace_of.is_none_or(|trace| trace.subjects.len() != 1) {
                return None;
            }
            seen.insert(trace);
        }
        Some(seen.len())
    });
    let personal: Vec<Option<usize>> = personal.collect();
    let most = personal.iter().flatten().max().copied();
    personal
        .iter()
        .map(|triples| most.is_none() || *triples == most)
        .collect()
}
