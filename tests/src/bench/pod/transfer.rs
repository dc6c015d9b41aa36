//! A file of a gibibyte up and down, beside a plain copy through hyper that keeps the same promise: the file is on the disk
//! before the answer.

use std::net::SocketAddr;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::rates::{Rates, start_bare};
use super::run::{LOAD_CORE, own_command};
use crate::bench::BenchError;
use crate::bench::process::Pinned;
use crate::bench::report::{Goal, Row, median};

/// Bytes of the file.
const BYTES: u64 = 1 << 30;

/// Bytes that are written at a time.
const CHUNK_BYTES: usize = 256 << 10;

/// Transfers that do not count: with the first, a file comes to be there; only from the second on does a new one take the
/// place of an old one, whose memory it can use.
const WARM_UPS: usize = 2;

/// Share of the plain copy's rate that is to be reached.
const GOAL: f64 = 0.6;

/// Memory that a transfer may add, in bytes.
const GROWTH_BYTES: u64 = 64 << 20;

const PATH: &str = "/bench/put/large.bin";

/// Which way a file goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Direction {
    /// To the server.
    Upload,
    /// From the server.
    Download,
}

impl Direction {
    pub(super) const fn case(self) -> &'static str {
        match self {
            Self::Upload => "PUT a file of 1 GiB",
            Self::Download => "GET a file of 1 GiB",
        }
    }
}

/// One transfer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Transfer {
    /// Server, on loopback.
    pub address: SocketAddr,
    /// Path of the file.
    pub path: String,
    /// Which way.
    pub direction: Direction,
    /// Bytes of the file.
    pub bytes: u64,
}

/// What a transfer took.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Took {
    seconds: f64,
}

/// Sends or fetches a file and says what it took, as JSON.
///
/// # Errors
/// When the server does not take it, or does not send all of it.
pub async fn transfer(transfer: &Transfer) -> std::io::Result<String> {
    if !transfer.address.ip().is_loopback() {
        return Err(std::io::Error::other("a transfer goes to a loopback address"));
    }
    let began = Instant::now();
    let mut stream = TcpStream::connect(transfer.address).await?;
    let (address, path) = (transfer.address, &transfer.path);
    if transfer.direction == Direction::Upload {
        let head = format!(
            "PUT {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/octet-stream\r\nContent-Length: {}\r\n\r\n",
            transfer.bytes
        );
        stream.write_all(head.as_bytes()).await?;
        send(&mut stream, transfer.bytes).await?;
    } else {
        let head = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
        stream.write_all(head.as_bytes()).await?;
    }
    receive(&mut stream, transfer).await?;
    let seconds = began.elapsed().as_secs_f64();
    Ok(serde_json::to_string(&Took { seconds })?)
}

async fn send(stream: &mut TcpStream, bytes: u64) -> std::io::Result<()> {
    let chunk: Vec<u8> = (0_u32..).flat_map(u32::to_le_bytes).take(CHUNK_BYTES).collect();
    let mut left = bytes;
    while left > 0 {
        let length = usize::try_from(left).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
        stream.write_all(chunk.get(..length).unwrap_or_default()).await?;
        left -= length as u64;
    }
    Ok(())
}

async fn receive(stream: &mut TcpStream, transfer: &Transfer) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let text = String::from_utf8_lossy(&head).to_ascii_lowercase();
    if !text.starts_with("http/1.1 2") {
        return Err(std::io::Error::other(text));
    }
    if transfer.direction == Direction::Upload {
        return Ok(());
    }
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut body = AsyncReadExt::take(stream, transfer.bytes);
    let received = drain(&mut body, &mut buffer).await?;
    if received == transfer.bytes {
        Ok(())
    } else {
        Err(std::io::Error::other(format!(
            "{received} bytes came instead of {}",
            transfer.bytes
        )))
    }
}

async fn drain(body: &mut (impl AsyncRead + Unpin), buffer: &mut [u8]) -> std::io::Result<u64> {
    let mut received = 0;
    loop {
        let length = body.read(buffer).await?;
        if length == 0 {
            return Ok(received);
        }
        received += length as u64;
    }
}

#[derive(Clone, Copy, Debug, Serialize)]
struct Measured {
    mebibytes_per_second: f64,
    cpu_seconds: f64,
    grown_bytes: u64,
}

pub(super) async fn row(rates: &Rates<'_>, direction: Direction) -> Result<Row, BenchError> {
    let folder = rates.folder.display().to_string();
    let (bare, bare_address) = start_bare(rates.programs, rates.folder, &["--copy", &folder])?;
    let own = &rates.subject.process;
    let (mut ours, mut bares) = (Vec::new(), Vec::new());
    for round in 0..WARM_UPS + rates.effort.rounds {
        // What is fetched has to be there first.
        let way = if round < WARM_UPS { Direction::Upload } else { direction };
        let one = measure(rates, own, rates.subject.address, way).await?;
        let other = measure(rates, &bare, bare_address, way).await?;
        if round >= WARM_UPS {
            ours.push(one);
            bares.push(other);
        }
    }
    let rate = |all: &[Measured]| median(all.iter().map(|one| one.mebibytes_per_second).collect());
    let cpu = |all: &[Measured]| median(all.iter().map(|one| one.cpu_seconds).collect());
    let grown = ours.iter().map(|one| one.grown_bytes).max().unwrap_or_default();
    let ratio = rate(&ours) / rate(&bares).max(1e-9);
    Ok(Row {
        case: direction.case().to_owned(),
        figure: format!("{:.0} MiB/s", rate(&ours)),
        baseline: format!("{:.0} MiB/s copied through hyper, synced", rate(&bares)),
        ratio: Some(ratio),
        goal: Some(Goal {
            text: format!("≥ {GOAL}, memory < {} MiB more", GROWTH_BYTES >> 20),
            met: ratio >= GOAL && grown < GROWTH_BYTES,
        }),
        peer: None,
        note: format!(
            "CPU {:.2} against {:.2} s; {} MiB more memory",
            cpu(&ours),
            cpu(&bares),
            grown >> 20
        ),
        runs: json!({ "meent": ours, "bare": bares }),
    })
}

async fn measure(
    rates: &Rates<'_>,
    process: &Pinned,
    address: SocketAddr,
    direction: Direction,
) -> Result<Measured, BenchError> {
    let transfer = Transfer {
        address,
        path: PATH.to_owned(),
        direction,
        bytes: BYTES,
    };
    process.forget_peak()?;
    let (before, cpu) = (process.peak_bytes()?, process.cpu_seconds()?);
    let transfer = serde_json::to_string(&transfer)?;
    let took: Took = own_command(rates.programs, LOAD_CORE, &["transfer", "--transfer", &transfer]).await?;
    // A gibibyte in MiB.
    let mebibytes = 1_024.0;
    Ok(Measured {
        mebibytes_per_second: mebibytes / took.seconds.max(1e-9),
        cpu_seconds: process.cpu_seconds()? - cpu,
        grown_bytes: process.peak_bytes()?.saturating_sub(before),
    })
}
