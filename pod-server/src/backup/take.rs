//! Taking a backup, from a process of its own while the server runs, or on a stopped server.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags, OptionalExtension};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

use super::manifest::{Listed, Manifest};
use super::{BackupError, DATABASE, MANIFEST, blobs};

/// Pages of the database that are copied at a time.
const PAGES_AT_ONCE: i32 = 4_096;

/// How often a copy of the database is taken anew because bodies that it refers to were given up meanwhile.
const ROUNDS_MAX: usize = 5;

/// Largest file beside the database that is taken along: keys and the like, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Beginning of the name of a folder that is not finished.
const PARTIAL: &str = "partial-";

/// Files of a store's directory that are no part of its state, or have a place of their own.
const LEFT_OUT: [&str; 5] = [
    "lock",
    "reserve",
    "restored.json",
    "store.sqlite-wal",
    "store.sqlite-shm",
];

/// What to take, and where to.
#[derive(Clone, Debug)]
pub struct Taking {
    /// The store's directory.
    pub store: PathBuf,
    /// Base URL of the server.
    pub server: String,
    /// Key files that lie outside the store's directory.
    pub key_files: Vec<PathBuf>,
    /// The revocation journal, which is left out: it has to survive the disk by itself.
    pub journal: PathBuf,
    /// The backup directory. Made if missing.
    pub into: PathBuf,
    /// Backups to keep, the new one included; none are removed unless given.
    pub keep: Option<usize>,
    /// Now.
    pub now: OffsetDateTime,
}

/// Takes a backup; answers its folder. `heard` is told what is being done.
///
/// # Errors
/// [`BackupError`]. Earlier backups are as they were, and nothing new can be taken for one.
pub fn take(taking: &Taking, heard: &mut dyn FnMut(&str)) -> Result<(PathBuf, Manifest), BackupError> {
    make_private(&taking.into)?;
    let _lock = lock(&taking.into)?;
    clear_leftovers(&taking.into)?;
    heard("copying bodies");
    // Before the database, so that hardly any are left to copy after it.
    for digest in blobs::all(&taking.store)? {
        blobs::copy_body(&taking.store, &taking.into, &digest, &taking.into.join("partial-body"))?;
    }
    let folder = taking.into.join(format!("{PARTIAL}{}", std::process::id()));
    for round in 0..ROUNDS_MAX {
        make_private(&folder)?;
        heard("copying the database");
        let copied = Copied::of(&taking.store.join(DATABASE), &folder.join(DATABASE))?;
        heard(&format!(
            "copying the bodies of commit {} (round {})",
            copied.commit,
            round + 1
        ));
        if !copied.bodies_into(taking)? {
            remove_tree(&folder)?;
            continue;
        }
        let manifest = copied.finish(taking, &folder)?;
        blobs::sync_tree(&taking.into)?;
        let finished = taking.into.join(name(taking.now)?);
        fs::rename(&folder, &finished).map_err(|error| BackupError::file(&finished, error))?;
        blobs::sync(&taking.into)?;
        if let Some(keep) = taking.keep {
            heard("removing old backups");
            prune(&taking.into, keep.max(1))?;
        }
        return Ok((finished, manifest));
    }
    Err(BackupError::Restless)
}

/// Checks a backup: every file, every body and the database by their digests.
///
/// # Errors
/// The first fault.
pub fn verify(folder: &Path) -> Result<Manifest, BackupError> {
    let manifest = Manifest::read(folder)?;
    for file in &manifest.files {
        let path = folder.join(&file.name);
        if blobs::measure(&path)? != (file.bytes, file.sha256.clone()) {
            return Err(BackupError::unsound(&path, "it is not the file that was backed up"));
        }
    }
    let database = folder.join(DATABASE);
    if !manifest.files.iter().any(|file| file.name == DATABASE) {
        return Err(BackupError::unsound(&database, "it is not listed"));
    }
    let connection = open(&database)?;
    let sound: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if sound != "ok" {
        return Err(BackupError::unsound(&database, sound));
    }
    let (mut bodies, mut bytes) = (0, 0);
    for (digest, size) in used(&connection)? {
        let path = blobs::address(parent(folder), &digest);
        if blobs::measure(&path)? != (size, digest) {
            return Err(BackupError::unsound(&path, "it is not the body that was backed up"));
        }
        bodies += 1;
        bytes += size;
    }
    if (bodies, bytes) == (manifest.bodies, manifest.body_bytes) {
        Ok(manifest)
    } else {
        Err(BackupError::unsound(
            &database,
            "it refers to other bodies than `backup.json` says",
        ))
    }
}

/// The newest finished backup of a backup directory.
///
/// # Errors
/// When the directory cannot be read.
pub fn latest(directory: &Path) -> Result<Option<PathBuf>, BackupError> {
    Ok(finished(directory)?.pop())
}

/// A copy of the database as it was at one commit.
struct Copied {
    commit: u64,
    format: i64,
    leaves: u64,
    checkpoint: Option<String>,
    bodies: Vec<(String, u64)>,
}

impl Copied {
    fn of(from: &Path, to: &Path) -> Result<Self, BackupError> {
        let source = open(from)?;
        // One view for the whole copy: writers go on and are not seen.
        let view = source.unchecked_transaction()?;
        let commit: i64 = view.query_row("SELECT sequence FROM state", [], |row| row.get(0))?;
        {
            let mut target = Connection::open(to)?;
            target.pragma_update(None, "synchronous", "FULL")?;
            let copy = Backup::new(&view, &mut target)?;
            while copy.step(PAGES_AT_ONCE)? != StepResult::Done {}
        }
        drop(view);
        let file = File::open(to).and_then(|file| file.sync_all());
        file.map_err(|error| BackupError::file(to, error))?;
        let copied = open(to)?;
        let again: i64 = copied.query_row("SELECT sequence FROM state", [], |row| row.get(0))?;
        if again != commit {
            return Err(BackupError::unsound(to, "the copy is of another commit"));
        }
        let format = copied.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        let leaves: i64 = copied.query_row("SELECT count(*) FROM audit_records", [], |row| row.get(0))?;
        let checkpoint: Option<Vec<u8>> = copied
            .query_row(
                "SELECT value FROM records WHERE kind = 'server' AND key = ?1",
                [crate::log::checkpoint::RECORD],
                |row| row.get(0),
            )
            .optional()?;
        Ok(Self {
            commit: commit.unsigned_abs(),
            format,
            leaves: leaves.unsigned_abs(),
            checkpoint: checkpoint.and_then(|note| String::from_utf8(note).ok()),
            bodies: used(&copied)?,
        })
    }

    /// Copies the bodies that are still missing; false when one was given up meanwhile.
    fn bodies_into(&self, taking: &Taking) -> Result<bool, BackupError> {
        for (digest, _) in &self.bodies {
            if !blobs::copy_body(&taking.store, &taking.into, digest, &taking.into.join("partial-body"))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn finish(self, taking: &Taking, folder: &Path) -> Result<Manifest, BackupError> {
        let database = folder.join(DATABASE);
        let mut files = vec![listed(&database, None)?];
        for path in blobs::entries(&taking.store)? {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let metadata = fs::symlink_metadata(&path).map_err(|error| BackupError::file(&path, error))?;
            let ours = metadata.is_file() && metadata.len() <= FILE_BYTES_MAX && !name.starts_with('.');
            if !ours || name == DATABASE || LEFT_OUT.contains(&name) || path == taking.journal {
                continue;
            }
            blobs::copy(&path, &folder.join(name))?;
            files.push(listed(&folder.join(name), None)?);
        }
        for (number, path) in taking.key_files.iter().enumerate() {
            if path.parent() == Some(&taking.store) || !path.exists() {
                continue;
            }
            let copy = folder.join(format!("key-{number}"));
            blobs::copy(path, &copy)?;
            files.push(listed(&copy, Some(path.clone()))?);
        }
        let manifest = Manifest {
            format: Manifest::FORMAT.to_owned(),
            version: Manifest::VERSION,
            server: taking.server.clone(),
            taken: taking.now.format(&Rfc3339).unwrap_or_default(),
            commit: self.commit,
            store_format: self.format,
            log_leaves: self.leaves,
            checkpoint: self.checkpoint,
            files,
            bodies: self.bodies.len() as u64,
            body_bytes: self.bodies.iter().map(|(_, size)| size).sum(),
        };
        let path = folder.join(MANIFEST);
        let text =
            serde_json::to_vec_pretty(&manifest).map_err(|error| BackupError::unsound(&path, error.to_string()))?;
        let written = fs::write(&path, text).and_then(|()| File::open(&path)?.sync_all());
        written.map_err(|error| BackupError::file(&path, error))?;
        Ok(manifest)
    }
}

fn listed(path: &Path, belongs: Option<PathBuf>) -> Result<Listed, BackupError> {
    let (bytes, sha256) = blobs::measure(path)?;
    Ok(Listed {
        name: path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default()
            .to_owned(),
        path: belongs,
        bytes,
        sha256,
    })
}

/// Digest and length of every body that a database refers to.
pub(super) fn used(connection: &Connection) -> Result<Vec<(String, u64)>, BackupError> {
    let mut statement = connection.prepare("SELECT digest, size FROM blobs WHERE uses > 0 ORDER BY digest")?;
    let rows = statement.query_map([], |row| {
        let digest: [u8; 32] = row.get(0)?;
        let size: i64 = row.get(1)?;
        Ok((hex::encode(digest), size.unsigned_abs()))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn open(database: &Path) -> Result<Connection, BackupError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(database, flags)
        .map_err(|error| BackupError::unsound(database, format!("it cannot be opened: {error}")))?;
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    Ok(connection)
}

/// Only one backup at a time may work in a backup directory. The system drops the lock when the process ends.
fn lock(directory: &Path) -> Result<File, BackupError> {
    let path = directory.join("lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|error| BackupError::file(&path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(BackupError::Busy(directory.to_owned())),
        Err(TryLockError::Error(error)) => Err(BackupError::file(&path, error)),
    }
}

fn clear_leftovers(directory: &Path) -> Result<(), BackupError> {
    for path in blobs::entries(directory)? {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with(PARTIAL) {
            remove_tree(&path)?;
        }
    }
    Ok(())
}

fn remove_tree(path: &Path) -> Result<(), BackupError> {
    let removed = if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    removed.map_err(|error| BackupError::file(path, error))
}

/// A directory that only its owner enters: a backup holds keys and what access rules protect.
pub(super) fn make_private(directory: &Path) -> Result<(), BackupError> {
    use std::os::unix::fs::DirBuilderExt;
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(directory);
    made.map_err(|error| BackupError::file(directory, error))
}

/// Folders that hold a finished backup, oldest first.
fn finished(directory: &Path) -> Result<Vec<PathBuf>, BackupError> {
    let mut found = blobs::entries(directory)?;
    found.retain(|path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        !name.starts_with(PARTIAL) && path.join(MANIFEST).is_file()
    });
    found.sort();
    Ok(found)
}

/// Removes all but the newest backups, and the bodies that none of them refers to.
fn prune(directory: &Path, keep: usize) -> Result<(), BackupError> {
    let mut kept = finished(directory)?;
    let old = kept.len().saturating_sub(keep);
    for folder in kept.drain(..old) {
        // Renamed first: half a backup must not look like one.
        let partial = directory.join(format!("{PARTIAL}old"));
        fs::rename(&folder, &partial).map_err(|error| BackupError::file(&folder, error))?;
        remove_tree(&partial)?;
    }
    let mut needed = std::collections::HashSet::new();
    for folder in &kept {
        needed.extend(
            used(&open(&folder.join(DATABASE))?)?
                .into_iter()
                .map(|(digest, _)| digest),
        );
    }
    for digest in blobs::all(directory)? {
        if !needed.contains(&digest) {
            remove_tree(&blobs::address(directory, &digest))?;
        }
    }
    Ok(())
}

/// A folder's name, in the order of time.
fn name(now: OffsetDateTime) -> Result<String, BackupError> {
    let format = format_description!("[year]-[month]-[day]T[hour]-[minute]-[second].[subsecond digits:3]Z");
    now.to_offset(time::UtcOffset::UTC)
        .format(format)
        .map_err(|error| BackupError::unsound(Path::new("the clock"), error.to_string()))
}

fn parent(folder: &Path) -> &Path {
    folder.parent().unwrap_or(Path::new("."))
}
