//! An archive as the body of an answer, for whoever downloads it.

use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;
use server_kit::body::{self, Body, Sender};
use time::OffsetDateTime;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::{ArchiveError, Source, export};
use crate::name::ResourceName;
use crate::store::{ReadPermit, Store};

/// Bytes that are sent at a time.
const CHUNK_BYTES: usize = 64 << 10;

/// Chunks that wait for a receiver who is behind.
const CHUNKS_WAITING_MAX: usize = 4;

/// Archives that are written to receivers, a bounded number at a time: each occupies a thread.
#[derive(Clone, Debug)]
pub struct Exports {
    running: Arc<Semaphore>,
}

/// As many archives as allowed are being written already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("several archives are being written already; try again in a few minutes")]
pub struct TooMany;

impl Exports {
    /// At most so many at one time.
    #[must_use]
    pub fn new(concurrent_max: usize) -> Self {
        Self {
            running: Arc::new(Semaphore::new(concurrent_max.max(1))),
        }
    }

    /// The archive of a storage as a body: `application/gzip`, of a length that is known at its end only. It takes a few
    /// hundred kilobytes of memory however large the storage is. An archive that cannot be finished breaks the body, so
    /// that nobody takes it for complete.
    ///
    /// The caller has made sure that whoever receives it may read all of the storage, and says so with the permit.
    ///
    /// # Errors
    /// [`TooMany`], to be answered with 503.
    pub fn stream(&self, store: Arc<dyn Store>, permit: ReadPermit, source: Source) -> Result<Body, TooMany> {
        let place = Arc::clone(&self.running).try_acquire_owned().map_err(|_| TooMany)?;
        let (sender, body) = body::channel(CHUNKS_WAITING_MAX);
        let runtime = Handle::current();
        tokio::task::spawn_blocking(move || {
            let mut receiver = Receiver {
                sender,
                runtime,
                chunk: Vec::with_capacity(CHUNK_BYTES),
            };
            let written = export(&*store, permit, &source, &mut receiver, &mut |_, _| {});
            drop(place);
            if let Err(error) = written {
                if !matches!(&error, ArchiveError::File(gone) if gone.kind() == io::ErrorKind::BrokenPipe) {
                    tracing::warn!(storage = %source.root, %error, "an archive was not finished");
                }
                receiver.sender.abort(io::Error::other(error));
            }
        });
        Ok(body)
    }
}

/// A name for the file, such as `gent-2026-11-21.tar.gz`.
#[must_use]
pub fn file_name(root: &ResourceName, now: OffsetDateTime) -> String {
    format!("{}-{}.tar.gz", root.last_segment(), now.date())
}

/// Hands bytes over to whoever receives the body; waits while they are behind.
struct Receiver {
    sender: Sender,
    runtime: Handle,
    chunk: Vec<u8>,
}

impl Receiver {
    fn send(&mut self) -> io::Result<()> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let chunk = std::mem::replace(&mut self.chunk, Vec::with_capacity(CHUNK_BYTES));
        self.runtime
            .block_on(self.sender.send(Bytes::from(chunk)))
            .map_err(|gone| io::Error::new(io::ErrorKind::BrokenPipe, gone))
    }
}

impl Write for Receiver {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(CHUNK_BYTES - self.chunk.len());
        self.chunk.extend_from_slice(bytes.get(..count).unwrap_or_default());
        if self.chunk.len() == CHUNK_BYTES {
            self.send()?;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send()
    }
}
