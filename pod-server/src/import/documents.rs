//! The documents that a table's rows are gathered into before they are stored, and how they are stored.

use std::collections::BTreeMap;

use bytes::Bytes;
use oxttl::TurtleSerializer;
use oxttl::turtle::WriterTurtleSerializer;

use super::mapping::Mapped;
use super::report::Report;
use super::source::Input;
use super::{ImportError, ImportOptions, Progress};
use crate::name::ResourceName;
use crate::store::{self, Body, CommitError, NewBody, NewState, ReadPermit, ResourceKind, Store, Warrant};

/// Documents that are written in one commit.
const COMMIT_DOCUMENTS: usize = 256;
/// Bytes that are written in one commit, about.
const COMMIT_BYTES: usize = 8 << 20;

/// Turtle documents under construction, by name.
pub struct Documents {
    open: BTreeMap<String, WriterTurtleSerializer<Vec<u8>>>,
    prefixes: BTreeMap<String, String>,
    triples: u64,
    triples_max: u64,
}

/// A finished document.
pub struct Finished {
    /// Canonical name.
    pub name: ResourceName,
    /// Media type.
    pub media_type: &'static str,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl Documents {
    /// No documents yet. `prefixes` make them readable; at most `triples_max` triples are gathered.
    #[must_use]
    pub const fn new(prefixes: BTreeMap<String, String>, triples_max: u64) -> Self {
        Self {
            open: BTreeMap::new(),
            prefixes,
            triples: 0,
            triples_max,
        }
    }

    /// Adds what a row became.
    ///
    /// # Errors
    /// [`ImportError::Buffer`] past the bound.
    pub fn add(&mut self, input: &Input, mapped: Mapped, report: &mut Report) -> Result<(), ImportError> {
        if mapped.triples.is_empty() {
            return Ok(());
        }
        self.triples += mapped.triples.len() as u64;
        if self.triples > self.triples_max {
            return Err(ImportError::Buffer {
                input: input.label.clone(),
                triples_max: self.triples_max,
            });
        }
        let name = mapped.document.unwrap_or_else(|| format!("{}.ttl", input.stem));
        let document = match self.open.entry(name) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => {
                let mut serializer = TurtleSerializer::new();
                for (prefix, iri) in &self.prefixes {
                    serializer = serializer
                        .with_prefix(prefix.clone(), iri.clone())
                        .map_err(|_| ImportError::Base(iri.clone()))?;
                }
                entry.insert(serializer.for_writer(Vec::new()))
            }
        };
        report.triples += mapped.triples.len() as u64;
        for triple in &mapped.triples {
            document.serialize_triple(triple).map_err(ImportError::Write)?;
        }
        Ok(())
    }

    /// Closes all documents, in name order.
    ///
    /// # Errors
    /// A name that is none.
    pub fn finish(self, options: &ImportOptions) -> Result<Vec<Finished>, ImportError> {
        let mut finished = Vec::with_capacity(self.open.len());
        for (name, document) in self.open {
            let bytes = document.finish().map_err(ImportError::Write)?;
            finished.push(Finished {
                name: options.document(&name)?,
                media_type: "text/turtle",
                bytes,
            });
        }
        Ok(finished)
    }
}

/// Stores documents in a few large commits. One whose bytes are there already is left alone, so that a second run
/// changes nothing and an interrupted one goes on where it stopped.
///
/// # Errors
/// What the store says.
pub async fn store(
    store: &dyn Store,
    finished: Vec<Finished>,
    report: &mut Report,
    progress: &mut dyn Progress,
) -> Result<(), ImportError> {
    let total = finished.len() as u64;
    let mut done = 0;
    let mut batch = Vec::new();
    let mut batch_bytes = 0;
    for document in finished {
        if is_stored(store, &document)? {
            report.documents_unchanged += 1;
            done += 1;
            continue;
        }
        batch_bytes += document.bytes.len();
        batch.push((document.name.clone(), state(store, document)?));
        if batch.len() >= COMMIT_DOCUMENTS || batch_bytes >= COMMIT_BYTES {
            done += batch.len() as u64;
            report.documents += write(store, std::mem::take(&mut batch)).await?;
            batch_bytes = 0;
            progress.documents(done, total);
        }
    }
    report.documents += write(store, batch).await?;
    progress.documents(total, total);
    Ok(())
}

async fn write(store: &dyn Store, batch: Vec<(ResourceName, NewState)>) -> Result<u64, ImportError> {
    let count = batch.len() as u64;
    if count == 0 {
        return Ok(0);
    }
    let work = Box::new(move |transaction: &mut dyn store::Transaction| {
        for (name, state) in batch {
            transaction.put(&name, state)?;
        }
        Ok(())
    });
    let warrant = Warrant::without_proof("the operator imports into a stopped server");
    store::commit::<(), std::convert::Infallible>(store, warrant, work)
        .await
        .map_err(|error| match error {
            CommitError::Refused(never) => match never {},
            CommitError::Store(error) => ImportError::Store(error),
        })?;
    Ok(count)
}

fn state(store: &dyn Store, document: Finished) -> Result<NewState, ImportError> {
    let body = if document.bytes.len() > INLINE_BYTES_MAX {
        let mut blob = store.blob()?;
        blob.write(&document.bytes)?;
        blob.finish()?
    } else {
        NewBody::Bytes(Bytes::from(document.bytes))
    };
    Ok(NewState {
        kind: ResourceKind::RdfSource,
        media_type: document.media_type.to_owned(),
        body,
    })
}

/// Documents above this size go to a file.
const INLINE_BYTES_MAX: usize = 64 << 10;

fn is_stored(store: &dyn Store, document: &Finished) -> Result<bool, ImportError> {
    let snapshot = store.snapshot(ReadPermit::without_proof(
        "the operator's import compares what is there",
    ))?;
    let Some(resource) = snapshot.resource(&document.name)? else {
        return Ok(false);
    };
    if resource.media_type != document.media_type || resource.size != document.bytes.len() as u64 {
        return Ok(false);
    }
    Ok(match snapshot.body(&resource)? {
        Body::Bytes(bytes) => *bytes == *document.bytes,
        Body::File { path, .. } => std::fs::read(path).map_err(store::StoreError::File)? == document.bytes,
    })
}
