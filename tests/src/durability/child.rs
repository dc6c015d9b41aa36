//! The process that is killed: writers that commit as fast as they can and tell each acknowledged step.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use pod_server::name::ResourceName;
use pod_server::store::{
    AuditEntry, Body, CommitError, NewBody, NewState, ReadPermit, RecordKind, ResourceKind, SqliteStore, StorageSet,
    Store, StoreConfig, StoreError, Transaction, Warrant, commit_blocking,
};
use server_kit::clock::SystemClock;
use sha2::{Digest, Sha256};

use super::script::{self, INLINE_BYTES_MAX, Step, WRITERS};

/// How the process ends when the store has stopped, as a server would.
pub const EXIT_STOPPED: u8 = 3;

/// Why a step is refused.
struct Refused;

/// Bounds under which everything that only happens now and then happens often.
#[must_use]
pub fn config(directory: &Path) -> StoreConfig {
    StoreConfig {
        inline_bytes_max: INLINE_BYTES_MAX,
        quota_bytes_max: 1 << 30,
        wal_bytes_wanted: 256 << 10,
        wal_bytes_max: 4 << 20,
        event_commits_max: 2_000,
        blob_grace_seconds: 1,
        reserve_bytes: 64 << 10,
        ..StoreConfig::new(directory)
    }
}

/// Opens the store in a directory.
///
/// # Errors
/// As [`SqliteStore::open`].
pub fn open(directory: &Path) -> Result<SqliteStore, StoreError> {
    SqliteStore::open(config(directory), Arc::new(SystemClock))
}

/// Runs until it is killed, or until each writer has done `steps_max` steps: `durability-child DIRECTORY SEED STEPS`.
pub fn main() -> std::process::ExitCode {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().map(PathBuf::from);
    let seed = arguments.next().and_then(|seed| seed.parse().ok());
    let steps_max = arguments.next().and_then(|steps| steps.parse().ok());
    let (Some(directory), Some(seed), Some(steps_max)) = (directory, seed, steps_max) else {
        tell("usage: durability-child DIRECTORY SEED STEPS");
        return std::process::ExitCode::from(2);
    };
    match work(&directory, seed, steps_max) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            tell(&format!("stopped {error}"));
            // As a server must: nothing is flushed, closed or tried again.
            std::process::exit(i32::from(EXIT_STOPPED));
        }
    }
}

/// One line to the parent, in one write.
fn tell(line: &str) {
    let mut out = std::io::stdout().lock();
    // A parent that does not listen any more is about to kill this process.
    let _ = out.write_all(format!("{line}\n").as_bytes()).and_then(|()| out.flush());
}

fn work(directory: &Path, seed: u64, steps_max: u64) -> Result<(), StoreError> {
    let store: Arc<dyn Store> = Arc::new(open(directory)?);
    tell("open");
    for writer in 0..WRITERS {
        make_storage(&*store, writer)?;
    }
    tell("ready");
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let store = Arc::clone(&store);
                scope.spawn(move || write(&*store, seed, writer, steps_max))
            })
            .collect();
        for writer in writers {
            writer
                .join()
                .map_err(|_| StoreError::Damaged("a writer panicked".to_owned()))??;
        }
        Ok(())
    })
}

fn name(path: &str) -> Result<ResourceName, StoreError> {
    ResourceName::parse(path).map_err(|error| StoreError::Misuse(error.to_string()))
}

fn plain<T>(outcome: Result<T, CommitError<Refused>>) -> Result<Option<T>, StoreError> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(CommitError::Refused(Refused)) => Ok(None),
        Err(CommitError::Store(error)) => Err(error),
    }
}

fn make_storage(store: &dyn Store, writer: u16) -> Result<(), StoreError> {
    let root = name(&script::root(writer))?;
    let work = move |inside: &mut dyn Transaction| {
        if inside.storage(&root)?.is_some() {
            return Err(CommitError::Refused(Refused));
        }
        Ok(inside.create_storage(&root, "https://owner.example/#me")?)
    };
    let warrant = Warrant::without_proof("durability harness");
    plain(commit_blocking(store, warrant, Box::new(work))).map(|_| ())
}

/// The number of the last step that is in the store.
///
/// # Errors
/// When the store fails or the record is no number.
pub fn progress(store: &dyn Store, writer: u16) -> Result<u64, StoreError> {
    let view = store.snapshot(ReadPermit::without_proof("durability harness"))?;
    match view.record(RecordKind::Server, &script::progress_key(writer))? {
        None => Ok(0),
        Some(bytes) => String::from_utf8_lossy(&bytes)
            .parse()
            .map_err(|_| StoreError::Damaged("the progress is no number".to_owned())),
    }
}

fn write(store: &dyn Store, seed: u64, writer: u16, steps_max: u64) -> Result<(), StoreError> {
    let first = progress(store, writer)? + 1;
    for number in first..first.saturating_add(steps_max) {
        let step = script::step(seed, writer, number);
        let prepared = prepare(store, &step)?;
        if let Step::Refuse { path } = &step {
            refuse(store, path)?;
        }
        let work = move |inside: &mut dyn Transaction| {
            carry_out(inside, step, prepared)?;
            inside.audit(&entry(inside, writer, number)?)?;
            let key = script::progress_key(writer);
            inside.record_put(RecordKind::Server, &key, number.to_string().as_bytes())?;
            Ok(())
        };
        let warrant = Warrant::without_proof("durability harness");
        plain(commit_blocking(store, warrant, Box::new(work)))?;
        tell(&format!("{writer} {number}"));
    }
    Ok(())
}

fn entry(inside: &dyn Transaction, writer: u16, number: u64) -> Result<AuditEntry, StoreError> {
    let record = format!("{{\"writer\":{writer},\"number\":{number}}}").into_bytes();
    let storage = inside.storage(&name(&script::root(writer))?)?.map(|storage| storage.id);
    Ok(AuditEntry {
        leaf: Sha256::digest(&record).into(),
        record,
        storages: storage.into_iter().collect(),
        subjects: storage.into_iter().collect::<StorageSet>().to_bytes(),
    })
}

/// Uploads what goes to a file, before the commit that refers to it.
fn prepare(store: &dyn Store, step: &Step) -> Result<Option<NewBody>, StoreError> {
    let Step::PutBlob { body, .. } = step else {
        return Ok(None);
    };
    let mut blob = store.blob()?;
    for chunk in body.chunks(4_096) {
        blob.write(chunk)?;
    }
    blob.finish().map(Some)
}

fn refuse(store: &dyn Store, path: &str) -> Result<(), StoreError> {
    let path = name(path)?;
    let work = move |inside: &mut dyn Transaction| -> Result<(), CommitError<Refused>> {
        inside.put(
            &path,
            document(NewBody::Bytes(Bytes::from_static(b"must never be seen"))),
        )?;
        Err(CommitError::Refused(Refused))
    };
    let warrant = Warrant::without_proof("durability harness");
    plain(commit_blocking(store, warrant, Box::new(work))).map(|_| ())
}

fn document(body: NewBody) -> NewState {
    NewState {
        kind: ResourceKind::RdfSource,
        media_type: "text/turtle".to_owned(),
        body,
    }
}

fn carry_out(inside: &mut dyn Transaction, step: Step, prepared: Option<NewBody>) -> Result<(), StoreError> {
    match step {
        Step::Put { path, body } => {
            inside.put(&name(&path)?, document(NewBody::Bytes(body.into())))?;
        }
        Step::PutBlob { path, .. } => {
            let body = prepared.ok_or_else(|| StoreError::Misuse("the blob was not uploaded".to_owned()))?;
            inside.put(&name(&path)?, document(body))?;
        }
        Step::Append { path, more } => append(inside, &name(&path)?, &more)?,
        Step::PutAcl { path, body } => {
            if inside.resource(&name(&path)?)?.is_some() {
                let acl = name(&format!("{path}.acl"))?;
                inside.put(&acl, document(NewBody::Bytes(body.into())))?;
            }
        }
        Step::Remove { path } => {
            inside.remove(&name(&path)?)?;
        }
        Step::RemoveContainer { path } => {
            let path = name(&path)?;
            if inside.resource(&path)?.is_some() && inside.member_count(&path)? == 0 {
                inside.remove(&path)?;
            }
        }
        Step::PutRecord { key, value } => inside.record_put(RecordKind::Consent, &key, &value)?,
        Step::DeleteRecord { key } => {
            inside.record_delete(RecordKind::Consent, &key)?;
        }
        Step::Refuse { .. } => {}
    }
    Ok(())
}

fn append(inside: &mut dyn Transaction, path: &ResourceName, more: &[u8]) -> Result<(), StoreError> {
    let Some(resource) = inside.resource(path)? else {
        return Ok(());
    };
    let mut bytes = match inside.body(&resource)? {
        Body::Bytes(bytes) => bytes.to_vec(),
        Body::File { path, .. } => std::fs::read(path)?,
    };
    bytes.extend_from_slice(more);
    // A patch inside a transaction cannot upload: what would need a file is cut back to what the database takes.
    bytes.truncate(INLINE_BYTES_MAX);
    inside.put(path, document(NewBody::Bytes(bytes.into())))?;
    Ok(())
}
