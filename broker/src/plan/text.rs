//! The text of a request to a member. `spargebra` prints a pattern without all the braces that its meaning needs: a `FILTER` printed
//! in front of another part applies to both when it is read again, because a filter speaks of its whole group (SPARQL 1.1 §5.2.2).
//! A part in front of which nothing stands, joined with what must be a group of its own, is printed with braces; this module puts such
//! joins where they are needed. It must never change what a pattern means.

use spargebra::Query;
use spargebra::algebra::GraphPattern;
use spargebra::term::Variable;

/// A `SELECT` of these columns, as text.
pub(super) fn select(pattern: GraphPattern, variables: &[Variable]) -> String {
    Query::Select {
        dataset: None,
        pattern: GraphPattern::Project {
            inner: Box::new(grouped(pattern)),
            variables: variables.to_vec(),
        },
        base_iri: None,
    }
    .to_string()
}

/// A group of its own: printed as `{ … }`.
fn group(pattern: GraphPattern) -> GraphPattern {
    GraphPattern::Join {
        left: Box::new(GraphPattern::Bgp { patterns: Vec::new() }),
        right: Box::new(pattern),
    }
}

/// A part that others follow in the same group: a filter would reach over to them.
fn leading(pattern: GraphPattern) -> Box<GraphPattern> {
    let pattern = grouped(pattern);
    Box::new(match pattern {
        GraphPattern::Filter { .. } => group(pattern),
        other => other,
    })
}

/// The operands of nested joins, from left to right.
fn operands(pattern: GraphPattern, found: &mut Vec<GraphPattern>) {
    match pattern {
        GraphPattern::Join { left, right } => {
            operands(*left, found);
            operands(*right, found);
        }
        other => found.push(grouped(other)),
    }
}

/// The same pattern with groups where the text needs them. What stands inside an `EXISTS` stays as it is: the planner groups that once,
/// when it reads the query.
pub(super) fn grouped(pattern: GraphPattern) -> GraphPattern {
    let inner = |inner: Box<GraphPattern>| Box::new(grouped(*inner));
    match pattern {
        GraphPattern::Join { .. } => {
            let mut parts = Vec::new();
            operands(pattern, &mut parts);
            // What stands on the right of a join gets its braces from the printer.
            let mut parts = parts.into_iter();
            let first = parts.next().unwrap_or_default();
            let first = if matches!(first, GraphPattern::Filter { .. }) {
                group(first)
            } else {
                first
            };
            parts.fold(first, |left, right| GraphPattern::Join {
                left: Box::new(left),
                right: Box::new(right),
            })
        }
        GraphPattern::LeftJoin {
            left,
            right,
            expression,
        } => GraphPattern::LeftJoin {
            left: leading(*left),
            // A filter that ends the optional group would become a condition of the optional join (§18.2.2.6).
            right: leading(*right),
            expression,
        },
        GraphPattern::Minus { left, right } => GraphPattern::Minus {
            left: leading(*left),
            right: inner(right),
        },
        GraphPattern::Extend {
            inner,
            variable,
            expression,
        } => GraphPattern::Extend {
            inner: leading(*inner),
            variable,
            expression,
        },
        GraphPattern::Filter { expr, inner: filtered } => GraphPattern::Filter {
            expr,
            inner: inner(filtered),
        },
        GraphPattern::Union { left, right } => GraphPattern::Union {
            left: inner(left),
            right: inner(right),
        },
        GraphPattern::Graph { name, inner: own } => GraphPattern::Graph {
            name,
            inner: inner(own),
        },
        GraphPattern::OrderBy { inner: own, expression } => GraphPattern::OrderBy {
            inner: inner(own),
            expression,
        },
        GraphPattern::Project { inner: own, variables } => GraphPattern::Project {
            inner: inner(own),
            variables,
        },
        GraphPattern::Distinct { inner: own } => GraphPattern::Distinct { inner: inner(own) },
        GraphPattern::Reduced { inner: own } => GraphPattern::Reduced { inner: inner(own) },
        GraphPattern::Slice {
            inner: own,
            start,
            length,
        } => GraphPattern::Slice {
            inner: inner(own),
            start,
            length,
        },
        GraphPattern::Group {
            inner: own,
            variables,
            aggregates,
        } => GraphPattern::Group {
            inner: inner(own),
            variables,
            aggregates,
        },
        other => other,
    }
}
