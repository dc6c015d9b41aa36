//! A load generator that costs little: it writes prepared HTTP/1.1 requests and only looks for the end of each answer.
//!
//! It runs as a process of its own, so that it can be pinned to another core than the server. It speaks to loopback
//! addresses only, for a bounded time.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ProtocolVersion;
use serde::{Deserialize, Serialize};
use server_kit::tls::{RootsConfig, client_config};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Longest run in seconds.
const SECONDS_MAX: f64 = 120.0;

/// One run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Load {
    /// Server, on loopback.
    pub address: SocketAddr,
    /// Connections kept open.
    pub connections: usize,
    /// Length of the run.
    pub seconds: f64,
    /// Whether every request may be sent once only (each carries its own proof); the run ends early without more.
    pub once: bool,
    /// Whether each connection sends requests of its own, in their order: the first one the first, and then every
    /// `connections`-th.
    #[serde(default)]
    pub lanes: bool,
    /// Whether it looks for answers all the time instead of sleeping until they come. To wake a process on another core
    /// costs whoever wakes it more than the rest of a small answer, and a client elsewhere would not cost a server that.
    #[serde(default)]
    pub awake: bool,
    /// Status that counts as success.
    pub status: u16,
    /// Certificate of the authority (PEM) that the server's own is by; with it TLS 1.3 is spoken.
    #[serde(default)]
    pub authority_file: Option<PathBuf>,
}

/// What was measured.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Measured {
    /// Answers with the expected status.
    pub requests: u64,
    /// Answers with another status, and connections that broke.
    pub errors: u64,
    /// Seconds that the run took.
    pub seconds: f64,
    /// Median time of an answer in microseconds.
    pub p50_micros: u64,
    /// 99th percentile in microseconds.
    pub p99_micros: u64,
    /// The first answer that was an error, for the operator.
    pub first_error: Option<String>,
}

impl Measured {
    /// Requests per second.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn rate(&self) -> f64 {
        self.requests as f64 / self.seconds.max(1e-9)
    }
}

/// Requests in a file: each with its length in front.
///
/// # Errors
/// When the file cannot be written.
pub fn write_requests(path: &Path, requests: &[Vec<u8>]) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    for request in requests {
        bytes.extend_from_slice(&u32::try_from(request.len()).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend_from_slice(request);
    }
    std::fs::write(path, bytes)
}

/// The reverse of [`write_requests`].
///
/// # Errors
/// When the file cannot be read.
pub fn read_requests(path: &Path) -> std::io::Result<Vec<Vec<u8>>> {
    let bytes = std::fs::read(path)?;
    let mut rest = bytes.as_slice();
    let mut requests = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let Some((request, after)) = after.split_at_checked(u32::from_be_bytes(*length) as usize) else {
            break;
        };
        requests.push(request.to_vec());
        rest = after;
    }
    Ok(requests)
}

/// Runs a load with prepared requests and reports.
///
/// # Errors
/// When the address is not a loopback address or there is nothing to send.
pub async fn run(load: &Load, requests: Vec<Vec<u8>>) -> std::io::Result<Measured> {
    if !load.address.ip().is_loopback() || requests.is_empty() {
        return Err(std::io::Error::other(
            "a load goes to a loopback address and needs a request",
        ));
    }
    let requests = std::rc::Rc::new(requests);
    let tls = load.authority_file.as_deref().map(connector).transpose()?;
    let next = std::rc::Rc::new(std::cell::Cell::new(0_usize));
    let started = Instant::now();
    let end = started + Duration::from_secs_f64(load.seconds.min(SECONDS_MAX));
    let local = tokio::task::LocalSet::new();
    let mut tasks = Vec::new();
    for lane in 0..load.connections {
        let (load, requests, tls) = (load.clone(), requests.clone(), tls.clone());
        let own = std::rc::Rc::new(std::cell::Cell::new(lane));
        let (next, step) = if load.lanes {
            (own, load.connections)
        } else {
            (next.clone(), 1)
        };
        tasks.push(local.spawn_local(async move {
            let turns = Turns {
                requests: &requests,
                next: &next,
                step,
            };
            connection(&load, tls, &turns, end).await
        }));
    }
    let ended = std::rc::Rc::new(std::cell::Cell::new(!load.awake));
    let until = ended.clone();
    local.spawn_local(async move {
        while !until.get() {
            tokio::task::yield_now().await;
        }
    });
    let mut measured = Measured::default();
    let mut times = Vec::new();
    local
        .run_until(async {
            for task in tasks {
                let Ok(one) = task.await else { continue };
                measured.errors += one.errors;
                measured.first_error = measured.first_error.take().or(one.first_error);
                times.extend(one.micros);
            }
            ended.set(true);
        })
        .await;
    measured.seconds = started.elapsed().as_secs_f64();
    measured.requests = times.len() as u64;
    times.sort_unstable();
    let at = |share: usize| times.get(times.len() * share / 100).copied().unwrap_or_default();
    measured.p50_micros = at(50).into();
    measured.p99_micros = at(99).into();
    Ok(measured)
}

#[derive(Default)]
struct One {
    micros: Vec<u32>,
    errors: u64,
    first_error: Option<String>,
}

/// Which request comes next.
struct Turns<'a> {
    requests: &'a [Vec<u8>],
    next: &'a std::cell::Cell<usize>,
    step: usize,
}

impl Turns<'_> {
    fn take(&self, once: bool) -> Option<&[u8]> {
        let turn = self.next.get();
        if once && turn >= self.requests.len() {
            return None;
        }
        self.next.set(turn + self.step);
        self.requests.get(turn % self.requests.len()).map(Vec::as_slice)
    }
}

/// TLS with one authority.
fn connector(authority_file: &Path) -> std::io::Result<TlsConnector> {
    let roots = RootsConfig {
        system_ca_file: None,
        extra_ca_file: Some(authority_file.to_owned()),
    };
    let config = client_config(&roots).map_err(std::io::Error::other)?;
    Ok(TlsConnector::from(Arc::new(config)))
}

/// The handshake; anything but TLS 1.3 would be another measurement.
async fn encrypt(tls: &TlsConnector, load: &Load, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = tls.connect(load.address.ip().into(), stream).await?;
    match stream.get_ref().1.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => Ok(stream),
        other => Err(std::io::Error::other(format!(
            "{other:?} was spoken instead of TLS 1.3"
        ))),
    }
}

async fn connection(load: &Load, tls: Option<TlsConnector>, turns: &Turns<'_>, end: Instant) -> One {
    let mut one = One::default();
    while Instant::now() < end && one.errors < 1_000 {
        let ended = match TcpStream::connect(load.address).await {
            Err(error) => Err(error),
            Ok(mut stream) => {
                let _ = stream.set_nodelay(true);
                match &tls {
                    None => exchange(load, turns, end, &mut stream, &mut one).await,
                    Some(tls) => match encrypt(tls, load, stream).await {
                        Ok(mut stream) => exchange(load, turns, end, &mut stream, &mut one).await,
                        Err(error) => Err(error),
                    },
                }
            }
        };
        match ended {
            Ok(()) => return one,
            Err(error) => {
                one.errors += 1;
                one.first_error.get_or_insert_with(|| error.to_string());
            }
        }
    }
    one
}

async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
    load: &Load,
    turns: &Turns<'_>,
    end: Instant,
    stream: &mut S,
    one: &mut One,
) -> std::io::Result<()> {
    let mut buffer = Vec::with_capacity(64 << 10);
    loop {
        let started = Instant::now();
        if started >= end {
            return Ok(());
        }
        let Some(request) = turns.take(load.once) else {
            return Ok(());
        };
        stream.write_all(request).await?;
        let (status, length) = answer(stream, &mut buffer).await?;
        if status == load.status {
            one.micros
                .push(u32::try_from(started.elapsed().as_micros()).unwrap_or(u32::MAX));
        } else {
            one.errors += 1;
            let shown = buffer.get(..length.min(400)).unwrap_or_default();
            one.first_error
                .get_or_insert_with(|| String::from_utf8_lossy(shown).into_owned());
        }
        buffer.drain(..length.min(buffer.len()));
    }
}

/// Reads one answer into the buffer; gives its status and its length in bytes.
async fn answer<S: AsyncRead + Unpin>(stream: &mut S, buffer: &mut Vec<u8>) -> std::io::Result<(u16, usize)> {
    let head = loop {
        if let Some(end) = find(buffer, b"\r\n\r\n", 0) {
            break end + 4;
        }
        fill(stream, buffer).await?;
    };
    let text = String::from_utf8_lossy(buffer.get(..head).unwrap_or_default()).to_ascii_lowercase();
    let status = text
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or(0);
    if matches!(status, 100..200 | 204 | 304) {
        // These end with their head, whatever length it tells (RFC 9112 §6.3).
        return Ok((status, head));
    }
    if text.contains("\r\ntransfer-encoding: chunked") {
        return Ok((status, chunked(stream, buffer, head).await?));
    }
    let length = text
        .split("\r\ncontent-length: ")
        .nth(1)
        .and_then(|rest| rest.split("\r\n").next()?.parse().ok());
    let end = head + length.unwrap_or(0_usize);
    while buffer.len() < end {
        fill(stream, buffer).await?;
    }
    Ok((status, end))
}

async fn chunked<S: AsyncRead + Unpin>(stream: &mut S, buffer: &mut Vec<u8>, mut at: usize) -> std::io::Result<usize> {
    loop {
        let line_end = loop {
            if let Some(end) = find(buffer, b"\r\n", at) {
                break end;
            }
            fill(stream, buffer).await?;
        };
        let size = std::str::from_utf8(buffer.get(at..line_end).unwrap_or_default())
            .ok()
            .and_then(|line| usize::from_str_radix(line.split(';').next()?.trim(), 16).ok())
            .ok_or_else(|| std::io::Error::other("a chunk has no size"))?;
        at = line_end + 2 + size + 2;
        while buffer.len() < at {
            fill(stream, buffer).await?;
        }
        if size == 0 {
            return Ok(at);
        }
    }
}

async fn fill<S: AsyncRead + Unpin>(stream: &mut S, buffer: &mut Vec<u8>) -> std::io::Result<()> {
    if stream.read_buf(buffer).await? == 0 {
        return Err(std::io::Error::new(
            std::io::ErrorKind::UnexpectedEof,
            "the server closed the connection",
        ));
    }
    Ok(())
}

fn find(buffer: &[u8], wanted: &[u8], from: usize) -> Option<usize> {
    buffer
        .get(from..)?
        .windows(wanted.len())
        .position(|window| window == wanted)
        .map(|at| at + from)
}
