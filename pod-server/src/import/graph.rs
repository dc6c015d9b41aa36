//! Reading RDF files: everything well-formed is kept, everything else is reported with line and column.
//!
//! A file without a fault whose syntax Solid knows keeps the very bytes that were sent; others are written anew from
//! the statements that could be read.

use oxjsonld::{JsonLdParser, JsonLdSerializer};
use oxrdf::{Dataset, GraphName, Quad};
use oxrdfxml::RdfXmlParser;
use oxttl::{NQuadsParser, NTriplesParser, TurtleParseError, TurtleParser, TurtleSerializer};
use policies::nesting::{self, Grammar};

use super::ImportError;
use super::documents::Documents;
use super::mapping::Mapping;
use super::report::Report;
use super::source::{Format, Input};

/// A document that is ready to be stored.
#[derive(Debug)]
pub struct Document {
    /// Media type.
    pub media_type: &'static str,
    /// Ending for its name.
    pub ending: &'static str,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// Reads one RDF file. Relative IRIs resolve against `base`. None when nothing in it could be read.
///
/// # Errors
/// [`ImportError::Base`] when `base` is no IRI; [`ImportError::Write`] when the statements cannot be written anew.
pub fn read(input: &Input, base: &str, report: &mut Report) -> Result<Option<Document>, ImportError> {
    let rejected_before = report.rejected;
    let quads = parse(input, base, report)?;
    report.items += quads.len() as u64;
    report.triples += quads.len() as u64;
    let faultless = report.rejected == rejected_before;
    if quads.is_empty() && !faultless {
        return Ok(None);
    }
    let as_sent = |media_type, ending| Document {
        media_type,
        ending,
        bytes: input.bytes.clone(),
    };
    match input.format {
        Format::Turtle | Format::NTriples if faultless => Ok(Some(as_sent("text/turtle", "ttl"))),
        Format::JsonLd if faultless => Ok(Some(as_sent("application/ld+json", "jsonld"))),
        _ if quads.iter().any(|quad| quad.graph_name != GraphName::DefaultGraph) => write_json_ld(&quads).map(Some),
        _ => write_turtle(&quads).map(Some),
    }
}

/// Reads one RDF file through a mapping: what its CONSTRUCT makes of the statements goes into `documents`.
///
/// # Errors
/// As [`read`], and [`ImportError::Evaluation`] when the mapping cannot be evaluated.
pub fn map(
    input: &Input,
    base: &str,
    mapping: &Mapping,
    documents: &mut Documents,
    report: &mut Report,
) -> Result<(), ImportError> {
    let quads = parse(input, base, report)?;
    report.items += quads.len() as u64;
    let graph: Dataset = quads.into_iter().collect();
    let failed = |reason| ImportError::Evaluation {
        input: input.label.clone(),
        reason,
    };
    for mapped in mapping.apply_to_graph(&graph).map_err(failed)? {
        documents.add(input, mapped.map_err(failed)?, report)?;
    }
    Ok(())
}

fn parse(input: &Input, base: &str, report: &mut Report) -> Result<Vec<Quad>, ImportError> {
    let mut quads = Vec::new();
    let bytes = &input.bytes;
    let mut take = |parsed: Result<Quad, Fault>| match parsed {
        Ok(quad) => quads.push(quad),
        Err(Fault { line, column, reason }) => report.reject(&input.label, line, column, reason),
    };
    let no_base = |_| ImportError::Base(base.to_owned());
    let grammar = match input.format {
        Format::JsonLd => Some(Grammar::Json),
        Format::Turtle | Format::NTriples | Format::NQuads => Some(Grammar::Turtle),
        Format::RdfXml | Format::Csv => None,
    };
    if let Some(Err(deep)) = grammar.map(|grammar| nesting::check(bytes, grammar, nesting::DEPTH_MAX)) {
        take(Err(Fault {
            line: deep.line,
            column: 1,
            reason: deep.to_string(),
        }));
        return Ok(quads);
    }
    match input.format {
        Format::Turtle => {
            let parser = TurtleParser::new().with_base_iri(base).map_err(no_base)?;
            parser
                .for_reader(bytes.as_slice())
                .for_each(|t| take(t.map(default_graph).map_err(turtle_fault)));
        }
        Format::NTriples => NTriplesParser::new()
            .for_reader(bytes.as_slice())
            .for_each(|triple| take(triple.map(default_graph).map_err(turtle_fault))),
        Format::NQuads => {
            NQuadsParser::new()
                .for_reader(bytes.as_slice())
                .for_each(|quad| take(quad.map_err(turtle_fault)));
        }
        Format::JsonLd => {
            let parser = JsonLdParser::new().with_base_iri(base).map_err(no_base)?;
            for quad in parser.for_slice(bytes.as_slice()) {
                let fault = quad.is_err();
                take(quad.map_err(|error| {
                    let place = error
                        .location()
                        .map_or((1, 1), |place| (place.start.line + 1, place.start.column + 1));
                    Fault {
                        line: place.0,
                        column: place.1,
                        reason: error.to_string(),
                    }
                }));
                if fault {
                    break;
                }
            }
        }
        Format::RdfXml => {
            let parser = RdfXmlParser::new().with_base_iri(base).map_err(no_base)?;
            for triple in parser.for_reader(bytes.as_slice()) {
                let fault = triple.is_err();
                take(triple.map(default_graph).map_err(|error| Fault {
                    line: 1,
                    column: 1,
                    reason: error.to_string(),
                }));
                if fault {
                    break;
                }
            }
        }
        Format::Csv => {
            return Err(ImportError::NoMapping {
                input: input.label.clone(),
            });
        }
    }
    Ok(quads)
}

struct Fault {
    line: u64,
    column: u64,
    reason: String,
}

fn default_graph(triple: oxrdf::Triple) -> Quad {
    triple.in_graph(GraphName::DefaultGraph)
}

fn turtle_fault(error: TurtleParseError) -> Fault {
    match error {
        TurtleParseError::Syntax(error) => {
            let place = error.location().start;
            Fault {
                line: place.line + 1,
                column: place.column + 1,
                reason: error.message().to_owned(),
            }
        }
        TurtleParseError::Io(error) => Fault {
            line: 1,
            column: 1,
            reason: error.to_string(),
        },
    }
}

fn write_turtle(quads: &[Quad]) -> Result<Document, ImportError> {
    let mut serializer = TurtleSerializer::new().for_writer(Vec::new());
    for quad in quads {
        let triple = oxrdf::TripleRef::new(&quad.subject, &quad.predicate, &quad.object);
        serializer.serialize_triple(triple).map_err(ImportError::Write)?;
    }
    let bytes = serializer.finish().map_err(ImportError::Write)?;
    Ok(Document {
        media_type: "text/turtle",
        ending: "ttl",
        bytes,
    })
}

fn write_json_ld(quads: &[Quad]) -> Result<Document, ImportError> {
    let mut serializer = JsonLdSerializer::new().for_writer(Vec::new());
    for quad in quads {
        serializer.serialize_quad(quad).map_err(ImportError::Write)?;
    }
    let bytes = serializer.finish().map_err(ImportError::Write)?;
    Ok(Document {
        media_type: "application/ld+json",
        ending: "jsonld",
        bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file that nests without end is reported; it does not end the import.
    #[test]
    fn a_nested_file_is_reported() {
        let turtle = format!("<urn:s> <urn:p> {}", "<<( <urn:s> <urn:p> ".repeat(100_000));
        let json = format!("{}{}", r#"{"urn:p":"#.repeat(100_000), "}".repeat(100_000));
        for (format, text) in [
            (Format::Turtle, turtle.clone()),
            (Format::NTriples, turtle.clone()),
            (Format::NQuads, turtle),
            (Format::JsonLd, json),
        ] {
            let input = Input {
                label: "deep".to_owned(),
                stem: "deep".to_owned(),
                format,
                bytes: text.into_bytes(),
            };
            let mut report = Report::default();
            let read = read(&input, "https://pod.example/", &mut report);
            assert!(matches!(read, Ok(None)), "{format:?}");
            assert_eq!(report.rejected, 1, "{format:?}");
        }
    }
}
