//! Federated queries over members that are real HTTP servers, beside one Oxigraph that holds everything, and beside Comunica.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::json;

use super::BenchError;
use super::comunica::{self, Comunica};
use super::report::{Goal, Row, Table, median, time};
use crate::federation::Network;
use crate::federation::generate::{QUERIES, Size, federation};

/// Longest time of planning that was set out, in seconds.
const PLANNING_MAX: f64 = 0.002;

/// How much slower a selective query may become when the federation grows.
const FLAT: f64 = 1.2;

/// What is to be measured.
#[derive(Debug)]
pub struct Scope {
    /// Numbers of members.
    pub sizes: Vec<usize>,
    /// Days of observations of each member.
    pub days: usize,
    /// Runs of each query that count.
    pub rounds: usize,
    /// Delays of each answer of a member.
    pub delays: Vec<Duration>,
    /// The other engine.
    pub peer: Option<Comunica>,
}

/// What is known of a query before it is measured with a delay.
#[derive(Clone, Copy)]
struct Known {
    /// Seconds without delay.
    undelayed: f64,
}

/// Measures every query over federations of each size.
///
/// # Errors
/// When an engine refuses a query.
pub async fn measure(scope: &Scope, progress: &mut dyn FnMut(&str)) -> Result<Table, BenchError> {
    let mut rows = Vec::new();
    let mut grown: BTreeMap<&str, Vec<(usize, f64)>> = BTreeMap::new();
    for &members in &scope.sizes {
        progress(&format!("generating {members} members"));
        let size = Size {
            members,
            days: scope.days,
            ..Size::default()
        };
        let network = Network::start(federation(size)).await;
        rows.extend(
            QUERIES
                .iter()
                .map(|(name, query)| planning(&network, members, name, query)),
        );
        for (name, query) in QUERIES {
            let mut known = None;
            for delay in &scope.delays {
                progress(&format!("{members} members, {} ms, {name}", delay.as_millis()));
                for member in &network.members {
                    member.delay(*delay);
                }
                let case = Case {
                    network: &network,
                    members,
                    query,
                    name,
                    delay: *delay,
                };
                rows.push(case.row(scope, &mut known).await?);
            }
            if let Some(known) = known {
                grown.entry(*name).or_default().push((members, known.undelayed));
            }
        }
    }
    for (name, sizes) in grown {
        // Below ten members the fixed cost of a query hides its growth.
        let mut sizes = sizes.into_iter().filter(|(members, _)| *members >= 10);
        if let (Some(first), Some(last)) = (sizes.next(), sizes.next_back()) {
            rows.push(growth(name, first, last));
        }
    }
    let days = scope.days;
    Ok(Table {
        title: "Federated queries beside one store with all the data".to_owned(),
        method: format!(
            "Planning is reading and planning one query, 201 times. Municipalities with {days} days of hourly observations, plus one register; each member is a SPARQL endpoint on a loopback \
             port (plain HTTP, no credentials), members, broker engine and merged store share this machine; {} rounds that take \
             turns after one that does not count, median. The merged store is asked in memory, without HTTP. With a delay each member \
             waits so long before it answers, as a network's round trip would. Answers are compared row by row. Queries a to e have the \
             shapes of Q1, Q2, Q3, Q5 and Q6 of the scenario; the threshold of Q4 is enforced by pod servers, which these members are \
             not. The peer, if asked for, is Comunica {} over the same members.",
            scope.rounds,
            comunica::VERSION
        ),
        ratio_of: "times merged".to_owned(),
        rows,
    })
}

/// Reading and planning one query alone.
#[allow(clippy::cast_precision_loss)]
fn planning(network: &Network, members: usize, name: &str, query: &str) -> Row {
    const RUNS: usize = 201;
    // What members publish was turned round when it changed, not for this query.
    let asked = network.plan(query).asked().len();
    let before = own_processor_seconds();
    let mut runs: Vec<f64> = (0..RUNS)
        .map(|_| {
            let began = Instant::now();
            let _ = std::hint::black_box(network.plan(query));
            began.elapsed().as_secs_f64()
        })
        .collect();
    let processor = (own_processor_seconds() - before) / RUNS as f64;
    runs.sort_by(f64::total_cmp);
    let late = runs.get(RUNS * 99 / 100).copied().unwrap_or_default();
    let own = median(runs);
    let ratio = Some(own / PLANNING_MAX);
    Row {
        case: format!("{members} members, planning {name}"),
        figure: format!("{} µs", micros(own)),
        baseline: format!("bound: {} µs", micros(PLANNING_MAX)),
        ratio,
        goal: Some(Goal::at_most(1.0, ratio)),
        peer: None,
        note: format!(
            "99 of 100 within {} µs; {} µs of a processor; {asked} members to ask",
            micros(late),
            micros(processor)
        ),
        runs: json!({ "median_seconds": own, "p99_seconds": late, "processor_seconds": processor, "asked": asked }),
    }
}

/// Processor time of this thread so far: on a busy machine it tells more than the clock does. Zero where the kernel does not tell.
#[allow(clippy::cast_precision_loss)]
fn own_processor_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = text
        .split_whitespace()
        .next()
        .and_then(|first| first.parse::<u64>().ok());
    nanos.unwrap_or_default() as f64 / 1e9
}

/// How the time of a query grew from the smallest federation to the largest, beside how much its data grew.
fn growth(name: &str, (fewest, small): (usize, f64), (most, large): (usize, f64)) -> Row {
    let selective = name.starts_with('d');
    let ratio = Some(large / small.max(1e-9));
    let wanted = if selective {
        FLAT
    } else {
        most as f64 / fewest.max(1) as f64
    };
    Row {
        case: format!("from {fewest} to {most} members, {name}"),
        figure: time(micros(large)),
        baseline: time(micros(small)),
        ratio,
        goal: Some(Goal::at_most((wanted * 10.0).round() / 10.0, ratio)),
        peer: None,
        note: match selective {
            true => "flat: one member is asked".to_owned(),
            false => "no faster than the data".to_owned(),
        },
        runs: json!({ "small_seconds": small, "large_seconds": large }),
    }
}

/// One query over one federation with one delay.
struct Case<'a> {
    network: &'a Network,
    members: usize,
    query: &'a str,
    name: &'a str,
    delay: Duration,
}

impl Case<'_> {
    async fn row(&self, scope: &Scope, known: &mut Option<Known>) -> Result<Row, BenchError> {
        let late = match self.delay.as_millis() {
            0 => String::new(),
            delay => format!("{delay} ms away, "),
        };
        let case = format!("{} members, {late}{}", self.members, self.name);
        let (mut federated, mut merged) = (Vec::new(), Vec::new());
        let (mut requests, mut answers, mut fault) = (0, 0, None);
        for round in 0..=scope.rounds {
            let before: u64 = self.network.requests().iter().sum();
            let began = Instant::now();
            let answered = self
                .network
                .ask(self.query)
                .await
                .map_err(|error| BenchError::of(&case, &error))?;
            let own = began.elapsed().as_secs_f64();
            requests = self.network.requests().iter().sum::<u64>() - before;
            let began = Instant::now();
            let expected = tokio::task::block_in_place(|| self.network.expected(self.query));
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
        let mut runs =
            json!({ "federated_seconds": federated, "merged_seconds": merged, "requests": requests, "rows": answers });
        let (own, other) = (median(federated), median(merged));
        let ratio = fault.is_none().then_some(own / other.max(1e-9));
        let mut note = fault.unwrap_or_else(|| format!("{answers} rows, equal"));
        if let Some(known) = known.filter(|_| !self.delay.is_zero()) {
            let trips = (own - known.undelayed).max(0.0) / self.delay.as_secs_f64();
            note.push_str(&format!("; {trips:.1} round trips deep"));
        }
        let goal = match self.delay.is_zero() {
            true => self.goal(own, other, &mut note).await,
            false => None,
        };
        if self.delay.is_zero() {
            *known = Some(Known { undelayed: own });
        }
        let mut peer = None;
        if let Some(engine) = &scope.peer {
            let asked = || engine.ask(self.network, self.query, scope.rounds, (own, answers));
            let told = tokio::task::block_in_place(asked)?;
            if let Some(runs) = runs.as_object_mut() {
                runs.insert("peer".to_owned(), told.runs);
            }
            peer = Some(told.text);
        }
        Ok(Row {
            case,
            figure: format!("{}, {requests} requests", time(micros(own))),
            baseline: time(micros(other)),
            ratio,
            goal,
            peer,
            note,
            runs,
        })
    }

    /// What was set out for this kind of query; a selective one may take one round trip besides.
    async fn goal(&self, own: f64, other: f64, note: &mut String) -> Option<Goal> {
        let wanted = match self.name.get(..1)? {
            "b" => 2.0,
            "d" => {
                let trip = self.network.round_trip().await?;
                note.push_str(&format!("; one round trip takes {}", time(micros(trip))));
                return Some(Goal {
                    text: "≤ 1.2 and a round trip".to_owned(),
                    met: own <= 1.2 * other + trip,
                });
            }
            _ => 1.5,
        };
        Some(Goal::at_most(wanted, Some(own / other.max(1e-9))))
    }
}

/// Seconds in microseconds.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub(super) fn micros(seconds: f64) -> u64 {
    (seconds * 1e6) as u64
}
