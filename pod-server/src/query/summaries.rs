//! The statistics of a dataset for the catalogue.
//!
//! They tell of the dataset's own containers, as far as their owner wants them published. A dataset that reaches into
//! other people's storages by their consent has none: how much of it there is depends on who asks.

use std::sync::Arc;

use quick_cache::sync::Cache;
use roaring::RoaringBitmap;

use super::view::{Predicates, View};
use crate::dataspace::catalog::Summaries;
use crate::dataspace::dataset::Dataset;
use crate::index::{Index, Summary};
use crate::name::ResourceName;

/// Summaries that are kept until the index changes.
const KEPT_MAX: usize = 10_000;

/// Statistics from the index.
pub struct IndexSummaries {
    index: Arc<Index>,
    base_url: Arc<str>,
    kept: Cache<String, (u64, Arc<Summary>)>,
}

impl IndexSummaries {
    /// Statistics of the datasets of a server.
    #[must_use]
    pub fn new(index: Arc<Index>, base_url: Arc<str>) -> Self {
        Self {
            index,
            base_url,
            kept: Cache::new(KEPT_MAX),
        }
    }

    fn name_of(&self, iri: &str) -> Option<ResourceName> {
        let path = iri.strip_prefix(self.base_url.trim_end_matches('/'))?;
        ResourceName::parse(path).ok().filter(ResourceName::is_container)
    }
}

impl Summaries for IndexSummaries {
    fn summary(&self, dataset: &Dataset) -> Option<Summary> {
        if !dataset.member_containers.is_empty() || self.index.incomplete().is_some() {
            return None;
        }
        let named = self.index.named();
        let epoch = named.names.epoch();
        if let Some((known, summary)) = self.kept.get(&dataset.iri)
            && known == epoch
        {
            return Some((*summary).clone());
        }
        let containers: Vec<ResourceName> = dataset.containers.iter().filter_map(|iri| self.name_of(iri)).collect();
        let documents: RoaringBitmap = containers
            .iter()
            .flat_map(|container| named.names.within(container))
            .map(|(_, document)| document.0)
            .collect();
        let snapshot = Arc::clone(&named.snapshot);
        drop(named);
        let summary = View::new(snapshot, &documents, Predicates::default()).summary();
        self.kept.insert(dataset.iri.clone(), (epoch, Arc::clone(&summary)));
        Some((*summary).clone())
    }
}
