//! The one transactional truth of a pod server: resources, containment, bodies, access control lists, records,
//! outbox events and audit leaves (ARCHITECTURE §4, invariants 4 and 6).
//!
//! A commit is durable when it returns: it survives `kill -9`, power loss and a failed sync. This module never decides
//! about access: whoever reads or writes brings a [`ReadPermit`] or a [`Warrant`].

mod audit;
mod commit;
#[doc(hidden)]
pub mod contract;
mod error;
mod event;
mod permit;
pub mod quota;
mod resource;
mod snapshot;
pub mod sqlite;
mod transaction;

use std::sync::Arc;

use tokio::sync::{Semaphore, watch};

use crate::name::ResourceName;

pub use audit::{AuditEntry, Concerning, StorageSet, StoredAuditEntry};
pub use commit::{
    Check, CommitError, Committed, ErasedDone, ErasedRun, ErasedUse, ErasedWork, Work, commit, commit_blocking,
    in_time, record_use,
};
pub use error::StoreError;
pub use event::{Change, Event, RecordKind};
pub use permit::{ReadPermit, Warrant};
pub use resource::{
    Body, BodyLocation, Latest, Member, NewBody, NewState, Resource, ResourceId, ResourceKind, Sequence, Storage,
    StorageId,
};
pub use snapshot::Snapshot;
pub use sqlite::{CheckReport, SqliteStore, StoreConfig};
pub use transaction::{CommitListener, Transaction};

/// Takes a large body: bytes go to a temporary file, which [`BlobWriter::finish`] syncs, renames to its content
/// address and makes durable in its directory. Dropping it leaves nothing behind.
pub trait BlobWriter: Send {
    /// Adds bytes.
    ///
    /// # Errors
    /// [`StoreError::Full`] when the disk is full, [`StoreError::File`] for any other failure.
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError>;
    /// Makes the blob durable.
    ///
    /// # Errors
    /// As [`BlobWriter::write`]. Nothing is left behind.
    fn finish(self: Box<Self>) -> Result<NewBody, StoreError>;
}

/// A store of record. Every implementation passes the same contract suite (`store::contract`).
pub trait Store: Send + Sync + 'static {
    /// A consistent view.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when too many views are open, [`StoreError::Database`] when the database fails.
    fn snapshot(&self, permit: ReadPermit) -> Result<Box<dyn Snapshot + Send + '_>, StoreError>;

    /// The newest state of one resource together with its bytes, which is what most requests need. Cheaper than a
    /// snapshot: what is in memory is answered from memory, and never after a newer state was acknowledged.
    ///
    /// # Errors
    /// As [`Store::snapshot`].
    fn latest(&self, permit: ReadPermit, name: &ResourceName) -> Result<Option<Latest>, StoreError> {
        let snapshot = self.snapshot(permit)?;
        let Some(resource) = snapshot.resource(name)? else {
            return Ok(None);
        };
        let body = snapshot.body(&resource)?;
        Ok(Some(Latest {
            resource: Arc::new(resource),
            body,
        }))
    }

    /// The newest access control list nearest to a resource, as [`Snapshot::effective_acl`], from memory where possible.
    ///
    /// # Errors
    /// As [`Store::snapshot`].
    fn latest_acl(
        &self,
        permit: ReadPermit,
        name: &ResourceName,
    ) -> Result<Option<(ResourceName, Arc<Resource>)>, StoreError> {
        let found = self.snapshot(permit)?.effective_acl(name)?;
        Ok(found.map(|(subject, acl)| (subject, Arc::new(acl))))
    }

    /// Queues a commit for the writer; waits where the queue is full. Use [`commit`] instead, which has types and waits
    /// without holding up a thread.
    fn enqueue(&self, warrant: Warrant, work: ErasedWork);

    /// Queues the entry of a use that changes nothing else. Use [`record_use`] instead, which waits without holding up a
    /// thread.
    fn enqueue_use(&self, warrant: Warrant, work: ErasedUse);

    /// How long anyone waits until the entry of a use is durable.
    fn use_wait_max(&self) -> std::time::Duration {
        std::time::Duration::from_secs(10)
    }

    /// Room in the writer's queue: [`commit`] holds one permit from before it queues until it is told the outcome.
    fn admission(&self) -> Arc<Semaphore>;

    /// Starts a large body.
    ///
    /// # Errors
    /// [`StoreError::Full`] when the disk is full, [`StoreError::File`] for any other failure.
    fn blob(&self) -> Result<Box<dyn BlobWriter>, StoreError>;

    /// Largest body that [`NewBody::Bytes`] takes, in bytes. A larger one goes through [`Store::blob`].
    fn inline_bytes_max(&self) -> usize;

    /// Adds a listener; it sees every later commit.
    fn listen(&self, listener: Arc<dyn CommitListener>);

    /// The last durable commit, to wait for.
    fn watch(&self) -> watch::Receiver<Sequence>;

    /// Becomes true when the store has stopped because a sync failed: nothing can be acknowledged any more, and the
    /// process has to end and start again, which recovers (invariant 4).
    fn stopped(&self) -> watch::Receiver<bool>;
}
