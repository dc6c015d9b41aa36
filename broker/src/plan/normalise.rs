//! Brings the parser's algebra into the form that planning expects: no blank nodes in patterns (they are variables that nobody
//! selects), property paths reduced to joins and unions where they are nothing more, and no `SERVICE`.

use super::PlanError;
use spargebra::algebra::{AggregateExpression, Expression, GraphPattern, OrderExpression, PropertyPathExpression};
use spargebra::term::{TermPattern, TriplePattern, Variable};

/// Normalises a whole pattern.
pub(super) fn normalise(pattern: &GraphPattern) -> Result<GraphPattern, PlanError> {
    let mut state = Normaliser { fresh: 0 };
    state.pattern(pattern)
}

struct Normaliser {
    fresh: usize,
}

impl Normaliser {
    fn fresh(&mut self) -> Variable {
        self.fresh += 1;
        Variable::new_unchecked(format!("meent_p{}", self.fresh))
    }

    fn boxed(&mut self, pattern: &GraphPattern) -> Result<Box<GraphPattern>, PlanError> {
        Ok(Box::new(self.pattern(pattern)?))
    }

    fn pattern(&mut self, pattern: &GraphPattern) -> Result<GraphPattern, PlanError> {
        Ok(match pattern {
            GraphPattern::Bgp { patterns } => GraphPattern::Bgp {
                patterns: patterns.iter().map(triple).collect(),
            },
            GraphPattern::Path { subject, path, object } => self.path(term(subject), path, term(object)),
            GraphPattern::Join { left, right } => {
                super::local::join_patterns(self.pattern(left)?, self.pattern(right)?)
            }
            GraphPattern::LeftJoin {
                left,
                right,
                expression,
            } => GraphPattern::LeftJoin {
                left: self.boxed(left)?,
                right: self.boxed(right)?,
                expression: expression
                    .as_ref()
                    .map(|expression| self.expression(expression))
                    .transpose()?,
            },
            GraphPattern::Lateral { .. } => {
                return Err(PlanError::Unsupported("`LATERAL` is not part of SPARQL 1.1".to_owned()));
            }
            GraphPattern::Filter { expr, inner } => GraphPattern::Filter {
                expr: self.expression(expr)?,
                inner: self.boxed(inner)?,
            },
            GraphPattern::Union { left, right } => GraphPattern::Union {
                left: self.boxed(left)?,
                right: self.boxed(right)?,
            },
            GraphPattern::Graph { name, inner } => GraphPattern::Graph {
                name: name.clone(),
                inner: self.boxed(inner)?,
            },
            GraphPattern::Extend {
                inner,
                variable,
                expression,
            } => GraphPattern::Extend {
                inner: self.boxed(inner)?,
                variable: variable.clone(),
                expression: self.expression(expression)?,
            },
            GraphPattern::Minus { left, right } => GraphPattern::Minus {
                left: self.boxed(left)?,
                right: self.boxed(right)?,
            },
            GraphPattern::Values { .. } => pattern.clone(),
            GraphPattern::OrderBy { inner, expression } => GraphPattern::OrderBy {
                inner: self.boxed(inner)?,
                expression: expression
                    .iter()
                    .map(|order| {
                        Ok(match order {
                            OrderExpression::Asc(expression) => OrderExpression::Asc(self.expression(expression)?),
                            OrderExpression::Desc(expression) => OrderExpression::Desc(self.expression(expression)?),
                        })
                    })
                    .collect::<Result<_, _>>()?,
            },
            GraphPattern::Project { inner, variables } => GraphPattern::Project {
                inner: self.boxed(inner)?,
                variables: variables.clone(),
            },
            GraphPattern::Distinct { inner } => GraphPattern::Distinct {
                inner: self.boxed(inner)?,
            },
            GraphPattern::Reduced { inner } => GraphPattern::Reduced {
                inner: self.boxed(inner)?,
            },
            GraphPattern::Slice { inner, start, length } => GraphPattern::Slice {
                inner: self.boxed(inner)?,
                start: *start,
                length: *length,
            },
            GraphPattern::Group {
                inner,
                variables,
                aggregates,
            } => self.group(inner, variables, aggregates)?,
            GraphPattern::Service { .. } => {
                return Err(PlanError::Unsupported(
                    "`SERVICE` is refused: the broker chooses the sources, and never sends data to others".to_owned(),
                ));
            }
        })
    }

    fn group(
        &mut self,
        inner: &GraphPattern,
        variables: &[Variable],
        aggregates: &[(Variable, AggregateExpression)],
    ) -> Result<GraphPattern, PlanError> {
        let mut body = self.pattern(inner)?;
        if aggregates
            .iter()
            .any(|(_, aggregate)| matches!(aggregate, AggregateExpression::CountSolutions { distinct: true }))
        {
            // `COUNT(DISTINCT *)` counts what is in scope, not the variables that normalising brought in.
            let mut scope: Vec<Variable> = Vec::new();
            inner.on_in_scope_variable(|variable| {
                if !scope.contains(variable) {
                    scope.push(variable.clone());
                }
            });
            body = GraphPattern::Project {
                inner: Box::new(body),
                variables: scope,
            };
        }
        let aggregates = aggregates
            .iter()
            .map(|(variable, aggregate)| {
                Ok((
                    variable.clone(),
                    match aggregate {
                        AggregateExpression::CountSolutions { distinct } => {
                            AggregateExpression::CountSolutions { distinct: *distinct }
                        }
                        AggregateExpression::FunctionCall { name, expr, distinct } => {
                            AggregateExpression::FunctionCall {
                                name: name.clone(),
                                expr: self.expression(expr)?,
                                distinct: *distinct,
                            }
                        }
                    },
                ))
            })
            .collect::<Result<_, PlanError>>()?;
        Ok(GraphPattern::Group {
            inner: Box::new(body),
            variables: variables.to_vec(),
            aggregates,
        })
    }

    fn path(&mut self, subject: TermPattern, path: &PropertyPathExpression, object: TermPattern) -> GraphPattern {
        match path {
            PropertyPathExpression::NamedNode(node) => GraphPattern::Bgp {
                patterns: vec![TriplePattern {
                    subject,
                    predicate: node.clone().into(),
                    object,
                }],
            },
            PropertyPathExpression::Reverse(inner) => self.path(object, inner, subject),
            PropertyPathExpression::Sequence(first, second) => {
                let middle = TermPattern::Variable(self.fresh());
                let left = self.path(subject, first, middle.clone());
                let right = self.path(middle, second, object);
                super::local::join_patterns(left, right)
            }
            PropertyPathExpression::Alternative(a, b) => GraphPattern::Union {
                left: Box::new(self.path(subject.clone(), a, object.clone())),
                right: Box::new(self.path(subject, b, object)),
            },
            other => GraphPattern::Path {
                subject,
                path: other.clone(),
                object,
            },
        }
    }

    fn expression(&mut self, expression: &Expression) -> Result<Expression, PlanError> {
        let mut pair = |a: &Expression, b: &Expression| -> Result<(Box<Expression>, Box<Expression>), PlanError> {
            Ok((Box::new(self.expression(a)?), Box::new(self.expression(b)?)))
        };
        Ok(match expression {
            Expression::NamedNode(_) | Expression::Literal(_) | Expression::Variable(_) | Expression::Bound(_) => {
                expression.clone()
            }
            Expression::Or(a, b) => pair(a, b).map(|(a, b)| Expression::Or(a, b))?,
            Expression::And(a, b) => pair(a, b).map(|(a, b)| Expression::And(a, b))?,
            Expression::Equal(a, b) => pair(a, b).map(|(a, b)| Expression::Equal(a, b))?,
            Expression::SameTerm(a, b) => pair(a, b).map(|(a, b)| Expression::SameTerm(a, b))?,
            Expression::Greater(a, b) => pair(a, b).map(|(a, b)| Expression::Greater(a, b))?,
            Expression::GreaterOrEqual(a, b) => pair(a, b).map(|(a, b)| Expression::GreaterOrEqual(a, b))?,
            Expression::Less(a, b) => pair(a, b).map(|(a, b)| Expression::Less(a, b))?,
            Expression::LessOrEqual(a, b) => pair(a, b).map(|(a, b)| Expression::LessOrEqual(a, b))?,
            Expression::Add(a, b) => pair(a, b).map(|(a, b)| Expression::Add(a, b))?,
            Expression::Subtract(a, b) => pair(a, b).map(|(a, b)| Expression::Subtract(a, b))?,
            Expression::Multiply(a, b) => pair(a, b).map(|(a, b)| Expression::Multiply(a, b))?,
            Expression::Divide(a, b) => pair(a, b).map(|(a, b)| Expression::Divide(a, b))?,
            Expression::UnaryPlus(a) => Expression::UnaryPlus(Box::new(self.expression(a)?)),
            Expression::UnaryMinus(a) => Expression::UnaryMinus(Box::new(self.expression(a)?)),
            Expression::Not(a) => Expression::Not(Box::new(self.expression(a)?)),
            Expression::In(a, list) => Expression::In(Box::new(self.expression(a)?), self.expressions(list)?),
            Expression::Exists(inner) => Expression::Exists(self.boxed(inner)?),
            Expression::If(a, b, c) => Expression::If(
                Box::new(self.expression(a)?),
                Box::new(self.expression(b)?),
                Box::new(self.expression(c)?),
            ),
            Expression::Coalesce(list) => Expression::Coalesce(self.expressions(list)?),
            Expression::FunctionCall(function, list) => {
                Expression::FunctionCall(function.clone(), self.expressions(list)?)
            }
        })
    }

    fn expressions(&mut self, list: &[Expression]) -> Result<Vec<Expression>, PlanError> {
        list.iter().map(|item| self.expression(item)).collect()
    }
}

fn triple(pattern: &TriplePattern) -> TriplePattern {
    TriplePattern {
        subject: term(&pattern.subject),
        predicate: pattern.predicate.clone(),
        object: term(&pattern.object),
    }
}

/// A blank node in a query stands for "some value": a variable that cannot be selected.
fn term(pattern: &TermPattern) -> TermPattern {
    match pattern {
        TermPattern::BlankNode(node) => {
            TermPattern::Variable(Variable::new_unchecked(format!("meent_b{}", node.as_str())))
        }
        TermPattern::Triple(inner) => TermPattern::Triple(Box::new(triple(inner))),
        other => other.clone(),
    }
}
