//! What a query reads: a state of the index that nobody changes.

use std::sync::Arc;

use super::append::AppendOnly;
use super::run::{Bounds, Run};
use super::{Dictionary, Document, DocumentId, DocumentSet, IndexSize};
use crate::store::Sequence;

/// A state of the index. Cheap to hold; keeps its rows alive as long as it is held.
#[derive(Clone, Debug)]
pub struct IndexSnapshot {
    pub(super) dictionary: Arc<Dictionary>,
    pub(super) documents: Arc<AppendOnly<Document>>,
    pub(super) runs: Vec<Arc<Run>>,
    pub(super) current: DocumentSet,
    pub(super) sequence: Sequence,
}

impl IndexSnapshot {
    /// The terms.
    #[must_use]
    pub fn dictionary(&self) -> &Dictionary {
        &self.dictionary
    }

    /// The commit whose state this is.
    #[must_use]
    pub const fn sequence(&self) -> Sequence {
        self.sequence
    }

    /// The same state as that of a later commit that changed nothing in it.
    #[must_use]
    pub fn at(&self, sequence: Sequence) -> Self {
        Self {
            sequence,
            ..self.clone()
        }
    }

    /// The runs, the largest first.
    #[must_use]
    pub fn runs(&self) -> &[Arc<Run>] {
        &self.runs
    }

    /// What is known about a document.
    #[must_use]
    pub fn document(&self, document: DocumentId) -> Option<&Document> {
        self.documents.value(document.0)
    }

    /// The current documents.
    #[must_use]
    pub const fn current(&self) -> &DocumentSet {
        &self.current
    }

    /// Number of rows between bounds, over all documents. An upper bound of what any view holds.
    #[must_use]
    pub fn count(&self, bounds: Bounds) -> usize {
        self.runs.iter().map(|run| run.range(bounds).len()).sum()
    }

    /// Figures.
    #[must_use]
    pub fn size(&self) -> IndexSize {
        let rows: usize = self.runs.iter().map(|run| run.len()).sum();
        let row_bytes: usize = self.runs.iter().map(|run| run.bytes()).sum();
        IndexSize {
            rows: rows as u64,
            documents: self.current.len(),
            terms: self.dictionary.len(),
            runs: self.runs.len(),
            bytes: row_bytes + self.dictionary.bytes() + self.documents.slot_bytes(),
        }
    }
}
