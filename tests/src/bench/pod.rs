//! A pod server over HTTP, each case beside a bare hyper server that returns the same head and bytes.
//!
//! The server runs on one core and the load generator on another; runs of the two servers take turns, so that whatever
//! else the machine does falls on both. A case with any other status than the expected one counts for nothing.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use http::Method;
use serde::Serialize;
use serde_json::json;
use server_kit::clock::{Clock, SystemClock};
use server_kit::random::SystemRandom;

use super::bare::Answer;
use super::load::{Load, Measured, write_requests};
use super::process::{Pinned, pinned};
use super::report::{Row, Table, median, per_second, time};
use super::subject::{MEMBERS, SERVER_CORE, Subject, document, free_ports};
use super::{BenchError, Effort};
use crate::durability::throughput::disk_syncs;
use crate::pod::{Client, Reply};

/// Core of the load generator.
const LOAD_CORE: usize = 1;

/// Length of the warm-up of each server in each case.
const WARM_UP: Duration = Duration::from_secs(1);

/// Requests with a proof of their own that are prepared for a second of load.
const PROOFS_PER_SECOND: f64 = 12_000.0;

/// Writes that are prepared for a second of load.
const WRITES_PER_SECOND: f64 = 8_000.0;

/// The programs that take part.
#[derive(Clone, Debug)]
pub struct Programs {
    /// The pod server's binary.
    pub pod_server: PathBuf,
    /// The program whose commands `load` and `bare` run [`super::load::run`] and [`super::bare::serve`].
    pub own: PathBuf,
}

/// One case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Case {
    name: &'static str,
    path: &'static str,
    accept: &'static str,
    connections: usize,
    status: u16,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Public,
    Conditional,
    WithProof,
    Write,
}

const CASES: [Case; 6] = [
    case(
        "GET 1 KB Turtle, public",
        "/bench/public/document.ttl",
        "text/turtle",
        16,
        200,
        Kind::Public,
    ),
    case(
        "GET the same as JSON-LD",
        "/bench/public/document.ttl",
        "application/ld+json",
        16,
        200,
        Kind::Public,
    ),
    case(
        "GET, not modified",
        "/bench/public/document.ttl",
        "text/turtle",
        16,
        304,
        Kind::Conditional,
    ),
    case(
        "GET 1 KB Turtle, private, DPoP",
        "/bench/private/document.ttl",
        "text/turtle",
        16,
        200,
        Kind::WithProof,
    ),
    case(
        "GET a container of 10,000 members",
        "/bench/list/",
        "text/turtle",
        2,
        200,
        Kind::Public,
    ),
    case(
        "PUT a new 1 KB document, durable",
        "/bench/put/",
        "*/*",
        64,
        201,
        Kind::Write,
    ),
];

const fn case(
    name: &'static str,
    path: &'static str,
    accept: &'static str,
    connections: usize,
    status: u16,
    kind: Kind,
) -> Case {
    Case {
        name,
        path,
        accept,
        connections,
        status,
        kind,
    }
}

/// One run of one server.
#[derive(Clone, Debug, Serialize)]
struct Run {
    #[serde(flatten)]
    measured: Measured,
    rate: f64,
    /// Processor time of the server by request.
    cpu_micros: f64,
}

/// Measures all cases.
///
/// # Errors
/// When a server or the load generator cannot run.
pub async fn measure(
    programs: &Programs,
    effort: Effort,
    only: Option<&str>,
    progress: &mut dyn FnMut(&str),
) -> Result<Table, BenchError> {
    let folder = tempfile::tempdir()?;
    progress(&format!("preparing a pod server with {MEMBERS} documents"));
    let subject = Subject::start(folder.path(), &programs.pod_server).await?;
    let mut rows = Vec::new();
    for case in CASES
        .iter()
        .filter(|case| only.is_none_or(|only| case.name.contains(only)))
    {
        progress(case.name);
        let bench = Bench {
            programs,
            subject: &subject,
            case: *case,
            effort,
            folder: folder.path(),
        };
        rows.push(bench.row().await?);
    }
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let pinning = if cores < 2 {
        "one core only: server and load share it".to_owned()
    } else {
        format!("servers pinned to core {SERVER_CORE}, load generator to core {LOAD_CORE} (taskset)")
    };
    Ok(Table {
        title: "Pod server beside a bare hyper server".to_owned(),
        method: format!(
            "Plain HTTP/1.1 on loopback; {pinning}; {} rounds of {:.0} s that take turns, the one in the middle counts; warm-up {:.0} s. \
             The bare server returns the same head and bytes without looking at the request; CPU is the server's, by request.",
            effort.rounds,
            effort.run.as_secs_f64(),
            WARM_UP.as_secs_f64()
        ),
        ratio_of: "of baseline".to_owned(),
        rows,
    })
}

struct Bench<'a> {
    programs: &'a Programs,
    subject: &'a Subject,
    case: Case,
    effort: Effort,
    folder: &'a Path,
}

impl Bench<'_> {
    async fn row(&self) -> Result<Row, BenchError> {
        let sample = self.sample().await?;
        if sample.status.as_u16() != self.case.status {
            let text = sample.text();
            let shown: String = text.chars().take(200).collect();
            return Ok(self.void(&format!("answered {}: {shown}", sample.status), json!(null)));
        }
        let (bare, bare_authority) = self.bare(&sample)?;
        let own = self.subject.authority.as_str();
        let (mut ours, mut theirs, mut syncs) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..=self.effort.rounds {
            let length = if round == 0 { WARM_UP } else { self.effort.run };
            let tag = format!("{round}");
            if self.case.kind == Kind::Write && round > 0 {
                syncs.push(disk_syncs(self.folder, Duration::from_secs(1))?);
            }
            let one = self.run(&self.subject.process, own, length, &tag, &sample).await?;
            let other = self.run(&bare, &bare_authority, length, &tag, &sample).await?;
            if round > 0 {
                ours.push(one);
                theirs.push(other);
            }
        }
        let runs = json!({ "meent": ours, "bare": theirs, "disk_syncs_per_second": syncs });
        let errors: u64 = ours.iter().chain(&theirs).map(|run| run.measured.errors).sum();
        if errors > 0 {
            let first = ours
                .iter()
                .chain(&theirs)
                .find_map(|run| run.measured.first_error.clone());
            let first = first.unwrap_or_default().replace(['\r', '\n'], " ");
            return Ok(self.void(&format!("{errors} wrong answers, first: {first}"), runs));
        }
        let (Some(one), Some(other)) = (middle(ours), middle(theirs)) else {
            return Ok(self.void("no rounds", runs));
        };
        self.filled(&one, &other, syncs, runs)
    }

    fn filled(&self, one: &Run, other: &Run, syncs: Vec<f64>, runs: serde_json::Value) -> Result<Row, BenchError> {
        let memory = self.subject.process.resident_bytes()? >> 20;
        let latency = format!(
            "p50 {}, p99 {}",
            time(one.measured.p50_micros),
            time(one.measured.p99_micros)
        );
        let times = other.cpu_micros / one.cpu_micros.max(1e-9);
        let cpu = format!(
            "CPU {:.1} against {:.1} µs ({times:.2})",
            one.cpu_micros, other.cpu_micros
        );
        let bare = format!(
            "p50 {}, p99 {}",
            time(other.measured.p50_micros),
            time(other.measured.p99_micros)
        );
        let connections = self.case.connections;
        let (baseline, against, note) = if self.case.kind == Kind::Write {
            let syncs = median(syncs);
            let note = format!(
                "{connections} connections; {cpu} (bare hyper {}); {memory} MiB",
                per_second(other.rate)
            );
            (format!("{} single disk syncs", per_second(syncs)), syncs, note)
        } else {
            let note = format!("{connections} connections; {cpu}; {memory} MiB");
            (format!("{} ({bare})", per_second(other.rate)), other.rate, note)
        };
        Ok(Row {
            case: self.case.name.to_owned(),
            figure: format!("{} ({latency})", per_second(one.rate)),
            baseline,
            ratio: Some(one.rate / against.max(1e-9)),
            note,
            runs,
        })
    }

    fn void(&self, reason: &str, runs: serde_json::Value) -> Row {
        Row {
            case: self.case.name.to_owned(),
            figure: "-".to_owned(),
            baseline: "-".to_owned(),
            ratio: None,
            note: reason.to_owned(),
            runs,
        }
    }

    /// One answer, for the bare server to repeat.
    async fn sample(&self) -> Result<Reply, BenchError> {
        let client = Client::new(&self.subject.base_url);
        let case = self.case;
        let plain = || client.request("GET", case.path).header("accept", case.accept);
        Ok(match case.kind {
            Kind::Public => plain().send().await,
            Kind::Conditional => {
                let tag = plain().send().await.header("etag").to_owned();
                plain().header("if-none-match", tag).send().await
            }
            Kind::WithProof => {
                let [(_, token), (_, proof)] = self.credentials(&self.subject.owner.access_token().await?)?;
                plain()
                    .header("authorization", token)
                    .header("dpop", proof)
                    .send()
                    .await
            }
            Kind::Write => client.put("/bench/put/sample.ttl", "text/turtle", document(0)).await,
        })
    }

    fn bare(&self, sample: &Reply) -> Result<(Pinned, String), BenchError> {
        let answer = Answer {
            status: sample.status.as_u16(),
            headers: sample
                .headers
                .iter()
                .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())))
                .collect(),
            body: sample.body.to_vec(),
        };
        let file = self.folder.join("answer.json");
        std::fs::write(&file, serde_json::to_vec(&answer)?)?;
        let [port] = free_ports()?;
        let authority = format!("127.0.0.1:{port}");
        let arguments = ["bare", "--address", &authority, "--answer", &file.display().to_string()];
        let log = self.folder.join("bare.txt");
        let bare = Pinned::start(&self.programs.own, &arguments, SERVER_CORE, &log)?;
        for _ in 0..200 {
            if std::net::TcpStream::connect(&authority).is_ok() {
                return Ok((bare, authority));
            }
            std::thread::sleep(Duration::from_millis(25));
        }
        Err(BenchError(format!(
            "the bare server did not start: {}",
            std::fs::read_to_string(log).unwrap_or_default()
        )))
    }

    async fn run(
        &self,
        server: &Pinned,
        authority: &str,
        length: Duration,
        tag: &str,
        sample: &Reply,
    ) -> Result<Run, BenchError> {
        let requests = self.requests(authority, length, tag, sample).await?;
        let file = self.folder.join("requests.bin");
        write_requests(&file, &requests)?;
        drop(requests);
        let load = Load {
            address: authority.parse().map_err(|error| BenchError::of("address", &error))?,
            connections: self.case.connections,
            seconds: length.as_secs_f64(),
            once: matches!(self.case.kind, Kind::WithProof | Kind::Write),
            status: self.case.status,
        };
        let before = server.cpu_seconds()?;
        let mut command = pinned(&self.programs.own, LOAD_CORE);
        command.args(["load", "--load"]).arg(serde_json::to_string(&load)?);
        command
            .arg("--requests")
            .arg(&file)
            .stdin(Stdio::null())
            .stderr(Stdio::inherit());
        let output = tokio::task::spawn_blocking(move || command.output())
            .await
            .map_err(|error| BenchError::of("the load generator", &error))??;
        if !output.status.success() {
            return Err(BenchError(format!("the load generator ended with {}", output.status)));
        }
        let cpu = server.cpu_seconds()? - before;
        let measured: Measured = serde_json::from_slice(&output.stdout)?;
        // Counts of a measurement are far below the precision of a double.
        #[allow(clippy::cast_precision_loss)]
        let count = measured.requests.max(1) as f64;
        Ok(Run {
            rate: measured.rate(),
            cpu_micros: cpu * 1e6 / count,
            measured,
        })
    }

    /// The requests of one run, as bytes.
    async fn requests(
        &self,
        authority: &str,
        length: Duration,
        tag: &str,
        sample: &Reply,
    ) -> Result<Vec<Vec<u8>>, BenchError> {
        let case = self.case;
        let head = |extra: &str| {
            format!(
                "GET {} HTTP/1.1\r\nHost: {authority}\r\nAccept: {}\r\n{extra}\r\n",
                case.path, case.accept
            )
            .into_bytes()
        };
        match case.kind {
            Kind::Public => Ok(vec![head("")]),
            Kind::Conditional => Ok(vec![head(&format!("If-None-Match: {}\r\n", sample.header("etag")))]),
            Kind::WithProof => {
                let token = self.subject.owner.access_token().await?;
                (0..many(PROOFS_PER_SECOND, length))
                    .map(|_| {
                        let [(_, token), (_, proof)] = self.credentials(&token)?;
                        Ok(head(&format!("Authorization: {token}\r\nDPoP: {proof}\r\n")))
                    })
                    .collect()
            }
            Kind::Write => Ok((0..many(WRITES_PER_SECOND, length))
                .map(|number| {
                    let body = document(number);
                    format!(
                        "PUT {}{tag}/{}/{number}.ttl HTTP/1.1\r\nHost: {authority}\r\nContent-Type: text/turtle\r\nContent-Length: {}\r\n\r\n{body}",
                        case.path,
                        number / 1_000,
                        body.len()
                    )
                    .into_bytes()
                })
                .collect()),
        }
    }

    fn credentials(&self, token: &str) -> Result<[(&'static str, String); 2], BenchError> {
        let url = format!("{}{}", self.subject.base_url, self.case.path.trim_start_matches('/'));
        let now = SystemClock.unix();
        let proof = self
            .subject
            .owner
            .key
            .proof(&Method::GET, &url, Some(token), now, &SystemRandom)
            .map_err(|error| BenchError::of("a proof", &error))?;
        Ok([("authorization", format!("DPoP {token}")), ("dpop", proof)])
    }
}

/// The run with the rate in the middle.
fn middle(mut runs: Vec<Run>) -> Option<Run> {
    runs.sort_by(|one, other| one.rate.total_cmp(&other.rate));
    runs.get(runs.len() / 2).cloned()
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn many(per_second: f64, length: Duration) -> usize {
    (per_second * length.as_secs_f64()) as usize
}
