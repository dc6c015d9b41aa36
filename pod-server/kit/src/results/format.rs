//! The formats of answers, and which of them a query can have (SPARQL 1.1 Protocol §2.1.6).

use super::{ARROW, GEOJSON, PARQUET, TableFormat};
use crate::accept;
use http::HeaderMap;
use oxrdf::Variable;
use oxrdfio::{JsonLdProfileSet, RdfFormat};
use sparesults::QueryResultsFormat;
use spargebra::Query;

/// The format of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Rows or a truth value, in a format of SPARQL.
    Rows(QueryResultsFormat),
    /// Triples.
    Graph(RdfFormat),
    /// A table with typed columns.
    Table(TableFormat),
    /// GeoJSON.
    Features,
}

/// A media type and its format.
pub type Offer = (&'static str, Format);

const TRUTH: [Offer; 7] = [
    (
        "application/sparql-results+json",
        Format::Rows(QueryResultsFormat::Json),
    ),
    ("application/sparql-results+xml", Format::Rows(QueryResultsFormat::Xml)),
    ("text/csv", Format::Rows(QueryResultsFormat::Csv)),
    ("text/tab-separated-values", Format::Rows(QueryResultsFormat::Tsv)),
    ("application/json", Format::Rows(QueryResultsFormat::Json)),
    ("application/xml", Format::Rows(QueryResultsFormat::Xml)),
    ("text/xml", Format::Rows(QueryResultsFormat::Xml)),
];

const ROWS: [Offer; 10] = {
    let [json, xml, csv, tsv, plain_json, plain_xml, text_xml] = TRUTH;
    let features = (GEOJSON, Format::Features);
    let (arrow, parquet) = (
        (ARROW, Format::Table(TableFormat::Arrow)),
        (PARQUET, Format::Table(TableFormat::Parquet)),
    );
    [
        json, xml, csv, tsv, features, arrow, parquet, plain_json, plain_xml, text_xml,
    ]
};

const GRAPHS: [Offer; 8] = [
    ("text/turtle", Format::Graph(RdfFormat::Turtle)),
    (
        "application/ld+json",
        Format::Graph(RdfFormat::JsonLd {
            profile: JsonLdProfileSet::empty(),
        }),
    ),
    ("application/n-triples", Format::Graph(RdfFormat::NTriples)),
    ("application/rdf+xml", Format::Graph(RdfFormat::RdfXml)),
    ("application/n-quads", Format::Graph(RdfFormat::NQuads)),
    ("application/trig", Format::Graph(RdfFormat::TriG)),
    ("text/n3", Format::Graph(RdfFormat::N3)),
    (
        "application/json",
        Format::Graph(RdfFormat::JsonLd {
            profile: JsonLdProfileSet::empty(),
        }),
    ),
];

/// What a query's answer can be given as, best first.
#[must_use]
pub const fn offers(query: &Query) -> &'static [Offer] {
    match query {
        Query::Select { .. } => &ROWS,
        Query::Ask { .. } => &TRUTH,
        Query::Construct { .. } | Query::Describe { .. } => &GRAPHS,
    }
}

/// The offer that suits the caller best; `None` when none does.
#[must_use]
pub fn negotiate(headers: &HeaderMap, offers: &[Offer]) -> Option<Offer> {
    let names: Vec<&'static str> = offers.iter().map(|(media_type, _)| *media_type).collect();
    let chosen = accept::negotiate(headers, &names)?;
    offers.iter().find(|(media_type, _)| *media_type == chosen).copied()
}

/// The media types of offers, for people.
#[must_use]
pub fn names(offers: &[Offer]) -> String {
    let names: Vec<&str> = offers.iter().map(|(media_type, _)| *media_type).collect();
    names.join(", ")
}

/// The columns of a `SELECT`, in order; empty for other forms.
#[must_use]
pub fn columns(query: &Query) -> Vec<Variable> {
    let mut found: Vec<Variable> = Vec::new();
    if let Query::Select { pattern, .. } = query {
        pattern.on_in_scope_variable(|variable| {
            if !found.contains(variable) {
                found.push(variable.clone());
            }
        });
    }
    found
}

impl Format {
    /// Whether it can be written while rows are still to come.
    #[must_use]
    pub const fn flows(self) -> bool {
        matches!(self, Self::Rows(_) | Self::Graph(_))
    }

    /// Whether rows have a place for their sources.
    #[must_use]
    pub const fn names_sources(self) -> bool {
        matches!(
            self,
            Self::Rows(QueryResultsFormat::Json) | Self::Table(_) | Self::Features
        )
    }

    /// Whether an answer in it is a JSON object to which members can be added.
    #[must_use]
    pub const fn is_results_json(self) -> bool {
        matches!(self, Self::Rows(QueryResultsFormat::Json))
    }
}
