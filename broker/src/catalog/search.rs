//! Searching the catalogue. The order is the same for everyone and documented: datasets that contain more of the words come first;
//! among equals, by title, then by IRI. Nobody can pay or tune their way up.

use super::{DatasetEntry, Snapshot};
use oxrdf::{BlankNode, NamedOrBlankNode, Term, Triple};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Datasets that contain at least one of the words, best first; all of them when there are no words.
#[must_use]
pub fn search(snapshot: &Snapshot, words: &str, language: &str) -> Vec<Arc<DatasetEntry>> {
    let words: BTreeSet<String> = words.split_whitespace().map(str::to_lowercase).collect();
    let mut found: Vec<(usize, String, Arc<DatasetEntry>)> = snapshot
        .datasets()
        .iter()
        .filter_map(|dataset| {
            let text = text(dataset);
            let hits = words.iter().filter(|word| text.contains(word.as_str())).count();
            (words.is_empty() || hits > 0).then(|| (hits, title(dataset, language).to_lowercase(), Arc::clone(dataset)))
        })
        .collect();
    found.sort_by(|a, b| {
        b.0.cmp(&a.0)
            .then_with(|| a.1.cmp(&b.1))
            .then_with(|| a.2.iri.cmp(&b.2.iri))
    });
    found.into_iter().map(|(_, _, dataset)| dataset).collect()
}

fn text(dataset: &DatasetEntry) -> String {
    let mut text = String::new();
    for part in dataset
        .titles
        .values()
        .chain(dataset.descriptions.values())
        .chain(&dataset.keywords)
    {
        text.push_str(&part.to_lowercase());
        text.push('\n');
    }
    text.push_str(&dataset.member.to_lowercase());
    text
}

/// The title in a language, else in any.
#[must_use]
pub fn title<'a>(dataset: &'a DatasetEntry, language: &str) -> &'a str {
    in_language(&dataset.titles, language).unwrap_or(&dataset.iri)
}

/// A text in a language, else in Dutch, English, French, or whatever there is.
#[must_use]
pub fn in_language<'a>(texts: &'a BTreeMap<String, String>, language: &str) -> Option<&'a str> {
    [language, "nl", "en", "fr", ""]
        .iter()
        .find_map(|tag| texts.get(*tag))
        .or_else(|| texts.values().next())
        .map(String::as_str)
}

/// What members said about these datasets, as one graph; blank nodes of different members stay apart.
#[must_use]
pub fn graph(snapshot: &Snapshot, datasets: &[Arc<DatasetEntry>]) -> Vec<Triple> {
    let mut out = Vec::new();
    for (number, member) in snapshot.members.values().enumerate() {
        let mut by_subject: HashMap<&NamedOrBlankNode, Vec<&Triple>> = HashMap::new();
        for triple in member.triples.iter() {
            by_subject.entry(&triple.subject).or_default().push(triple);
        }
        let all: BTreeSet<&str> = member.datasets.iter().map(|dataset| dataset.iri.as_str()).collect();
        let mut waiting: Vec<NamedOrBlankNode> = datasets
            .iter()
            .filter(|dataset| dataset.member == member.config.name)
            .map(|dataset| oxrdf::NamedNode::new_unchecked(&dataset.iri).into())
            .collect();
        let mut seen: BTreeSet<String> = waiting.iter().map(ToString::to_string).collect();
        while let Some(node) = waiting.pop() {
            for triple in by_subject.get(&node).into_iter().flatten() {
                out.push(apart(triple, number));
                let next: NamedOrBlankNode = match &triple.object {
                    Term::BlankNode(blank) => blank.clone().into(),
                    Term::NamedNode(iri) if !all.contains(iri.as_str()) => iri.clone().into(),
                    _ => continue,
                };
                if seen.insert(next.to_string()) {
                    waiting.push(next);
                }
            }
        }
    }
    out
}

fn apart(triple: &Triple, member: usize) -> Triple {
    let named = |blank: &BlankNode| BlankNode::new_unchecked(format!("m{member}x{}", blank.as_str()));
    let subject = match &triple.subject {
        NamedOrBlankNode::BlankNode(blank) => named(blank).into(),
        other => other.clone(),
    };
    let object = match &triple.object {
        Term::BlankNode(blank) => named(blank).into(),
        other => other.clone(),
    };
    Triple::new(subject, triple.predicate.clone(), object)
}
