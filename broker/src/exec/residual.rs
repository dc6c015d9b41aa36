//! What the broker evaluates itself: the residual query over what the sub-plans delivered. Synchronous; runs on a blocking thread.

use crate::plan::sub_plan_of;
use oxiri::Iri;
use oxrdf::{Dataset, NamedNode, Term, Variable};
use sparesults::QuerySolution;
use spareval::{
    CancellationToken, DefaultServiceHandler, QueryEvaluationError, QueryEvaluator, QueryResults, QuerySolutionIter,
};
use spargebra::Query;
use spargebra::algebra::GraphPattern;
use std::sync::Arc;

/// The merged answer of one sub-plan.
#[derive(Debug)]
pub struct Answer {
    /// Columns.
    pub variables: Arc<[Variable]>,
    /// Values in the order of the columns.
    pub rows: Vec<Vec<Option<Term>>>,
}

/// Everything the evaluator reads.
#[derive(Debug)]
pub struct Delivered {
    /// By number of the sub-plan.
    pub answers: Arc<[Arc<Answer>]>,
    /// Triples that were fetched to be merged.
    pub dataset: Dataset,
}

/// A query asked for something that is no sub-plan.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a part of this plan")]
struct NotDelivered(String);

struct Handler {
    answers: Arc<[Arc<Answer>]>,
}

impl DefaultServiceHandler for Handler {
    type Error = QueryEvaluationError;

    fn handle(
        &self,
        service_name: &NamedNode,
        _pattern: &GraphPattern,
        _base_iri: Option<&Iri<String>>,
    ) -> Result<QuerySolutionIter<'static>, QueryEvaluationError> {
        let Some(answer) = sub_plan_of(service_name.as_str())
            .and_then(|id| self.answers.get(id))
            .map(Arc::clone)
        else {
            return Err(QueryEvaluationError::Service(Box::new(NotDelivered(
                service_name.as_str().to_owned(),
            ))));
        };
        let variables = Arc::clone(&answer.variables);
        let columns = Arc::clone(&variables);
        let rows = (0..answer.rows.len()).filter_map(move |at| {
            answer
                .rows
                .get(at)
                .map(|row| Ok(QuerySolution::from((Arc::clone(&columns), row.clone()))))
        });
        Ok(QuerySolutionIter::new(variables, rows))
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
        })
        .with_cancellation_token(cancellation);
    let results = evaluator.prepare(query).execute(&delivered.dataset)?;
    consume(results)
}
