//! Puts the patterns of a query into a good order, by how many rows of the index they really match.
//!
//! The evaluator's optimizer knows no counts: it assumes a million triples for every predicate. Where patterns are
//! simply joined, this module decides the order itself and says so with lateral joins, which the optimizer keeps.
//! Unconnected patterns become nested loops: slower than a hash table, but they need no memory and stop when told.
//! Patterns whose variables may come bound from outside (`OPTIONAL`, `EXISTS`, joins with sub-queries) are left to the
//! optimizer, which knows what is bound there.
//!
//! Only the order depends on counts of rows that the caller may not see, never the answer.

use oxrdf::{Term, Variable};
use rustc_hash::FxHashSet;
use spargebra::Query;
use spargebra::algebra::GraphPattern;
use spargebra::term::{GroundTerm, NamedNodePattern, TermPattern, TriplePattern};

use crate::index::{Bounds, IndexSnapshot, TermId};

/// Rows that a bound subject is assumed to leave of a predicate's.
const PER_SUBJECT: usize = 10;
/// Rows that a bound object is assumed to leave of a predicate's.
const PER_OBJECT: usize = 1_000;

/// Orders the patterns of a query.
#[must_use]
pub fn order(mut query: Query, snapshot: &IndexSnapshot) -> Query {
    let pattern = match &mut query {
        Query::Select { pattern, .. }
        | Query::Construct { pattern, .. }
        | Query::Describe { pattern, .. }
        | Query::Ask { pattern, .. } => pattern,
    };
    *pattern = order_pattern(std::mem::take(pattern), snapshot);
    query
}

/// Orders a pattern of which no variable is bound from outside.
fn order_pattern(pattern: GraphPattern, snapshot: &IndexSnapshot) -> GraphPattern {
    let inside = |inner: Box<GraphPattern>| Box::new(order_pattern(*inner, snapshot));
    match pattern {
        GraphPattern::Bgp { .. } | GraphPattern::Join { .. } => order_join(pattern, snapshot),
        GraphPattern::LeftJoin {
            left,
            right,
            expression,
        } => GraphPattern::LeftJoin {
            left: inside(left),
            right,
            expression,
        },
        GraphPattern::Minus { left, right } => GraphPattern::Minus {
            left: inside(left),
            right,
        },
        GraphPattern::Union { left, right } => GraphPattern::Union {
            left: inside(left),
            right: inside(right),
        },
        GraphPattern::Filter { expr, inner } => GraphPattern::Filter {
            expr,
            inner: inside(inner),
        },
        GraphPattern::Extend {
            inner,
            variable,
            expression,
        } => GraphPattern::Extend {
            inner: inside(inner),
            variable,
            expression,
        },
        GraphPattern::Graph { name, inner } => GraphPattern::Graph {
            name,
            inner: inside(inner),
        },
        GraphPattern::OrderBy { inner, expression } => GraphPattern::OrderBy {
            inner: inside(inner),
            expression,
        },
        GraphPattern::Project { inner, variables } => GraphPattern::Project {
            inner: inside(inner),
            variables,
        },
        GraphPattern::Distinct { inner } => GraphPattern::Distinct { inner: inside(inner) },
        GraphPattern::Reduced { inner } => GraphPattern::Reduced { inner: inside(inner) },
        GraphPattern::Slice { inner, start, length } => GraphPattern::Slice {
            inner: inside(inner),
            start,
            length,
        },
        GraphPattern::Group {
            inner,
            variables,
            aggregates,
        } => GraphPattern::Group {
            inner: inside(inner),
            variables,
            aggregates,
        },
        other => other,
    }
}

/// A part of a join that this module can place.
struct Part {
    pattern: GraphPattern,
    variables: FxHashSet<String>,
    /// For a triple pattern: rows that match its constants, and which of its ends are variables.
    rows: usize,
    subject: Option<String>,
    object: Option<String>,
}

fn order_join(pattern: GraphPattern, snapshot: &IndexSnapshot) -> GraphPattern {
    let mut parts = Vec::new();
    if !collect(&pattern, snapshot, &mut parts) || parts.len() < 2 {
        return pattern;
    }
    let mut bound: FxHashSet<String> = FxHashSet::default();
    let mut chain: Option<GraphPattern> = None;
    while let Some(next) = best(&parts, &bound) {
        let part = parts.swap_remove(next);
        bound.extend(part.variables);
        chain = Some(match chain {
            None => part.pattern,
            Some(left) => GraphPattern::Lateral {
                left: Box::new(left),
                right: Box::new(part.pattern),
            },
        });
    }
    chain.unwrap_or(pattern)
}

/// The part to place next: connected to what is bound if possible, with the fewest expected rows.
fn best(parts: &[Part], bound: &FxHashSet<String>) -> Option<usize> {
    let key = |part: &Part| {
        let connected = bound.is_empty() || part.variables.is_empty() || !part.variables.is_disjoint(bound);
        (!connected, part.expected(bound), part.rows)
    };
    parts
        .iter()
        .enumerate()
        .min_by_key(|(_, part)| key(part))
        .map(|(position, _)| position)
}

impl Part {
    fn expected(&self, bound: &FxHashSet<String>) -> usize {
        let is_bound = |end: &Option<String>| end.as_ref().is_some_and(|variable| bound.contains(variable));
        match (is_bound(&self.subject), is_bound(&self.object)) {
            (true, true) => self.rows.min(1),
            (true, false) if self.object.is_none() => self.rows.min(1),
            (true, false) => self.rows.min(PER_SUBJECT),
            (false, true) => self.rows.min(PER_OBJECT),
            (false, false) => self.rows,
        }
    }
}

/// Takes a join apart; false if it holds anything but triple patterns and inline data.
fn collect(pattern: &GraphPattern, snapshot: &IndexSnapshot, parts: &mut Vec<Part>) -> bool {
    match pattern {
        GraphPattern::Join { left, right } => collect(left, snapshot, parts) && collect(right, snapshot, parts),
        GraphPattern::Bgp { patterns } => {
            parts.extend(patterns.iter().map(|pattern| triple_part(pattern, snapshot)));
            true
        }
        // As the counting of data subjects writes its patterns.
        GraphPattern::Graph { name, inner } => match (&**inner, name) {
            (GraphPattern::Bgp { patterns }, NamedNodePattern::Variable(graph)) => {
                let [triple] = patterns.as_slice() else {
                    return false;
                };
                let mut part = triple_part(triple, snapshot);
                part.variables.insert(graph.as_str().to_owned());
                part.pattern = pattern.clone();
                parts.push(part);
                true
            }
            _ => false,
        },
        GraphPattern::Values { variables, bindings } => {
            // An unbound cell leaves a variable unbound, and then being nested is not the same as being joined.
            let complete = bindings.iter().flatten().all(Option::is_some);
            parts.push(Part {
                pattern: pattern.clone(),
                variables: variables.iter().map(|variable| variable.as_str().to_owned()).collect(),
                rows: bindings.len(),
                subject: None,
                object: None,
            });
            complete
        }
        _ => false,
    }
}

fn triple_part(pattern: &TriplePattern, snapshot: &IndexSnapshot) -> Part {
    let mut variables = FxHashSet::default();
    let subject = variable_of(&pattern.subject, &mut variables);
    let object = variable_of(&pattern.object, &mut variables);
    if let NamedNodePattern::Variable(variable) = &pattern.predicate {
        variables.insert(variable.as_str().to_owned());
    }
    Part {
        rows: rows_of(pattern, snapshot),
        pattern: GraphPattern::Bgp {
            patterns: vec![pattern.clone()],
        },
        variables,
        subject,
        object,
    }
}

/// The variable of a term pattern; blank nodes are variables too. Those inside a triple term are only noted.
fn variable_of(term: &TermPattern, variables: &mut FxHashSet<String>) -> Option<String> {
    let name = match term {
        TermPattern::Variable(variable) => variable.as_str().to_owned(),
        TermPattern::BlankNode(node) => format!("_:{}", node.as_str()),
        TermPattern::Triple(triple) => {
            variable_of(&triple.subject, variables);
            variable_of(&triple.object, variables);
            if let NamedNodePattern::Variable(variable) = &triple.predicate {
                variables.insert(variable.as_str().to_owned());
            }
            return None;
        }
        TermPattern::NamedNode(_) | TermPattern::Literal(_) => return None,
    };
    variables.insert(name.clone());
    Some(name)
}

/// Rows of the index that match the constants of a pattern.
fn rows_of(pattern: &TriplePattern, snapshot: &IndexSnapshot) -> usize {
    let find = |term: Term| {
        let found = snapshot.dictionary().find(term.as_ref());
        found.map(TermId::number).ok_or(())
    };
    let end = |term: &TermPattern| match term {
        TermPattern::NamedNode(node) => find(node.clone().into()).map(Some),
        TermPattern::Literal(literal) => find(literal.clone().into()).map(Some),
        _ => Ok(None),
    };
    let predicate = match &pattern.predicate {
        NamedNodePattern::NamedNode(node) => find(node.clone().into()).map(Some),
        NamedNodePattern::Variable(_) => Ok(None),
    };
    match (end(&pattern.subject), predicate, end(&pattern.object)) {
        (Ok(subject), Ok(predicate), Ok(object)) => snapshot.count(Bounds::for_pattern(subject, predicate, object)),
        // A constant that the index does not hold.
        _ => 0,
    }
}

/// The variables that inline data and triple patterns of a join bind, for those who check plans.
pub(super) fn variables_of_triple(pattern: &TriplePattern) -> FxHashSet<String> {
    let mut variables = FxHashSet::default();
    variable_of(&pattern.subject, &mut variables);
    variable_of(&pattern.object, &mut variables);
    if let NamedNodePattern::Variable(variable) = &pattern.predicate {
        variables.insert(variable.as_str().to_owned());
    }
    variables
}

/// Whether inline data restricts one variable to distinct values, and which.
pub(super) fn single_distinct_values<'a>(
    variables: &'a [Variable],
    bindings: &[Vec<Option<GroundTerm>>],
) -> Option<&'a Variable> {
    let [variable] = variables else {
        return None;
    };
    let mut seen = FxHashSet::default();
    let distinct = bindings
        .iter()
        .all(|row| matches!(row.as_slice(), [Some(term)] if seen.insert(term)));
    distinct.then_some(variable)
}
