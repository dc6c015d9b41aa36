//! What a query may see: documents and predicates of one index snapshot.
//!
//! A view is only data. The right to use one is `Authorized<ScopedView>`, which `authz` makes.

use std::sync::{Arc, OnceLock};

use rustc_hash::{FxHashMap, FxHashSet};
use server_kit::keys::Keys;

use super::marks::Marks;
use super::treat::Treated;
use crate::index::{Bounds, DocumentId, DocumentSet, IndexSnapshot, Order, Sort, Summary, TermId, summary};
use crate::store::ResourceId;

/// Predicates that a view shows, by number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Predicates {
    /// Only these, if given.
    pub permitted: Option<FxHashSet<u32>>,
    /// Never these.
    pub hidden: FxHashSet<u32>,
    /// Whether anything was said about predicates, also about those that no row has.
    pub restricted: bool,
}

impl Predicates {
    /// Predicates by their IRIs. An IRI that the index does not hold needs no number: no row has it.
    #[must_use]
    pub fn from_iris<'a>(
        snapshot: &IndexSnapshot,
        permitted: Option<impl IntoIterator<Item = &'a str>>,
        hidden: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let number = |iri: &str| {
            let node = oxrdf::NamedNodeRef::new(iri).ok()?;
            snapshot.dictionary().find(node.into()).map(TermId::number)
        };
        let mut restricted = permitted.is_some();
        let hidden = hidden.into_iter().inspect(|_| restricted = true);
        let hidden = hidden.filter_map(number).collect();
        Self {
            permitted: permitted.map(|iris| iris.into_iter().filter_map(number).collect()),
            hidden,
            restricted,
        }
    }

    /// Whether every predicate is shown.
    #[must_use]
    pub fn all(&self) -> bool {
        self.permitted.is_none() && self.hidden.is_empty()
    }

    /// Whether a predicate is shown.
    #[inline]
    #[must_use]
    pub fn show(&self, predicate: u32) -> bool {
        self.permitted
            .as_ref()
            .is_none_or(|permitted| permitted.contains(&predicate))
            && !self.hidden.contains(&predicate)
    }

    /// Whether every predicate that `before` showed is shown.
    #[must_use]
    pub fn cover(&self, before: &Self) -> bool {
        let permitted = match (&self.permitted, &before.permitted) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(now), Some(then)) => then
                .iter()
                .all(|predicate| now.contains(predicate) || !before.show(*predicate)),
        };
        permitted && self.hidden.iter().all(|predicate| !before.show(*predicate))
    }
}

/// The permitted part of an index snapshot.
#[derive(Debug)]
pub struct View {
    snapshot: Arc<IndexSnapshot>,
    visible: DocumentSet,
    predicates: Predicates,
    treated: Option<Arc<Treated>>,
    triples: u64,
    graphs: OnceLock<FxHashMap<TermId, DocumentId>>,
    summary: OnceLock<Arc<Summary>>,
    marks: OnceLock<Arc<Marks>>,
}

impl View {
    /// A view of the documents of a set that are current in the snapshot.
    #[must_use]
    pub fn new(snapshot: Arc<IndexSnapshot>, documents: &roaring::RoaringBitmap, predicates: Predicates) -> Self {
        let current: roaring::RoaringBitmap = documents
            .iter()
            .filter(|document| snapshot.current().contains(*document))
            .collect();
        let visible = DocumentSet::new(&current);
        let triples = current
            .iter()
            .filter_map(|document| snapshot.document(DocumentId(document)))
            .map(|document| u64::from(document.triples))
            .sum();
        Self {
            snapshot,
            visible,
            predicates,
            treated: None,
            triples,
            graphs: OnceLock::new(),
            summary: OnceLock::new(),
            marks: OnceLock::new(),
        }
    }

    /// The same view with changed values or names; `treat` makes the changes out of what it shows unchanged.
    #[must_use]
    pub fn treated_by(mut self, treat: impl FnOnce(&Self) -> Option<Arc<Treated>>) -> Self {
        self.treated = treat(&self);
        self
    }

    /// How values and names are changed, if they are.
    #[must_use]
    pub fn treated(&self) -> Option<&Treated> {
        self.treated.as_deref()
    }

    /// Whether the values of a predicate are shown as they are.
    #[inline]
    #[must_use]
    pub fn shows_plainly(&self, predicate: u32) -> bool {
        self.predicates.show(predicate) && self.treated().is_none_or(|treated| treated.change(predicate).is_none())
    }

    /// Whether triples inside of triples are left out: what they say may be what is hidden or changed.
    #[must_use]
    pub fn hides_triple_terms(&self) -> bool {
        (self.treated.is_some() || self.predicates.restricted || !self.predicates.all())
            && self.snapshot.dictionary().has_triple_terms()
    }

    /// Whether a term is a triple.
    #[must_use]
    pub fn is_triple_term(&self, number: u32) -> bool {
        TermId::from_number(number).and_then(|term| self.snapshot.dictionary().sort(term)) == Some(Sort::Triple)
    }

    /// The snapshot.
    #[must_use]
    pub fn snapshot(&self) -> &IndexSnapshot {
        &self.snapshot
    }

    /// The visible documents.
    #[must_use]
    pub const fn visible(&self) -> &DocumentSet {
        &self.visible
    }

    /// The visible predicates.
    #[must_use]
    pub const fn predicates(&self) -> &Predicates {
        &self.predicates
    }

    /// Triples in the visible documents, doubles counted and hidden predicates included.
    #[must_use]
    pub const fn triples(&self) -> u64 {
        self.triples
    }

    /// Whether this view shows every predicate that another shows.
    #[must_use]
    pub fn predicates_cover(&self, other: &Self) -> bool {
        self.predicates.cover(&other.predicates)
    }

    /// Whether every resource that this view shows is shown by another, in whatever version. A resource that no longer
    /// exists counts as shown: its owner removed it, nobody was shut out.
    #[must_use]
    pub fn documents_within(&self, other: &Self) -> bool {
        let resource = |view: &Self, number| {
            view.snapshot
                .document(DocumentId(number))
                .map(|document| document.resource)
        };
        let theirs: FxHashSet<_> = other
            .visible
            .iter()
            .filter_map(|number| resource(other, number))
            .collect();
        let existing: FxHashSet<_> = other
            .snapshot
            .current()
            .iter()
            .filter_map(|number| resource(other, number))
            .collect();
        self.visible
            .iter()
            .filter_map(|number| resource(self, number))
            .all(|resource| theirs.contains(&resource) || !existing.contains(&resource))
    }

    /// Marks of what the view shows; computed once.
    #[must_use]
    pub fn marks(&self) -> Arc<Marks> {
        Arc::clone(self.marks.get_or_init(|| Arc::new(Marks::of(self))))
    }

    /// Whether any of these resources is there, seen or not.
    #[must_use]
    pub fn any_exists(&self, resources: &FxHashSet<ResourceId>) -> bool {
        let there = |number| {
            self.snapshot
                .document(DocumentId(number))
                .is_some_and(|document| resources.contains(&document.resource))
        };
        !resources.is_empty() && self.snapshot.current().iter().any(there)
    }

    /// The visible document whose graph a term names.
    #[must_use]
    pub fn document_of_graph(&self, graph: TermId) -> Option<DocumentId> {
        self.graphs
            .get_or_init(|| {
                self.visible
                    .iter()
                    .filter_map(|number| Some((self.snapshot.document(DocumentId(number))?.graph, DocumentId(number))))
                    .collect()
            })
            .get(&graph)
            .copied()
    }

    /// Whether a visible document has at least one triple that is shown.
    #[must_use]
    pub fn shows_any_of(&self, document: u32) -> bool {
        let hides_triple_terms = self.hides_triple_terms();
        let graph = self
            .snapshot
            .document(DocumentId(document))
            .map(|document| document.graph);
        let leaves_out = |treated: &Treated, quad: &crate::index::Quad| {
            let place = |name: u32| treated.storage_meant(self.snapshot.dictionary(), name);
            let by = graph.and_then(|graph| place(graph.number()));
            let left_out = |name: u32| treated.leaves_out(by.as_deref(), place(name).as_deref());
            left_out(quad.subject) || left_out(quad.object)
        };
        let shown = |row: &crate::index::Row| {
            let quad = Order::Dspo.quad(*row);
            self.predicates.show(quad.predicate)
                && !(hides_triple_terms && self.is_triple_term(quad.object))
                && self.treated().is_none_or(|treated| {
                    treated.keeps(self.snapshot.dictionary(), quad.predicate, quad.object)
                        && !(treated.replaces_names() && leaves_out(treated, &quad))
                })
        };
        let mut runs = self.snapshot.runs().iter();
        runs.any(|run| run.range(Bounds::prefix(Order::Dspo, &[document])).iter().any(shown))
    }

    /// Statistics of what the view shows; computed once.
    #[must_use]
    pub fn summary(&self) -> Arc<Summary> {
        let compute = || {
            Arc::new(summary::summary(&self.snapshot, &self.visible, &|predicate| {
                self.predicates.show(predicate)
            }))
        };
        Arc::clone(self.summary.get_or_init(compute))
    }

    /// Lists of the shared identifiers that the view shows; none when it shows too much for that.
    #[must_use]
    pub fn keys(&self) -> Option<Keys> {
        summary::keys(&self.snapshot, &self.visible, &|predicate| {
            self.predicates.show(predicate)
        })
    }
}
