//! Federated queries over members that are real HTTP servers, beside one Oxigraph that holds everything.

use std::time::Instant;

use serde_json::json;

use super::BenchError;
use super::report::{Row, Table, median, time};
use crate::federation::Network;
use crate::federation::generate::{QUERIES, Size, federation};

/// Measures every query over federations of each size.
///
/// # Errors
/// When the engine refuses a query.
pub async fn measure(
    sizes: &[usize],
    days: usize,
    rounds: usize,
    progress: &mut dyn FnMut(&str),
) -> Result<Table, BenchError> {
    let mut rows = Vec::new();
    for &members in sizes {
        progress(&format!("generating {members} members"));
        let size = Size {
            members,
            days,
            ..Size::default()
        };
        let network = Network::start(federation(size)).await;
        let triples: usize = network.members.iter().map(|member| member.triples.len()).sum();
        for (name, query) in QUERIES {
            progress(&format!("{members} members, {name}"));
            rows.push(row(&network, members, triples, (name, query), rounds).await?);
        }
    }
    Ok(Table {
        title: "Federated queries beside one store with all the data".to_owned(),
        method: format!(
            "Municipalities with {days} days of hourly observations, plus one register; each member is a SPARQL endpoint on a loopback \
             port (plain HTTP, no credentials), members, broker engine and merged store share this machine; {rounds} rounds that take \
             turns after one that does not count, median. The merged store is asked in memory, without HTTP. Answers are compared row by row. Queries a to e have the shapes of Q1, Q2, Q3, Q5 and Q6 of the \
             scenario; the threshold of Q4 is enforced by pod servers, which these members are not."
        ),
        ratio_of: "times merged".to_owned(),
        rows,
    })
}

async fn row(
    network: &Network,
    members: usize,
    triples: usize,
    (name, query): (&str, &str),
    rounds: usize,
) -> Result<Row, BenchError> {
    let case = format!("{members} members, {name}");
    let (mut federated, mut merged) = (Vec::new(), Vec::new());
    let (mut requests, mut answers, mut fault) = (0, 0, None);
    for round in 0..=rounds {
        let before: u64 = network.requests().iter().sum();
        let began = Instant::now();
        let answered = network
            .ask(query)
            .await
            .map_err(|error| BenchError::of(&case, &error))?;
        let own = began.elapsed().as_secs_f64();
        requests = network.requests().iter().sum::<u64>() - before;
        let began = Instant::now();
        let expected = tokio::task::block_in_place(|| network.expected(query));
        let other = began.elapsed().as_secs_f64();
        answers = expected.len();
        if !answered.completeness.complete {
            fault = Some("the answer was incomplete".to_owned());
        } else if answered.rows != expected {
            fault = Some(format!("{} rows instead of {answers}, or others", answered.rows.len()));
        }
        if round > 0 {
            federated.push(own);
            merged.push(other);
        }
    }
    let runs =
        json!({ "federated_seconds": federated, "merged_seconds": merged, "requests": requests, "rows": answers });
    let (own, other) = (median(federated), median(merged));
    Ok(Row {
        case,
        figure: format!("{}, {requests} requests", time(micros(own))),
        baseline: time(micros(other)),
        ratio: fault.is_none().then_some(own / other.max(1e-9)),
        goal: None,
        peer: None,
        note: fault.unwrap_or_else(|| format!("{answers} rows from {triples} triples, equal")),
        runs,
    })
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn micros(seconds: f64) -> u64 {
    (seconds * 1e6) as u64
}
