//! Putting a backup back into an empty directory: verified, with what had ended since ended again, and only then in place.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;
use serde::Serialize;

use super::replay::{Replayed, replaying};
use super::{BackupError, DATABASE, Manifest, RESTORING, blobs, journal, take};
use crate::app::App;
use crate::config::Config;
use crate::log::verify::{self, Proved};
use crate::store::{ReadPermit, SqliteStore};

/// Commits that are left out after those of the backup: no entity tag that the lost server gave out is given out again.
const COMMITS_LEFT_OUT: u64 = 1 << 20;

/// What is to be restored, and how.
#[derive(Clone, Debug)]
pub struct Restore {
    /// The backup's folder.
    pub backup: PathBuf,
    /// The configuration of the server; its store's directory must be empty or missing.
    pub config: Config,
    /// What is played back.
    pub replay: Replay,
    /// An earlier checkpoint of the audit log, from outside, that the restored log is compared with.
    pub checkpoint: Option<String>,
}

/// What is played back to the restored store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replay {
    /// The revocation journal of the lost server.
    Journal(PathBuf),
    /// There is no journal: everything that may have been revoked ends.
    Nothing {
        /// Access rules stay as they are in the backup: the operator has decided that none was narrowed since.
        keep_rules: bool,
    },
}

/// What was restored. It is also written to `restored.json` in the store's directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Restored {
    /// The last commit of the backup.
    pub commit: u64,
    /// Resources.
    pub resources: u64,
    /// Leaves of the audit log that were proved.
    pub log_leaves: u64,
    /// Leaves that an earlier checkpoint from outside covers and that are lost.
    pub log_leaves_lost: u64,
    /// What ended again.
    pub ended: Replayed,
}

/// Restores a backup. It blocks: call it on a thread of a runtime that may.
///
/// # Errors
/// [`BackupError`]. The store's directory then holds no store; running it again begins anew.
pub fn restore(restore: &Restore, heard: &mut dyn FnMut(&str)) -> Result<Restored, BackupError> {
    let directory = restore.config.store.directory.clone();
    let work = directory.join(RESTORING);
    prepare(&directory, &work)?;
    heard("checking the backup");
    let manifest = take::verify(&restore.backup)?;
    let known = match &restore.replay {
        Replay::Journal(path) => Some(matching(path, restore, &manifest)?),
        Replay::Nothing { .. } => None,
    };
    heard("copying");
    let outside = copy(restore, &manifest, &work)?;
    let last = known.as_ref().map_or(0, |known| known.last).max(manifest.commit);
    move_on(&work.join(DATABASE), last)?;
    heard("ending what had ended");
    let ended = replay(restore, &manifest, known.as_ref(), &work)?;
    heard("checking the restored store");
    let (resources, proved, lost) = check(restore, &manifest, &work)?;
    let restored = Restored {
        commit: manifest.commit,
        resources,
        log_leaves: proved.leaves,
        log_leaves_lost: lost,
        ended,
    };
    settle(&directory, &work, &outside, &restored)?;
    Ok(restored)
}

/// Makes room; what an interrupted restore left is removed.
fn prepare(directory: &Path, work: &Path) -> Result<(), BackupError> {
    take::make_private(directory)?;
    if work.exists() {
        fs::remove_dir_all(work).map_err(|error| BackupError::file(work, error))?;
    }
    if let Some(path) = blobs::entries(directory)?.first() {
        return Err(BackupError::unsound(
            path,
            "the store's directory must be empty: move what is in it elsewhere first",
        ));
    }
    take::make_private(work)
}

/// The journal, if it belongs to the server of the backup and reaches back to it.
fn matching(path: &Path, restore: &Restore, manifest: &Manifest) -> Result<journal::Read, BackupError> {
    let known = journal::read(path)?;
    if known.server.as_deref() != Some(manifest.server.as_str()) {
        return Err(BackupError::unsound(
            path,
            "it is not the journal of the server that the backup is of",
        ));
    }
    if known.begins > manifest.commit {
        return Err(BackupError::Gap {
            begins: known.begins,
            taken: manifest.commit,
        });
    }
    if known.last < manifest.commit.saturating_sub(COMMITS_LEFT_OUT) {
        return Err(BackupError::unsound(
            path,
            format!(
                "it ends long before the backup `{}`: it is an old copy",
                restore.backup.display()
            ),
        ));
    }
    Ok(known)
}

/// Copies a verified backup into the work folder; answers the files that belong elsewhere, with their places.
fn copy(restore: &Restore, manifest: &Manifest, work: &Path) -> Result<Vec<(PathBuf, PathBuf)>, BackupError> {
    let same = |path: &Path, found: (u64, String), expected: (u64, String)| {
        if found == expected {
            Ok(())
        } else {
            Err(BackupError::unsound(path, "it changed after it was checked"))
        }
    };
    let mut outside = Vec::new();
    for file in &manifest.files {
        let (from, to) = (restore.backup.join(&file.name), work.join(&file.name));
        same(&from, blobs::copy(&from, &to)?, (file.bytes, file.sha256.clone()))?;
        if let Some(place) = &file.path {
            // A backup may not choose where it writes: only where the configuration keeps a key of its own.
            if restore.config.dataspace.log_key_file.as_ref() != Some(place) {
                return Err(BackupError::unsound(
                    &from,
                    format!(
                        "it belongs to `{}`, which the configuration does not name (`dataspace.log_key_file`)",
                        place.display()
                    ),
                ));
            }
            outside.push((to, place.clone()));
        }
    }
    let bodies = restore.backup.parent().unwrap_or(Path::new("."));
    let connection = Connection::open(work.join(DATABASE))?;
    for (digest, _) in take::used(&connection)? {
        if !blobs::copy_body(bodies, work, &digest, &work.join("body"))? {
            return Err(BackupError::unsound(&blobs::address(bodies, &digest), "it is missing"));
        }
    }
    Ok(outside)
}

/// Lets the store go on far behind the last commit that anyone has seen.
fn move_on(database: &Path, last: u64) -> Result<(), BackupError> {
    let mut connection = Connection::open(database)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    let next = i64::try_from(last.saturating_add(COMMITS_LEFT_OUT)).unwrap_or(i64::MAX);
    let transaction = connection.transaction()?;
    transaction.execute("DELETE FROM events", [])?;
    transaction.execute("UPDATE state SET sequence = ?1, events_after = ?1", [next])?;
    transaction.commit()?;
    Ok(())
}

fn replay(
    restore: &Restore,
    manifest: &Manifest,
    known: Option<&journal::Read>,
    work: &Path,
) -> Result<Replayed, BackupError> {
    let app = App::build(staged(restore, manifest, work)).map_err(|error| BackupError::Start(error.to_string()))?;
    let mut replaying = replaying(&app.dataspace.consents.node, &app.store);
    match (&restore.replay, known) {
        (Replay::Journal(_), Some(known)) => {
            let lines: Vec<_> = known
                .lines
                .iter()
                .filter(|line| line.commit > manifest.commit)
                .cloned()
                .collect();
            replaying.lines(&lines)?;
        }
        (Replay::Nothing { keep_rules }, _) => replaying.everything(*keep_rules)?,
        (Replay::Journal(path), None) => return Err(BackupError::unsound(path, "it was not read")),
    }
    replaying.doubt()?;
    let replayed = replaying.replayed;
    // The log ends otherwise than the lost one: it is signed as it is now.
    let signed = tokio::runtime::Handle::current().block_on(app.dataspace.log.checkpoints.current());
    signed.map_err(|problem| BackupError::Start(format!("the audit log cannot be signed: {problem:?}")))?;
    Ok(replayed)
}

/// The configuration for the work folder.
fn staged(restore: &Restore, manifest: &Manifest, work: &Path) -> Config {
    let mut config = restore.config.clone();
    config.store.directory = work.to_owned();
    config.store.reserve_bytes = 0;
    config.backup.revocation_journal = Some(work.join("journal"));
    config.dataspace.log_key_file = log_key(restore, manifest, work);
    config
}

/// Where the key of the log is meanwhile, if the configuration names a place of its own for it.
fn log_key(restore: &Restore, manifest: &Manifest, work: &Path) -> Option<PathBuf> {
    let path = restore.config.dataspace.log_key_file.clone()?;
    let listed = manifest.files.iter().find(|file| file.path.as_ref() == Some(&path));
    let name = match listed {
        Some(file) => Some(Path::new(&file.name)),
        None if path.parent() == Some(&restore.config.store.directory) => path.file_name().map(Path::new),
        None => None,
    };
    Some(name.map_or_else(|| path.clone(), |name| work.join(name)))
}

/// Checks everything against everything: the store, its bodies, and the audit log against its key and checkpoints.
fn check(restore: &Restore, manifest: &Manifest, work: &Path) -> Result<(u64, Proved, u64), BackupError> {
    let config = staged(restore, manifest, work);
    let store = SqliteStore::open(config.store.clone(), Arc::new(server_kit::clock::SystemClock))?;
    let report = store.check(ReadPermit::without_proof(
        "a restored store is checked before it is served",
    ))?;
    drop(store);
    if let Some(fault) = report.faults.first() {
        return Err(BackupError::unsound(
            &restore.backup,
            format!("{} faults; the first: {fault}", report.faults.len()),
        ));
    }
    let log = |error: &dyn std::fmt::Display| BackupError::unsound(&restore.backup, format!("the audit log: {error}"));
    let origin = config.dataspace.log_origin_of(config.server.base_url.as_str());
    let key_file = config.dataspace.log_key_path(work);
    let key = server_kit::audit_log::LogKey::load_or_generate(&key_file, &origin, &server_kit::random::SystemRandom);
    let key = key.map_err(|error| log(&error))?;
    let proved = verify::store(work, key.verifier(), None).map_err(|error| log(&error))?;
    let mut lost = 0;
    if let Some(note) = &restore.checkpoint {
        let outside = key.verifier().verify(note).map_err(|error| log(&error))?;
        if outside.size > manifest.log_leaves {
            // The log went on after the backup: what was logged then is lost, and said so.
            lost = outside.size - manifest.log_leaves;
        } else {
            verify::store(work, key.verifier(), Some(note)).map_err(|error| log(&error))?;
        }
    }
    Ok((report.resources, proved, lost))
}

/// Moves everything into place; the database last, because it makes the directory a store.
fn settle(
    directory: &Path,
    work: &Path,
    outside: &[(PathBuf, PathBuf)],
    restored: &Restored,
) -> Result<(), BackupError> {
    for (from, to) in outside {
        if !to.exists() {
            blobs::copy(from, to)?;
        }
        fs::remove_file(from).map_err(|error| BackupError::file(from, error))?;
    }
    for name in ["journal", "lock", "reserve", "store.sqlite-wal", "store.sqlite-shm"] {
        let path = work.join(name);
        if let Ok(found) = fs::metadata(&path) {
            if name == "store.sqlite-wal" && found.len() > 0 {
                return Err(BackupError::unsound(&path, "the restored store was not closed cleanly"));
            }
            fs::remove_file(&path).map_err(|error| BackupError::file(&path, error))?;
        }
    }
    let report = work.join("restored.json");
    let text = serde_json::to_vec_pretty(restored).map_err(|error| BackupError::unsound(&report, error.to_string()))?;
    let written = fs::write(&report, text).and_then(|()| File::open(&report)?.sync_all());
    written.map_err(|error| BackupError::file(&report, error))?;
    blobs::sync_tree(work)?;
    let mut paths = blobs::entries(work)?;
    paths.sort_by_key(|path| path.ends_with(DATABASE));
    for path in paths {
        if let Some(name) = path.file_name() {
            let place = directory.join(name);
            fs::rename(&path, &place).map_err(|error| BackupError::file(&place, error))?;
        }
    }
    blobs::sync(directory)?;
    fs::remove_dir(work).map_err(|error| BackupError::file(work, error))?;
    blobs::sync(directory)
}
