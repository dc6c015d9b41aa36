//! Leaves of planning: one triple pattern against all sources, and the basic graph patterns grown from them.

use super::Withheld;
use super::local::Local;
use super::rewrite::{Node, Planner};
use crate::source::{Match, Selection, SourceId, ValueSet};
use spargebra::algebra::GraphPattern;
use spargebra::term::{NamedNodePattern, TermPattern, TriplePattern, Variable};
use std::collections::{BTreeMap, BTreeSet};

impl Planner<'_> {
    /// Which sources can answer a pattern; remembered, because one pattern is looked at many times.
    pub(super) fn candidates(&mut self, pattern: &TriplePattern) -> BTreeMap<SourceId, Match> {
        if let Some(known) = self.selected.get(pattern) {
            return known.clone();
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
        self.selected.insert(pattern.clone(), found.clone());
        found
    }

    /// One triple pattern as a part of its own.
    pub(super) fn scan(&mut self, pattern: &TriplePattern) -> Local {
        let candidates = self.candidates(pattern);
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
            for (id, matched) in &candidates {
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
        local.unique = local.sources.len() <= 1 || no_triple_twice(&candidates, &local);
        local
    }

    /// A basic graph pattern: patterns grow together as long as their joins provably stay within one source.
    pub(super) fn bgp(&mut self, patterns: &[TriplePattern]) -> Node {
        if patterns.is_empty() {
            return Node::Const(GraphPattern::Bgp { patterns: Vec::new() });
        }
        let units = patterns.iter().map(|pattern| self.scan(pattern)).collect();
        self.block(units, Vec::new())
    }
}

/// Whether no triple that matches can be held by two sources: subjects, predicates or objects are disjoint.
fn no_triple_twice(candidates: &BTreeMap<SourceId, Match>, local: &Local) -> bool {
    let position = |pick: &dyn Fn(&Match) -> &ValueSet| {
        let mut probe = local.clone();
        let marker = Variable::new_unchecked("meent_position");
        probe.certain.insert(marker.clone());
        probe.values.insert(
            marker.clone(),
            candidates
                .iter()
                .map(|(id, matched)| (*id, pick(matched).clone()))
                .collect(),
        );
        probe.is_owner_key(&marker)
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
