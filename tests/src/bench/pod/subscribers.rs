//! Ten thousand WebSocket subscribers that wait: what each of them costs the server, and how soon all hear of a change.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::Method;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::rates::Rates;
use super::subject::{Subject, document};
use crate::bench::BenchError;
use crate::bench::report::{Goal, Row, time};
use crate::notify::{WebSocketListener, subscription};
use crate::pod::Client;

pub(super) const CASE: &str = "10,000 idle WebSocket subscribers";

const SUBSCRIBERS: usize = 10_000;

/// Connections of one channel, within the server's own bound.
const PER_CHANNEL: usize = 100;

/// Handshakes under way at one time.
const OPENING_MAX: usize = 64;

/// Files that a process needs open beside the connections.
const OTHER_FILES: usize = 200;

/// Memory of the server that one may take, in bytes.
const BYTES_EACH: u64 = 16 << 10;

/// How soon all have to hear of a change.
const TOLD_WITHIN: Duration = Duration::from_secs(2);

/// How long nothing happens before memory is read.
const IDLE: Duration = Duration::from_secs(3);

const TOPIC: &str = "/bench/put/watched.ttl";

pub(super) async fn row(rates: &Rates<'_>) -> Result<Row, BenchError> {
    let files = open_files_max();
    if files < SUBSCRIBERS + OTHER_FILES {
        let reason = format!(
            "a process may open {files} files here and needs {}: raise it with `ulimit -n`",
            SUBSCRIBERS + OTHER_FILES
        );
        return Ok(Row::void(CASE, &reason, json!(null)));
    }
    let server = rates.subject;
    let client = Client::new(&server.base_url);
    client.put(TOPIC, "text/turtle", document(1)).await;
    let before = server.process.resident_bytes()?;
    let listeners = open_all(server).await?;
    tokio::time::sleep(IDLE).await;
    let grown = server.process.resident_bytes()?.saturating_sub(before);
    let each = grown / SUBSCRIBERS as u64;
    let mut waiting = JoinSet::new();
    for mut listener in listeners {
        waiting.spawn(async move { listener.next().await.is_ok() });
    }
    let began = Instant::now();
    let reply = client.put(TOPIC, "text/turtle", document(2)).await;
    let mut told = 0;
    while let Some(heard) = waiting.join_next().await {
        told += usize::from(heard.unwrap_or(false));
    }
    let took = began.elapsed();
    let runs = json!({ "bytes_each": each, "told": told, "told_seconds": took.as_secs_f64() });
    if told != SUBSCRIBERS {
        return Ok(Row::void(
            CASE,
            &format!("{told} heard of a change ({})", reply.status),
            runs,
        ));
    }
    Ok(Row {
        case: CASE.to_owned(),
        figure: format!("{:.1} KiB each", kibibytes(each)),
        baseline: format!("bound: {} KiB", BYTES_EACH >> 10),
        ratio: Some(kibibytes(BYTES_EACH) / kibibytes(each.max(1))),
        goal: Some(Goal {
            text: "≥ 1, all told within 2 s".to_owned(),
            met: each < BYTES_EACH && took < TOLD_WITHIN,
        }),
        peer: None,
        note: format!(
            "all told of a change after {}; {PER_CHANNEL} connections to each channel",
            time(u64::try_from(took.as_micros()).unwrap_or(u64::MAX))
        ),
        runs,
    })
}

/// Subscribes and connects all of them, a bounded number at a time.
async fn open_all(server: &Subject) -> Result<Vec<WebSocketListener>, BenchError> {
    let opening = Arc::new(Semaphore::new(OPENING_MAX));
    let mut tasks = JoinSet::new();
    for _ in 0..SUBSCRIBERS / PER_CHANNEL {
        let address = subscribe(server).await?;
        for _ in 0..PER_CHANNEL {
            let (address, opening) = (address.clone(), Arc::clone(&opening));
            tasks.spawn(async move {
                let _turn = opening.acquire_owned().await;
                WebSocketListener::open(&address).await
            });
        }
    }
    let mut listeners = Vec::with_capacity(SUBSCRIBERS);
    while let Some(opened) = tasks.join_next().await {
        let opened = opened.map_err(|error| BenchError::of("a subscriber", &error))?;
        listeners.push(opened.map_err(|status| BenchError(format!("a subscriber was answered {status}")))?);
    }
    Ok(listeners)
}

/// Makes a channel, and answers where to receive from.
async fn subscribe(server: &Subject) -> Result<String, BenchError> {
    let kind = "WebSocketChannel2023";
    let base = server.base_url.trim_end_matches('/');
    let service = format!("{base}/bench/.notifications/{kind}");
    let wanted = subscription(kind, &format!("{base}{TOPIC}"), &json!({})).to_string();
    let reply = server
        .owner
        .send(
            Method::POST,
            &service,
            &[("content-type", "application/ld+json")],
            wanted,
        )
        .await?
        .success("a subscription")?;
    let address = reply.json();
    let address = address.get("receiveFrom").and_then(serde_json::Value::as_str);
    address
        .map(str::to_owned)
        .ok_or_else(|| BenchError(format!("a channel without an address: {}", reply.text())))
}

/// What a process may open, which servers inherit (`/proc/self/limits`).
fn open_files_max() -> usize {
    let text = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().next());
    soft.and_then(|soft| soft.parse().ok()).unwrap_or_default()
}

#[allow(clippy::cast_precision_loss)]
fn kibibytes(bytes: u64) -> f64 {
    bytes as f64 / 1_024.0
}
