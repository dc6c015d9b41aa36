//! The contract that every implementation of [`Store`] keeps, as checks that a test runs against it.
//!
//! Each check opens a fresh store, uses only the public traits, and says in words what it found broken.

mod audit;
mod blobs;
mod commits;
mod containers;
mod events;
mod records;
mod resources;
mod uses;
mod views;

use std::sync::Arc;

use bytes::Bytes;

use super::{
    Body, CommitError, Committed, NewBody, NewState, ReadPermit, RecordKind, Resource, ResourceKind, Snapshot, Store,
    StoreError, Transaction, Warrant, commit_blocking,
};
use crate::name::ResourceName;

/// A promise that was not kept.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Violation(pub String);

impl<E> From<CommitError<E>> for Violation {
    fn from(error: CommitError<E>) -> Self {
        Self(match error {
            CommitError::Refused(_) => "a commit was refused unexpectedly".to_owned(),
            CommitError::Store(error) => format!("a commit failed: {error} ({error:?})"),
        })
    }
}

impl From<StoreError> for Violation {
    fn from(error: StoreError) -> Self {
        Self(format!("the store failed: {error} ({error:?})"))
    }
}

impl From<std::io::Error> for Violation {
    fn from(error: std::io::Error) -> Self {
        Self(format!("a file could not be read: {error}"))
    }
}

/// Bounds that a check wants its store to have.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bytes per storage.
    pub quota_bytes_max: u64,
    /// Bytes of a body that is not a blob.
    pub inline_bytes_max: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            quota_bytes_max: 1 << 30,
            inline_bytes_max: 4_096,
        }
    }
}

/// Makes a new empty store.
pub type Factory<'f> = &'f dyn Fn(Bounds) -> Result<Arc<dyn Store>, StoreError>;

/// One promise.
pub struct Check {
    /// What is promised.
    pub name: &'static str,
    /// Tries to find it broken.
    pub run: fn(Factory<'_>) -> Result<(), Violation>,
}

/// Every promise.
pub fn checks() -> Vec<Check> {
    [
        resources::CHECKS,
        containers::CHECKS,
        commits::CHECKS,
        events::CHECKS,
        views::CHECKS,
        blobs::CHECKS,
        records::CHECKS,
        audit::CHECKS,
        uses::CHECKS,
    ]
    .into_iter()
    .flatten()
    .map(|&(name, run)| Check { name, run })
    .collect()
}

type List = &'static [(&'static str, fn(Factory<'_>) -> Result<(), Violation>)];

/// Ends the check with words unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($words:tt)+) => {
        if !$condition {
            return Err(Violation(format!($($words)+)));
        }
    };
}
use ensure;

/// Why a check's own commit refuses.
#[derive(Debug)]
struct No;

fn name(path: &str) -> Result<ResourceName, Violation> {
    ResourceName::parse(path).map_err(|error| Violation(format!("`{path}` is no name: {error}")))
}

fn permit() -> ReadPermit {
    ReadPermit::without_proof("contract suite")
}

fn warrant() -> Warrant {
    Warrant::without_proof("contract suite")
}

fn turtle(text: &str) -> NewState {
    NewState {
        kind: ResourceKind::RdfSource,
        media_type: "text/turtle".to_owned(),
        body: NewBody::Bytes(Bytes::copy_from_slice(text.as_bytes())),
    }
}

fn container(text: &str) -> NewState {
    NewState {
        kind: ResourceKind::Container,
        ..turtle(text)
    }
}

fn write<T: Send + 'static>(
    store: &dyn Store,
    work: impl FnOnce(&mut dyn Transaction) -> Result<T, CommitError<No>> + Send + 'static,
) -> Result<(T, Committed), CommitError<No>> {
    commit_blocking(store, warrant(), Box::new(work))
}

fn put(store: &dyn Store, path: &str, text: &str) -> Result<(Resource, Committed), Violation> {
    let (name, state) = (name(path)?, turtle(text));
    Ok(write(store, move |inside| Ok(inside.put(&name, state)?))?)
}

fn remove(store: &dyn Store, path: &str) -> Result<(bool, Committed), Violation> {
    let name = name(path)?;
    Ok(write(store, move |inside| Ok(inside.remove(&name)?))?)
}

fn record(store: &dyn Store, kind: RecordKind, key: &str, value: &str) -> Result<Committed, Violation> {
    let (key, value) = (key.to_owned(), value.to_owned());
    Ok(write(store, move |inside| {
        Ok(inside.record_put(kind, &key, value.as_bytes())?)
    })?
    .1)
}

/// A store with the storage `/a/`.
fn with_storage(factory: Factory<'_>, bounds: Bounds) -> Result<Arc<dyn Store>, Violation> {
    let store = factory(bounds)?;
    add_storage(&*store, "/a/")?;
    Ok(store)
}

fn add_storage(store: &dyn Store, root: &str) -> Result<super::Storage, Violation> {
    let root = name(root)?;
    let made = write(store, move |inside| {
        Ok(inside.create_storage(&root, "https://owner.example/#me")?)
    })?;
    Ok(made.0)
}

/// The bytes of a body, wherever they are.
fn bytes_of(body: Body) -> Result<Vec<u8>, Violation> {
    Ok(match body {
        Body::Bytes(bytes) => bytes.to_vec(),
        Body::File { path, size } => {
            let bytes = std::fs::read(path)?;
            ensure!(
                bytes.len() as u64 == size,
                "a blob has {} bytes, not {size}",
                bytes.len()
            );
            bytes
        }
    })
}

/// The text of a resource in a view; none if it does not exist.
fn text(view: &dyn Snapshot, path: &str) -> Result<Option<String>, Violation> {
    let Some(resource) = view.resource(&name(path)?)? else {
        return Ok(None);
    };
    let bytes = bytes_of(view.body(&resource)?)?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// The resource at a path, which must be there.
fn known(view: &dyn Snapshot, path: &str) -> Result<Resource, Violation> {
    view.resource(&name(path)?)?
        .ok_or_else(|| Violation(format!("`{path}` is missing")))
}

/// The names of the members of a container.
fn listing(view: &dyn Snapshot, path: &str) -> Result<Vec<String>, Violation> {
    let members = view.members(&name(path)?, None, usize::MAX)?;
    Ok(members.iter().map(|member| member.name.to_string()).collect())
}
