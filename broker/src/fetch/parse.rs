//! Reading SPARQL results as they stream in: small answers in place, large ones on a blocking thread, never more than the bounds
//! allow, and never a row of an answer that turns out to be cut off.

use super::{Budget, FetchError, Stream};
use bytes::{Buf, Bytes, BytesMut};
use http_body_util::BodyExt;
use oxrdf::{BlankNode, NamedOrBlankNode, Term, Triple, Variable};
use policies::nesting::JsonDepth;
use sparesults::{
    QueryResultsFormat, QueryResultsParseError, QueryResultsParser, QuerySolution, ReaderQueryResultsParserOutput,
    SliceQueryResultsParserOutput,
};
use spargebra::term::GroundTerm;
use std::collections::HashSet;
use std::io::Read;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Answers up to this size are parsed in place.
const IN_PLACE_BYTES_MAX: usize = 64 * 1024;
/// How deep the JSON of an answer may nest: five levels, and two for each triple within a triple. The tree of terms is walked by
/// descent, so that a deeper one would end the process.
const DEPTH_MAX: u32 = 128;
/// Chunks between the socket and the parser.
const CHUNKS_MAX: usize = 16;

/// What a sub-query's answer must look like.
#[derive(Debug, Clone)]
pub struct Expected {
    /// Columns asked for.
    pub variables: Vec<Variable>,
    /// Columns that hold a value in every row.
    pub certain: Vec<Variable>,
    /// Most rows.
    pub rows_max: u64,
    /// Most bytes.
    pub bytes_max: u64,
    /// Put before every blank node label: labels mean something only within one answer.
    pub blank_prefix: String,
    /// The bindings that were sent along, to which every row must belong.
    pub keys: Option<Arc<SentKeys>>,
}

/// Rows of the `VALUES` that a sub-query was sent with.
#[derive(Debug)]
pub struct SentKeys {
    /// Its columns.
    pub variables: Vec<Variable>,
    /// Its rows.
    pub block: Vec<Vec<GroundTerm>>,
}

impl SentKeys {
    /// The rows, as far as they are the same wherever they are written: literals may come back in another form.
    fn rows(&self) -> HashSet<Vec<Option<&str>>> {
        self.block
            .iter()
            .map(|row| {
                row.iter()
                    .map(|term| match term {
                        GroundTerm::NamedNode(node) => Some(node.as_str()),
                        _ => None,
                    })
                    .collect()
            })
            .collect()
    }
}

/// The rows of one answer, in the order of the columns asked for.
#[derive(Debug, Default)]
pub struct Rows {
    /// Values.
    pub rows: Vec<Vec<Option<Term>>>,
    /// Bytes read.
    pub bytes: u64,
}

/// Reads a whole answer.
///
/// # Errors
/// [`FetchError`]; nothing of the answer may be used then.
pub async fn read(
    body: Stream,
    format: QueryResultsFormat,
    expected: Expected,
    budget: Arc<Budget>,
) -> Result<Rows, FetchError> {
    if format == QueryResultsFormat::Xml {
        return read_xml(body, expected, budget).await;
    }
    read_json(body, expected, budget).await
}

async fn read_json(mut body: Stream, expected: Expected, budget: Arc<Budget>) -> Result<Rows, FetchError> {
    let mut head = BytesMut::new();
    let mut received = Received::default();
    while head.len() <= IN_PLACE_BYTES_MAX {
        match next(&mut body, &mut received, &expected, &budget).await? {
            Some(chunk) => head.extend_from_slice(&chunk),
            None => {
                let rows = collect_slice(&head, QueryResultsFormat::Json, &expected, &budget)?;
                return Ok(Rows {
                    rows,
                    bytes: received.bytes,
                });
            }
        }
    }
    let (sender, receiver) = mpsc::channel::<Bytes>(CHUNKS_MAX);
    let parser = {
        let (expected, budget) = (expected.clone(), Arc::clone(&budget));
        tokio::task::spawn_blocking(move || {
            collect_reader(
                Chunks {
                    current: head.freeze(),
                    receiver,
                },
                &expected,
                &budget,
            )
        })
    };
    let mut failed = None;
    loop {
        match next(&mut body, &mut received, &expected, &budget).await {
            Ok(Some(chunk)) => {
                if sender.send(chunk).await.is_err() {
                    break; // the parser has given up: its reason counts
                }
            }
            Ok(None) => break,
            Err(error) => {
                failed = Some(error);
                break;
            }
        }
    }
    drop(sender);
    let parsed = parser
        .await
        .map_err(|_| FetchError::Broken("the parser stopped".to_owned()))?;
    match failed {
        Some(error) => Err(error),
        None => parsed.map(|rows| Rows {
            rows,
            bytes: received.bytes,
        }),
    }
}

/// XML is read when all of it is there: its end tells that it is whole, and its depth is looked at first.
async fn read_xml(mut body: Stream, expected: Expected, budget: Arc<Budget>) -> Result<Rows, FetchError> {
    let mut received = Received {
        xml: true,
        ..Received::default()
    };
    let mut text = Vec::new();
    while let Some(chunk) = next(&mut body, &mut received, &expected, &budget).await? {
        text.extend_from_slice(&chunk);
    }
    sound_xml(&text)?;
    let bytes = received.bytes;
    tokio::task::spawn_blocking(move || collect_slice(&text, QueryResultsFormat::Xml, &expected, &budget))
        .await
        .map_err(|_| FetchError::Broken("the parser stopped".to_owned()))?
        .map(|rows| Rows { rows, bytes })
}

/// What the parser of XML does not look at: whether the document ends, and how deep terms can nest.
fn sound_xml(text: &[u8]) -> Result<(), FetchError> {
    let end = text.trim_ascii_end().strip_suffix(b">").map(<[u8]>::trim_ascii_end);
    let last = end.and_then(|text| text.rsplit(|byte| *byte == b'<').next());
    let is_end = last.is_some_and(|tag| tag == b"/sparql" || tag.starts_with(b"/") && tag.ends_with(b":sparql"));
    if !is_end {
        return Err(FetchError::Broken("the XML does not end".to_owned()));
    }
    if triples_within(text) > DEPTH_MAX as usize {
        return Err(FetchError::Broken(format!(
            "it holds more than {DEPTH_MAX} triples as terms"
        )));
    }
    Ok(())
}

/// How many elements called `triple` begin in XML, at whatever depth: none can nest deeper than there are.
fn triples_within(text: &[u8]) -> usize {
    const NAME: &[u8] = b"triple";
    let begins = |at: usize| matches!(text.get(at.wrapping_sub(1)), Some(b'<' | b':'));
    let ends = |at: usize| !matches!(text.get(at + NAME.len()), Some(byte) if byte.is_ascii_alphanumeric());
    text.windows(NAME.len())
        .enumerate()
        .filter(|(at, window)| *window == NAME && begins(*at) && ends(*at))
        .count()
}

/// Reads the answer to an `ASK`.
///
/// # Errors
/// [`FetchError`], also when the answer is no boolean.
pub async fn boolean(mut body: Stream, format: QueryResultsFormat, bytes_max: u64) -> Result<bool, FetchError> {
    let mut text = Vec::new();
    let mut depth = JsonDepth::default();
    while let Some(frame) = body.frame().await {
        let Ok(chunk) = frame.map_err(|error| broken_off(&error, bytes_max))?.into_data() else {
            continue;
        };
        text.extend_from_slice(&chunk);
        if text.len() as u64 > bytes_max {
            return Err(FetchError::TooManyBytes(bytes_max));
        }
        if format == QueryResultsFormat::Json && !depth.takes(&chunk, DEPTH_MAX) {
            return Err(FetchError::Broken(format!(
                "it nests deeper than {DEPTH_MAX} levels of JSON"
            )));
        }
    }
    if format == QueryResultsFormat::Xml {
        sound_xml(&text)?;
    }
    match QueryResultsParser::from_format(format)
        .for_slice(&text)
        .map_err(syntax)?
    {
        SliceQueryResultsParserOutput::Boolean(value) => Ok(value),
        SliceQueryResultsParserOutput::Solutions(_) => {
            Err(FetchError::Mismatch("rows instead of a boolean".to_owned()))
        }
    }
}

/// Why a body ended early.
pub(crate) fn broken_off(error: &std::io::Error, bytes_max: u64) -> FetchError {
    match error.kind() {
        std::io::ErrorKind::TimedOut => FetchError::TimedOut(0),
        std::io::ErrorKind::FileTooLarge => FetchError::TooManyBytes(bytes_max),
        _ => FetchError::Broken("the connection ended before the answer did".to_owned()),
    }
}

/// How much came, and how deep it nests.
#[derive(Default)]
struct Received {
    xml: bool,
    bytes: u64,
    depth: JsonDepth,
}

async fn next(
    body: &mut Stream,
    received: &mut Received,
    expected: &Expected,
    budget: &Budget,
) -> Result<Option<Bytes>, FetchError> {
    loop {
        let Some(frame) = body.frame().await else {
            return Ok(None);
        };
        let frame = frame.map_err(|error| broken_off(&error, expected.bytes_max))?;
        let Ok(chunk) = frame.into_data() else { continue };
        received.bytes = received.bytes.saturating_add(chunk.len() as u64);
        if !received.xml && !received.depth.takes(&chunk, DEPTH_MAX) {
            return Err(FetchError::Broken(format!(
                "its terms nest deeper than {DEPTH_MAX} levels of JSON"
            )));
        }
        if received.bytes > expected.bytes_max {
            return Err(FetchError::TooManyBytes(expected.bytes_max));
        }
        budget.take_bytes(chunk.len() as u64)?;
        return Ok(Some(chunk));
    }
}

struct Chunks {
    current: Bytes,
    receiver: mpsc::Receiver<Bytes>,
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.current.is_empty() {
            match self.receiver.blocking_recv() {
                Some(chunk) => self.current = chunk,
                None => return Ok(0),
            }
        }
        let length = self.current.len().min(buffer.len());
        if let (Some(target), Some(source)) = (buffer.get_mut(..length), self.current.get(..length)) {
            target.copy_from_slice(source);
        }
        self.current.advance(length);
        Ok(length)
    }
}

fn collect_slice(
    bytes: &[u8],
    format: QueryResultsFormat,
    expected: &Expected,
    budget: &Budget,
) -> Result<Vec<Vec<Option<Term>>>, FetchError> {
    match QueryResultsParser::from_format(format)
        .for_slice(bytes)
        .map_err(syntax)?
    {
        SliceQueryResultsParserOutput::Solutions(solutions) => {
            let columns = columns(solutions.variables(), expected)?;
            collect(solutions.map(|row| row.map_err(syntax)), &columns, expected, budget)
        }
        SliceQueryResultsParserOutput::Boolean(_) => Err(FetchError::Mismatch("a boolean instead of rows".to_owned())),
    }
}

fn collect_reader(reader: Chunks, expected: &Expected, budget: &Budget) -> Result<Vec<Vec<Option<Term>>>, FetchError> {
    let parser = QueryResultsParser::from_format(QueryResultsFormat::Json);
    match parser.for_reader(reader).map_err(|error| unreadable(&error))? {
        ReaderQueryResultsParserOutput::Solutions(solutions) => {
            let columns = columns(solutions.variables(), expected)?;
            collect(
                solutions.map(|row| row.map_err(|error| unreadable(&error))),
                &columns,
                expected,
                budget,
            )
        }
        ReaderQueryResultsParserOutput::Boolean(_) => Err(FetchError::Mismatch("a boolean instead of rows".to_owned())),
    }
}

fn syntax(error: impl std::fmt::Display) -> FetchError {
    FetchError::Broken(format!("not SPARQL results: {error}"))
}

fn unreadable(error: &QueryResultsParseError) -> FetchError {
    syntax(error)
}

/// Position of every asked column in the answer; an answer with other columns was not given to this question.
pub(crate) fn columns(found: &[Variable], expected: &Expected) -> Result<Vec<Option<usize>>, FetchError> {
    if let Some(stranger) = found.iter().find(|variable| !expected.variables.contains(variable)) {
        return Err(FetchError::Mismatch(format!(
            "column `{}` was not asked for",
            stranger.as_str()
        )));
    }
    Ok(expected
        .variables
        .iter()
        .map(|variable| found.iter().position(|other| other == variable))
        .collect())
}

pub(crate) fn collect(
    solutions: impl Iterator<Item = Result<QuerySolution, FetchError>>,
    columns: &[Option<usize>],
    expected: &Expected,
    budget: &Budget,
) -> Result<Vec<Vec<Option<Term>>>, FetchError> {
    let certain: Vec<bool> = expected
        .variables
        .iter()
        .map(|variable| expected.certain.contains(variable))
        .collect();
    let keys = expected.keys.as_ref().map(|keys| (keys, keys.rows()));
    let mut rows = Vec::new();
    for solution in solutions {
        let solution = solution?;
        if let Some((keys, sent)) = &keys {
            let key = |variable| match solution.get(variable) {
                Some(Term::NamedNode(node)) => Some(node.as_str()),
                _ => None,
            };
            let key: Vec<Option<&str>> = keys.variables.iter().map(key).collect();
            if !sent.contains(&key) {
                return Err(FetchError::Mismatch(
                    "a row is about none of the values that were sent".to_owned(),
                ));
            }
        }
        if rows.len() as u64 >= expected.rows_max {
            return Err(FetchError::TooManyRows(expected.rows_max));
        }
        budget.take_row()?;
        let mut row = Vec::with_capacity(columns.len());
        for ((column, must), variable) in columns.iter().zip(&certain).zip(&expected.variables) {
            let value = column
                .and_then(|at| solution.values().get(at))
                .and_then(Option::as_ref)
                .map(|term| scoped(term, &expected.blank_prefix));
            if *must && value.is_none() {
                return Err(FetchError::Mismatch(format!(
                    "a row leaves column `{}` empty",
                    variable.as_str()
                )));
            }
            row.push(value);
        }
        rows.push(row);
    }
    Ok(rows)
}

/// A blank node of one answer, told apart from those of all others.
fn scoped(term: &Term, prefix: &str) -> Term {
    match term {
        Term::BlankNode(node) => Term::BlankNode(BlankNode::new_unchecked(format!("{prefix}{}", node.as_str()))),
        Term::Triple(triple) => {
            let subject = match &triple.subject {
                NamedOrBlankNode::BlankNode(node) => {
                    NamedOrBlankNode::BlankNode(BlankNode::new_unchecked(format!("{prefix}{}", node.as_str())))
                }
                other => other.clone(),
            };
            Term::Triple(Box::new(Triple {
                subject,
                predicate: triple.predicate.clone(),
                object: scoped(&triple.object, prefix),
            }))
        }
        other => other.clone(),
    }
}
