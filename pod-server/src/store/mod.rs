//! The one transactional truth of a pod server: resources, containment, bodies, access control lists, records,
//! outbox events and audit leaves (ARCHITECTURE §4, invariants 4 and 6).
//!
//! A commit is durable when it returns: it survives `kill -9`, power loss and a failed sync. This module never decides
//! about access: whoever reads or writes brings a [`ReadPermit`] or a [`Warrant`].

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use crate::authz::{Authorized, Receipt};
use crate::name::ResourceName;

/// Position in the order of all commits. It is also the state part of an `ETag`: no two states share one (solid#53).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Sequence(pub u64);

/// Internal identity of a resource, independent of its path. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceId(pub i64);

/// Internal identity of a storage. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StorageId(pub i64);

/// What a resource is (LDP and Solid Protocol §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResourceKind {
    /// An LDP Basic Container.
    Container,
    /// A document whose representations are RDF.
    RdfSource,
    /// Anything else.
    NonRdfSource,
}

/// Everything about a resource except its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Internal identity.
    pub id: ResourceId,
    /// Canonical name.
    pub name: ResourceName,
    /// The storage it lies in.
    pub storage: StorageId,
    /// What it is.
    pub kind: ResourceKind,
    /// Media type as it was sent, parameters included; `text/turtle` for containers.
    pub media_type: String,
    /// Bytes of the stored body; 0 for a container without own triples.
    pub size: u64,
    /// The commit that made this state.
    pub version: Sequence,
    /// Last modification, Unix seconds.
    pub modified: i64,
    /// Where the bytes are.
    pub body: BodyLocation,
}

/// Where the bytes of a body are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum BodyLocation {
    /// In the database, beside the metadata.
    Inline,
    /// In a content-addressed file, by its SHA-256.
    Blob([u8; 32]),
}

/// The bytes of a body, ready to be sent.
#[derive(Clone, Debug)]
pub enum Body {
    /// Small body.
    Bytes(Bytes),
    /// Large body: an immutable file of this many bytes.
    File {
        /// Path of the file.
        path: PathBuf,
        /// Length in bytes.
        size: u64,
    },
}

/// One line of a container's listing (solid#20). Listings never open members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Canonical name.
    pub name: ResourceName,
    /// What it is.
    pub kind: ResourceKind,
    /// Media type as sent.
    pub media_type: String,
    /// Bytes.
    pub size: u64,
    /// Unix seconds.
    pub modified: i64,
}

/// A storage: its root container and its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storage {
    /// Internal identity.
    pub id: StorageId,
    /// Root container, `/{storage}/`.
    pub root: ResourceName,
    /// WebID of the owner.
    pub owner: String,
    /// Bytes in all bodies of this storage, kept incrementally.
    pub bytes_used: u64,
}

/// The state that a write gives a resource.
#[derive(Clone, Debug)]
pub struct NewState {
    /// What it is.
    pub kind: ResourceKind,
    /// Media type to keep.
    pub media_type: String,
    /// The bytes.
    pub body: NewBody,
}

/// Bytes on their way into the store.
#[derive(Clone, Debug)]
pub enum NewBody {
    /// Small body, kept in the database.
    Bytes(Bytes),
    /// A blob that [`BlobWriter::finish`] has already made durable.
    Blob {
        /// SHA-256 of the bytes.
        digest: [u8; 32],
        /// Length in bytes.
        size: u64,
    },
}

/// Kinds of server records: small documents that are not resources. The key is unique inside its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RecordKind {
    /// Accounts, by account id.
    Account,
    /// Login name → account id.
    Login,
    /// Client credentials, by client id.
    ClientCredential,
    /// Console sessions, by hashed token.
    Session,
    /// Authorization codes, refresh tokens and registered clients of the issuer.
    Issuer,
    /// Dataset descriptions, by `{storage}/{id}`.
    Dataset,
    /// Contract negotiations, by `{storage}/{id}`.
    Negotiation,
    /// Agreements, by agreement IRI.
    Agreement,
    /// Consents, by `{storage}/{id}`.
    Consent,
    /// Per-person secrets that salt audit commitments, by WebID or storage root. Deleting one erases the link.
    PersonSecret,
    /// Progress of imports, by job.
    Import,
    /// Everything the server needs to remember about itself, such as keys' fingerprints and format versions.
    Server,
}

/// What happened, for those who follow the store (index, caches, notifications, streams).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Order of commits; several events may share one.
    pub sequence: Sequence,
    /// What changed.
    pub change: Change,
}

/// A change that followers see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The resource is new.
    Created {
        /// Identity.
        id: ResourceId,
        /// Name.
        name: ResourceName,
    },
    /// The resource has a new state.
    Updated {
        /// Identity.
        id: ResourceId,
        /// Name.
        name: ResourceName,
    },
    /// The resource is gone.
    Deleted {
        /// Identity.
        id: ResourceId,
        /// Name.
        name: ResourceName,
    },
    /// A record was written or, with `deleted`, removed.
    Record {
        /// Kind.
        kind: RecordKind,
        /// Key.
        key: String,
        /// Whether it is gone.
        deleted: bool,
    },
}

/// A record for the audit log, on its way into a transaction. The log keeps `leaf`; the readable part lies with the
/// storages named, so that owner and data subject can read it (ARCHITECTURE §6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Hash that enters the Merkle tree: a salted commitment.
    pub leaf: [u8; 32],
    /// Canonical JSON of the readable record.
    pub record: Vec<u8>,
    /// Storages whose owners see the record.
    pub storages: Vec<StorageId>,
    /// Storages of the data subjects concerned, as a serialised roaring bitmap of [`StorageId`]s; empty if none.
    pub subjects: Vec<u8>,
}

/// An audit entry as it was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredAuditEntry {
    /// Position in the log.
    pub leaf_index: u64,
    /// The entry.
    pub entry: AuditEntry,
}

/// What can go wrong in the store itself. Conditions of callers are not errors of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused.
    #[error("the database failed")]
    Database(#[from] rusqlite::Error),
    /// A file operation failed.
    #[error("a file operation failed")]
    File(#[from] std::io::Error),
    /// The stored bytes do not mean what they should.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// The store has stopped, because a sync failed or the server is shutting down.
    #[error("the store has stopped")]
    Stopped,
    /// A storage would exceed its quota, or the disk is full.
    #[error("there is no room left: {0}")]
    Full(String),
}

/// The right to read, with its origin.
#[derive(Clone, Copy, Debug)]
pub struct ReadPermit(());

impl ReadPermit {
    /// From a proof.
    pub fn proven<O>(_: &Authorized<O>) -> Self {
        Self(())
    }

    /// For the policy information point, which needs access control lists and agreements to decide at all; and for
    /// the server's own bookkeeping. `reason` is there so that every use can be found and judged.
    #[must_use]
    pub const fn without_proof(_reason: &'static str) -> Self {
        Self(())
    }
}

/// The right to write, with its audit entry.
#[derive(Debug)]
pub struct Warrant {
    pub(crate) entry: Option<AuditEntry>,
}

impl Warrant {
    /// From a proof: the entry of the receipt commits with the write.
    #[must_use]
    pub fn from_receipt(receipt: Receipt) -> Self {
        Self {
            entry: receipt.into_entry(),
        }
    }

    /// For the server's own bookkeeping and for the operator's commands on a stopped server.
    #[must_use]
    pub const fn without_proof(_reason: &'static str) -> Self {
        Self { entry: None }
    }
}

/// A consistent view of the store. Cheap; hold it briefly.
pub trait Snapshot {
    /// The last commit that this view contains.
    fn sequence(&self) -> Result<Sequence, StoreError>;
    /// A resource by its name.
    fn resource(&self, name: &ResourceName) -> Result<Option<Resource>, StoreError>;
    /// A resource by its identity.
    fn resource_by_id(&self, id: ResourceId) -> Result<Option<Resource>, StoreError>;
    /// The bytes of a resource.
    fn body(&self, resource: &Resource) -> Result<Body, StoreError>;
    /// Members of a container in name order, after a name, at most `limit`. Auxiliary resources are no members.
    fn members(
        &self,
        container: &ResourceName,
        after: Option<&ResourceName>,
        limit: usize,
    ) -> Result<Vec<Member>, StoreError>;
    /// Number of members of a container.
    fn member_count(&self, container: &ResourceName) -> Result<u64, StoreError>;
    /// Resources (auxiliaries included) below a container in name order, after a name, at most `limit`.
    fn descendants(
        &self,
        container: &ResourceName,
        after: Option<&ResourceName>,
        limit: usize,
    ) -> Result<Vec<Resource>, StoreError>;
    /// The access control list that exists nearest to `name`: its own, or that of the nearest ancestor.
    /// The answer names the resource whose list it is.
    fn effective_acl(&self, name: &ResourceName) -> Result<Option<(ResourceName, Resource)>, StoreError>;
    /// A storage by its root.
    fn storage(&self, root: &ResourceName) -> Result<Option<Storage>, StoreError>;
    /// A storage by its identity.
    fn storage_by_id(&self, id: StorageId) -> Result<Option<Storage>, StoreError>;
    /// Storages in name order, after a root, at most `limit`.
    fn storages(&self, after: Option<&ResourceName>, limit: usize) -> Result<Vec<Storage>, StoreError>;
    /// A record.
    fn record(&self, kind: RecordKind, key: &str) -> Result<Option<Vec<u8>>, StoreError>;
    /// Records whose key begins with `prefix`, in key order, after a key, at most `limit`.
    fn records(
        &self,
        kind: RecordKind,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Vec<u8>)>, StoreError>;
    /// Events after a sequence number, oldest first, at most about `limit` (a commit is never split).
    fn events(&self, after: Sequence, limit: usize) -> Result<Vec<Event>, StoreError>;
    /// Audit entries that a storage's owner may see (as owner or as data subject), newest first, before a leaf index.
    fn audit_entries(
        &self,
        storage: StorageId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<StoredAuditEntry>, StoreError>;
    /// Number of leaves in the audit log.
    fn audit_size(&self) -> Result<u64, StoreError>;
    /// Leaf hashes of a range of the audit log.
    fn audit_leaves(&self, from: u64, count: u64) -> Result<Vec<[u8; 32]>, StoreError>;
    /// Hash of the audit tree at a size (RFC 9162 §2.1.1).
    fn audit_root(&self, size: u64) -> Result<[u8; 32], StoreError>;
    /// Inclusion proof of a leaf in the tree of a size (RFC 9162 §2.1.3).
    fn audit_inclusion(&self, leaf: u64, size: u64) -> Result<Vec<[u8; 32]>, StoreError>;
    /// Consistency proof between two sizes (RFC 9162 §2.1.4).
    fn audit_consistency(&self, from: u64, to: u64) -> Result<Vec<[u8; 32]>, StoreError>;
    /// One tile of hashes at a level (C2SP tlog-tiles), `width` hashes wide.
    fn audit_tile(&self, level: u8, index: u64, width: u16) -> Result<Vec<u8>, StoreError>;
}

/// The inside of a commit: sees its own writes, and commits whole or not at all.
pub trait Transaction: Snapshot {
    /// The sequence number that this commit will have.
    fn next_sequence(&self) -> Sequence;
    /// Gives a resource a state; makes missing intermediate containers (solid#24), containment, quota and events.
    fn put(&mut self, name: &ResourceName, state: NewState) -> Result<Resource, StoreError>;
    /// Removes a resource, its auxiliaries and its containment. A container must be empty: the caller has checked.
    fn remove(&mut self, name: &ResourceName) -> Result<bool, StoreError>;
    /// Makes a storage with its root container and owner.
    fn create_storage(&mut self, root: &ResourceName, owner: &str) -> Result<Storage, StoreError>;
    /// Writes a record.
    fn record_put(&mut self, kind: RecordKind, key: &str, value: &[u8]) -> Result<(), StoreError>;
    /// Removes a record; false if there was none.
    fn record_delete(&mut self, kind: RecordKind, key: &str) -> Result<bool, StoreError>;
    /// Appends an audit entry; its leaf commits with everything else.
    fn audit(&mut self, entry: &AuditEntry) -> Result<u64, StoreError>;
}

/// Called on the writer's thread after a commit is durable and before anyone is told of it, in commit order. Caches
/// that decide about access listen here, so that a revocation counts from the next decision (invariant 8).
/// It must be quick and must not write.
pub trait CommitListener: Send + Sync {
    /// These events are now true.
    fn committed(&self, snapshot: &dyn Snapshot, events: &[Event]);
}

/// The body of a commit. An `Err` rolls this commit back and leaves the others of its group alone.
pub type Work<T, E> = Box<dyn FnOnce(&mut dyn Transaction) -> Result<T, CommitError<E>> + Send>;

/// Why a commit did not happen. Nothing of it is stored.
#[derive(Debug, thiserror::Error)]
pub enum CommitError<E> {
    /// The caller's own rule refused (a failed precondition, a conflict).
    #[error("the write was refused")]
    Refused(E),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a finished commit tells: its position, and the index of its audit leaf if it had one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Position.
    pub sequence: Sequence,
    /// Index of the leaf that its warrant carried.
    pub leaf: Option<u64>,
}

/// Takes a large body: bytes go to a temporary file, which [`BlobWriter::finish`] syncs, renames to its content
/// address and makes durable in its directory. Dropping it leaves nothing behind.
pub trait BlobWriter: Send {
    /// Adds bytes.
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError>;
    /// Makes the blob durable.
    fn finish(self: Box<Self>) -> Result<NewBody, StoreError>;
}

/// A store of record. Every implementation passes the same contract suite (`store::contract`).
pub trait Store: Send + Sync + 'static {
    /// A consistent view.
    fn snapshot(&self, permit: ReadPermit) -> Result<Box<dyn Snapshot + '_>, StoreError>;
    /// Queues a commit for the writer. Use [`commit`] instead, which has types.
    fn enqueue(&self, warrant: Warrant, work: ErasedWork);
    /// Starts a large body.
    fn blob(&self) -> Result<Box<dyn BlobWriter>, StoreError>;
    /// Adds a listener; it sees every later commit.
    fn listen(&self, listener: Arc<dyn CommitListener>);
    /// The last durable commit, to wait for.
    fn watch(&self) -> tokio::sync::watch::Receiver<Sequence>;
}

/// A commit without its types: runs inside the transaction, then `done` hears whether the group became durable.
pub struct ErasedWork {
    /// Runs inside the transaction; false rolls this commit back.
    pub run: Box<dyn FnOnce(&mut dyn Transaction) -> bool + Send>,
    /// Called once, after the sync (or after the failure).
    pub done: Box<dyn FnOnce(Result<Committed, StoreError>) + Send>,
}

/// Carries out one commit and waits until it is durable.
///
/// # Errors
/// [`CommitError::Refused`] with the caller's own error, or [`CommitError::Store`].
pub async fn commit<T, E>(
    store: &dyn Store,
    warrant: Warrant,
    work: Work<T, E>,
) -> Result<(T, Committed), CommitError<E>>
where
    T: Send + 'static,
    E: Send + 'static,
{
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let outcome = Arc::new(parking_lot::Mutex::new(None));
    let inside = Arc::clone(&outcome);
    store.enqueue(
        warrant,
        ErasedWork {
            run: Box::new(move |transaction| {
                let result = work(transaction);
                let keep = result.is_ok();
                *inside.lock() = Some(result);
                keep
            }),
            done: Box::new(move |durable| {
                // The receiver may be gone: its request was cut off. The commit stands all the same.
                let _ = sender.send(durable);
            }),
        },
    );
    let durable = receiver.await.map_err(|_| StoreError::Stopped)?;
    let result = outcome.lock().take();
    match (result, durable) {
        (Some(Err(refused)), _) => Err(refused),
        (Some(Ok(value)), Ok(committed)) => Ok((value, committed)),
        (_, Err(error)) => Err(CommitError::Store(error)),
        (None, Ok(_)) => Err(CommitError::Store(StoreError::Stopped)),
    }
}
