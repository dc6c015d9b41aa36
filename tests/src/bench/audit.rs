//! The audit log beside a bare file: the same bytes, appended and synced as often, in one run (AUD-5).

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pod_server::audit::AuditWriter;
use pod_server::origins::Origins;
use pod_server::store::{
    AuditEntry, CommitError, SqliteStore, StorageId, Store, StoreConfig, StoreError, Warrant, commit,
};
use policies::audit::{AuditAction, Outcome};
use policies::decision::ReasonCode;
use serde_json::json;
use server_kit::clock::SystemClock;
use server_kit::random::SystemRandom;

use super::report::{Goal, Row, Table, per_second};
use super::{BenchError, Effort};
use crate::durability::faults::tracer_works;

/// Records that one commit appends in the measurement of batches.
const BATCH: usize = 1_000;
/// Callers at once in the measurement of batches, so that commits are grouped as they are in a server.
const SENDERS: usize = 4;
/// Callers at once in the measurement of single records.
const CALLERS: usize = 64;
/// Records behind one count of syncs.
const COUNTED: usize = 200;

struct Log {
    store: Arc<dyn Store>,
    writer: Arc<AuditWriter>,
}

impl Log {
    fn open(directory: &Path) -> Result<Self, StoreError> {
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(StoreConfig::new(directory), Arc::new(SystemClock))?);
        let origins = Origins::new("https://pod.example/");
        let (random, clock) = (Arc::new(SystemRandom), Arc::new(SystemClock));
        let writer = Arc::new(AuditWriter::new(origins, Arc::clone(&store), random, clock));
        Ok(Self { store, writer })
    }

    /// The entry of a read, as the server makes one.
    fn entry(&self) -> Result<AuditEntry, StoreError> {
        let mut record = self.writer.blank(AuditAction::Read, Outcome::Permit);
        record.agent = Some("https://reader.example/profile/card#me".to_owned());
        record.client = Some("https://application.example/id".to_owned());
        record.targets = vec!["https://pod.example/jan/telraam/2026-06-01.ttl".to_owned()];
        record.reasons = vec![ReasonCode::AclGrants];
        self.writer.entry_without_subjects(record, &[StorageId(1)])
    }

    async fn batch(&self) -> Result<(), StoreError> {
        let entries = (0..BATCH).map(|_| self.entry()).collect::<Result<Vec<_>, _>>()?;
        let warrant = Warrant::without_proof("measurement");
        let work = move |inside: &mut dyn pod_server::store::Transaction| {
            for entry in &entries {
                inside.audit(entry)?;
            }
            Ok(())
        };
        match commit::<(), StoreError>(&*self.store, warrant, Box::new(work)).await {
            Ok(_) => Ok(()),
            Err(CommitError::Refused(error) | CommitError::Store(error)) => Err(error),
        }
    }
}

/// Records per second in batches, and the times of single ones by so many callers, in milliseconds.
async fn ours(log: &Arc<Log>, run: Duration) -> Result<(f64, Vec<f64>), BenchError> {
    let began = Instant::now();
    let senders: Vec<_> = (0..SENDERS)
        .map(|_| {
            let log = Arc::clone(log);
            tokio::spawn(async move {
                let mut records = 0_usize;
                while began.elapsed() < run {
                    log.batch().await?;
                    records += BATCH;
                }
                Ok::<_, StoreError>(records)
            })
        })
        .collect();
    let mut records = 0_usize;
    for sender in senders {
        records += sender.await.map_err(|error| BenchError::of("a sender", &error))??;
    }
    let rate = rate(records, began);
    let began = Instant::now();
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let log = Arc::clone(log);
            tokio::spawn(async move {
                let mut times = Vec::new();
                while began.elapsed() < run {
                    let asked = Instant::now();
                    log.writer.append(log.entry()?).await?;
                    times.push(asked.elapsed().as_secs_f64() * 1_000.0);
                }
                Ok::<_, StoreError>(times)
            })
        })
        .collect();
    let mut times = Vec::new();
    for caller in callers {
        times.extend(caller.await.map_err(|error| BenchError::of("a caller", &error))??);
    }
    Ok((rate, times))
}

/// The same bytes into a bare file: records per second in batches, and the times of single syncs in milliseconds.
fn bare(directory: &Path, bytes: usize, run: Duration) -> Result<(f64, Vec<f64>), BenchError> {
    let path = directory.join("bare");
    let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
    let batch = vec![b'x'; bytes * BATCH];
    let (began, mut records) = (Instant::now(), 0_usize);
    while began.elapsed() < run {
        file.write_all(&batch)?;
        file.sync_data()?;
        records += BATCH;
    }
    let rate = rate(records, began);
    let (began, mut times) = (Instant::now(), Vec::new());
    let single = vec![b'x'; bytes * CALLERS];
    while began.elapsed() < run {
        let asked = Instant::now();
        file.write_all(&single)?;
        file.sync_data()?;
        times.push(asked.elapsed().as_secs_f64() * 1_000.0);
    }
    std::fs::remove_file(path)?;
    Ok((rate, times))
}

fn rate(count: usize, since: Instant) -> f64 {
    // Counts of a measurement are far below the precision of a double.
    #[allow(clippy::cast_precision_loss)]
    let count = count as f64;
    count / since.elapsed().as_secs_f64().max(f64::EPSILON)
}

/// The value below which 99 of 100 lie.
fn p99(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    let place = times.len().saturating_mul(99) / 100;
    times
        .get(place.min(times.len().saturating_sub(1)))
        .copied()
        .unwrap_or(f64::NAN)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Syncs of this process's store while so many records are appended one after the other, counted by a tracer.
async fn syncs(log: &Log) -> Result<Option<usize>, BenchError> {
    let Some(thread) = writer_thread() else {
        return Ok(None);
    };
    if !tracer_works() {
        return Ok(None);
    }
    let folder = tempfile::tempdir()?;
    let output = folder.path().join("trace");
    let mut tracer = Command::new("strace")
        .args(["-qq", "-e", "trace=fsync,fdatasync", "-p", &thread, "-o"])
        .arg(&output)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    for _ in 0..COUNTED {
        log.writer.append(log.entry()?).await?;
    }
    Command::new("kill").args(["-INT", &tracer.id().to_string()]).status()?;
    tracer.wait()?;
    let text = std::fs::read_to_string(output)?;
    Ok(Some(text.lines().filter(|line| line.contains("sync(")).count()).filter(|count| *count > 0))
}

/// The thread that syncs, as the system numbers threads.
fn writer_thread() -> Option<String> {
    let tasks = std::fs::read_dir("/proc/self/task").ok()?;
    tasks
        .filter_map(|task| Some(task.ok()?.path()))
        .find(|task| std::fs::read_to_string(task.join("comm")).is_ok_and(|name| name.trim() == "store-writer"))?
        .file_name()?
        .to_str()
        .map(str::to_owned)
}

/// Measures the log beside a bare file on the same disk.
///
/// # Errors
/// When the disk or the store fails.
pub async fn measure(effort: Effort, progress: &mut dyn FnMut(&str)) -> Result<Table, BenchError> {
    let folder = tempfile::tempdir()?;
    let log = Arc::new(Log::open(&folder.path().join("store"))?);
    let bytes = log.entry()?.record.len() + 32;
    let (mut rates, mut bare_rates, mut times, mut bare_times) = (vec![], vec![], vec![], vec![]);
    for round in 0..effort.rounds {
        progress(&format!("round {} of {}", round + 1, effort.rounds));
        let (rate, mut single) = ours(&log, effort.run).await?;
        rates.push(rate);
        times.push(p99(&mut single));
        let (rate, mut single) = bare(folder.path(), bytes, effort.run)?;
        bare_rates.push(rate);
        bare_times.push(p99(&mut single));
    }
    progress("syncs");
    let counted = syncs(&log).await?;
    let runs =
        json!({ "records": rates, "bareRecords": bare_rates, "p99": times, "bareP99": bare_times, "syncs": counted });
    let (rate, bare_rate) = (median(&mut rates), median(&mut bare_rates));
    let (time, bare_time) = (median(&mut times), median(&mut bare_times));
    Ok(Table {
        title: "The audit log".to_owned(),
        method: format!(
            "Records of {bytes} bytes, made, salted, hashed and appended with their tree by the server's own code; the bare file takes \
             the same bytes and the same number of syncs on the same disk, in turn with it."
        ),
        ratio_of: "ratio".to_owned(),
        rows: vec![
            Row {
                case: format!("records in batches of {BATCH}, {SENDERS} senders, each batch durable"),
                figure: per_second(rate),
                baseline: format!("{} appended and synced bare", per_second(bare_rate)),
                ratio: Some(rate / bare_rate),
                goal: Some(Goal {
                    text: "≥ 100,000 records/s".to_owned(),
                    met: rate >= 100_000.0,
                }),
                peer: None,
                note: String::new(),
                runs: runs.clone(),
            },
            Row {
                case: format!("one record, {CALLERS} callers at once, p99"),
                figure: format!("{time:.2} ms"),
                baseline: format!("{bare_time:.2} ms for {CALLERS} records and one sync bare"),
                ratio: Some(time / bare_time),
                goal: Some(Goal {
                    text: "≤ 1 ms more".to_owned(),
                    met: time - bare_time <= 1.0,
                }),
                peer: None,
                note: format!("{:.2} ms more", time - bare_time),
                runs: runs.clone(),
            },
            match counted {
                None => Row::void("syncs of a record", "no tracer works here", runs),
                Some(counted) => sync_row(counted, runs),
            },
        ],
    })
}

fn sync_row(counted: usize, runs: serde_json::Value) -> Row {
    // Both are small numbers.
    #[allow(clippy::cast_precision_loss)]
    let each = counted as f64 / COUNTED as f64;
    Row {
        case: "syncs of a record that rides on no other commit".to_owned(),
        figure: format!("{each:.2} each"),
        baseline: "1 each, bare".to_owned(),
        ratio: Some(each),
        goal: Some(Goal {
            text: "≤ 1".to_owned(),
            met: counted <= COUNTED,
        }),
        peer: None,
        note: format!(
            "{counted} syncs of {COUNTED} records one after the other; a write has its record in its own commit: none more"
        ),
        runs,
    }
}
