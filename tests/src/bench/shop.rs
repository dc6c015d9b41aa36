//! Queries over shops and rating sites with replicated products, beside a perfect assignment of sources made by hand.

use std::time::Instant;

use serde_json::json;

use super::BenchError;
use super::federation::micros;
use super::report::{Goal, Row, Table, median, time};
use crate::federation::Network;
use crate::federation::shop::assigned::Assigned;
use crate::federation::shop::queries::{Constants, KINDS, Kind};
use crate::federation::shop::{Size, federation};

/// The most that the mean time may be of the perfect assignment's.
const TIME_MAX: f64 = 1.5;
/// The most that the mean number of requests may be of the perfect assignment's.
const REQUESTS_MAX: f64 = 2.0;

/// What is to be measured.
#[derive(Debug)]
pub struct Scope {
    /// Numbers of members.
    pub sources: Vec<usize>,
    /// Instances of each kind of query.
    pub instances: usize,
    /// Runs of each query that count.
    pub rounds: usize,
}

/// What the instances of one kind, or of all, came to.
#[derive(Debug, Default, Clone)]
struct Sum {
    own_seconds: f64,
    perfect_seconds: f64,
    merged_seconds: f64,
    own_requests: u64,
    perfect_requests: u64,
    rows: usize,
    queries: usize,
    faults: Vec<String>,
}

impl Sum {
    fn add(&mut self, other: &Self) {
        self.own_seconds += other.own_seconds;
        self.perfect_seconds += other.perfect_seconds;
        self.merged_seconds += other.merged_seconds;
        self.own_requests += other.own_requests;
        self.perfect_requests += other.perfect_requests;
        self.rows += other.rows;
        self.queries += other.queries;
        self.faults.extend(other.faults.iter().cloned());
    }

    #[allow(clippy::cast_precision_loss)]
    fn mean(&self, seconds: f64) -> String {
        time(micros(seconds / self.queries.max(1) as f64))
    }

    #[allow(clippy::cast_precision_loss)]
    fn row(&self, case: String, goals: bool) -> Row {
        let queries = self.queries.max(1) as f64;
        let (own, perfect) = (self.own_requests as f64, self.perfect_requests as f64);
        let requests = own / perfect.max(1.0);
        let ratio = self
            .faults
            .is_empty()
            .then_some(self.own_seconds / self.perfect_seconds.max(1e-9));
        let fault = self
            .faults
            .first()
            .map(|fault| format!("; {fault}"))
            .unwrap_or_default();
        Row {
            case,
            figure: format!("{}, {:.1} requests", self.mean(self.own_seconds), own / queries),
            baseline: format!("{}, {:.1} requests", self.mean(self.perfect_seconds), perfect / queries),
            ratio,
            goal: goals.then(|| Goal {
                text: format!("≤ {TIME_MAX}, requests ≤ {REQUESTS_MAX}"),
                met: requests <= REQUESTS_MAX && ratio.is_some_and(|ratio| ratio <= TIME_MAX),
            }),
            peer: None,
            note: format!(
                "{requests:.2} × its requests; merged store {}; {} rows of {} queries{fault}",
                self.mean(self.merged_seconds),
                self.rows,
                self.queries
            ),
            runs: json!({
                "own_seconds": self.own_seconds, "perfect_seconds": self.perfect_seconds, "merged_seconds": self.merged_seconds,
                "own_requests": self.own_requests, "perfect_requests": self.perfect_requests, "queries": self.queries,
            }),
        }
    }
}

/// Measures all kinds of queries over federations of each size.
///
/// # Errors
/// When an engine refuses a query.
pub async fn measure(scope: &Scope, progress: &mut dyn FnMut(&str)) -> Result<Table, BenchError> {
    let mut rows = Vec::new();
    for &sources in &scope.sources {
        progress(&format!("generating {sources} shops and sites"));
        let size = Size {
            sources,
            ..Size::default()
        };
        let network = Network::start(federation(size)).await;
        let mut all = Sum::default();
        for kind in KINDS {
            let mut sum = Sum::default();
            for number in 0..scope.instances {
                progress(&format!("{sources} sources, {}, instance {number}", kind.name));
                let constants = Constants::instance(number, size);
                sum.add(&instance(&network, kind, constants, scope.rounds).await?);
            }
            rows.push(sum.row(format!("{sources} sources, {}", kind.name), false));
            all.add(&sum);
        }
        rows.push(all.row(format!("{sources} sources, mean of all"), true));
    }
    Ok(Table {
        title: "Shops and rating sites with replicated products beside a perfect assignment of sources".to_owned(),
        method: format!(
            "Half of the sources are shops, half are sites; each is a SPARQL endpoint on a loopback port (plain HTTP) in this process, as \
             are the broker's engine and the evaluator. {} instances of each of 12 kinds of queries. The baseline is a plan made by hand \
             over the same members, with the same client, reader of results and evaluator for what remains: whole groups, sent to those \
             members alone that contribute to the answer, with those keys alone that they can match; who that is was found out beforehand by \
             asking everybody. It plans nothing and counts for nothing but itself. Both take turns, {} rounds after one that does not count, \
             median; means over the instances. Every answer is compared row by row with that of one store with all the data, which is asked \
             in memory.",
            scope.instances, scope.rounds
        ),
        ratio_of: "times perfect".to_owned(),
        rows,
    })
}

async fn instance(network: &Network, kind: Kind, constants: Constants, rounds: usize) -> Result<Sum, BenchError> {
    let text = constants.fill(kind.text);
    let began = Instant::now();
    let expected = tokio::task::block_in_place(|| network.expected(&text));
    let merged = began.elapsed().as_secs_f64();
    let fault = |error: String| BenchError(format!("{}: {error}", kind.name));
    let assigned = Assigned::prepare(network, kind, constants).await.map_err(fault)?;
    let mut sum = Sum {
        merged_seconds: merged,
        rows: expected.len(),
        queries: 1,
        ..Sum::default()
    };
    let (mut own, mut perfect) = (Vec::new(), Vec::new());
    for round in 0..=rounds {
        let before: u64 = network.requests().iter().sum();
        let began = Instant::now();
        let answered = network.ask(&text).await.map_err(|error| fault(error.to_string()))?;
        let took = began.elapsed().as_secs_f64();
        let between: u64 = network.requests().iter().sum();
        if !answered.completeness.complete {
            sum.faults.push("an answer was incomplete".to_owned());
        } else if answered.rows != expected {
            sum.faults.push(format!(
                "{} rows instead of {}, or others",
                answered.rows.len(),
                expected.len()
            ));
        }
        let began = Instant::now();
        let rows = assigned.run().await.map_err(fault)?;
        let by_hand = began.elapsed().as_secs_f64();
        let after: u64 = network.requests().iter().sum();
        if rows != expected {
            sum.faults.push("the plan by hand is wrong".to_owned());
        }
        (sum.own_requests, sum.perfect_requests) = (between - before, after - between);
        if round > 0 {
            own.push(took);
            perfect.push(by_hand);
        }
    }
    (sum.own_seconds, sum.perfect_seconds) = (median(own), median(perfect));
    Ok(sum)
}
