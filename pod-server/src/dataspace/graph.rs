//! RDF in and out at the edge of the dataspace API: Turtle and JSON-LD, bounded, with the place of a fault.
//!
//! It never loads anything from the network: a JSON-LD document that names a remote context is refused.

use http::{HeaderMap, header};
use oxrdf::{BlankNode, Graph, GraphName, NamedNode, NamedOrBlankNode, Quad, Term, Triple};
use oxrdfio::{JsonLdProfileSet, RdfFormat, RdfParseError, RdfParser, RdfSerializer};
use policies::nesting::{self, Grammar};
use policies::odrl::{CanonicalError, OdrlLimits, ParseError, canonical_n_quads, json_ld};
use policies::written::Written;

/// Prefixes that make our Turtle readable.
const PREFIXES: [(&str, &str); 10] = [
    ("dcat", "http://www.w3.org/ns/dcat#"),
    ("dcterms", "http://purl.org/dc/terms/"),
    ("odrl", "http://www.w3.org/ns/odrl/2/"),
    ("dpv", "https://w3id.org/dpv#"),
    ("meent", "https://w3id.org/meent/ns#"),
    ("void", "http://rdfs.org/ns/void#"),
    ("foaf", "http://xmlns.com/foaf/0.1/"),
    ("xsd", "http://www.w3.org/2001/XMLSchema#"),
    ("prov", "http://www.w3.org/ns/prov#"),
    ("rdfs", "http://www.w3.org/2000/01/rdf-schema#"),
];

/// Why a document could not be read as RDF.
#[derive(Debug, thiserror::Error)]
pub enum GraphError {
    /// The request names no media type.
    #[error("the request has no `Content-Type`; send `text/turtle` or `application/ld+json`")]
    NoMediaType,
    /// The media type is not one of ours.
    #[error("`{0}` cannot be read here; send `text/turtle` or `application/ld+json`")]
    MediaType(String),
    /// The syntax is wrong.
    #[error("line {line}, column {column}: {reason}")]
    Syntax {
        /// Line, from 1.
        line: u64,
        /// Column, from 1.
        column: u64,
        /// What is wrong.
        reason: String,
    },
    /// More triples than the limit.
    #[error("the document holds more than {0} triples")]
    TooLarge(usize),
    /// The base IRI is not an IRI: a fault of ours.
    #[error("`{0}` is not an IRI")]
    Base(String),
}

/// The syntaxes in which the dataspace API speaks RDF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// `text/turtle`.
    Turtle,
    /// `application/ld+json`.
    JsonLd,
}

impl Syntax {
    /// The media type to send.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Turtle => "text/turtle",
            Self::JsonLd => "application/ld+json",
        }
    }

    /// A short name for entity tags.
    #[must_use]
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Turtle => "ttl",
            Self::JsonLd => "jsonld",
        }
    }

    /// The syntax of a request body.
    ///
    /// # Errors
    /// [`GraphError::NoMediaType`] or [`GraphError::MediaType`].
    pub fn of_content(headers: &HeaderMap) -> Result<Self, GraphError> {
        let value = headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .ok_or(GraphError::NoMediaType)?;
        let essence = value.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
        match essence.as_str() {
            "text/turtle" => Ok(Self::Turtle),
            "application/ld+json" | "application/json" => Ok(Self::JsonLd),
            _ => Err(GraphError::MediaType(essence)),
        }
    }

    /// The syntax that an `Accept` header prefers (RFC 9110 §12.5.1); Turtle when it leaves the choice to us, none when
    /// it accepts neither.
    #[must_use]
    pub fn negotiate(headers: &HeaderMap) -> Option<Self> {
        let mut turtle = None;
        let mut json_ld = None;
        let mut seen = false;
        for value in headers.get_all(header::ACCEPT) {
            for range in value.to_str().unwrap_or("").split(',') {
                seen = true;
                let mut parts = range.split(';').map(str::trim);
                let media = parts.next().unwrap_or("").to_ascii_lowercase();
                let weight = parts
                    .find_map(|part| part.strip_prefix("q="))
                    .map_or(1.0, |q| q.parse::<f32>().unwrap_or(0.0));
                let (for_turtle, for_json) = match media.as_str() {
                    "text/turtle" => (Some(3), None),
                    "application/ld+json" | "application/json" => (None, Some(3)),
                    "text/*" => (Some(2), None),
                    "application/*" => (None, Some(2)),
                    "*/*" => (Some(1), Some(1)),
                    _ => (None, None),
                };
                better(&mut turtle, for_turtle, weight);
                better(&mut json_ld, for_json, weight);
            }
        }
        if !seen {
            return Some(Self::Turtle);
        }
        let weight = |choice: Option<(u8, f32)>| choice.map_or(0.0, |(_, weight)| weight);
        let (turtle, json_ld) = (weight(turtle), weight(json_ld));
        if turtle <= 0.0 && json_ld <= 0.0 {
            None
        } else if json_ld > turtle {
            Some(Self::JsonLd)
        } else {
            Some(Self::Turtle)
        }
    }

    fn format(self) -> RdfFormat {
        match self {
            Self::Turtle => RdfFormat::Turtle,
            Self::JsonLd => RdfFormat::JsonLd {
                profile: JsonLdProfileSet::empty(),
            },
        }
    }
}

/// Keeps the most specific range that matched.
fn better(best: &mut Option<(u8, f32)>, specificity: Option<u8>, weight: f32) {
    if let Some(specificity) = specificity
        && best.is_none_or(|(known, _)| specificity > known)
    {
        *best = Some((specificity, weight));
    }
}

/// Reads a document that describes one graph; a document with named graphs is refused.
///
/// # Errors
/// [`GraphError`], with line and column where the syntax is at fault.
pub fn read(bytes: &[u8], syntax: Syntax, base: &str, triples_max: usize) -> Result<Graph, GraphError> {
    if syntax == Syntax::JsonLd {
        return read_json_ld(bytes, base, triples_max);
    }
    nesting::check(bytes, Grammar::Turtle, nesting::DEPTH_MAX).map_err(|error| GraphError::Syntax {
        line: error.line,
        column: 1,
        reason: error.to_string(),
    })?;
    let parser = RdfParser::from_format(syntax.format())
        .without_named_graphs()
        .rename_blank_nodes()
        .with_base_iri(base)
        .map_err(|_| GraphError::Base(base.to_owned()))?;
    let mut graph = Graph::new();
    let mut written = Written::of(bytes.len());
    for quad in parser.for_slice(bytes) {
        let quad: Quad = quad.map_err(|error| syntax_error(&error.into()))?;
        written.takes(quad.as_ref()).map_err(|error| GraphError::Syntax {
            line: 1,
            column: 1,
            reason: error.to_string(),
        })?;
        graph.insert(quad.as_ref());
        if graph.len() > triples_max {
            return Err(GraphError::TooLarge(triples_max));
        }
    }
    Ok(graph)
}

/// JSON-LD may name the contexts that `policies` carries, ODRL's among them; no other is known and none is loaded.
fn read_json_ld(bytes: &[u8], base: &str, triples_max: usize) -> Result<Graph, GraphError> {
    let limits = OdrlLimits {
        bytes_max: usize::MAX,
        quads_max: triples_max,
        ..OdrlLimits::default()
    };
    let quads = json_ld::quads(bytes, base, &limits).map_err(|error| match error {
        ParseError::TooLarge { .. } => GraphError::TooLarge(triples_max),
        ParseError::Syntax { line, message, .. } => GraphError::Syntax {
            line: line.unwrap_or(1),
            column: 1,
            reason: message,
        },
        other => GraphError::Syntax {
            line: 1,
            column: 1,
            reason: other.to_string(),
        },
    })?;
    if let Some(named) = quads.iter().find(|quad| quad.graph_name != GraphName::DefaultGraph) {
        let reason = format!("the document has a named graph, `{}`", named.graph_name);
        return Err(GraphError::Syntax {
            line: 1,
            column: 1,
            reason,
        });
    }
    Ok(quads.into_iter().map(Triple::from).collect())
}

fn syntax_error(error: &RdfParseError) -> GraphError {
    let (line, column) = match error {
        RdfParseError::Syntax(syntax) => syntax
            .location()
            .map_or((1, 1), |place| (place.start.line + 1, place.start.column + 1)),
        RdfParseError::Io(_) => (1, 1),
    };
    GraphError::Syntax {
        line,
        column,
        reason: error.to_string(),
    }
}

/// Writes triples in an order that depends on them alone, so that an unchanged graph has unchanged bytes.
///
/// # Errors
/// Only if the serializer itself fails, which writing to memory does not provoke.
pub fn write<'a>(triples: impl IntoIterator<Item = &'a Triple>, syntax: Syntax) -> Result<Vec<u8>, std::io::Error> {
    let mut ordered: Vec<&Triple> = triples.into_iter().collect();
    ordered.sort_by_cached_key(|triple| triple.to_string());
    ordered.dedup();
    let mut serializer = RdfSerializer::from_format(syntax.format());
    for (prefix, namespace) in PREFIXES {
        serializer = serializer
            .with_prefix(prefix, namespace)
            .map_err(|error| std::io::Error::other(error.to_string()))?;
    }
    let mut writer = serializer.for_writer(Vec::new());
    for triple in ordered {
        writer.serialize_triple(triple)?;
    }
    writer.finish()
}

/// Everything said about a node, following blank nodes and the IRIs for which `follow` holds.
#[must_use]
pub fn closure(graph: &Graph, start: &NamedOrBlankNode, follow: &dyn Fn(&NamedNode) -> bool) -> Vec<Triple> {
    let mut found = Vec::new();
    let mut seen: Vec<NamedOrBlankNode> = vec![start.clone()];
    let mut next = 0;
    while let Some(node) = seen.get(next).cloned() {
        next += 1;
        for triple in graph.triples_for_subject(node.as_ref()) {
            let triple = triple.into_owned();
            let object = match &triple.object {
                Term::BlankNode(blank) => Some(NamedOrBlankNode::from(blank.clone())),
                Term::NamedNode(named) if follow(named) => Some(NamedOrBlankNode::from(named.clone())),
                _ => None,
            };
            if let Some(object) = object
                && !seen.contains(&object)
            {
                seen.push(object);
            }
            found.push(triple);
        }
    }
    found
}

/// Statements as text whose bytes depend on what is said only: canonical N-Triples (RDFC-1.0), within a bound of work (T70).
///
/// # Errors
/// If blank nodes are too entangled to be told apart, or there is a triple about a triple, which has no canonical form.
pub fn canonical(triples: Vec<Triple>) -> Result<String, CanonicalError> {
    let quads: Vec<Quad> = triples
        .into_iter()
        .map(|triple| triple.in_graph(GraphName::DefaultGraph))
        .collect();
    canonical_n_quads(&quads)
}

/// Reads what [`canonical`] wrote, with the same names of blank nodes at each reading.
///
/// # Errors
/// If the text is no N-Triples.
pub fn stored(text: &str) -> Result<Graph, GraphError> {
    let parser = RdfParser::from_format(RdfFormat::NTriples).for_slice(text.as_bytes());
    parser
        .map(|quad| quad.map(Triple::from).map_err(|error| syntax_error(&error.into())))
        .collect()
}

/// The same statement with another name of each blank node: the prefix, and its own.
#[must_use]
pub fn prefixed(triple: Triple, prefix: &str) -> Triple {
    let name = |blank: &BlankNode| BlankNode::new_unchecked(format!("{prefix}{}", blank.as_str()));
    let subject = match triple.subject {
        NamedOrBlankNode::BlankNode(blank) => NamedOrBlankNode::from(name(&blank)),
        named @ NamedOrBlankNode::NamedNode(_) => named,
    };
    let object = match triple.object {
        Term::BlankNode(blank) => Term::from(name(&blank)),
        other => other,
    };
    Triple::new(subject, triple.predicate, object)
}

/// Replaces a node in every position.
#[must_use]
pub fn rename(graph: &Graph, from: &NamedOrBlankNode, to: &NamedNode) -> Graph {
    let from_term = Term::from(from.clone());
    graph
        .iter()
        .map(|triple| {
            let triple = triple.into_owned();
            let subject = if triple.subject == *from {
                to.clone().into()
            } else {
                triple.subject
            };
            let object = if triple.object == from_term {
                to.clone().into()
            } else {
                triple.object
            };
            Triple::new(subject, triple.predicate, object)
        })
        .collect()
}
