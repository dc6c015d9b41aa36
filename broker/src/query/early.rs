//! Answers whose first rows leave before the last source has answered. Whether they are complete is not known then: the header says
//! `later`, and what is known at the end follows the body, stands in JSON results, and in the manifest.

use super::answer::Run;
use super::delegation::Proofs;
use super::head::{self, HangUp};
use super::manifests::Manifest;
use super::prepare;
use super::write::{Out, Pen, Stop};
use crate::error::{self, Answer};
use crate::exec::arriving::Arriving;
use crate::exec::manifest::Ledger;
use crate::exec::residual::Delivered;
use crate::exec::{ExecError, fill, places};
use crate::plan::PhysicalPlan;
use http::HeaderMap;
use oxrdf::Dataset;
use serde_json::{Map, Value};
use server_kit::problem::Problem;
use server_kit::trace;
use spareval::CancellationToken;
use std::sync::Arc;
use std::time::Instant;
use tokio::task::JoinHandle;

/// An answer that ended before its first bytes were sent.
struct Ended {
    outcome: Result<(Out, Map<String, Value>), Problem>,
    manifest: Arc<Manifest>,
}

/// What is running for an answer.
struct Work {
    run: Arc<Run>,
    plan: Arc<PhysicalPlan>,
    answers: Arc<[Arc<Arriving>]>,
    ledger: Arc<Ledger>,
    filling: JoinHandle<Result<Dataset, ExecError>>,
    deadline: JoinHandle<()>,
    pen: Pen,
    started: Instant,
}

impl Run {
    /// Answers while sources still do.
    pub(super) async fn answer_early(self, proofs: Proofs, plan: PhysicalPlan) -> Answer {
        let token = CancellationToken::new();
        let mut hang_up = HangUp::new(token.clone());
        let (pen, content, has_begun) = self.pen();
        let writing = self.writing(&plan, None)?;
        let (run, plan) = (Arc::new(self), Arc::new(plan));
        let answers = places(&plan);
        let ledger = Arc::new(Ledger::new(&run.admission.sources, &plan.withheld));
        let filling = tokio::spawn({
            let (run, plan, answers, ledger) = (run.clone(), plan.clone(), answers.clone(), ledger.clone());
            let credentials = run.credentials(proofs);
            let traceparent = trace::current().and_then(|context| context.header());
            async move { fill(&run.session(&credentials, traceparent), &plan, &ledger, &answers).await }
        });
        hang_up.also(filling.abort_handle());
        let evaluated = {
            let (pen, flushed, answers, token) = (pen.clone(), pen.clone(), answers.clone(), token.clone());
            let delivered = Delivered {
                answers,
                dataset: Dataset::new(),
                before_waiting: Arc::new(move || flushed.flush_results()),
            };
            let stack = run.broker.config.query.stack_bytes;
            prepare::deep(stack, move || writing.write(&delivered, &token, &pen))
        };
        let work = Work {
            deadline: run.deadline(token),
            run: run.clone(),
            plan,
            answers,
            ledger,
            filling,
            pen,
            started: Instant::now(),
        };
        let mut ended = tokio::spawn(async move { work.follow(evaluated.await).await });
        hang_up.also(ended.abort_handle());
        let (media_type, link) = (run.media_type, run.link());
        tokio::select! {
            biased;
            Ok(()) = has_begun => Ok(head::headed_early(hang_up.watch(content), media_type, &link, &run.id)),
            ended = &mut ended => {
                let Some(Ended { outcome, manifest }) = ended.map_err(|cause| error::internal(&cause))? else {
                    return Err(error::internal(&"an answer that began and did not say so"));
                };
                let (out, more) = outcome?;
                head::refuse_if_empty_handed(&manifest, false)?;
                let last = tokio::spawn(async move {
                    // Whoever hung up needs no reason.
                    let _ = out.finish(&more, HeaderMap::new()).await;
                });
                hang_up.also(last.abort_handle());
                Ok(head::headed(hang_up.watch(content), media_type, &manifest, &link))
            }
        }
    }
}

impl Work {
    /// Sees an answer to its end; gives it back when nothing of it was sent.
    async fn follow(mut self, evaluated: Result<Result<Map<String, Value>, Stop>, Problem>) -> Option<Ended> {
        self.deadline.abort();
        let filled = self.filled(matches!(evaluated, Ok(Ok(_)))).await;
        let manifest = self
            .run
            .concluded(self.ledger.completeness(&self.run.admission.sources), self.started)
            .await;
        let out = self.pen.take()?;
        let outcome = match (evaluated, filled) {
            (_, Err(problem)) | (Err(problem), Ok(())) => Err(problem),
            (Ok(Err(stop)), Ok(())) => Err(head::failed(&stop.0)),
            (Ok(Ok(more)), Ok(())) => Ok(head::tail(&manifest).into_iter().chain(more).collect()),
        };
        match (outcome, out.has_begun()) {
            (Ok(more), false) => Some(Ended {
                outcome: Ok((out, more)),
                manifest,
            }),
            (Err(problem), false) => Some(Ended {
                outcome: Err(problem),
                manifest,
            }),
            (Ok(more), true) => {
                // Whoever hung up needs no reason.
                let _ = out.finish(&more, head::trailers(&manifest)).await;
                None
            }
            (Err(problem), true) => {
                tracing::info!(detail = problem.detail, "an answer was broken off");
                out.break_off("the answer could not be completed");
                None
            }
        }
    }

    /// How asking the sources ended. When the answer is whole without those that are still to come, they are let go.
    async fn filled(&mut self, written: bool) -> Result<(), Problem> {
        if written && !self.answers.iter().all(|answer| answer.is_whole()) {
            self.filling.abort();
            self.ledger.unneeded(&self.plan.asked());
            return Ok(());
        }
        if !written && !self.answers.iter().any(|answer| answer.is_given_up()) {
            // It is the writing that failed.
            self.filling.abort();
            return Ok(());
        }
        match (&mut self.filling).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(head::not_run(&error)),
            Err(cause) => Err(error::internal(&cause)),
        }
    }
}
