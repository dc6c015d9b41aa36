//! Resources, their bodies, and the storages they lie in.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

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
    /// The commit that made this state. A container's state includes its listing, so that it changes with its members.
    pub version: Sequence,
    /// Last modification, Unix seconds; for a container, of its listing too.
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

/// The newest state of a resource with its bytes.
#[derive(Clone, Debug)]
pub struct Latest {
    /// Everything but the bytes.
    pub resource: Arc<Resource>,
    /// The bytes.
    pub body: Body,
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
    /// Unix seconds; for a container, of its own state and not of its listing.
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
