//! The statistics of a dataset for the catalogue.
//!
//! They tell of the dataset's own containers, as far as their owner wants them published. Of a dataset that reaches into
//! other people's storages they tell the shape only (which properties, between which authorities), over all storages that
//! have such a container whether their owners consent or not, with sizes as powers of ten, and nothing at all below a
//! number of people: without the shape a broker would have to ask such a dataset about everything.

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

/// Fewest storages of other people whose common shape is told.
const STORAGES_MIN: usize = 5;

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
        if self.index.incomplete().is_some() {
            return None;
        }
        let named = self.index.named();
        let epoch = named.names.epoch();
        if let Some((known, summary)) = self.kept.get(&dataset.iri)
            && known == epoch
        {
            return Some((*summary).clone());
        }
        let mut containers: Vec<ResourceName> = dataset.containers.iter().filter_map(|iri| self.name_of(iri)).collect();
        let of_others = !dataset.member_containers.is_empty();
        if of_others {
            let members: Vec<ResourceName> = named
                .names
                .storage_roots()
                .flat_map(|root| dataset.member_containers.iter().map(move |path| format!("{}{path}", root.as_str())))
                .filter_map(|path| ResourceName::parse(&path).ok().filter(ResourceName::is_container))
                .filter(|container| named.names.within(container).next().is_some())
                .collect();
            if members.len() < STORAGES_MIN {
                return None;
            }
            containers.extend(members);
        }
        let documents: RoaringBitmap = containers
            .iter()
            .flat_map(|container| named.names.within(container))
            .map(|(_, document)| document.0)
            .collect();
        let snapshot = Arc::clone(&named.snapshot);
        drop(named);
        let summary = View::new(snapshot, &documents, Predicates::default()).summary();
        let summary = if of_others { Arc::new(shape(&summary)) } else { summary };
        self.kept.insert(dataset.iri.clone(), (epoch, Arc::clone(&summary)));
        Some((*summary).clone())
    }
}

/// The same statistics with every number as the power of ten above it.
fn shape(summary: &Summary) -> Summary {
    let coarse = |count: u64| (0..20_u32).map(|zeros| 10_u64.saturating_pow(zeros)).find(|power| *power >= count).unwrap_or(u64::MAX);
    let mut shape = summary.clone();
    shape.triples = coarse(shape.triples);
    shape.documents = coarse(shape.documents);
    shape.distinct_subjects = coarse(shape.distinct_subjects);
    for property in &mut shape.properties {
        property.triples = coarse(property.triples);
    }
    for class in &mut shape.classes {
        class.instances = coarse(class.instances);
    }
    shape
}
