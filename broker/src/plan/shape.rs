//! Structural questions about patterns, answered without looking at any source.

use super::expression::{self, has_exists, is_stable, order_expression};
use super::local::{Local, join_patterns};
use crate::source::{Column, Token, ValueSet};
use spargebra::algebra::{AggregateExpression, Expression, GraphPattern, OrderExpression};
use spargebra::term::{NamedNodePattern, TermPattern, Variable};
use std::collections::BTreeSet;

/// Operators that a single source can evaluate whole and several sources cannot.
pub(super) fn gains_at_one_source(pattern: &GraphPattern) -> bool {
    matches!(
        pattern,
        GraphPattern::Path { .. }
            | GraphPattern::Graph { .. }
            | GraphPattern::Slice { .. }
            | GraphPattern::OrderBy { .. }
            | GraphPattern::Group { .. }
            | GraphPattern::Distinct { .. }
    )
}

/// Whether every solution comes from a triple that matched. Where none is looked at, as in a table or a count of nothing inside `GRAPH ?g`,
/// there are engines that leave the graph's variable unbound.
fn always_matches_triples(pattern: &GraphPattern) -> bool {
    match pattern {
        GraphPattern::Bgp { patterns } => !patterns.is_empty(),
        GraphPattern::Join { left, right } => always_matches_triples(left) || always_matches_triples(right),
        GraphPattern::Union { left, right } => always_matches_triples(left) && always_matches_triples(right),
        GraphPattern::LeftJoin { left, .. } | GraphPattern::Minus { left, .. } => always_matches_triples(left),
        GraphPattern::Filter { inner, .. } | GraphPattern::Extend { inner, .. } => always_matches_triples(inner),
        _ => false,
    }
}

/// Whether a pattern means the same wherever it is evaluated.
pub(super) fn pushable(pattern: &GraphPattern) -> bool {
    let stable = |e: &Expression| {
        let mut inside = true;
        expression::walk(e, &mut |part| {
            if let Expression::Exists(inner) = part {
                inside &= pushable(inner);
            }
        });
        inside && is_stable(e)
    };
    match pattern {
        GraphPattern::Bgp { .. } | GraphPattern::Path { .. } | GraphPattern::Values { .. } => true,
        GraphPattern::Service { .. } | GraphPattern::Lateral { .. } => false,
        GraphPattern::Join { left, right }
        | GraphPattern::Union { left, right }
        | GraphPattern::Minus { left, right } => pushable(left) && pushable(right),
        GraphPattern::LeftJoin {
            left,
            right,
            expression,
        } => pushable(left) && pushable(right) && expression.as_ref().is_none_or(stable),
        GraphPattern::Filter { expr, inner } => stable(expr) && pushable(inner),
        GraphPattern::Extend { expression, inner, .. } => stable(expression) && pushable(inner),
        GraphPattern::OrderBy { inner, expression } => {
            expression.iter().all(|order| stable(order_expression(order))) && pushable(inner)
        }
        GraphPattern::Graph { inner, .. }
        | GraphPattern::Project { inner, .. }
        | GraphPattern::Distinct { inner }
        | GraphPattern::Reduced { inner }
        | GraphPattern::Slice { inner, .. } => pushable(inner),
        GraphPattern::Group { inner, aggregates, .. } => {
            pushable(inner)
                && aggregates.iter().all(|(_, aggregate)| match aggregate {
                    AggregateExpression::CountSolutions { .. } => true,
                    AggregateExpression::FunctionCall { expr, .. } => stable(expr),
                })
        }
    }
}

/// Whether every triple pattern below takes part in every solution.
pub(super) fn flat(pattern: &GraphPattern) -> bool {
    match pattern {
        GraphPattern::Bgp { .. } => true,
        GraphPattern::Join { left, right } => flat(left) && flat(right),
        GraphPattern::Filter { expr, inner } => !has_exists(expr) && flat(inner),
        GraphPattern::Extend { inner, .. }
        | GraphPattern::OrderBy { inner, .. }
        | GraphPattern::Slice { inner, .. } => flat(inner),
        GraphPattern::Distinct { inner } => flat(inner),
        _ => false,
    }
}

/// Whether every row of a pattern stands for a group.
pub(super) fn aggregates(pattern: &GraphPattern) -> bool {
    match pattern {
        GraphPattern::Group { .. } => true,
        GraphPattern::Extend { inner, .. }
        | GraphPattern::Filter { inner, .. }
        | GraphPattern::Project { inner, .. }
        | GraphPattern::OrderBy { inner, .. }
        | GraphPattern::Distinct { inner }
        | GraphPattern::Reduced { inner }
        | GraphPattern::Slice { inner, .. } => aggregates(inner),
        _ => false,
    }
}

/// Variables in scope.
pub(super) fn in_scope(pattern: &GraphPattern) -> BTreeSet<Variable> {
    let mut found = BTreeSet::new();
    pattern.on_in_scope_variable(|variable| {
        found.insert(variable.clone());
    });
    found
}

/// Variables bound in every solution (a lower bound).
pub(super) fn certain(pattern: &GraphPattern) -> BTreeSet<Variable> {
    match pattern {
        GraphPattern::Bgp { .. } => in_scope(pattern),
        GraphPattern::Path { subject, object, .. } => [subject, object]
            .into_iter()
            .filter_map(|term| match term {
                TermPattern::Variable(variable) => Some(variable.clone()),
                _ => None,
            })
            .collect(),
        GraphPattern::Join { left, right } | GraphPattern::Lateral { left, right } => {
            certain(left).union(&certain(right)).cloned().collect()
        }
        GraphPattern::LeftJoin { left, .. } | GraphPattern::Minus { left, .. } => certain(left),
        GraphPattern::Union { left, right } => certain(left).intersection(&certain(right)).cloned().collect(),
        GraphPattern::Filter { inner, .. }
        | GraphPattern::OrderBy { inner, .. }
        | GraphPattern::Distinct { inner }
        | GraphPattern::Reduced { inner }
        | GraphPattern::Slice { inner, .. } => certain(inner),
        GraphPattern::Extend {
            inner,
            variable,
            expression,
        } => {
            let mut found = certain(inner);
            let bound = match expression {
                Expression::NamedNode(_) | Expression::Literal(_) => true,
                Expression::Variable(other) => found.contains(other),
                _ => false,
            };
            if bound {
                found.insert(variable.clone());
            }
            found
        }
        GraphPattern::Graph { name, inner } => {
            let mut found = certain(inner);
            if let NamedNodePattern::Variable(variable) = name
                && always_matches_triples(inner)
            {
                found.insert(variable.clone());
            }
            found
        }
        GraphPattern::Values { variables, bindings } => variables
            .iter()
            .enumerate()
            .filter(|(column, _)| bindings.iter().all(|row| row.get(*column).is_some_and(Option::is_some)))
            .map(|(_, variable)| variable.clone())
            .collect(),
        GraphPattern::Project { inner, variables } => certain(inner)
            .into_iter()
            .filter(|variable| variables.contains(variable))
            .collect(),
        GraphPattern::Group {
            inner,
            variables,
            aggregates,
        } => {
            let below = certain(inner);
            let counts = aggregates.iter().filter_map(|(variable, aggregate)| match aggregate {
                AggregateExpression::CountSolutions { .. } => Some(variable.clone()),
                AggregateExpression::FunctionCall {
                    name: spargebra::algebra::AggregateFunction::Count,
                    ..
                } => Some(variable.clone()),
                AggregateExpression::FunctionCall { .. } => None,
            });
            variables
                .iter()
                .filter(|variable| below.contains(variable))
                .cloned()
                .chain(counts)
                .collect()
        }
        GraphPattern::Service { .. } => BTreeSet::new(),
    }
}

/// Joins a constant table (or a computed constant) into a part: every source gets the same copy.
pub(super) fn with_table(mut local: Local, table: &GraphPattern) -> Local {
    let bound = certain(table);
    if let GraphPattern::Values { variables, bindings } = table {
        local.restrict(variables, bindings);
        for (column, variable) in variables.iter().enumerate() {
            if !local.vars.contains(variable) {
                let tokens: BTreeSet<Token> = bindings
                    .iter()
                    .filter_map(|row| row.get(column).and_then(Option::as_ref))
                    .map(|term| Token::of_term(&term.clone().into()))
                    .collect();
                let column = Column::same_everywhere(&local.sources, &ValueSet::of(tokens));
                local.values.insert(variable.clone(), column);
            }
        }
    } else {
        for variable in in_scope(table) {
            if !local.certain.contains(&variable) {
                local.values.remove(&variable);
            }
        }
    }
    local.vars.extend(in_scope(table));
    local.certain.extend(bound);
    local.pattern = join_patterns(table.clone(), local.pattern);
    local
}

/// Adds a computed column to a part.
pub(super) fn extended(mut local: Local, variable: &Variable, expression: &Expression) -> Local {
    let column = match expression {
        Expression::Variable(other) => local.values.get(other).cloned(),
        other => {
            let set = expression::computed_values(other);
            Some(Column::same_everywhere(&local.sources, &set))
        }
    };
    let bound = match expression {
        Expression::Variable(other) => local.certain.contains(other),
        Expression::NamedNode(_) | Expression::Literal(_) => true,
        _ => false,
    };
    match column {
        Some(column) => local.values.insert(variable.clone(), column),
        None => local.values.remove(variable),
    };
    local.vars.insert(variable.clone());
    if bound {
        local.certain.insert(variable.clone());
    }
    local.pattern = GraphPattern::Extend {
        inner: Box::new(local.pattern),
        variable: variable.clone(),
        expression: expression.clone(),
    };
    local
}

/// One solution modifier between `LIMIT` and the body of a query.
#[derive(Debug, Clone)]
pub(super) enum Modifier {
    /// `SELECT` list.
    Project(Vec<Variable>),
    /// `DISTINCT`.
    Distinct,
    /// `REDUCED`.
    Reduced,
    /// `ORDER BY`.
    OrderBy(Vec<OrderExpression>),
}

/// Splits modifiers (outermost first) from the body.
pub(super) fn modifiers(pattern: &GraphPattern) -> (Vec<Modifier>, &GraphPattern) {
    let mut chain = Vec::new();
    let mut at = pattern;
    loop {
        at = match at {
            GraphPattern::Project { inner, variables } => {
                chain.push(Modifier::Project(variables.clone()));
                inner
            }
            GraphPattern::Distinct { inner } => {
                chain.push(Modifier::Distinct);
                inner
            }
            GraphPattern::Reduced { inner } => {
                chain.push(Modifier::Reduced);
                inner
            }
            GraphPattern::OrderBy { inner, expression } => {
                chain.push(Modifier::OrderBy(expression.clone()));
                inner
            }
            _ => return (chain, at),
        };
    }
}

/// Puts modifiers back on a body.
pub(super) fn rebuild(chain: &[Modifier], body: GraphPattern) -> GraphPattern {
    chain.iter().rev().fold(body, |inner, modifier| {
        let inner = Box::new(inner);
        match modifier {
            Modifier::Project(variables) => GraphPattern::Project {
                inner,
                variables: variables.clone(),
            },
            Modifier::Distinct => GraphPattern::Distinct { inner },
            Modifier::Reduced => GraphPattern::Reduced { inner },
            Modifier::OrderBy(expression) => GraphPattern::OrderBy {
                inner,
                expression: expression.clone(),
            },
        }
    })
}

/// Variables that the order depends on.
pub(super) fn order_variables(chain: &[Modifier]) -> BTreeSet<Variable> {
    chain
        .iter()
        .filter_map(|modifier| match modifier {
            Modifier::OrderBy(criteria) => Some(criteria),
            _ => None,
        })
        .flatten()
        .flat_map(|order| expression::variables(order_expression(order)))
        .collect()
}

/// Whether a source can sort and cut for us: stable criteria, and no `DISTINCT` over fewer columns than the order needs.
pub(super) fn order_is_movable(chain: &[Modifier]) -> bool {
    let wanted = order_variables(chain);
    let distinct = chain
        .iter()
        .any(|modifier| matches!(modifier, Modifier::Distinct | Modifier::Reduced));
    let projects = chain
        .iter()
        .filter(|modifier| matches!(modifier, Modifier::Project(_)))
        .count();
    projects <= 1
        && chain.iter().all(|modifier| match modifier {
            Modifier::OrderBy(criteria) => criteria
                .iter()
                .map(order_expression)
                .all(|e| is_stable(e) && !has_exists(e)),
            Modifier::Project(variables) => !distinct || wanted.iter().all(|variable| variables.contains(variable)),
            Modifier::Distinct | Modifier::Reduced => true,
        })
}

/// Gives a pushed `SELECT` more columns.
pub(super) fn widen(pattern: GraphPattern, columns: &BTreeSet<Variable>) -> GraphPattern {
    match pattern {
        GraphPattern::Slice { inner, start, length } => GraphPattern::Slice {
            inner: Box::new(widen(*inner, columns)),
            start,
            length,
        },
        GraphPattern::Distinct { inner } => GraphPattern::Distinct {
            inner: Box::new(widen(*inner, columns)),
        },
        GraphPattern::Reduced { inner } => GraphPattern::Reduced {
            inner: Box::new(widen(*inner, columns)),
        },
        GraphPattern::Project { inner, .. } => GraphPattern::Project {
            inner,
            variables: columns.iter().cloned().collect(),
        },
        other => other,
    }
}
