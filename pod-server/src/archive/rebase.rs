//! IRIs of a storage that moves: what named the old place names the new one.
//!
//! Documents keep their bytes wherever possible: first as they are (relative IRIs move by themselves), then with the old
//! IRIs replaced in the text, and only then written anew from their statements. Each is taken only if, read at the new place,
//! it says exactly the old statements with the IRIs replaced. Literals are never touched.

use std::collections::HashMap;

use bytes::Bytes;
use oxrdf::{BlankNode, NamedNode, NamedOrBlankNode, Quad, Term, Triple};

use crate::error::Error;
use crate::http::media_type::Syntax;
use crate::ldp::document::{self, Bounds, Document};

/// Which IRIs become which.
#[derive(Clone, Debug)]
pub struct Rebase {
    /// Old and new beginning, each with a closing slash. The IRI without the slash moves too.
    places: Vec<(String, String)>,
}

/// How a document came to its new place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// Byte for byte.
    AsItWas,
    /// With IRIs replaced in its text.
    Replaced,
    /// Written anew: formatting and comments are gone.
    Rewritten,
}

impl Rebase {
    /// From an old root and issuer to a new root and issuer.
    #[must_use]
    pub fn new(root: (&str, &str), issuer: (&str, &str)) -> Self {
        let closed = |iri: &str| format!("{}/", iri.trim_end_matches('/'));
        let places = [root, issuer]
            .into_iter()
            .map(|(old, new)| (closed(old), closed(new)))
            .filter(|(old, new)| old != new)
            .collect();
        Self { places }
    }

    /// An IRI at its new place.
    #[must_use]
    pub fn iri(&self, iri: &str) -> String {
        for (old, new) in &self.places {
            if let Some(rest) = iri.strip_prefix(old.as_str()) {
                return format!("{new}{rest}");
            }
            if iri == old.trim_end_matches('/') {
                return new.trim_end_matches('/').to_owned();
            }
        }
        iri.to_owned()
    }

    /// A document at its new place. `from` and `to` are its old and new IRI.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub fn document(
        &self,
        bytes: Bytes,
        syntax: Syntax,
        from: &str,
        to: &str,
        bounds: Bounds,
    ) -> Result<(Bytes, How), Error> {
        let old = document::parse(&bytes, syntax, from, bounds)?;
        let moved = self.statements(&old);
        let says = |bytes: &[u8]| {
            // A replacement may have broken the text; then it is not taken.
            document::parse(bytes, syntax, to, bounds).is_ok_and(|document| same(&document.quads, &moved.quads))
        };
        if says(&bytes) {
            return Ok((bytes, How::AsItWas));
        }
        if let Ok(text) = std::str::from_utf8(&bytes) {
            let replaced = self.text(text, if syntax == Syntax::JsonLd { '"' } else { '<' });
            if says(replaced.as_bytes()) {
                return Ok((replaced.into(), How::Replaced));
            }
        }
        Ok((moved.write(syntax)?.into(), How::Rewritten))
    }

    fn text(&self, text: &str, open: char) -> String {
        self.places.iter().fold(text.to_owned(), |text, (old, new)| {
            let text = text.replace(&format!("{open}{old}"), &format!("{open}{new}"));
            let close = if open == '<' { '>' } else { '"' };
            let (old, new) = (old.trim_end_matches('/'), new.trim_end_matches('/'));
            text.replace(&format!("{open}{old}{close}"), &format!("{open}{new}{close}"))
        })
    }

    fn statements(&self, document: &Document) -> Document {
        Document {
            quads: document.quads.iter().map(|quad| self.quad(quad)).collect(),
            prefixes: document
                .prefixes
                .iter()
                .map(|(name, iri)| (name.clone(), self.iri(iri)))
                .collect(),
        }
    }

    fn quad(&self, quad: &Quad) -> Quad {
        use oxrdf::GraphName;
        Quad {
            subject: self.subject(&quad.subject),
            predicate: self.node(&quad.predicate),
            object: self.term(&quad.object),
            graph_name: match &quad.graph_name {
                GraphName::NamedNode(node) => self.node(node).into(),
                other => other.clone(),
            },
        }
    }

    fn subject(&self, subject: &NamedOrBlankNode) -> NamedOrBlankNode {
        match subject {
            NamedOrBlankNode::NamedNode(node) => self.node(node).into(),
            NamedOrBlankNode::BlankNode(node) => node.clone().into(),
        }
    }

    fn term(&self, term: &Term) -> Term {
        match term {
            Term::NamedNode(node) => self.node(node).into(),
            Term::Triple(triple) => Term::Triple(Box::new(Triple {
                subject: self.subject(&triple.subject),
                predicate: self.node(&triple.predicate),
                object: self.term(&triple.object),
            })),
            other => other.clone(),
        }
    }

    /// What was an IRI stays one: the beginning is replaced by that of another.
    fn node(&self, node: &NamedNode) -> NamedNode {
        NamedNode::new_unchecked(self.iri(node.as_str()))
    }
}

/// Whether two documents say the same in the same order. Blank nodes may be called differently, one for one.
fn same(left: &[Quad], right: &[Quad]) -> bool {
    let mut names = Names::default();
    left.len() == right.len()
        && left.iter().zip(right).all(|(left, right)| {
            use oxrdf::GraphName;
            let graphs = match (&left.graph_name, &right.graph_name) {
                (GraphName::BlankNode(left), GraphName::BlankNode(right)) => names.match_up(left, right),
                (left, right) => left == right,
            };
            graphs
                && left.predicate == right.predicate
                && names.subjects(&left.subject, &right.subject)
                && names.terms(&left.object, &right.object)
        })
}

#[derive(Default)]
struct Names<'q> {
    there: HashMap<&'q str, &'q str>,
    back: HashMap<&'q str, &'q str>,
}

impl<'q> Names<'q> {
    fn match_up(&mut self, left: &'q BlankNode, right: &'q BlankNode) -> bool {
        let (left, right) = (left.as_str(), right.as_str());
        *self.there.entry(left).or_insert(right) == right && *self.back.entry(right).or_insert(left) == left
    }

    fn subjects(&mut self, left: &'q NamedOrBlankNode, right: &'q NamedOrBlankNode) -> bool {
        match (left, right) {
            (NamedOrBlankNode::BlankNode(left), NamedOrBlankNode::BlankNode(right)) => self.match_up(left, right),
            (left, right) => left == right,
        }
    }

    fn terms(&mut self, left: &'q Term, right: &'q Term) -> bool {
        match (left, right) {
            (Term::BlankNode(left), Term::BlankNode(right)) => self.match_up(left, right),
            (Term::Triple(left), Term::Triple(right)) => {
                left.predicate == right.predicate
                    && self.subjects(&left.subject, &right.subject)
                    && self.terms(&left.object, &right.object)
            }
            (left, right) => left == right,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const OLD: &str = "https://old.example/gent/";
    const NEW: &str = "https://new.example/stad-gent/";
    const BOUNDS: Bounds = Bounds { nesting_max: 16 };

    fn rebased(text: &str, syntax: Syntax) -> (String, How) {
        let rebase = Rebase::new(
            (OLD, NEW),
            ("https://console.old.example/", "https://console.new.example/"),
        );
        let (old, new) = (format!("{OLD}a/b"), format!("{NEW}a/b"));
        let (bytes, how) = rebase
            .document(Bytes::from(text.to_owned()), syntax, &old, &new, BOUNDS)
            .unwrap();
        (String::from_utf8(bytes.to_vec()).unwrap(), how)
    }

    /// Every way in which a document can name its old place, and how it comes to name the new one.
    #[test]
    fn documents_move_with_as_little_change_as_possible() {
        use Syntax::{JsonLd, NTriples, Turtle};
        for (text, syntax, how, expected) in [
            (
                "<> <p> <#me>, <../c> . # kept",
                Turtle,
                How::AsItWas,
                "<> <p> <#me>, <../c> . # kept",
            ),
            (
                "<> <urn:p> <https://elsewhere.example/gent/>.",
                Turtle,
                How::AsItWas,
                "elsewhere.example/gent/",
            ),
            (
                "<> <urn:p> <https://old.example/gent/card#me>; # kept\n <urn:q> \"https://old.example/gent/\".",
                Turtle,
                How::Replaced,
                "<https://new.example/stad-gent/card#me>; # kept\n <urn:q> \"https://old.example/gent/\"",
            ),
            (
                "<> <urn:p> <https://old.example/gent>.",
                Turtle,
                How::Replaced,
                "<https://new.example/stad-gent>",
            ),
            (
                "<> <urn:p> <https://old.example/gentbrugge/x>.",
                Turtle,
                How::AsItWas,
                "old.example/gentbrugge",
            ),
            (
                "<> <urn:p> <https://console.old.example/>.",
                Turtle,
                How::Replaced,
                "<https://console.new.example/>",
            ),
            (
                "<> <urn:p> </gent/x>.",
                Turtle,
                How::Rewritten,
                "<https://new.example/stad-gent/x>",
            ),
            (
                "@prefix o: <https://old.example/>. <> <urn:p> o:gent\\/x, [ <urn:q> _:b ].",
                Turtle,
                How::Rewritten,
                "https://new.example/stad-gent/x",
            ),
            (
                "<https://old.example/gent/x> <urn:p> \"<https://old.example/gent/x>\" .",
                NTriples,
                How::Rewritten,
                "<https://new.example/stad-gent/x> <urn:p> \"<https://old.example/gent/x>\"",
            ),
            (
                "{\"@id\": \"https://old.example/gent/x\", \"urn:p\": {\"@id\": \"#me\"}}",
                JsonLd,
                How::Replaced,
                "{\"@id\": \"https://new.example/stad-gent/x\", \"urn:p\": {\"@id\": \"#me\"}}",
            ),
            (
                "{\"@id\": \"https://old.example/gent/x\", \"urn:p\": \"https://old.example/gent/x\"}",
                JsonLd,
                How::Rewritten,
                "\"https://old.example/gent/x\"",
            ),
        ] {
            let (found, found_how) = rebased(text, syntax);
            assert_eq!(found_how, how, "{text} → {found}");
            assert!(found.contains(expected), "{text} → {found}");
        }
    }
}
