//! Copying files so that they are whole and on the disk, with their digests.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{BLOBS, BackupError};

/// Bytes that are copied at a time.
const CHUNK_BYTES: usize = 256 << 10;

/// Where a body lies below a directory.
pub(super) fn address(directory: &Path, digest: &str) -> PathBuf {
    directory.join(BLOBS).join(digest.get(..2).unwrap_or("00")).join(digest)
}

/// Copies a file to a new one, which only its owner reads, and syncs it; answers length and SHA-256. What cannot be finished is
/// removed again.
pub(super) fn copy(from: &Path, to: &Path) -> Result<(u64, String), BackupError> {
    let mut source = File::open(from).map_err(|error| BackupError::file(from, error))?;
    let written = write(&mut source, to);
    if written.is_err() {
        // It may never have been made.
        let _ = fs::remove_file(to);
    }
    written.map_err(|error| BackupError::file(to, error))
}

fn write(source: &mut File, to: &Path) -> std::io::Result<(u64, String)> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    let (mut hash, mut length, mut chunk) = (Sha256::new(), 0, vec![0; CHUNK_BYTES]);
    loop {
        let count = source.read(&mut chunk)?;
        let bytes = chunk.get(..count).unwrap_or_default();
        if bytes.is_empty() {
            file.sync_all()?;
            return Ok((length, hex::encode(hash.finalize())));
        }
        hash.update(bytes);
        file.write_all(bytes)?;
        length += count as u64;
    }
}

/// Length and SHA-256 of a file.
pub(super) fn measure(path: &Path) -> Result<(u64, String), BackupError> {
    let failed = |error| BackupError::file(path, error);
    let mut file = File::open(path).map_err(failed)?;
    let (mut hash, mut length, mut chunk) = (Sha256::new(), 0, vec![0; CHUNK_BYTES]);
    loop {
        let count = file.read(&mut chunk).map_err(failed)?;
        let bytes = chunk.get(..count).unwrap_or_default();
        if bytes.is_empty() {
            return Ok((length, hex::encode(hash.finalize())));
        }
        hash.update(bytes);
        length += count as u64;
    }
}

/// Copies a body from one directory to another, unless it is there; false when it is not in the first. `scratch` is a file
/// name in the second directory that nobody else uses.
pub(super) fn copy_body(from: &Path, to: &Path, digest: &str, scratch: &Path) -> Result<bool, BackupError> {
    let (source, target) = (address(from, digest), address(to, digest));
    if target.exists() {
        return Ok(true);
    }
    let copied = match copy(&source, scratch) {
        Err(BackupError::File { source, .. }) if source.kind() == ErrorKind::NotFound => return Ok(false),
        copied => copied?,
    };
    if copied.1 != digest {
        let _ = fs::remove_file(scratch);
        return Err(BackupError::unsound(
            &source,
            "its bytes do not have the SHA-256 that its name says",
        ));
    }
    if let Some(shard) = target.parent() {
        fs::create_dir_all(shard).map_err(|error| BackupError::file(shard, error))?;
    }
    fs::rename(scratch, &target).map_err(|error| BackupError::file(&target, error))?;
    Ok(true)
}

/// The digests of all bodies below a directory.
pub(super) fn all(directory: &Path) -> Result<Vec<String>, BackupError> {
    let mut found = Vec::new();
    let blobs = directory.join(BLOBS);
    if !blobs.exists() {
        return Ok(found);
    }
    for shard in entries(&blobs)? {
        if shard.is_dir() {
            let names = entries(&shard)?;
            found.extend(
                names
                    .iter()
                    .filter_map(|path| path.file_name()?.to_str().map(str::to_owned)),
            );
        }
    }
    found.retain(|name| name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit()));
    Ok(found)
}

/// The paths in a directory.
pub(super) fn entries(directory: &Path) -> Result<Vec<PathBuf>, BackupError> {
    let failed = |error| BackupError::file(directory, error);
    let read = fs::read_dir(directory).map_err(failed)?;
    read.map(|entry| entry.map(|entry| entry.path()).map_err(failed))
        .collect()
}

/// Makes the names in a directory, and in the directories below it, durable.
pub(super) fn sync_tree(directory: &Path) -> Result<(), BackupError> {
    for path in entries(directory)? {
        if path.is_dir() {
            sync_tree(&path)?;
        }
    }
    sync(directory)
}

/// Makes the names in a directory durable.
pub(super) fn sync(directory: &Path) -> Result<(), BackupError> {
    File::open(directory)
        .and_then(|opened| opened.sync_all())
        .map_err(|error| BackupError::file(directory, error))
}
