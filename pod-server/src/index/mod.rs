//! The RDF index: what SPARQL queries read. Derived from the store, rebuilt at every start, never the truth.
//!
//! Every version of a document has its own number. A row is a triple with its document's number. Rows lie in immutable
//! sorted runs; which documents are current is a set of numbers. Replacing a document means: a new run, one bit off,
//! one bit on. Hence a query works on a snapshot that nobody changes, and what a caller may see is one more set of
//! document numbers, checked on every row that is read (invariant 7).
//!
//! The index never decides about access, and its readers in `query` receive a set of documents that `authz` made.
//! Blank nodes belong to one document version. Access control lists are not indexed.

mod append;
mod dictionary;
mod document;
pub mod follow;
mod mentions;
mod names;
pub mod read;
mod run;
mod snapshot;
pub mod summary;
mod term;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::{Mutex, RwLock, RwLockReadGuard};

pub use dictionary::{Dictionary, DictionaryFull, Sort};
pub use document::{Document, DocumentId, DocumentSet};
pub use mentions::{ANYONE_ELSE, Mentions};
pub use names::{AclGroup, ListState, Names};
pub use run::{Bounds, Order, Quad, Row, Run};
pub use server_kit::summary::Summary;
pub use snapshot::IndexSnapshot;
pub use term::TermId;
pub use writer::{Change, Writer};

use crate::store::{self, CommitListener, Event, Sequence};

/// Bounds of the index.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IndexLimits {
    /// Most triples in all current and not yet merged documents together. One takes 80 bytes for its rows and as
    /// much as its new terms need. Beyond this the index stops and queries answer 503.
    pub triples_max: u64,
    /// Most bytes of one document that are indexed. A larger one is left out, and queries that should see it say so.
    pub document_bytes_max: u64,
    /// Most events that are applied in one step.
    pub events_per_step_max: usize,
    /// Least time between two steps of following, in milliseconds: under constant writing each step then takes many
    /// commits in, which costs far less than one after the other. Whoever waits for a commit waits this much longer.
    pub step_interval_ms: u64,
    /// Longest that following may pause so that it takes no more than a quarter of the time, in milliseconds: what it
    /// does costs less in larger steps. A query that waits for a commit ends the pause.
    pub pause_ms_max: u64,
    /// Longest wait of a query for the index to reach the commit that the query must see, in milliseconds.
    pub wait_ms_max: u64,
    /// A server with more resources than this builds the index when it is asked for the first time, and takes neither
    /// time nor memory for it until then.
    pub build_at_start_resources_max: u64,
}

impl Default for IndexLimits {
    fn default() -> Self {
        Self {
            triples_max: 200_000_000,
            document_bytes_max: 64 * 1024 * 1024,
            events_per_step_max: 2_000,
            step_interval_ms: 25,
            pause_ms_max: 200,
            wait_ms_max: 5_000,
            build_at_start_resources_max: 200_000,
        }
    }
}

/// Why the index cannot take more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IndexFailure {
    /// The dictionary is full.
    #[error(transparent)]
    Dictionary(#[from] DictionaryFull),
    /// There are more triples than the limit.
    #[error("the index holds {0} triples, more than `triples_max` allows")]
    Triples(u64),
    /// All 2³² document numbers have been used since the start.
    #[error("the index has used all its document numbers; a restart rebuilds it")]
    Documents,
}

/// The index did not reach a commit in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the index has applied commit {} and not yet commit {}", applied.0, wanted.0)]
pub struct IndexBehind {
    /// Last applied commit.
    pub applied: Sequence,
    /// Commit that the caller has to see.
    pub wanted: Sequence,
}

/// The RDF index of a server.
#[derive(Debug)]
pub struct Index {
    snapshot: ArcSwap<IndexSnapshot>,
    names: RwLock<Names>,
    writer: Mutex<Writer>,
    applied: tokio::sync::watch::Sender<Option<Sequence>>,
    /// The last commit that changed a resource.
    due: AtomicU64,
    wanted: tokio::sync::watch::Sender<bool>,
    /// Somebody waits for a commit.
    hurry: tokio::sync::Notify,
    incomplete: Mutex<Option<String>>,
    limits: IndexLimits,
}

/// A snapshot together with the names that belong to it. Hold it briefly: the writer waits meanwhile.
#[derive(Debug)]
pub struct NamedSnapshot<'i> {
    /// The names.
    pub names: RwLockReadGuard<'i, Names>,
    /// The snapshot.
    pub snapshot: Arc<IndexSnapshot>,
}

/// Figures of an index for the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexSize {
    /// Rows, those of superseded documents included.
    pub rows: u64,
    /// Current documents.
    pub documents: u64,
    /// Distinct terms.
    pub terms: u32,
    /// Runs.
    pub runs: usize,
    /// Bytes of rows and terms.
    pub bytes: usize,
}

impl Index {
    /// An empty index.
    #[must_use]
    pub fn new(limits: IndexLimits) -> Self {
        let writer = Writer::new(limits.triples_max);
        Self {
            snapshot: ArcSwap::from_pointee(writer.snapshot(Sequence(0))),
            names: RwLock::default(),
            writer: Mutex::new(writer),
            applied: tokio::sync::watch::channel(None).0,
            due: AtomicU64::new(0),
            wanted: tokio::sync::watch::channel(false).0,
            hurry: tokio::sync::Notify::new(),
            incomplete: Mutex::new(None),
            limits,
        }
    }

    /// The bounds.
    #[must_use]
    pub const fn limits(&self) -> &IndexLimits {
        &self.limits
    }

    /// What is indexed now.
    #[must_use]
    pub fn snapshot(&self) -> Arc<IndexSnapshot> {
        self.snapshot.load_full()
    }

    /// What is indexed now, with names.
    pub fn named(&self) -> NamedSnapshot<'_> {
        let names = self.names.read();
        let snapshot = self.snapshot.load_full();
        NamedSnapshot { names, snapshot }
    }

    /// Applies changes in their order and makes them visible together, as the state after commit `sequence`.
    ///
    /// # Errors
    /// [`IndexFailure`] when a bound is reached. The index then stays as it was and says so to every query.
    pub fn apply(&self, changes: Vec<Change>, sequence: Sequence) -> Result<(), IndexFailure> {
        let mut writer = self.writer.lock();
        if changes.is_empty() {
            // Most commits that change no document are audited reads, and there are many: the state is the same.
            let snapshot = self.snapshot.load().at(sequence);
            self.snapshot.store(Arc::new(snapshot));
            self.applied.send_replace(Some(sequence));
            return Ok(());
        }
        let staged = match writer.stage(changes) {
            Ok(staged) => staged,
            Err(failure) => {
                self.mark_incomplete(failure.to_string());
                return Err(failure);
            }
        };
        {
            let mut names = self.names.write();
            writer.commit(staged, &mut names);
            self.snapshot.store(Arc::new(writer.snapshot(sequence)));
        }
        drop(writer);
        self.applied.send_replace(Some(sequence));
        Ok(())
    }

    /// Puts a freshly built index in the place of this one's contents.
    pub fn install(&self, built: Writer, names: Names, sequence: Sequence) {
        let mut writer = self.writer.lock();
        *writer = built;
        {
            let mut current = self.names.write();
            let epoch = current.epoch();
            *current = names;
            current.continue_after(epoch);
            self.snapshot.store(Arc::new(writer.snapshot(sequence)));
        }
        drop(writer);
        self.applied.send_replace(Some(sequence));
    }

    /// From now on the index is built and kept.
    pub fn want(&self) {
        self.wanted.send_if_modified(|wanted| !std::mem::replace(wanted, true));
    }

    /// Waits until the index is wanted.
    async fn wanted(&self) {
        // The sender is in this very index, so it cannot be gone.
        let _ = self.wanted.subscribe().wait_for(|wanted| *wanted).await;
    }

    /// Waits until somebody waits for a commit that is not applied yet.
    async fn hurried(&self) {
        self.hurry.notified().await;
    }

    /// Whether the index is built and kept: from the start, or because somebody has asked for it.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        *self.wanted.borrow()
    }

    /// Waits until everything is visible that was acknowledged before. Commits that change no resource, such as those that
    /// record a use, are not waited for: the index is the same before and after them.
    ///
    /// # Errors
    /// [`IndexBehind`] after `wait_ms_max`.
    pub async fn caught_up(&self) -> Result<(), IndexBehind> {
        let wanted = Sequence(self.due.load(Ordering::Acquire));
        let mut applied = self.applied.subscribe();
        if applied.borrow().is_none_or(|applied| applied < wanted) {
            self.want();
            self.hurry.notify_one();
        }
        let reached = applied.wait_for(|applied| applied.is_some_and(|applied| applied >= wanted));
        match tokio::time::timeout(Duration::from_millis(self.limits.wait_ms_max), reached).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(IndexBehind {
                applied: self.snapshot.load().sequence(),
                wanted,
            }),
        }
    }

    /// Says that the index does not hold everything that it should, and why. Queries answer 503 from now on, because
    /// an answer that silently lacks documents is worse than none.
    pub fn mark_incomplete(&self, reason: String) {
        tracing::error!(reason, "the index is incomplete; queries are refused");
        *self.incomplete.lock() = Some(reason);
    }

    /// Why the index is not complete, if so.
    #[must_use]
    pub fn incomplete(&self) -> Option<String> {
        self.incomplete.lock().clone()
    }

    /// Whether the first build is done.
    #[must_use]
    pub fn is_built(&self) -> bool {
        self.applied.borrow().is_some()
    }

    /// Whether most rows or terms belong to superseded versions, so that rebuilding pays.
    #[must_use]
    pub fn wants_rebuild(&self) -> bool {
        self.writer.lock().wants_rebuild()
    }

    /// Figures.
    #[must_use]
    pub fn size(&self) -> IndexSize {
        self.snapshot.load().size()
    }
}

/// Hears of every commit before anyone is told that it is durable.
impl CommitListener for Index {
    fn committed(&self, _: &dyn store::Snapshot, events: &[Event]) {
        let of_resources = |event: &&Event| !matches!(event.change, store::Change::Record { .. });
        if let Some(event) = events.iter().rfind(of_resources) {
            self.due.fetch_max(event.sequence.0, Ordering::AcqRel);
        }
    }
}
