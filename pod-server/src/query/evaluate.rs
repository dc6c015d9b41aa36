//! Evaluates a query over a view and writes its answer, within bounds.
//!
//! Bytes go out in pieces. Until the first piece has gone, any failure is told as such; after it, the answer is broken
//! off, so that nobody can take a part for the whole (T74).

use std::io::{self, Write};

use bytes::Bytes;
use oxrdfio::{RdfFormat, RdfSerializer};
use server_kit::results::{
    Features, Format, Layout, Notes, ResultsError, Row, Sink as RowSink, Table, columns, write as write_rows,
};
use sparesults::{QueryResultsFormat, QueryResultsSerializer};
use spareval::{CancellationToken, QueryEvaluationError, QueryEvaluator, QueryResults};
use spargebra::Query;
use spargebra::algebra::QueryDataset;

use super::aggregate::{AggregateRejection, Grouping, guard};
use super::dataset::{Execution, ScanError, ScopedDataset};
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
    /// The format has no place for the answer as a whole.
    #[error("{0}")]
    Unsuited(String),
    /// A value of the answer does not fit the format.
    #[error("{0}")]
    Unfit(String),
    /// Nobody takes the answer any more.
    #[error("the caller hung up")]
    HungUp,
    /// The evaluator failed.
    #[error("the evaluation failed: {0}")]
    Evaluation(String),
}

/// Where an answer goes, piece by piece.
pub trait Sink: Send {
    /// Takes a piece; false when nobody wants more.
    fn take(&mut self, piece: Bytes) -> bool;
}

/// How an answer is written.
#[derive(Clone, Debug)]
pub struct Writing {
    /// The format.
    pub format: Format,
    /// What is said about the answer, in formats that hold it.
    pub notes: Notes,
}

impl From<Format> for Writing {
    fn from(format: Format) -> Self {
        Self {
            format,
            notes: Notes::default(),
        }
    }
}

/// Evaluates a plan over its view and writes the answer.
///
/// # Errors
/// [`EvaluationFailure`]; what was written until then is not an answer.
pub fn evaluate(
    plan: &QueryPlan,
    view: &View,
    writing: &Writing,
    limits: &QueryLimits,
    token: &CancellationToken,
    sink: &mut dyn Sink,
) -> Result<Tally, EvaluationFailure> {
    let mut evaluation = Evaluation {
        plan,
        view,
        limits,
        token,
        tally: Tally::default(),
    };
    let mut pieces = Pieces {
        sink,
        waiting: Vec::with_capacity(limits.chunk_bytes + 1_024),
        chunk_bytes: limits.chunk_bytes.max(1),
    };
    match writing.format {
        Format::Rows(format) => evaluation.pass(|results, meter| rows(results, format, meter, &mut pieces))?,
        Format::Graph(format) => evaluation.pass(|results, meter| graph(results, format, meter, &mut pieces))?,
        Format::Table(format) => {
            let table = Table::new(format, columns(&plan.query), false);
            evaluation.settled(table, &writing.notes, &mut pieces)?;
        }
        Format::Features => {
            let features = Features::new(columns(&plan.query));
            evaluation.settled(features, &writing.notes, &mut pieces)?;
        }
    }
    if !pieces.flush_rest() {
        return Err(EvaluationFailure::HungUp);
    }
    Ok(evaluation.tally)
}

/// A query on its way through the evaluator.
struct Evaluation<'e> {
    plan: &'e QueryPlan,
    view: &'e View,
    limits: &'e QueryLimits,
    token: &'e CancellationToken,
    tally: Tally,
}

impl Evaluation<'_> {
    /// Evaluates once, within all bounds.
    fn pass(
        &mut self,
        write: impl FnOnce(QueryResults<'_>, &mut Meter<'_>) -> Result<(), Fault>,
    ) -> Result<(), EvaluationFailure> {
        let (plan, limits, token) = (self.plan, self.limits, self.token);
        let execution = Execution::new(self.view, plan.dataset.as_ref(), token.clone(), limits);
        let mut meter = Meter {
            rows: 0,
            rows_max: limits.rows_max,
            token,
        };
        let evaluator = with_masks(QueryEvaluator::new().with_cancellation_token(token.clone()));
        let written = metered(token, limits.copies_max, || {
            evaluator
                .prepare(&plan.query)
                .execute(ScopedDataset(&execution))
                .map_err(Fault::Evaluation)
                .and_then(|results| write(results, &mut meter))
        });
        written
            .unwrap_or_else(|cut_off| Err(Fault::CutOff(cut_off)))
            .map_err(|fault| fault.explain(&execution))?;
        // A scan that stopped early inside an expression makes an error there, which SPARQL drops: look here as well.
        if let Some(stopped) = execution.stopped() {
            return Err(stopped.into());
        }
        self.tally.rows = meter.rows;
        self.tally.scanned += execution.scanned();
        Ok(())
    }

    /// Writes a format that must know all rows before the first: what is more than one group is evaluated twice.
    fn settled(&mut self, layout: impl Layout, notes: &Notes, out: &mut Pieces<'_>) -> Result<(), EvaluationFailure> {
        let variables = columns(&self.plan.query);
        let groups = self.limits.groups;
        let rows = |sink: &mut RowSink<'_>| {
            self.pass(|results, meter| {
                let QueryResults::Solutions(solutions) = results else {
                    return Err(misfit());
                };
                for solution in solutions {
                    let solution = solution.map_err(Fault::Evaluation)?;
                    meter.row()?;
                    let values = variables.iter().map(|variable| solution.get(variable).cloned());
                    let row = Row {
                        values: values.collect(),
                        sources: None,
                    };
                    sink(row).map_err(Fault::Results)?;
                }
                Ok(())
            })
        };
        write_rows(layout, notes, groups, out, rows)
    }
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

impl From<ResultsError> for EvaluationFailure {
    fn from(error: ResultsError) -> Self {
        match error {
            ResultsError::Unsuited(words) => Self::Unsuited(words),
            ResultsError::Unfit(words) => Self::Unfit(words),
            changed @ ResultsError::Changed => Self::Unfit(changed.to_string()),
            ResultsError::Io(error) if error.kind() == io::ErrorKind::BrokenPipe => Self::HungUp,
            ResultsError::Io(error) => Self::Evaluation(error.to_string()),
        }
    }
}

/// Why an evaluation failed, before it is known what its execution says.
pub(super) enum Fault {
    Evaluation(QueryEvaluationError),
    Write(io::Error),
    Results(ResultsError),
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
            Self::Results(error) => error.into(),
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

/// Writes solutions or a truth value.
fn rows(
    results: QueryResults<'_>,
    format: QueryResultsFormat,
    meter: &mut Meter<'_>,
    out: &mut Pieces<'_>,
) -> Result<(), Fault> {
    let serializer = QueryResultsSerializer::from_format(format);
    match results {
        QueryResults::Solutions(solutions) => {
            let mut writer = serializer
                .serialize_solutions_to_writer(out, solutions.variables().to_vec())
                .map_err(Fault::Write)?;
            for solution in solutions {
                let solution = solution.map_err(Fault::Evaluation)?;
                meter.row()?;
                writer.serialize(&solution).map_err(Fault::Write)?;
            }
            writer.finish().map_err(Fault::Write)?;
        }
        QueryResults::Boolean(value) => {
            serializer
                .serialize_boolean_to_writer(out, value)
                .map_err(Fault::Write)?;
        }
        QueryResults::Graph(_) => return Err(misfit()),
    }
    Ok(())
}

/// Writes triples.
fn graph(
    results: QueryResults<'_>,
    format: RdfFormat,
    meter: &mut Meter<'_>,
    out: &mut Pieces<'_>,
) -> Result<(), Fault> {
    let QueryResults::Graph(triples) = results else {
        return Err(misfit());
    };
    let mut writer = RdfSerializer::from_format(format).for_writer(out);
    for triple in triples {
        let triple = triple.map_err(Fault::Evaluation)?;
        meter.row()?;
        writer.serialize_triple(&triple).map_err(Fault::Write)?;
    }
    writer.finish().map_err(Fault::Write)?;
    Ok(())
}

fn misfit() -> Fault {
    Fault::Write(io::Error::other("the format does not fit the form of the query"))
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
