//! IRIs of a storage that moves: what named the old place names the new one.
//!
//! Documents keep their bytes wherever possible: first as they are (relative IRIs move by themselves), then with the old
//! IRIs replaced in the text, and only then written anew from their statements. Each is taken only if, read at the new place,
//! it says exactly the old statements with the IRIs replaced. Literals are never touched.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use oxrdf::{BlankNode, NamedNode, NamedOrBlankNode, Quad, Term, Triple};

use crate::error::Error;
use crate::http::media_type::Syntax;
use crate::ldp::document::{self, Bounds, Document};

/// Which IRIs become which.
#[derive(Clone, Debug)]
pub struct Rebase {
    places: Vec<Place>,
}

#[derive(Clone, Debug)]
enum Place {
    /// Old and new beginning, each with a closing slash. The IRI without the slash moves too.
    Below(String, String),
    /// This IRI alone, with or without its closing slash.
    Alone(String, String),
    /// Storages of one server, by the names that they had there; what is below none of them stays what it was.
    Storages(Arc<Storages>),
}

/// Where the storages of a server were, and where each is now.
#[derive(Clone, Debug)]
pub struct Storages {
    /// Base URL of the old server, with a closing slash.
    pub old: String,
    /// Old name, and the IRI of the root that it has now.
    pub now: BTreeMap<String, String>,
}

impl Storages {
    fn iri(&self, iri: &str) -> Option<String> {
        let rest = iri.strip_prefix(self.old.as_str())?;
        let (name, inside) = rest.split_once('/').unwrap_or((rest, ""));
        let root = self.now.get(name)?;
        Some(if rest.contains('/') {
            format!("{root}{inside}")
        } else {
            root.trim_end_matches('/').to_owned()
        })
    }
}

impl Place {
    fn moved(&self, iri: &str) -> Option<String> {
        match self {
            Self::Below(old, new) => match iri.strip_prefix(old.as_str()) {
                Some(rest) => Some(format!("{new}{rest}")),
                None => (iri == old.trim_end_matches('/')).then(|| new.trim_end_matches('/').to_owned()),
            },
            Self::Alone(old, new) if iri == old => Some(new.clone()),
            Self::Alone(old, new) => (iri == old.trim_end_matches('/')).then(|| new.trim_end_matches('/').to_owned()),
            Self::Storages(storages) => storages.iri(iri),
        }
    }

    /// How everything that moves begins.
    fn beginning(&self) -> &str {
        match self {
            Self::Below(old, _) | Self::Alone(old, _) => old.trim_end_matches('/'),
            Self::Storages(storages) => &storages.old,
        }
    }
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
            .map(|(old, new)| Place::Below(old, new))
            .collect();
        Self { places }
    }

    /// From all storages of a server to their new roots, and from its issuer to a new one. What else lies below the old
    /// server's IRI did not move and keeps its name.
    #[must_use]
    pub fn of_server(storages: Arc<Storages>, issuer: (&str, &str)) -> Self {
        let closed = |iri: &str| format!("{}/", iri.trim_end_matches('/'));
        Self {
            places: vec![
                Place::Storages(storages),
                Place::Alone(closed(issuer.0), closed(issuer.1)),
            ],
        }
    }

    /// An IRI at its new place.
    #[must_use]
    pub fn iri(&self, iri: &str) -> String {
        let moved = self.places.iter().find_map(|place| place.moved(iri));
        moved.unwrap_or_else(|| iri.to_owned())
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

    /// The text with every IRI between its delimiters moved, wherever it begins as something that moves.
    fn text(&self, text: &str, open: char) -> String {
        let close = if open == '<' { '>' } else { '"' };
        let mut moved = String::with_capacity(text.len());
        let mut pieces = text.split(open);
        moved.push_str(pieces.next().unwrap_or_default());
        for piece in pieces {
            moved.push(open);
            let (iri, rest) = piece.split_at(piece.find(close).unwrap_or(piece.len()));
            if self.places.iter().any(|place| iri.starts_with(place.beginning())) {
                moved.push_str(&self.iri(iri));
            } else {
                moved.push_str(iri);
            }
            moved.push_str(rest);
        }
        moved
    }

    fn statements(&self, document: &Document) -> Document {
        with_iris(document, &|iri| self.iri(iri))
    }
}

/// The same document with every IRI replaced by another.
pub(crate) fn with_iris(document: &Document, iri: &dyn Fn(&str) -> String) -> Document {
    Document {
        quads: document.quads.iter().map(|it| quad(it, iri)).collect(),
        prefixes: document
            .prefixes
            .iter()
            .map(|(name, namespace)| (name.clone(), iri(namespace)))
            .collect(),
    }
}

fn quad(quad: &Quad, iri: &dyn Fn(&str) -> String) -> Quad {
    use oxrdf::GraphName;
    Quad {
        subject: subject(&quad.subject, iri),
        predicate: node(&quad.predicate, iri),
        object: term(&quad.object, iri),
        graph_name: match &quad.graph_name {
            GraphName::NamedNode(graph) => node(graph, iri).into(),
            other => other.clone(),
        },
    }
}

fn subject(subject: &NamedOrBlankNode, iri: &dyn Fn(&str) -> String) -> NamedOrBlankNode {
    match subject {
        NamedOrBlankNode::NamedNode(named) => node(named, iri).into(),
        NamedOrBlankNode::BlankNode(blank) => blank.clone().into(),
    }
}

fn term(term: &Term, iri: &dyn Fn(&str) -> String) -> Term {
    match term {
        Term::NamedNode(named) => node(named, iri).into(),
        Term::Triple(triple) => Term::Triple(Box::new(Triple {
            subject: subject(&triple.subject, iri),
            predicate: node(&triple.predicate, iri),
            object: self::term(&triple.object, iri),
        })),
        other => other.clone(),
    }
}

/// What was an IRI stays one: the beginning is replaced by that of another.
fn node(node: &NamedNode, iri: &dyn Fn(&str) -> String) -> NamedNode {
    NamedNode::new_unchecked(iri(node.as_str()))
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
