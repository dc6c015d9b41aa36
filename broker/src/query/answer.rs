//! One query from admission to the last byte.

use super::delegation::{Proofs, asker};
use super::manifests::Manifest;
use super::write::{self, Out};
use super::{Asked, explain, prepare};
use crate::agreement::Deposit;
use crate::app::Broker;
use crate::audit::Receipt;
use crate::enforce::{Admission, Asker};
use crate::error::{self, Answer};
use crate::exec::manifest::{Completeness, Ledger, SourceStatus};
use crate::exec::residual::{self, Delivered};
use crate::exec::terms::{self, Term};
use crate::exec::{ExecError, Session, run};
use crate::fetch::{Credentials, FetchError};
use crate::http::Call;
use crate::plan::PhysicalPlan;
use crate::source::Source;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue, LINK};
use http::{HeaderMap, Method, Response, StatusCode};
use oxrdf::NamedNode;
use policies::audit::{AuditAction, AuditRecord, Outcome};
use server_kit::authn::client::DELEGATION;
use server_kit::body::{self, Body};
use server_kit::problem::Problem;
use server_kit::trace;
use sha2::{Digest, Sha256};
use spareval::{CancellationToken, QueryEvaluationError, QueryResults};
use spargebra::Query;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Says whether the answer is complete.
pub const COMPLETE: HeaderName = HeaderName::from_static("meent-complete");
/// How many datasets were withheld by policy.
pub const WITHHELD: HeaderName = HeaderName::from_static("meent-withheld");
/// Most links to terms in the header of one answer; its manifest has all of them.
const TERM_LINKS_MAX: usize = 64;
/// Name of the query, for its manifest.
pub const QUERY: HeaderName = HeaderName::from_static("meent-query");

/// Answers one query.
///
/// # Errors
/// A problem for the caller.
pub async fn answer(broker: &Arc<Broker>, call: &Call, asked: Asked) -> Answer {
    let _turn = broker.turn()?;
    let (asker, proofs) = asker(broker, call, &asked)?;
    let media_type = media_type(broker, call, &asked).await?;
    let prepare::Prepared {
        selection,
        denied,
        plan,
        admission,
        not_covered,
        planning,
    } = prepare::prepared(broker, &asker, &asked).await?;
    let id = broker.random.token(16);
    if denied {
        let problem = nothing_agreed(&plan, &admission, &not_covered);
        record(broker, &id, &asker, &asked, &plan, &admission, Outcome::Deny).await?;
        return Err(problem);
    }
    if asked.explain && !asked.measured {
        // Members that publish no summary were asked already.
        if admission.sources.iter().any(|source| source.foreign.is_some()) {
            record(broker, &id, &asker, &asked, &plan, &admission, Outcome::Permit).await?;
        }
        return explain::respond(
            call,
            &explain::Explained {
                plan: &plan,
                admission: &admission,
                not_covered: &not_covered,
                planning,
                measured: None,
            },
        );
    }
    let receipt = record(broker, &id, &asker, &asked, &plan, &admission, Outcome::Permit).await?;
    let run = Run {
        broker: Arc::clone(broker),
        receipt,
        id,
        asker,
        asked,
        admission,
        not_covered,
        media_type,
    };
    run.answer(call, (plan, planning), selection, proofs).await
}

/// The format of the answer: rows or a graph, as the query's form needs.
async fn media_type(broker: &Broker, call: &Call, asked: &Asked) -> Result<&'static str, Problem> {
    let (text, base, limits) = (
        asked.query.clone(),
        broker.config.server.base_url.to_string(),
        broker.config.query.clone(),
    );
    let stack = limits.stack_bytes;
    let graph = prepare::deep(stack, move || {
        prepare::parse(&text, &base, &limits)
            .map(|query| matches!(query, Query::Construct { .. } | Query::Describe { .. }))
    })
    .await??;
    let offered: &[&'static str] = if graph { &write::GRAPHS } else { &write::ROWS };
    if asked.explain {
        return Ok(offered.first().copied().unwrap_or_default());
    }
    call.negotiate(offered)
        .and_then(|chosen| offered.iter().copied().find(|media_type| *media_type == chosen))
        .ok_or_else(|| error::not_acceptable(&offered.join(", ")))
}

/// 403: nothing that could answer may be asked. Names each dataset with the reason.
pub(crate) fn nothing_agreed(
    plan: &PhysicalPlan,
    admission: &Admission,
    not_covered: &[crate::enforce::Refused],
) -> Problem {
    let mut refused: Vec<serde_json::Value> = not_covered
        .iter()
        .filter_map(|refused| serde_json::to_value(refused).ok())
        .collect();
    let mut words: Vec<String> = not_covered
        .iter()
        .map(|refused| format!("<{}>: {}", refused.dataset, refused.reason))
        .collect();
    for (id, reasons) in &plan.withheld {
        let Some(source) = admission.sources.get(*id) else {
            continue;
        };
        for reason in reasons {
            let said = crate::exec::manifest::words(reason);
            refused.push(serde_json::json!({
                "member": source.member, "dataset": source.dataset, "agreement": source.agreement,
                "code": serde_json::to_value(reason).ok().and_then(|v| v.get("reason").cloned()), "reason": said,
            }));
            words.push(format!("<{}>: {said}", source.dataset));
        }
    }
    const SHOWN: usize = 5;
    let more = words.len().saturating_sub(SHOWN);
    let mut detail = format!(
        "no dataset that could answer may be asked. {}",
        words.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("; ")
    );
    if more > 0 {
        detail.push_str(&format!("; and {more} more, see `datasets`"));
    }
    error::forbidden("not-agreed", detail).with("datasets", refused)
}

/// The record of a query, durable when this returns.
pub(crate) async fn record(
    broker: &Arc<Broker>,
    id: &str,
    asker: &Asker,
    asked: &Asked,
    plan: &PhysicalPlan,
    admission: &Admission,
    outcome: Outcome,
) -> Result<Receipt, Problem> {
    let mut record = AuditRecord::new(
        id,
        broker.clock.now(),
        broker.config.server.base_url.as_str(),
        AuditAction::Query,
        outcome,
    );
    record.agent = Some(asker.web_id.as_str().to_owned());
    record.trace = trace::current().map(|context| context.trace_id());
    record.purpose.clone_from(&asker.purpose);
    record.query_hash = Some(hex::encode(Sha256::digest(asked.query.as_bytes())));
    let sources = plan.asked().into_iter().filter_map(|at| admission.sources.get(at));
    record.targets = sources
        .map(|source| source.agreement.clone().unwrap_or_else(|| source.dataset.clone()))
        .collect();
    write_record(broker, record).await
}

async fn write_record(broker: &Arc<Broker>, record: AuditRecord) -> Result<Receipt, Problem> {
    let auditor = Arc::clone(&broker.auditor);
    crate::agreement::deposit::blocking(move || auditor.write(&record))
        .await?
        .map_err(|cause| {
            tracing::error!(%cause, "the log cannot be written: nothing is answered");
            Problem::unavailable("the log cannot be written, so nothing may be answered", 5)
        })
}

/// A query that may run: admitted, planned and on record.
pub(crate) struct Run {
    pub(crate) broker: Arc<Broker>,
    pub(crate) receipt: Receipt,
    pub(crate) id: String,
    pub(crate) asker: Asker,
    pub(crate) asked: Asked,
    pub(crate) admission: Admission,
    pub(crate) not_covered: Vec<crate::enforce::Refused>,
    pub(crate) media_type: &'static str,
}

impl Run {
    /// With a `selection`, its resources are described; otherwise the plan's own answer is given.
    async fn answer(
        self,
        call: &Call,
        (plan, planning): (PhysicalPlan, Duration),
        selection: Option<Query>,
        proofs: Proofs,
    ) -> Answer {
        let started = Instant::now();
        let credentials = self.credentials(proofs);
        let (mut plan, mut delivered, mut completeness) = {
            let (delivered, completeness) = self.fetch(&credentials, &plan).await?;
            (plan, delivered, completeness)
        };
        if let Some(selection) = selection {
            let resources = self.resources(plan, delivered).await?;
            let query = prepare::describe_construction(&selection, resources);
            let broker = &self.broker;
            plan = prepare::planned(
                &query,
                &self.admission.sources,
                &broker.directories,
                &broker.config.plan,
            )?;
            let first = completeness.complete;
            (delivered, completeness) = self.fetch(&credentials, &plan).await?;
            completeness.complete &= first;
        }
        let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        metrics::histogram!("meent_query_fetch_seconds").record(started.elapsed().as_secs_f64());
        let manifest = self.manifest(completeness, ms);
        self.end(&manifest).await;
        refuse_if_empty_handed(&manifest, self.asked.complete_required)?;
        if self.asked.explain {
            let measured = explain::Measured::of(&delivered, &manifest);
            return explain::respond(
                call,
                &explain::Explained {
                    plan: &plan,
                    admission: &self.admission,
                    not_covered: &self.not_covered,
                    planning,
                    measured: Some(measured),
                },
            );
        }
        tracing::debug!(
            query = self.id,
            leaf = self.receipt.leaf(),
            ms,
            complete = manifest.completeness.complete,
            "query answered"
        );
        self.stream(plan, delivered, &manifest).await
    }

    /// Keeps the manifest of what became of the sources.
    pub(crate) fn manifest(&self, completeness: Completeness, ms: u64) -> Arc<Manifest> {
        let left_out = completeness
            .sources
            .iter()
            .filter(|report| report.status == SourceStatus::Withheld)
            .count();
        self.broker.manifests.keep(Manifest {
            withheld: self.not_covered.len() + left_out,
            id: self.id.clone(),
            asked: self
                .broker
                .clock
                .now()
                .format(&time::format_description::well_known::Rfc3339)
                .unwrap_or_default(),
            purpose: self.asker.purpose.clone(),
            completeness,
            not_covered: self.not_covered.clone(),
            ms,
        })
    }

    fn credentials(&self, proofs: Proofs) -> Delegated {
        Delegated {
            broker: Arc::clone(&self.broker),
            deposits: self.admission.deposits.clone(),
            proofs,
            purpose: self.asker.purpose.clone(),
        }
    }

    pub(crate) async fn fetch(
        &self,
        credentials: &Delegated,
        plan: &PhysicalPlan,
    ) -> Result<(Delivered, Completeness), Problem> {
        let ledger = Ledger::new(&self.admission.sources, &plan.withheld);
        let session = Session {
            sources: &self.admission.sources,
            transport: &*self.broker.egress,
            credentials,
            gate: &self.broker.gate,
            limits: &self.broker.config.exec,
            plan_limits: &self.broker.config.plan,
            traceparent: trace::current().and_then(|context| context.header()),
        };
        let delivered = run(&session, plan, &ledger).await.map_err(|error| match error {
            ExecError::Budget(_) => Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "budget-exceeded",
                "The query is too large",
            )
            .detail(format!(
                "{error}: ask for less, for instance with narrower filters or aggregates"
            )),
            ExecError::TimedOut(_) => {
                Problem::new(StatusCode::GATEWAY_TIMEOUT, "query-timeout", "The query took too long")
                    .detail(error.to_string())
            }
        })?;
        Ok((delivered, ledger.completeness()))
    }

    /// The resources that a `DESCRIBE` found.
    async fn resources(&self, plan: PhysicalPlan, delivered: Delivered) -> Result<Vec<NamedNode>, Problem> {
        let most = self.broker.config.query.described_max;
        let found = prepare::deep(self.broker.config.query.stack_bytes, move || {
            residual::evaluate(&plan.residual, &delivered, CancellationToken::new(), |results| {
                let mut found = BTreeSet::new();
                if let QueryResults::Solutions(solutions) = results {
                    for solution in solutions {
                        for (_, term) in solution?.iter() {
                            if let oxrdf::Term::NamedNode(node) = term {
                                found.insert(node.clone());
                            }
                        }
                    }
                }
                Ok(found)
            })
        })
        .await?
        .map_err(|error| failed(&error))?;
        if found.len() > most {
            return Err(error::unprocessable(
                "describes-too-much",
                format!("more than {most} resources to describe"),
            ));
        }
        Ok(found.into_iter().collect())
    }

    /// The second record: how the query ended.
    pub(crate) async fn end(&self, manifest: &Manifest) {
        let mut record = AuditRecord::new(
            format!("{}-end", self.id),
            self.broker.clock.now(),
            self.broker.config.server.base_url.as_str(),
            AuditAction::Query,
            Outcome::Permit,
        );
        record.agent = Some(self.asker.web_id.as_str().to_owned());
        record.trace = trace::current().map(|context| context.trace_id());
        record.purpose.clone_from(&self.asker.purpose);
        let answered = manifest
            .completeness
            .sources
            .iter()
            .filter(|report| matches!(report.status, SourceStatus::Answered | SourceStatus::Partial));
        record.targets = answered
            .map(|report| report.agreement.clone().unwrap_or_else(|| report.dataset.clone()))
            .collect();
        // The first record is durable; a missing second one shows that the broker ended in between.
        if let Err(problem) = write_record(&self.broker, record).await {
            tracing::error!(detail = problem.detail, "the end of a query is not on record");
        }
    }

    /// Evaluates and sends, beginning the response only when the first bytes are there.
    async fn stream(self, plan: PhysicalPlan, delivered: Delivered, manifest: &Manifest) -> Answer {
        let link = format!("{}queries/{}", self.broker.config.server.base_url, self.id);
        let (sender, content) = body::channel(4);
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let json = self.media_type == "application/sparql-results+json";
        let mut out = Out::new(
            sender,
            tokio::runtime::Handle::current(),
            begun,
            json.then(|| link.clone()),
        );
        let media_type = self.media_type;
        let cancellation = CancellationToken::new();
        let deadline = cancellation.clone();
        let limit = Duration::from_millis(self.broker.config.exec.query_ms_max);
        let timer = tokio::spawn(async move {
            tokio::time::sleep(limit).await;
            deadline.cancel();
        });
        let work = prepare::deep(self.broker.config.query.stack_bytes, move || {
            let outcome = residual::evaluate(&plan.residual, &delivered, cancellation, |results| {
                write::results(results, media_type, &mut out).map(|_| ())
            });
            timer.abort();
            match outcome {
                Ok(()) => out
                    .finish()
                    .map_err(|error| QueryEvaluationError::Unexpected(Box::new(error))),
                Err(error) => {
                    if out.has_begun() {
                        tracing::info!(%error, "an answer was broken off");
                        out.break_off("the answer could not be completed");
                    }
                    Err(error)
                }
            }
        });
        let finished = tokio::spawn(work);
        if has_begun.await.is_err() {
            // Nothing was sent: the evaluation failed before its first byte.
            return match finished.await.map_err(|cause| error::internal(&cause))?? {
                Err(cause) => Err(failed(&cause)),
                Ok(()) => Err(error::internal(&"an answer without bytes")),
            };
        }
        Ok(headed(content, self.media_type, manifest, &link, &self.id))
    }
}

fn headed(content: Body, media_type: &'static str, manifest: &Manifest, link: &str, id: &str) -> Response<Body> {
    let mut response = Response::new(content);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    let complete = if manifest.completeness.complete {
        "true"
    } else {
        "false"
    };
    headers.insert(COMPLETE, HeaderValue::from_static(complete));
    if let Ok(value) = HeaderValue::from_str(&format!("<{link}>; rel=\"describedby\"; type=\"application/json\"")) {
        headers.insert(LINK, value);
    }
    headers.insert(WITHHELD, HeaderValue::from(manifest.withheld));
    // The terms of every source bind the whole answer.
    let terms: BTreeSet<&Term> = manifest
        .completeness
        .sources
        .iter()
        .flat_map(|report| &report.terms)
        .collect();
    for value in terms.into_iter().take(TERM_LINKS_MAX).filter_map(terms::link) {
        headers.append(LINK, value);
    }
    if let Ok(value) = HeaderValue::from_str(id) {
        headers.insert(QUERY, value);
    }
    headers.insert(http::header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// An answer from nobody is no answer, and a partial one is none when a complete one was required.
pub(crate) fn refuse_if_empty_handed(manifest: &Manifest, complete_required: bool) -> Result<(), Problem> {
    let sources = &manifest.completeness.sources;
    let failed: Vec<_> = sources
        .iter()
        .filter(|report| report.status == SourceStatus::Failed)
        .collect();
    let answered = sources
        .iter()
        .any(|report| matches!(report.status, SourceStatus::Answered | SourceStatus::Partial));
    if manifest.completeness.complete || (answered && !complete_required) || (failed.is_empty() && !complete_required) {
        return Ok(());
    }
    let all = |word: &str| {
        !failed.is_empty()
            && failed
                .iter()
                .all(|report| report.reasons.iter().any(|r| r.contains(word)))
    };
    let (status, kind, title) = if all("refused by the owner") {
        (StatusCode::FORBIDDEN, "refused-by-owner", "Refused by the owner")
    } else if all("no complete answer within") {
        (StatusCode::GATEWAY_TIMEOUT, "incomplete", "No complete answer")
    } else {
        (StatusCode::BAD_GATEWAY, "incomplete", "No complete answer")
    };
    let words: Vec<String> = sources
        .iter()
        .filter(|report| !matches!(report.status, SourceStatus::Answered | SourceStatus::NotRelevant))
        .map(|report| format!("{}: {}", report.member, report.reasons.join(", ")))
        .collect();
    Err(Problem::new(status, kind, title)
        .detail(words.join("; "))
        .with("manifest", serde_json::to_value(manifest).unwrap_or_default()))
}

pub(crate) fn failed(cause: &QueryEvaluationError) -> Problem {
    match cause {
        QueryEvaluationError::Cancelled => {
            Problem::new(StatusCode::GATEWAY_TIMEOUT, "query-timeout", "The query took too long")
                .detail("combining the sources' answers took too long")
        }
        other => error::internal(other),
    }
}

/// Credentials for sub-queries: the agreement's token, a fresh proof by the broker's key, and the consumer's delegation.
pub(crate) struct Delegated {
    pub(crate) broker: Arc<Broker>,
    pub(crate) deposits: BTreeMap<String, Arc<Deposit>>,
    pub(crate) proofs: Proofs,
    pub(crate) purpose: Option<String>,
}

impl Credentials for Delegated {
    fn headers(&self, source: &Source, url: &str) -> Result<HeaderMap, FetchError> {
        let mut headers = HeaderMap::new();
        let Some(agreement) = &source.agreement else {
            return Ok(headers);
        };
        let deposit = self
            .deposits
            .get(agreement)
            .ok_or_else(|| FetchError::NoToken("none was deposited".to_owned()))?;
        let delegation = self
            .proofs
            .get(agreement)
            .cloned()
            .ok_or_else(|| FetchError::NoToken("no delegation names it".to_owned()))?;
        let now = self.broker.clock.unix();
        self.broker
            .key
            .authorize(
                &mut headers,
                &Method::POST,
                url,
                &deposit.token,
                now,
                &*self.broker.random,
            )
            .map_err(|_| FetchError::NoToken("no proof could be made".to_owned()))?;
        headers.insert(DELEGATION, delegation);
        Ok(headers)
    }

    fn purpose(&self) -> Option<&str> {
        self.purpose.as_deref()
    }
}
