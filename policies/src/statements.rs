//! The statements of an access control document, each with the line it stands on, so that a fault can be shown to
//! whoever wrote it.

use std::collections::HashMap;

use oxrdf::{NamedOrBlankNode, Term, Triple};
use oxttl::TurtleParser;

/// Lines that are read one by one while no statement ends; after them the steps double, so that a long text is not
/// looked at again with each of its lines.
const SINGLE_LINES: u32 = 32;

/// A statement and where it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Statement {
    pub(crate) triple: Triple,
    /// Line, from 1; unknown for statements that were read elsewhere.
    pub(crate) line: Option<u64>,
}

/// Why there are no statements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// The base is not an absolute IRI.
    Base,
    /// Not Turtle.
    Syntax { line: u64, column: u64, message: String },
    /// More statements than allowed.
    TooMany,
}

/// Reads Turtle, and with it N-Triples.
pub(crate) fn read(turtle: &[u8], base: &str, triples_max: usize) -> Result<Vec<Statement>, Unreadable> {
    let parser = TurtleParser::new().with_base_iri(base);
    let mut parser = parser.map_err(|_| Unreadable::Base)?.low_level();
    let mut statements = Vec::new();
    let mut lines = turtle.split_inclusive(|byte| *byte == b'\n');
    let (mut line, mut without) = (0_u64, 0_u32);
    while !parser.is_end() {
        let step = 1_u64 << without.saturating_sub(SINGLE_LINES).min(32);
        for _ in 0..step {
            match lines.next() {
                Some(text) => {
                    line += 1;
                    parser.extend_from_slice(text);
                }
                None => {
                    parser.end();
                    break;
                }
            }
        }
        without += 1;
        while let Some(triple) = parser.parse_next() {
            let triple = triple.map_err(|error| Unreadable::Syntax {
                line: error.location().start.line + 1,
                column: error.location().start.column + 1,
                message: error.message().to_owned(),
            })?;
            if statements.len() >= triples_max {
                return Err(Unreadable::TooMany);
            }
            without = 0;
            let line = Some(line);
            statements.push(Statement { triple, line });
        }
    }
    Ok(statements)
}

/// Statements that were read elsewhere.
pub(crate) fn unplaced(triples: &[Triple]) -> Vec<Statement> {
    let unplaced = |triple: &Triple| Statement {
        triple: triple.clone(),
        line: None,
    };
    triples.iter().map(unplaced).collect()
}

/// The statements about each subject, subjects in the order in which they first appear.
#[derive(Debug)]
pub(crate) struct Subjects<'s> {
    order: Vec<&'s NamedOrBlankNode>,
    about: HashMap<&'s NamedOrBlankNode, Vec<&'s Statement>>,
}

impl<'s> Subjects<'s> {
    pub(crate) fn of(statements: &'s [Statement]) -> Self {
        let mut subjects = Self {
            order: Vec::new(),
            about: HashMap::new(),
        };
        for statement in statements {
            let subject = &statement.triple.subject;
            let about = subjects.about.entry(subject).or_insert_with(|| {
                subjects.order.push(subject);
                Vec::new()
            });
            about.push(statement);
        }
        subjects
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'s NamedOrBlankNode, &[&'s Statement])> {
        self.order.iter().map(|subject| (*subject, self.about(subject)))
    }

    /// The statements about one subject; none if there are none.
    pub(crate) fn about(&self, subject: &NamedOrBlankNode) -> &[&'s Statement] {
        self.about.get(subject).map(Vec::as_slice).unwrap_or_default()
    }
}

impl Statement {
    pub(crate) fn predicate(&self) -> &str {
        self.triple.predicate.as_str()
    }

    /// The object, if it is an IRI.
    pub(crate) fn iri(&self) -> Option<&str> {
        match &self.triple.object {
            Term::NamedNode(node) => Some(node.as_str()),
            _ => None,
        }
    }

    /// The object as a node that can be described.
    pub(crate) fn node(&self) -> Option<NamedOrBlankNode> {
        match &self.triple.object {
            Term::NamedNode(node) => Some(node.clone().into()),
            Term::BlankNode(node) => Some(node.clone().into()),
            _ => None,
        }
    }
}

/// Whether a subject has a type.
pub(crate) fn has_type(about: &[&Statement], class: &str) -> bool {
    about
        .iter()
        .any(|statement| statement.predicate() == vocab::rdf::TYPE && statement.iri() == Some(class))
}

/// `line 3: `, or nothing where no line is known.
pub(crate) fn place(line: Option<u64>) -> String {
    line.map(|line| format!("line {line}: ")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_know_their_line() {
        let text = "@prefix : <#> .\n# A remark.\n:a :p 1 ;\n  :q \"\"\"two\nlines\"\"\" ;\n\n  :r [ :s :b ] .\n:c :t <d>, \n :e .";
        let found = read(text.as_bytes(), "https://a.example/", 100).unwrap();
        let places: Vec<(&str, u64)> = found
            .iter()
            .map(|statement| (vocab::local_name(statement.predicate()), statement.line.unwrap()))
            .collect();
        let expected = [("p", 3), ("q", 5), ("r", 7), ("s", 7), ("t", 8), ("t", 9)];
        let (mut places, mut expected) = (places, expected.to_vec());
        places.sort_unstable();
        expected.sort_unstable();
        assert_eq!(places, expected);
    }

    #[test]
    fn a_text_of_many_lines_is_read_in_growing_steps() {
        let long = format!("<#a> <#p> \"\"\"{}\"\"\" .\n<#b> <#q> <#c> .", "x\n".repeat(100_000));
        let found = read(long.as_bytes(), "https://a.example/", 100).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(read(long.as_bytes(), "https://a.example/", 1), Err(Unreadable::TooMany));
        assert_eq!(read(b"", "no IRI", 1), Err(Unreadable::Base));
        let broken = read(b"<#a> <#b> <#c> .\n<#a> oops", "https://a.example/", 9);
        assert!(matches!(broken, Err(Unreadable::Syntax { line: 2, .. })), "{broken:?}");
    }
}
