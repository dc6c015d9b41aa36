//! Completeness manifests of recent queries, found under their unguessable names at `/queries/{id}`.

use crate::enforce::Refused;
use crate::exec::manifest::Completeness;
use parking_lot::Mutex;
use serde::Serialize;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// What became of one query.
#[derive(Debug, Clone, Serialize)]
pub struct Manifest {
    /// Name of the query.
    pub id: String,
    /// When it was asked (RFC 3339).
    pub asked: String,
    /// Stated purpose.
    pub purpose: Option<String>,
    /// Whether every source that could contribute did, and each source.
    #[serde(flatten)]
    pub completeness: Completeness,
    /// Datasets that could have contributed and were not asked, with the reasons. They are outside what the consumer may see, so
    /// they do not make an answer incomplete.
    pub not_covered: Vec<Refused>,
    /// How many datasets were withheld by policy: those not covered, and sources left out by the terms of an agreement.
    pub withheld: usize,
    /// Time until all sources had answered or failed, milliseconds.
    pub ms: u64,
}

impl Manifest {
    /// How many sources and datasets it speaks of: what it takes to remember it.
    fn entries(&self) -> usize {
        self.completeness.sources.len().saturating_add(self.not_covered.len())
    }
}

/// The most recent manifests.
#[derive(Debug)]
pub struct Manifests {
    kept: Mutex<Kept>,
    most: usize,
    entries_most: usize,
}

#[derive(Debug, Default)]
struct Kept {
    by_name: HashMap<String, Arc<Manifest>>,
    /// Names, oldest first.
    order: VecDeque<String>,
    /// Of all manifests together.
    entries: usize,
}

impl Manifests {
    /// Keeps at most so many, which speak of at most so many sources and datasets together: a manifest grows with the federation.
    #[must_use]
    pub fn new(most: usize, entries_most: usize) -> Self {
        Self {
            kept: Mutex::default(),
            most: most.max(1),
            entries_most,
        }
    }

    /// Keeps one, dropping the oldest if there are too many; the newest always stays.
    pub fn keep(&self, manifest: Manifest) -> Arc<Manifest> {
        let manifest = Arc::new(manifest);
        let mut kept = self.kept.lock();
        kept.entries += manifest.entries();
        kept.order.push_back(manifest.id.clone());
        kept.by_name.insert(manifest.id.clone(), Arc::clone(&manifest));
        while kept.order.len() > 1 && (kept.order.len() > self.most || kept.entries > self.entries_most) {
            if let Some(oldest) = kept.order.pop_front().and_then(|name| kept.by_name.remove(&name)) {
                kept.entries -= oldest.entries();
            }
        }
        manifest
    }

    /// A manifest by the query's name.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<Arc<Manifest>> {
        self.kept.lock().by_name.get(id).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::manifest::{SourceReport, SourceStatus};
    use std::collections::BTreeSet;

    fn manifest(id: usize, sources: usize) -> Manifest {
        let report = SourceReport {
            member: "gent".to_owned(),
            dataset: "https://gent.example/d".to_owned(),
            kind: crate::member::MemberKind::Pod,
            agreement: None,
            granted: None,
            status: SourceStatus::Answered,
            reasons: Vec::new(),
            notes: Vec::new(),
            requests: 1,
            rows: 1,
            bytes: 1,
            ms: 1,
            terms: BTreeSet::new(),
        };
        Manifest {
            id: id.to_string(),
            asked: String::new(),
            purpose: None,
            completeness: Completeness {
                complete: true,
                sources: vec![report; sources],
            },
            not_covered: Vec::new(),
            withheld: 0,
            ms: 1,
        }
    }

    #[test]
    fn what_is_remembered_is_bounded_by_number_and_by_size() {
        let found = |manifests: &Manifests| {
            (0..9)
                .filter(|id| manifests.find(&id.to_string()).is_some())
                .collect::<Vec<_>>()
        };
        let few = Manifests::new(3, 1_000);
        let small = Manifests::new(100, 10);
        for id in 0..9 {
            few.keep(manifest(id, 1));
            small.keep(manifest(id, 4));
        }
        assert_eq!(found(&few), [6, 7, 8]);
        assert_eq!(found(&small), [7, 8]);
        small.keep(manifest(0, 50));
        assert_eq!(found(&small), [0], "one that is too large alone is still found");
        small.keep(manifest(1, 4));
        assert_eq!(found(&small), [1]);
    }
}
