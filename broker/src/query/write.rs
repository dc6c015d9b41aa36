//! Results on their way out: written as they are computed, broken off (never cleanly ended) when something fails on the way.

use super::provenance::Provenance;
use crate::exec::residual::{self, Delivered};
use crate::source::SourceId;
use bytes::Bytes;
use http::HeaderMap;
use oxrdf::Variable;
use oxrdfio::RdfSerializer;
use parking_lot::Mutex;
use serde_json::{Map, Value};
use server_kit::body::Sender;
use server_kit::results::{
    Features, Format, GroupLimits, Layout, Notes, ResultsError, Row, Sink, Table, columns, write as write_rows,
};
use sparesults::{QueryResultsFormat, QueryResultsSerializer};
use spareval::{CancellationToken, QueryEvaluationError, QueryResults};
use spargebra::Query;
use std::collections::{BTreeSet, HashMap};
use std::io::{self, BufWriter, Write};
use std::sync::Arc;

/// Bytes of one frame.
const FRAME_BYTES: usize = 32 * 1024;

/// A writer into a response body that another task reads. It says when it has begun, so that a failure before that can still become
/// a proper response.
pub struct Out {
    sender: Sender,
    runtime: tokio::runtime::Handle,
    buffer: Vec<u8>,
    begun: Option<tokio::sync::oneshot::Sender<()>>,
    link: Option<String>,
    json: bool,
    results: u64,
}

impl Out {
    /// A writer; with a `link` it is one of JSON results: the link goes into their head (SPARQL 1.1 Results JSON §3.1.2), and their last
    /// bracket waits for what [`finish`](Self::finish) adds.
    #[must_use]
    pub fn new(
        sender: Sender,
        runtime: tokio::runtime::Handle,
        begun: tokio::sync::oneshot::Sender<()>,
        link: Option<String>,
    ) -> Self {
        Self {
            sender,
            runtime,
            buffer: Vec::with_capacity(FRAME_BYTES + 1024),
            begun: Some(begun),
            json: link.is_some(),
            link,
            results: 0,
        }
    }

    /// What can be sent of the buffer.
    fn frame(&mut self, last: bool) -> Bytes {
        if let Some(link) = self.link.take() {
            self.buffer = linked(std::mem::take(&mut self.buffer), &link);
        }
        if let Some(begun) = self.begun.take() {
            let _ = begun.send(());
        }
        let next = Vec::with_capacity(FRAME_BYTES + 1024);
        let mut frame = std::mem::replace(&mut self.buffer, next);
        if self.json && !last {
            self.buffer.extend(frame.pop());
        }
        Bytes::from(frame)
    }

    fn pass(&mut self) -> io::Result<()> {
        let frame = self.frame(false);
        self.runtime
            .block_on(self.sender.send(frame))
            .map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "the caller hung up"))
    }

    /// Sends what is written so far, if there is a result in it.
    fn flush_results(&mut self) -> io::Result<()> {
        if self.results == 0 || self.buffer.len() <= usize::from(self.json) {
            return Ok(());
        }
        self.pass()
    }

    /// Sends the rest with `more` as member `meent` of JSON results, then trailers, and ends the body.
    ///
    /// # Errors
    /// When the caller hung up.
    pub async fn finish(mut self, more: &Map<String, Value>, trailers: HeaderMap) -> io::Result<()> {
        if self.json && self.buffer.pop_if(|last| *last == b'}').is_some() {
            let member = format!(",\"meent\":{}}}", Value::Object(more.clone()));
            self.buffer.extend_from_slice(member.as_bytes());
        }
        let frame = self.frame(true);
        let gone = |_| io::Error::new(io::ErrorKind::BrokenPipe, "the caller hung up");
        self.sender.send(frame).await.map_err(gone)?;
        if !trailers.is_empty() {
            self.sender.trailers(trailers).await.map_err(gone)?;
        }
        Ok(())
    }

    /// Breaks the body off.
    pub fn break_off(self, words: &str) {
        self.sender.abort(io::Error::other(words.to_owned()));
    }

    /// Whether anything was sent.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.begun.is_none()
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= FRAME_BYTES {
            self.pass()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The writing end that evaluation holds; the other is there to flush it while evaluation waits, and to end it.
#[derive(Clone)]
pub struct Pen(Arc<Mutex<Option<Out>>>);

impl Pen {
    /// A pen for a writer.
    #[must_use]
    pub fn new(out: Out) -> Self {
        Self(Arc::new(Mutex::new(Some(out))))
    }

    /// Sends what is written so far, if there is a result in it. That the caller hung up is found out at the next write.
    pub fn flush_results(&self) {
        if let Some(out) = &mut *self.0.lock() {
            let _ = out.flush_results();
        }
    }

    /// Takes the writer away from whoever still holds a pen.
    #[must_use]
    pub fn take(&self) -> Option<Out> {
        self.0.lock().take()
    }

    fn count(&self) {
        if let Some(out) = &mut *self.0.lock() {
            out.results += 1;
        }
    }
}

impl Write for Pen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut *self.0.lock() {
            Some(out) => out.write(bytes),
            None => Err(io::Error::new(io::ErrorKind::BrokenPipe, "the answer was ended")),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Puts `"link"` into the head of JSON results.
fn linked(bytes: Vec<u8>, link: &str) -> Vec<u8> {
    const HEAD: &[u8] = b"{\"head\":{";
    let Some(rest) = bytes.strip_prefix(HEAD) else {
        return bytes;
    };
    let mut out = HEAD.to_vec();
    out.extend_from_slice(format!("\"link\":[{}]", Value::from(link)).as_bytes());
    if !rest.starts_with(b"}") {
        out.push(b',');
    }
    out.extend_from_slice(rest);
    out
}

/// What is written, and how.
pub struct Writing {
    /// The query that is evaluated here, when rows need not tell their sources.
    pub query: Query,
    /// How rows tell their sources, when they do.
    pub provenance: Option<Provenance>,
    /// The format.
    pub format: Format,
    /// Whether what is written must be there to be sent while evaluation waits.
    pub eager: bool,
    /// What is said about the answer, in formats that hold it.
    pub notes: Notes,
    /// Bounds on row groups.
    pub groups: GroupLimits,
    /// Most rows whose sources JSON results list.
    pub traced_rows_max: usize,
}

/// Why writing stopped.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Stop(#[from] pub QueryEvaluationError);

impl From<ResultsError> for Stop {
    fn from(error: ResultsError) -> Self {
        Self(QueryEvaluationError::Unexpected(Box::new(error)))
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self(QueryEvaluationError::Unexpected(Box::new(error)))
    }
}

impl Writing {
    /// Where bytes go: gathered first, unless they may have to leave at any time.
    fn target(&self, pen: &Pen) -> Box<dyn Write + Send> {
        if self.eager {
            Box::new(pen.clone())
        } else {
            Box::new(BufWriter::with_capacity(FRAME_BYTES / 2, pen.clone()))
        }
    }

    fn query(&self) -> &Query {
        self.provenance
            .as_ref()
            .map_or(&self.query, |provenance| &provenance.traced.query)
    }

    /// Evaluates and writes; gives what JSON results say about the sources of their rows.
    ///
    /// # Errors
    /// [`Stop`], also when the caller hung up.
    pub fn write(
        self,
        delivered: &Delivered,
        token: &CancellationToken,
        pen: &Pen,
    ) -> Result<Map<String, Value>, Stop> {
        match self.format {
            Format::Rows(format) => self.flowing(format, delivered, token, pen),
            Format::Graph(format) => {
                residual::evaluate(self.query(), delivered, token.clone(), |results| {
                    let QueryResults::Graph(triples) = results else {
                        return Ok(());
                    };
                    let mut writer = RdfSerializer::from_format(format).for_writer(self.target(pen));
                    for triple in triples {
                        writer.serialize_triple(&triple?).map_err(broken)?;
                        if self.eager {
                            pen.count();
                        }
                    }
                    writer.finish().and_then(|mut out| out.flush()).map_err(broken)?;
                    Ok(())
                })?;
                Ok(Map::new())
            }
            Format::Table(format) => {
                let layout = Table::new(format, self.variables(), self.provenance.is_some());
                self.settled(layout, delivered, token, pen)
            }
            Format::Features => self.settled(Features::new(self.variables()), delivered, token, pen),
        }
    }

    fn flowing(
        &self,
        format: QueryResultsFormat,
        delivered: &Delivered,
        token: &CancellationToken,
        pen: &Pen,
    ) -> Result<Map<String, Value>, Stop> {
        let mut sources = RowSources::default();
        residual::evaluate(self.query(), delivered, token.clone(), |results| {
            let serializer = QueryResultsSerializer::from_format(format);
            match results {
                QueryResults::Boolean(value) => {
                    serializer
                        .serialize_boolean_to_writer(pen.clone(), value)
                        .map_err(broken)?;
                }
                QueryResults::Solutions(solutions) => {
                    let variables = match &self.provenance {
                        Some(provenance) => provenance.variables().to_vec(),
                        None => solutions.variables().to_vec(),
                    };
                    let mut writer = serializer
                        .serialize_solutions_to_writer(self.target(pen), variables.clone())
                        .map_err(broken)?;
                    for solution in solutions {
                        let solution = solution?;
                        match &self.provenance {
                            Some(provenance) => {
                                sources.add(provenance.sources(&solution), self.traced_rows_max)?;
                                let own = variables
                                    .iter()
                                    .filter_map(|variable| Some((variable, solution.get(variable)?)));
                                writer.serialize(own).map_err(broken)?;
                            }
                            None => writer.serialize(&solution).map_err(broken)?,
                        }
                        if self.eager {
                            pen.count();
                        }
                    }
                    writer.finish().and_then(|mut out| out.flush()).map_err(broken)?;
                }
                QueryResults::Graph(_) => {}
            }
            Ok(())
        })?;
        Ok(self
            .provenance
            .as_ref()
            .map(|provenance| sources.told(provenance))
            .unwrap_or_default())
    }

    /// The answer's columns, in order.
    fn variables(&self) -> Vec<Variable> {
        match &self.provenance {
            Some(provenance) => provenance.variables().to_vec(),
            None => columns(&self.query),
        }
    }

    fn settled(
        &self,
        layout: impl Layout,
        delivered: &Delivered,
        token: &CancellationToken,
        pen: &Pen,
    ) -> Result<Map<String, Value>, Stop> {
        let variables = self.variables();
        let mut notes = self.notes.clone();
        if let Some(provenance) = &self.provenance {
            notes
                .entries
                .insert("sourcesExact".to_owned(), Value::from(provenance.is_exact()));
        }
        let rows = |sink: &mut Sink<'_>| -> Result<(), Stop> {
            Ok(residual::evaluate(self.query(), delivered, token.clone(), |results| {
                let QueryResults::Solutions(solutions) = results else {
                    return Ok(());
                };
                for solution in solutions {
                    let solution = solution?;
                    let row = Row {
                        values: variables
                            .iter()
                            .map(|variable| solution.get(variable).cloned())
                            .collect(),
                        sources: self.provenance.as_ref().map(|provenance| {
                            let ids = provenance.sources(&solution).into_iter();
                            ids.map(|id| provenance.name(id).to_owned()).collect()
                        }),
                    };
                    sink(row).map_err(|error| Stop::from(error).0)?;
                }
                Ok(())
            })?)
        };
        write_rows(layout, &notes, self.groups, &mut pen.clone(), rows)?;
        Ok(Map::new())
    }
}

fn broken(error: io::Error) -> QueryEvaluationError {
    QueryEvaluationError::Unexpected(Box::new(error))
}

/// The sources of all rows of JSON results, each set once.
#[derive(Default)]
struct RowSources {
    sets: HashMap<BTreeSet<SourceId>, usize>,
    /// Sources in all sets.
    named: usize,
    rows: Vec<usize>,
}

impl RowSources {
    fn add(&mut self, set: BTreeSet<SourceId>, traced_max: usize) -> Result<(), QueryEvaluationError> {
        let next = self.sets.len();
        let size = set.len();
        let number = *self.sets.entry(set).or_insert(next);
        if number == next {
            self.named += size;
        }
        self.rows.push(number);
        if self.rows.len() > traced_max || self.named > traced_max {
            let words = format!("more than {traced_max} rows whose sources JSON results would have to list");
            return Err(Stop::from(ResultsError::Unfit(words)).0);
        }
        Ok(())
    }

    /// `sources` are the datasets, `sets` has places in `sources`, and `rows` has, for each row, the place of its set.
    fn told(self, provenance: &Provenance) -> Map<String, Value> {
        let used: BTreeSet<SourceId> = self.sets.keys().flatten().copied().collect();
        let places: HashMap<SourceId, usize> = used.iter().enumerate().map(|(place, id)| (*id, place)).collect();
        let mut sets: Vec<(usize, Value)> = self
            .sets
            .iter()
            .map(|(set, number)| (*number, set.iter().filter_map(|id| places.get(id).copied()).collect()))
            .collect();
        sets.sort_by_key(|(number, _)| *number);
        let names: Vec<&str> = used.iter().map(|id| provenance.name(*id)).collect();
        let sets: Vec<Value> = sets.into_iter().map(|(_, set)| set).collect();
        Map::from_iter([
            ("sources".to_owned(), Value::from(names)),
            ("sets".to_owned(), Value::from(sets)),
            ("rows".to_owned(), Value::from(self.rows)),
            ("sourcesExact".to_owned(), Value::from(provenance.is_exact())),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::linked;

    #[test]
    fn the_link_stands_in_the_head() {
        for (before, after) in [
            (r#"{"head":{"vars":["x"]}}"#, r#"{"head":{"link":["u"],"vars":["x"]}}"#),
            (
                r#"{"head":{},"boolean":true}"#,
                r#"{"head":{"link":["u"]},"boolean":true}"#,
            ),
            ("x,y", "x,y"),
        ] {
            assert_eq!(linked(before.as_bytes().to_vec(), "u"), after.as_bytes());
        }
    }
}
