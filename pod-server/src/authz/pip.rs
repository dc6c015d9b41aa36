//! The policy information point: supplies the facts that a decision asks for (GLOSSARY: PIP).
//!
//! It reads policy documents without a proof, because deciding comes before every proof. It never lets their contents
//! out: facts go to `policies::decide` only.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use oxrdf::{NamedOrBlankNode, Term};
use policies::facts::{EffectiveAcl, Fact, FactRequest};
use policies::wac::Acl;
use quick_cache::sync::Cache;
use server_kit::clock::Clock;

use super::dependency::Dependency;
use super::policy_epoch::PolicyEpoch;
use crate::config::AuthzSection;
use crate::dataspace::agreement;
use crate::http::media_type::{Syntax, stored_syntax};
use crate::ldp::document;
use crate::name::{Auxiliary, ResourceName};
use crate::store::{Body, ReadPermit, Resource, ResourceId, Sequence, Snapshot, Store, StoreError};

const READ_REASON: &str = "the information point reads policy documents, which every decision rests on";
const HAS_MEMBER: &str = "http://www.w3.org/2006/vcard/ns#hasMember";

/// Fetches group documents of other servers.
pub trait RemoteGroups: Send + Sync {
    /// The bytes and the media type of a document, within bounds; the error says why there are none.
    fn fetch<'f>(
        &'f self,
        document: &'f str,
        bytes_max: u64,
        time_max: Duration,
    ) -> futures_util::future::BoxFuture<'f, Result<(Bytes, String), String>>;
}

/// The policy information point of one server.
pub struct Pip {
    store: Arc<dyn Store>,
    base_url: Arc<str>,
    bounds: AuthzSection,
    nesting_max: u32,
    clock: Arc<dyn Clock>,
    remote: Option<Arc<dyn RemoteGroups>>,
    epoch: Arc<PolicyEpoch>,
    effective: Cache<ResourceName, Arc<CachedAcl>>,
    compiled: Cache<(ResourceId, Sequence), Arc<Compiled>>,
    groups: Cache<String, Arc<CachedGroup>>,
}

struct CachedAcl {
    epoch: u64,
    fact: Fact,
    dependency: Dependency,
}

enum Compiled {
    Sound(Arc<Acl>),
    Broken(String),
}

struct CachedGroup {
    /// Unix seconds at which it was fetched.
    fetched: i64,
    members: Option<Arc<BTreeSet<String>>>,
}

impl Pip {
    /// An information point over a store. Register [`Self::epoch`] as a listener of the store.
    pub fn new(
        store: Arc<dyn Store>,
        base_url: Arc<str>,
        bounds: AuthzSection,
        nesting_max: u32,
        clock: Arc<dyn Clock>,
        remote: Option<Arc<dyn RemoteGroups>>,
    ) -> Self {
        Self {
            effective: Cache::new(bounds.acl_cache_entries_max),
            compiled: Cache::new(bounds.acl_cache_entries_max),
            groups: Cache::new(bounds.group_cache_entries_max),
            epoch: Arc::new(PolicyEpoch::default()),
            store,
            base_url,
            bounds,
            nesting_max,
            clock,
            remote,
        }
    }

    /// The number under which decisions may be cached.
    #[must_use]
    pub fn epoch(&self) -> &Arc<PolicyEpoch> {
        &self.epoch
    }

    /// The name behind an IRI of this server.
    #[must_use]
    pub fn name_of(&self, iri: &str) -> Option<ResourceName> {
        let path = iri.strip_prefix(self.base_url.trim_end_matches('/'))?;
        let path = path.split(['#', '?']).next().unwrap_or(path);
        ResourceName::parse(path).ok()
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
            FactRequest::GroupMembers { group } => self.group(group).await,
            // Read anew at each decision, so that an agreement that ended counts from the next one (invariant 8).
            FactRequest::Agreement { id } => Ok((agreement::fact(&*self.records()?, id), None)),
            FactRequest::Dataset { id } => {
                let fact = agreement::dataset_fact(&*self.records()?, &self.base_url, id);
                Ok((fact, None))
            }
            // This node knows no purposes beyond the built-in ones.
            FactRequest::Purposes => Ok((Fact::Absent, None)),
        }
    }

    fn records(&self) -> Result<Box<dyn Snapshot + Send + '_>, StoreError> {
        self.store.snapshot(ReadPermit::without_proof(
            "the information point reads agreements and datasets",
        ))
    }

    /// The compiled list that governs a resource.
    ///
    /// # Errors
    /// When the store fails.
    pub fn effective_acl(&self, name: &ResourceName) -> Result<(Fact, Dependency), StoreError> {
        let epoch = self.epoch.now();
        if let Some(cached) = self.effective.get(name)
            && cached.epoch == epoch
        {
            return Ok((cached.fact.clone(), cached.dependency.clone()));
        }
        let snapshot = self.store.snapshot(ReadPermit::without_proof(READ_REASON))?;
        let (fact, dependency) = self.effective_acl_in(snapshot.as_ref(), name)?;
        self.effective.insert(
            name.clone(),
            Arc::new(CachedAcl {
                epoch,
                fact: fact.clone(),
                dependency: dependency.clone(),
            }),
        );
        Ok((fact, dependency))
    }

    fn effective_acl_in(&self, snapshot: &dyn Snapshot, name: &ResourceName) -> Result<(Fact, Dependency), StoreError> {
        let found = snapshot.effective_acl(name)?;
        let dependency = Dependency::EffectiveAcl {
            subject: name.clone(),
            found: found.as_ref().map(|(_, acl)| (acl.id, acl.version)),
        };
        let Some((holder, acl)) = found else {
            return Ok((Fact::Absent, dependency));
        };
        let fact = match &*self.compile(snapshot, &holder, &acl)? {
            Compiled::Broken(reason) => Fact::AclBroken(reason.clone()),
            Compiled::Sound(compiled) => Fact::Acl(EffectiveAcl {
                acl: Arc::clone(compiled),
                holder: holder.iri(&self.base_url),
                inherited: holder != *name,
            }),
        };
        Ok((fact, dependency))
    }

    fn compile(
        &self,
        snapshot: &dyn Snapshot,
        holder: &ResourceName,
        acl: &Resource,
    ) -> Result<Arc<Compiled>, StoreError> {
        let key = (acl.id, acl.version);
        if let Some(compiled) = self.compiled.get(&key) {
            return Ok(compiled);
        }
        let base = holder.auxiliary(Auxiliary::Acl).iri(&self.base_url);
        let bytes = read_all(snapshot, acl)?;
        let compiled = Arc::new(match compile_acl(&bytes, &acl.media_type, &base, self.nesting_max) {
            Ok(compiled) => Compiled::Sound(Arc::new(compiled)),
            Err(reason) => {
                tracing::error!(acl = %base, %reason, "an access control list cannot be understood: access is denied");
                Compiled::Broken(reason)
            }
        });
        self.compiled.insert(key, Arc::clone(&compiled));
        Ok(compiled)
    }

    async fn group(&self, group: &str) -> Result<(Fact, Option<Dependency>), StoreError> {
        match self.name_of(group) {
            Some(name) => self.local_group(group, name),
            None => Ok((self.remote_group(group).await, Some(Dependency::RemoteGroup))),
        }
    }

    fn local_group(&self, group: &str, name: ResourceName) -> Result<(Fact, Option<Dependency>), StoreError> {
        self.epoch.follow_group(&name);
        let snapshot = self.store.snapshot(ReadPermit::without_proof(READ_REASON))?;
        let resource = snapshot.resource(&name)?;
        let found = resource.as_ref().map(|resource| (resource.id, resource.version));
        let fact = match resource {
            None => Fact::Absent,
            Some(resource) if resource.size > self.bounds.group_bytes_max => {
                Fact::Unavailable(format!("the group document `{name}` is too large"))
            }
            Some(resource) => {
                let bytes = read_all(snapshot.as_ref(), &resource)?;
                match self.members(&bytes, &resource.media_type, group) {
                    Ok(members) => Fact::Members(Arc::new(members)),
                    Err(reason) => Fact::Unavailable(reason),
                }
            }
        };
        Ok((fact, Some(Dependency::Group { document: name, found })))
    }

    /// A remote group counts for a bounded time; what cannot be fetched has no members, for the same time (T18).
    async fn remote_group(&self, group: &str) -> Fact {
        let now = self.clock.unix();
        let lifetime = i64::try_from(self.bounds.group_cache_seconds).unwrap_or(i64::MAX);
        if let Some(cached) = self.groups.get(group)
            && now.saturating_sub(cached.fetched) < lifetime
        {
            return match &cached.members {
                Some(members) => Fact::Members(Arc::clone(members)),
                None => Fact::Unavailable(format!("the group `{group}` could not be read")),
            };
        }
        let members = match self.fetch_group(group).await {
            Ok(members) => Some(Arc::new(members)),
            Err(reason) => {
                tracing::warn!(%group, %reason, "a remote group could not be read");
                None
            }
        };
        self.groups.insert(
            group.to_owned(),
            Arc::new(CachedGroup {
                fetched: now,
                members: members.clone(),
            }),
        );
        match members {
            Some(members) => Fact::Members(members),
            None => Fact::Unavailable(format!("the group `{group}` could not be read")),
        }
    }

    async fn fetch_group(&self, group: &str) -> Result<BTreeSet<String>, String> {
        let remote = self.remote.as_ref().ok_or("remote groups are turned off")?;
        let document = group.split('#').next().unwrap_or(group);
        let time_max = Duration::from_millis(self.bounds.group_fetch_milliseconds_max);
        let (bytes, media_type) = remote.fetch(document, self.bounds.group_bytes_max, time_max).await?;
        self.members(&bytes, &media_type, group)
    }

    fn members(&self, bytes: &[u8], media_type: &str, group: &str) -> Result<BTreeSet<String>, String> {
        let syntax = stored_syntax(media_type).ok_or("the group document is not RDF")?;
        let base = group.split('#').next().unwrap_or(group);
        let bounds = document::Bounds {
            nesting_max: self.nesting_max,
        };
        let document = document::parse(bytes, syntax, base, bounds).map_err(|error| error.to_string())?;
        Ok(document
            .quads
            .into_iter()
            .filter(|quad| quad.predicate.as_str() == HAS_MEMBER)
            .filter(|quad| matches!(&quad.subject, NamedOrBlankNode::NamedNode(node) if node.as_str() == group))
            .filter_map(|quad| match quad.object {
                Term::NamedNode(member) => Some(member.into_string()),
                _ => None,
            })
            .collect())
    }
}

/// Compiles an access control list in any RDF syntax.
///
/// # Errors
/// Says in words what is wrong.
pub fn compile_acl(bytes: &[u8], media_type: &str, base: &str, nesting_max: u32) -> Result<Acl, String> {
    let syntax = stored_syntax(media_type).ok_or_else(|| format!("`{media_type}` is not RDF"))?;
    let bounds = document::Bounds { nesting_max };
    document::check(bytes, syntax, base, bounds).map_err(|error| error.to_string())?;
    if syntax == Syntax::Turtle {
        return Acl::parse(bytes, base).map_err(|error| error.to_string());
    }
    let turtle = document::convert(bytes, syntax, Syntax::Turtle, base, bounds).map_err(|error| error.to_string())?;
    Acl::parse(&turtle, base).map_err(|error| error.to_string())
}

/// All bytes of a resource. Policy documents are small; their bound was kept on the way in.
pub(crate) fn read_all(snapshot: &dyn Snapshot, resource: &Resource) -> Result<Bytes, StoreError> {
    match snapshot.body(resource)? {
        Body::Bytes(bytes) => Ok(bytes),
        Body::File { path, .. } => Ok(Bytes::from(std::fs::read(path)?)),
    }
}
