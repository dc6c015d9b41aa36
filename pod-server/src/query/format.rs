//! The formats of answers and their negotiation (SPARQL 1.1 Protocol §2.1, RFC 9110 §12.5.1).

use oxrdfio::{JsonLdProfileSet, RdfFormat};
use sparesults::QueryResultsFormat;
use spargebra::Query;

/// What kind of answer a query has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `SELECT`.
    Solutions,
    /// `ASK`.
    Boolean,
    /// `CONSTRUCT` and `DESCRIBE`.
    Graph,
}

impl Form {
    /// The form of a query.
    #[must_use]
    pub const fn of(query: &Query) -> Self {
        match query {
            Query::Select { .. } => Self::Solutions,
            Query::Ask { .. } => Self::Boolean,
            Query::Construct { .. } | Query::Describe { .. } => Self::Graph,
        }
    }

    /// Media types that this form can have, the preferred one first.
    #[must_use]
    pub const fn offers(self) -> &'static [(&'static str, AnswerFormat)] {
        match self {
            Self::Solutions | Self::Boolean => TABLES,
            Self::Graph => GRAPHS,
        }
    }
}

/// The format of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerFormat {
    /// Of solutions or a truth value.
    Table(QueryResultsFormat),
    /// Of triples.
    Graph(GraphFormat),
}

/// Formats of triples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GraphFormat {
    /// Turtle.
    Turtle,
    /// N-Triples.
    NTriples,
    /// JSON-LD 1.1.
    JsonLd,
}

impl GraphFormat {
    /// The serialiser's name of it.
    #[must_use]
    pub const fn rdf(self) -> RdfFormat {
        match self {
            Self::Turtle => RdfFormat::Turtle,
            Self::NTriples => RdfFormat::NTriples,
            Self::JsonLd => RdfFormat::JsonLd {
                profile: JsonLdProfileSet::empty(),
            },
        }
    }
}

const TABLES: &[(&str, AnswerFormat)] = &[
    (
        "application/sparql-results+json",
        AnswerFormat::Table(QueryResultsFormat::Json),
    ),
    (
        "application/sparql-results+xml",
        AnswerFormat::Table(QueryResultsFormat::Xml),
    ),
    ("text/csv", AnswerFormat::Table(QueryResultsFormat::Csv)),
    (
        "text/tab-separated-values",
        AnswerFormat::Table(QueryResultsFormat::Tsv),
    ),
    ("application/json", AnswerFormat::Table(QueryResultsFormat::Json)),
    ("application/xml", AnswerFormat::Table(QueryResultsFormat::Xml)),
    ("text/xml", AnswerFormat::Table(QueryResultsFormat::Xml)),
];

const GRAPHS: &[(&str, AnswerFormat)] = &[
    ("text/turtle", AnswerFormat::Graph(GraphFormat::Turtle)),
    ("application/n-triples", AnswerFormat::Graph(GraphFormat::NTriples)),
    ("application/ld+json", AnswerFormat::Graph(GraphFormat::JsonLd)),
    ("application/json", AnswerFormat::Graph(GraphFormat::JsonLd)),
];

/// Chooses a format; the media type is the one to declare. None when nothing that is accepted can be given.
#[must_use]
pub fn negotiate(accept: Option<&str>, form: Form) -> Option<(&'static str, AnswerFormat)> {
    let offers = form.offers();
    let Some(accept) = accept.map(str::trim).filter(|accept| !accept.is_empty()) else {
        return offers.first().copied();
    };
    let ranges: Vec<(&str, u16)> = accept.split(',').filter_map(range).collect();
    let mut best: Option<(u16, (&'static str, AnswerFormat))> = None;
    for offer in offers {
        // The most specific range that fits counts, whatever its weight.
        let fitting = ranges
            .iter()
            .filter_map(|(range, weight)| Some((fits(range, offer.0)?, *weight)));
        let Some((_, weight)) = fitting.max_by_key(|(specific, _)| *specific) else {
            continue;
        };
        if weight > 0 && best.is_none_or(|(highest, _)| weight > highest) {
            best = Some((weight, *offer));
        }
    }
    best.map(|(_, offer)| offer)
}

/// A media range and its weight in thousandths.
fn range(text: &str) -> Option<(&str, u16)> {
    let mut parts = text.split(';').map(str::trim);
    let range = parts.next().filter(|range| !range.is_empty())?;
    let mut weight = 1_000;
    for parameter in parts {
        if let Some((name, value)) = parameter.split_once('=')
            && name.trim().eq_ignore_ascii_case("q")
        {
            let value: f32 = value.trim().parse().ok()?;
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // between 0 and 1000 after the clamp
            let thousandths = (value.clamp(0.0, 1.0) * 1_000.0) as u16;
            weight = thousandths;
        }
    }
    Some((range, weight))
}

/// How specifically a range names a media type; none if it does not.
fn fits(range: &str, media_type: &str) -> Option<u8> {
    if range.eq_ignore_ascii_case(media_type) {
        return Some(2);
    }
    let (major, minor) = range.split_once('/')?;
    match minor {
        "*" if major == "*" => Some(0),
        "*" if media_type
            .split_once('/')
            .is_some_and(|(of, _)| of.eq_ignore_ascii_case(major)) =>
        {
            Some(1)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caller_gets_the_format_it_prefers() {
        for (accept, form, expected) in [
            (None, Form::Solutions, Some("application/sparql-results+json")),
            (Some("*/*"), Form::Graph, Some("text/turtle")),
            (
                Some("text/*;q=0.9, application/sparql-results+xml"),
                Form::Solutions,
                Some("application/sparql-results+xml"),
            ),
            (Some("text/*"), Form::Solutions, Some("text/csv")),
            (
                Some("text/csv;q=0.1, */*;q=0.2"),
                Form::Boolean,
                Some("application/sparql-results+json"),
            ),
            (
                Some("application/sparql-results+json;q=0, */*"),
                Form::Solutions,
                Some("application/sparql-results+xml"),
            ),
            (
                Some("TEXT/TAB-SEPARATED-VALUES"),
                Form::Solutions,
                Some("text/tab-separated-values"),
            ),
            (Some("application/json"), Form::Graph, Some("application/json")),
            (Some("image/png"), Form::Graph, None),
            (Some("text/turtle"), Form::Solutions, None),
            (
                Some("text/turtle;q=x, application/n-triples;q=0.1"),
                Form::Graph,
                Some("application/n-triples"),
            ),
        ] {
            assert_eq!(
                negotiate(accept, form).map(|offer| offer.0),
                expected,
                "{accept:?} {form:?}"
            );
        }
    }
}
