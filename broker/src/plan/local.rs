//! A `Local` is a part of a query whose answer over the RDF merge of all sources is the bag union of its answers at each source:
//! no solution ever mixes triples of two sources. Such parts are shipped whole; this module knows how they combine.
//!
//! Soundness rests on one fact: two parts joined on a variable that is bound on both sides, and whose possible values at source A
//! and at source B never meet for A ≠ B, can only join within one source.

use crate::source::column::apart;
use crate::source::{Column, SourceId, Token, ValueSet};
use spargebra::algebra::{Expression, GraphPattern};
use spargebra::term::{GroundTerm, Variable};
use std::collections::{BTreeMap, BTreeSet};

/// A part of the query that every source can answer on its own.
#[derive(Debug, Clone)]
pub(crate) struct Local {
    /// The part itself.
    pub pattern: GraphPattern,
    /// Sources that can contribute, each with the estimated number of solutions.
    pub sources: BTreeMap<SourceId, f64>,
    /// Values that each variable can take at each source; an absent entry means anything. Columns may speak of more sources.
    pub values: BTreeMap<Variable, Column>,
    /// Variables bound in every solution.
    pub certain: BTreeSet<Variable>,
    /// Variables in scope.
    pub vars: BTreeSet<Variable>,
    /// Whether two sources can never return the same solution for the same triples (else: fetch triples and merge).
    pub unique: bool,
    /// Whether every row is an aggregate over a group.
    pub aggregated: bool,
}

impl Local {
    /// What a variable can be at a source.
    pub fn values_at(&self, variable: &Variable, source: SourceId) -> &ValueSet {
        self.values
            .get(variable)
            .and_then(|column| column.at(source))
            .unwrap_or(&ValueSet::Any)
    }

    /// Estimated number of solutions over all sources.
    pub fn estimate(&self) -> f64 {
        self.sources.values().sum()
    }

    /// Whether the values of `variable` at one source never meet those of `variable` in `other` at another source.
    fn disjoint(&self, other: &Self, variable: &Variable) -> bool {
        if let (Some(own), Some(theirs)) = (self.values.get(variable), other.values.get(variable)) {
            // The same values on both sides: then it is a question about one column, which is answered once.
            let both = |one: &Column, other: &Column, here: &Self, there: &Self| {
                one.agrees(other, &there.sources) && one.covers(&here.sources) && one.is_apart()
            };
            if both(own, theirs, self, other) || both(theirs, own, other, self) {
                return true;
            }
        }
        apart(&self.each_value(variable), &other.each_value(variable))
    }

    fn each_value(&self, variable: &Variable) -> Vec<(SourceId, &ValueSet)> {
        let ids = self.sources.keys();
        ids.map(|id| (*id, self.values_at(variable, *id))).collect()
    }

    /// Whether solutions of the two parts can only join within one source.
    pub fn joins_locally(&self, other: &Self) -> bool {
        let mut shared = self.certain.intersection(&other.certain).peekable();
        if shared.peek().is_some() && self.only_source().is_some() && self.only_source() == other.only_source() {
            return true;
        }
        shared.any(|variable| self.disjoint(other, variable))
    }

    /// Whether the answers of different sources can be told apart by this variable.
    pub fn is_owner_key(&self, variable: &Variable) -> bool {
        self.sources.len() <= 1 || (self.certain.contains(variable) && self.disjoint(self, variable))
    }

    /// The only source, when there is exactly one.
    pub fn only_source(&self) -> Option<SourceId> {
        let mut keys = self.sources.keys();
        let first = keys.next().copied()?;
        keys.next().is_none().then_some(first)
    }

    /// Inner join of two parts that join locally.
    pub fn join(self, other: Self) -> Self {
        let sources: BTreeMap<_, _> = self
            .sources
            .iter()
            .filter_map(|(source, rows)| {
                other
                    .sources
                    .get(source)
                    .map(|theirs| (*source, rows.min(*theirs).max(1.0)))
            })
            .collect();
        let mut values = BTreeMap::new();
        for variable in self.vars.union(&other.vars) {
            let (own, theirs) = (self.values.get(variable), other.values.get(variable));
            let column = match (self.certain.contains(variable), other.certain.contains(variable)) {
                (true, true) => match (own, theirs) {
                    (Some(own), Some(theirs)) => Some(own.narrow(theirs, &sources)),
                    (known, None) | (None, known) => known.cloned(),
                },
                (true, false) => own.cloned(),
                (false, true) => theirs.cloned(),
                (false, false) => match (self.vars.contains(variable), other.vars.contains(variable)) {
                    (true, false) => own.cloned(),
                    (false, true) => theirs.cloned(),
                    _ => own.zip(theirs).map(|(own, theirs)| own.unite(theirs, &sources)),
                },
            };
            if let Some(column) = column {
                values.insert(variable.clone(), column);
            }
        }
        let mut joined = Self {
            pattern: join_patterns(self.pattern, other.pattern),
            sources,
            values,
            certain: self.certain.union(&other.certain).cloned().collect(),
            vars: self.vars.union(&other.vars).cloned().collect(),
            unique: true,
            aggregated: self.aggregated && other.aggregated,
        };
        joined.drop_impossible();
        joined
    }

    /// `OPTIONAL` of two parts that join locally.
    pub fn left_join(self, other: Self, expression: Option<Expression>) -> Self {
        let mut values = self.values.clone();
        for variable in other.vars.difference(&self.vars) {
            // At sources that cannot answer the optional part it stays unbound, whatever is said of it.
            if let Some(column) = other.values.get(variable) {
                values.insert(variable.clone(), column.clone());
            }
        }
        for variable in other.vars.intersection(&self.vars) {
            if !self.certain.contains(variable) {
                values.remove(variable);
            }
        }
        Self {
            pattern: GraphPattern::LeftJoin {
                left: Box::new(self.pattern),
                right: Box::new(other.pattern),
                expression,
            },
            values,
            vars: self.vars.union(&other.vars).cloned().collect(),
            aggregated: false,
            ..self
        }
    }

    /// `UNION`: always sound, whatever the parts.
    pub fn union(self, other: Self) -> Self {
        let mut sources = self.sources.clone();
        for (source, rows) in &other.sources {
            *sources.entry(*source).or_insert(0.0) += rows;
        }
        let mut values = BTreeMap::new();
        for variable in self.vars.union(&other.vars) {
            let at = |side: &'_ Self, source: SourceId| {
                let binds = side.sources.contains_key(&source) && side.vars.contains(variable);
                binds.then(|| side.values_at(variable, source).clone())
            };
            let column: Column = sources
                .keys()
                .map(|source| {
                    let set = match (at(&self, *source), at(&other, *source)) {
                        (Some(own), Some(theirs)) => own.union(&theirs),
                        (Some(known), None) | (None, Some(known)) => known,
                        (None, None) => ValueSet::of(BTreeSet::new()),
                    };
                    (*source, set)
                })
                .collect();
            values.insert(variable.clone(), column);
        }
        Self {
            pattern: GraphPattern::Union {
                left: Box::new(self.pattern),
                right: Box::new(other.pattern),
            },
            sources,
            values,
            certain: self.certain.intersection(&other.certain).cloned().collect(),
            vars: self.vars.union(&other.vars).cloned().collect(),
            unique: self.unique && other.unique,
            aggregated: self.aggregated && other.aggregated,
        }
    }

    /// Narrows sources and values by a constant table that is joined in; the caller has put the table into the pattern.
    pub fn restrict(&mut self, variables: &[Variable], rows: &[Vec<Option<GroundTerm>>]) {
        for (column, variable) in variables.iter().enumerate() {
            let cells: Vec<Option<&GroundTerm>> = rows
                .iter()
                .map(|row| row.get(column).and_then(Option::as_ref))
                .collect();
            if !self.certain.contains(variable) || cells.iter().any(Option::is_none) {
                continue;
            }
            let terms: Vec<oxrdf::Term> = cells.into_iter().flatten().map(|cell| cell.clone().into()).collect();
            let all: BTreeSet<Token> = terms.iter().map(Token::of_term).collect();
            let whole = ValueSet::of(all.clone());
            let column: Column = self
                .sources
                .keys()
                .map(|source| {
                    let known = self.values_at(variable, *source);
                    let held = all.iter().filter(|token| known.may_hold_token(token));
                    let set = match held.clone().count() == all.len() {
                        true => whole.clone(),
                        false => ValueSet::of(held.cloned().collect()),
                    };
                    (*source, set)
                })
                .collect();
            for rows in self.sources.values_mut() {
                *rows = (*rows * 0.01 * terms.len() as f64).max(1.0).min(*rows);
            }
            self.values.insert(variable.clone(), column);
        }
        self.drop_impossible();
    }

    /// Removes sources at which a bound variable has no possible value.
    pub fn drop_impossible(&mut self) {
        let empty: Vec<&Column> = self
            .certain
            .iter()
            .filter_map(|variable| self.values.get(variable))
            .filter(|column| column.has_empty())
            .collect();
        if empty.is_empty() {
            return;
        }
        let impossible = |source: &SourceId| {
            let mut sets = empty.iter().filter_map(|column| column.at(*source));
            sets.any(ValueSet::is_empty)
        };
        let impossible: Vec<SourceId> = self.sources.keys().copied().filter(impossible).collect();
        for source in impossible {
            self.sources.remove(&source);
        }
    }

    /// Whether a blank node of one source can stand both in a variable here and in one there (labels do not survive two requests).
    pub fn shares_blank_nodes(&self, variable: &Variable, other: &Self, there: &Variable) -> bool {
        let never = |side: &Self, variable: &Variable| {
            let column = side.values.get(variable);
            column.is_some_and(|column| column.never_blank(&side.sources))
        };
        if never(self, variable) || never(other, there) {
            return false;
        }
        self.sources
            .keys()
            .filter(|source| other.sources.contains_key(source))
            .any(|source| {
                self.values_at(variable, *source).may_be_blank() && other.values_at(there, *source).may_be_blank()
            })
    }
}

/// The first two parts that join locally. Each part has a name that changes when it grows; pairs of names that were found to be
/// `separate` stay so and are not looked at again.
pub(super) fn next_join(
    units: &[Local],
    names: &[usize],
    separate: &mut BTreeSet<(usize, usize)>,
) -> Option<(usize, usize)> {
    let named = || units.iter().zip(names).enumerate();
    for (i, (own, first)) in named() {
        for (j, (other, second)) in named().skip(i + 1) {
            if separate.contains(&(*first, *second)) {
                continue;
            }
            if own.joins_locally(other) {
                return Some((i, j));
            }
            separate.insert((*first, *second));
        }
    }
    None
}

/// Joins two patterns, keeping basic graph patterns in one piece so that the source's optimiser sees them whole.
pub(crate) fn join_patterns(left: GraphPattern, right: GraphPattern) -> GraphPattern {
    match (left, right) {
        (GraphPattern::Bgp { patterns: mut own }, GraphPattern::Bgp { patterns }) => {
            own.extend(patterns);
            GraphPattern::Bgp { patterns: own }
        }
        (GraphPattern::Bgp { patterns }, other) | (other, GraphPattern::Bgp { patterns }) if patterns.is_empty() => {
            other
        }
        (left, right) => GraphPattern::Join {
            left: Box::new(left),
            right: Box::new(right),
        },
    }
}
