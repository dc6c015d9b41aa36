//! The catalogue: what members offer, as they said it last. A snapshot is immutable; a crawl makes the next one and swaps it in whole.

pub mod crawl;
pub mod parse;
pub mod search;

use crate::config::MemberConfig;
use crate::member::{Foreign, MemberKind};
use crate::source::SourceDescription;
use crate::source::description::authority;
use arc_swap::ArcSwap;
use oxrdf::{Literal, NamedNode, Triple};
use policies::odrl::Policy;
use std::collections::BTreeMap;
use std::sync::Arc;
use time::OffsetDateTime;
use url::Url;
use vocab::{dcat, dcterms, rdf, void};

/// One dataset as its owner describes it.
#[derive(Debug, Clone)]
pub struct DatasetEntry {
    /// Its IRI.
    pub iri: String,
    /// Name of the member that serves it.
    pub member: String,
    /// Titles by language tag; the empty tag for none.
    pub titles: BTreeMap<String, String>,
    /// Descriptions by language tag.
    pub descriptions: BTreeMap<String, String>,
    /// Keywords in any language.
    pub keywords: Vec<String>,
    /// WebID or IRI of the publisher.
    pub publisher: Option<String>,
    /// Where it is queried.
    pub endpoint: Option<String>,
    /// Where an agreement is asked for.
    pub negotiation: Option<String>,
    /// Its offers.
    pub offers: Vec<Arc<Policy>>,
    /// Whether it may be asked without an agreement; of a member that is no pod server its terms tell.
    pub open: bool,
    /// Whether those without an agreement are not told that it could have contributed.
    pub silent: bool,
    /// What it says about its content.
    pub description: Arc<SourceDescription>,
    /// How it is asked, when its member is no pod server.
    pub foreign: Option<Foreign>,
}

/// One member as it was seen last.
#[derive(Debug, Clone)]
pub struct MemberState {
    /// What the registry says.
    pub config: MemberConfig,
    /// Validator of the last catalogue.
    pub etag: Option<String>,
    /// When its catalogue was last confirmed.
    pub confirmed: Option<OffsetDateTime>,
    /// Since when it could not be confirmed.
    pub stale_since: Option<OffsetDateTime>,
    /// Why not.
    pub error: Option<String>,
    /// What it offers; kept while it is stale.
    pub datasets: Vec<Arc<DatasetEntry>>,
    /// Its catalogue as published.
    pub triples: Arc<Vec<Triple>>,
}

impl MemberState {
    /// A member that was never seen. One that is no pod server is known at once: it is one dataset, named after its place.
    #[must_use]
    pub fn new(config: MemberConfig) -> Self {
        let place = config.place().filter(|_| config.kind() != MemberKind::Pod);
        let datasets = place.map(|place| Arc::new(foreign_dataset(&config, place)));
        let triples = place.map(|place| foreign_triples(&config, place)).unwrap_or_default();
        Self {
            config,
            etag: None,
            confirmed: None,
            stale_since: None,
            error: None,
            datasets: datasets.into_iter().collect(),
            triples: Arc::new(triples),
        }
    }
}

fn foreign_dataset(config: &MemberConfig, place: &Url) -> DatasetEntry {
    let publisher = config.terms.as_ref().and_then(|terms| terms.publisher.as_ref());
    DatasetEntry {
        iri: place.to_string(),
        member: config.name.clone(),
        titles: BTreeMap::from([(String::new(), config.name.clone())]),
        descriptions: BTreeMap::new(),
        keywords: Vec::new(),
        publisher: publisher.map(Url::to_string),
        endpoint: Some(place.to_string()),
        negotiation: None,
        offers: Vec::new(),
        open: config.terms.is_some(),
        silent: false,
        description: Arc::new(SourceDescription::unknown()),
        foreign: Some(Foreign::new(Arc::new(config.clone()))),
    }
}

/// What the catalogue says of a member that publishes none: what the registry knows.
fn foreign_triples(config: &MemberConfig, place: &Url) -> Vec<Triple> {
    let iri = |text: &str| NamedNode::new_unchecked(text);
    let dataset = iri(place.as_str());
    let mut triples = vec![
        Triple::new(dataset.clone(), iri(rdf::TYPE), iri(dcat::DATASET)),
        Triple::new(
            dataset.clone(),
            iri(dcterms::TITLE),
            Literal::from(config.name.as_str()),
        ),
    ];
    if config.kind() == MemberKind::Sparql {
        triples.push(Triple::new(
            dataset.clone(),
            iri(void::SPARQL_ENDPOINT),
            dataset.clone(),
        ));
    }
    if let Some(terms) = &config.terms {
        let licence = iri(terms.licence.as_str());
        triples.push(Triple::new(dataset.clone(), iri(dcterms::LICENSE), licence));
        if let Some(publisher) = &terms.publisher {
            triples.push(Triple::new(dataset, iri(dcterms::PUBLISHER), iri(publisher.as_str())));
        }
    }
    triples
}

/// Everything known about all members at one moment.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// By name.
    pub members: BTreeMap<String, Arc<MemberState>>,
    datasets: Vec<Arc<DatasetEntry>>,
}

impl Snapshot {
    /// A snapshot of these members, by name.
    #[must_use]
    pub fn of(members: BTreeMap<String, Arc<MemberState>>) -> Self {
        let datasets = members.values().flat_map(|member| member.datasets.iter().cloned());
        let mut datasets: Vec<Arc<DatasetEntry>> = datasets.collect();
        datasets.sort_by(|a, b| a.iri.cmp(&b.iri));
        datasets.dedup_by(|a, b| a.iri == b.iri);
        Self { members, datasets }
    }

    /// All datasets, in the order of their IRIs: neutral, and the same for everyone.
    #[must_use]
    pub fn datasets(&self) -> &[Arc<DatasetEntry>] {
        &self.datasets
    }

    /// The member on whose origins an IRI lies.
    #[must_use]
    pub fn speaker(&self, iri: &str) -> Option<&Arc<MemberState>> {
        self.members.values().find(|member| {
            let base = member.config.pod_server();
            base.is_some_and(|base| speaks_for(base.as_str(), self.others(&member.config.name), iri))
        })
    }

    /// Whether an agreement lies with the member whose dataset it is about.
    #[must_use]
    pub fn is_with_holder(&self, agreement: &str, dataset: &str) -> bool {
        self.speaker(dataset)
            .is_some_and(|holder| self.is_of(agreement, &holder.config.name))
    }

    /// Whether an IRI lies on the origins of a pod server, by its name.
    #[must_use]
    pub fn is_of(&self, iri: &str, member: &str) -> bool {
        let base = self.members.get(member).and_then(|member| member.config.pod_server());
        base.is_some_and(|base| speaks_for(base.as_str(), self.others(member), iri))
    }

    /// Where the members besides one are.
    pub fn others(&self, name: &str) -> impl Iterator<Item = &str> {
        let members = self.members.values().map(|member| &member.config);
        let others = members.filter(move |member| member.name != name);
        others.filter_map(MemberConfig::place).map(Url::as_str)
    }

    /// A dataset by IRI.
    #[must_use]
    pub fn dataset(&self, iri: &str) -> Option<Arc<DatasetEntry>> {
        self.members
            .values()
            .flat_map(|member| &member.datasets)
            .find(|dataset| dataset.iri == iri)
            .cloned()
    }
}

/// Whether an IRI lies on the origins of the member with a base URL: on that of the base URL, or on that of a storage, which is
/// one label below it. What lies on another member's origin is that member's, also where its host is below this one.
#[must_use]
pub fn speaks_for<'o>(base: &str, mut others: impl Iterator<Item = &'o str>, iri: &str) -> bool {
    let (own, asked) = (authority(base), authority(iri));
    if asked == own {
        return true;
    }
    let storage = own.split_once("://").and_then(|(scheme, host)| {
        let (asked_scheme, asked_host) = asked.split_once("://")?;
        let label = asked_host.strip_suffix(host)?.strip_suffix('.')?;
        let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        Some(scheme == asked_scheme && !label.is_empty() && label.bytes().all(plain))
    });
    storage.unwrap_or(false) && !others.any(|other| authority(other).eq_ignore_ascii_case(asked))
}

/// The catalogue in service.
#[derive(Debug, Default)]
pub struct Catalogue {
    current: ArcSwap<Snapshot>,
    changing: parking_lot::Mutex<()>,
}

impl Catalogue {
    /// A catalogue of these members, none of them seen yet.
    #[must_use]
    pub fn new(members: impl IntoIterator<Item = MemberConfig>) -> Self {
        let members = members
            .into_iter()
            .map(|config| (config.name.clone(), Arc::new(MemberState::new(config))))
            .collect();
        Self {
            current: ArcSwap::from_pointee(Snapshot::of(members)),
            changing: parking_lot::Mutex::new(()),
        }
    }

    /// The snapshot of this moment.
    #[must_use]
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// Replaces what is known about one member.
    pub fn replace(&self, state: MemberState) {
        let _one_at_a_time = self.changing.lock();
        let mut members = self.current.load().members.clone();
        members.insert(state.config.name.clone(), Arc::new(state));
        self.current.store(Arc::new(Snapshot::of(members)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// T67: a member speaks for its own origin and those of its storages, and for no other member's.
    #[test]
    fn members_speak_for_their_own_storages() {
        let others = ["https://brugge.data.example/", "https://other.example/"];
        let speaks = |iri: &str| speaks_for("https://data.example/", others.into_iter(), iri);
        for own in [
            "https://data.example/gent/.dataspace/datasets/a",
            "https://gent.data.example/.dataspace/datasets/a",
            "https://gent.data.example",
        ] {
            assert!(speaks(own), "{own}");
        }
        for foreign in [
            "https://brugge.data.example/.dataspace/datasets/a",
            "https://Brugge.data.example/.dataspace/datasets/a",
            "https://a.gent.data.example/x",
            "https://gent.data.example:8443/x",
            "http://gent.data.example/x",
            "https://evildata.example/x",
            "https://.data.example/x",
            "https://user@gent.data.example/x",
            "https://data.example.evil/x",
            "https://example/x",
            "https://other.example/x",
            "urn:data.example",
        ] {
            assert!(!speaks(foreign), "{foreign}");
        }
    }
}
