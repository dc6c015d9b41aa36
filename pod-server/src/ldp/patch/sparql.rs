//! Reading the part of SPARQL 1.1 Update that Solid clients send as a patch: `INSERT DATA`, `DELETE DATA`,
//! `DELETE WHERE` and `DELETE`/`INSERT`/`WHERE` with a basic graph pattern, all on the target document.
//!
//! Anything else is refused by its words before the text is parsed: the parser recurses, and long chains of operators
//! would exhaust the stack.

use oxrdf::{NamedOrBlankNode, Term};
use spargebra::algebra::GraphPattern;
use spargebra::term::{
    GraphName, GraphNamePattern, GroundQuad, GroundQuadPattern, GroundTerm, GroundTermPattern, NamedNodePattern, Quad,
    QuadPattern, TermPattern, TriplePattern as SparqlTriple,
};
use spargebra::{GraphUpdateOperation, SparqlParser};

use super::super::nesting::{self, Grammar};
use super::{Change, Patch, PatternTerm, Solutions, TriplePattern};
use crate::error::Error;
use policies::written;

/// Words that a patch may hold outside strings, IRIs and prefixed names.
const WORDS: [&str; 10] = [
    "PREFIX", "BASE", "INSERT", "DELETE", "DATA", "WHERE", "A", "TRUE", "FALSE", "VERSION",
];

/// Reads a SPARQL Update patch. Relative IRIs resolve against `base`, the target's IRI.
///
/// # Errors
/// [`Error::Malformed`] for what is not SPARQL; [`Error::Unprocessable`] for SPARQL that is more than a patch.
pub fn parse_sparql(bytes: &[u8], base: &str, nesting_max: u32) -> Result<Patch, Error> {
    let text = std::str::from_utf8(bytes).map_err(|_| malformed(1, 1, "the patch is not UTF-8".to_owned()))?;
    nesting::check(bytes, Grammar::Turtle, nesting_max).map_err(|error| malformed(error.line, 1, error.to_string()))?;
    written::sparql(text).map_err(|error| malformed(1, 1, error.to_string()))?;
    check_words(text)?;
    let update = SparqlParser::new()
        .with_base_iri(base)
        .map_err(|error| Error::Internal(format!("`{base}` is no base IRI: {error}")))?
        .parse_update(text)
        .map_err(|error| {
            let message = error.to_string();
            let (line, column) = position(&message).unwrap_or((1, 1));
            malformed(line, column, message)
        })?;
    let mut changes = Vec::with_capacity(update.operations.len());
    for operation in update.operations {
        changes.push(change(operation)?);
    }
    Ok(Patch { changes })
}

fn change(operation: GraphUpdateOperation) -> Result<Change, Error> {
    let mut change = Change {
        conditions: Vec::new(),
        deletions: Vec::new(),
        insertions: Vec::new(),
        solutions: Solutions::All,
        deletions_must_exist: false,
    };
    match operation {
        GraphUpdateOperation::InsertData { data } => {
            change.insertions = data.into_iter().map(from_quad).collect::<Result<_, _>>()?;
        }
        GraphUpdateOperation::DeleteData { data } => {
            change.deletions = data.into_iter().map(from_ground_quad).collect::<Result<_, _>>()?;
        }
        GraphUpdateOperation::DeleteInsert {
            delete,
            insert,
            using: None,
            pattern,
        } => {
            change.deletions = delete.into_iter().map(from_ground_pattern).collect::<Result<_, _>>()?;
            change.insertions = insert.into_iter().map(from_quad_pattern).collect::<Result<_, _>>()?;
            match *pattern {
                GraphPattern::Bgp { patterns } => {
                    change.conditions = patterns.into_iter().map(from_triple).collect::<Result<_, _>>()?;
                }
                _ => return Err(unsupported("`WHERE` may hold a basic graph pattern only")),
            }
        }
        _ => {
            return Err(unsupported(
                "only `INSERT` and `DELETE` on the document itself make a patch",
            ));
        }
    }
    Ok(change)
}

fn from_quad(quad: Quad) -> Result<TriplePattern, Error> {
    if quad.graph_name != GraphName::DefaultGraph {
        return Err(no_graphs());
    }
    let subject = match quad.subject {
        NamedOrBlankNode::NamedNode(node) => node.into(),
        NamedOrBlankNode::BlankNode(node) => PatternTerm::Blank(node),
    };
    Ok(TriplePattern {
        subject,
        predicate: quad.predicate.into(),
        object: from_term(quad.object)?,
    })
}

fn from_term(term: Term) -> Result<PatternTerm, Error> {
    match term {
        Term::NamedNode(node) => Ok(node.into()),
        Term::BlankNode(node) => Ok(PatternTerm::Blank(node)),
        Term::Literal(literal) => Ok(literal.into()),
        Term::Triple(_) => Err(no_triple_terms()),
    }
}

fn from_ground_quad(quad: GroundQuad) -> Result<TriplePattern, Error> {
    if quad.graph_name != GraphName::DefaultGraph {
        return Err(no_graphs());
    }
    let object = match quad.object {
        GroundTerm::NamedNode(node) => node.into(),
        GroundTerm::Literal(literal) => literal.into(),
        GroundTerm::Triple(_) => return Err(no_triple_terms()),
    };
    Ok(TriplePattern {
        subject: quad.subject.into(),
        predicate: quad.predicate.into(),
        object,
    })
}

fn from_ground_pattern(quad: GroundQuadPattern) -> Result<TriplePattern, Error> {
    check_graph(&quad.graph_name)?;
    Ok(TriplePattern {
        subject: from_ground_term(quad.subject)?,
        predicate: from_named(quad.predicate),
        object: from_ground_term(quad.object)?,
    })
}

fn from_ground_term(term: GroundTermPattern) -> Result<PatternTerm, Error> {
    match term {
        GroundTermPattern::NamedNode(node) => Ok(node.into()),
        GroundTermPattern::Literal(literal) => Ok(literal.into()),
        GroundTermPattern::Variable(variable) => Ok(PatternTerm::Variable(variable)),
        GroundTermPattern::Triple(_) => Err(no_triple_terms()),
    }
}

fn from_quad_pattern(quad: QuadPattern) -> Result<TriplePattern, Error> {
    check_graph(&quad.graph_name)?;
    from_triple(SparqlTriple {
        subject: quad.subject,
        predicate: quad.predicate,
        object: quad.object,
    })
}

fn from_triple(triple: SparqlTriple) -> Result<TriplePattern, Error> {
    Ok(TriplePattern {
        subject: from_term_pattern(triple.subject)?,
        predicate: from_named(triple.predicate),
        object: from_term_pattern(triple.object)?,
    })
}

fn from_term_pattern(term: TermPattern) -> Result<PatternTerm, Error> {
    match term {
        TermPattern::NamedNode(node) => Ok(node.into()),
        TermPattern::BlankNode(node) => Ok(PatternTerm::Blank(node)),
        TermPattern::Literal(literal) => Ok(literal.into()),
        TermPattern::Variable(variable) => Ok(PatternTerm::Variable(variable)),
        TermPattern::Triple(_) => Err(no_triple_terms()),
    }
}

fn from_named(term: NamedNodePattern) -> PatternTerm {
    match term {
        NamedNodePattern::NamedNode(node) => node.into(),
        NamedNodePattern::Variable(variable) => PatternTerm::Variable(variable),
    }
}

fn check_graph(graph: &GraphNamePattern) -> Result<(), Error> {
    if *graph == GraphNamePattern::DefaultGraph {
        Ok(())
    } else {
        Err(no_graphs())
    }
}

fn no_graphs() -> Error {
    unsupported("a patch changes the target document: named graphs have no place in it")
}

fn no_triple_terms() -> Error {
    unsupported("triple terms cannot be patched")
}

fn unsupported(detail: &str) -> Error {
    Error::Unprocessable {
        kind: "unsupported-patch",
        detail: detail.to_owned(),
    }
}

fn malformed(line: u64, column: u64, message: String) -> Error {
    Error::Malformed {
        kind: "malformed-patch",
        line,
        column,
        message,
    }
}

/// The parser words positions as `error at 3:14: …`.
fn position(message: &str) -> Option<(u64, u64)> {
    let rest = message.split("at ").nth(1)?;
    let (line, rest) = rest.split_once(':')?;
    let column: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some((line.trim().parse().ok()?, column.parse().ok()?))
}

/// Refuses words and operators that no patch needs.
fn check_words(text: &str) -> Result<(), Error> {
    let mut rest = text;
    let mut before = ' ';
    while let Some(character) = rest.chars().next() {
        let skipped = match character {
            '#' => rest.find('\n').unwrap_or(rest.len()),
            '<' => iri_length(rest),
            '"' | '\'' => string_length(rest, character),
            '@' => {
                1 + rest
                    .chars()
                    .skip(1)
                    .take_while(|c| c.is_ascii_alphanumeric() || *c == '-')
                    .count()
            }
            '\\' => rest.char_indices().nth(2).map_or(rest.len(), |(index, _)| index),
            '?' | '$' | ':' => 1 + name_length(rest.get(1..).unwrap_or_default()),
            '_' if rest.starts_with("_:") => 2 + name_length(rest.get(2..).unwrap_or_default()),
            '^' if rest.starts_with("^^") => 2,
            '/' | '|' | '^' | '!' | '*' | '=' | '>' | '&' => {
                return Err(unsupported(&format!(
                    "`{character}` has no place in a patch: property paths and filters are not supported"
                )));
            }
            _ if character.is_alphabetic() => {
                let length = name_length(rest);
                let word = rest.get(..length).unwrap_or_default();
                let is_prefix = rest.get(length..).is_some_and(|after| after.starts_with(':'));
                let is_number = before.is_ascii_digit() || before == '.';
                if !is_prefix && !is_number && !WORDS.iter().any(|known| known.eq_ignore_ascii_case(word)) {
                    return Err(unsupported(&format!("`{word}` has no place in a patch")));
                }
                length
            }
            _ => character.len_utf8(),
        };
        before = character;
        rest = rest.get(skipped.max(character.len_utf8())..).unwrap_or_default();
    }
    Ok(())
}

fn name_length(text: &str) -> usize {
    text.char_indices()
        .find(|(_, c)| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '%' | '.')))
        .map_or(text.len(), |(index, _)| index)
}

fn iri_length(text: &str) -> usize {
    for (index, character) in text.char_indices().skip(1) {
        match character {
            '>' => return index + 1,
            '\0'..=' ' | '<' | '"' | '{' | '}' | '|' | '^' | '`' | '\\' => return 1,
            _ => {}
        }
    }
    1
}

fn string_length(text: &str, quote: char) -> usize {
    let long: String = std::iter::repeat_n(quote, 3).collect();
    let (open, close) = if text.starts_with(&long) {
        (3, long)
    } else {
        (1, quote.to_string())
    };
    let mut index = open;
    while let Some(rest) = text.get(index..) {
        if rest.is_empty() {
            break;
        }
        if rest.starts_with('\\') {
            index += rest.chars().take(2).map(char::len_utf8).sum::<usize>();
        } else if rest.starts_with(&close) {
            return index + close.len();
        } else {
            index += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}
