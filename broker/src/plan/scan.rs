//! Leaves of planning: one triple pattern against all sources, and the basic graph patterns grown from them.

use super::local::Local;
use super::replica::Named;
use super::rewrite::{Node, Planner};
use super::{Duplicates, Withheld};
use crate::source::directory::End;
use crate::source::{Column, Found, SourceId, ValueSet};
use spargebra::algebra::GraphPattern;
use spargebra::term::{NamedNodePattern, TermPattern, TriplePattern, Variable};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Parts with at most so many sources narrow others: beyond, comparing costs more than it saves.
const NEAR_SOURCES_MAX: usize = 4;

impl Planner<'_> {
    /// Which sources can answer a pattern; remembered, because one pattern is looked at many times.
    pub(super) fn candidates(&mut self, pattern: &TriplePattern) -> Found {
        if let Some(known) = self.selected.get(pattern) {
            return known.clone();
        }
        let mut found = self.directory.find(pattern);
        self.leave_out(pattern, &mut found);
        Named::of(pattern).narrow(self.sources, &mut found);
        let shown = found.triples.keys().take(NAMES_SHOWN);
        let names: Vec<&str> = shown
            .filter_map(|id| self.sources.get(*id))
            .map(|source| source.member.as_str())
            .collect();
        self.evidence.push(format!(
            "{pattern} can be answered by {} of {} sources: {}",
            found.triples.len(),
            self.sources.len(),
            abridge(&names, found.triples.len())
        ));
        self.selected.insert(pattern.clone(), found.clone());
        found
    }

    /// Leaves out sources that the query is not about, and those whose agreement does not cover the property, which are noted.
    fn leave_out(&mut self, pattern: &TriplePattern, found: &mut Found) {
        if self.only.is_none() && !self.restricted {
            return;
        }
        let property = match &pattern.predicate {
            NamedNodePattern::NamedNode(property) => Some(property.as_str()),
            NamedNodePattern::Variable(_) => None,
        };
        let mut out = Vec::new();
        for id in found.triples.keys() {
            let meant = self.only.as_ref().is_none_or(|only| only.contains(id));
            let source = self.sources.get(*id);
            let refused = property.filter(|property| source.is_some_and(|source| !source.covers(property)));
            if let Some(property) = refused.filter(|_| meant) {
                let property = property.to_owned();
                let reasons = self.withheld.entry(*id).or_default();
                reasons.insert(Withheld::PropertyNotAgreed { property });
            }
            if !meant || refused.is_some() {
                out.push(*id);
            }
        }
        if !out.is_empty() {
            let triples = Arc::make_mut(&mut found.triples);
            for id in out {
                triples.remove(&id);
            }
        }
    }

    /// One triple pattern as a part of its own.
    pub(super) fn scan(&mut self, pattern: &TriplePattern) -> Local {
        let found = self.candidates(pattern);
        Self::part(pattern, &found)
    }

    /// One triple pattern at these sources.
    fn part(pattern: &TriplePattern, found: &Found) -> Local {
        let mut local = Local {
            pattern: GraphPattern::Bgp {
                patterns: vec![pattern.clone()],
            },
            sources: (*found.triples).clone(),
            values: BTreeMap::new(),
            certain: BTreeSet::new(),
            vars: BTreeSet::new(),
            unique: true,
            aggregated: false,
        };
        let place = |local: &mut Local, variable: &Variable, column: &Column| {
            local.vars.insert(variable.clone());
            local.certain.insert(variable.clone());
            let column = match local.values.get(variable) {
                Some(other) => other.narrow(column, &local.sources),
                None => column.clone(),
            };
            local.values.insert(variable.clone(), column);
        };
        if let TermPattern::Variable(variable) = &pattern.subject {
            place(&mut local, variable, &found.subject);
        }
        if let NamedNodePattern::Variable(variable) = &pattern.predicate {
            place(&mut local, variable, &found.predicate);
        }
        if let TermPattern::Variable(variable) = &pattern.object {
            place(&mut local, variable, &found.object);
        }
        for side in [&pattern.subject, &pattern.object] {
            if let TermPattern::Triple(_) = side {
                let mut inside = BTreeSet::new();
                super::expression::mentioned(
                    &GraphPattern::Bgp {
                        patterns: vec![pattern.clone()],
                    },
                    &mut inside,
                );
                for variable in inside {
                    if local.vars.insert(variable.clone()) {
                        local.certain.insert(variable);
                    }
                }
            }
        }
        local.drop_impossible();
        // No triple that matches can be held by two sources when subjects, objects or predicates tell them apart.
        local.unique = local.sources.len() <= 1
            || found.subject.is_apart_among(&local.sources)
            || found.object.is_apart_among(&local.sources)
            || found.predicate.is_apart_among(&local.sources);
        local
    }

    /// A basic graph pattern: patterns grow together as long as their joins provably stay within one source.
    pub(super) fn bgp(&mut self, patterns: &[TriplePattern]) -> Node {
        if patterns.is_empty() {
            return Node::Const(GraphPattern::Bgp { patterns: Vec::new() });
        }
        // What few sources can answer comes first, and says which of the many can join with it.
        let mut found: Vec<(&TriplePattern, Found)> = patterns
            .iter()
            .map(|pattern| (pattern, self.candidates(pattern)))
            .collect();
        found.sort_by_key(|(_, found)| found.triples.len());
        let mut units: Vec<Local> = Vec::with_capacity(found.len());
        for (pattern, found) in found {
            let mut unit = match self.joinable(pattern, &found, &units) {
                Some(fewer) => Self::part(pattern, &fewer),
                None => Self::part(pattern, &found),
            };
            // What each source holds counts for itself then, as joins within one source do.
            unit.unique |= self.duplicates == Duplicates::Kept;
            units.push(unit);
        }
        self.block(units, Vec::new())
    }

    /// The sources that can join with those of the parts that few sources can answer; `None` when that leaves out nobody. A source whose
    /// values of a shared variable meet none of theirs has nothing to add to the solutions of the whole. A pattern that nobody can
    /// answer narrows nothing: who is left out for other reasons stays named.
    fn joinable(&self, pattern: &TriplePattern, found: &Found, units: &[Local]) -> Option<Found> {
        let ends = [
            (End::Subject, &pattern.subject, &found.subject),
            (End::Object, &pattern.object, &found.object),
        ];
        let mut near: Vec<Near<'_>> = Vec::new();
        for (end, term, column) in ends {
            let TermPattern::Variable(variable) = term else {
                continue;
            };
            let units = units
                .iter()
                .filter(|unit| (1..=NEAR_SOURCES_MAX).contains(&unit.sources.len()) && unit.certain.contains(variable));
            near.extend(units.map(|unit| {
                Near {
                    end,
                    column,
                    values: unit
                        .sources
                        .keys()
                        .map(|id| (*id, unit.values_at(variable, *id)))
                        .collect(),
                }
            }));
        }
        let first = near.first()?;
        let sets: Vec<&ValueSet> = first.values.iter().map(|(_, values)| *values).collect();
        let meets = |id: &SourceId| near.iter().all(|near| near.meets(*id));
        let looked_up = match found.triples.len() {
            0..=NEAR_SOURCES_MAX => None,
            _ => self.directory.near(pattern, first.end, &sets),
        };
        let triples: BTreeMap<SourceId, f64> = match looked_up {
            Some(mut ids) => {
                ids.extend(first.values.iter().map(|(id, _)| *id));
                ids.into_iter()
                    .filter_map(|id| Some((id, *found.triples.get(&id)?)))
                    .filter(|(id, _)| meets(id))
                    .collect()
            }
            None => found
                .triples
                .iter()
                .filter(|(id, _)| meets(id))
                .map(|(id, rows)| (*id, *rows))
                .collect(),
        };
        (triples.len() < found.triples.len()).then(|| Found {
            triples: Arc::new(triples),
            ..found.clone()
        })
    }
}

/// What a part that few sources can answer says about an end of a pattern.
struct Near<'a> {
    end: End,
    /// What the pattern itself can have at that end.
    column: &'a Column,
    /// What the part can have there, source by source.
    values: Vec<(SourceId, &'a ValueSet)>,
}

impl Near<'_> {
    /// Whether this source can join with the part.
    fn meets(&self, id: SourceId) -> bool {
        let own = self.column.at(id).unwrap_or(&ValueSet::Any);
        self.values
            .iter()
            .any(|(other, theirs)| *other == id || theirs.may_meet(own))
    }
}

/// Most names of members in a sentence.
const NAMES_SHOWN: usize = 8;

/// The first names for people, and how many more there are.
fn abridge(first: &[&str], all: usize) -> String {
    let named = first.join(", ");
    match all.saturating_sub(first.len()) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}
