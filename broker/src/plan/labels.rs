//! Where blank nodes would have to keep their labels over two requests. Labels mean nothing outside the answer they came in
//! (SPARQL 1.1 Query Results JSON §3.2.2), so a query that compares blank nodes of one source, fetched by two sub-plans, can be
//! answered only over triples that were fetched together. Must never say "no" where such a comparison can happen.

use super::expression::{self, order_expression};
use super::local::Local;
use super::rewrite::Planner;
use spargebra::algebra::{AggregateExpression, AggregateFunction, Expression, Function, GraphPattern};
use spargebra::term::Variable;
use std::collections::BTreeSet;

impl Planner<'_> {
    /// Whether the residual query compares blank nodes of one source over two requests: then only merging everything is right.
    pub(super) fn must_merge_everything(&mut self, residual: &GraphPattern) -> bool {
        let leaves: Vec<&Local> = self
            .shipped
            .iter()
            .map(|(_, local)| local)
            .chain(&self.merged)
            .collect();
        let shipped = self.shipped.len();
        let compared = compared(residual);
        for (i, a) in leaves.iter().enumerate() {
            for (j, b) in leaves.iter().enumerate().skip(i + 1) {
                if i >= shipped && j >= shipped {
                    continue; // one request per source: labels hang together
                }
                if meet(a, b, &compared) {
                    self.evidence
                        .push("blank nodes may connect two parts: all triples are fetched and merged".to_owned());
                    return true;
                }
            }
        }
        false
    }
}

/// Whether two parts hold variables, the same one or two that are compared, where one source can put a blank node in both.
fn meet(a: &Local, b: &Local, compared: &[BTreeSet<Variable>]) -> bool {
    a.vars
        .intersection(&b.vars)
        .any(|variable| a.shares_blank_nodes(variable, b, variable))
        || compared.iter().any(|set| {
            a.vars.intersection(set).any(|own| {
                b.vars
                    .intersection(set)
                    .any(|other| a.shares_blank_nodes(own, b, other))
            })
        })
}

/// Sets of variables whose values the expressions of a pattern compare, as terms, or copy to one another.
fn compared(pattern: &GraphPattern) -> Vec<BTreeSet<Variable>> {
    let mut found = Vec::new();
    in_pattern(pattern, &mut found);
    let mut sets: Vec<BTreeSet<Variable>> = Vec::new();
    for mut set in found.into_iter().filter(|set| set.len() > 1) {
        sets.retain(|other| {
            let apart = other.is_disjoint(&set);
            if !apart {
                set.extend(other.iter().cloned());
            }
            apart
        });
        sets.push(set);
    }
    sets
}

fn in_expression(given: &Expression, found: &mut Vec<BTreeSet<Variable>>) {
    expression::walk(given, &mut |part| match part {
        Expression::Equal(..)
        | Expression::SameTerm(..)
        | Expression::In(..)
        | Expression::If(..)
        | Expression::Coalesce(_) => found.push(expression::variables(part)),
        Expression::Exists(inner) => in_pattern(inner, found),
        _ => {}
    });
}

/// An expression whose value gets a name: where it hands a term on unchanged, the name stands for any of its variables.
fn named(variable: &Variable, given: &Expression, found: &mut Vec<BTreeSet<Variable>>) {
    in_expression(given, found);
    let hands_on = matches!(
        given,
        Expression::Variable(_)
            | Expression::If(..)
            | Expression::Coalesce(_)
            | Expression::FunctionCall(
                Function::Subject | Function::Predicate | Function::Object | Function::Triple | Function::Custom(_),
                _
            )
    );
    if hands_on {
        let mut set = expression::variables(given);
        set.insert(variable.clone());
        found.push(set);
    }
}

fn in_pattern(pattern: &GraphPattern, found: &mut Vec<BTreeSet<Variable>>) {
    match pattern {
        GraphPattern::Bgp { .. } | GraphPattern::Path { .. } | GraphPattern::Values { .. } => {}
        GraphPattern::Join { left, right }
        | GraphPattern::Lateral { left, right }
        | GraphPattern::Union { left, right }
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
            if let Some(expression) = expression {
                in_expression(expression, found);
            }
        }
        GraphPattern::Filter { expr, inner } => {
            in_expression(expr, found);
            in_pattern(inner, found);
        }
        GraphPattern::Extend {
            inner,
            variable,
            expression,
        } => {
            named(variable, expression, found);
            in_pattern(inner, found);
        }
        GraphPattern::OrderBy { inner, expression } => {
            for order in expression {
                in_expression(order_expression(order), found);
            }
            in_pattern(inner, found);
        }
        GraphPattern::Group { inner, aggregates, .. } => {
            for (variable, aggregate) in aggregates {
                match aggregate {
                    AggregateExpression::CountSolutions { .. } => {}
                    AggregateExpression::FunctionCall {
                        name: AggregateFunction::Min | AggregateFunction::Max | AggregateFunction::Sample,
                        expr,
                        ..
                    } => named(variable, expr, found),
                    AggregateExpression::FunctionCall { expr, .. } => in_expression(expr, found),
                }
            }
            in_pattern(inner, found);
        }
        GraphPattern::Graph { inner, .. }
        | GraphPattern::Service { inner, .. }
        | GraphPattern::Project { inner, .. }
        | GraphPattern::Distinct { inner }
        | GraphPattern::Reduced { inner }
        | GraphPattern::Slice { inner, .. } => in_pattern(inner, found),
    }
}
