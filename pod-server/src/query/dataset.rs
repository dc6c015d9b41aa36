//! The permitted view as the evaluator sees it: an RDF dataset whose every scan is filtered (invariant 7).
//!
//! The default graph is the RDF merge of the visible documents: a triple that several of them hold counts once. Each
//! visible document is a named graph. Rows of other documents and of hidden predicates never leave this module, so
//! that no operator, filter, path, aggregate or estimate can depend on them.

use std::cell::Cell;

use oxrdf::Term;
use roaring::RoaringBitmap;
use spareval::{CancellationToken, ExpressionTerm, InternalQuad, QueryableDataset};
use spargebra::algebra::QueryDataset;

use super::codes::CodesCell;
use super::limits::QueryLimits;
use super::scan::ScanPlan;
use super::terms::{QueryTerms, Traced, UnknownTerm};
use super::treated_scan::Rows;
use super::view::View;
use super::work::BoundTerm;
use crate::index::{DocumentId, DocumentSet, TermId};
use crate::store::StorageId;

/// Why an evaluation stopped early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScanError {
    /// The evaluation was told to stop.
    #[error("the evaluation was stopped")]
    Cancelled,
    /// More rows were read than allowed.
    #[error("the evaluation read more than {0} rows")]
    Scanned(u64),
    /// An expression made a longer text than allowed.
    #[error("an expression made a text of more than {0} bytes")]
    Literal(usize),
    /// More names and values would have to be replaced than allowed.
    #[error("the evaluation would replace more than {0} names and values")]
    Replaced(usize),
    /// More triples of data subjects were matched than can be told apart.
    #[error("the evaluation matched more than {0} triples of data subjects")]
    Traced(usize),
    /// A term has no number.
    #[error(transparent)]
    Term(#[from] UnknownTerm),
}

/// One evaluation over a view. Lives on the thread that evaluates.
pub struct Execution<'v> {
    pub(super) view: &'v View,
    pub(super) terms: QueryTerms<'v>,
    /// Documents of the default graph.
    pub(super) default: DocumentSet,
    /// Documents that are named graphs.
    pub(super) named: DocumentSet,
    /// Whether graph names stand for the data subjects of merged triples instead of for documents.
    pub(super) attributed: bool,
    token: CancellationToken,
    scanned: Cell<u64>,
    scanned_max: u64,
    literal_bytes_max: usize,
    stopped: Cell<Option<ScanError>>,
    near: Vec<[Cell<usize>; 5]>,
    pub(super) codes: CodesCell,
    pub(super) replaced_max: usize,
    traced_max: usize,
}

impl std::fmt::Debug for Execution<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Execution")
            .field("scanned", &self.scanned)
            .field("stopped", &self.stopped)
            .finish_non_exhaustive()
    }
}

impl<'v> Execution<'v> {
    /// An evaluation over a view; `dataset` is the query's `FROM` and `FROM NAMED`.
    #[must_use]
    pub fn new(view: &'v View, dataset: Option<&QueryDataset>, token: CancellationToken, limits: &QueryLimits) -> Self {
        let terms = QueryTerms::new(view.snapshot().dictionary());
        let near = view.snapshot().runs().iter().map(|_| <[Cell<usize>; 5]>::default());
        let mut execution = Self {
            view,
            terms,
            default: view.visible().clone(),
            named: view.visible().clone(),
            attributed: false,
            token,
            scanned: Cell::new(0),
            scanned_max: limits.scanned_max,
            literal_bytes_max: limits.literal_bytes_max,
            stopped: Cell::new(None),
            near: near.collect(),
            codes: CodesCell::default(),
            replaced_max: limits.replaced_max,
            traced_max: limits.traced_max,
        };
        if let Some(dataset) = dataset {
            let default = execution.documents(&dataset.default);
            execution.named = execution.documents(dataset.named.as_deref().unwrap_or(&[]));
            execution.default = default;
        }
        execution
    }

    /// The visible documents whose graphs have these names.
    fn documents(&self, graphs: &[oxrdf::NamedNode]) -> DocumentSet {
        let numbers = graphs.iter().filter_map(|graph| {
            // An evaluation that stopped here tells why in the end.
            let graph = self.number(graph.clone().into()).ok()?;
            let document = self.view.document_of_graph(self.meant(graph)?)?;
            Some(document.0)
        });
        DocumentSet::new(&numbers.collect::<RoaringBitmap>())
    }

    /// The number of a term of the query.
    fn number(&self, term: Term) -> Result<TermId, ScanError> {
        match &term {
            Term::NamedNode(node) => self.recognise(node.as_str())?,
            Term::Literal(literal) => self.recognise(literal.datatype().as_str())?,
            _ => {}
        }
        Ok(self.terms.number(term)?)
    }

    /// The storage of a document.
    pub(super) fn storage_of(&self, document: u32) -> Option<StorageId> {
        let document = self.view.snapshot().document(DocumentId(document));
        document.map(|document| document.storage)
    }

    /// A term that stands for a matched triple and its data subjects.
    pub(super) fn trace(&self, triple: Traced, storages: &[StorageId]) -> Result<TermId, ScanError> {
        if self.terms.traces() >= self.traced_max {
            return Err(self.stop(ScanError::Traced(self.traced_max)));
        }
        Ok(self.terms.trace(triple, storages)?)
    }

    /// Makes graph names stand for the data subjects of merged triples.
    #[must_use]
    pub const fn attributed(mut self) -> Self {
        self.attributed = true;
        self
    }

    /// Why the evaluation stopped early, if it did.
    #[must_use]
    pub fn stopped(&self) -> Option<ScanError> {
        self.stopped.get()
    }

    /// Index rows read until now.
    #[must_use]
    pub fn scanned(&self) -> u64 {
        self.scanned.get()
    }

    /// Counts rows that were read; says when to stop.
    #[inline]
    pub(super) fn count(&self, rows: u64) -> Result<(), ScanError> {
        let scanned = self.scanned.get() + rows;
        self.scanned.set(scanned);
        if scanned > self.scanned_max {
            return Err(self.stop(ScanError::Scanned(self.scanned_max)));
        }
        if self.token.is_cancelled() {
            return Err(self.stop(ScanError::Cancelled));
        }
        Ok(())
    }

    pub(super) fn stop(&self, error: ScanError) -> ScanError {
        if let Some(earlier) = self.stopped.get() {
            return earlier;
        }
        self.stopped.set(Some(error));
        error
    }

    /// Where the last search in a run and an order ended.
    pub(super) fn near(&self, run: usize, order: usize) -> Option<&Cell<usize>> {
        self.near.get(run)?.get(order)
    }

    /// The document of a named graph of this evaluation.
    pub(super) fn document(&self, graph: TermId) -> Option<DocumentId> {
        self.view
            .document_of_graph(graph)
            .filter(|document| self.named.contains(document.0))
    }

    /// The name of a document's graph.
    pub(super) fn graph_of(&self, document: u32) -> Option<TermId> {
        self.view
            .snapshot()
            .document(DocumentId(document))
            .map(|document| document.graph)
    }
}

/// The dataset of an execution, as the evaluator wants it.
#[derive(Clone, Copy, Debug)]
pub struct ScopedDataset<'e>(pub &'e Execution<'e>);

impl<'e> QueryableDataset<'e> for ScopedDataset<'e> {
    type InternalTerm = BoundTerm;
    type Error = ScanError;

    fn internal_quads_for_pattern(
        &self,
        subject: Option<&BoundTerm>,
        predicate: Option<&BoundTerm>,
        object: Option<&BoundTerm>,
        graph_name: Option<Option<&BoundTerm>>,
    ) -> impl Iterator<Item = Result<InternalQuad<BoundTerm>, ScanError>> + use<'e> {
        let number = |term: &BoundTerm| term.0;
        Rows::new(
            self.0,
            ScanPlan {
                subject: subject.map(number),
                predicate: predicate.map(number),
                object: object.map(number),
                graph: graph_name.map(|graph| graph.map(number)),
            },
        )
    }

    fn internal_named_graphs(&self) -> impl Iterator<Item = Result<BoundTerm, ScanError>> + use<'e> {
        let execution = self.0;
        execution
            .named
            .iter()
            .filter(move |document| execution.view.shows_any_of(*document))
            .filter_map(move |document| execution.graph_of(document))
            .map(move |graph| execution.shown(graph).map(BoundTerm))
    }

    fn contains_internal_graph_name(&self, graph_name: &BoundTerm) -> Result<bool, ScanError> {
        let document = self.0.meant(graph_name.0).and_then(|graph| self.0.document(graph));
        Ok(document.is_some_and(|document| self.0.view.shows_any_of(document.0)))
    }

    fn internalize_term(&self, term: Term) -> Result<BoundTerm, ScanError> {
        Ok(BoundTerm(self.0.number(term)?))
    }

    fn externalize_term(&self, term: BoundTerm) -> Result<Term, ScanError> {
        Ok(self.0.terms.term(term.0)?)
    }

    fn externalize_expression_term(&self, term: BoundTerm) -> Result<ExpressionTerm, ScanError> {
        Ok(self.0.terms.value(term.0)?)
    }

    fn internalize_expression_term(&self, term: ExpressionTerm) -> Result<BoundTerm, ScanError> {
        let length = match &term {
            ExpressionTerm::StringLiteral(value)
            | ExpressionTerm::LangStringLiteral { value, .. }
            | ExpressionTerm::OtherTypedLiteral { value, .. } => value.len(),
            _ => 0,
        };
        if length > self.0.literal_bytes_max {
            return Err(self.0.stop(ScanError::Literal(self.0.literal_bytes_max)));
        }
        match &term {
            ExpressionTerm::NamedNode(node) => self.0.recognise(node.as_str())?,
            ExpressionTerm::OtherTypedLiteral { datatype, .. } => self.0.recognise(datatype.as_str())?,
            _ => {}
        }
        Ok(BoundTerm(self.0.terms.number_of_value(term)?))
    }
}
