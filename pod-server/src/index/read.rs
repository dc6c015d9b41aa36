//! Reads the triples of a stored document.
//!
//! A document is one graph: quads that a dataset format puts into named graphs are left out, because its own IRI names
//! the graph that access control is about. Bytes that are not well-formed leave the document without triples; they
//! never stop the index.

use std::io::Read;

use oxrdf::{GraphName, Triple};
use oxrdfio::{JsonLdProfileSet, LoadedDocument, RdfFormat, RdfParser};

use crate::store::Body;

/// Why a document has no triples in the index.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableDocument {
    /// Not an RDF media type.
    #[error("`{0}` is not an RDF media type")]
    MediaType(String),
    /// The document's IRI cannot be a base.
    #[error("`{0}` cannot be a base IRI")]
    Base(String),
    /// Larger than the limit.
    #[error("the document has {size} bytes, more than the {max} that are indexed")]
    TooLarge {
        /// Bytes.
        size: u64,
        /// Limit.
        max: u64,
    },
    /// Not well-formed.
    #[error(transparent)]
    Syntax(#[from] oxrdfio::RdfParseError),
    /// The file could not be read.
    #[error(transparent)]
    File(#[from] std::io::Error),
}

/// The RDF format of a media type as it was sent, parameters included.
#[must_use]
pub fn format_of(media_type: &str) -> Option<RdfFormat> {
    let essence = media_type.split(';').next().unwrap_or(media_type).trim();
    if essence.eq_ignore_ascii_case("application/ld+json") {
        return Some(RdfFormat::JsonLd {
            profile: JsonLdProfileSet::empty(),
        });
    }
    RdfFormat::from_media_type(essence)
}

/// The triples of a document.
///
/// # Errors
/// [`UnreadableDocument`] says why there are none.
pub fn triples(body: &Body, media_type: &str, iri: &str, bytes_max: u64) -> Result<Vec<Triple>, UnreadableDocument> {
    let format = format_of(media_type).ok_or_else(|| UnreadableDocument::MediaType(media_type.to_owned()))?;
    let size = match body {
        Body::Bytes(bytes) => bytes.len() as u64,
        Body::File { size, .. } => *size,
    };
    if size > bytes_max {
        return Err(UnreadableDocument::TooLarge { size, max: bytes_max });
    }
    let parser = RdfParser::from_format(format)
        .with_base_iri(iri)
        .map_err(|_| UnreadableDocument::Base(iri.to_owned()))?;
    let mut triples = Vec::new();
    match body {
        Body::Bytes(bytes) => collect(
            parser
                .for_slice(bytes)
                .with_document_loader(context_at_hand)
                .map(|quad| quad.map_err(Into::into)),
            &mut triples,
        )?,
        Body::File { path, .. } => {
            let file = std::io::BufReader::with_capacity(1 << 16, std::fs::File::open(path)?.take(bytes_max));
            let parser = parser.for_reader(file).with_document_loader(context_at_hand);
            collect(parser, &mut triples)?;
        }
    }
    Ok(triples)
}

/// Contexts are never fetched.
fn context_at_hand(url: &str) -> Result<LoadedDocument, Box<dyn std::error::Error + Send + Sync>> {
    let text = vocab::context::built_in(url).ok_or("the context is not at hand")?;
    Ok(LoadedDocument {
        url: url.to_owned(),
        content: text.as_bytes().to_vec(),
        format: RdfFormat::JsonLd {
            profile: JsonLdProfileSet::empty(),
        },
    })
}

fn collect(
    quads: impl Iterator<Item = Result<oxrdf::Quad, oxrdfio::RdfParseError>>,
    triples: &mut Vec<Triple>,
) -> Result<(), UnreadableDocument> {
    for quad in quads {
        let quad = quad?;
        if quad.graph_name == GraphName::DefaultGraph {
            triples.push(quad.into());
        }
    }
    Ok(())
}
