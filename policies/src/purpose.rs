//! Purposes and which is narrower than which.
//!
//! Built in is a subset of DPV's purposes and Meent's own; further pairs (`skos:broader`, `rdfs:subClassOf`) come as a
//! fact. A purpose is compared with the agreed one by [`Hierarchy::relation`].

use std::collections::{BTreeMap, BTreeSet};

use oxrdf::{NamedOrBlankNode, Quad, Term};
use vocab::{dpv, meent};

/// Most purposes visited in one comparison: a bound on hostile hierarchies.
pub const PURPOSES_VISITED_MAX: usize = 4_096;

/// Narrower purpose, broader purpose.
const BUILT_IN: &[(&str, &str)] = &[
    (dpv::RESEARCH_AND_DEVELOPMENT, dpv::PURPOSE),
    (dpv::SCIENTIFIC_RESEARCH, dpv::RESEARCH_AND_DEVELOPMENT),
    (dpv::ACADEMIC_RESEARCH, dpv::RESEARCH_AND_DEVELOPMENT),
    (dpv::COMMERCIAL_RESEARCH, dpv::RESEARCH_AND_DEVELOPMENT),
    (dpv::NON_COMMERCIAL_RESEARCH, dpv::RESEARCH_AND_DEVELOPMENT),
    (dpv::COMMERCIAL_PURPOSE, dpv::PURPOSE),
    (dpv::COMMERCIAL_RESEARCH, dpv::COMMERCIAL_PURPOSE),
    (dpv::NON_COMMERCIAL_PURPOSE, dpv::PURPOSE),
    (dpv::NON_COMMERCIAL_RESEARCH, dpv::NON_COMMERCIAL_PURPOSE),
    (dpv::MARKETING, dpv::PURPOSE),
    (dpv::ADVERTISING, dpv::MARKETING),
    (dpv::DIRECT_MARKETING, dpv::MARKETING),
    (dpv::PERSONALISED_ADVERTISING, dpv::ADVERTISING),
    (dpv::TARGETED_ADVERTISING, dpv::PERSONALISED_ADVERTISING),
    (dpv::PERSONALISATION, dpv::PURPOSE),
    (dpv::PERSONALISED_ADVERTISING, dpv::PERSONALISATION),
    (dpv::SERVICE_PERSONALISATION, dpv::PERSONALISATION),
    (dpv::SERVICE_PROVISION, dpv::PURPOSE),
    (dpv::REQUESTED_SERVICE_PROVISION, dpv::SERVICE_PROVISION),
    (dpv::SERVICE_OPTIMISATION, dpv::SERVICE_PROVISION),
    (dpv::SERVICE_PERSONALISATION, dpv::SERVICE_PROVISION),
    (dpv::SELL_PRODUCTS, dpv::SERVICE_PROVISION),
    (dpv::SELL_DATA_TO_THIRD_PARTIES, dpv::SELL_PRODUCTS),
    (dpv::LEGAL_COMPLIANCE, dpv::PURPOSE),
    (dpv::ENFORCE_SECURITY, dpv::PURPOSE),
    (dpv::PUBLIC_BENEFIT, dpv::PURPOSE),
    (dpv::COMBAT_CLIMATE_CHANGE, dpv::PUBLIC_BENEFIT),
    (dpv::DATA_ALTRUISM, dpv::PUBLIC_BENEFIT),
    (dpv::IMPROVE_PUBLIC_SERVICES, dpv::PUBLIC_BENEFIT),
    (dpv::IMPROVE_TRANSPORT_MOBILITY, dpv::PUBLIC_BENEFIT),
    (dpv::PROVIDE_OFFICIAL_STATISTICS, dpv::PUBLIC_BENEFIT),
    (dpv::PUBLIC_POLICY_MAKING, dpv::PUBLIC_BENEFIT),
    (dpv::PROTECTION_OF_PUBLIC_SECURITY, dpv::PUBLIC_BENEFIT),
    (meent::MOBILITY_PLANNING, dpv::IMPROVE_TRANSPORT_MOBILITY),
    (meent::BICYCLE_POLICY, meent::MOBILITY_PLANNING),
    (meent::ROAD_SAFETY, dpv::IMPROVE_TRANSPORT_MOBILITY),
];

/// How a stated purpose relates to a named one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// The same IRI.
    Same,
    /// The stated purpose is below the named one.
    Narrower,
    /// Neither.
    Other,
}

/// Which purpose is below which. Cycles are harmless: every walk visits a purpose once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hierarchy {
    broader: BTreeMap<String, BTreeSet<String>>,
}

impl Hierarchy {
    /// A hierarchy with only these pairs of (narrower, broader), on top of which the built-in ones always hold.
    #[must_use]
    pub fn from_pairs<N: Into<String>, B: Into<String>>(pairs: impl IntoIterator<Item = (N, B)>) -> Self {
        let mut broader: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (narrow, broad) in pairs {
            broader.entry(narrow.into()).or_default().insert(broad.into());
        }
        Self { broader }
    }

    /// The pairs that RDF states with `skos:broader` or `rdfs:subClassOf` between IRIs; everything else is left out.
    #[must_use]
    pub fn from_quads<'q>(quads: impl IntoIterator<Item = &'q Quad>) -> Self {
        let pairs = quads.into_iter().filter_map(|quad| {
            let narrower = [vocab::skos::BROADER, vocab::rdfs::SUB_CLASS_OF].contains(&quad.predicate.as_str());
            match (&quad.subject, &quad.object) {
                (NamedOrBlankNode::NamedNode(narrow), Term::NamedNode(broad)) if narrower => {
                    Some((narrow.as_str(), broad.as_str()))
                }
                _ => None,
            }
        });
        Self::from_pairs(pairs)
    }

    /// Relates a stated purpose to a named one.
    #[must_use]
    pub fn relation(&self, stated: &str, named: &str) -> Relation {
        if stated == named {
            return Relation::Same;
        }
        let mut seen: BTreeSet<&str> = BTreeSet::from([stated]);
        let mut open = vec![stated];
        while let Some(purpose) = open.pop() {
            for broad in self.directly_broader(purpose) {
                if broad == named {
                    return Relation::Narrower;
                }
                if seen.len() < PURPOSES_VISITED_MAX && seen.insert(broad) {
                    open.push(broad);
                }
            }
        }
        Relation::Other
    }

    /// Whether `stated` is `named` or below it.
    #[must_use]
    pub fn is_a(&self, stated: &str, named: &str) -> bool {
        self.relation(stated, named) != Relation::Other
    }

    /// Everything above a concept, itself not included, at most [`PURPOSES_VISITED_MAX`] of it.
    #[must_use]
    pub fn all_broader(&self, concept: &str) -> BTreeSet<String> {
        let mut found: BTreeSet<String> = BTreeSet::new();
        let mut open = vec![concept.to_owned()];
        while let Some(next) = open.pop() {
            for broad in self.directly_broader(&next) {
                if broad != concept && found.len() < PURPOSES_VISITED_MAX && found.insert(broad.to_owned()) {
                    open.push(broad.to_owned());
                }
            }
        }
        found
    }

    /// Whether something is said to be above this concept.
    #[must_use]
    pub fn knows(&self, concept: &str) -> bool {
        self.directly_broader(concept).next().is_some()
    }

    fn directly_broader<'h>(&'h self, purpose: &str) -> impl Iterator<Item = &'h str> {
        let own = self.broader.get(purpose).into_iter().flatten().map(String::as_str);
        let wanted = purpose.to_owned();
        let built_in = BUILT_IN
            .iter()
            .filter(move |(narrow, _)| *narrow == wanted)
            .map(|(_, broad)| *broad);
        own.chain(built_in)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ODR-13.
    #[test]
    fn relations() {
        let custom = Hierarchy::from_pairs([
            ("https://a.example/#tram", "https://a.example/#mobility"),
            ("https://a.example/#mobility", dpv::IMPROVE_TRANSPORT_MOBILITY),
            ("https://a.example/#x", "https://a.example/#y"),
            ("https://a.example/#y", "https://a.example/#x"),
        ]);
        let cases = [
            (dpv::SCIENTIFIC_RESEARCH, dpv::SCIENTIFIC_RESEARCH, Relation::Same),
            (
                dpv::SCIENTIFIC_RESEARCH,
                dpv::RESEARCH_AND_DEVELOPMENT,
                Relation::Narrower,
            ),
            (dpv::SCIENTIFIC_RESEARCH, dpv::PURPOSE, Relation::Narrower),
            (dpv::RESEARCH_AND_DEVELOPMENT, dpv::SCIENTIFIC_RESEARCH, Relation::Other),
            (dpv::SCIENTIFIC_RESEARCH, dpv::MARKETING, Relation::Other),
            (meent::BICYCLE_POLICY, dpv::PUBLIC_BENEFIT, Relation::Narrower),
            ("https://a.example/#tram", dpv::PUBLIC_BENEFIT, Relation::Narrower),
            ("https://a.example/#x", "https://a.example/#y", Relation::Narrower),
            ("https://a.example/#x", "https://a.example/#z", Relation::Other),
            ("https://a.example/#unknown", dpv::PURPOSE, Relation::Other),
        ];
        for (stated, named, expected) in cases {
            assert_eq!(custom.relation(stated, named), expected, "{stated} against {named}");
        }
    }

    /// What is published and what is built in say the same about our own purposes.
    #[test]
    fn the_published_vocabulary_agrees() {
        let quads: Vec<Quad> = oxttl::TurtleParser::new()
            .for_slice(meent::TURTLE)
            .map(|triple| triple.unwrap().in_graph(oxrdf::GraphName::DefaultGraph))
            .collect();
        let published = Hierarchy::from_quads(&quads);
        let own = BUILT_IN.iter().filter(|(narrow, _)| narrow.starts_with(meent::NS));
        assert_eq!(published, Hierarchy::from_pairs(own.copied()));
    }

    #[test]
    fn the_built_in_hierarchy_has_no_cycle() {
        for (narrow, broad) in BUILT_IN {
            assert!(
                !Hierarchy::default().is_a(broad, narrow),
                "{narrow} and {broad} are each below the other"
            );
        }
    }
}
