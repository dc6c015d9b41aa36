//! From bytes to triples: documents of somebody else, parsed within bounds, without fetching anything.

use crate::fetch::FetchError;
use oxrdf::{Quad, Triple};
use oxrdfio::{JsonLdProfileSet, LoadedDocument, RdfFormat, RdfParser};
use policies::nesting::{self, Grammar};
use policies::written::Written;

/// The triples to query, and in which document each stands.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// All of them.
    pub(super) triples: Vec<Triple>,
    /// Those of them that also stand in a named graph.
    pub(super) quads: Vec<Quad>,
}

/// The format behind a media type; `None` for what is not read. RDF/XML is left out: its parser has no bound on nesting.
pub(super) fn format_of(media_type: &str) -> Option<RdfFormat> {
    let essence = media_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    match essence.as_str() {
        "text/turtle" => Some(RdfFormat::Turtle),
        "application/n-triples" => Some(RdfFormat::NTriples),
        "application/trig" => Some(RdfFormat::TriG),
        "application/n-quads" => Some(RdfFormat::NQuads),
        "application/ld+json" => Some(RdfFormat::JsonLd {
            profile: JsonLdProfileSet::empty(),
        }),
        _ => None,
    }
}

/// Parses a document; its blank nodes get names that no other document has.
pub(super) fn parse(body: &[u8], format: RdfFormat, base: &str, triples_max: u64) -> Result<Vec<Quad>, FetchError> {
    let broken = |words: String| FetchError::Broken(words);
    let grammar = match format {
        RdfFormat::JsonLd { .. } => Grammar::Json,
        _ => Grammar::Turtle,
    };
    nesting::check(body, grammar, nesting::DEPTH_MAX)
        .map_err(|error| broken(format!("line {}: {error}", error.line)))?;
    let parser = RdfParser::from_format(format)
        .with_base_iri(base)
        .map_err(|error| broken(error.to_string()))?
        .rename_blank_nodes()
        .for_slice(body)
        .with_document_loader(context_at_hand);
    let (mut quads, mut written) = (Vec::new(), Written::of(body.len()));
    for quad in parser {
        if quads.len() as u64 >= triples_max {
            return Err(FetchError::TooManyRows(triples_max));
        }
        let quad: Quad = quad.map_err(|error| {
            let words: String = error
                .to_string()
                .chars()
                .filter(|c| !c.is_control())
                .take(200)
                .collect();
            broken(format!("not {}: {words}", format.name()))
        })?;
        written
            .takes(quad.as_ref())
            .map_err(|error| broken(error.to_string()))?;
        quads.push(quad);
    }
    Ok(quads)
}

/// Contexts are never fetched.
fn context_at_hand(url: &str) -> Result<LoadedDocument, Box<dyn std::error::Error + Send + Sync>> {
    let text = vocab::context::built_in(url).ok_or("its JSON-LD context is not at hand, and none is fetched")?;
    Ok(LoadedDocument {
        url: url.to_owned(),
        content: text.as_bytes().to_vec(),
        format: RdfFormat::JsonLd {
            profile: JsonLdProfileSet::empty(),
        },
    })
}
