//! The predicates that a query names, wherever they stand.

use std::collections::BTreeSet;

use oxrdf::NamedNode;
use spargebra::Query;
use spargebra::algebra::{AggregateExpression, Expression, GraphPattern, OrderExpression, PropertyPathExpression};
use spargebra::term::{NamedNodePattern, TermPattern, TriplePattern};

/// The predicates of all triple patterns and paths that are matched; negated sets name what is left out, and do not
/// count, nor do those of a `CONSTRUCT` template.
#[must_use]
pub fn predicates(query: &Query) -> BTreeSet<String> {
    let (Query::Select { pattern, .. }
    | Query::Construct { pattern, .. }
    | Query::Describe { pattern, .. }
    | Query::Ask { pattern, .. }) = query;
    let mut found = BTreeSet::new();
    in_pattern(pattern, &mut found);
    found
}

fn add(node: &NamedNode, found: &mut BTreeSet<String>) {
    if !found.contains(node.as_str()) {
        found.insert(node.as_str().to_owned());
    }
}

fn in_pattern(pattern: &GraphPattern, found: &mut BTreeSet<String>) {
    match pattern {
        GraphPattern::Bgp { patterns } => patterns.iter().for_each(|triple| in_triple(triple, found)),
        GraphPattern::Path { path, .. } => in_path(path, found),
        GraphPattern::Values { .. } => {}
        GraphPattern::Join { left, right }
        | GraphPattern::Union { left, right }
        | GraphPattern::Lateral { left, right }
        | GraphPattern::Minus { left, right } => {
            in_pattern(left, found);
            in_pattern(right, found);
        }
        GraphPattern::LeftJoin {
            left,
            right,
            expression,
        } => {
            in_pattern(left, found);
            in_pattern(right, found);
            expression
                .iter()
                .for_each(|expression| in_expression(expression, found));
        }
        GraphPattern::Filter { expr, inner } => {
            in_expression(expr, found);
            in_pattern(inner, found);
        }
        GraphPattern::Extend { inner, expression, .. } => {
            in_expression(expression, found);
            in_pattern(inner, found);
        }
        GraphPattern::OrderBy { inner, expression } => {
            for part in expression {
                let (OrderExpression::Asc(expression) | OrderExpression::Desc(expression)) = part;
                in_expression(expression, found);
            }
            in_pattern(inner, found);
        }
        GraphPattern::Group { inner, aggregates, .. } => {
            for (_, aggregate) in aggregates {
                if let AggregateExpression::FunctionCall { expr, .. } = aggregate {
                    in_expression(expr, found);
                }
            }
            in_pattern(inner, found);
        }
        GraphPattern::Graph { inner, .. }
        | GraphPattern::Project { inner, .. }
        | GraphPattern::Distinct { inner }
        | GraphPattern::Reduced { inner }
        | GraphPattern::Slice { inner, .. }
        | GraphPattern::Service { inner, .. } => in_pattern(inner, found),
    }
}

fn in_triple(triple: &TriplePattern, found: &mut BTreeSet<String>) {
    if let NamedNodePattern::NamedNode(node) = &triple.predicate {
        add(node, found);
    }
    for term in [&triple.subject, &triple.object] {
        if let TermPattern::Triple(inner) = term {
            in_triple(inner, found);
        }
    }
}

fn in_path(path: &PropertyPathExpression, found: &mut BTreeSet<String>) {
    match path {
        PropertyPathExpression::NamedNode(node) => add(node, found),
        PropertyPathExpression::NegatedPropertySet(_) => {}
        PropertyPathExpression::Reverse(inner)
        | PropertyPathExpression::ZeroOrMore(inner)
        | PropertyPathExpression::OneOrMore(inner)
        | PropertyPathExpression::ZeroOrOne(inner) => in_path(inner, found),
        PropertyPathExpression::Sequence(left, right) | PropertyPathExpression::Alternative(left, right) => {
            in_path(left, found);
            in_path(right, found);
        }
    }
}

fn in_expression(expression: &Expression, found: &mut BTreeSet<String>) {
    match expression {
        Expression::NamedNode(_) | Expression::Literal(_) | Expression::Variable(_) | Expression::Bound(_) => {}
        Expression::Or(a, b)
        | Expression::And(a, b)
        | Expression::Equal(a, b)
        | Expression::SameTerm(a, b)
        | Expression::Greater(a, b)
        | Expression::GreaterOrEqual(a, b)
        | Expression::Less(a, b)
        | Expression::LessOrEqual(a, b)
        | Expression::Add(a, b)
        | Expression::Subtract(a, b)
        | Expression::Multiply(a, b)
        | Expression::Divide(a, b) => {
            in_expression(a, found);
            in_expression(b, found);
        }
        Expression::In(value, list) => {
            in_expression(value, found);
            list.iter().for_each(|item| in_expression(item, found));
        }
        Expression::UnaryPlus(inner) | Expression::UnaryMinus(inner) | Expression::Not(inner) => {
            in_expression(inner, found);
        }
        Expression::Exists(pattern) => in_pattern(pattern, found),
        Expression::If(a, b, c) => [a, b, c].into_iter().for_each(|part| in_expression(part, found)),
        Expression::Coalesce(list) | Expression::FunctionCall(_, list) => {
            list.iter().for_each(|item| in_expression(item, found));
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use spargebra::SparqlParser;

    #[test]
    fn predicates_are_found_everywhere() {
        let query = "PREFIX : <urn:> CONSTRUCT { ?s :template ?o } WHERE {
            ?s :bgp ?o OPTIONAL { ?s :optional ?x FILTER EXISTS { ?s (:path1/^:path2)+ ?y } } MINUS { ?s :minus ?z }
            { SELECT ?s (COUNT(*) AS ?n) { GRAPH ?g { ?s :sub ?p } } GROUP BY ?s (EXISTS { ?s :key ?k } AS ?e) }
            ?s !(:negated) ?w BIND(EXISTS { ?s :bind ?v } AS ?b) }";
        let query = SparqlParser::new().parse_query(query).unwrap();
        let expected =
            ["bgp", "bind", "key", "minus", "optional", "path1", "path2", "sub"].map(|name| format!("urn:{name}"));
        assert_eq!(predicates(&query).into_iter().collect::<Vec<_>>(), expected);
    }
}
