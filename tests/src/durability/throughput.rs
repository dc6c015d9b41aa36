//! How fast durable writes and hot reads are, beside what the disk itself can do.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use pod_server::name::ResourceName;
use pod_server::store::{
    CommitError, NewBody, NewState, ReadPermit, ResourceKind, SqliteStore, Store, StoreConfig, StoreError, Transaction,
    Warrant, commit,
};
use server_kit::clock::SystemClock;

/// Callers that write at the same time.
const WRITERS: u64 = 64;

/// Documents that are read.
const DOCUMENTS: u64 = 1_000;

/// Bytes of a document.
const DOCUMENT_BYTES: usize = 1_024;

/// What was measured, per second.
#[derive(Clone, Copy, Debug, serde::Serialize)]
pub struct Throughput {
    /// Syncs of one file that the disk takes, one after the other.
    pub disk_syncs: f64,
    /// Durable puts of 1 KB by 64 callers.
    pub puts: f64,
    /// Durable puts of 1 KB by one caller.
    pub puts_alone: f64,
    /// Reads of 1 KB documents that are in memory, by one thread.
    pub hot_reads: f64,
    /// The same through views.
    pub view_reads: f64,
}

/// Measures in a directory, each thing for `duration`.
///
/// # Errors
/// When the disk or the store fails.
pub fn throughput(directory: &Path, duration: Duration) -> Result<Throughput, StoreError> {
    let disk_syncs = disk_syncs(directory, duration)?;
    let config = StoreConfig::new(directory.join("store"));
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(config, Arc::new(SystemClock))?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(make_storage(&store))?;
    let puts_alone = runtime.block_on(puts(&store, 1, duration))?;
    let puts = runtime.block_on(puts(&store, WRITERS, duration))?;
    runtime.block_on(fill(&store))?;
    Ok(Throughput {
        disk_syncs,
        puts,
        puts_alone,
        hot_reads: reads(duration, |name| Ok(store.latest(permit(), name)?.is_some()))?,
        view_reads: reads(duration, |name| {
            let view = store.snapshot(permit())?;
            match view.resource(name)? {
                Some(resource) => view.body(&resource).map(|_| true),
                None => Ok(false),
            }
        })?,
    })
}

fn permit() -> ReadPermit {
    ReadPermit::without_proof("measurement")
}

fn rate(count: u64, since: Instant) -> f64 {
    let seconds = since.elapsed().as_secs_f64();
    // Counts of a measurement are far below the precision of a double.
    #[allow(clippy::cast_precision_loss)]
    let count = count as f64;
    count / seconds.max(f64::EPSILON)
}

/// Overwrites and syncs a preallocated file, as the write-ahead log is once it has been used.
///
/// # Errors
/// When the disk fails.
pub fn disk_syncs(directory: &Path, duration: Duration) -> Result<f64, StoreError> {
    use std::os::unix::fs::FileExt;
    let path = directory.join("sync-rate");
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).open(&path)?;
    file.write_all(&vec![1; 4 << 20])?;
    file.sync_all()?;
    let (began, mut count) = (Instant::now(), 0_u64);
    while began.elapsed() < duration {
        file.write_all_at(&count.to_be_bytes(), count % 1_000 * 4_096)?;
        file.sync_data()?;
        count += 1;
    }
    let rate = rate(count, began);
    std::fs::remove_file(path)?;
    Ok(rate)
}

fn name(path: &str) -> Result<ResourceName, StoreError> {
    ResourceName::parse(path).map_err(|error| StoreError::Misuse(error.to_string()))
}

async fn write<T: Send + 'static>(
    store: &Arc<dyn Store>,
    work: impl FnOnce(&mut dyn Transaction) -> Result<T, CommitError<()>> + Send + 'static,
) -> Result<T, StoreError> {
    match commit(&**store, Warrant::without_proof("measurement"), Box::new(work)).await {
        Ok((value, _)) => Ok(value),
        Err(CommitError::Store(error)) => Err(error),
        Err(CommitError::Refused(())) => Err(StoreError::Stopped),
    }
}

async fn make_storage(store: &Arc<dyn Store>) -> Result<(), StoreError> {
    let root = name("/bench/")?;
    write(store, move |inside| {
        Ok(inside.create_storage(&root, "https://owner.example/#me")?)
    })
    .await?;
    Ok(())
}

async fn put(store: &Arc<dyn Store>, path: String) -> Result<(), StoreError> {
    let name = name(&path)?;
    let state = NewState {
        kind: ResourceKind::RdfSource,
        media_type: "text/turtle".to_owned(),
        body: NewBody::Bytes(Bytes::from(vec![b'x'; DOCUMENT_BYTES])),
    };
    write(store, move |inside| Ok(inside.put(&name, state)?)).await?;
    Ok(())
}

/// Each caller writes new documents, waiting for each to be durable.
async fn puts(store: &Arc<dyn Store>, writers: u64, duration: Duration) -> Result<f64, StoreError> {
    let count = Arc::new(AtomicU64::new(0));
    let began = Instant::now();
    let tasks: Vec<_> = (0..writers)
        .map(|writer| {
            let (store, count) = (Arc::clone(store), Arc::clone(&count));
            tokio::spawn(async move {
                while began.elapsed() < duration {
                    let number = count.fetch_add(1, Ordering::Relaxed);
                    put(&store, format!("/bench/{writers}/{writer}/{number}.ttl")).await?;
                }
                Ok::<(), StoreError>(())
            })
        })
        .collect();
    for task in tasks {
        task.await.map_err(|_| StoreError::Stopped)??;
    }
    Ok(rate(count.load(Ordering::Relaxed), began))
}

async fn fill(store: &Arc<dyn Store>) -> Result<(), StoreError> {
    for number in 0..DOCUMENTS {
        put(store, format!("/bench/read/{number}.ttl")).await?;
    }
    Ok(())
}

fn reads(duration: Duration, read: impl Fn(&ResourceName) -> Result<bool, StoreError>) -> Result<f64, StoreError> {
    let names = (0..DOCUMENTS)
        .map(|number| name(&format!("/bench/read/{number}.ttl")))
        .collect::<Result<Vec<_>, _>>()?;
    // The first round fills the memory and is not counted.
    for name in &names {
        read(name)?;
    }
    let (began, mut count) = (Instant::now(), 0);
    while began.elapsed() < duration {
        for name in &names {
            if !read(name)? {
                return Err(StoreError::Damaged(format!("`{name}` is missing")));
            }
            count += 1;
        }
    }
    Ok(rate(count, began))
}
