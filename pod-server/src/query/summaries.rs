//! The statistics of a dataset for the catalogue.
//!
//! They tell of the dataset's own containers, as far as their owner wants them published. Of a dataset that reaches into
//! other people's storages they tell only what at least [`STORAGES_MIN`] storages have in common whose owners consent to
//! some use of it (ENF-37), with sizes as powers of ten, and only where the offer allows nothing but aggregates over at
//! least as many: what fewer people have can then not appear in an answer either, so that whoever plans with these
//! statistics misses nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use oxrdf::Term;
use policies::odrl::{Constraint, Duty, Operator, Permission, Target};
use quick_cache::sync::Cache;
use roaring::RoaringBitmap;
use server_kit::clock::Clock;
use server_kit::keys::Keys;
use server_kit::summary::{ClassCount, PropertyCount};
use vocab::meent;

use super::view::{Predicates, View};
use crate::consent::ConsentLedger;
use crate::dataspace::catalog::Summaries;
use crate::dataspace::dataset::Dataset;
use crate::dataspace::offer;
use crate::index::{Index, IndexSnapshot, NamedSnapshot, Summary};
use crate::name::ResourceName;
use crate::origins::Origins;

/// Summaries that are kept until the index changes.
const KEPT_MAX: usize = 10_000;

/// Statistics from the index.
pub struct IndexSummaries {
    index: Arc<Index>,
    origins: Origins,
    consents: Arc<ConsentLedger>,
    clock: Arc<dyn Clock>,
    kept: Cache<String, Arc<Kept>>,
}

/// A summary, and what it was made of: it holds for that and nothing else (ENF-38).
struct Kept {
    names: u64,
    dataset: Dataset,
    consenting: Vec<RoaringBitmap>,
    summary: Arc<Summary>,
    keys: Option<Arc<Keys>>,
}

impl IndexSummaries {
    /// Statistics of the datasets of a server.
    #[must_use]
    pub fn new(index: Arc<Index>, origins: Origins, consents: Arc<ConsentLedger>, clock: Arc<dyn Clock>) -> Self {
        Self {
            index,
            origins,
            consents,
            clock,
            kept: Cache::new(KEPT_MAX),
        }
    }

    /// What is told of a dataset now.
    fn current(&self, dataset: &Dataset) -> Option<Arc<Kept>> {
        let personal = !dataset.member_containers.is_empty();
        if self.index.incomplete().is_some() || (personal && !allows_only_aggregates(dataset)) {
            return None;
        }
        let now = self.clock.now();
        let consenting: Vec<RoaringBitmap> = dataset
            .member_containers
            .iter()
            .map(|path| self.consents.reaching(&dataset.iri, dataset.reach_since, path, now))
            .collect();
        let named = self.index.named();
        let epoch = named.names.epoch();
        if let Some(kept) = self.kept.get(&dataset.iri)
            && kept.names == epoch
            && kept.dataset == *dataset
            && kept.consenting == consenting
        {
            return Some(kept);
        }
        // A container in somebody else's storage is reached through consent only, and a catalogue has nobody's.
        let own = |name: &ResourceName| name.storage_root().is_some_and(|root| root.as_str() == dataset.storage);
        let containers: Vec<ResourceName> = dataset.containers.iter().filter_map(|iri| self.name_of(iri)).collect();
        let containers: Vec<ResourceName> = containers.into_iter().filter(own).collect();
        let documents: RoaringBitmap = containers
            .iter()
            .flat_map(|container| named.names.within(container))
            .map(|(_, document)| document.0)
            .collect();
        let storages = if personal {
            by_storage(&named, &dataset.member_containers, &consenting)
        } else {
            BTreeMap::new()
        };
        let snapshot = Arc::clone(&named.snapshot);
        drop(named);
        let view = View::new(Arc::clone(&snapshot), &documents, Predicates::default());
        let own = view.summary();
        // A hash tells of a single thing: nothing is listed of other people's storages, nor where an offer hides or changes anything.
        let listed = dataset.publish_identifiers && !personal && offers_all_as_it_is(dataset);
        let keys = if listed { view.keys().map(Arc::new) } else { None };
        let summary = if personal {
            Arc::new(joined(&own, shared(&snapshot, &storages)))
        } else {
            own
        };
        let kept = Kept {
            names: epoch,
            dataset: dataset.clone(),
            consenting,
            summary,
            keys,
        };
        let kept = Arc::new(kept);
        self.kept.insert(dataset.iri.clone(), Arc::clone(&kept));
        Some(kept)
    }

    fn name_of(&self, iri: &str) -> Option<ResourceName> {
        ResourceName::from_iri(iri, &self.origins).filter(ResourceName::is_container)
    }
}

/// Storages that must share a line of the statistics over other people's data before it is published.
pub const STORAGES_MIN: usize = 5;

impl Summaries for IndexSummaries {
    fn summary(&self, dataset: &Dataset) -> Option<Summary> {
        self.current(dataset).map(|kept| (*kept.summary).clone())
    }

    fn keys(&self, dataset: &Dataset) -> Option<Arc<Keys>> {
        self.current(dataset)?.keys.clone()
    }

    fn caught_up(&self) -> BoxFuture<'_, bool> {
        Box::pin(async move {
            let reached = self.index.caught_up().await;
            if let Err(behind) = &reached {
                tracing::warn!(%behind, "the catalogue is shown without statistics because the index is behind");
            }
            reached.is_ok()
        })
    }
}

/// Whether each permission of the one offer of a dataset has the duty to answer with aggregates over enough people only.
fn allows_only_aggregates(dataset: &Dataset) -> bool {
    let [offer] = dataset.offers.as_slice() else {
        return false;
    };
    let Ok(policy) = offer::policy(dataset, offer) else {
        return false;
    };
    let mut permissions = policy.permissions.iter();
    !policy.permissions.is_empty() && permissions.all(|permission| permission.duties.iter().any(is_over_enough))
}

/// Duties under which something else leaves than what is there, or leaves otherwise.
const CHANGES: [&str; 6] = [
    meent::AGGREGATE_ONLY,
    meent::GENERALISE,
    meent::HASH,
    meent::DROP,
    meent::PSEUDONYMISE,
    meent::MASK_KEYS,
];

/// Whether each offer of a dataset is about all of it, and changes nothing in it.
fn offers_all_as_it_is(dataset: &Dataset) -> bool {
    let narrows = |target: &Target| !target.refinements.is_empty();
    let changes = |duty: &Duty| CHANGES.contains(&duty.action.id.as_str());
    dataset.offers.iter().all(|offer| {
        offer::policy(dataset, offer).is_ok_and(|policy| {
            let hides = policy.prohibitions.iter().any(|rule| narrows(&rule.target));
            let permits = |rule: &Permission| !narrows(&rule.target) && !rule.duties.iter().any(changes);
            !hides && policy.permissions.iter().all(permits) && !policy.obligations.iter().any(changes)
        })
    })
}

fn is_over_enough(duty: &Duty) -> bool {
    let mut conditions = duty.constraints.iter().chain(&duty.action.refinements);
    duty.action.id == meent::AGGREGATE_ONLY
        && conditions.any(|condition| {
            let Constraint::Atomic(atomic) = condition else {
                return false;
            };
            let least = match atomic.right_operands.as_slice() {
                [Term::Literal(literal)] => literal.value().trim().parse::<usize>().ok(),
                _ => None,
            };
            let enough = matches!(atomic.operator, Operator::Gteq | Operator::Gt);
            atomic.left_operand == meent::DISTINCT_DATA_SUBJECTS
                && enough
                && least.is_some_and(|least| least >= STORAGES_MIN)
        })
}

/// The documents below the relative containers, by storage, of those who consent to a use of that container.
fn by_storage(
    named: &NamedSnapshot<'_>,
    paths: &BTreeSet<String>,
    consenting: &[RoaringBitmap],
) -> BTreeMap<ResourceName, RoaringBitmap> {
    let mut storages: BTreeMap<ResourceName, RoaringBitmap> = BTreeMap::new();
    let Ok(everything) = ResourceName::parse("/") else {
        return storages;
    };
    for (name, document) in named.names.within(&everything) {
        let Some(root) = name.storage_root() else { continue };
        let below = name.as_str().get(root.as_str().len()..).unwrap_or_default();
        let storage = named.snapshot.document(document).map(|document| document.storage.0);
        let Some(storage) = storage.and_then(|storage| u32::try_from(storage).ok()) else {
            continue;
        };
        let mut places = paths.iter().zip(consenting);
        if places.any(|(path, consenting)| below.starts_with(path.as_str()) && consenting.contains(storage)) {
            storages.entry(root).or_default().insert(document.0);
        }
    }
    storages
}

/// What at least [`STORAGES_MIN`] storages have in common.
fn shared(snapshot: &Arc<IndexSnapshot>, storages: &BTreeMap<ResourceName, RoaringBitmap>) -> Summary {
    let mut properties: BTreeMap<(String, String, String), (usize, u64)> = BTreeMap::new();
    let mut classes: BTreeMap<String, (usize, u64)> = BTreeMap::new();
    let mut total = Summary::default();
    for documents in storages.values() {
        let one = View::new(Arc::clone(snapshot), documents, Predicates::default()).summary();
        total.documents += one.documents;
        total.distinct_subjects += one.distinct_subjects;
        for line in &one.properties {
            let key = (
                line.property.clone(),
                line.subject_authority.clone(),
                line.object_authority.clone(),
            );
            let (count, triples) = properties.entry(key).or_default();
            (*count, *triples) = (*count + 1, *triples + line.triples);
        }
        for line in &one.classes {
            let (count, instances) = classes.entry(line.class.clone()).or_default();
            (*count, *instances) = (*count + 1, *instances + line.instances);
        }
    }
    (total.documents, total.distinct_subjects) = (coarse(total.documents), coarse(total.distinct_subjects));
    for ((property, subject_authority, object_authority), (count, triples)) in properties {
        if count >= STORAGES_MIN {
            let triples = coarse(triples);
            total.triples += triples;
            total.properties.push(PropertyCount {
                property,
                subject_authority,
                object_authority,
                triples,
            });
        }
    }
    for (class, (count, instances)) in classes {
        if count >= STORAGES_MIN {
            let instances = coarse(instances);
            total.classes.push(ClassCount { class, instances });
        }
    }
    total
}

/// The power of ten at or above a count, so that one person more or less does not show.
fn coarse(count: u64) -> u64 {
    (0..20)
        .map(|zeros| 10_u64.saturating_pow(zeros))
        .find(|power| *power >= count)
        .unwrap_or(u64::MAX)
}

/// Two summaries of different documents as one.
fn joined(own: &Summary, mut other: Summary) -> Summary {
    other.triples += own.triples;
    other.documents += own.documents;
    other.distinct_subjects += own.distinct_subjects;
    other.properties.extend(own.properties.iter().cloned());
    other.classes.extend(own.classes.iter().cloned());
    other.sorted()
}
