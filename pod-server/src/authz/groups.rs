//! The members of groups (WAC §4.3, solid#72). A group document of this server is read from the store, never over HTTP, and
//! its state is what a decision depends on; one of another server is fetched through the egress guard and counts for a
//! bounded time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use oxrdf::{NamedOrBlankNode, Term};
use policies::facts::Fact;
use quick_cache::sync::Cache;
use server_kit::clock::Clock;

use super::dependency::Dependency;
use super::pip::read_all;
use super::policy_epoch::PolicyEpoch;
use crate::config::AuthzSection;
use crate::http::media_type::stored_syntax;
use crate::ldp::document::{self, Bounds};
use crate::name::ResourceName;
use crate::store::{ReadPermit, ResourceId, Sequence, Store, StoreError};

const READ_REASON: &str = "the information point reads group documents, which decisions rest on";
const HAS_MEMBER: &str = vocab::vcard::HAS_MEMBER;

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

/// IRIs of the members.
type Members = Arc<BTreeSet<String>>;

/// Group documents, here and elsewhere.
pub(super) struct Groups {
    store: Arc<dyn Store>,
    bounds: AuthzSection,
    reading: Bounds,
    clock: Arc<dyn Clock>,
    remote: Option<Arc<dyn RemoteGroups>>,
    epoch: Arc<PolicyEpoch>,
    here: Cache<(ResourceId, Sequence, String), Members>,
    elsewhere: Cache<String, Arc<Fetched>>,
}

/// What a fetch gave, and when.
struct Fetched {
    /// Unix seconds.
    at: i64,
    /// None if the document could not be read.
    members: Option<Members>,
}

impl Groups {
    pub(super) fn new(
        store: Arc<dyn Store>,
        bounds: AuthzSection,
        reading: Bounds,
        clock: Arc<dyn Clock>,
        remote: Option<Arc<dyn RemoteGroups>>,
        epoch: Arc<PolicyEpoch>,
    ) -> Self {
        Self {
            here: Cache::new(bounds.group_cache_entries_max),
            elsewhere: Cache::new(bounds.group_cache_entries_max),
            store,
            bounds,
            reading,
            clock,
            remote,
            epoch,
        }
    }

    /// The members of a group whose document is on this server.
    pub(super) fn here(&self, group: &str, name: ResourceName) -> Result<(Fact, Dependency), StoreError> {
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
                let key = (resource.id, resource.version, group.to_owned());
                if let Some(members) = self.here.get(&key) {
                    Fact::Members(members)
                } else {
                    let bytes = read_all(snapshot.as_ref(), &resource)?;
                    match self.members(&bytes, &resource.media_type, group) {
                        Ok(members) => {
                            let members = Arc::new(members);
                            self.here.insert(key, Arc::clone(&members));
                            Fact::Members(members)
                        }
                        Err(reason) => Fact::Unavailable(reason),
                    }
                }
            }
        };
        Ok((fact, Dependency::Group { document: name, found }))
    }

    /// The members of a group of another server. It counts for a bounded time; what cannot be fetched has no members, for
    /// the same time (T18). However many ask at once, it is fetched once.
    pub(super) async fn elsewhere(&self, group: &str) -> Fact {
        let now = self.clock.unix();
        let lifetime = i64::try_from(self.bounds.group_cache_seconds).unwrap_or(i64::MAX);
        let old = |fetched: &Arc<Fetched>| now.saturating_sub(fetched.at) >= lifetime;
        if self.elsewhere.get(group).is_some_and(|fetched| old(&fetched)) {
            self.elsewhere.remove_if(group, old);
        }
        let fetched = match self.elsewhere.get_value_or_guard_async(group).await {
            Ok(fetched) => fetched,
            Err(first) => {
                let members = self.fetch(group).await.map(Arc::new);
                let members = members
                    .inspect_err(|reason| tracing::warn!(%group, %reason, "a remote group could not be read"))
                    .ok();
                let fetched = Arc::new(Fetched { at: now, members });
                // If the entry was taken out meanwhile, the next decision fetches again.
                let _ = first.insert(Arc::clone(&fetched));
                fetched
            }
        };
        match &fetched.members {
            Some(members) => Fact::Members(Arc::clone(members)),
            None => Fact::Unavailable(format!("the group `{group}` could not be read")),
        }
    }

    async fn fetch(&self, group: &str) -> Result<BTreeSet<String>, String> {
        let remote = self.remote.as_ref().ok_or("remote groups are turned off")?;
        let document = group.split('#').next().unwrap_or(group);
        let time_max = Duration::from_millis(self.bounds.group_fetch_milliseconds_max);
        let (bytes, media_type) = remote.fetch(document, self.bounds.group_bytes_max, time_max).await?;
        self.members(&bytes, &media_type, group)
    }

    fn members(&self, bytes: &[u8], media_type: &str, group: &str) -> Result<BTreeSet<String>, String> {
        let syntax = stored_syntax(media_type).ok_or("the group document is not RDF")?;
        let base = group.split('#').next().unwrap_or(group);
        let document = document::parse(bytes, syntax, base, self.reading).map_err(|error| error.to_string())?;
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
