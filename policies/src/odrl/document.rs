//! A document with policies, kept whole: what is not understood stays in it, is flagged, and is written back as it came.

use std::collections::BTreeSet;

use oxjsonld::JsonLdSerializer;
use oxrdf::{GraphName, NamedOrBlankNode, Quad, Term, TripleRef};
use oxttl::{NQuadsParser, TurtleSerializer};

use super::json_ld;
use super::model::{Duty, Policy};
use super::parse::{OdrlLimits, ParseError, Reading, parse_as, too_large, turtle_quads};
use super::write::PREFIXES;
use crate::nesting::{self, Grammar};

/// The syntaxes that policies come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// `text/turtle`
    Turtle,
    /// `application/ld+json`, with the contexts of ODRL and of the Dataspace Protocol built in.
    JsonLd,
    /// `application/n-quads`
    NQuads,
}

/// A term that is not understood, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnknownTerm {
    /// IRI of the policy.
    pub policy: String,
    /// The rule in it, or `policy`.
    pub path: String,
    /// The term.
    pub term: String,
}

/// A document with policies: all its statements, and what they mean.
#[derive(Clone, Debug)]
pub struct Document {
    quads: Vec<Quad>,
    policies: Vec<Policy>,
    refused: Vec<ParseError>,
}

impl Document {
    /// Reads a document. A policy that cannot be read is among [`Document::refused`].
    ///
    /// # Errors
    /// [`ParseError::Syntax`] or [`ParseError::TooLarge`]: nothing of the document can be used.
    pub fn read(
        bytes: &[u8],
        syntax: Syntax,
        base: &str,
        limits: &OdrlLimits,
        reading: Reading,
    ) -> Result<Self, ParseError> {
        let quads = match syntax {
            Syntax::Turtle => turtle_quads(bytes, base, limits)?,
            Syntax::JsonLd => json_ld::quads(bytes, base, limits)?,
            Syntax::NQuads => n_quads(bytes, limits)?,
        };
        Self::from_quads(quads, limits, reading)
    }

    /// Takes statements that are read already.
    ///
    /// # Errors
    /// [`ParseError::TooLarge`].
    pub fn from_quads(quads: Vec<Quad>, limits: &OdrlLimits, reading: Reading) -> Result<Self, ParseError> {
        let (mut policies, mut refused) = (Vec::new(), Vec::new());
        for policy in parse_as(&quads, limits, reading)? {
            match policy {
                Ok(policy) => policies.push(policy),
                Err(error) => refused.push(error),
            }
        }
        Ok(Self {
            quads,
            policies,
            refused,
        })
    }

    /// The policies, in the order of their IRIs.
    #[must_use]
    pub fn policies(&self) -> &[Policy] {
        &self.policies
    }

    /// Why the others could not be read, each with its path.
    #[must_use]
    pub fn refused(&self) -> &[ParseError] {
        &self.refused
    }

    /// All statements.
    #[must_use]
    pub fn quads(&self) -> &[Quad] {
        &self.quads
    }

    /// What is not understood. Every rule with such a term denies.
    #[must_use]
    pub fn unknown(&self) -> BTreeSet<UnknownTerm> {
        let mut found = BTreeSet::new();
        for policy in &self.policies {
            let mut add = |path: &str, terms: &[String]| {
                found.extend(terms.iter().map(|term| UnknownTerm {
                    policy: policy.id.clone(),
                    path: path.to_owned(),
                    term: term.clone(),
                }));
            };
            add("policy", &policy.unknown);
            for (index, rule) in policy.permissions.iter().enumerate() {
                let path = format!("permission[{index}]");
                add(&path, &rule.unknown);
                duties(&rule.duties, &path, "duty", &mut add);
            }
            for (index, rule) in policy.prohibitions.iter().enumerate() {
                let path = format!("prohibition[{index}]");
                add(&path, &rule.unknown);
                duties(&rule.remedies, &path, "remedy", &mut add);
            }
            duties(&policy.obligations, "policy", "obligation", &mut add);
        }
        found
    }

    /// What the document says is below what: members of collections, collections and their sources, narrower concepts,
    /// included actions, parts of places.
    pub fn below(&self) -> impl Iterator<Item = (&str, &str)> {
        const BELOW: [&str; 6] = [
            vocab::odrl::SOURCE,
            vocab::odrl::PART_OF,
            vocab::odrl::INCLUDED_IN,
            vocab::skos::BROADER,
            vocab::rdfs::SUB_CLASS_OF,
            vocab::dcterms::IS_PART_OF,
        ];
        self.quads
            .iter()
            .filter_map(|quad| match (&quad.subject, &quad.object) {
                (NamedOrBlankNode::NamedNode(narrow), Term::NamedNode(wide))
                    if BELOW.contains(&quad.predicate.as_str()) =>
                {
                    Some((narrow.as_str(), wide.as_str()))
                }
                _ => None,
            })
    }

    /// Writes all statements as Turtle.
    ///
    /// # Errors
    /// When there are statements outside the default graph, which Turtle cannot say.
    pub fn to_turtle(&self) -> std::io::Result<Vec<u8>> {
        let mut serializer = PREFIXES
            .iter()
            .try_fold(TurtleSerializer::new(), |serializer, (name, iri)| {
                serializer.with_prefix(*name, *iri)
            })
            .map_err(std::io::Error::other)?
            .for_writer(Vec::new());
        for quad in &self.quads {
            if quad.graph_name != GraphName::DefaultGraph {
                return Err(std::io::Error::other("Turtle has no named graphs: write JSON-LD"));
            }
            serializer.serialize_triple(TripleRef::new(&quad.subject, &quad.predicate, &quad.object))?;
        }
        serializer.finish()
    }

    /// Writes all statements as JSON-LD with prefixes.
    ///
    /// # Errors
    /// When the serializer fails, which writing to memory gives no cause for.
    pub fn to_json_ld(&self) -> std::io::Result<Vec<u8>> {
        let mut serializer = PREFIXES
            .iter()
            .try_fold(JsonLdSerializer::new(), |serializer, (name, iri)| {
                serializer.with_prefix(*name, *iri)
            })
            .map_err(std::io::Error::other)?
            .for_writer(Vec::new());
        for quad in &self.quads {
            serializer.serialize_quad(quad)?;
        }
        serializer.finish()
    }
}

fn duties(duties: &[Duty], path: &str, name: &str, add: &mut impl FnMut(&str, &[String])) {
    for (index, duty) in duties.iter().enumerate() {
        let path = format!("{path} {name}[{index}]");
        add(&path, &duty.unknown);
        self::duties(&duty.consequences, &path, "consequence", add);
    }
}

fn n_quads(bytes: &[u8], limits: &OdrlLimits) -> Result<Vec<Quad>, ParseError> {
    if bytes.len() > limits.bytes_max {
        return Err(too_large("bytes", "bytes_max", limits.bytes_max));
    }
    nesting::check(bytes, Grammar::Turtle, nesting::DEPTH_MAX).map_err(|error| ParseError::Syntax {
        format: "application/n-quads",
        line: Some(error.line),
        message: error.to_string(),
    })?;
    let mut quads = Vec::new();
    for quad in NQuadsParser::new().for_slice(bytes) {
        let quad = quad.map_err(|error| ParseError::Syntax {
            format: "application/n-quads",
            line: Some(error.location().start.line + 1),
            message: error.message().to_owned(),
        })?;
        if quads.len() >= limits.quads_max {
            return Err(too_large("quads", "quads_max", limits.quads_max));
        }
        quads.push(quad);
    }
    Ok(quads)
}
