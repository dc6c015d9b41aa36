//! A container that is too long to be kept in memory: how soon its listing begins, and what it costs while it is sent.

use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::MANY_MEMBERS;
use super::rates::Rates;
use super::subject::Subject;
use crate::bench::BenchError;
use crate::bench::report::{Goal, Row, median, time};

pub(super) const CASE: &str = "GET a container of 100,000 members";

/// What the first byte may take, in seconds.
const FIRST_BYTE_SECONDS: f64 = 0.05;

/// Memory that a flat listing may add while it is sent, in bytes.
const GROWTH_BYTES: u64 = 16 << 20;

/// Statements of which every member has one.
const ONE_EACH: &[u8] = b"stat:size";

#[derive(Clone, Copy, Debug, Serialize)]
struct Sent {
    first_byte_seconds: f64,
    seconds: f64,
    cpu_seconds: f64,
    bytes: usize,
    members: usize,
    grown_bytes: u64,
}

pub(super) async fn row(rates: &Rates<'_>) -> Result<Row, BenchError> {
    let mut all = Vec::new();
    for round in 0..=rates.effort.rounds {
        let sent = list(rates.subject).await?;
        if round > 0 {
            all.push(sent);
        }
    }
    let runs = json!(all);
    let Some(last) = all.last().copied() else {
        return Ok(Row::void(CASE, "no rounds", runs));
    };
    if last.members != MANY_MEMBERS {
        return Ok(Row::void(CASE, &format!("{} members were listed", last.members), runs));
    }
    let first = median(all.iter().map(|sent| sent.first_byte_seconds).collect());
    let grown = all.iter().map(|sent| sent.grown_bytes).max().unwrap_or_default();
    Ok(Row {
        case: CASE.to_owned(),
        figure: format!("first byte after {}", time(micros(first))),
        baseline: format!("bound: {}", time(micros(FIRST_BYTE_SECONDS))),
        ratio: Some(FIRST_BYTE_SECONDS / first.max(1e-9)),
        goal: Some(Goal {
            text: "≥ 1, memory flat".to_owned(),
            met: first < FIRST_BYTE_SECONDS && grown < GROWTH_BYTES,
        }),
        peer: None,
        note: format!(
            "{} MiB in {}, CPU {}; {} KiB more memory while it is sent",
            last.bytes >> 20,
            time(micros(last.seconds)),
            time(micros(last.cpu_seconds)),
            grown >> 10
        ),
        runs,
    })
}

async fn list(server: &Subject) -> Result<Sent, BenchError> {
    let process = &server.process;
    process.forget_peak()?;
    let (before, cpu) = (process.peak_bytes()?, process.cpu_seconds()?);
    let mut stream = TcpStream::connect(server.address).await?;
    let request = format!(
        "GET /bench/many/ HTTP/1.1\r\nHost: {}\r\nAccept: text/turtle\r\nConnection: close\r\n\r\n",
        server.authority
    );
    let began = Instant::now();
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    let mut first = Duration::ZERO;
    loop {
        let body_has_begun = answer.windows(4).take(8_192).position(|four| four == b"\r\n\r\n");
        if first.is_zero() && body_has_begun.is_some_and(|end| answer.len() > end + 4) {
            first = began.elapsed();
        }
        if stream.read_buf(&mut answer).await? == 0 {
            break;
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    Ok(Sent {
        first_byte_seconds: first.as_secs_f64(),
        seconds,
        cpu_seconds: process.cpu_seconds()? - cpu,
        bytes: answer.len(),
        members: answer.windows(ONE_EACH.len()).filter(|text| *text == ONE_EACH).count(),
        grown_bytes: process.peak_bytes()?.saturating_sub(before),
    })
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn micros(seconds: f64) -> u64 {
    (seconds * 1e6) as u64
}
