//! A `Local` is a part of a query whose answer over the RDF merge of all sources is the bag union of its answers at each source:
//! no solution ever mixes triples of two sources. Such parts are shipped whole; this module knows how they combine.
//!
//! Soundness rests on one fact: two parts joined on a variable that is bound on both sides, and whose possible values at source A
//! and at source B never meet for A ≠ B, can only join within one source.

use crate::source::{SourceId, Token, ValueSet};
use spargebra::algebra::{Expression, GraphPattern};
use spargebra::term::{GroundTerm, Variable};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A part of the query that every source can answer on its own.
#[derive(Debug, Clone)]
pub(crate) struct Local {
    /// The part itself.
    pub pattern: GraphPattern,
    /// Sources that can contribute, each with the estimated number of solutions.
    pub sources: BTreeMap<SourceId, f64>,
    /// Values that each variable can take at each source; an absent entry means anything.
    pub values: BTreeMap<Variable, BTreeMap<SourceId, ValueSet>>,
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
            .and_then(|per_source| per_source.get(&source))
            .unwrap_or(&ValueSet::Any)
    }

    /// Estimated number of solutions over all sources.
    pub fn estimate(&self) -> f64 {
        self.sources.values().sum()
    }

    /// Whether the values of `variable` at one source never meet those of `variable` in `other` at another source.
    fn disjoint(&self, other: &Self, variable: &Variable) -> bool {
        let at = |own: &'_ Self| -> Vec<(SourceId, ValueSet)> {
            let values = own.sources.keys().map(|id| (*id, own.values_at(variable, *id).clone()));
            values.collect()
        };
        apart(&at(self), &at(other))
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
            let per_source = sources
                .keys()
                .map(|source| {
                    let (own, theirs) = (self.values_at(variable, *source), other.values_at(variable, *source));
                    let set = match (self.certain.contains(variable), other.certain.contains(variable)) {
                        (true, true) => own.narrow(theirs),
                        (true, false) => own.clone(),
                        (false, true) => theirs.clone(),
                        (false, false) => match (self.vars.contains(variable), other.vars.contains(variable)) {
                            (true, false) => own.clone(),
                            (false, true) => theirs.clone(),
                            _ => own.union(theirs),
                        },
                    };
                    (*source, set)
                })
                .collect();
            values.insert(variable.clone(), per_source);
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
            let per_source = self
                .sources
                .keys()
                .map(|source| (*source, other.values_at(variable, *source).clone()))
                .collect::<BTreeMap<_, _>>();
            values.insert(variable.clone(), per_source);
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
            let mut per_source = BTreeMap::new();
            for source in sources.keys() {
                let own = (self.sources.contains_key(source) && self.vars.contains(variable))
                    .then(|| self.values_at(variable, *source));
                let theirs = (other.sources.contains_key(source) && other.vars.contains(variable))
                    .then(|| other.values_at(variable, *source));
                let set = match (own, theirs) {
                    (Some(a), Some(b)) => a.union(b),
                    (Some(a), None) | (None, Some(a)) => a.clone(),
                    (None, None) => ValueSet::of(BTreeSet::new()),
                };
                per_source.insert(*source, set);
            }
            values.insert(variable.clone(), per_source);
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
            let sources: Vec<SourceId> = self.sources.keys().copied().collect();
            for source in sources {
                let known = self.values_at(variable, source);
                let tokens: BTreeSet<_> = terms
                    .iter()
                    .filter(|term| known.may_hold(term))
                    .map(crate::source::Token::of_term)
                    .collect();
                if let Some(rows) = self.sources.get_mut(&source) {
                    *rows = (*rows * 0.01 * terms.len() as f64).max(1.0).min(*rows);
                }
                self.values
                    .entry(variable.clone())
                    .or_default()
                    .insert(source, ValueSet::of(tokens));
            }
        }
        self.drop_impossible();
    }

    /// Removes sources at which a bound variable has no possible value.
    pub fn drop_impossible(&mut self) {
        let impossible: Vec<SourceId> = self
            .sources
            .keys()
            .copied()
            .filter(|source| {
                self.certain
                    .iter()
                    .any(|variable| self.values_at(variable, *source).is_empty())
            })
            .collect();
        for source in impossible {
            self.sources.remove(&source);
        }
    }

    /// Whether a blank node of one source can stand both in a variable here and in one there (labels do not survive two requests).
    pub fn shares_blank_nodes(&self, variable: &Variable, other: &Self, there: &Variable) -> bool {
        self.sources
            .keys()
            .filter(|source| other.sources.contains_key(source))
            .any(|source| {
                self.values_at(variable, *source).may_be_blank() && other.values_at(there, *source).may_be_blank()
            })
    }
}

/// Whether values of one side at one source never meet values of the other side at another source.
pub(super) fn apart(own: &[(SourceId, ValueSet)], others: &[(SourceId, ValueSet)]) -> bool {
    let mut buckets: HashMap<&str, Vec<(SourceId, &Token)>> = HashMap::with_capacity(others.len());
    let mut anywhere = Vec::new();
    for (source, values) in others {
        match values {
            ValueSet::Any => anywhere.push(*source),
            ValueSet::Tokens(tokens) => {
                for token in &**tokens {
                    buckets.entry(token.bucket()).or_default().push((*source, token));
                }
            }
        }
    }
    own.iter().all(|(source, values)| {
        let elsewhere = |other: &SourceId| other != source;
        let meets = |token: &Token| {
            let list = buckets.get(token.bucket());
            list.is_some_and(|list| list.iter().any(|(at, theirs)| elsewhere(at) && theirs.may_meet(token)))
        };
        !anywhere.iter().any(elsewhere)
            && match values {
                ValueSet::Any => !others.iter().any(|(other, _)| elsewhere(other)),
                ValueSet::Tokens(tokens) => !tokens.iter().any(meets),
            }
    })
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
