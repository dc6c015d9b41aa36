//! Keeps the index equal to the store: builds it at the start and then follows the outbox by sequence number.
//!
//! A document that cannot be parsed is left out and reported; nothing that a document holds can stop the follower.

use std::sync::Arc;
use std::time::{Duration, Instant};

use oxrdf::NamedNode;
use rustc_hash::FxHashSet;

use super::read::{UnreadableDocument, triples};
use super::{Change, Index, IndexFailure, Mentions, Names, Writer};
use crate::name::{Auxiliary, ResourceName};
use crate::origins::Origins;
use crate::store::{self, ReadPermit, Resource, ResourceKind, Sequence, Snapshot, Store, StoreError};

/// Triples that are sorted together during a build. Until then they are in memory as text.
const BUILD_TRIPLES: usize = 100_000;
/// Resources that are fetched together during a build.
const BUILD_RESOURCES: usize = 1_000;
/// Wait before another try after the store failed.
const RETRY: Duration = Duration::from_secs(1);
/// How many times as long as a step took the pause after it is.
const PAUSE_SHARE: u32 = 3;

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
    origins: Origins,
}

impl Follower {
    /// A follower; `origins` is the origin under which resource names are IRIs. From now on the index hears which commits it
    /// has to follow.
    #[must_use]
    pub fn new(index: Arc<Index>, store: Arc<dyn Store>, origins: Origins) -> Self {
        store.listen(Arc::clone(&index) as _);
        Self { index, store, origins }
    }

    /// Builds the index, at once or when it is wanted, and follows the store on a thread of its own until the store stops
    /// or `stop` is set. Call it inside a runtime.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn spawn(self, stop: tokio::sync::watch::Receiver<bool>) -> std::io::Result<std::thread::JoinHandle<()>> {
        if self.begins_at_start() {
            self.index.want();
        }
        let runtime = tokio::runtime::Handle::current();
        std::thread::Builder::new()
            .name("index".to_owned())
            .spawn(move || self.run(&runtime, stop))
    }

    /// Whether the store is small enough for an index that nobody has asked for yet.
    fn begins_at_start(&self) -> bool {
        let resources = self
            .store
            .snapshot(permit())
            .and_then(|snapshot| snapshot.resources_ever());
        // A store that does not answer is tried again by whoever builds.
        resources.map_or(true, |resources| {
            resources <= self.index.limits().build_at_start_resources_max
        })
    }

    fn run(&self, runtime: &tokio::runtime::Handle, mut stop: tokio::sync::watch::Receiver<bool>) {
        if !self.index.is_wanted() {
            tracing::info!("the index is built when it is asked for");
            runtime.block_on(async {
                tokio::select! {
                    () = self.index.wanted() => {}
                    _ = stop.changed() => {}
                }
            });
        }
        let mut commits = self.store.watch();
        let mut applied = None;
        let mut pause = Pause::default();
        while !*stop.borrow() {
            pause.sleep(runtime, &self.index, &mut stop);
            let began = Instant::now();
            let ends = || *stop.borrow();
            let step = match applied {
                Some(sequence) if !self.index.wants_rebuild() => self.follow_unless(sequence, ends),
                _ => self.build_unless(ends).map(|sequence| (sequence, false)),
            };
            match step {
                Ok((sequence, more)) => {
                    applied = Some(sequence);
                    pause.after(began, more);
                }
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
        self.build_unless(|| false)
    }

    /// As [`Self::build`], given up with [`StoreError::Stopped`] as soon as the server is to end.
    fn build_unless(&self, ends: impl Fn() -> bool) -> Result<Sequence, FollowError> {
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
                if ends() {
                    return Err(StoreError::Stopped.into());
                }
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
        self.follow_unless(applied, || false).map(|(sequence, _)| sequence)
    }

    /// As [`Self::catch_up`], given up with [`StoreError::Stopped`] as soon as the server is to end; tells also whether there
    /// were more events than one step takes.
    fn follow_unless(&self, applied: Sequence, ends: impl Fn() -> bool) -> Result<(Sequence, bool), FollowError> {
        let snapshot = self.store.snapshot(permit())?;
        let events = snapshot.events(applied, self.index.limits().events_per_step_max)?;
        let Some(last) = events.last() else {
            // Commits without events of their own still count: whoever waits for them sees their state.
            let sequence = snapshot.sequence()?;
            if sequence > applied {
                self.index.apply(Vec::new(), sequence)?;
            }
            return Ok((sequence.max(applied), false));
        };
        let sequence = last.sequence;
        let more = events.len() >= self.index.limits().events_per_step_max;
        let mut changes = Vec::with_capacity(events.len());
        // A container has an event for each of its members; all of them tell of the one state in this view.
        let mut seen = FxHashSet::default();
        for event in &events {
            if ends() {
                return Err(StoreError::Stopped.into());
            }
            match &event.change {
                store::Change::Created { id, .. } | store::Change::Updated { id, .. } if !seen.insert(*id) => {}
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
        Ok((sequence, more))
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
        let iri = resource.name.iri(&self.origins);
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
        let iri = list.name.iri(&self.origins);
        let limit = self.index.limits().document_bytes_max;
        match triples(&body, &list.media_type, &iri, limit) {
            Ok(triples) => Ok(Mentions::of(&triples)),
            Err(UnreadableDocument::File(error)) => Err(error.into()),
            Err(_) => Ok(Mentions::default()),
        }
    }
}

/// The time between two steps.
#[derive(Default)]
struct Pause {
    /// When the last step began.
    began: Option<Instant>,
    /// How long it took; none when there is more to do at once.
    took: Option<Duration>,
}

impl Pause {
    /// A step was done.
    fn after(&mut self, began: Instant, more: bool) {
        self.began = Some(began);
        self.took = (!more).then(|| began.elapsed());
    }

    /// Waits for the least time between steps, and then, unless somebody waits for a commit, until the last step was a
    /// small part of the time since it began.
    fn sleep(&self, runtime: &tokio::runtime::Handle, index: &Index, stop: &mut tokio::sync::watch::Receiver<bool>) {
        let Some(began) = self.began else { return };
        let limits = index.limits();
        let soonest = began + Duration::from_millis(limits.step_interval_ms);
        let pause_max = Duration::from_millis(limits.pause_ms_max);
        let end = self.took.map_or(soonest, |took| {
            (began + took + (took * PAUSE_SHARE).min(pause_max)).max(soonest)
        });
        if end <= Instant::now() {
            return;
        }
        runtime.block_on(async {
            let paused = async {
                tokio::time::sleep_until(soonest.into()).await;
                tokio::select! {
                    () = tokio::time::sleep_until(end.into()) => {}
                    () = index.hurried() => {}
                }
            };
            tokio::select! {
                () = paused => {}
                _ = stop.changed() => {}
            }
        });
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::IndexLimits;
    use super::*;
    use crate::store::{
        BlobWriter, CommitListener, ErasedUse, ErasedWork, NewBody, NewState, SqliteStore, StoreConfig, Transaction,
        Warrant, commit_blocking,
    };
    use server_kit::clock::SystemClock;
    use tokio::sync::{Semaphore, watch};

    /// A store whose server is told to end at the moment at which the index begins to read it.
    struct EndsWhenRead {
        store: SqliteStore,
        stop: watch::Sender<bool>,
    }

    impl Store for EndsWhenRead {
        fn snapshot(&self, permit: ReadPermit) -> Result<Box<dyn Snapshot + Send + '_>, StoreError> {
            if std::thread::current().name() == Some("index") {
                self.stop.send_replace(true);
            }
            self.store.snapshot(permit)
        }

        fn enqueue(&self, warrant: Warrant, work: ErasedWork) {
            self.store.enqueue(warrant, work);
        }

        fn enqueue_use(&self, warrant: Warrant, work: ErasedUse) {
            self.store.enqueue_use(warrant, work);
        }

        fn admission(&self) -> Arc<Semaphore> {
            self.store.admission()
        }

        fn blob(&self) -> Result<Box<dyn BlobWriter>, StoreError> {
            self.store.blob()
        }

        fn inline_bytes_max(&self) -> usize {
            self.store.inline_bytes_max()
        }

        fn listen(&self, listener: Arc<dyn CommitListener>) {
            self.store.listen(listener);
        }

        fn watch(&self) -> watch::Receiver<Sequence> {
            self.store.watch()
        }

        fn stopped(&self) -> watch::Receiver<bool> {
            self.store.stopped()
        }
    }

    /// A server that is told to end while it builds its index gives the build up: a large one takes minutes.
    #[tokio::test(flavor = "multi_thread")]
    async fn the_end_of_the_server_ends_a_build() {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(StoreConfig::new(directory.path()), Arc::new(SystemClock)).unwrap();
        let work = |inside: &mut dyn Transaction| {
            inside.create_storage(&ResourceName::parse("/a/").unwrap(), "https://owner.example/#me")?;
            let state = NewState {
                kind: ResourceKind::RdfSource,
                media_type: "text/turtle".to_owned(),
                body: NewBody::Bytes("<> a <#Thing>.".into()),
            };
            inside.put(&ResourceName::parse("/a/b").unwrap(), state)?;
            Ok(())
        };
        tokio::task::block_in_place(|| {
            commit_blocking::<(), ()>(&store, Warrant::without_proof("test"), Box::new(work))
        })
        .unwrap();
        let (stop, stopped) = watch::channel(false);
        let index = Arc::new(Index::new(IndexLimits::default()));
        let follower = Follower::new(
            Arc::clone(&index),
            Arc::new(EndsWhenRead { store, stop }),
            Origins::new("http://pod.example/"),
        );
        let thread = follower.spawn(stopped).unwrap();
        tokio::task::spawn_blocking(move || thread.join().unwrap())
            .await
            .unwrap();
        assert!(!index.is_built(), "the whole store was read");
    }
}
