//! JSON-LD in and out of policies, with the ODRL context built in and every other remote context refused.

use oxjsonld::{JsonLdParser, JsonLdRemoteDocument};
use oxrdf::Quad;

use super::parse::{OdrlLimits, ParseError, too_large};
use crate::written::{self, Written};

/// The names under which the built-in context answers.
const ODRL_CONTEXTS: [&str; 4] = [
    "http://www.w3.org/ns/odrl.jsonld",
    "https://www.w3.org/ns/odrl.jsonld",
    // The Dataspace Protocol writes the policies in its messages with the same short names.
    "https://w3id.org/dspace/2025/1/context.jsonld",
    "https://w3id.org/dspace/2025/1/odrl-profile.jsonld",
];

/// The name of the context of Meent's profile.
const MEENT_CONTEXT: &str = "https://w3id.org/meent/odrl.jsonld";

/// Our own context for the terms of ODRL that are understood here, and prefixes of the vocabularies used with it.
pub const ODRL_CONTEXT: &str = include_str!("odrl-context.json");

/// Deepest nesting of JSON accepted, in levels of objects and arrays.
const JSON_DEPTH_MAX: usize = 64;

/// Reads a JSON-LD document to quads without any network access.
///
/// # Errors
/// [`ParseError::Syntax`] for what is not JSON-LD or names an unknown context, [`ParseError::TooLarge`] over a bound.
pub fn quads(json: &[u8], base: &str, limits: &OdrlLimits) -> Result<Vec<Quad>, ParseError> {
    if json.len() > limits.bytes_max {
        return Err(too_large("bytes", "bytes_max", limits.bytes_max));
    }
    if depth(json) > JSON_DEPTH_MAX {
        return Err(too_large("levels of JSON", "json_depth_max", JSON_DEPTH_MAX));
    }
    let syntax = |line, message| ParseError::Syntax {
        format: "application/ld+json",
        line,
        message,
    };
    written::contexts(json).map_err(|error| syntax(None, error.to_string()))?;
    let parser = JsonLdParser::new()
        .with_base_iri(base)
        .map_err(|error| syntax(None, format!("the base `{base}` is not an absolute IRI: {error}")))?
        .for_slice(json)
        .with_load_document_callback(|url, _| {
            if url == MEENT_CONTEXT {
                Ok(JsonLdRemoteDocument {
                    document: vocab::meent::CONTEXT.as_bytes().to_vec(),
                    document_url: url.to_owned(),
                })
            } else if ODRL_CONTEXTS.contains(&url) {
                Ok(JsonLdRemoteDocument {
                    document: ODRL_CONTEXT.as_bytes().to_vec(),
                    document_url: url.to_owned(),
                })
            } else {
                Err(format!("the context `{url}` is not built in, and contexts are never fetched").into())
            }
        });
    let (mut quads, mut weighed) = (Vec::new(), Written::of(json.len()));
    for quad in parser {
        let quad = quad.map_err(|error| {
            let line = error.location().map(|location| location.start.line + 1);
            syntax(line, error.to_string())
        })?;
        if quads.len() >= limits.quads_max {
            return Err(too_large("quads", "quads_max", limits.quads_max));
        }
        weighed
            .takes(quad.as_ref())
            .map_err(|error| syntax(None, error.to_string()))?;
        quads.push(quad);
    }
    Ok(quads)
}

/// Nesting of braces and brackets outside strings; enough to bound recursion before parsing.
fn depth(json: &[u8]) -> usize {
    let (mut open, mut deepest, mut in_string, mut escaped) = (0usize, 0usize, false, false);
    for byte in json {
        match (in_string, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_string = !in_string,
            (false, b'{' | b'[') => {
                open += 1;
                deepest = deepest.max(open);
            }
            (false, b'}' | b']') => open = open.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}
