//! Federated queries over members that are real HTTP servers, beside one Oxigraph that holds everything, and beside Comunica.

use std::time::{Duration, Instant};

use serde_json::json;

use super::BenchError;
use super::comunica::{self, Comunica};
use super::report::{Goal, Row, Table, median, time};
use crate::federation::Network;
use crate::federation::generate::{QUERIES, Size, federation};

/// Longest time of planning that was set out, in seconds.
const PLANNING_MAX: f64 = 0.002;

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
    for &members in &scope.sizes {
        progress(&format!("generating {members} members"));
        let size = Size {
            members,
            days: scope.days,
            ..Size::default()
        };
        let network = Network::start(federation(size)).await;
        rows.push(planning(&network, members));
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
        }
    }
    let days = scope.days;
    Ok(Table {
        title: "Federated queries beside one store with all the data".to_owned(),
        method: format!(
            "Municipalities with {days} days of hourly observations, plus one register; each member is a SPARQL endpoint on a loopback \
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

/// Reading and planning alone, of the query that takes longest.
fn planning(network: &Network, members: usize) -> Row {
    const RUNS: usize = 21;
    let of = |query: &str| {
        let runs = (0..RUNS).map(|_| {
            let began = Instant::now();
            let _ = std::hint::black_box(network.plan(query));
            began.elapsed().as_secs_f64()
        });
        median(runs.collect())
    };
    let longest = QUERIES.iter().map(|(_, query)| of(query)).fold(0.0, f64::max);
    let ratio = Some(longest / PLANNING_MAX);
    Row {
        case: format!("{members} members, reading and planning"),
        figure: time(micros(longest)),
        baseline: format!("bound: {}", time(micros(PLANNING_MAX))),
        ratio,
        goal: Some(Goal::at_most(1.0, ratio)),
        peer: None,
        note: "the slowest of the queries below".to_owned(),
        runs: json!({ "seconds": longest }),
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
