//! Keeps the index equal to the store: builds it at the start and then follows the outbox by sequence number.
//!
//! A document that cannot be parsed is left out and reported; nothing that a document holds can stop the follower.

use std::sync::Arc;
use std::time::{Duration, Instant};

use oxrdf::NamedNode;

use super::read::{UnreadableDocument, triples};
use super::{Change, Index, IndexFailure, Mentions, Names, Writer};
use crate::name::{Auxiliary, ResourceName};
use crate::store::{self, ReadPermit, Resource, ResourceKind, Sequence, Snapshot, Store, StoreError};

/// Triples that are sorted together during a build.
const BUILD_TRIPLES: usize = 400_000;
/// Resources that are fetched together during a build.
const BUILD_RESOURCES: usize = 1_000;
/// Wait before another try after the store failed.
const RETRY: Duration = Duration::from_secs(1);

/// Why a step of following did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The index cannot take more.
    #[error(transparent)]
    Index(#[from] IndexFailure),
}

/// Follows a store on behalf of an index.
pub struct Follower {
    index: Arc<Index>,
    store: Arc<dyn Store>,
    base_url: String,
}

impl Follower {
    /// A follower; `base_url` is the origin under which resource names are IRIs.
    #[must_use]
    pub fn new(index: Arc<Index>, store: Arc<dyn Store>, base_url: impl Into<String>) -> Self {
        Self {
            index,
            store,
            base_url: base_url.into(),
        }
    }

    /// Builds the index and follows the store on a thread of its own until the store stops or `stop` is set. Call it
    /// inside a runtime.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn spawn(self, stop: tokio::sync::watch::Receiver<bool>) -> std::io::Result<std::thread::JoinHandle<()>> {
        let runtime = tokio::runtime::Handle::current();
        std::thread::Builder::new()
            .name("index".to_owned())
            .spawn(move || self.run(&runtime, stop))
    }

    fn run(&self, runtime: &tokio::runtime::Handle, mut stop: tokio::sync::watch::Receiver<bool>) {
        let mut commits = self.store.watch();
        let mut applied = None;
        let interval = Duration::from_millis(self.index.limits().step_interval_ms);
        let mut last_step: Option<Instant> = None;
        while !*stop.borrow() {
            let early = last_step.map_or(Duration::ZERO, |last| interval.saturating_sub(last.elapsed()));
            if !early.is_zero() {
                runtime.block_on(async {
                    tokio::select! {
                        () = tokio::time::sleep(early) => {}
                        _ = stop.changed() => {}
                    }
                });
            }
            last_step = Some(Instant::now());
            let step = match applied {
                Some(sequence) if !self.index.wants_rebuild() => self.catch_up(sequence),
                _ => self.build(),
            };
            match step {
                Ok(sequence) => applied = Some(sequence),
                Err(FollowError::Store(StoreError::Stopped)) => return,
                Err(FollowError::Index(failure)) => {
                    self.index.mark_incomplete(failure.to_string());
                    return;
                }
                Err(FollowError::Store(error)) => {
                    tracing::error!(%error, "the index could not read the store; it tries again");
                    runtime.block_on(async {
                        tokio::select! {
                            () = tokio::time::sleep(RETRY) => {}
                            _ = stop.changed() => {}
                        }
                    });
                    continue;
                }
            }
            let behind = applied.is_none_or(|applied| applied < *commits.borrow_and_update());
            if !behind {
                let open = runtime.block_on(async {
                    tokio::select! {
                        changed = commits.changed() => changed.is_ok(),
                        changed = stop.changed() => changed.is_ok(),
                    }
                });
                if !open {
                    return;
                }
            }
        }
    }

    /// Builds the index from every resource of the store and returns the commit whose state it then has.
    ///
    /// # Errors
    /// [`FollowError`]; the index keeps its former contents.
    pub fn build(&self) -> Result<Sequence, FollowError> {
        let started = Instant::now();
        let snapshot = self.store.snapshot(permit())?;
        let sequence = snapshot.sequence()?;
        let mut writer = Writer::new(self.index.limits().triples_max);
        let mut names = Names::default();
        let mut changes = Vec::new();
        let mut pending = 0;
        let mut after: Option<ResourceName> = None;
        let root = ResourceName::parse("/").map_err(|error| StoreError::Damaged(error.to_string()))?;
        loop {
            let resources = snapshot.descendants(&root, after.as_ref(), BUILD_RESOURCES)?;
            let Some(last) = resources.last() else {
                break;
            };
            after = Some(last.name.clone());
            for resource in resources {
                let change = self.state_of(&*snapshot, resource)?;
                if let Some(Change::Put { triples, .. }) = &change {
                    pending += triples.len();
                }
                changes.extend(change);
            }
            if pending >= BUILD_TRIPLES {
                let staged = writer.stage(std::mem::take(&mut changes))?;
                writer.commit(staged, &mut names);
                pending = 0;
            }
        }
        let staged = writer.stage(changes)?;
        writer.commit(staged, &mut names);
        self.index.install(writer, names, sequence);
        let size = self.index.size();
        tracing::info!(
            documents = size.documents,
            triples = size.rows,
            bytes = size.bytes,
            seconds = started.elapsed().as_secs_f64(),
            "the index is built"
        );
        Ok(sequence)
    }

    /// Applies the events after a commit and returns the commit whose state the index then has.
    ///
    /// # Errors
    /// [`FollowError`]; the index keeps the state that it had.
    pub fn catch_up(&self, applied: Sequence) -> Result<Sequence, FollowError> {
        let snapshot = self.store.snapshot(permit())?;
        let events = snapshot.events(applied, self.index.limits().events_per_step_max)?;
        let Some(last) = events.last() else {
            // Commits without events of their own still count: whoever waits for them sees their state.
            let sequence = snapshot.sequence()?;
            if sequence > applied {
                self.index.apply(Vec::new(), sequence)?;
            }
            return Ok(sequence.max(applied));
        };
        let sequence = last.sequence;
        let mut changes = Vec::with_capacity(events.len());
        for event in &events {
            match &event.change {
                store::Change::Created { id, name } | store::Change::Updated { id, name } => {
                    match snapshot.resource_by_id(*id)? {
                        Some(resource) => {
                            let indexed = self.index.named().names.version(*id);
                            if indexed.is_none_or(|(_, version)| version != resource.version) {
                                let put = self.state_of(&*snapshot, resource)?;
                                changes.push(put.unwrap_or(Change::Remove { resource: *id }));
                            }
                        }
                        None => changes.push(removal(*id, name)),
                    }
                }
                store::Change::Deleted { id, name } => changes.push(removal(*id, name)),
                store::Change::Record { .. } => {}
            }
        }
        self.index.apply(changes, sequence)?;
        Ok(sequence)
    }

    /// What the index should hold of a resource; none for what is not RDF.
    fn state_of(&self, snapshot: &dyn Snapshot, resource: Resource) -> Result<Option<Change>, StoreError> {
        if let Some((subject, Auxiliary::Acl)) = resource.name.auxiliary_subject() {
            return Ok(Some(Change::PutList {
                subject,
                list: resource.id,
                version: resource.version,
                mentions: self.mentions(snapshot, &resource)?,
            }));
        }
        if resource.kind == ResourceKind::NonRdfSource || resource.size == 0 {
            return Ok(None);
        }
        let iri = resource.name.iri(&self.base_url);
        let body = snapshot.body(&resource)?;
        let limit = self.index.limits().document_bytes_max;
        let triples = match triples(&body, &resource.media_type, &iri, limit) {
            Ok(triples) => triples,
            Err(UnreadableDocument::File(error)) => return Err(error.into()),
            Err(error) => {
                tracing::warn!(name = %resource.name, %error, "a document is not in the index");
                metrics::counter!("index_documents_unreadable_total").increment(1);
                return Ok(None);
            }
        };
        Ok(Some(Change::Put {
            resource: resource.id,
            storage: resource.storage,
            name: resource.name,
            version: resource.version,
            graph: NamedNode::new_unchecked(iri),
            triples,
        }))
    }
}

impl Follower {
    /// Whom a list names. A list that cannot be read gives nobody anything, so it names nobody.
    fn mentions(&self, snapshot: &dyn Snapshot, list: &Resource) -> Result<Mentions, StoreError> {
        let body = snapshot.body(list)?;
        let iri = list.name.iri(&self.base_url);
        let limit = self.index.limits().document_bytes_max;
        match triples(&body, &list.media_type, &iri, limit) {
            Ok(triples) => Ok(Mentions::of(&triples)),
            Err(UnreadableDocument::File(error)) => Err(error.into()),
            Err(_) => Ok(Mentions::default()),
        }
    }
}

const fn permit() -> ReadPermit {
    ReadPermit::without_proof("the index reads every document; authz decides which of them a query sees")
}

fn removal(resource: store::ResourceId, name: &ResourceName) -> Change {
    match name.auxiliary_subject() {
        Some((subject, Auxiliary::Acl)) => Change::RemoveList { subject },
        _ => Change::Remove { resource },
    }
}
