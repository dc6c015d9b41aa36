//! What becomes of values and names in a view, by the numbers of the index (ENF-13, ENF-14).
//!
//! Values are changed where rows are read, so that the evaluator never meets what must not be seen. Names are replaced
//! wherever they stand, one code for one name, so that joins find what they would have found.

use std::sync::Arc;

use oxrdf::{Term, TermRef};
use policies::treatment::{Change, PseudonymKey, Treatment, is_pseudonym};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::index::{Bounds, Dictionary, DocumentSet, IndexSnapshot, Sort, TermId};
use crate::origins::Origins;

/// How a view changes what it shows.
#[derive(Debug)]
pub struct Treated {
    treatment: Treatment,
    key: PseudonymKey,
    changes: FxHashMap<u32, Change>,
    /// Changed predicates in order.
    changed: Box<[u32]>,
    /// Where the names lie that the server gives out, when they are replaced.
    own: Option<Origins>,
    /// Names that stand as values of a pseudonymised property.
    listed: FxHashSet<u32>,
    renames: bool,
}

impl PartialEq for Treated {
    /// The same changes with the same key. Which names are listed follows from the data.
    fn eq(&self, other: &Self) -> bool {
        self.treatment == other.treatment && self.key == other.key
    }
}

impl Treated {
    /// The changes of a view of these documents; none when everything is shown as it is.
    #[must_use]
    pub fn new(
        treatment: &Treatment,
        key: PseudonymKey,
        origins: &Origins,
        snapshot: &IndexSnapshot,
        visible: &DocumentSet,
    ) -> Option<Arc<Self>> {
        if treatment.is_none() {
            return None;
        }
        let number = |iri: &str| {
            let node = oxrdf::NamedNodeRef::new(iri).ok()?;
            snapshot.dictionary().find(TermRef::from(node)).map(TermId::number)
        };
        let changes: FxHashMap<u32, Change> = treatment
            .values
            .iter()
            .filter_map(|(iri, change)| Some((number(iri)?, change.clone())))
            .collect();
        let mut changed: Vec<u32> = changes.keys().copied().collect();
        changed.sort_unstable();
        let mut listed = FxHashSet::default();
        for (predicate, _) in changes.iter().filter(|(_, change)| **change == Change::Pseudonymise) {
            let bounds = Bounds::for_pattern(None, Some(*predicate), None);
            for row in snapshot.runs().iter().flat_map(|run| run.range(bounds)) {
                let quad = bounds.order.quad(*row);
                let is_name = || {
                    let object = TermId::from_number(quad.object);
                    object.and_then(|object| snapshot.dictionary().sort(object)) == Some(Sort::Iri)
                };
                if visible.contains(quad.document) && !listed.contains(&quad.object) && is_name() {
                    listed.insert(quad.object);
                }
            }
        }
        let own = treatment.names.then(|| origins.clone());
        Some(Arc::new(Self {
            renames: treatment.pseudonymises(),
            treatment: treatment.clone(),
            key,
            changes,
            changed: changed.into(),
            own,
            listed,
        }))
    }

    /// Whether names are replaced.
    #[must_use]
    pub const fn renames(&self) -> bool {
        self.renames
    }

    /// The predicates whose values are changed, in order.
    #[must_use]
    pub fn changed(&self) -> &[u32] {
        &self.changed
    }

    /// What becomes of the values of a predicate.
    #[must_use]
    pub fn change(&self, predicate: u32) -> Option<&Change> {
        self.changes.get(&predicate)
    }

    /// A value changed; none when it is not shown.
    #[must_use]
    pub fn value(&self, change: &Change, value: &Term) -> Option<Term> {
        change.apply(value, Some(&self.key))
    }

    /// The code of a name; none for what is shown as it is.
    #[must_use]
    pub fn code(&self, dictionary: &Dictionary, name: TermId) -> Option<Term> {
        if !self.renames {
            return None;
        }
        match dictionary.iri_text(name) {
            Some(iri) if self.replaces(name, iri) => Some(self.key.name(iri).into()),
            Some(_) => None,
            None => match dictionary.sort(name)? {
                Sort::Blank => match dictionary.term(name)? {
                    Term::BlankNode(node) => Some(self.key.blank(node.as_str()).into()),
                    _ => None,
                },
                _ => None,
            },
        }
    }

    fn replaces(&self, name: TermId, iri: &str) -> bool {
        // Hosts have no upper case, so another spelling is the same place.
        let own = |own: &Origins| own.hold(iri) || own.hold(&iri.to_ascii_lowercase());
        // What looks like a code in the data is replaced like a name, or it could be taken for one.
        self.own.as_ref().is_some_and(own) || self.listed.contains(&name.number()) || is_pseudonym(iri)
    }

    /// Whether a value of a predicate is shown in whatever form.
    #[must_use]
    pub fn keeps(&self, dictionary: &Dictionary, predicate: u32, object: u32) -> bool {
        let Some(change) = self.change(predicate) else {
            return true;
        };
        let value = TermId::from_number(object).and_then(|object| dictionary.term(object));
        value.is_some_and(|value| self.value(change, &value).is_some())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use policies::treatment::Precision;

    use super::*;
    use crate::query::Predicates;
    use crate::query::harness::{BASE, Source, index_of, lines, numbers, view_of};

    /// Requirements ENF-8, ENF-14: a triple inside of a triple tells what must not be seen as well as any other.
    #[test]
    fn nothing_hidden_or_changed_shows_inside_of_triples() {
        let sources = [
            Source::new("/a/d", 1, "ex:r ex:says <<( ex:s ex:secret 5 )>> ; ex:open 1 ."),
            Source::new("/a/e", 1, "ex:r ex:says <<( ex:s ex:secret 7 )>> ."),
        ];
        let index = index_of(&sources, 1);
        let view = |predicates| view_of(&index, numbers(&index, &sources), predicates);
        let rows = |view: &crate::query::View| {
            let triples = lines(view, "SELECT * { ?s ?p ?o }", None).len() - 1;
            (triples, lines(view, "SELECT ?g { GRAPH ?g {} }", None).len() - 1)
        };
        assert_eq!(rows(&view(Predicates::default())), (3, 2));
        let none: Option<[&str; 0]> = None;
        let hiding = Predicates::from_iris(&index.snapshot(), none, ["http://example.org/secret"]);
        assert_eq!(rows(&view(hiding)), (1, 1));
        let treatment = Treatment {
            values: [(
                "http://example.org/secret".to_owned(),
                Change::Generalise {
                    precision: Precision::Number("10".to_owned()),
                },
            )]
            .into(),
            names: false,
        };
        let key = PseudonymKey::derive(&[1; 32], "agreement", "purpose", 0);
        let treated = view(Predicates::default())
            .treated_by(|snapshot, visible| Treated::new(&treatment, key, &Origins::new(BASE), snapshot, visible));
        assert_eq!(rows(&treated), (1, 1));
    }
}
