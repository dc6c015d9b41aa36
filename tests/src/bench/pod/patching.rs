//! Sixteen clients patch one resource. Each counts with its own statement: a patch takes the old number away and puts the
//! next one in its place. If one patch were lost or laid over another, its client's next patch would find the wrong number
//! and fail, and the numbers at the end would not add up to the answers: the history is one line.

use oxrdf::Term;
use oxttl::TurtleParser;
use serde_json::json;

use super::rates::{Rates, WARM_UP, peer_cell};
use super::run::{Run, fault, middle, run};
use super::subject::Subject;
use crate::bench::BenchError;
use crate::bench::load::Load;
use crate::bench::report::{Goal, Row, median, per_second};
use crate::durability::throughput::disk_syncs;
use crate::pod::{Client, Reply};

pub(super) const CASE: &str = "N3 Patch of one resource";

const CLIENTS: usize = 16;
const PATH: &str = "/bench/put/counters.ttl";
const NUMBER: &str = "http://example.org/number";

/// Patches that are prepared for each client and second.
const PATCHES_PER_SECOND: usize = 400;

/// How many times the peer's rate is to be reached.
const PEER_GOAL: f64 = 10.0;

pub(super) async fn row(rates: &Rates<'_>) -> Result<Row, BenchError> {
    let (mut ours, mut peers, mut syncs) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=rates.effort.rounds {
        let length = if round == 0 { WARM_UP } else { rates.effort.run };
        let one = count_up(rates, rates.subject, length).await?;
        let other = match rates.peer {
            Some(peer) => Some(count_up(rates, peer, length).await?),
            None => None,
        };
        if round > 0 {
            syncs.push(disk_syncs(rates.folder, WARM_UP)?);
            ours.push(one);
            peers.extend(other);
        }
    }
    let runs = json!({ "meent": ours, "peer": peers, "disk_syncs_per_second": syncs });
    if let Some(fault) = fault(ours.iter().chain(&peers)) {
        return Ok(Row::void(CASE, &fault, runs));
    }
    let Some(one) = middle(ours) else {
        return Ok(Row::void(CASE, "no rounds", runs));
    };
    let syncs = median(syncs);
    let peer = middle(peers).map(|peer| (one.rate / peer.rate.max(1e-9), peer));
    Ok(Row {
        case: CASE.to_owned(),
        figure: format!("{} ({})", per_second(one.rate), one.latency()),
        baseline: format!("{} single disk syncs", per_second(syncs)),
        ratio: Some(one.rate / syncs.max(1e-9)),
        goal: peer.as_ref().map(|(times, _)| Goal {
            text: format!("≥ {PEER_GOAL} × peer"),
            met: *times >= PEER_GOAL,
        }),
        peer: peer.as_ref().map(|(times, peer)| peer_cell(peer, *times)),
        note: format!(
            "{CLIENTS} clients, all patches found in the result, once and in order; CPU {:.0} µs",
            one.cpu_micros
        ),
        runs,
    })
}

/// One run on a fresh document, checked against what was acknowledged.
async fn count_up(rates: &Rates<'_>, server: &Subject, length: std::time::Duration) -> Result<Run, BenchError> {
    let client = Client::new(&server.base_url);
    let start: String = (0..CLIENTS).map(|number| statement(number, 0)).collect();
    expect(client.put(PATH, "text/turtle", start).await, "the document to patch")?;
    // The first patch tells with which success this server answers.
    let first = client.request("PATCH", PATH).header("content-type", "text/n3");
    let status = expect(first.body(patch(0, 0)).send().await, "a patch")?;
    let seconds = usize::try_from(length.as_secs()).unwrap_or(1) + 1;
    let requests = (0..PATCHES_PER_SECOND * seconds)
        .flat_map(|step| (0..CLIENTS).map(move |number| (number, step)))
        .map(|(number, step)| {
            let body = patch(number, if number == 0 { step + 1 } else { step });
            format!(
                "PATCH {PATH} HTTP/1.1\r\nHost: {}\r\nContent-Type: text/n3\r\nContent-Length: {}\r\n\r\n{body}",
                server.authority,
                body.len()
            )
            .into_bytes()
        })
        .collect();
    let load = Load {
        address: server.address,
        connections: CLIENTS,
        seconds: length.as_secs_f64(),
        once: true,
        lanes: true,
        awake: false,
        status,
        authority_file: None,
    };
    let measured = run(rates.programs, rates.folder, &server.process, &load, requests).await?;
    let result = client.request("GET", PATH).header("accept", "text/turtle").send().await;
    check(&result, measured.measured.requests + 1)?;
    Ok(measured)
}

fn expect(reply: Reply, what: &str) -> Result<u16, BenchError> {
    if reply.status.is_success() {
        return Ok(reply.status.as_u16());
    }
    Err(BenchError(format!("{what}: {} {}", reply.status, reply.text())))
}

/// One number for each client, and as many patches in them as were acknowledged.
fn check(result: &Reply, acknowledged: u64) -> Result<(), BenchError> {
    let mut counters = std::collections::BTreeMap::new();
    let parser = TurtleParser::new()
        .with_base_iri("http://localhost/")
        .map_err(|error| BenchError::of("the result", &error))?;
    for triple in parser.for_slice(&result.body) {
        let triple = triple.map_err(|error| BenchError::of("the result", &error))?;
        if triple.predicate.as_str() != NUMBER {
            continue;
        }
        let Term::Literal(value) = &triple.object else { continue };
        let value: u64 = value.value().parse().unwrap_or_default();
        if counters.insert(triple.subject.to_string(), value).is_some() {
            return Err(BenchError(format!(
                "{} has two numbers: a patch was lost",
                triple.subject
            )));
        }
    }
    let sum: u64 = counters.values().sum();
    if counters.len() != CLIENTS || sum != acknowledged {
        let many = counters.len();
        return Err(BenchError(format!(
            "{acknowledged} patches were acknowledged, {many} counters show {sum}"
        )));
    }
    Ok(())
}

fn statement(number: usize, value: usize) -> String {
    format!("<#c{number}> <{NUMBER}> {value} .\n")
}

fn patch(number: usize, value: usize) -> String {
    let (old, new) = (statement(number, value), statement(number, value + 1));
    format!(
        "@prefix solid: <http://www.w3.org/ns/solid/terms#> .\n\
         <> a solid:InsertDeletePatch ; solid:deletes {{ {old} }} ; solid:inserts {{ {new} }} .\n"
    )
}
