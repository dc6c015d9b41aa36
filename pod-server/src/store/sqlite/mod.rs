//! The embedded store of record: SQLite with a write-ahead log, and files for large bodies.
//!
//! One thread writes. It takes all commits that wait, runs each in a savepoint, and makes them durable with one sync
//! (`writer`, `group`). Readers have connections of their own, each inside a transaction (`readers`), and caches
//! that never show an old state (`cache`). Nothing is acknowledged that is not on the disk.

mod audit_purge;
mod audit_rows;
mod blobs;
mod cache;
mod changes;
mod check;
mod checkpoint;
mod config;
mod failure;
mod group;
mod health;
mod lock;
mod queue;
mod read;
mod readers;
mod reserve;
mod rows;
mod schema;
mod sweep;
mod write;
mod writer;

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::RwLock;
use server_kit::clock::Clock;
use tokio::sync::{Semaphore, watch};

use self::blobs::BlobDirectory;
use self::cache::Caches;
use self::checkpoint::Checkpoints;
use self::health::Health;
use self::lock::DirectoryLock;
use self::queue::{Job, Queue, Queued};
use self::read::Reads;
use self::readers::{Readers, View};
use self::reserve::Reserve;
use self::writer::Writer;
use crate::name::ResourceName;
use crate::store::{
    BlobWriter, Body, BodyLocation, CommitListener, ErasedUse, ErasedWork, Latest, ReadPermit, Resource, Sequence,
    Snapshot, Store, StoreError, Warrant,
};

pub use self::check::CheckReport;
pub use self::config::StoreConfig;

/// Name of the database in the directory.
const DATABASE: &str = "store.sqlite";

/// What the writer and the readers share.
struct Shared {
    config: StoreConfig,
    clock: Arc<dyn Clock>,
    readers: Readers,
    blobs: Arc<BlobDirectory>,
    caches: Caches,
    health: Arc<Health>,
    listeners: RwLock<Vec<Arc<dyn CommitListener>>>,
    committed: watch::Sender<Sequence>,
    admission: Arc<Semaphore>,
}

/// A store in a directory of its own. Dropping it commits what is queued, and ends cleanly.
pub struct SqliteStore {
    shared: Arc<Shared>,
    queue: Arc<Queue>,
    writer: Option<JoinHandle<()>>,
}

impl SqliteStore {
    /// Opens the store, making it where there is none; recovers from whatever ended the last process.
    ///
    /// # Errors
    /// [`StoreError::Locked`] when another process has it, [`StoreError::Format`] when another version wrote it,
    /// [`StoreError::Damaged`] when it is not a store, [`StoreError::Full`], [`StoreError::File`] or
    /// [`StoreError::Database`] when the disk or the database fail.
    pub fn open(config: StoreConfig, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        // Everybody's data lies in it: nobody else on the machine may look.
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&config.directory);
        made.map_err(blobs::room)?;
        if config.directory.join(crate::backup::RESTORING).exists() {
            return Err(StoreError::Damaged(format!(
                "a restore into `{}` was not finished: run it again",
                config.directory.display()
            )));
        }
        let lock = DirectoryLock::acquire(&config.directory)?;
        let health = Arc::new(Health::new());
        let reserve = Reserve::new(&config.directory, config.reserve_bytes);
        let database = config.directory.join(DATABASE);
        let mut connection =
            schema::open_writer(&database, config.writer_pages_bytes_max).map_err(failure::disk_full)?;
        // The last process may have died of a failed sync: what its log holds is made durable again before anything
        // builds on it.
        Checkpoints::everything(&connection, &health);
        if health.is_stopped() {
            return Err(StoreError::Stopped);
        }
        let blobs = Arc::new(BlobDirectory::open(&config.directory)?);
        let removed = sweep::at_start(&connection, &blobs)?;
        if removed > 0 {
            tracing::info!(removed, "removed blobs that no commit refers to");
        }
        if let Err(error) = reserve.hold() {
            tracing::warn!(%error, "no room for the reserve of disk space");
            health.set_full(true);
        }
        let (sequence, events_after) = read::state(&connection)?;
        let checkpoints = Checkpoints::start(&mut connection, &database, &config, &health)?;
        let queue = Arc::new(Queue::new(config.queue_commits_max));
        let shared = Arc::new(Shared {
            readers: Readers::new(database, &config),
            caches: Caches::new(&config, sequence),
            admission: Arc::new(Semaphore::new(config.queue_commits_max.max(1))),
            listeners: RwLock::new(Vec::new()),
            committed: watch::Sender::new(sequence),
            config,
            clock,
            blobs,
            health,
        });
        let writer = Writer {
            connection,
            shared: Arc::clone(&shared),
            queue: Arc::clone(&queue),
            taken: std::collections::VecDeque::new(),
            checkpoints,
            reserve,
            sequence,
            events_after,
            leaves: None,
            last_group: 0,
            last_told: Instant::now(),
            last_round: Instant::now(),
            _lock: lock,
        };
        let writer = std::thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writer.run_guarded())?;
        Ok(Self {
            shared,
            queue,
            writer: Some(writer),
        })
    }

    /// Checks everything against everything else; reads the whole store.
    ///
    /// # Errors
    /// When the database cannot be read at all. What is wrong inside is in the report.
    pub fn check(&self, _: ReadPermit) -> Result<CheckReport, StoreError> {
        let view = View::open(&self.shared)?;
        check::check(view.connection()?, &self.shared.blobs)
    }

    fn push(&self, warrant: Warrant, work: Job) {
        let queued = Queued {
            entry: warrant.entry,
            work,
        };
        let refused = if self.shared.health.is_stopped() {
            Some(queued)
        } else {
            self.queue.push(queued).err()
        };
        if let Some(queued) = refused {
            queued.refuse(StoreError::Stopped);
        }
    }

    /// The newest state of a resource with its bytes, if both are in memory.
    fn remembered(&self, name: &ResourceName) -> Option<Option<Latest>> {
        let Some(resource) = self.shared.caches.latest(name)? else {
            return Some(None);
        };
        let body = match &resource.body {
            BodyLocation::Blob(digest) => Body::File {
                path: self.shared.blobs.path(digest),
                size: resource.size,
            },
            BodyLocation::Inline if resource.size == 0 => Body::Bytes(Bytes::new()),
            BodyLocation::Inline => Body::Bytes(self.shared.caches.body(&resource)?),
        };
        Some(Some(Latest { resource, body }))
    }
}

impl Store for SqliteStore {
    fn snapshot(&self, _: ReadPermit) -> Result<Box<dyn Snapshot + Send + '_>, StoreError> {
        Ok(Box::new(View::open(&self.shared)?))
    }

    fn latest(&self, _: ReadPermit, name: &ResourceName) -> Result<Option<Latest>, StoreError> {
        if let Some(latest) = self.remembered(name) {
            return Ok(latest);
        }
        let view = View::open(&self.shared)?;
        let Some(resource) = read::find(&view, name)? else {
            return Ok(None);
        };
        let body = read::body(&view, &resource)?;
        Ok(Some(Latest { resource, body }))
    }

    fn latest_acl(
        &self,
        _: ReadPermit,
        name: &ResourceName,
    ) -> Result<Option<(ResourceName, Arc<Resource>)>, StoreError> {
        let caches = &self.shared.caches;
        let before = caches.acl_changes();
        let remembered = read::nearest_acl(name, |acl| caches.latest(acl).ok_or(StoreError::Busy("not in memory")));
        // Several look-ups make one answer only if no list changed between them.
        if let Ok(found) = remembered
            && caches.acl_changes() == before
        {
            return Ok(found);
        }
        let view = View::open(&self.shared)?;
        read::nearest_acl(name, |acl| read::find(&view, acl))
    }

    fn enqueue(&self, warrant: Warrant, work: ErasedWork) {
        self.push(warrant, Job::Write(work));
    }

    fn enqueue_use(&self, warrant: Warrant, work: ErasedUse) {
        self.push(warrant, Job::Use(work));
    }

    fn use_wait_max(&self) -> Duration {
        Duration::from_millis(self.shared.config.use_wait_ms_max)
    }

    fn admission(&self) -> Arc<Semaphore> {
        Arc::clone(&self.shared.admission)
    }

    fn blob(&self) -> Result<Box<dyn BlobWriter>, StoreError> {
        self.shared.health.check_room()?;
        Ok(Box::new(self.shared.blobs.create(&self.shared.health)?))
    }

    fn inline_bytes_max(&self) -> usize {
        self.shared.config.inline_bytes_max
    }

    fn listen(&self, listener: Arc<dyn CommitListener>) {
        self.shared.listeners.write().push(listener);
    }

    fn watch(&self) -> watch::Receiver<Sequence> {
        self.shared.committed.subscribe()
    }

    fn stopped(&self) -> watch::Receiver<bool> {
        self.shared.health.watch()
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.queue.close();
        let Some(writer) = self.writer.take() else {
            return;
        };
        // The last handle may be dropped by a caller that the writer is just telling an outcome.
        if writer.thread().id() != std::thread::current().id() && writer.join().is_err() {
            tracing::error!("the writer's thread has panicked");
        }
    }
}
