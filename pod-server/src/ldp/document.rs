//! RDF documents: reading them with positions of errors, writing them in another syntax.
//!
//! What a client sent is kept byte for byte; this module checks it and makes the other representations. It never
//! fetches anything: a JSON-LD context that is neither in the document nor built in is refused.

use std::collections::HashSet;

use oxjsonld::{JsonLdErrorCode, JsonLdParser, JsonLdRemoteDocument, JsonLdSerializer};
use oxrdf::{GraphName, NamedOrBlankNode, Quad, TermRef};
use oxttl::{NTriplesParser, NTriplesSerializer, TurtleParser, TurtleSerializer, TurtleSyntaxError};
use policies::written::{TooLong, Written};

use super::nesting::{self, Grammar};
use crate::error::Error;
use crate::http::media_type::Syntax;

/// The statements of a document in their order, and its prefixes.
#[derive(Clone, Debug, Default)]
pub struct Document {
    /// Statements; those of a Turtle document are all in the default graph.
    pub quads: Vec<Quad>,
    /// Prefix and namespace.
    pub prefixes: Vec<(String, String)>,
}

/// What reading a document is bounded by.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Brackets open at one time.
    pub nesting_max: u32,
}

/// Reads a document; relative IRIs resolve against `base` (solid#66).
///
/// # Errors
/// [`Error::Malformed`] with line and column; [`Error::Unprocessable`] for a remote JSON-LD context.
pub fn parse(bytes: &[u8], syntax: Syntax, base: &str, bounds: Bounds) -> Result<Document, Error> {
    let mut document = Document::default();
    let prefixes = each(bytes, syntax, base, bounds, |quad| document.quads.push(quad))?;
    document.prefixes = prefixes;
    Ok(document)
}

/// Checks a document without keeping its statements.
///
/// # Errors
/// As [`parse`].
pub fn check(bytes: &[u8], syntax: Syntax, base: &str, bounds: Bounds) -> Result<(), Error> {
    each(bytes, syntax, base, bounds, drop).map(drop)
}

fn each(
    bytes: &[u8],
    syntax: Syntax,
    base: &str,
    bounds: Bounds,
    mut take: impl FnMut(Quad),
) -> Result<Vec<(String, String)>, Error> {
    let grammar = if syntax == Syntax::JsonLd {
        Grammar::Json
    } else {
        Grammar::Turtle
    };
    nesting::check(bytes, grammar, bounds.nesting_max).map_err(|error| Error::Malformed {
        kind: "malformed-rdf",
        line: error.line,
        column: 1,
        message: error.to_string(),
    })?;
    let mut written = Written::of(bytes.len());
    let mut take = |quad: Quad| -> Result<(), Error> {
        written.takes(quad.as_ref()).map_err(too_long)?;
        take(quad);
        Ok(())
    };
    let bad_base = |error: oxiri::IriParseError| Error::Internal(format!("`{base}` is no base IRI: {error}"));
    match syntax {
        Syntax::Turtle => {
            let mut parser = TurtleParser::new()
                .with_base_iri(base)
                .map_err(bad_base)?
                .for_slice(bytes);
            for triple in parser.by_ref() {
                take(
                    triple
                        .map_err(|error| turtle_error(&error))?
                        .in_graph(GraphName::DefaultGraph),
                )?;
            }
            Ok(parser
                .prefixes()
                .map(|(name, iri)| (name.to_owned(), iri.to_owned()))
                .collect())
        }
        Syntax::NTriples => {
            for triple in NTriplesParser::new().for_slice(bytes) {
                take(
                    triple
                        .map_err(|error| turtle_error(&error))?
                        .in_graph(GraphName::DefaultGraph),
                )?;
            }
            Ok(Vec::new())
        }
        Syntax::JsonLd => {
            if bytes.iter().all(u8::is_ascii_whitespace) {
                return Ok(Vec::new());
            }
            let mut parser = JsonLdParser::new()
                .with_base_iri(base)
                .map_err(bad_base)?
                .for_slice(bytes)
                .with_load_document_callback(|url, _| context_at_hand(url));
            for quad in parser.by_ref() {
                take(quad.map_err(|error| json_ld_error(&error))?)?;
            }
            Ok(parser
                .prefixes()
                .map(|(name, iri)| (name.to_owned(), iri.to_owned()))
                .collect())
        }
    }
}

fn too_long(error: TooLong) -> Error {
    Error::Malformed {
        kind: "malformed-rdf",
        line: 1,
        column: 1,
        message: error.to_string(),
    }
}

fn context_at_hand(url: &str) -> Result<JsonLdRemoteDocument, Box<dyn std::error::Error + Send + Sync>> {
    let text = vocab::context::built_in(url).ok_or("the context is not at hand")?;
    Ok(JsonLdRemoteDocument {
        document: text.as_bytes().to_vec(),
        document_url: url.to_owned(),
    })
}

fn turtle_error(error: &TurtleSyntaxError) -> Error {
    let start = error.location().start;
    Error::Malformed {
        kind: "malformed-rdf",
        line: start.line + 1,
        column: start.column + 1,
        message: error.message().to_owned(),
    }
}

fn json_ld_error(error: &oxjsonld::JsonLdSyntaxError) -> Error {
    if matches!(
        error.code(),
        Some(JsonLdErrorCode::LoadingRemoteContextFailed | JsonLdErrorCode::LoadingDocumentFailed)
    ) {
        return Error::Unprocessable {
            kind: "remote-context",
            detail:
                "the JSON-LD names a context that is not built in, and this server fetches none: put the context into \
                     the document"
                    .to_owned(),
        };
    }
    // Errors above the level of JSON have no position: the document as a whole is meant.
    let (line, column) = error
        .location()
        .map_or((1, 1), |range| (range.start.line + 1, range.start.column + 1));
    Error::Malformed {
        kind: "malformed-rdf",
        line,
        column,
        message: error.to_string(),
    }
}

impl Document {
    /// Whether statements lie outside the default graph, which Turtle cannot say.
    #[must_use]
    pub fn has_named_graphs(&self) -> bool {
        self.quads.iter().any(|quad| !quad.graph_name.is_default_graph())
    }

    /// The prefixes that mean the same in every syntax. JSON-LD allows names that Turtle does not, and reads
    /// `urn:a` as an abbreviation where a prefix `urn` is declared. A prefix left out costs brevity, not meaning.
    fn portable_prefixes(&self) -> impl Iterator<Item = (&str, &str)> {
        let schemes = self.schemes();
        self.prefixes.iter().filter_map(move |(name, iri)| {
            let mut letters = name.chars();
            let begins = letters.next().is_none_or(|first| first.is_ascii_alphabetic());
            let goes_on = letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_');
            (begins && goes_on && !schemes.contains(name.as_str())).then_some((name.as_str(), iri.as_str()))
        })
    }

    /// What stands before the first colon of the document's IRIs, those of its prefixes included: JSON-LD would read
    /// `"urn": "urn:d"` as a prefix that is explained by itself.
    fn schemes(&self) -> HashSet<&str> {
        let of_prefixes = self.prefixes.iter().filter_map(|(_, iri)| scheme(iri));
        let mut schemes: HashSet<&str> = of_prefixes.collect();
        for quad in &self.quads {
            let subject = match &quad.subject {
                NamedOrBlankNode::NamedNode(node) => Some(node),
                NamedOrBlankNode::BlankNode(_) => None,
            };
            let graph = match &quad.graph_name {
                GraphName::NamedNode(node) => Some(node),
                _ => None,
            };
            let nodes = [subject, Some(&quad.predicate), graph].into_iter().flatten();
            schemes.extend(nodes.filter_map(|node| scheme(node.as_str())));
            schemes_of_term(quad.object.as_ref(), &mut schemes);
        }
        schemes
    }

    /// Writes the document.
    ///
    /// # Errors
    /// [`Error::NotAcceptable`] when the syntax cannot carry named graphs that the document has.
    pub fn write(&self, syntax: Syntax) -> Result<Vec<u8>, Error> {
        if syntax != Syntax::JsonLd && self.has_named_graphs() {
            return Err(Error::NotAcceptable);
        }
        let failed = |error: std::io::Error| Error::Internal(format!("RDF could not be written: {error}"));
        match syntax {
            Syntax::Turtle => {
                let mut serializer = TurtleSerializer::new();
                for (name, iri) in self.portable_prefixes() {
                    // A prefix that the serializer does not like costs brevity, not meaning.
                    serializer = serializer.clone().with_prefix(name, iri).unwrap_or(serializer);
                }
                let mut writer = serializer.for_writer(Vec::new());
                for quad in &self.quads {
                    writer
                        .serialize_triple(oxrdf::TripleRef::from(quad.as_ref()))
                        .map_err(failed)?;
                }
                writer.finish().map_err(failed)
            }
            Syntax::NTriples => {
                let mut writer = NTriplesSerializer::new().for_writer(Vec::new());
                for quad in &self.quads {
                    writer
                        .serialize_triple(oxrdf::TripleRef::from(quad.as_ref()))
                        .map_err(failed)?;
                }
                Ok(writer.finish())
            }
            Syntax::JsonLd => {
                let mut serializer = JsonLdSerializer::new();
                for (name, iri) in self.portable_prefixes() {
                    serializer = serializer.clone().with_prefix(name, iri).unwrap_or(serializer);
                }
                let mut writer = serializer.for_writer(Vec::new());
                for quad in &self.quads {
                    writer.serialize_quad(quad.as_ref()).map_err(failed)?;
                }
                writer.finish().map_err(failed)
            }
        }
    }
}

fn scheme(iri: &str) -> Option<&str> {
    iri.split_once(':').map(|(scheme, _)| scheme)
}

fn schemes_of_term<'t>(term: TermRef<'t>, schemes: &mut HashSet<&'t str>) {
    match term {
        TermRef::NamedNode(node) => schemes.extend(scheme(node.as_str())),
        TermRef::Literal(literal) => schemes.extend(scheme(literal.datatype().as_str())),
        TermRef::BlankNode(_) => {}
        TermRef::Triple(triple) => {
            if let NamedOrBlankNode::NamedNode(node) = &triple.subject {
                schemes.extend(scheme(node.as_str()));
            }
            schemes.extend(scheme(triple.predicate.as_str()));
            schemes_of_term(triple.object.as_ref(), schemes);
        }
    }
}

/// Makes another representation of a document.
///
/// # Errors
/// As [`parse`] and [`Document::write`].
pub fn convert(bytes: &[u8], from: Syntax, to: Syntax, base: &str, bounds: Bounds) -> Result<Vec<u8>, Error> {
    parse(bytes, from, base, bounds)?.write(to)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    const BASE: &str = "https://pod.example/gent/a";
    const BOUNDS: Bounds = Bounds { nesting_max: 16 };

    fn position(bytes: &str, syntax: Syntax) -> (u64, u64) {
        match check(bytes.as_bytes(), syntax, BASE, BOUNDS) {
            Err(Error::Malformed { line, column, .. }) => (line, column),
            other => panic!("{bytes}: {other:?}"),
        }
    }

    #[test]
    fn errors_name_line_and_column() {
        assert_eq!(position("<a> <b> <c> .\n<a> <b> ; .", Syntax::Turtle).0, 2);
        assert_eq!(position("{\n  \"@id\": \"a\",\n  oops\n}", Syntax::JsonLd).0, 3);
        assert_eq!(
            position("<http://a> <http://b> \"x\" .\n<http://a> b", Syntax::NTriples).0,
            2
        );
        assert_eq!(position(&"[".repeat(100), Syntax::Turtle), (1, 1));
    }

    #[test]
    fn a_remote_context_is_refused() {
        let bytes = br#"{"@context": "https://schema.org/", "name": "x"}"#;
        assert!(matches!(
            check(bytes, Syntax::JsonLd, BASE, BOUNDS),
            Err(Error::Unprocessable {
                kind: "remote-context",
                ..
            })
        ));
    }

    /// What notifications and client identifiers are written in.
    #[test]
    fn built_in_contexts_are_read() {
        for (text, expected) in [
            (
                r##"{"@context": "https://www.w3.org/ns/activitystreams", "id": "#n", "type": "Announce",
                    "actor": "https://a.example/#me", "published": "2026-01-01T00:00:00Z", "name": "x"}"##,
                4,
            ),
            (
                r#"{"@context": ["https://www.w3.org/ns/solid/oidc-context.jsonld"], "client_id": "https://a.example/id",
                    "client_name": "A", "redirect_uris": ["https://a.example/1", "https://a.example/2"],
                    "grant_types": ["refresh_token"], "require_auth_time": true}"#,
                5,
            ),
        ] {
            let document = parse(text.as_bytes(), Syntax::JsonLd, BASE, BOUNDS).unwrap();
            assert_eq!(document.quads.len(), expected, "{:#?}", document.quads);
        }
    }

    /// Requirements solid 30: both ways, the same statements.
    #[test]
    fn turtle_and_json_ld_say_the_same() {
        let turtle = b"@prefix ex: <http://example.org/> . <> ex:p \"x\"@nl, 5 ; ex:q ( 1 [ ex:r <#me> ] ) .";
        let json = convert(turtle, Syntax::Turtle, Syntax::JsonLd, BASE, BOUNDS).unwrap();
        let back = convert(&json, Syntax::JsonLd, Syntax::Turtle, BASE, BOUNDS).unwrap();
        let canonical = |bytes: &[u8]| {
            let mut graph: oxrdf::Dataset = parse(bytes, Syntax::Turtle, BASE, BOUNDS)
                .unwrap()
                .quads
                .into_iter()
                .collect();
            graph.canonicalize(oxrdf::dataset::CanonicalizationAlgorithm::Unstable);
            graph
        };
        assert_eq!(canonical(turtle), canonical(&back));
    }

    #[test]
    fn named_graphs_do_not_fit_turtle() {
        let json = br#"{"@id": "urn:g", "@graph": [{"@id": "urn:s", "urn:p": "x"}]}"#;
        assert!(matches!(
            convert(json, Syntax::JsonLd, Syntax::Turtle, BASE, BOUNDS),
            Err(Error::NotAcceptable)
        ));
        convert(json, Syntax::JsonLd, Syntax::JsonLd, BASE, BOUNDS).unwrap();
    }

    #[test]
    fn an_empty_document_is_a_document() {
        for syntax in Syntax::ALL {
            check(b"", syntax, BASE, BOUNDS).unwrap();
        }
    }
}
