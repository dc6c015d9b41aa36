//! A server with a hundred thousand storages and a million resources: how soon it answers after its start, what it holds in
//! memory, and whether a document is read as quickly as on a small server.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use pod_server::name::{Auxiliary, ResourceName};
use pod_server::store::{
    CommitError, NewBody, NewState, ResourceKind, SqliteStore, Store, StoreConfig, StoreError, Transaction, Warrant,
    commit,
};
use serde_json::json;
use server_kit::clock::SystemClock;

use super::rates::Rates;
use super::run::{Run, fault, middle, run};
use super::subject::{Content, Subject, member, open_list};
use crate::bench::BenchError;
use crate::bench::load::Load;
use crate::bench::report::{Goal, Row, per_second, time};
use crate::pod::Client;

pub(super) const CASE: &str = "100,000 storages, 1,000,000 resources";

const STORAGES: usize = 100_000;

/// Documents of each storage, beside its root and its access control list.
const DOCUMENTS: usize = 8;

/// Storages that are made in one commit.
const PER_COMMIT: usize = 200;

/// Documents that are read in turn.
const READ: usize = 5_000;

/// Longest time for reading each of them once.
const ONCE_MAX: Duration = Duration::from_secs(30);

const CONNECTIONS: usize = 16;

/// What is to be reached: seconds until the first answer, bytes when idle, and the share of the small server's rate.
const START_SECONDS: f64 = 1.0;
const IDLE_BYTES: u64 = 150 << 20;
const RATE_SHARE: f64 = 0.9;

/// How long the server is left alone before its memory is read.
const IDLE: Duration = Duration::from_secs(5);

pub(super) async fn row(rates: &Rates<'_>, progress: &mut dyn FnMut(&str)) -> Result<Row, BenchError> {
    progress("filling a store with 100,000 storages");
    let folder = rates.folder.join("scale");
    let empty = Content {
        members: 0,
        many: 0,
        encrypted: false,
    };
    // Makes account and configuration; the store is filled while nothing runs.
    let mut large = Subject::start(&folder, &rates.programs.pod_server, empty).await?;
    large.stop().await?;
    fill(&folder.join("store")).await?;
    progress("starting the server on it");
    let began = Instant::now();
    large.restart(&rates.programs.pod_server).await?;
    let reply = Client::new(&large.base_url).get(&path(STORAGES / 2, 0)).await;
    let started = began.elapsed().as_secs_f64();
    if !reply.status.is_success() {
        return Ok(Row::void(
            CASE,
            &format!("answered {}: {}", reply.status, reply.text()),
            json!(null),
        ));
    }
    tokio::time::sleep(IDLE).await;
    let idle = large.process.resident_bytes()?;
    progress(CASE);
    let (mut ours, mut small) = (Vec::new(), Vec::new());
    for round in 0..=rates.effort.rounds {
        let length = (round > 0).then_some(rates.effort.run);
        let one = read(rates, &large, length, |number| {
            path(number * 19 % STORAGES, number % DOCUMENTS)
        })
        .await?;
        let other = read(rates, rates.subject, length, |number| {
            format!("/bench/list/member-{number:06}.ttl")
        })
        .await?;
        if round > 0 {
            ours.push(one);
            small.push(other);
        }
    }
    progress("waiting for the index, which the first query asks for");
    let first = Client::new(&large.base_url).get("/sparql?query=ASK%7B%7D").await;
    let indexed = large.await_index().await?;
    tokio::time::sleep(IDLE).await;
    let with_index = large.process.resident_bytes()?;
    let runs = json!({
        "large": ours, "small": small, "start_seconds": started, "idle_bytes": idle, "index_seconds": indexed,
        "first_query": first.status.as_u16(), "with_index_bytes": with_index,
    });
    if let Some(fault) = fault(ours.iter().chain(&small)) {
        return Ok(Row::void(CASE, &fault, runs));
    }
    let (Some(one), Some(other)) = (middle(ours), middle(small)) else {
        return Ok(Row::void(CASE, "no rounds", runs));
    };
    let ratio = one.rate / other.rate.max(1e-9);
    Ok(Row {
        case: CASE.to_owned(),
        figure: per_second(one.rate),
        baseline: format!("{} on a server with 10,000 documents", per_second(other.rate)),
        ratio: Some(ratio),
        goal: Some(Goal {
            text: format!("≥ {RATE_SHARE}, start < 1 s, idle < {} MiB", IDLE_BYTES >> 20),
            met: ratio >= RATE_SHARE && started < START_SECONDS && idle < IDLE_BYTES,
        }),
        peer: None,
        note: format!(
            "first answer {} after the start; {} MiB idle; {} MiB with the index, which took {indexed:.0} s when a query had asked \
             for it; CPU {:.1} against {:.1} µs",
            time(micros(started)),
            idle >> 20,
            with_index >> 20,
            one.cpu_micros,
            other.cpu_micros
        ),
        runs,
    })
}

fn path(storage: usize, document: usize) -> String {
    format!("/s{storage:06}/member-{document:06}.ttl")
}

/// Reads for a length of time, or each document once.
async fn read(
    rates: &Rates<'_>,
    server: &Subject,
    length: Option<Duration>,
    path: impl Fn(usize) -> String,
) -> Result<Run, BenchError> {
    let requests = (0..READ)
        .map(|number| {
            let path = path(number);
            let host = &server.authority;
            format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept: text/turtle\r\n\r\n").into_bytes()
        })
        .collect();
    let load = Load {
        address: server.address,
        connections: CONNECTIONS,
        seconds: length.unwrap_or(ONCE_MAX).as_secs_f64(),
        once: length.is_none(),
        lanes: false,
        awake: false,
        status: 200,
        authority_file: None,
    };
    run(rates.programs, rates.folder, &server.process, &load, requests).await
}

async fn fill(store: &std::path::Path) -> Result<(), BenchError> {
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(StoreConfig::new(store), Arc::new(SystemClock))?);
    for first in (0..STORAGES).step_by(PER_COMMIT) {
        let names = names(first)?;
        let work = move |transaction: &mut dyn Transaction| -> Result<(), CommitError<()>> {
            for (root, documents) in &names {
                let owner = "https://owner.example/#me";
                transaction.create_storage(root, owner)?;
                transaction.put(&root.auxiliary(Auxiliary::Acl), turtle(open_list(owner, "acl:Read")))?;
                for (number, document) in documents.iter().enumerate() {
                    transaction.put(document, turtle(member(number)))?;
                }
            }
            Ok(())
        };
        let warrant = Warrant::without_proof("storages of a measurement, made on a stopped server");
        match commit(&*store, warrant, Box::new(work)).await {
            Ok(_) => {}
            Err(CommitError::Store(error)) => return Err(error.into()),
            Err(CommitError::Refused(())) => return Err(StoreError::Stopped.into()),
        }
    }
    Ok(())
}

type Names = Vec<(ResourceName, Vec<ResourceName>)>;

fn names(first: usize) -> Result<Names, BenchError> {
    let parse = |path: &str| ResourceName::parse(path).map_err(|error| BenchError::of(path, &error));
    (first..first + PER_COMMIT)
        .map(|storage| {
            let root = parse(&format!("/s{storage:06}/"))?;
            let documents = (0..DOCUMENTS).map(|number| parse(&path(storage, number)));
            Ok((root, documents.collect::<Result<_, _>>()?))
        })
        .collect()
}

fn turtle(text: String) -> NewState {
    NewState {
        kind: ResourceKind::RdfSource,
        media_type: "text/turtle".to_owned(),
        body: NewBody::Bytes(Bytes::from(text)),
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn micros(seconds: f64) -> u64 {
    (seconds * 1e6) as u64
}
