//! What the broker evaluates itself: the residual query over what the sub-plans delivered. Synchronous; runs on a blocking thread.

use super::arriving::{Arriving, GivenUp, Part};
use crate::plan::{source_column, sub_plan_of};
use crate::source::SourceId;
use oxiri::Iri;
use oxrdf::{Dataset, Literal, NamedNode, Term, Variable};
use sparesults::QuerySolution;
use spareval::{
    CancellationToken, DefaultServiceHandler, QueryEvaluationError, QueryEvaluator, QueryResults, QuerySolutionIter,
};
use spargebra::Query;
use spargebra::algebra::GraphPattern;
use std::sync::Arc;

/// Everything the evaluator reads.
pub struct Delivered {
    /// By number of the sub-plan.
    pub answers: Arc<[Arc<Arriving>]>,
    /// Triples that were fetched to be merged.
    pub dataset: Dataset,
    /// Called before evaluation waits for rows that are still to come.
    pub before_waiting: Arc<dyn Fn() + Send + Sync>,
}

impl Delivered {
    /// What has arrived whole.
    #[must_use]
    pub fn whole(answers: Arc<[Arc<Arriving>]>, dataset: Dataset) -> Self {
        Self {
            answers,
            dataset,
            before_waiting: Arc::new(|| ()),
        }
    }
}

/// A query asked for something that is no sub-plan.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a part of this plan")]
struct NotDelivered(String);

struct Handler {
    answers: Arc<[Arc<Arriving>]>,
    before_waiting: Arc<dyn Fn() + Send + Sync>,
}

impl DefaultServiceHandler for Handler {
    type Error = QueryEvaluationError;

    fn handle(
        &self,
        service_name: &NamedNode,
        pattern: &GraphPattern,
        _base_iri: Option<&Iri<String>>,
    ) -> Result<QuerySolutionIter<'static>, QueryEvaluationError> {
        let id = sub_plan_of(service_name.as_str());
        let Some((id, answer)) = id.and_then(|id| Some((id, Arc::clone(self.answers.get(id)?)))) else {
            return Err(QueryEvaluationError::Service(Box::new(NotDelivered(
                service_name.as_str().to_owned(),
            ))));
        };
        let marked = source_column(id);
        let mut columns: Vec<Variable> = answer.variables.to_vec();
        let mut mark = false;
        pattern.on_in_scope_variable(|variable| mark |= *variable == marked);
        if mark {
            columns.push(marked);
        }
        let columns: Arc<[Variable]> = columns.into();
        let rows = Rows {
            answer,
            before_waiting: Arc::clone(&self.before_waiting),
            columns: Arc::clone(&columns),
            mark,
            next_part: 0,
            part: None,
            next_row: 0,
            ended: false,
        };
        Ok(QuerySolutionIter::new(columns, rows))
    }
}

/// Reads one answer from its beginning, waiting where it must.
struct Rows {
    answer: Arc<Arriving>,
    before_waiting: Arc<dyn Fn() + Send + Sync>,
    columns: Arc<[Variable]>,
    mark: bool,
    next_part: usize,
    part: Option<Arc<Part>>,
    next_row: usize,
    ended: bool,
}

impl Iterator for Rows {
    type Item = Result<QuerySolution, QueryEvaluationError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            if let Some(part) = &self.part
                && let Some(row) = part.rows.get(self.next_row)
            {
                self.next_row += 1;
                let mut values = row.clone();
                if self.mark {
                    let named: Vec<String> = part.sources.iter().map(SourceId::to_string).collect();
                    values.push(Some(Term::from(Literal::from(named.join(" ")))));
                }
                return Some(Ok(QuerySolution::from((Arc::clone(&self.columns), values))));
            }
            match self.answer.part(self.next_part, &*self.before_waiting) {
                Ok(Some(part)) => {
                    (self.part, self.next_row) = (Some(part), 0);
                    self.next_part += 1;
                }
                Ok(None) => self.ended = true,
                Err(GivenUp) => {
                    self.ended = true;
                    return Some(Err(QueryEvaluationError::Service(Box::new(GivenUp))));
                }
            }
        }
        None
    }
}

/// Evaluates the residual query and hands the results to `consume`.
///
/// # Errors
/// [`QueryEvaluationError`], of the evaluator or of `consume`.
pub fn evaluate<T>(
    query: &Query,
    delivered: &Delivered,
    cancellation: CancellationToken,
    consume: impl FnOnce(QueryResults<'_>) -> Result<T, QueryEvaluationError>,
) -> Result<T, QueryEvaluationError> {
    let evaluator = QueryEvaluator::new()
        .with_default_service_handler(Handler {
            answers: Arc::clone(&delivered.answers),
            before_waiting: Arc::clone(&delivered.before_waiting),
        })
        .with_cancellation_token(cancellation);
    let results = evaluator.prepare(query).execute(&delivered.dataset)?;
    consume(results)
}
