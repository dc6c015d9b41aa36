//! What a view shows, as one number for each document: enough to tell whether there is something new, and nothing that was
//! said. They are kept for as long as somebody listens, where a view would keep the rows of its snapshot alive.

use std::hash::{Hash, Hasher};

use rustc_hash::{FxHashMap, FxHashSet, FxHasher};

use super::view::{Predicates, View};
use crate::index::{Bounds, DocumentId, Order};
use crate::store::ResourceId;

/// What became of a view since it was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing that it shows.
    Same,
    /// What it shows is another.
    Changed,
    /// It shows less, although what it showed is still there: somebody was shut out.
    Narrowed,
}

/// The documents of a view, each with a number that is another one when what the view shows of it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marks {
    documents: FxHashMap<ResourceId, u64>,
    predicates: Predicates,
}

impl Marks {
    /// The marks of a view. Where it shows every predicate a document's version is its mark; elsewhere the rows that it
    /// shows are, so that a change of what is hidden is not told.
    #[must_use]
    pub fn of(view: &View) -> Self {
        let whole = !view.predicates().restricted && view.predicates().all();
        let marked = view.visible().iter().filter_map(|number| {
            let resource = view.snapshot().document(DocumentId(number))?.resource;
            let mark = if whole { u64::from(number) } else { shown(view, number)? };
            Some((resource, mark))
        });
        Self {
            documents: marked.collect(),
            predicates: view.predicates().clone(),
        }
    }

    /// What became of `before`, when these are the marks of `view` now.
    #[must_use]
    pub fn since(&self, before: &Self, view: &View) -> Step {
        if self == before {
            return Step::Same;
        }
        let gone: FxHashSet<ResourceId> = before
            .documents
            .keys()
            .filter(|resource| !self.documents.contains_key(resource))
            .copied()
            .collect();
        if !self.predicates.cover(&before.predicates) || view.any_exists(&gone) {
            return Step::Narrowed;
        }
        if self.documents == before.documents {
            return Step::Same;
        }
        Step::Changed
    }

    /// One number for all marks, or for the documents alone.
    #[must_use]
    pub fn digest(&self, documents_alone: bool) -> u64 {
        self.documents.iter().fold(0, |sum: u64, (resource, mark)| {
            let mut hasher = FxHasher::default();
            resource.hash(&mut hasher);
            if !documents_alone {
                mark.hash(&mut hasher);
            }
            sum.wrapping_add(hasher.finish())
        })
    }
}

/// The rows of a document that a view shows, as one number; none when it shows none of them.
fn shown(view: &View, document: u32) -> Option<u64> {
    let hides_triple_terms = view.hides_triple_terms();
    let rows = view
        .snapshot()
        .runs()
        .iter()
        .flat_map(|run| run.range(Bounds::prefix(Order::Dspo, &[document])));
    rows.map(|row| Order::Dspo.quad(*row))
        .filter(|quad| view.predicates().show(quad.predicate))
        .filter(|quad| !(hides_triple_terms && view.is_triple_term(quad.object)))
        .map(|quad| {
            let mut hasher = FxHasher::default();
            (quad.subject, quad.predicate, quad.object).hash(&mut hasher);
            hasher.finish()
        })
        .reduce(u64::wrapping_add)
}
