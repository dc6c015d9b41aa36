//! Descriptions as the other server keeps them: statements of people, mixed with what it notes for itself.

use bytes::Bytes;
use oxrdf::{NamedOrBlankNode, Quad, Term};

use crate::error::Error;
use crate::http::media_type::Syntax;
use crate::ldp::document::{self, Bounds, Document};

const RDF_TYPE: &str = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type";
const LDP: &str = "http://www.w3.org/ns/ldp#";
const POSIX: &str = "http://www.w3.org/ns/posix/stat#";
const STORAGE: &str = "http://www.w3.org/ns/pim/space#Storage";
const MODIFIED: &str = "http://purl.org/dc/terms/modified";
const FORMAT: &str = "http://www.w3.org/ns/ma-ont#format";
const PARAMETER: &str = "urn:npm:solid:community-server:meta:contentTypeParameter";
const PARAMETER_VALUE: &str = "urn:npm:solid:community-server:meta:value";
const LABEL: &str = "http://www.w3.org/2000/01/rdf-schema#label";

/// A description, taken apart.
#[derive(Clone, Debug, Default)]
pub(super) struct Metadata {
    /// The media type, where the file's name does not have it.
    pub(super) format: Option<String>,
    /// Parameters of the media type.
    parameters: Vec<(String, String)>,
    /// What people said, in Turtle; nothing where they said nothing.
    pub(super) description: Option<Bytes>,
}

impl Metadata {
    /// Reads the description of `subject`, an IRI on the other server.
    ///
    /// # Errors
    /// When it is not well-formed Turtle.
    pub(super) fn read(bytes: &[u8], subject: &str, bounds: Bounds) -> Result<Self, Error> {
        let Document { quads, prefixes } = document::parse(bytes, Syntax::Turtle, subject, bounds)?;
        let mut read = Self::default();
        let is_subject =
            |node: &NamedOrBlankNode| matches!(node, NamedOrBlankNode::NamedNode(node) if node.as_str() == subject);
        let mut noted: Vec<NamedOrBlankNode> = Vec::new();
        for quad in quads.iter().filter(|quad| is_subject(&quad.subject)) {
            match (quad.predicate.as_str(), &quad.object) {
                (FORMAT, Term::Literal(literal)) => read.format = Some(literal.value().to_owned()),
                (PARAMETER, Term::BlankNode(node)) => noted.push(node.clone().into()),
                (PARAMETER, Term::NamedNode(node)) => noted.push(node.clone().into()),
                _ => {}
            }
        }
        for node in &noted {
            let value = |predicate: &str| {
                let of_node = |quad: &&Quad| quad.subject == *node && quad.predicate.as_str() == predicate;
                quads.iter().find(of_node).and_then(|quad| match &quad.object {
                    Term::Literal(literal) => Some(literal.value().to_owned()),
                    _ => None,
                })
            };
            read.parameters.extend(value(LABEL).zip(value(PARAMETER_VALUE)));
        }
        let said: Vec<Quad> = quads
            .into_iter()
            .filter(|quad| !(noted.contains(&quad.subject) || is_subject(&quad.subject) && is_the_servers(quad)))
            .collect();
        if !said.is_empty() {
            let said = Document { quads: said, prefixes };
            read.description = Some(said.write(Syntax::Turtle)?.into());
        }
        Ok(read)
    }

    /// A media type with the parameters that were noted.
    pub(super) fn media_type(&self, essence: &str) -> String {
        let mut text = essence.to_owned();
        for (name, value) in &self.parameters {
            if value
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-._+!#$&^".contains(&byte))
                && !value.is_empty()
            {
                text.push_str(&format!("; {name}={value}"));
            } else {
                let value = value.replace('\\', "\\\\").replace('"', "\\\"");
                text.push_str(&format!("; {name}=\"{value}\""));
            }
        }
        text
    }
}

/// What the other server says of a resource, and ours says by itself.
fn is_the_servers(quad: &Quad) -> bool {
    let predicate = quad.predicate.as_str();
    match &quad.object {
        Term::NamedNode(class) if predicate == RDF_TYPE => class.as_str().starts_with(LDP) || class.as_str() == STORAGE,
        _ => matches!(predicate, FORMAT | PARAMETER | MODIFIED) || predicate.starts_with(POSIX),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_people_said_stays_and_what_the_server_noted_goes() {
        let text = "<http://old/a> a <http://www.w3.org/ns/pim/space#Storage>; <http://purl.org/dc/terms/title> \"A\"; \
                    <urn:npm:solid:community-server:meta:contentTypeParameter> _:n; \
                    <http://www.w3.org/ns/ma-ont#format> \"application/x-odd\". <#x> <urn:p> 1. \
                    _:n <http://www.w3.org/2000/01/rdf-schema#label> \"charset\"; \
                    <urn:npm:solid:community-server:meta:value> \"utf 8\".";
        let read = Metadata::read(text.as_bytes(), "http://old/a", Bounds { nesting_max: 8 }).unwrap();
        assert_eq!(read.format.as_deref(), Some("application/x-odd"));
        assert_eq!(read.media_type("text/plain"), "text/plain; charset=\"utf 8\"");
        let said = String::from_utf8(read.description.unwrap().to_vec()).unwrap();
        assert!(
            said.contains("title") && said.contains("<http://old/a#x>") && !said.contains("charset"),
            "{said}"
        );
        let nothing = "<http://old/a/> a <http://www.w3.org/ns/pim/space#Storage>.";
        let read = Metadata::read(nothing.as_bytes(), "http://old/a/", Bounds { nesting_max: 8 }).unwrap();
        assert!(read.description.is_none());
    }
}
