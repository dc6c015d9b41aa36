//! Random policies, and the view that each of them permits, written out in full with plain means.

use std::collections::{BTreeMap, BTreeSet};

use oxrdf::{Dataset, GraphName, NamedNode, NamedOrBlankNode, Term};
use policies::treatment::{Change, PSEUDONYM_IRI, Precision, PseudonymKey, TimeStep, Treatment};
use proptest::prelude::*;

use super::harness::{BASE, Source, relabelled};

const PREDICATES: [&str; 5] = [
    "http://example.org/p0",
    "http://example.org/p1",
    "http://example.org/p2",
    "http://example.org/p3",
    "http://www.w3.org/1999/02/22-rdf-syntax-ns#type",
];

/// What a view shows.
#[derive(Clone, Debug)]
pub(super) struct Policy {
    /// A bit for each document.
    pub visible: u8,
    pub hidden: Vec<&'static str>,
    pub permitted: Option<Vec<&'static str>>,
    pub treatment: Treatment,
}

impl Policy {
    pub(super) fn key(&self) -> PseudonymKey {
        PseudonymKey::derive(
            &[7; 32],
            "https://pod.example/agreement",
            "https://example.org/purpose",
            0,
        )
    }

    fn shows(&self, predicate: &str) -> bool {
        let permitted = self.permitted.as_ref();
        permitted.is_none_or(|permitted| permitted.contains(&predicate)) && !self.hidden.contains(&predicate)
    }
}

fn choose(bits: u8) -> Vec<&'static str> {
    let chosen = PREDICATES
        .iter()
        .enumerate()
        .filter(|(place, _)| bits >> place & 1 == 1);
    chosen.map(|(_, iri)| *iri).collect()
}

fn change() -> impl Strategy<Value = Change> {
    let precision = |precision| Change::Generalise { precision };
    prop_oneof![
        2 => Just(precision(Precision::Number("2".into()))),
        1 => Just(precision(Precision::Time(TimeStep::Years(1)))),
        1 => Just(precision(Precision::Time(TimeStep::Hours(12)))),
        1 => Just(Change::Hash),
        2 => Just(Change::Pseudonymise),
    ]
}

fn treatment() -> impl Strategy<Value = Treatment> {
    let values = prop::collection::btree_map(prop::sample::select(PREDICATES.to_vec()), change(), 0..3);
    (values, any::<bool>()).prop_map(|(values, names)| Treatment {
        values: values
            .into_iter()
            .map(|(property, change)| (property.to_owned(), change))
            .collect(),
        names,
    })
}

pub(super) fn policy() -> impl Strategy<Value = Policy> {
    (
        any::<u8>(),
        prop_oneof![Just(0_u8), any::<u8>()],
        prop_oneof![3 => Just(None), 1 => any::<u8>().prop_map(Some)],
        prop_oneof![1 => Just(Treatment::default()), 2 => treatment()],
    )
        .prop_map(|(visible, hidden, permitted, treatment)| Policy {
            visible,
            hidden: choose(hidden),
            permitted: permitted.map(choose),
            treatment,
        })
}

/// What names are called in a view.
pub(super) struct Names<'p> {
    policy: &'p Policy,
    listed: BTreeSet<String>,
}

impl Names<'_> {
    fn iri(&self, node: &NamedNode) -> NamedNode {
        let iri = node.as_str();
        let own = self.policy.treatment.names && iri.starts_with(&format!("{BASE}/"));
        let replaced = own || self.listed.contains(iri) || iri.starts_with(PSEUDONYM_IRI);
        if self.policy.treatment.pseudonymises() && replaced {
            self.policy.key().name(iri)
        } else {
            node.clone()
        }
    }

    fn term(&self, term: &Term) -> Term {
        match term {
            Term::NamedNode(node) => self.iri(node).into(),
            Term::BlankNode(node) if self.policy.treatment.pseudonymises() => {
                self.policy.key().blank(node.as_str()).into()
            }
            other => other.clone(),
        }
    }

    fn subject(&self, subject: &NamedOrBlankNode) -> NamedOrBlankNode {
        match self.term(&Term::from(subject.clone())) {
            Term::NamedNode(node) => node.into(),
            Term::BlankNode(node) => node.into(),
            other => panic!("{other} is no name"),
        }
    }

    /// The text of a query with codes in place of the names that it uses.
    pub(super) fn in_query(&self, query: &str) -> String {
        let mut text = query.to_owned();
        let mut replace = |written: String, iri: String| {
            let node = NamedNode::new(iri).unwrap();
            let shown = self.iri(&node);
            if shown != node {
                text = text.replace(&written, &shown.to_string());
            }
        };
        for number in 0..5 {
            replace(format!("ex:s{number}"), format!("http://example.org/s{number}"));
            replace(format!("<{BASE}/a/d{number}>"), format!("{BASE}/a/d{number}"));
            replace(format!("<{BASE}/a/d{number}#it>"), format!("{BASE}/a/d{number}#it"));
        }
        text
    }
}

/// The permitted view as quads; its default graph is the merge of the visible graphs.
pub(super) fn materialised<'p>(sources: &[Source], numbers: &[u32], policy: &'p Policy) -> (Dataset, Names<'p>) {
    let mut documents = BTreeMap::new();
    for (place, (source, number)) in sources.iter().zip(numbers).enumerate() {
        if policy.visible >> place & 1 == 1 {
            documents.insert(place, (source, relabelled(&source.triples, *number)));
        }
    }
    let values = &policy.treatment.values;
    let listed = documents
        .values()
        .flat_map(|(_, triples)| triples)
        .filter(|triple| values.get(triple.predicate.as_str()) == Some(&Change::Pseudonymise))
        .filter_map(|triple| match &triple.object {
            Term::NamedNode(node) => Some(node.as_str().to_owned()),
            _ => None,
        })
        .collect();
    let names = Names { policy, listed };
    let mut view = Dataset::new();
    for (source, triples) in documents.values() {
        let graph = names.iri(&source.graph());
        for triple in triples.iter().filter(|triple| policy.shows(triple.predicate.as_str())) {
            let mut object = Some(names.term(&triple.object));
            if let Some(change) = values.get(triple.predicate.as_str()) {
                object = object.and_then(|object| change.apply(&object, Some(&policy.key())));
            }
            let Some(object) = object else { continue };
            let shown = oxrdf::Triple::new(names.subject(&triple.subject), triple.predicate.clone(), object);
            view.insert(&shown.clone().in_graph(GraphName::DefaultGraph));
            view.insert(&shown.in_graph(graph.clone()));
        }
    }
    (view, names)
}
