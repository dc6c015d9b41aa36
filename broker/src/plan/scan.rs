//! Leaves of planning: one triple pattern against all sources, and the basic graph patterns grown from them.

use super::Withheld;
use super::local::{Local, apart};
use super::rewrite::{Node, Planner};
use crate::source::{Match, Selection, SourceId, ValueSet};
use spargebra::algebra::GraphPattern;
use spargebra::term::{NamedNodePattern, TermPattern, TriplePattern, Variable};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Sources that can answer a pattern, each with what its answer can be.
pub(super) type Candidates = Arc<BTreeMap<SourceId, Match>>;

/// Parts with at most so many sources narrow others: beyond, comparing costs more than it saves.
const NEAR_SOURCES_MAX: usize = 4;

impl Planner<'_> {
    /// Which sources can answer a pattern; remembered, because one pattern is looked at many times.
    pub(super) fn candidates(&mut self, pattern: &TriplePattern) -> Candidates {
        if let Some(known) = self.selected.get(pattern) {
            return Arc::clone(known);
        }
        let mut found = BTreeMap::new();
        for (id, source) in self.sources.iter().enumerate() {
            if self.only.as_ref().is_some_and(|only| !only.contains(&id)) {
                continue;
            }
            match source.select(pattern) {
                Selection::Irrelevant => {}
                Selection::NotAgreed(property) => {
                    self.withheld
                        .entry(id)
                        .or_default()
                        .insert(Withheld::PropertyNotAgreed { property });
                }
                Selection::Candidate(matched) => {
                    found.insert(id, matched);
                }
            }
        }
        let names: Vec<&str> = found
            .keys()
            .filter_map(|id| self.sources.get(*id))
            .map(|s| s.member.as_str())
            .collect();
        self.evidence.push(format!(
            "{pattern} can be answered by {} of {} sources: {}",
            found.len(),
            self.sources.len(),
            abridge(&names)
        ));
        let found = Arc::new(found);
        self.selected.insert(pattern.clone(), Arc::clone(&found));
        found
    }

    /// One triple pattern as a part of its own.
    pub(super) fn scan(&mut self, pattern: &TriplePattern) -> Local {
        let candidates = self.candidates(pattern);
        Self::part(pattern, &candidates)
    }

    /// One triple pattern at these sources.
    fn part(pattern: &TriplePattern, candidates: &BTreeMap<SourceId, Match>) -> Local {
        let mut local = Local {
            pattern: GraphPattern::Bgp {
                patterns: vec![pattern.clone()],
            },
            sources: candidates.iter().map(|(id, matched)| (*id, matched.triples)).collect(),
            values: BTreeMap::new(),
            certain: BTreeSet::new(),
            vars: BTreeSet::new(),
            unique: true,
            aggregated: false,
        };
        let place = |local: &mut Local, variable: &Variable, pick: &dyn Fn(&Match) -> ValueSet| {
            let seen = !local.vars.insert(variable.clone());
            local.certain.insert(variable.clone());
            let per_source = local.values.entry(variable.clone()).or_default();
            for (id, matched) in candidates {
                let set = pick(matched);
                let set = match per_source.get(id) {
                    Some(other) if seen => other.narrow(&set),
                    _ => set,
                };
                per_source.insert(*id, set);
            }
        };
        if let TermPattern::Variable(variable) = &pattern.subject {
            place(&mut local, variable, &|matched| matched.subject.clone());
        }
        if let NamedNodePattern::Variable(variable) = &pattern.predicate {
            place(&mut local, variable, &|matched| matched.predicate.clone());
        }
        if let TermPattern::Variable(variable) = &pattern.object {
            place(&mut local, variable, &|matched| matched.object.clone());
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
        local.unique = local.sources.len() <= 1 || no_triple_twice(candidates, &local);
        local
    }

    /// A basic graph pattern: patterns grow together as long as their joins provably stay within one source.
    pub(super) fn bgp(&mut self, patterns: &[TriplePattern]) -> Node {
        if patterns.is_empty() {
            return Node::Const(GraphPattern::Bgp { patterns: Vec::new() });
        }
        // What few sources can answer comes first, and says which of the many can join with it.
        let mut found: Vec<(&TriplePattern, Candidates)> = patterns
            .iter()
            .map(|pattern| (pattern, self.candidates(pattern)))
            .collect();
        found.sort_by_key(|(_, candidates)| candidates.len());
        let mut units: Vec<Local> = Vec::with_capacity(found.len());
        for (pattern, candidates) in found {
            let unit = match joinable(pattern, &candidates, &units) {
                Some(fewer) => Self::part(pattern, &fewer),
                None => Self::part(pattern, &candidates),
            };
            units.push(unit);
        }
        self.block(units, Vec::new())
    }
}

/// The candidates that can join with those of the parts that few sources can answer; `None` when that leaves out nobody. A source whose
/// values of a shared variable meet none of theirs has nothing to add to the solutions of the whole. A pattern that nobody can answer
/// narrows nothing: who is left out for other reasons stays named.
fn joinable(pattern: &TriplePattern, candidates: &Candidates, units: &[Local]) -> Option<BTreeMap<SourceId, Match>> {
    let subject = match &pattern.subject {
        TermPattern::Variable(variable) => Some(variable),
        _ => None,
    };
    let object = match &pattern.object {
        TermPattern::Variable(variable) => Some(variable),
        _ => None,
    };
    let meets = |variable: Option<&Variable>, id: SourceId, values: &ValueSet| {
        let Some(variable) = variable else { return true };
        let near = units
            .iter()
            .filter(|unit| (1..=NEAR_SOURCES_MAX).contains(&unit.sources.len()) && unit.certain.contains(variable));
        near.into_iter().all(|unit| {
            let mut theirs = unit.sources.keys().map(|own| (*own, unit.values_at(variable, *own)));
            theirs.any(|(own, theirs)| own == id || theirs.may_meet(values))
        })
    };
    let fewer: BTreeMap<SourceId, Match> = candidates
        .iter()
        .filter(|(id, matched)| meets(subject, **id, &matched.subject) && meets(object, **id, &matched.object))
        .map(|(id, matched)| (*id, matched.clone()))
        .collect();
    (fewer.len() < candidates.len()).then_some(fewer)
}

/// Whether no triple that matches can be held by two sources: subjects, predicates or objects are disjoint.
fn no_triple_twice(candidates: &BTreeMap<SourceId, Match>, local: &Local) -> bool {
    let position = |pick: &dyn Fn(&Match) -> &ValueSet| {
        let own = candidates.iter().filter(|(id, _)| local.sources.contains_key(id));
        let values: Vec<(SourceId, ValueSet)> = own.map(|(id, matched)| (*id, pick(matched).clone())).collect();
        apart(&values, &values)
    };
    position(&|matched| &matched.subject)
        || position(&|matched| &matched.object)
        || position(&|matched| &matched.predicate)
}

/// Names for people: at most a handful, then a count.
fn abridge(names: &[&str]) -> String {
    const SHOWN: usize = 8;
    if names.len() <= SHOWN {
        return names.join(", ");
    }
    format!(
        "{} and {} more",
        names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", "),
        names.len() - SHOWN
    )
}
