//! What was read of a member, in memory: described like a pod's summary, and queried here like a member of its own.

use super::page::Page;
use crate::exec::gate::Room;
use crate::fetch::parse::{Expected, Rows};
use crate::fetch::{Budget, FetchError, parse};
use crate::query::prepare::deep;
use crate::source::SourceDescription;
use oxrdf::Dataset;
use spareval::{CancellationToken, QueryEvaluator, QueryResults};
use spargebra::SparqlParser;
use std::sync::Arc;

/// Stack of the thread that evaluates a sub-query, bytes: as deep as the guarded query that it is a part of.
const STACK_BYTES: usize = 64 * 1024 * 1024;

/// What reading it took, and what is missing.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// Requests sent.
    pub requests: u64,
    /// Of these, answered with "not modified".
    pub revalidated: u64,
    /// Bytes received.
    pub bytes: u64,
    /// Documents or pages that hold the data.
    pub documents: usize,
    /// Time, milliseconds.
    pub ms: u64,
    /// What people should know.
    pub notes: Vec<String>,
    /// What should be there and is not.
    pub missing: Vec<String>,
}

/// The data of one member for one query.
#[derive(Debug)]
pub struct Replica {
    data: Arc<Dataset>,
    description: Arc<SourceDescription>,
    account: Account,
    rooms: Arc<[Room]>,
}

impl Replica {
    /// Puts data together. Costs time: not for a thread that serves.
    pub(super) fn new(page: Page, account: Account, rooms: Arc<[Room]>) -> Self {
        let mut data = Dataset::new();
        for triple in &page.triples {
            data.insert(triple.as_ref().in_graph(oxrdf::GraphNameRef::DefaultGraph));
        }
        for quad in &page.quads {
            data.insert(quad);
        }
        let mut distinct = page.triples;
        let mut seen = std::collections::HashSet::new();
        distinct.retain(|triple| seen.insert(triple.clone()));
        Self {
            data: Arc::new(data),
            description: Arc::new(SourceDescription::of_triples(&distinct)),
            account,
            rooms,
        }
    }

    /// The same data, found unchanged.
    pub(super) fn read_again(&self, account: Account) -> Self {
        Self {
            data: Arc::clone(&self.data),
            description: Arc::clone(&self.description),
            account,
            rooms: Arc::clone(&self.rooms),
        }
    }

    /// What it holds. What is not whole may have held anything, so that it is asked, and its answer says what is missing.
    #[must_use]
    pub fn description(&self) -> SourceDescription {
        if self.account.missing.is_empty() {
            SourceDescription::clone(&self.description)
        } else {
            SourceDescription::unknown()
        }
    }

    /// What reading it took.
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// Answers a sub-query.
    ///
    /// # Errors
    /// [`FetchError`], when a bound is broken.
    pub async fn answer(&self, text: &str, expected: Expected, budget: &Arc<Budget>) -> Result<Rows, FetchError> {
        let cancellation = CancellationToken::new();
        let _cut_off_when_dropped = CutOff(cancellation.clone());
        let (data, text, budget) = (Arc::clone(&self.data), text.to_owned(), Arc::clone(budget));
        deep(STACK_BYTES, move || {
            evaluate(&data, &text, cancellation, &expected, &budget)
        })
        .await
        .map_err(|_| FetchError::Broken("no thread to evaluate it".to_owned()))?
    }
}

/// Ends an evaluation that nobody waits for any more.
struct CutOff(CancellationToken);

impl Drop for CutOff {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

fn evaluate(
    data: &Dataset,
    text: &str,
    cancellation: CancellationToken,
    expected: &Expected,
    budget: &Budget,
) -> Result<Rows, FetchError> {
    let failed = |words: String| FetchError::Broken(format!("its data could not be queried: {words}"));
    let query = SparqlParser::new()
        .parse_query(text)
        .map_err(|error| failed(error.to_string()))?;
    let evaluator = QueryEvaluator::new().with_cancellation_token(cancellation);
    let results = evaluator
        .prepare(&query)
        .execute(data)
        .map_err(|error| failed(error.to_string()))?;
    let QueryResults::Solutions(solutions) = results else {
        return Err(failed("a sub-query asks for rows".to_owned()));
    };
    let columns = parse::columns(solutions.variables(), expected)?;
    let rows = solutions.map(|row| row.map_err(|error| failed(error.to_string())));
    parse::collect(rows, &columns, expected, budget).map(|rows| Rows { rows, bytes: 0 })
}
