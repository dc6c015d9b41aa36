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

/// The most recent manifests.
#[derive(Debug)]
pub struct Manifests {
    kept: Mutex<(HashMap<String, Arc<Manifest>>, VecDeque<String>)>,
    most: usize,
}

impl Manifests {
    /// Keeps at most this many.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            kept: Mutex::new((HashMap::new(), VecDeque::new())),
            most: most.max(1),
        }
    }

    /// Keeps one, dropping the oldest if there are too many.
    pub fn keep(&self, manifest: Manifest) -> Arc<Manifest> {
        let manifest = Arc::new(manifest);
        let mut kept = self.kept.lock();
        kept.1.push_back(manifest.id.clone());
        kept.0.insert(manifest.id.clone(), Arc::clone(&manifest));
        while kept.1.len() > self.most {
            if let Some(oldest) = kept.1.pop_front() {
                kept.0.remove(&oldest);
            }
        }
        manifest
    }

    /// A manifest by the query's name.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<Arc<Manifest>> {
        self.kept.lock().0.get(id).cloned()
    }
}
