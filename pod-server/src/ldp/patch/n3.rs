//! Reading an N3 Patch document (Solid Protocol §5.3.1; solid#33-37).

use std::collections::{HashMap, HashSet};

use oxrdf::vocab::rdf;
use oxrdf::{GraphName, NamedNode, Term};
use oxttl::N3Parser;
use oxttl::n3::{N3Quad, N3Term};
use policies::written::Written;

use super::super::nesting::{self, Grammar};
use super::{Change, Patch, PatternTerm, Solutions, TriplePattern};
use crate::error::Error;

const SOLID: &str = "http://www.w3.org/ns/solid/terms#";

/// Reads an N3 Patch. Relative IRIs resolve against `base`, the target's IRI.
///
/// # Errors
/// [`Error::Malformed`] with line and column for what is not N3; [`Error::Unprocessable`] for N3 that breaks a rule of
/// patch documents (solid#37).
pub fn parse_n3(bytes: &[u8], base: &str, nesting_max: u32) -> Result<Patch, Error> {
    nesting::check(bytes, Grammar::Turtle, nesting_max).map_err(|error| Error::Malformed {
        kind: "malformed-patch",
        line: error.line,
        column: 1,
        message: error.to_string(),
    })?;
    let parser = N3Parser::new()
        .with_base_iri(base)
        .map_err(|error| Error::Internal(format!("`{base}` is no base IRI: {error}")))?;
    let (mut statements, mut written) = (Vec::new(), Written::of(bytes.len()));
    let mut formulae: HashMap<String, Vec<N3Quad>> = HashMap::new();
    for quad in parser.for_slice(bytes) {
        let quad = quad.map_err(|error| {
            let start = error.location().start;
            Error::Malformed {
                kind: "malformed-patch",
                line: start.line + 1,
                column: start.column + 1,
                message: error.message().to_owned(),
            }
        })?;
        written.takes_bytes(bytes_of(&quad)).map_err(|error| Error::Malformed {
            kind: "malformed-patch",
            line: 1,
            column: 1,
            message: error.to_string(),
        })?;
        match &quad.graph_name {
            GraphName::DefaultGraph => statements.push(quad),
            GraphName::BlankNode(formula) => formulae.entry(formula.as_str().to_owned()).or_default().push(quad),
            GraphName::NamedNode(_) => return Err(invalid("a formula must not be named")),
        }
    }
    check_flat(&statements, &formulae)?;
    build(&statements, &formulae)
}

/// Bytes of the terms of a statement.
fn bytes_of(quad: &N3Quad) -> usize {
    let term = |term: &N3Term| match term {
        N3Term::NamedNode(node) => node.as_str().len(),
        N3Term::BlankNode(node) => node.as_str().len(),
        N3Term::Variable(variable) => variable.as_str().len(),
        N3Term::Literal(literal) => literal.value().len() + literal.datatype().as_str().len(),
        other => other.to_string().len(),
    };
    [&quad.subject, &quad.predicate, &quad.object]
        .into_iter()
        .map(term)
        .sum()
}

/// A formula is a value of a statement around the formulae, and never part of another formula (solid#34).
fn check_flat(statements: &[N3Quad], formulae: &HashMap<String, Vec<N3Quad>>) -> Result<(), Error> {
    let values: HashSet<&str> = statements
        .iter()
        .filter_map(|quad| match &quad.object {
            N3Term::BlankNode(node) => Some(node.as_str()),
            _ => None,
        })
        .collect();
    if formulae.keys().any(|formula| !values.contains(formula.as_str())) {
        return Err(invalid("a formula must hold triples only, and no other formula"));
    }
    Ok(())
}

fn build(statements: &[N3Quad], formulae: &HashMap<String, Vec<N3Quad>>) -> Result<Patch, Error> {
    let patch = patch_resource(statements)?;
    let conditions = patterns(formula(statements, &patch, "where", formulae)?)?;
    let deletions = patterns(formula(statements, &patch, "deletes", formulae)?)?;
    let insertions = patterns(formula(statements, &patch, "inserts", formulae)?)?;
    let known: HashSet<_> = conditions.iter().flat_map(variables).collect();
    for pattern in deletions.iter().chain(&insertions) {
        if let Some(unknown) = variables(pattern).find(|variable| !known.contains(variable)) {
            return Err(invalid(&format!(
                "the variable `{unknown}` does not occur in `solid:where`"
            )));
        }
    }
    if deletions.iter().any(|pattern| blanks(pattern).next().is_some()) {
        return Err(invalid("`solid:deletes` must not hold blank nodes"));
    }
    // A label means one node in the whole document, so a shared one would tie an insertion to what a condition found.
    let elsewhere: HashSet<_> = conditions.iter().flat_map(blanks).collect();
    if insertions
        .iter()
        .flat_map(blanks)
        .any(|label| elsewhere.contains(label) || outside(statements, label))
    {
        return Err(invalid(
            "a blank node of `solid:inserts` must not occur anywhere else in the patch",
        ));
    }
    Ok(Patch {
        changes: vec![Change {
            conditions,
            deletions,
            insertions,
            solutions: Solutions::One,
            deletions_must_exist: true,
        }],
    })
}

/// The one subject that is a `solid:InsertDeletePatch`.
fn patch_resource(statements: &[N3Quad]) -> Result<N3Term, Error> {
    let mut found: Option<&N3Term> = None;
    for quad in statements {
        if quad.predicate == named(rdf::TYPE.as_str()) && quad.object == named(&format!("{SOLID}InsertDeletePatch")) {
            if found.is_some_and(|found| *found != quad.subject) {
                return Err(invalid("the document holds more than one patch"));
            }
            found = Some(&quad.subject);
        }
    }
    let found = found.ok_or_else(|| invalid("the document holds no `solid:InsertDeletePatch`"))?;
    for property in ["where", "deletes", "inserts"] {
        let property = named(&format!("{SOLID}{property}"));
        if statements
            .iter()
            .any(|quad| quad.predicate == property && quad.subject != *found)
        {
            return Err(invalid("the document holds more than one patch"));
        }
    }
    Ok(found.clone())
}

/// The statements of the formula that a property of the patch points to; none if it has no such property.
fn formula<'f>(
    statements: &[N3Quad],
    patch: &N3Term,
    property: &str,
    formulae: &'f HashMap<String, Vec<N3Quad>>,
) -> Result<&'f [N3Quad], Error> {
    let predicate = named(&format!("{SOLID}{property}"));
    let mut objects = statements
        .iter()
        .filter(|quad| quad.subject == *patch && quad.predicate == predicate);
    let Some(first) = objects.next() else {
        return Ok(&[]);
    };
    if objects.next().is_some() {
        return Err(invalid(&format!("the patch has more than one `solid:{property}`")));
    }
    match &first.object {
        // An empty formula `{}` has no statements and therefore no entry.
        N3Term::BlankNode(label) => Ok(formulae.get(label.as_str()).map_or(&[], Vec::as_slice)),
        _ => Err(invalid(&format!("the value of `solid:{property}` must be a formula"))),
    }
}

fn patterns(quads: &[N3Quad]) -> Result<Vec<TriplePattern>, Error> {
    let mut patterns = Vec::with_capacity(quads.len());
    for quad in quads {
        let predicate = pattern_term(&quad.predicate)?;
        if matches!(predicate, PatternTerm::Blank(_)) || is_literal(&predicate) {
            return Err(invalid("a predicate must be an IRI or a variable"));
        }
        let subject = pattern_term(&quad.subject)?;
        if is_literal(&subject) {
            return Err(invalid("a subject must not be a literal"));
        }
        patterns.push(TriplePattern {
            subject,
            predicate,
            object: pattern_term(&quad.object)?,
        });
    }
    Ok(patterns)
}

fn pattern_term(term: &N3Term) -> Result<PatternTerm, Error> {
    match term {
        N3Term::NamedNode(node) => Ok(node.clone().into()),
        N3Term::Literal(literal) => Ok(literal.clone().into()),
        N3Term::BlankNode(node) => Ok(PatternTerm::Blank(node.clone())),
        N3Term::Variable(variable) => Ok(PatternTerm::Variable(variable.clone())),
        N3Term::Triple(_) => Err(invalid("triple terms cannot be patched")),
    }
}

fn is_literal(term: &PatternTerm) -> bool {
    matches!(term, PatternTerm::Constant(Term::Literal(_)))
}

fn terms(pattern: &TriplePattern) -> [&PatternTerm; 3] {
    [&pattern.subject, &pattern.predicate, &pattern.object]
}

fn variables(pattern: &TriplePattern) -> impl Iterator<Item = &oxrdf::Variable> {
    terms(pattern).into_iter().filter_map(|term| match term {
        PatternTerm::Variable(variable) => Some(variable),
        _ => None,
    })
}

fn blanks(pattern: &TriplePattern) -> impl Iterator<Item = &oxrdf::BlankNode> {
    terms(pattern).into_iter().filter_map(|term| match term {
        PatternTerm::Blank(node) => Some(node),
        _ => None,
    })
}

/// Whether a blank node occurs in the statements around the formulae.
fn outside(statements: &[N3Quad], label: &oxrdf::BlankNode) -> bool {
    let label = N3Term::BlankNode(label.clone());
    statements
        .iter()
        .any(|quad| quad.subject == label || quad.object == label)
}

fn named(iri: &str) -> N3Term {
    N3Term::NamedNode(NamedNode::new_unchecked(iri))
}

fn invalid(detail: &str) -> Error {
    Error::Unprocessable {
        kind: "invalid-patch",
        detail: detail.to_owned(),
    }
}
