//! The text of a request to a member. `spargebra` prints a pattern without all the braces that its meaning needs: a `FILTER` printed
//! in front of another part applies to both when it is read again, because a filter speaks of its whole group (SPARQL 1.1 §5.2.2).
//! A part in front of which nothing stands, joined with what must be a group of its own, is printed with braces; this module puts such
//! joins where they are needed. Nor does it print the braces of arithmetic: `(?a + ?b) / 2` would be read again as `?a + ?b / 2`. A
//! `COALESCE` of one value is that value, and is printed with braces. This module must never change what a pattern means.

use spargebra::Query;
use spargebra::algebra::{AggregateExpression, Expression, GraphPattern, OrderExpression};
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

/// A whole query as text, for people who ask how it is answered.
pub(super) fn whole(query: &Query) -> String {
    let mut query = query.clone();
    let (Query::Select { pattern, .. }
    | Query::Construct { pattern, .. }
    | Query::Describe { pattern, .. }
    | Query::Ask { pattern, .. }) = &mut query;
    let plain = std::mem::replace(pattern, GraphPattern::Bgp { patterns: Vec::new() });
    *pattern = grouped(plain);
    query.to_string()
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

/// A value that an operator stands in front of, or beside another.
fn operand(expression: Expression, alone: bool) -> Box<Expression> {
    let open = match expression {
        Expression::Add(..) | Expression::Subtract(..) | Expression::Multiply(..) | Expression::Divide(..) => true,
        Expression::UnaryPlus(_) | Expression::UnaryMinus(_) | Expression::Not(_) => alone,
        _ => false,
    };
    let spelt = spelt(expression);
    Box::new(if open { Expression::Coalesce(vec![spelt]) } else { spelt })
}

/// The same value, printed so that it is read as the same value again.
fn spelt(expression: Expression) -> Expression {
    use Expression as E;
    let both = |a: Box<E>, b: Box<E>| (Box::new(spelt(*a)), Box::new(spelt(*b)));
    let beside = |a: Box<E>, b: Box<E>| (operand(*a, false), operand(*b, false));
    let pair = |(a, b): (Box<E>, Box<E>), of: fn(Box<E>, Box<E>) -> E| of(a, b);
    let all = |list: Vec<E>| list.into_iter().map(spelt).collect();
    match expression {
        E::Or(a, b) => pair(both(a, b), E::Or),
        E::And(a, b) => pair(both(a, b), E::And),
        E::Equal(a, b) => pair(both(a, b), E::Equal),
        E::SameTerm(a, b) => pair(both(a, b), E::SameTerm),
        E::Greater(a, b) => pair(both(a, b), E::Greater),
        E::GreaterOrEqual(a, b) => pair(both(a, b), E::GreaterOrEqual),
        E::Less(a, b) => pair(both(a, b), E::Less),
        E::LessOrEqual(a, b) => pair(both(a, b), E::LessOrEqual),
        E::Add(a, b) => pair(beside(a, b), E::Add),
        E::Subtract(a, b) => pair(beside(a, b), E::Subtract),
        E::Multiply(a, b) => pair(beside(a, b), E::Multiply),
        E::Divide(a, b) => pair(beside(a, b), E::Divide),
        E::UnaryPlus(a) => E::UnaryPlus(operand(*a, true)),
        E::UnaryMinus(a) => E::UnaryMinus(operand(*a, true)),
        E::Not(a) => E::Not(operand(*a, true)),
        E::In(a, list) => E::In(Box::new(spelt(*a)), all(list)),
        E::FunctionCall(function, list) => E::FunctionCall(function, all(list)),
        E::Coalesce(list) => E::Coalesce(all(list)),
        E::If(a, b, c) => E::If(Box::new(spelt(*a)), Box::new(spelt(*b)), Box::new(spelt(*c))),
        E::Exists(pattern) => E::Exists(Box::new(grouped(*pattern))),
        plain @ (E::NamedNode(_) | E::Literal(_) | E::Variable(_) | E::Bound(_)) => plain,
    }
}

fn order(order: OrderExpression) -> OrderExpression {
    match order {
        OrderExpression::Asc(by) => OrderExpression::Asc(spelt(by)),
        OrderExpression::Desc(by) => OrderExpression::Desc(spelt(by)),
    }
}

fn aggregate(aggregate: AggregateExpression) -> AggregateExpression {
    match aggregate {
        AggregateExpression::FunctionCall { name, expr, distinct } => AggregateExpression::FunctionCall {
            name,
            expr: spelt(expr),
            distinct,
        },
        count @ AggregateExpression::CountSolutions { .. } => count,
    }
}

/// The same pattern with groups and braces where the text needs them.
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
            expression: expression.map(spelt),
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
            expression: spelt(expression),
        },
        GraphPattern::Filter { expr, inner: filtered } => GraphPattern::Filter {
            expr: spelt(expr),
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
            expression: expression.into_iter().map(order).collect(),
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
            aggregates: aggregates
                .into_iter()
                .map(|(name, value)| (name, aggregate(value)))
                .collect(),
        },
        other => other,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use proptest::prelude::*;
    use spargebra::SparqlParser;

    fn expression() -> impl Strategy<Value = Expression> {
        let leaf = prop_oneof![
            (0..3_u8).prop_map(|n| Expression::Variable(Variable::new_unchecked(format!("v{n}")))),
            (-2..3_i64).prop_map(|n| Expression::Literal(n.into())),
        ];
        leaf.prop_recursive(4, 24, 2, |inner| {
            let pair = (inner.clone(), inner.clone(), 0..7_u8).prop_map(|(a, b, kind)| {
                let (a, b) = (Box::new(a), Box::new(b));
                match kind {
                    0 => Expression::Add(a, b),
                    1 => Expression::Subtract(a, b),
                    2 => Expression::Multiply(a, b),
                    3 => Expression::Divide(a, b),
                    4 => Expression::Less(a, b),
                    5 => Expression::And(a, b),
                    _ => Expression::In(a, vec![*b]),
                }
            });
            let one = (inner, 0..4_u8).prop_map(|(a, kind)| match kind {
                0 => Expression::UnaryMinus(Box::new(a)),
                1 => Expression::UnaryPlus(Box::new(a)),
                2 => Expression::Not(Box::new(a)),
                _ => Expression::Coalesce(vec![a]),
            });
            prop_oneof![3 => pair, 1 => one]
        })
    }

    /// The expression that is printed and read again, without what only holds it together.
    fn bare(expression: &Expression) -> String {
        let mut text = format!("{expression:?}");
        while let Some(at) = text.find("Coalesce([") {
            let mut depth = 0_usize;
            let start = at + "Coalesce([".len();
            let end = text[start..]
                .char_indices()
                .find(|(_, c)| {
                    depth = match c {
                        '[' => depth + 1,
                        ']' if depth == 0 => return true,
                        ']' => depth - 1,
                        _ => depth,
                    };
                    false
                })
                .map(|(offset, _)| start + offset)
                .unwrap();
            text = format!("{}{}{}", &text[..at], &text[start..end], &text[end + 2..]);
        }
        text
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_again(given in expression()) {
            let pattern = GraphPattern::Filter {
                expr: given.clone(),
                inner: Box::new(GraphPattern::Values {
                    variables: vec![Variable::new_unchecked("v0")],
                    bindings: vec![vec![None]],
                }),
            };
            let text = select(pattern, &[Variable::new_unchecked("v0")]);
            let read = SparqlParser::new().parse_query(&text).unwrap();
            let mut found = None;
            if let Query::Select { pattern: GraphPattern::Project { inner, .. }, .. } = &read
                && let GraphPattern::Filter { expr, .. } = &**inner
            {
                found = Some(expr.clone());
            }
            prop_assert_eq!(found.as_ref().map(bare), Some(bare(&given)), "{}", text);
        }
    }
}
