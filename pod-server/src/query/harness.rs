//! What the tests of this module share: small indexes, views, and answers as comparable text.

use std::sync::Arc;

use bytes::Bytes;
use oxrdf::{BlankNode, NamedNode, NamedOrBlankNode, Term, Triple};
use oxrdfio::RdfFormat;
use roaring::RoaringBitmap;
use server_kit::results::Format;
use sparesults::QueryResultsFormat;
use spareval::CancellationToken;
use spargebra::Query;

use super::answers::{Answers, AnswersLimits};
use super::evaluate::{EvaluationFailure, QueryPlan, Sink, Tally, evaluate, grouping};
use super::parse::{ParsedQuery, parse};
use super::sketch::SketchKey;
use super::table::{Table, Tabulation};
use super::{Predicates, QueryLimits, View};
use crate::index::{Change, Index, IndexLimits};
use crate::name::ResourceName;
use crate::store::{ResourceId, Sequence, StorageId};

pub(super) const BASE: &str = "https://pod.example";

/// A document of a test.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub path: String,
    pub storage: i64,
    pub triples: Vec<Triple>,
}

impl Source {
    pub(super) fn new(path: &str, storage: i64, turtle: &str) -> Self {
        let prefixed =
            format!("@prefix ex: <http://example.org/> . @prefix xsd: <http://www.w3.org/2001/XMLSchema#> . {turtle}");
        let triples = oxttl::TurtleParser::new()
            .with_base_iri(format!("{BASE}{path}"))
            .unwrap()
            .for_slice(&prefixed)
            .map(Result::unwrap)
            .collect();
        Self {
            path: path.to_owned(),
            storage,
            triples,
        }
    }

    pub(super) fn graph(&self) -> NamedNode {
        NamedNode::new(format!("{BASE}{}", self.path)).unwrap()
    }

    fn change(&self, number: usize, version: u64) -> Change {
        Change::Put {
            resource: ResourceId(i64::try_from(number).unwrap()),
            storage: StorageId(self.storage),
            name: ResourceName::parse(&self.path).unwrap(),
            version: Sequence(version),
            graph: self.graph(),
            triples: self.triples.clone(),
        }
    }
}

/// An index of documents. Every document is first put in another state, so that superseded rows lie about, and the
/// documents come in several steps, so that there are several runs.
pub(super) fn index_of(sources: &[Source], steps: usize) -> Index {
    let index = Index::new(IndexLimits::default());
    let mut sequence = 0;
    for (number, source) in sources.iter().enumerate() {
        let mut stale = source.clone();
        stale.triples = sources
            .iter()
            .flat_map(|source| source.triples.iter().take(2).cloned())
            .collect();
        sequence += 1;
        index
            .apply(vec![stale.change(number, sequence)], Sequence(sequence))
            .unwrap();
    }
    let changes: Vec<_> = sources
        .iter()
        .enumerate()
        .map(|(number, source)| source.change(number, 1_000))
        .collect();
    for step in changes.chunks(sources.len().div_ceil(steps).max(1)) {
        sequence += 1;
        index.apply(step.to_vec(), Sequence(sequence)).unwrap();
    }
    index
}

/// The number of each document, in the order of the sources.
pub(super) fn numbers(index: &Index, sources: &[Source]) -> Vec<u32> {
    let named = index.named();
    sources
        .iter()
        .map(|source| {
            named
                .names
                .document(&ResourceName::parse(&source.path).unwrap())
                .unwrap()
                .0
        })
        .collect()
}

/// The labels that the index gives a document's blank nodes.
pub(super) fn relabelled(triples: &[Triple], document: u32) -> Vec<Triple> {
    let mut labels: Vec<BlankNode> = Vec::new();
    let mut label = |node: &BlankNode| {
        let position = labels.iter().position(|known| known == node).unwrap_or_else(|| {
            labels.push(node.clone());
            labels.len() - 1
        });
        BlankNode::new(format!("d{document:x}n{position:x}")).unwrap()
    };
    let mut out = Vec::new();
    for triple in triples {
        let subject = match &triple.subject {
            NamedOrBlankNode::BlankNode(node) => label(node).into(),
            other => other.clone(),
        };
        let object = match &triple.object {
            Term::BlankNode(node) => label(node).into(),
            other => other.clone(),
        };
        out.push(Triple::new(subject, triple.predicate.clone(), object));
    }
    out
}

pub(super) fn view_of(index: &Index, documents: impl IntoIterator<Item = u32>, predicates: Predicates) -> View {
    let documents: RoaringBitmap = documents.into_iter().collect();
    View::new(index.snapshot(), &documents, predicates)
}

#[derive(Default)]
pub(super) struct Gathered(pub Vec<Bytes>);

impl Sink for Gathered {
    fn take(&mut self, piece: Bytes) -> bool {
        self.0.push(piece);
        true
    }
}

/// Runs a query as the endpoint would and returns the answer's bytes.
pub(super) fn answer(
    view: &View,
    text: &str,
    subjects_min: Option<u32>,
    limits: &QueryLimits,
) -> Result<(Vec<u8>, Tally), EvaluationFailure> {
    let parsed = parse(text, BASE, limits).unwrap();
    let format = match &parsed.query {
        Query::Construct { .. } | Query::Describe { .. } => Format::Graph(RdfFormat::NTriples),
        Query::Select { .. } | Query::Ask { .. } => Format::Rows(QueryResultsFormat::Tsv),
    };
    let plan = match subjects_min {
        None => QueryPlan::new(parsed, view),
        Some(least) => {
            let table = table(view, &parsed, least, limits)?;
            let release = Answers::default().decide(&table.groups, least, ANSWERS).unwrap();
            QueryPlan::over_groups(table.query(&release.leaves))
        }
    };
    let mut gathered = Gathered::default();
    let tally = evaluate(
        &plan,
        view,
        &format.into(),
        limits,
        &CancellationToken::new(),
        &mut gathered,
    )?;
    Ok((gathered.0.concat(), tally))
}

pub(super) const ANSWERS: AnswersLimits = AnswersLimits {
    count_max: 10_000,
    bytes_max: 1 << 30,
    withheld_max: 10_000,
};

/// The groups of a query under the duty of aggregates.
pub(super) fn table(
    view: &View,
    parsed: &ParsedQuery,
    subjects_min: u32,
    limits: &QueryLimits,
) -> Result<Table, EvaluationFailure> {
    let how = Tabulation {
        subjects_min,
        rounding: None,
        key: SketchKey::new([3; 32]),
    };
    let grouping = grouping(parsed, subjects_min).unwrap();
    Table::compute(grouping, view, &how, limits, &CancellationToken::new())
}

/// The lines of an answer; sorted unless the query orders them. The header stays first.
pub(super) fn lines(view: &View, text: &str, subjects_min: Option<u32>) -> Vec<String> {
    let (bytes, _) = answer(view, text, subjects_min, &QueryLimits::default()).unwrap();
    sort_lines(&String::from_utf8(bytes).unwrap(), text)
}

pub(super) fn sort_lines(answer: &str, query: &str) -> Vec<String> {
    let mut lines: Vec<String> = answer.lines().map(ToOwned::to_owned).collect();
    if !query.contains("ORDER BY") {
        // A table has a header, a graph has none, also where a sub-query makes it.
        let graph = query.contains("CONSTRUCT") || query.contains("DESCRIBE");
        let header = usize::from(query.contains("SELECT") && !graph).min(lines.len());
        lines[header..].sort();
    }
    lines
}

pub(super) fn all(index: &Index) -> Arc<View> {
    let snapshot = index.snapshot();
    let documents: RoaringBitmap = snapshot.current().iter().collect();
    Arc::new(View::new(snapshot, &documents, Predicates::default()))
}
