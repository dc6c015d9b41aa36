//! What a query may see: documents and predicates of one index snapshot.
//!
//! A view is only data. The right to use one is `Authorized<ScopedView>`, which `authz` makes.

use std::sync::{Arc, OnceLock};

use rustc_hash::{FxHashMap, FxHashSet};

use crate::index::{Bounds, DocumentId, DocumentSet, IndexSnapshot, Order, Summary, TermId, summary};

/// Predicates that a view shows, by number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Predicates {
    /// Only these, if given.
    pub permitted: Option<FxHashSet<u32>>,
    /// Never these.
    pub hidden: FxHashSet<u32>,
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
        Self {
            permitted: permitted.map(|iris| iris.into_iter().filter_map(number).collect()),
            hidden: hidden.into_iter().filter_map(number).collect(),
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
}

/// The permitted part of an index snapshot.
#[derive(Debug)]
pub struct View {
    snapshot: Arc<IndexSnapshot>,
    visible: DocumentSet,
    predicates: Predicates,
    triples: u64,
    graphs: OnceLock<FxHashMap<TermId, DocumentId>>,
    summary: OnceLock<Arc<Summary>>,
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
            triples,
            graphs: OnceLock::new(),
            summary: OnceLock::new(),
        }
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
        let shown = |view: &Self, predicate: u32| view.predicates.show(predicate);
        let narrowing = self.predicates.hidden.iter().all(|predicate| !shown(other, *predicate));
        let permitted = match (&self.predicates.permitted, &other.predicates.permitted) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(_), Some(before)) => before
                .iter()
                .all(|predicate| shown(self, *predicate) || !shown(other, *predicate)),
        };
        narrowing && permitted
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
        self.snapshot.runs().iter().any(|run| {
            run.range(Bounds::prefix(Order::Dspo, &[document]))
                .iter()
                .any(|row| self.predicates.show(Order::Dspo.quad(*row).predicate))
        })
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
}
