//! Running a plan: all sub-plans at once, within bounds, each feeding those that wait for its bindings; every failure ends up in the
//! ledger, none of them in silence.

pub mod arriving;
mod bindings;
pub mod gate;
pub mod manifest;
pub mod residual;
pub mod terms;

use crate::fetch::parse::SentKeys;
use crate::fetch::{Budget, Credentials, FetchError, Transport, parse};
use crate::member::documents::DocumentLimits;
use crate::member::{At, MemberKind, Question, adapter};
use crate::plan::{MaterialiseText, PhysicalPlan, PlanLimits, Scan, SubPlan, SubPlanText, Wanted};
use crate::source::{Source, SourceId};
use arriving::{Arriving, Filling, Part, Values};
use gate::Gate;
use http::header::HeaderValue;
use manifest::Ledger;
use oxrdf::{Dataset, Quad, Term, Variable};
use parking_lot::Mutex;
use residual::Delivered;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Bounds on running one query.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExecLimits {
    /// Longest time of one sub-query, milliseconds: what a slow or dead member costs.
    pub member_ms_max: u64,
    /// Longest time of a whole query, milliseconds.
    pub query_ms_max: u64,
    /// Most rows of one member, over all sub-queries of a query.
    pub member_rows_max: u64,
    /// Most bytes of one member's answers to all sub-queries of a query.
    pub member_bytes_max: u64,
    /// Most rows from all sources together.
    pub rows_max: u64,
    /// Most bytes from all sources together.
    pub bytes_max: u64,
    /// How long a member's answer counts on whether it holds anything like a pattern, milliseconds. For members without summaries.
    pub evidence_ms: u64,
    /// Bounds on reading the documents of members that answer no queries.
    pub documents: DocumentLimits,
}

impl Default for ExecLimits {
    fn default() -> Self {
        Self {
            member_ms_max: 15_000,
            query_ms_max: 60_000,
            member_rows_max: 2_000_000,
            member_bytes_max: 512 * 1024 * 1024,
            rows_max: 5_000_000,
            bytes_max: 1024 * 1024 * 1024,
            evidence_ms: 10_000,
            documents: DocumentLimits::default(),
        }
    }
}

/// Why a query as a whole has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExecError {
    /// A budget of the whole query is used up: an explicit error, never a shortened answer.
    #[error("{0}")]
    Budget(String),
    /// Too slow as a whole.
    #[error("the query took longer than {0} ms")]
    TimedOut(u64),
}

/// Everything a query needs to run, but the plan.
pub struct Session<'a> {
    /// The sources of the query.
    pub sources: &'a [Source],
    /// The way to them.
    pub transport: &'a dyn Transport,
    /// Credentials per source.
    pub credentials: &'a dyn Credentials,
    /// Protection of members.
    pub gate: &'a Gate,
    /// Bounds.
    pub limits: &'a ExecLimits,
    /// Bounds of planning that also bind here.
    pub plan_limits: &'a PlanLimits,
    /// `traceparent` to send along, when there is one.
    pub traceparent: Option<HeaderValue>,
}

type Slot = watch::Receiver<bool>;

/// Places for the answers of a plan's sub-plans.
#[must_use]
pub fn places(plan: &PhysicalPlan) -> Arc<[Arc<Arriving>]> {
    let columns = plan.sub_plans.iter().map(|part| part.variables.clone());
    columns.map(|columns| Arc::new(Arriving::new(columns.into()))).collect()
}

/// Runs all sub-plans. Dropping the future cancels every request.
///
/// # Errors
/// [`ExecError`] when the query as a whole fails; failures of single sources are in the ledger.
pub async fn run(session: &Session<'_>, plan: &PhysicalPlan, ledger: &Ledger) -> Result<Delivered, ExecError> {
    let answers = places(plan);
    let dataset = fill(session, plan, ledger, &answers).await?;
    answers.iter().for_each(|answer| answer.settle());
    Ok(Delivered::whole(answers, dataset))
}

/// Runs all sub-plans, each source's answer being readable in its place as soon as it is there; gives the triples to merge. Dropping
/// the future cancels every request and gives up the answers that are not whole.
///
/// # Errors
/// As [`run`].
pub async fn fill(
    session: &Session<'_>,
    plan: &PhysicalPlan,
    ledger: &Ledger,
    answers: &Arc<[Arc<Arriving>]>,
) -> Result<Dataset, ExecError> {
    let budget = Budget::new(session.limits.rows_max, session.limits.bytes_max);
    let shares = shares(session, plan, &budget);
    let shares = &shares;
    let filling = Filling(Arc::clone(answers));
    let all = async {
        let (senders, slots): (Vec<_>, Vec<Slot>) = plan.sub_plans.iter().map(|_| watch::channel(false)).unzip();
        let runs = plan.sub_plans.iter().zip(answers.iter()).zip(senders);
        let parts = futures_util::future::join_all(runs.map(|((part, place), sender)| {
            let feed = part
                .bind
                .as_ref()
                .and_then(|bind| Some((bind.from, slots.get(bind.from)?.clone())));
            async move {
                let feed = match feed {
                    Some((from, mut slot)) => slot.wait_for(|whole| *whole).await.ok().and_then(|_| answers.get(from)),
                    None => None,
                };
                sub_plan(session, part, feed, place, ledger, shares).await;
                sender.send_replace(true);
            }
        }));
        let wanted = plan.materialise.iter();
        let triples = futures_util::future::join_all(
            wanted.map(|(id, wanted)| async move { merge_from(session, *id, wanted, ledger, shares).await }),
        );
        futures_util::future::join(parts, triples).await.1
    };
    let limit = Duration::from_millis(session.limits.query_ms_max);
    let triples = tokio::time::timeout(limit, all)
        .await
        .map_err(|_| ExecError::TimedOut(session.limits.query_ms_max))?;
    if budget.is_exhausted() {
        let reason = ledger
            .completeness(session.sources)
            .sources
            .into_iter()
            .flat_map(|report| report.reasons)
            .find(|reason| reason.contains("budget"))
            .unwrap_or_default();
        return Err(ExecError::Budget(reason));
    }
    drop(filling);
    let mut dataset = Dataset::new();
    for quad in triples.into_iter().flatten() {
        dataset.insert(&quad);
    }
    Ok(dataset)
}

/// What each member may use up, by its name.
type Shares<'s> = BTreeMap<&'s str, Arc<Budget>>;

fn shares<'s>(session: &Session<'s>, plan: &PhysicalPlan, budget: &Arc<Budget>) -> Shares<'s> {
    let (rows_max, bytes_max) = (session.limits.member_rows_max, session.limits.member_bytes_max);
    let asked = plan.asked().into_iter().filter_map(|id| session.sources.get(id));
    let members: BTreeSet<&str> = asked.map(|source| source.member.as_str()).collect();
    members
        .into_iter()
        .map(|member| (member, budget.share(rows_max, bytes_max)))
        .collect()
}

/// One sub-plan: all its sources, with the bindings of another sub-plan when it waits for one.
async fn sub_plan(
    session: &Session<'_>,
    part: &SubPlan,
    feed: Option<&Arc<Arriving>>,
    answer: &Arriving,
    ledger: &Ledger,
    shares: &Shares<'_>,
) {
    let mut requests: Vec<(SourceId, String, Option<Arc<SentKeys>>)> = Vec::new();
    let keys = match (&part.bind, feed) {
        (Some(bind), Some(feed)) => {
            let parts = feed.parts();
            bindings::keys(bind, &feed.variables, parts.iter().flat_map(|part| &part.rows))
                .filter(|keys| keys.len() <= session.plan_limits.bind_keys_max)
                .map(|keys| (bind, keys))
        }
        _ => None,
    };
    match keys {
        Some((bind, keys)) => {
            for (source, blocks) in bindings::blocks(part, bind, &keys, session) {
                if bind.masked {
                    requests.push((source, bindings::masked(part, bind, &blocks), None));
                    continue;
                }
                for block in blocks {
                    let text = SubPlanText::bound(part, &bind.variables, &block);
                    let variables = bind.variables.clone();
                    requests.push((source, text, Some(Arc::new(SentKeys { variables, block }))));
                }
            }
        }
        None => {
            let text = SubPlanText::whole(part);
            requests.extend(part.sources.keys().map(|source| (*source, text.clone(), None)));
        }
    }
    let expected = |number: usize, id: SourceId, keys: &Option<Arc<SentKeys>>| parse::Expected {
        keys: keys.clone(),
        variables: part.variables.clone(),
        certain: part.certain.clone(),
        rows_max: session.limits.member_rows_max,
        bytes_max: session.limits.member_bytes_max,
        blank_prefix: match session.sources.get(id).map(Source::kind) {
            // The labels of another endpoint mean something within one answer only.
            Some(MemberKind::Sparql) if keys.is_some() => format!("p{}s{id}r{number}x", part.id),
            _ => format!("p{}s{id}x", part.id),
        },
    };
    // Of a row that several sources hold it must be known who does before it is read.
    let copies = part.copied;
    let brought = Mutex::new(Vec::new());
    let brought_here = &brought;
    futures_util::future::join_all(requests.iter().enumerate().map(|(at, (source, text, keys))| {
        let (source, expected) = (*source, expected(at, *source, keys));
        async move {
            if let Some(rows) = ask(session, source, text, expected, ledger, shares).await {
                let part = Part {
                    sources: vec![source],
                    place: at,
                    rows,
                };
                if copies {
                    brought_here.lock().push(part)
                } else {
                    answer.add(part)
                }
            }
        }
    }))
    .await;
    if copies {
        once(brought.into_inner()).into_iter().for_each(|part| answer.add(part));
    }
    answer.end();
}

/// Each row once, with all the sources that brought it, in the order in which they were asked.
fn once(mut brought: Vec<Part>) -> Vec<Part> {
    brought.sort_by_key(|part| part.place);
    let mut known: HashMap<Values, usize> = HashMap::new();
    let mut rows: Vec<(Values, Vec<SourceId>)> = Vec::new();
    for Part { sources, rows: new, .. } in brought {
        for row in new {
            let at = *known.entry(row.clone()).or_insert(rows.len());
            match rows.get_mut(at) {
                Some((_, all)) => all.extend(
                    sources
                        .iter()
                        .filter(|id| !all.contains(id))
                        .copied()
                        .collect::<Vec<_>>(),
                ),
                None => rows.push((row, sources.clone())),
            }
        }
    }
    let mut parts: Vec<Part> = Vec::new();
    for (row, sources) in rows {
        match parts.last_mut() {
            Some(part) if part.sources == sources => part.rows.push(row),
            _ => parts.push(Part {
                sources,
                place: parts.len(),
                rows: vec![row],
            }),
        }
    }
    parts
}

/// Fetches triples of one source to be merged.
async fn merge_from(
    session: &Session<'_>,
    id: SourceId,
    wanted: &Wanted,
    ledger: &Ledger,
    shares: &Shares<'_>,
) -> Vec<Quad> {
    let column = |name: &str| Variable::new_unchecked(name);
    let expected = parse::Expected {
        keys: None,
        variables: ["k", "g", "s", "p", "o"].map(column).to_vec(),
        certain: vec![column("k")],
        rows_max: session.limits.member_rows_max,
        bytes_max: session.limits.member_bytes_max,
        blank_prefix: format!("m{id}x"),
    };
    let rows = ask(session, id, &MaterialiseText::of(wanted), expected, ledger, shares)
        .await
        .unwrap_or_default();
    let scans: Vec<&Scan> = wanted.scans.values().collect();
    let quads: Option<Vec<Quad>> = rows.into_iter().map(|row| quad(&scans, row)).collect();
    quads.unwrap_or_else(|| {
        let misfit = FetchError::Mismatch("a row is no triple of those that were asked for".to_owned());
        ledger.failed(id, &misfit, 0);
        Vec::new()
    })
}

/// The quad behind a row: number of the scan, graph, subject, predicate, object.
fn quad(scans: &[&Scan], row: Vec<Option<Term>>) -> Option<Quad> {
    let [scan, graph, subject, predicate, object] = <[_; 5]>::try_from(row).ok()?;
    let Some(Term::Literal(number)) = scan else { return None };
    let number: usize = number.value().parse().ok()?;
    scans.get(number)?.quad([graph, subject, predicate, object])
}

/// One request to one source, with everything that can go wrong noted in the ledger.
async fn ask(
    session: &Session<'_>,
    id: SourceId,
    text: &str,
    expected: parse::Expected,
    ledger: &Ledger,
    shares: &Shares<'_>,
) -> Option<Vec<Vec<Option<Term>>>> {
    let source = session.sources.get(id)?;
    let budget = shares.get(source.member.as_str())?;
    let started = Instant::now();
    let limit = Duration::from_millis(session.limits.member_ms_max);
    let question = Question {
        text,
        expected,
        budget,
        ledger,
    };
    let answer = adapter(source).answer(At { session, source, id }, question);
    let result = match tokio::time::timeout(limit, answer).await {
        Ok(result) => result,
        Err(_) => Err(FetchError::TimedOut(session.limits.member_ms_max)),
    };
    let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    metrics::histogram!("meent_sub_query_seconds", "member" => source.member.clone())
        .record(started.elapsed().as_secs_f64());
    match result {
        Ok(rows) => {
            if let Some(granted) = source.terms() {
                ledger.came_with(id, terms::granted(granted, &source.dataset));
            }
            ledger.answered(id, rows.rows.len() as u64, rows.bytes, ms);
            Some(rows.rows)
        }
        Err(error) => {
            let error = match error {
                FetchError::TimedOut(_) => FetchError::TimedOut(session.limits.member_ms_max),
                other => other,
            };
            metrics::counter!("meent_sub_query_failures_total", "member" => source.member.clone()).increment(1);
            tracing::info!(member = %source.member, reason = %error, ms, "a source gave no answer");
            ledger.failed(id, &error, ms);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oxrdf::Literal;

    fn brought(source: SourceId, place: usize, values: &[i32]) -> Part {
        let rows = values
            .iter()
            .map(|value| vec![Some(Literal::from(*value).into()), None]);
        Part {
            sources: vec![source],
            place,
            rows: rows.collect(),
        }
    }

    /// Rows that several sources hold come once, and name all of them, whoever answered first.
    #[test]
    fn copied_rows_come_once_and_name_all_who_hold_them() {
        let parts = once(vec![
            brought(7, 2, &[3, 1]),
            brought(4, 0, &[1, 2]),
            brought(4, 1, &[2, 3]),
        ]);
        let found: Vec<(Vec<SourceId>, Vec<Values>)> =
            parts.into_iter().map(|part| (part.sources, part.rows)).collect();
        let rows = |values: &[i32]| brought(0, 0, values).rows;
        let expected = [
            (vec![4, 7], rows(&[1])),
            (vec![4], rows(&[2])),
            (vec![4, 7], rows(&[3])),
        ];
        assert_eq!(found, expected);
    }
}
