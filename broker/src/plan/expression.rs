//! What the planner must know about expressions: their variables, whether they may run elsewhere, and which filters are really
//! a short list of constants.

use crate::source::{Token, ValueSet};
use spargebra::algebra::{Expression, Function, GraphPattern};
use spargebra::term::{GroundTerm, Variable};
use std::collections::BTreeSet;

/// Calls `visit` on an expression and everything below it, without entering `EXISTS`.
pub(crate) fn walk<'a>(expression: &'a Expression, visit: &mut dyn FnMut(&'a Expression)) {
    visit(expression);
    match expression {
        Expression::NamedNode(_)
        | Expression::Literal(_)
        | Expression::Variable(_)
        | Expression::Bound(_)
        | Expression::Exists(_) => {}
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
            walk(a, visit);
            walk(b, visit);
        }
        Expression::UnaryPlus(a) | Expression::UnaryMinus(a) | Expression::Not(a) => walk(a, visit),
        Expression::If(a, b, c) => {
            walk(a, visit);
            walk(b, visit);
            walk(c, visit);
        }
        Expression::In(a, list) => {
            walk(a, visit);
            for item in list {
                walk(item, visit);
            }
        }
        Expression::Coalesce(list) | Expression::FunctionCall(_, list) => {
            for item in list {
                walk(item, visit);
            }
        }
    }
}

/// Variables that an expression mentions; those inside `EXISTS` included.
pub(crate) fn variables(expression: &Expression) -> BTreeSet<Variable> {
    let mut found = BTreeSet::new();
    walk(expression, &mut |part| match part {
        Expression::Variable(variable) | Expression::Bound(variable) => {
            found.insert(variable.clone());
        }
        Expression::Exists(pattern) => mentioned(pattern, &mut found),
        _ => {}
    });
    found
}

/// Whether an expression contains `EXISTS`.
pub(crate) fn has_exists(expression: &Expression) -> bool {
    let mut found = false;
    walk(expression, &mut |part| found |= matches!(part, Expression::Exists(_)));
    found
}

/// Whether an expression gives the same value wherever and however often it is evaluated.
pub(crate) fn is_stable(expression: &Expression) -> bool {
    let mut stable = true;
    walk(expression, &mut |part| {
        if let Expression::FunctionCall(function, _) = part {
            stable &= !matches!(
                function,
                Function::Rand
                    | Function::Now
                    | Function::Uuid
                    | Function::StrUuid
                    | Function::BNode
                    | Function::Custom(_)
            );
        }
    });
    stable
}

/// All variables that a pattern mentions anywhere, in scope or not.
pub(crate) fn mentioned(pattern: &GraphPattern, found: &mut BTreeSet<Variable>) {
    use spargebra::term::{NamedNodePattern, TermPattern, TriplePattern};
    fn term(term: &TermPattern, found: &mut BTreeSet<Variable>) {
        match term {
            TermPattern::Variable(variable) => {
                found.insert(variable.clone());
            }
            TermPattern::Triple(inner) => triple(inner, found),
            _ => {}
        }
    }
    fn triple(pattern: &TriplePattern, found: &mut BTreeSet<Variable>) {
        term(&pattern.subject, found);
        if let NamedNodePattern::Variable(variable) = &pattern.predicate {
            found.insert(variable.clone());
        }
        term(&pattern.object, found);
    }
    match pattern {
        GraphPattern::Bgp { patterns } => patterns.iter().for_each(|pattern| triple(pattern, found)),
        GraphPattern::Path { subject, object, .. } => {
            term(subject, found);
            term(object, found);
        }
        GraphPattern::Join { left, right }
        | GraphPattern::Lateral { left, right }
        | GraphPattern::Union { left, right }
        | GraphPattern::Minus { left, right } => {
            mentioned(left, found);
            mentioned(right, found);
        }
        GraphPattern::LeftJoin {
            left,
            right,
            expression,
        } => {
            mentioned(left, found);
            mentioned(right, found);
            if let Some(expression) = expression {
                found.extend(variables(expression));
            }
        }
        GraphPattern::Filter { expr, inner } => {
            found.extend(variables(expr));
            mentioned(inner, found);
        }
        GraphPattern::Graph { name, inner } | GraphPattern::Service { name, inner, .. } => {
            if let NamedNodePattern::Variable(variable) = name {
                found.insert(variable.clone());
            }
            mentioned(inner, found);
        }
        GraphPattern::Extend {
            inner,
            variable,
            expression,
        } => {
            found.insert(variable.clone());
            found.extend(variables(expression));
            mentioned(inner, found);
        }
        GraphPattern::Values { variables, .. } => found.extend(variables.iter().cloned()),
        GraphPattern::OrderBy { inner, expression } => {
            for order in expression {
                found.extend(variables(order_expression(order)));
            }
            mentioned(inner, found);
        }
        GraphPattern::Project { inner, variables } => {
            found.extend(variables.iter().cloned());
            mentioned(inner, found);
        }
        GraphPattern::Distinct { inner } | GraphPattern::Reduced { inner } | GraphPattern::Slice { inner, .. } => {
            mentioned(inner, found);
        }
        GraphPattern::Group {
            inner,
            variables: keys,
            aggregates,
        } => {
            found.extend(keys.iter().cloned());
            for (variable, aggregate) in aggregates {
                found.insert(variable.clone());
                if let spargebra::algebra::AggregateExpression::FunctionCall { expr, .. } = aggregate {
                    found.extend(variables(expr));
                }
            }
            mentioned(inner, found);
        }
    }
}

/// The expression that an ordering criterion sorts by.
pub(crate) fn order_expression(order: &spargebra::algebra::OrderExpression) -> &Expression {
    match order {
        spargebra::algebra::OrderExpression::Asc(expression)
        | spargebra::algebra::OrderExpression::Desc(expression) => expression,
    }
}

/// What a computed value can be: enough to see that numbers and texts are never blank nodes.
pub(crate) fn computed_values(expression: &Expression) -> ValueSet {
    let literal = || ValueSet::one(Token::Literal(None));
    match expression {
        Expression::Variable(_) | Expression::If(..) | Expression::Coalesce(_) => ValueSet::Any,
        Expression::NamedNode(node) => ValueSet::one(Token::Iri(node.as_str().into())),
        Expression::Literal(value) => ValueSet::one(Token::of_literal(value)),
        Expression::FunctionCall(
            Function::Iri
            | Function::Uuid
            | Function::BNode
            | Function::Datatype
            | Function::Custom(_)
            | Function::Subject
            | Function::Predicate
            | Function::Object
            | Function::Triple,
            _,
        ) => ValueSet::Any,
        _ => literal(),
    }
}

/// A filter that says "this variable is one of these IRIs", as `VALUES` would: only there does a source use it as an access path.
/// IRIs only: literals compare by value, not by term.
pub(crate) fn as_values(expression: &Expression) -> Option<(Variable, Vec<GroundTerm>)> {
    let iri = |expression: &Expression| match expression {
        Expression::NamedNode(node) => Some(GroundTerm::NamedNode(node.clone())),
        _ => None,
    };
    match expression {
        Expression::Equal(a, b) | Expression::SameTerm(a, b) => match (&**a, &**b) {
            (Expression::Variable(variable), value) | (value, Expression::Variable(variable)) => {
                Some((variable.clone(), vec![iri(value)?]))
            }
            _ => None,
        },
        Expression::In(variable, list) => match &**variable {
            Expression::Variable(variable) if !list.is_empty() => {
                let mut terms: Vec<GroundTerm> = Vec::new();
                for item in list {
                    let term = iri(item)?;
                    if !terms.contains(&term) {
                        terms.push(term);
                    }
                }
                Some((variable.clone(), terms))
            }
            _ => None,
        },
        _ => None,
    }
}

/// Splits a conjunction into its parts.
pub(crate) fn conjuncts(expression: Expression) -> Vec<Expression> {
    match expression {
        Expression::And(a, b) => {
            let mut parts = conjuncts(*a);
            parts.extend(conjuncts(*b));
            parts
        }
        other => vec![other],
    }
}
