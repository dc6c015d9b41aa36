//! Statistics of a view, for source selection.
//!
//! Computed from the permitted view only, never from the whole index (ENF-37): a count that included hidden documents
//! would tell of them.

use std::collections::BTreeMap;

use oxrdf::{NamedOrBlankNode, Term, Triple};
use rustc_hash::{FxHashMap, FxHashSet};
use server_kit::keys::Keys;
use server_kit::summary::{ClassCount, PropertyCount, Summary, authority};

use super::run::Order;
use super::{DocumentSet, IndexSnapshot, Sort, TermId};

/// Summarises the documents of a set: distinct triples per predicate, subject authority and object authority or
/// datatype; instances per class; documents; distinct subjects. `permitted` says which predicates the view shows.
#[must_use]
pub fn summary(snapshot: &IndexSnapshot, visible: &DocumentSet, permitted: &dyn Fn(u32) -> bool) -> Summary {
    let dictionary = snapshot.dictionary();
    let rdf_type = dictionary.find(oxrdf::vocab::rdf::TYPE.into()).map(TermId::number);
    let mut authorities = Authorities::default();
    let mut properties: FxHashMap<(u32, u32, u32), u64> = FxHashMap::default();
    let mut classes: FxHashMap<u32, u64> = FxHashMap::default();
    let mut subjects: FxHashSet<u32> = FxHashSet::default();
    let mut triples = 0;
    let mut seen: FxHashSet<(u32, u32, u32)> = FxHashSet::default();
    let single = snapshot.runs().len() == 1;
    for run in snapshot.runs() {
        let mut last = None;
        for row in run.rows(Order::Spod) {
            let quad = Order::Spod.quad(*row);
            let key = (quad.subject, quad.predicate, quad.object);
            if !visible.contains(quad.document) || !permitted(quad.predicate) || last == Some(key) {
                continue;
            }
            last = Some(key);
            if !single && !seen.insert(key) {
                continue;
            }
            triples += 1;
            subjects.insert(quad.subject);
            let subject = authorities.of(snapshot, quad.subject);
            let object = authorities.of(snapshot, quad.object);
            *properties.entry((quad.predicate, subject, object)).or_default() += 1;
            if Some(quad.predicate) == rdf_type {
                *classes.entry(quad.object).or_default() += 1;
            }
        }
    }
    let iri = |number: u32| {
        TermId::from_number(number)
            .and_then(|id| dictionary.iri_text(id))
            .map(ToOwned::to_owned)
    };
    Summary {
        triples,
        documents: visible.len(),
        distinct_subjects: subjects.len() as u64,
        properties: properties
            .into_iter()
            .filter_map(|((predicate, subject, object), triples)| {
                Some(PropertyCount {
                    property: iri(predicate)?,
                    subject_authority: authorities.text(subject),
                    object_authority: authorities.text(object),
                    triples,
                })
            })
            .collect(),
        classes: classes
            .into_iter()
            .filter_map(|(class, instances)| {
                Some(ClassCount {
                    class: iri(class)?,
                    instances,
                })
            })
            .collect(),
    }
    .sorted()
}

/// Most triples of a view whose shared identifiers are listed: all of them are looked at at once.
const LISTED_TRIPLES_MAX: u64 = 200_000;

/// Lists the shared identifiers of the documents of a set, as [`summary`] counts them; none when these are more triples than
/// [`LISTED_TRIPLES_MAX`].
#[must_use]
pub fn keys(snapshot: &IndexSnapshot, visible: &DocumentSet, permitted: &dyn Fn(u32) -> bool) -> Option<Keys> {
    let dictionary = snapshot.dictionary();
    let term = |number: u32| TermId::from_number(number).and_then(|id| dictionary.term(id));
    let mut triples = Vec::new();
    for run in snapshot.runs() {
        for row in run.rows(Order::Spod) {
            let quad = Order::Spod.quad(*row);
            if !visible.contains(quad.document) || !permitted(quad.predicate) {
                continue;
            }
            if triples.len() as u64 >= LISTED_TRIPLES_MAX {
                return None;
            }
            let subject = match term(quad.subject)? {
                Term::NamedNode(node) => NamedOrBlankNode::from(node),
                Term::BlankNode(node) => node.into(),
                Term::Literal(_) | Term::Triple(_) => return None,
            };
            let predicate = TermId::from_number(quad.predicate).and_then(|id| dictionary.iri(id))?;
            triples.push(Triple::new(subject, predicate, term(quad.object)?));
        }
    }
    Some(Keys::of_triples(&triples))
}

/// Numbers for authorities, and the authority of each term that has been met.
#[derive(Default)]
struct Authorities {
    texts: Vec<String>,
    numbers: BTreeMap<String, u32>,
    of_term: FxHashMap<u32, u32>,
}

impl Authorities {
    fn of(&mut self, snapshot: &IndexSnapshot, term: u32) -> u32 {
        if let Some(known) = self.of_term.get(&term) {
            return *known;
        }
        let dictionary = snapshot.dictionary();
        let text = TermId::from_number(term)
            .and_then(|id| match dictionary.sort(id)? {
                Sort::Iri => Some(authority(dictionary.iri_text(id)?).to_owned()),
                Sort::Blank => Some(Summary::BLANK.to_owned()),
                Sort::String => Some(oxrdf::vocab::xsd::STRING.as_str().to_owned()),
                Sort::LanguageString => Some(oxrdf::vocab::rdf::LANG_STRING.as_str().to_owned()),
                Sort::Typed(datatype) => dictionary.iri_text(datatype).map(ToOwned::to_owned),
                Sort::Triple => Some(Summary::TRIPLE.to_owned()),
            })
            .unwrap_or_default();
        let next = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        let number = *self.numbers.entry(text.clone()).or_insert(next);
        if number == next {
            self.texts.push(text);
        }
        self.of_term.insert(term, number);
        number
    }

    fn text(&self, number: u32) -> String {
        self.texts.get(number as usize).cloned().unwrap_or_default()
    }
}
