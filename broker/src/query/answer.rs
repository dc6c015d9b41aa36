//! One query from admission to the last byte.

use super::credentials::Delegated;
use super::delegation::{Proofs, asker};
use super::head::{self, HangUp};
use super::manifests::Manifest;
use super::provenance::Provenance;
use super::write::{Out, Pen, Writing};
use super::{Asked, Complete, explain, prepare};
use crate::app::Broker;
use crate::audit::Receipt;
use crate::enforce::{Admission, Asker};
use crate::error::{self, Answer};
use crate::exec::manifest::{Completeness, Ledger, SourceStatus};
use crate::exec::residual::{self, Delivered};
use crate::exec::{Session, run};
use crate::http::Call;
use crate::plan::{Duplicates, PhysicalPlan};
use http::HeaderMap;
use http::header::HeaderValue;
use oxrdf::NamedNode;
use policies::audit::{AuditAction, AuditRecord, Outcome};
use server_kit::body::{self, Body};
use server_kit::problem::Problem;
use server_kit::results::{self, Format, Offer};
use server_kit::trace;
use sha2::{Digest, Sha256};
use spareval::{CancellationToken, QueryResults};
use spargebra::Query;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::OwnedSemaphorePermit;

/// Answers one query.
///
/// # Errors
/// A problem for the caller.
pub async fn answer(broker: &Arc<Broker>, call: &Call, asked: Asked) -> Answer {
    let turn = broker.turn()?;
    let (asker, proofs) = asker(broker, call, &asked)?;
    let (media_type, format) = offer(broker, call, &asked).await?;
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
        let problem = head::nothing_agreed(&plan, &admission, &not_covered);
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
        format,
        turn: Some(turn),
    };
    // Before anything is asked: whether rows can tell their sources.
    run.provenance(&plan)?;
    let later = run.asked.complete == Complete::Later && !run.asked.explain;
    let early = later && selection.is_none() && plan.materialise.is_empty();
    if early && run.format.flows() {
        return run.answer_early(proofs, plan).await;
    }
    run.answer(call, (plan, planning), selection, proofs).await
}

/// The format of the answer, as the query's form allows.
async fn offer(broker: &Broker, call: &Call, asked: &Asked) -> Result<Offer, Problem> {
    let (text, base, limits) = (
        asked.query.clone(),
        broker.config.server.base_url.to_string(),
        broker.config.query.clone(),
    );
    let stack = limits.stack_bytes;
    let offered = prepare::deep(stack, move || {
        prepare::parse(&text, &base, &limits).map(|query| results::offers(&query))
    })
    .await??;
    let offer = if asked.explain {
        offered.first().copied()
    } else {
        results::negotiate(&call.headers, offered)
    };
    let offer = offer.ok_or_else(|| error::not_acceptable(&results::names(offered)))?;
    if asked.provenance && !offer.1.names_sources() {
        return Err(error::bad_request(
            "wrong-parameter",
            "rows name their sources in SPARQL JSON, GeoJSON, Arrow and Parquet: ask for one of these with `Accept`",
        ));
    }
    Ok(offer)
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
    pub(crate) format: Format,
    /// Given back when the answer is written.
    pub(crate) turn: Option<OwnedSemaphorePermit>,
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
            // What describes is a graph, in which nothing is there twice.
            let merged = Duplicates::Merged;
            let (sources, broker) = (&self.admission.sources, &self.broker);
            plan = prepare::planned(&query, sources, &broker.directories, &broker.config.plan, merged)?;
            let first = completeness.complete;
            (delivered, completeness) = self.fetch(&credentials, &plan).await?;
            completeness.complete &= first;
        }
        metrics::histogram!("meent_query_fetch_seconds").record(started.elapsed().as_secs_f64());
        let manifest = self.concluded(completeness, started).await;
        head::refuse_if_empty_handed(&manifest, self.asked.complete_required())?;
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
        self.stream(plan, delivered, manifest).await
    }

    /// What became of the sources, kept under the query's name and on record.
    pub(super) async fn concluded(&self, completeness: Completeness, started: Instant) -> Arc<Manifest> {
        let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let manifest = self.manifest(completeness, ms);
        self.end(&manifest).await;
        self.log(&manifest);
        manifest
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

    /// How the query ended, for the operator: a line that names who did not answer, and why.
    fn log(&self, manifest: &Manifest) {
        let (query, leaf, ms) = (&self.id, self.receipt.leaf(), manifest.ms);
        if manifest.completeness.complete {
            tracing::debug!(query, leaf, ms, "query answered");
            return;
        }
        let missing = head::missing(manifest);
        let missing: Vec<String> = missing
            .map(|report| format!("{}: {}", report.member, report.reasons.join(", ")))
            .collect();
        tracing::info!(query, leaf, ms, missing = missing.join("; "), "query answered in part");
    }

    pub(super) fn credentials(&self, proofs: Proofs) -> Delegated {
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
        let traceparent = trace::current().and_then(|context| context.header());
        let session = self.session(credentials, traceparent);
        let delivered = run(&session, plan, &ledger)
            .await
            .map_err(|error| head::not_run(&error))?;
        Ok((delivered, ledger.completeness(&self.admission.sources)))
    }

    pub(super) fn session<'s>(&'s self, credentials: &'s Delegated, traceparent: Option<HeaderValue>) -> Session<'s> {
        Session {
            sources: &self.admission.sources,
            transport: &*self.broker.egress,
            credentials,
            gate: &self.broker.gate,
            limits: &self.broker.config.exec,
            plan_limits: &self.broker.config.plan,
            traceparent,
        }
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
        .map_err(|error| head::failed(&error))?;
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
    async fn stream(self, plan: PhysicalPlan, delivered: Delivered, manifest: Arc<Manifest>) -> Answer {
        let token = CancellationToken::new();
        let mut hang_up = HangUp::new(token.clone());
        let (pen, content, has_begun) = self.pen();
        let writing = self.writing(&plan, Some(&manifest))?;
        let deadline = self.deadline(token.clone());
        let stack = self.broker.config.query.stack_bytes;
        let evaluated = {
            let pen = pen.clone();
            prepare::deep(stack, move || writing.write(&delivered, &token, &pen))
        };
        let notes = head::tail(&manifest);
        let link = self.link();
        let turn = self.turn;
        let finished = tokio::spawn(async move {
            let _turn = turn;
            let outcome = evaluated.await;
            deadline.abort();
            let Some(out) = pen.take() else { return Ok(()) };
            let more = match outcome? {
                Ok(more) => more,
                Err(error) => {
                    if out.has_begun() {
                        tracing::info!(%error, "an answer was broken off");
                        out.break_off("the answer could not be completed");
                    }
                    return Err(head::failed(&error.0));
                }
            };
            let more = notes.into_iter().chain(more).collect();
            // Whoever hung up needs no reason.
            let _ = out.finish(&more, HeaderMap::new()).await;
            Ok(())
        });
        hang_up.also(finished.abort_handle());
        if has_begun.await.is_err() {
            // Nothing was sent: the evaluation failed before its first byte.
            return match finished.await.map_err(|cause| error::internal(&cause))? {
                Err(problem) => Err(problem),
                Ok(()) => Err(error::internal(&"an answer without bytes")),
            };
        }
        Ok(head::headed(hang_up.watch(content), self.media_type, &manifest, &link))
    }

    /// A pen, the body that it writes, and the news that the first bytes are there.
    pub(super) fn pen(&self) -> (Pen, Body, tokio::sync::oneshot::Receiver<()>) {
        let (sender, content) = body::channel(4);
        let (begun, has_begun) = tokio::sync::oneshot::channel();
        let link = self.format.is_results_json().then(|| self.link());
        let out = Out::new(sender, tokio::runtime::Handle::current(), begun, link);
        (Pen::new(out), content, has_begun)
    }

    /// How the plan's answer is written.
    pub(super) fn writing(&self, plan: &PhysicalPlan, manifest: Option<&Manifest>) -> Result<Writing, Problem> {
        let mut provenance = self.provenance(plan)?;
        if let (Some(provenance), Some(manifest)) = (&mut provenance, manifest) {
            let reports = manifest.completeness.sources.iter().enumerate();
            let delivered = reports.filter(|(_, report)| report.rows > 0).map(|(id, _)| id);
            provenance.delivered_by(&delivered.collect());
        }
        Ok(Writing {
            query: plan.residual.clone(),
            provenance,
            format: self.format,
            eager: manifest.is_none(),
            notes: manifest
                .map(|manifest| head::notes(manifest, &self.link()))
                .unwrap_or_default(),
            groups: self.broker.config.query.groups,
            traced_rows_max: self.broker.config.query.traced_rows_max,
        })
    }

    /// How rows tell their sources, when they are asked to.
    fn provenance(&self, plan: &PhysicalPlan) -> Result<Option<Provenance>, Problem> {
        let wanted = self
            .asked
            .provenance
            .then(|| Provenance::of(plan, &self.admission.sources));
        let provenance = wanted.transpose();
        provenance.map_err(|error| error::bad_request("sources-unknown", error.to_string()))
    }

    /// Ends an evaluation that takes too long.
    pub(super) fn deadline(&self, token: CancellationToken) -> tokio::task::JoinHandle<()> {
        let limit = Duration::from_millis(self.broker.config.exec.query_ms_max);
        tokio::spawn(async move {
            tokio::time::sleep(limit).await;
            token.cancel();
        })
    }

    /// Where the manifest is.
    pub(super) fn link(&self) -> String {
        format!("{}queries/{}", self.broker.config.server.base_url, self.id)
    }
}
