//! Shared identifiers in planning: who can hold a triple that names one, and which joins with a description that many sources copied
//! stay within each source all the same.
//!
//! A shop's products refer to makers, and every shop holds what is said of the makers it refers to. Over the merge of all, a maker may
//! have values at any shop. But where the lists of [`Keys`](crate::source::Keys) show, for each maker that shop A refers to, that A holds
//! exactly what every other source holds of it, no triple of another source can add a solution: the join is A's own.

use super::Duplicates;
use super::local::Local;
use super::rewrite::Planner;
use crate::source::description::{OBJECT_SHARE, authority};
use crate::source::{Anchor, Found, Reference, Source, SourceId, Token, ValueSet};
use server_kit::keys::{End, Key, key};
use spargebra::algebra::GraphPattern;
use spargebra::term::{NamedNodePattern, TermPattern, TriplePattern, Variable};
use std::sync::Arc;

/// The IRIs that a triple pattern names, hashed once for all sources.
pub(super) struct Named<'a> {
    property: Option<&'a str>,
    ends: Vec<(End, &'a str, Key)>,
}

impl<'a> Named<'a> {
    /// What a pattern names.
    pub fn of(pattern: &'a TriplePattern) -> Self {
        let NamedNodePattern::NamedNode(property) = &pattern.predicate else {
            return Self {
                property: None,
                ends: Vec::new(),
            };
        };
        let ends = [(End::Subject, &pattern.subject), (End::Object, &pattern.object)];
        let ends = ends.into_iter().filter_map(|(end, term)| match term {
            TermPattern::NamedNode(node) if *property != oxrdf::vocab::rdf::TYPE || end == End::Subject => {
                Some((end, node.as_str(), key(node.as_str())))
            }
            _ => None,
        });
        Self {
            property: Some(property.as_str()),
            ends: ends.collect(),
        }
    }

    /// Leaves out the sources that hold no triple that names them; what their lists tell of its number goes into the estimate.
    pub fn narrow(&self, sources: &[Source], found: &mut Found) {
        if self.ends.is_empty() {
            return;
        }
        let (mut out, mut counted) = (Vec::new(), Vec::new());
        for (id, triples) in &*found.triples {
            let Some(source) = sources.get(*id) else { continue };
            match self.at(source, *triples) {
                None => out.push(*id),
                Some(fewer) => counted.push((*id, fewer)),
            }
        }
        let triples = Arc::make_mut(&mut found.triples);
        for id in out {
            triples.remove(&id);
        }
        triples.extend(counted);
    }

    /// The number of matching triples at a source, by its lists and what else is known; `None` when there is none.
    fn at(&self, source: &Source, triples: f64) -> Option<f64> {
        let Some(property) = self.property else {
            return Some(triples);
        };
        let keys = source.description.keys();
        let mut fewer = triples;
        for (end, iri, key) in &self.ends {
            if !keys.may_have(property, *end, iri, *key) {
                return None;
            }
            if let (End::Object, Some(listed)) = (end, keys.listed(property, *end, authority(iri))) {
                fewer = (fewer / OBJECT_SHARE / listed.max(1) as f64).max(1.0);
            }
        }
        Some(fewer)
    }
}

/// Whether the rows of a pattern are triples: those of one triple pattern, with or without filters on it.
pub(super) fn is_one_triple(pattern: &GraphPattern) -> bool {
    one_triple(pattern).is_some()
}

fn one_triple(pattern: &GraphPattern) -> Option<&TriplePattern> {
    match pattern {
        GraphPattern::Bgp { patterns } => match patterns.as_slice() {
            [only] => Some(only),
            _ => None,
        },
        GraphPattern::Filter { expr, inner } if !super::expression::has_exists(expr) => one_triple(inner),
        _ => None,
    }
}

/// Where a variable stands in triples that every solution of a pattern matches.
pub(super) fn anchors(pattern: &GraphPattern, variable: &Variable) -> Vec<Anchor> {
    match pattern {
        GraphPattern::Bgp { patterns } => patterns.iter().flat_map(|triple| in_triple(triple, variable)).collect(),
        GraphPattern::Join { left, right } => {
            let mut found = anchors(left, variable);
            found.extend(anchors(right, variable));
            found
        }
        GraphPattern::Union { left, right } => {
            let other = anchors(right, variable);
            let mut found = anchors(left, variable);
            found.retain(|anchor| other.contains(anchor));
            found
        }
        GraphPattern::LeftJoin { left, .. } | GraphPattern::Minus { left, .. } => anchors(left, variable),
        GraphPattern::Filter { inner, .. }
        | GraphPattern::Extend { inner, .. }
        | GraphPattern::OrderBy { inner, .. }
        | GraphPattern::Distinct { inner }
        | GraphPattern::Reduced { inner }
        | GraphPattern::Slice { inner, .. } => anchors(inner, variable),
        // Below a list of columns, a name that is not on it is another variable's.
        GraphPattern::Project { inner, variables } | GraphPattern::Group { inner, variables, .. } => {
            match variables.contains(variable) {
                true => anchors(inner, variable),
                false => Vec::new(),
            }
        }
        GraphPattern::Path { .. }
        | GraphPattern::Graph { .. }
        | GraphPattern::Lateral { .. }
        | GraphPattern::Values { .. }
        | GraphPattern::Service { .. } => Vec::new(),
    }
}

fn in_triple(triple: &TriplePattern, variable: &Variable) -> Vec<Anchor> {
    let NamedNodePattern::NamedNode(property) = &triple.predicate else {
        return Vec::new();
    };
    let ends = [(End::Subject, &triple.subject), (End::Object, &triple.object)];
    let ends = ends
        .into_iter()
        .filter(|(_, term)| matches!(term, TermPattern::Variable(other) if other == variable));
    ends.map(|(end, _)| Anchor {
        property: property.as_str().to_owned(),
        end,
    })
    .collect()
}

impl Planner<'_> {
    /// Two of the parts of which the first refers to what the second describes, and holds all of that itself.
    pub(super) fn reference_to_copies(&mut self, units: &[Local]) -> Option<(usize, usize)> {
        for (copies, described) in units.iter().enumerate() {
            for (own, unit) in units.iter().enumerate() {
                if own != copies && self.refers_to_copies(unit, described) {
                    return Some((own, copies));
                }
            }
        }
        None
    }

    /// Whether the solutions of `own` join, each at its own source, with all that any source holds of what it refers to.
    pub(super) fn refers_to_copies(&mut self, own: &Local, described: &Local) -> bool {
        // Copies that each count for themselves are no copies.
        let kept = self.duplicates == Duplicates::Kept;
        if kept || !own.unique || own.aggregated || described.unique || described.aggregated {
            return false;
        }
        let Some(TriplePattern {
            subject: TermPattern::Variable(variable),
            predicate: NamedNodePattern::NamedNode(property),
            ..
        }) = one_triple(&described.pattern)
        else {
            return false;
        };
        if !own.certain.contains(variable) {
            return false;
        }
        let anchors = anchors(&own.pattern, variable);
        let all = !anchors.is_empty()
            && own
                .sources
                .keys()
                .all(|id| self.holds_all(*id, own, variable, property.as_str(), &anchors));
        if all {
            self.evidence.push(format!(
                "what a source refers to by {variable} it describes by <{}> as all others do: joined at each source",
                property.as_str()
            ));
        }
        all
    }

    /// Whether one source holds everything that any source holds of what its solutions refer to.
    fn holds_all(&self, id: SourceId, own: &Local, variable: &Variable, property: &str, anchors: &[Anchor]) -> bool {
        let Some(source) = self.sources.get(id) else {
            return false;
        };
        // What policies leave of a source may be less than its lists tell.
        let restricted = source.agreement.is_some() || source.properties.is_some() || !source.hidden.is_empty();
        let ValueSet::Tokens(tokens) = own.values_at(variable, id) else {
            return false;
        };
        let complete = |prefix: &str| {
            anchors.iter().any(|anchor| {
                let reference = Reference {
                    from: anchor.clone(),
                    authority: authority(prefix).to_owned(),
                    property: property.to_owned(),
                };
                self.directory.complete_at(reference).contains(&id)
            })
        };
        source.description.is_exact()
            && !restricted
            && tokens.iter().all(|token| match token {
                Token::Iri(prefix) => complete(prefix),
                Token::Blank | Token::Literal(_) => true,
            })
    }
}
