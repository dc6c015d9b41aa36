//! Evaluates a query over a view and writes its answer, within bounds.
//!
//! Bytes go out in pieces. Until the first piece has gone, any failure is told as such; after it, the answer is broken
//! off, so that nobody can take a part for the whole (T74).

use std::io::{self, Write};

use bytes::Bytes;
use oxrdfio::RdfSerializer;
use sparesults::QueryResultsSerializer;
use spareval::{CancellationToken, QueryEvaluationError, QueryEvaluator, QueryResults};
use spargebra::Query;
use spargebra::algebra::QueryDataset;

use super::aggregate::{AggregateRejection, Grouping, guard};
use super::dataset::{Execution, ScanError, ScopedDataset};
use super::format::AnswerFormat;
use super::limits::QueryLimits;
use super::masks::with_masks;
use super::order::order;
use super::parse::ParsedQuery;
use super::view::View;
use super::work::{CutOff, metered};

/// A query that is ready to be evaluated over a view.
#[derive(Clone, Debug)]
pub struct QueryPlan {
    query: Query,
    dataset: Option<QueryDataset>,
}

impl QueryPlan {
    /// Plans a query that may return what the view shows.
    #[must_use]
    pub fn new(parsed: ParsedQuery, view: &View) -> Self {
        Self {
            query: order(parsed.query, view.snapshot()),
            dataset: parsed.dataset,
        }
    }

    /// Plans a query over groups that leave, which reads nothing else.
    #[must_use]
    pub const fn over_groups(query: Query) -> Self {
        Self { query, dataset: None }
    }
}

/// Takes a query apart that is to be answered with aggregates over at least so many data subjects.
///
/// # Errors
/// [`AggregateRejection`] when the query is not of the form that the duty allows.
pub fn grouping(parsed: &ParsedQuery, subjects_min: u32) -> Result<Grouping, AggregateRejection> {
    if parsed.dataset.is_some() {
        return Err(AggregateRejection {
            clause: "FROM".to_owned(),
            why: "choosing documents chooses persons",
            subjects_min,
        });
    }
    guard(&parsed.query, subjects_min)
}

/// What an evaluation did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Rows or triples of the answer.
    pub rows: u64,
    /// Index rows read.
    pub scanned: u64,
}

/// Why an evaluation did not reach its end.
#[derive(Debug, thiserror::Error)]
pub enum EvaluationFailure {
    /// The time ran out, or the caller hung up.
    #[error("the evaluation was stopped")]
    Stopped,
    /// More index rows were read than allowed.
    #[error("the query would read more than {0} rows of the index")]
    Scanned(u64),
    /// Operators copied more bound terms than allowed.
    #[error("the query's joins, groups and sorts need more than {0} steps")]
    Work(u64),
    /// An expression made a longer text than allowed.
    #[error("an expression of the query makes a text of more than {0} bytes")]
    Literal(usize),
    /// More names and values would have to be replaced than allowed.
    #[error("the query would replace more than {0} names and values")]
    Replaced(usize),
    /// More triples of data subjects were matched than can be told apart.
    #[error("the query matches more than {0} triples of data subjects")]
    Traced(usize),
    /// The answer has more groups than allowed.
    #[error("the answer has more than {0} groups")]
    Groups(usize),
    /// The answer has more rows than allowed.
    #[error("the answer has more than {0} rows")]
    Rows(u64),
    /// Nobody takes the answer any more.
    #[error("the caller hung up")]
    HungUp,
    /// The evaluator failed.
    #[error("the evaluation failed: {0}")]
    Evaluation(String),
}

/// Where an answer goes, piece by piece.
pub trait Sink {
    /// Takes a piece; false when nobody wants more.
    fn take(&mut self, piece: Bytes) -> bool;
}

/// Evaluates a plan over its view and writes the answer.
///
/// # Errors
/// [`EvaluationFailure`]; what was written until then is not an answer.
pub fn evaluate(
    plan: &QueryPlan,
    view: &View,
    format: AnswerFormat,
    limits: &QueryLimits,
    token: &CancellationToken,
    sink: &mut dyn Sink,
) -> Result<Tally, EvaluationFailure> {
    let execution = Execution::new(view, plan.dataset.as_ref(), token.clone(), limits);
    let mut pieces = Pieces {
        sink,
        waiting: Vec::with_capacity(limits.chunk_bytes + 1_024),
        chunk_bytes: limits.chunk_bytes.max(1),
    };
    let evaluator = with_masks(QueryEvaluator::new().with_cancellation_token(token.clone()));
    let written = metered(token, limits.copies_max, || {
        evaluator
            .prepare(&plan.query)
            .execute(ScopedDataset(&execution))
            .map_err(Fault::Evaluation)
            .and_then(|results| write(results, format, limits.rows_max, token, &mut pieces))
    });
    let rows = written
        .unwrap_or_else(|cut_off| Err(Fault::CutOff(cut_off)))
        .map_err(|fault| fault.explain(&execution))?;
    // A scan that stopped early inside an expression makes an error there, which SPARQL drops: look here as well.
    if let Some(stopped) = execution.stopped() {
        return Err(stopped.into());
    }
    if !pieces.flush_rest() {
        return Err(EvaluationFailure::HungUp);
    }
    Ok(Tally {
        rows,
        scanned: execution.scanned(),
    })
}

impl From<ScanError> for EvaluationFailure {
    fn from(error: ScanError) -> Self {
        match error {
            ScanError::Cancelled => Self::Stopped,
            ScanError::Scanned(max) => Self::Scanned(max),
            ScanError::Literal(max) => Self::Literal(max),
            ScanError::Replaced(max) => Self::Replaced(max),
            ScanError::Traced(max) => Self::Traced(max),
            ScanError::Term(error) => Self::Evaluation(error.to_string()),
        }
    }
}

/// Why an evaluation failed, before it is known what its execution says.
pub(super) enum Fault {
    Evaluation(QueryEvaluationError),
    Write(io::Error),
    Rows(u64),
    Groups(usize),
    Stopped,
    CutOff(CutOff),
}

impl Fault {
    pub(super) fn explain(self, execution: &Execution<'_>) -> EvaluationFailure {
        if let Some(stopped) = execution.stopped() {
            return stopped.into();
        }
        match self {
            Self::Evaluation(QueryEvaluationError::Cancelled) | Self::Stopped => EvaluationFailure::Stopped,
            Self::Evaluation(error) => EvaluationFailure::Evaluation(error.to_string()),
            Self::Write(error) if error.kind() == io::ErrorKind::BrokenPipe => EvaluationFailure::HungUp,
            Self::Write(error) => EvaluationFailure::Evaluation(error.to_string()),
            Self::Rows(max) => EvaluationFailure::Rows(max),
            Self::Groups(max) => EvaluationFailure::Groups(max),
            Self::CutOff(CutOff::Cancelled) => EvaluationFailure::Stopped,
            Self::CutOff(CutOff::Budget(max)) => EvaluationFailure::Work(max),
        }
    }
}

/// Counts rows and looks at the token, which the evaluator itself does only when it reads the dataset.
struct Meter<'t> {
    rows: u64,
    rows_max: u64,
    token: &'t CancellationToken,
}

impl Meter<'_> {
    fn row(&mut self) -> Result<(), Fault> {
        self.rows += 1;
        if self.rows > self.rows_max {
            return Err(Fault::Rows(self.rows_max));
        }
        if self.token.is_cancelled() {
            return Err(Fault::Stopped);
        }
        Ok(())
    }
}

fn write(
    results: QueryResults<'_>,
    format: AnswerFormat,
    rows_max: u64,
    token: &CancellationToken,
    out: &mut Pieces<'_>,
) -> Result<u64, Fault> {
    let mut meter = Meter {
        rows: 0,
        rows_max,
        token,
    };
    match (results, format) {
        (QueryResults::Solutions(solutions), AnswerFormat::Table(format)) => {
            let mut writer = QueryResultsSerializer::from_format(format)
                .serialize_solutions_to_writer(out, solutions.variables().to_vec())
                .map_err(Fault::Write)?;
            for solution in solutions {
                let solution = solution.map_err(Fault::Evaluation)?;
                meter.row()?;
                writer.serialize(&solution).map_err(Fault::Write)?;
            }
            writer.finish().map_err(Fault::Write)?;
        }
        (QueryResults::Boolean(value), AnswerFormat::Table(format)) => {
            QueryResultsSerializer::from_format(format)
                .serialize_boolean_to_writer(out, value)
                .map_err(Fault::Write)?;
        }
        (QueryResults::Graph(triples), AnswerFormat::Graph(format)) => {
            let mut writer = RdfSerializer::from_format(format.rdf()).for_writer(out);
            for triple in triples {
                let triple = triple.map_err(Fault::Evaluation)?;
                meter.row()?;
                writer.serialize_triple(&triple).map_err(Fault::Write)?;
            }
            writer.finish().map_err(Fault::Write)?;
        }
        _ => {
            let error = io::Error::other("the format does not fit the form of the query");
            return Err(Fault::Write(error));
        }
    }
    Ok(meter.rows)
}

/// Gathers what is written into pieces.
struct Pieces<'s> {
    sink: &'s mut dyn Sink,
    waiting: Vec<u8>,
    chunk_bytes: usize,
}

impl Pieces<'_> {
    fn flush_rest(&mut self) -> bool {
        let rest = std::mem::take(&mut self.waiting);
        rest.is_empty() || self.sink.take(rest.into())
    }
}

impl Write for Pieces<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() >= self.chunk_bytes {
            let piece = std::mem::replace(&mut self.waiting, Vec::with_capacity(self.chunk_bytes + 1_024));
            if !self.sink.take(piece.into()) {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
