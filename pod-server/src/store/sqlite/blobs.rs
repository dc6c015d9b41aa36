//! Large bodies as files named by their SHA-256.
//!
//! A blob is written to a temporary file, synced, renamed to its address and made durable in its directory, and only
//! then may a commit refer to it. A blob is never changed. It is removed when no commit has referred to it for a
//! grace period, so that whoever learned its path a moment ago can still open it; an opened file stays readable.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use super::health::Health;
use crate::store::{BlobWriter, NewBody, StoreError};

/// Bytes after which those written so far are sent to the disk while more come in. Only what came last is then left for
/// the sync at the end. The system may then give their pages to those that come next, so that a large upload does not drive
/// out what others read, and goes on in memory that is at hand instead of memory that must be fetched and cleared first.
const EARLY_SYNC_BYTES: u64 = 32 << 20;

/// SHA-256 of a body.
pub(super) type BlobDigest = [u8; 32];

/// The directory of all blobs of a store.
pub(super) struct BlobDirectory {
    blobs: PathBuf,
    incoming: PathBuf,
    next: AtomicU64,
    /// Blobs that were uploaded or given up lately: a commit may be on its way, or a reader about to open it.
    recent: Mutex<HashMap<BlobDigest, Instant>>,
}

impl BlobDirectory {
    /// Makes the directories, and removes what an interrupted upload left.
    pub(super) fn open(directory: &Path) -> Result<Self, StoreError> {
        let blobs = directory.join("blobs");
        let incoming = directory.join("incoming");
        fs::create_dir_all(&incoming)?;
        fs::create_dir_all(&blobs)?;
        for entry in fs::read_dir(&incoming)? {
            fs::remove_file(entry?.path())?;
        }
        sync_directory(directory)?;
        Ok(Self {
            blobs,
            incoming,
            next: AtomicU64::new(0),
            recent: Mutex::new(HashMap::new()),
        })
    }

    /// The file of a blob.
    pub(super) fn path(&self, digest: &BlobDigest) -> PathBuf {
        let name = hex::encode(digest);
        let shard = name.get(..2).unwrap_or("00").to_owned();
        self.blobs.join(shard).join(name)
    }

    /// Whether a blob is there in full length.
    pub(super) fn holds(&self, digest: &BlobDigest, size: u64) -> bool {
        fs::metadata(self.path(digest)).is_ok_and(|metadata| metadata.is_file() && metadata.len() == size)
    }

    /// Starts a blob.
    pub(super) fn create(self: &Arc<Self>, health: &Arc<Health>) -> Result<IncomingBlob, StoreError> {
        let path = self
            .incoming
            .join(self.next.fetch_add(1, Ordering::Relaxed).to_string());
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(room)?;
        Ok(IncomingBlob {
            directory: Arc::clone(self),
            health: Arc::clone(health),
            file,
            path: Some(path),
            hash: Sha256::new(),
            size: 0,
            sent: 0,
            sending: None,
        })
    }

    /// Removes a blob that nothing uses, unless its grace period has begun anew; true if it is gone.
    pub(super) fn discard(&self, digest: &BlobDigest, grace: Duration) -> Result<bool, StoreError> {
        // The lock keeps an upload of the same bytes from finishing in between.
        let mut recent = self.recent.lock();
        if recent.get(digest).is_some_and(|since| since.elapsed() < grace) {
            return Ok(false);
        }
        recent.remove(digest);
        match fs::remove_file(self.path(digest)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// Starts the grace period of a blob anew.
    pub(super) fn spare(&self, digest: BlobDigest) {
        self.recent.lock().insert(digest, Instant::now());
    }

    /// Some blobs whose grace period is over; they are forgotten by this call.
    pub(super) fn take_expired(&self, grace: Duration, blobs_max: usize) -> Vec<BlobDigest> {
        let mut recent = self.recent.lock();
        let expired: Vec<_> = recent
            .iter()
            .filter(|(_, since)| since.elapsed() >= grace)
            .map(|(digest, _)| *digest)
            .take(blobs_max)
            .collect();
        for digest in &expired {
            recent.remove(digest);
        }
        expired
    }

    /// Every file below the blob directory with the digest that its name tells, if it tells one.
    pub(super) fn files(&self) -> Result<Vec<(PathBuf, Option<BlobDigest>)>, StoreError> {
        let mut files = Vec::new();
        for shard in fs::read_dir(&self.blobs)? {
            let shard = shard?;
            if !shard.file_type()?.is_dir() {
                files.push((shard.path(), None));
                continue;
            }
            for file in fs::read_dir(shard.path())? {
                let path = file?.path();
                let digest = digest_of(&path);
                files.push((path, digest));
            }
        }
        Ok(files)
    }

    fn settle(&self, temporary: &Path, digest: BlobDigest) -> Result<(), StoreError> {
        let path = self.path(&digest);
        {
            let mut recent = self.recent.lock();
            if let Err(error) = fs::rename(temporary, &path) {
                if error.kind() != ErrorKind::NotFound {
                    return Err(room(error));
                }
                self.make_shard(&path)?;
                fs::rename(temporary, &path).map_err(room)?;
            }
            recent.insert(digest, Instant::now());
        }
        Ok(())
    }

    /// Makes the directory of an address durable; the first blob of each needs it.
    fn make_shard(&self, address: &Path) -> Result<(), StoreError> {
        if let Some(shard) = address.parent() {
            fs::create_dir_all(shard).map_err(room)?;
        }
        sync_directory(&self.blobs)
    }
}

/// Makes names in a directory durable.
pub(super) fn sync_directory(directory: &Path) -> Result<(), StoreError> {
    File::open(directory)?.sync_all()?;
    Ok(())
}

/// A full disk is told apart from a broken one.
pub(super) fn room(error: std::io::Error) -> StoreError {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreError::Full("the disk is full".to_owned()),
        _ => StoreError::File(error),
    }
}

fn digest_of(path: &Path) -> Option<BlobDigest> {
    let bytes = hex::decode(path.file_name()?.to_str()?).ok()?;
    bytes.try_into().ok()
}

/// A blob on its way in.
pub(super) struct IncomingBlob {
    directory: Arc<BlobDirectory>,
    health: Arc<Health>,
    file: File,
    /// The temporary file, as long as there is one to remove.
    path: Option<PathBuf>,
    hash: Sha256,
    size: u64,
    /// Bytes that were there when the last early sync began.
    sent: u64,
    /// The early sync that is under way.
    sending: Option<JoinHandle<std::io::Result<()>>>,
}

impl IncomingBlob {
    /// Begins to sync what was written, on a thread of its own, when there is enough of it; waits for the sync before.
    fn send_early(&mut self) -> Result<(), StoreError> {
        if self.size - self.sent < EARLY_SYNC_BYTES {
            return Ok(());
        }
        self.await_sending()?;
        self.sent = self.size;
        let (file, sent) = (self.file.try_clone().map_err(room)?, self.size);
        let thread = std::thread::Builder::new().name("store-blob-sync".to_owned());
        // Without a thread everything is left to the sync at the end.
        self.sending = thread
            .spawn(move || file.sync_data().map(|()| give_back(&file, sent)))
            .ok();
        Ok(())
    }

    /// Waits for the early sync. Its failure is told once only, so it counts as that of the sync at the end would.
    fn await_sending(&mut self) -> Result<(), StoreError> {
        match self.sending.take().map(JoinHandle::join) {
            None | Some(Ok(Ok(()))) => Ok(()),
            Some(Ok(Err(error))) => Err(self.sync_failed(error)),
            Some(Err(_)) => Err(self.sync_failed(std::io::Error::other("the thread that synced it panicked"))),
        }
    }

    /// Nothing refers to the file yet, so a full disk loses nothing; any other failure means a broken disk.
    fn sync_failed(&self, error: std::io::Error) -> StoreError {
        match room(error) {
            StoreError::File(error) => self.health.sync_failed("a blob", error),
            full => full,
        }
    }
}

/// Lets the system give the pages of the first `bytes` of a synced file to others. Advice only: if it is not taken nothing is
/// lost but memory.
fn give_back(file: &File, bytes: u64) {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{Advice, fadvise};
        let _ = fadvise(file, 0, std::num::NonZeroU64::new(bytes), Advice::DontNeed);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (file, bytes);
}

impl BlobWriter for IncomingBlob {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.file.write_all(bytes).map_err(room)?;
        self.hash.update(bytes);
        self.size += bytes.len() as u64;
        self.send_early()
    }

    fn finish(mut self: Box<Self>) -> Result<NewBody, StoreError> {
        let digest: BlobDigest = std::mem::take(&mut self.hash).finalize().into();
        self.await_sending()?;
        self.file.sync_all().map_err(|error| self.sync_failed(error))?;
        if let Some(temporary) = &self.path {
            self.directory.settle(temporary, digest)?;
        }
        self.path = None;
        let address = self.directory.path(&digest);
        let shard = address.parent().unwrap_or(&self.directory.blobs);
        // A name that may or may not be durable cannot be repaired by asking again.
        match File::open(shard).and_then(|opened| opened.sync_all()) {
            Ok(()) => Ok(NewBody::Blob {
                digest,
                size: self.size,
            }),
            Err(error) => Err(self.health.sync_failed("a blob's directory", error)),
        }
    }
}

impl Drop for IncomingBlob {
    fn drop(&mut self) {
        if let Some(path) = self.path.take()
            && let Err(error) = fs::remove_file(&path)
        {
            tracing::warn!(path = %path.display(), %error, "a temporary file stays until the next start");
        }
    }
}
