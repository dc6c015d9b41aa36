//! One evaluation of a standing query: admitted, planned, recorded and counted as every query is.

use super::limits::StandingLimits;
use super::rows::{Head, Row, Table, distinct, row};
use super::{Delegation, End};
use crate::app::Broker;
use crate::enforce::Asker;
use crate::error;
use crate::exec::manifest::SourceStatus;
use crate::exec::residual;
use crate::plan::{MaterialiseText, PhysicalPlan, SubPlanText};
use crate::query::Asked;
use crate::query::answer::{Run, record};
use crate::query::credentials::Delegated;
use crate::query::head::{failed, nothing_agreed};
use crate::query::manifests::Manifest;
use crate::query::prepare::{self, Prepared};
use crate::source::Source;
use policies::audit::Outcome;
use server_kit::problem::Problem;
use server_kit::results::Format;
use sparesults::QueryResultsFormat;
use spareval::{CancellationToken, QueryEvaluationError, QueryResults};
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// What is asked again and again.
pub(super) struct Question {
    pub(super) broker: Arc<Broker>,
    pub(super) asker: Asker,
    pub(super) asked: Asked,
    /// The consumer's word that counts now.
    pub(super) delegation: watch::Receiver<Delegation>,
}

/// A source that an evaluation asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AskedSource {
    pub(super) member: String,
    pub(super) dataset: String,
    pub(super) agreement: Option<String>,
}

/// What an evaluation found.
pub(super) struct Evaluation {
    pub(super) table: Table,
    pub(super) manifest: Arc<Manifest>,
    pub(super) sources: Vec<AskedSource>,
    /// A name of the plan: another one asks something else.
    pub(super) plan: u64,
}

impl Question {
    /// Who asks, with what is delegated now.
    fn asker(&self) -> Asker {
        Asker {
            delegated: self.delegation.borrow().agreements.clone(),
            ..self.asker.clone()
        }
    }

    /// Whom the query would ask now, without asking.
    ///
    /// # Errors
    /// As for any query.
    pub(super) async fn plan(&self) -> Result<(Vec<AskedSource>, u64), Problem> {
        let asker = self.asker();
        let prepared = prepare::prepared(&self.broker, &asker, &self.asked).await?;
        if prepared.selection.is_some() {
            return Err(error::unprocessable(
                "form-not-standing",
                "a `DESCRIBE` cannot stand: ask with `CONSTRUCT` or `SELECT` for what you want to know",
            ));
        }
        if prepared.denied {
            return Err(self.denied(&asker, &prepared).await);
        }
        Ok((
            sources(&prepared.plan, &prepared.admission.sources),
            name(&prepared.plan, &prepared.admission.sources),
        ))
    }

    /// Whether the query would ask something else than a plan of this name, by what members say about themselves now.
    pub(super) async fn asks_otherwise(&self, plan: u64) -> bool {
        match prepare::prepared(&self.broker, &self.asker(), &self.asked).await {
            Ok(prepared) => prepared.denied || name(&prepared.plan, &prepared.admission.sources) != plan,
            Err(_) => true,
        }
    }

    async fn denied(&self, asker: &Asker, prepared: &Prepared) -> Problem {
        let (plan, admission) = (&prepared.plan, &prepared.admission);
        let id = self.broker.random.token(16);
        match record(&self.broker, &id, asker, &self.asked, plan, admission, Outcome::Deny).await {
            Ok(_) => nothing_agreed(plan, admission, &prepared.not_covered),
            Err(problem) => problem,
        }
    }

    /// Evaluates; `id` names the evaluation in the log and its manifest. Dropping the future stops it, also at the members.
    ///
    /// # Errors
    /// As for any query.
    pub(super) async fn evaluate(&self, id: String) -> Result<Evaluation, Problem> {
        let asker = self.asker();
        let prepared = prepare::prepared(&self.broker, &asker, &self.asked).await?;
        if prepared.denied {
            return Err(self.denied(&asker, &prepared).await);
        }
        let (plan, admission) = (prepared.plan, prepared.admission);
        let (asked, named) = (sources(&plan, &admission.sources), name(&plan, &admission.sources));
        let receipt = record(
            &self.broker,
            &id,
            &asker,
            &self.asked,
            &plan,
            &admission,
            Outcome::Permit,
        )
        .await?;
        let word = self.delegation.borrow().clone();
        let credentials = Delegated {
            broker: Arc::clone(&self.broker),
            deposits: admission.deposits.clone(),
            proofs: word.proofs(),
            purpose: asker.purpose.clone(),
        };
        let run = Run {
            broker: Arc::clone(&self.broker),
            receipt,
            id,
            asker,
            asked: self.asked.clone(),
            admission,
            not_covered: prepared.not_covered,
            media_type: "text/event-stream",
            format: Format::Rows(QueryResultsFormat::Json),
            turn: None,
        };
        let started = Instant::now();
        let (delivered, completeness) = run.fetch(&credentials, &plan).await?;
        let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let manifest = run.manifest(completeness, ms);
        run.end(&manifest).await;
        let table = self.table(plan, delivered).await?;
        Ok(Evaluation {
            table,
            manifest,
            sources: asked,
            plan: named,
        })
    }

    async fn table(&self, plan: PhysicalPlan, delivered: residual::Delivered) -> Result<Table, Problem> {
        let config = &self.broker.config;
        let limits = config.standing.clone();
        let token = CancellationToken::new();
        let _stop = StopOnDrop(token.clone());
        let work = prepare::deep(config.query.stack_bytes, move || {
            residual::evaluate(&plan.residual, &delivered, token, |results| collect(results, &limits))
        });
        let limit = Duration::from_millis(config.exec.query_ms_max);
        match tokio::time::timeout(limit, work).await {
            Ok(done) => match done? {
                Ok(table) => table,
                Err(cause) => Err(failed(&cause)),
            },
            Err(_) => Err(failed(&QueryEvaluationError::Cancelled)),
        }
    }
}

/// Whether every owner who was needed said no, so that nothing will come by waiting: then the query ends.
pub(super) fn refused(manifest: &Manifest, complete_required: bool) -> Option<End> {
    let sources = &manifest.completeness.sources;
    let failed: Vec<_> = sources
        .iter()
        .filter(|source| source.status == SourceStatus::Failed)
        .collect();
    let words = || {
        let each = failed
            .iter()
            .map(|source| format!("{}: {}", source.member, source.reasons.join(", ")));
        each.collect::<Vec<_>>().join("; ")
    };
    if complete_required && !manifest.completeness.complete {
        let reason = format!(
            "a complete answer was required, and is not to be had any more. {}",
            words()
        );
        return Some(End::new("incomplete", reason));
    }
    let answered = sources
        .iter()
        .any(|source| matches!(source.status, SourceStatus::Answered | SourceStatus::Partial));
    let all = failed.iter().all(|source| {
        source
            .reasons
            .iter()
            .any(|reason| reason.contains("refused by the owner"))
    });
    (!answered && !failed.is_empty() && all).then(|| End::new("refused-by-owner", words()))
}

/// Stops an evaluation that nobody waits for.
struct StopOnDrop(CancellationToken);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

fn sources(plan: &PhysicalPlan, all: &[Source]) -> Vec<AskedSource> {
    let asked = plan.asked().into_iter().filter_map(|at| all.get(at));
    asked
        .map(|source| AskedSource {
            member: source.member.clone(),
            dataset: source.dataset.clone(),
            agreement: source.agreement.clone(),
        })
        .collect()
}

/// A plan's name: what is asked of whom.
fn name(plan: &PhysicalPlan, all: &[Source]) -> u64 {
    let mut hasher = DefaultHasher::new();
    let dataset = |at: &usize| {
        all.get(*at)
            .map(|source| (source.dataset.clone(), source.agreement.clone()))
    };
    for part in &plan.sub_plans {
        SubPlanText::whole(part).hash(&mut hasher);
        part.sources.keys().map(dataset).collect::<Vec<_>>().hash(&mut hasher);
    }
    for (at, wanted) in &plan.materialise {
        (dataset(at), MaterialiseText::of(wanted)).hash(&mut hasher);
    }
    plan.residual_text().hash(&mut hasher);
    hasher.finish()
}

type Collected = Result<Table, Problem>;

fn collect(results: QueryResults<'_>, limits: &StandingLimits) -> Result<Collected, QueryEvaluationError> {
    let mut gathered = Gathered {
        rows: Vec::new(),
        bytes: 0,
        limits,
    };
    let head = match results {
        QueryResults::Boolean(value) => {
            gathered.rows.push(value.to_string().into_boxed_str());
            Head::Boolean
        }
        QueryResults::Solutions(solutions) => {
            let names: Vec<String> = solutions
                .variables()
                .iter()
                .map(|variable| variable.as_str().to_owned())
                .collect();
            for solution in solutions {
                let solution = solution?;
                let bound = solution.iter().map(|(variable, term)| (variable.as_str(), term));
                if let Err(problem) = gathered.take(row(bound)) {
                    return Ok(Err(problem));
                }
            }
            Head::Variables(names)
        }
        QueryResults::Graph(triples) => {
            for triple in triples {
                let triple = triple?;
                let (subject, predicate) = (triple.subject.into(), triple.predicate.into());
                let parts = [
                    ("subject", &subject),
                    ("predicate", &predicate),
                    ("object", &triple.object),
                ];
                if let Err(problem) = gathered.take(row(parts.into_iter())) {
                    return Ok(Err(problem));
                }
            }
            gathered.rows = distinct(gathered.rows);
            Head::Variables(["subject", "predicate", "object"].map(str::to_owned).to_vec())
        }
    };
    Ok(Ok(Table {
        head,
        rows: gathered.rows,
    }))
}

struct Gathered<'a> {
    rows: Vec<Row>,
    bytes: usize,
    limits: &'a StandingLimits,
}

impl Gathered<'_> {
    fn take(&mut self, row: Row) -> Result<(), Problem> {
        self.bytes += row.len();
        self.rows.push(row);
        let (rows, bytes) = (self.limits.rows_max, self.limits.bytes_max);
        let bound = if self.rows.len() > rows {
            format!("more than {rows} rows (`standing.rows_max`)")
        } else if self.bytes > bytes {
            format!("more than {bytes} bytes (`standing.bytes_max`)")
        } else {
            return Ok(());
        };
        Err(error::unprocessable(
            "answer-too-large-to-stand",
            format!(
                "the answer has {bound}: a standing query is kept whole in memory; ask for less, for instance with narrower filters or aggregates"
            ),
        ))
    }
}
