//! Requests per second, each case beside a baseline of the same run: a bare hyper server that returns the same head and
//! bytes, the signatures that a core verifies, or the syncs that the disk takes.
//!
//! Runs take turns, so that whatever else the machine does falls on all. A case with any other status than the expected one
//! counts for nothing.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use http::Method;
use serde::Serialize;
use serde_json::json;
use server_kit::clock::{Clock, SystemClock};
use server_kit::random::SystemRandom;

use super::Programs;
use super::run::{Run, fault, middle, own_command, run};
use super::subject::{SERVER_CORE, Subject, document, free_ports, loopback};
use crate::bench::bare::Answer;
use crate::bench::load::Load;
use crate::bench::process::Pinned;
use crate::bench::report::{Goal, Row, per_second};
use crate::bench::verification::Verified;
use crate::bench::{BenchError, Effort};
use crate::durability::throughput::disk_syncs;
use crate::pod::{Client, Reply};

/// Length of the warm-up of each server in each case.
pub(super) const WARM_UP: Duration = Duration::from_secs(1);

/// Requests with a proof of their own that are prepared for a second of load.
const PROOFS_PER_SECOND: f64 = 16_000.0;

/// Writes that are prepared for a second of load.
const WRITES_PER_SECOND: f64 = 12_000.0;

/// The same of both for the peer, which is slower.
const PEER_SHARE: f64 = 0.1;

/// One case.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Case {
    pub(super) name: &'static str,
    path: &'static str,
    accept: &'static str,
    connections: usize,
    status: u16,
    kind: Kind,
    /// Ratio to the baseline that is to be reached.
    goal: Option<f64>,
    /// How many times the peer's rate is to be reached.
    peer_goal: Option<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Public,
    Encrypted,
    Conditional,
    WithProof,
    Write,
}

const DOCUMENT: &str = "/bench/public/document.ttl";

pub(super) const CASES: [Case; 7] = [
    Case {
        goal: Some(0.75),
        ..case("GET 1 KB Turtle, public", DOCUMENT, 16, 200, Kind::Public)
    },
    Case {
        goal: Some(0.7),
        ..case("the same over TLS 1.3, kept alive", DOCUMENT, 16, 200, Kind::Encrypted)
    },
    Case {
        accept: "application/ld+json",
        ..case("GET the same as JSON-LD", DOCUMENT, 16, 200, Kind::Public)
    },
    Case {
        goal: Some(0.85),
        ..case("GET, not modified", DOCUMENT, 16, 304, Kind::Conditional)
    },
    Case {
        goal: Some(0.7),
        peer_goal: Some(60.0),
        ..case(
            "GET private, a DPoP proof each, audited",
            "/bench/private/document.ttl",
            128,
            200,
            Kind::WithProof,
        )
    },
    case(
        "GET a container of 10,000 members",
        "/bench/list/",
        2,
        200,
        Kind::Public,
    ),
    Case {
        accept: "*/*",
        goal: Some(20.0),
        ..case("PUT a new 1 KB document, durable", "/bench/put/", 64, 201, Kind::Write)
    },
];

const fn case(name: &'static str, path: &'static str, connections: usize, status: u16, kind: Kind) -> Case {
    Case {
        name,
        path,
        accept: "text/turtle",
        connections,
        status,
        kind,
        goal: None,
        peer_goal: None,
    }
}

/// What a baseline did in one round.
#[derive(Clone, Debug, Serialize)]
struct Base {
    rate: f64,
    cpu_micros: Option<f64>,
    run: Option<Run>,
}

/// The baseline of a case.
enum Baseline {
    /// A bare hyper server.
    Bare(Pinned, SocketAddr),
    /// Signatures verified by one core.
    Signatures,
    /// Syncs of the disk, one after the other.
    Syncs,
}

/// Measures rates of servers that run.
pub(super) struct Rates<'a> {
    pub(super) programs: &'a Programs,
    pub(super) subject: &'a Subject,
    /// The same server over TLS.
    pub(super) encrypted: &'a Subject,
    pub(super) peer: Option<&'a Subject>,
    pub(super) effort: Effort,
    pub(super) folder: &'a Path,
}

impl Rates<'_> {
    pub(super) async fn row(&self, case: &Case) -> Result<Row, BenchError> {
        let server = match case.kind {
            Kind::Encrypted => self.encrypted,
            _ => self.subject,
        };
        let reply = sample(self.subject, case).await?;
        if reply.status.as_u16() != case.status {
            let shown: String = reply.text().chars().take(200).collect();
            let reason = format!("answered {}: {shown}", reply.status);
            return Ok(Row::void(case.name, &reason, json!(null)));
        }
        let sampled = match (self.peer, case.kind) {
            (Some(peer), kind) if kind != Kind::Encrypted => Some((peer, sample(peer, case).await?)),
            _ => None,
        };
        // What the peer cannot do is said in its place, and the case goes on without it.
        let unable = sampled
            .as_ref()
            .filter(|(_, reply)| reply.status.as_u16() != case.status);
        let unable = unable.map(|(_, reply)| format!("answered {}", reply.status));
        let peer = sampled.filter(|_| unable.is_none());
        let baseline = self.baseline(case, &reply)?;
        let (mut ours, mut bases, mut peers) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..=self.effort.rounds {
            let length = if round == 0 { WARM_UP } else { self.effort.run };
            let one = self.run(server, case, length, round, &reply, 1.0).await?;
            let base = self.base(&baseline, case, length, round, &reply).await?;
            if let Some((peer, reply)) = &peer {
                let run = self.run(peer, case, length, round, reply, PEER_SHARE).await?;
                peers.extend((round > 0).then_some(run));
            }
            if round > 0 {
                ours.push(one);
                bases.push(base);
            }
        }
        let runs = json!({ "meent": ours, "baseline": bases, "peer": peers });
        let all = ours.iter().chain(bases.iter().filter_map(|base| base.run.as_ref()));
        if let Some(fault) = fault(all.chain(&peers)) {
            return Ok(Row::void(case.name, &fault, runs));
        }
        let Some(one) = middle(ours) else {
            return Ok(Row::void(case.name, "no rounds", runs));
        };
        bases.sort_by(|one, other| one.rate.total_cmp(&other.rate));
        let Some(base) = bases.get(bases.len() / 2) else {
            return Ok(Row::void(case.name, "no rounds", runs));
        };
        let mut row = self.filled(case, server, &one, base, middle(peers).as_ref(), runs)?;
        row.peer = row.peer.or(unable);
        Ok(row)
    }

    fn filled(
        &self,
        case: &Case,
        server: &Subject,
        one: &Run,
        base: &Base,
        peer: Option<&Run>,
        runs: serde_json::Value,
    ) -> Result<Row, BenchError> {
        let rate = per_second(base.rate);
        let baseline = match (case.kind, &base.run) {
            (Kind::WithProof, _) => format!("{rate} ES256 signatures verified"),
            (Kind::Write, _) => format!("{rate} single disk syncs"),
            (_, Some(run)) => format!("{rate} bare hyper ({})", run.latency()),
            (_, None) => rate,
        };
        let cpu = match base.cpu_micros {
            Some(other) => format!(
                "CPU {:.1} against {other:.1} µs ({:.2})",
                one.cpu_micros,
                other / one.cpu_micros.max(1e-9)
            ),
            None => format!("CPU {:.1} µs", one.cpu_micros),
        };
        let memory = server.process.resident_bytes()? >> 20;
        let ratio = one.rate / base.rate.max(1e-9);
        let mut goal = case.goal.map(|wanted| Goal::at_least(wanted, Some(ratio)));
        let times = peer.map(|peer| one.rate / peer.rate.max(1e-9));
        if let (Some(goal), Some(wanted), Some(times)) = (&mut goal, case.peer_goal, times) {
            goal.text.push_str(&format!(", ≥ {wanted} × peer"));
            goal.met &= times >= wanted;
        }
        Ok(Row {
            case: case.name.to_owned(),
            figure: format!("{} ({})", per_second(one.rate), one.latency()),
            baseline,
            ratio: Some(ratio),
            goal,
            peer: peer.map(|peer| peer_cell(peer, times.unwrap_or_default())),
            note: format!("{} connections; {cpu}; {memory} MiB", case.connections),
            runs,
        })
    }

    fn baseline(&self, case: &Case, sample: &Reply) -> Result<Baseline, BenchError> {
        Ok(match case.kind {
            Kind::WithProof => Baseline::Signatures,
            Kind::Write => Baseline::Syncs,
            Kind::Public | Kind::Encrypted | Kind::Conditional => {
                let (bare, address) = self.bare(sample, case.kind == Kind::Encrypted)?;
                Baseline::Bare(bare, address)
            }
        })
    }

    async fn base(
        &self,
        baseline: &Baseline,
        case: &Case,
        length: Duration,
        round: usize,
        sample: &Reply,
    ) -> Result<Base, BenchError> {
        match baseline {
            Baseline::Bare(bare, address) => {
                let requests = requests(self.subject, case, length, round, sample, 1.0).await?;
                let load = self.load(case, *address, length);
                let run = run(self.programs, self.folder, bare, &load, requests).await?;
                Ok(Base {
                    rate: run.rate,
                    cpu_micros: Some(run.cpu_micros),
                    run: Some(run),
                })
            }
            Baseline::Signatures => {
                let seconds = length.as_secs_f64().to_string();
                let verified: Verified = own_command(
                    self.programs,
                    SERVER_CORE,
                    &["verify-signatures", "--seconds", &seconds],
                )
                .await?;
                Ok(Base {
                    rate: verified.rate(),
                    cpu_micros: Some(verified.cpu_micros()),
                    run: None,
                })
            }
            Baseline::Syncs => Ok(Base {
                rate: disk_syncs(self.folder, WARM_UP)?,
                cpu_micros: None,
                run: None,
            }),
        }
    }

    fn bare(&self, sample: &Reply, encrypted: bool) -> Result<(Pinned, SocketAddr), BenchError> {
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
        let file = file.display().to_string();
        let mut arguments = vec!["--answer", &file];
        let certificate = self.encrypted.certificate.as_ref().filter(|_| encrypted);
        let files =
            certificate.map(|files| [&files.certificate_file, &files.key_file].map(|file| file.display().to_string()));
        if let Some([certificate, key]) = &files {
            arguments.extend(["--certificate", certificate, "--key", key]);
        }
        start_bare(self.programs, self.folder, &arguments)
    }

    fn load(&self, case: &Case, address: SocketAddr, length: Duration) -> Load {
        let certificate = self
            .encrypted
            .certificate
            .as_ref()
            .filter(|_| case.kind == Kind::Encrypted);
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Load {
            address,
            connections: case.connections,
            seconds: length.as_secs_f64(),
            once: matches!(case.kind, Kind::WithProof | Kind::Write),
            lanes: false,
            // Nobody is woken where signatures are verified, the baseline of that case. On one core only it would take the
            // server's time.
            awake: case.kind == Kind::WithProof && cores > 1,
            status: case.status,
            authority_file: certificate.map(|files| files.authority_file.clone()),
        }
    }

    async fn run(
        &self,
        server: &Subject,
        case: &Case,
        length: Duration,
        round: usize,
        sample: &Reply,
        share: f64,
    ) -> Result<Run, BenchError> {
        let requests = requests(server, case, length, round, sample, share).await?;
        let load = self.load(case, server.address, length);
        run(self.programs, self.folder, &server.process, &load, requests).await
    }
}

/// What the peer did, and how much more often ours does it.
pub(super) fn peer_cell(peer: &Run, times: f64) -> String {
    format!(
        "{} (CPU {:.0} µs): {times:.1} ×",
        per_second(peer.rate),
        peer.cpu_micros
    )
}

/// Starts the bare server, and waits until it listens.
pub(super) fn start_bare(
    programs: &Programs,
    folder: &Path,
    arguments: &[&str],
) -> Result<(Pinned, SocketAddr), BenchError> {
    let [port] = free_ports()?;
    let address = loopback(port);
    let address_text = address.to_string();
    let mut all = vec!["bare", "--address", &address_text];
    all.extend(arguments);
    let log = folder.join("bare.txt");
    let bare = Pinned::start(&programs.own, &all, SERVER_CORE, &log)?;
    for _ in 0..200 {
        if std::net::TcpStream::connect(address).is_ok() {
            return Ok((bare, address));
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    Err(BenchError(format!(
        "the bare server did not start: {}",
        std::fs::read_to_string(log).unwrap_or_default()
    )))
}

/// One answer, for the bare server to repeat.
async fn sample(server: &Subject, case: &Case) -> Result<Reply, BenchError> {
    let client = Client::new(&server.base_url);
    let plain = || client.request("GET", case.path).header("accept", case.accept);
    Ok(match case.kind {
        Kind::Public | Kind::Encrypted => plain().send().await,
        Kind::Conditional => {
            let tag = plain().send().await.header("etag").to_owned();
            plain().header("if-none-match", tag).send().await
        }
        Kind::WithProof => {
            let [(_, token), (_, proof)] = credentials(server, case, &server.owner.access_token().await?)?;
            plain()
                .header("authorization", token)
                .header("dpop", proof)
                .send()
                .await
        }
        Kind::Write => {
            let path = format!("{}sample.ttl", case.path);
            client.put(&path, "text/turtle", document(0)).await
        }
    })
}

/// The requests of one run, as bytes.
async fn requests(
    server: &Subject,
    case: &Case,
    length: Duration,
    round: usize,
    sample: &Reply,
    share: f64,
) -> Result<Vec<Vec<u8>>, BenchError> {
    let authority = &server.authority;
    let head = |extra: &str| {
        format!(
            "GET {} HTTP/1.1\r\nHost: {authority}\r\nAccept: {}\r\n{extra}\r\n",
            case.path, case.accept
        )
        .into_bytes()
    };
    match case.kind {
        Kind::Public | Kind::Encrypted => Ok(vec![head("")]),
        Kind::Conditional => Ok(vec![head(&format!("If-None-Match: {}\r\n", sample.header("etag")))]),
        Kind::WithProof => {
            let token = server.owner.access_token().await?;
            (0..many(PROOFS_PER_SECOND * share, length))
                .map(|_| {
                    let [(_, token), (_, proof)] = credentials(server, case, &token)?;
                    Ok(head(&format!("Authorization: {token}\r\nDPoP: {proof}\r\n")))
                })
                .collect()
        }
        Kind::Write => Ok((0..many(WRITES_PER_SECOND * share, length))
            .map(|number| {
                let body = document(number);
                format!(
                    "PUT {}{round}/{}/{number}.ttl HTTP/1.1\r\nHost: {authority}\r\nContent-Type: text/turtle\r\nContent-Length: {}\r\n\r\n{body}",
                    case.path,
                    number / 1_000,
                    body.len()
                )
                .into_bytes()
            })
            .collect()),
    }
}

fn credentials(server: &Subject, case: &Case, token: &str) -> Result<[(&'static str, String); 2], BenchError> {
    let url = format!("{}{}", server.base_url, case.path.trim_start_matches('/'));
    let key = &server.owner.key;
    let proof = key
        .proof(&Method::GET, &url, Some(token), SystemClock.unix(), &SystemRandom)
        .map_err(|error| BenchError::of("a proof", &error))?;
    Ok([("authorization", format!("DPoP {token}")), ("dpop", proof)])
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn many(per_second: f64, length: Duration) -> usize {
    (per_second * length.as_secs_f64()).ceil() as usize
}
