//! The policy information point: supplies the facts that a decision asks for (GLOSSARY: PIP).
//!
//! It reads policy documents without a proof, because deciding comes before every proof. It never lets their contents
//! out: facts go to `policies::decide` only.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use policies::audit::Document;
use policies::facts::{Fact, FactRequest};
use server_kit::clock::Clock;

use super::creators;
use super::dependency::Dependency;
use super::groups::{Groups, RemoteGroups};
use super::policy_epoch::PolicyEpoch;
use super::rules::Rules;
use crate::audit::Evidence;
use crate::config::AuthzSection;
use crate::dataspace::agreement;
use crate::ldp::document::Bounds;
use crate::name::ResourceName;
use crate::origins::Origins;
use crate::store::{Body, ReadPermit, Resource, Snapshot, Store, StoreError};

/// A fact that was asked for, with what it rests on.
pub type Supplied = (FactRequest, Fact, Option<Dependency>);

/// The policy information point of one server.
pub struct Pip {
    store: Arc<dyn Store>,
    origins: Origins,
    rules: Rules,
    groups: Groups,
    groups_max: u32,
    epoch: Arc<PolicyEpoch>,
    evidence: Evidence,
}

impl Pip {
    /// An information point over a store. Register [`Self::epoch`] as a listener of the store.
    pub fn new(
        store: Arc<dyn Store>,
        origins: Origins,
        bounds: AuthzSection,
        nesting_max: u32,
        clock: Arc<dyn Clock>,
        remote: Option<Arc<dyn RemoteGroups>>,
    ) -> Self {
        let epoch = Arc::new(PolicyEpoch::default());
        let reading = Bounds { nesting_max };
        let rules = Rules::new(
            Arc::clone(&store),
            origins.clone(),
            reading,
            (bounds.acl_cache_entries_max, bounds.access_control_resources_max),
            Arc::clone(&epoch),
        );
        Self {
            evidence: Evidence::new(Arc::clone(&store)),
            rules,
            groups_max: bounds.groups_max,
            groups: Groups::new(Arc::clone(&store), bounds, reading, clock, remote, Arc::clone(&epoch)),
            store,
            origins,
            epoch,
        }
    }

    /// The number under which decisions may be cached.
    #[must_use]
    pub fn epoch(&self) -> &Arc<PolicyEpoch> {
        &self.epoch
    }

    /// Where the documents are kept that recorded decisions rest on.
    #[must_use]
    pub fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// Keeps the states of documents with access rules that a decision rests on, so that its record can be replayed. A state
    /// that is gone meanwhile is left out: nothing is handed out under it any more.
    ///
    /// # Errors
    /// When the store fails.
    pub fn keep(&self, documents: &[Document]) -> Result<(), StoreError> {
        for document in documents
            .iter()
            .filter(|document| !self.evidence.is_kept(&document.kept))
        {
            let snapshot = self.records()?;
            let Some(name) = self.name_of(&document.iri) else {
                continue;
            };
            let Some(resource) = snapshot.resource(&name)? else {
                continue;
            };
            let bytes = read_all(&*snapshot, &resource)?;
            let root = name.storage_root();
            let root = root.as_ref().map_or("/", ResourceName::as_str);
            if Evidence::key(root, &bytes) == document.kept {
                self.evidence.keep(&*snapshot, root, &bytes)?;
            }
        }
        Ok(())
    }

    /// The name behind an IRI of this server.
    #[must_use]
    pub fn name_of(&self, iri: &str) -> Option<ResourceName> {
        let document = iri.split(['#', '?']).next().unwrap_or(iri);
        ResourceName::from_iri(document, &self.origins)
    }

    /// Answers requests for facts, all at once. `groups` counts the groups of one decision: those beyond the bound are
    /// unavailable.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn supply_all(&self, wanted: Vec<FactRequest>, groups: &mut u32) -> Result<Vec<Supplied>, StoreError> {
        let mut supplied = Vec::with_capacity(wanted.len());
        for request in wanted {
            let is_group = matches!(request, FactRequest::GroupMembers { .. });
            let within = !is_group || *groups < self.groups_max;
            *groups += u32::from(is_group);
            supplied.push(async move {
                if !within {
                    let fact = Fact::Unavailable("too many groups in one decision".to_owned());
                    return Ok((request, fact, None));
                }
                let (fact, dependency) = self.supply(&request).await?;
                Ok((request, fact, dependency))
            });
        }
        join_all(supplied).await.into_iter().collect()
    }

    /// Answers a request for a fact, with what the answer rests on. A fact of a kind that this point does not know is
    /// unavailable, which denies.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn supply(&self, request: &FactRequest) -> Result<(Fact, Option<Dependency>), StoreError> {
        match request {
            FactRequest::EffectiveAcl { resource } => {
                let Some(name) = self.name_of(resource) else {
                    return Ok((Fact::Absent, None));
                };
                let (fact, dependency) = self.effective_acl(&name)?;
                Ok((fact, Some(dependency)))
            }
            FactRequest::Owners { resource } => self.owners(resource),
            FactRequest::Creators { resource } => self.creators(resource),
            FactRequest::GroupMembers { group } => match self.name_of(group) {
                Some(name) => {
                    let (fact, dependency) = self.groups.here(group, name)?;
                    Ok((fact, Some(dependency)))
                }
                // Never asked over the network: what lies on this server is here or nowhere.
                None if self.origins.hold(group) => Ok((Fact::Absent, None)),
                None => Ok((self.groups.elsewhere(group).await, Some(Dependency::RemoteGroup))),
            },
            // Read anew at each decision, so that an agreement that ended counts from the next one (invariant 8).
            FactRequest::Agreement { id } => Ok((agreement::fact(&*self.records()?, &self.origins, id), None)),
            FactRequest::Dataset { id } => {
                let fact = agreement::dataset_fact(&*self.records()?, &self.origins, id);
                Ok((fact, None))
            }
            // This node knows no purposes beyond the built-in ones.
            FactRequest::Purposes => Ok((Fact::Absent, None)),
        }
    }

    /// The compiled rules that govern a resource.
    ///
    /// # Errors
    /// When the store fails.
    pub fn effective_acl(&self, name: &ResourceName) -> Result<(Fact, Dependency), StoreError> {
        self.rules.effective(name)
    }

    /// The owner of the storage that a resource lies in.
    fn owners(&self, resource: &str) -> Result<(Fact, Option<Dependency>), StoreError> {
        let Some(root) = self.name_of(resource).and_then(|name| name.storage_root()) else {
            return Ok((Fact::Absent, None));
        };
        let found = self.records()?.storage(&root)?.map(|storage| storage.owner);
        let fact = match &found {
            Some(owner) => Fact::People(Arc::new(vec![owner.clone()])),
            None => Fact::Absent,
        };
        Ok((fact, Some(Dependency::Owner { root, found })))
    }

    /// Who made a resource: nobody if it does not exist, unavailable if that was not recorded.
    fn creators(&self, resource: &str) -> Result<(Fact, Option<Dependency>), StoreError> {
        let Some(subject) = self.name_of(resource) else {
            return Ok((Fact::Absent, None));
        };
        let snapshot = self.records()?;
        let found = snapshot.resource(&subject)?.map(|resource| resource.id);
        let fact = match found {
            None => Fact::Absent,
            Some(id) => creators::creator(snapshot.as_ref(), id)?,
        };
        Ok((fact, Some(Dependency::Identity { subject, found })))
    }

    fn records(&self) -> Result<Box<dyn Snapshot + Send + '_>, StoreError> {
        self.store.snapshot(ReadPermit::without_proof(
            "the information point reads what decisions rest on: agreements, datasets, owners and creators",
        ))
    }
}

/// All bytes of a resource. Policy documents are small; their bound was kept on the way in.
pub(crate) fn read_all(snapshot: &dyn Snapshot, resource: &Resource) -> Result<Bytes, StoreError> {
    match snapshot.body(resource)? {
        Body::Bytes(bytes) => Ok(bytes),
        Body::File { path, .. } => Ok(Bytes::from(std::fs::read(path)?)),
    }
}
