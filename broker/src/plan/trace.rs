//! Which sources each row rests on: the residual query with a column per sub-plan that names the source of its rows, carried along through
//! every operator.
//!
//! A row made of rows of sub-plans names exactly the sources of those. Triples that several sources delivered are merged before anything
//! is made of them, and no longer say where they come from: a row made of such triples names every source that delivered some.

use super::{PhysicalPlan, source_column, sub_plan_of};
use spargebra::Query;
use spargebra::algebra::{AggregateExpression, AggregateFunction, Expression, GraphPattern};
use spargebra::term::{Literal, NamedNodePattern, Variable};
use std::collections::BTreeSet;

/// A residual query that says where its rows come from.
#[derive(Debug, Clone)]
pub struct Traced {
    /// The query.
    pub query: Query,
    /// The columns of the answer itself.
    pub variables: Vec<Variable>,
    /// The columns that name sources: numbers, several with spaces in between.
    pub columns: Vec<Variable>,
    /// Whether rows rest on merged triples too.
    pub merged: bool,
}

/// Why a query cannot say where its rows come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TraceError {
    /// Not a `SELECT`.
    #[error("only the rows of a `SELECT` can name their sources")]
    NotRows,
    /// Rows that are one row of the answer are told apart by something that the answer does not show.
    #[error("rows that `DISTINCT` makes one cannot name their sources when they are ordered by what is not selected")]
    OrderedByHidden,
}

/// Traces the rows of a plan.
///
/// # Errors
/// [`TraceError`].
pub fn trace(plan: &PhysicalPlan) -> Result<Traced, TraceError> {
    let Query::Select {
        dataset,
        pattern,
        base_iri,
    } = &plan.residual
    else {
        return Err(TraceError::NotRows);
    };
    let mut tracer = Tracer {
        fresh: 0,
        merged: false,
    };
    let (traced, columns) = tracer.pattern(pattern)?;
    let mut variables: Vec<Variable> = Vec::new();
    pattern.on_in_scope_variable(|variable| {
        if !variables.contains(variable) {
            variables.push(variable.clone());
        }
    });
    Ok(Traced {
        query: Query::Select {
            dataset: dataset.clone(),
            pattern: traced,
            base_iri: base_iri.clone(),
        },
        variables,
        columns: columns.into_iter().collect(),
        merged: tracer.merged,
    })
}

type Columns = BTreeSet<Variable>;

struct Tracer {
    fresh: usize,
    merged: bool,
}

impl Tracer {
    fn pattern(&mut self, pattern: &GraphPattern) -> Result<(GraphPattern, Columns), TraceError> {
        Ok(match pattern {
            GraphPattern::Service { .. } => Self::service(pattern),
            GraphPattern::Bgp { patterns } => {
                self.merged |= !patterns.is_empty();
                (pattern.clone(), Columns::new())
            }
            GraphPattern::Path { .. } | GraphPattern::Graph { .. } | GraphPattern::Lateral { .. } => {
                self.merged = true;
                (pattern.clone(), Columns::new())
            }
            GraphPattern::Values { .. } => (pattern.clone(), Columns::new()),
            GraphPattern::Join { left, right } => {
                let (left, right, columns) = self.both(left, right)?;
                (GraphPattern::Join { left, right }, columns)
            }
            GraphPattern::LeftJoin {
                left,
                right,
                expression,
            } => {
                let (left, right, columns) = self.both(left, right)?;
                self.merged |= expression.as_ref().is_some_and(needs_triples);
                let expression = expression.clone();
                (
                    GraphPattern::LeftJoin {
                        left,
                        right,
                        expression,
                    },
                    columns,
                )
            }
            GraphPattern::Union { left, right } => {
                let (left, right, columns) = self.both(left, right)?;
                (GraphPattern::Union { left, right }, columns)
            }
            // What is absent comes from nowhere.
            GraphPattern::Minus { left, right } => {
                let (left, columns) = self.boxed(left)?;
                let right = right.clone();
                (GraphPattern::Minus { left, right }, columns)
            }
            GraphPattern::Filter { expr, inner } => {
                let (inner, columns) = self.boxed(inner)?;
                self.merged |= needs_triples(expr);
                let expr = expr.clone();
                (GraphPattern::Filter { expr, inner }, columns)
            }
            GraphPattern::Extend {
                inner,
                variable,
                expression,
            } => {
                let (inner, columns) = self.boxed(inner)?;
                self.merged |= needs_triples(expression);
                let (variable, expression) = (variable.clone(), expression.clone());
                let extended = GraphPattern::Extend {
                    inner,
                    variable,
                    expression,
                };
                (extended, columns)
            }
            GraphPattern::OrderBy { inner, expression } => {
                let (inner, columns) = self.boxed(inner)?;
                let expression = expression.clone();
                (GraphPattern::OrderBy { inner, expression }, columns)
            }
            GraphPattern::Project { inner, variables } => {
                let (inner, columns) = self.boxed(inner)?;
                let variables = variables.iter().chain(&columns).cloned().collect();
                (GraphPattern::Project { inner, variables }, columns)
            }
            GraphPattern::Reduced { inner } => self.pattern(inner)?,
            GraphPattern::Slice { inner, start, length } => {
                let (inner, columns) = self.boxed(inner)?;
                let (start, length) = (*start, *length);
                (GraphPattern::Slice { inner, start, length }, columns)
            }
            GraphPattern::Distinct { inner } => self.distinct(inner)?,
            GraphPattern::Group {
                inner,
                variables,
                aggregates,
            } => {
                let (inner, columns) = self.boxed(inner)?;
                self.grouped(inner, variables.clone(), aggregates.clone(), &columns)
            }
        })
    }

    fn boxed(&mut self, pattern: &GraphPattern) -> Result<(Box<GraphPattern>, Columns), TraceError> {
        let (pattern, columns) = self.pattern(pattern)?;
        Ok((Box::new(pattern), columns))
    }

    #[allow(clippy::type_complexity)]
    fn both(
        &mut self,
        left: &GraphPattern,
        right: &GraphPattern,
    ) -> Result<(Box<GraphPattern>, Box<GraphPattern>, Columns), TraceError> {
        let (left, mut columns) = self.boxed(left)?;
        let (right, more) = self.boxed(right)?;
        columns.extend(more);
        Ok((left, right, columns))
    }

    /// A sub-plan with the column that names the source of each row.
    fn service(pattern: &GraphPattern) -> (GraphPattern, Columns) {
        if let GraphPattern::Service {
            name: NamedNodePattern::NamedNode(node),
            inner,
            silent,
        } = pattern
            && let (Some(id), GraphPattern::Project { inner, variables }) = (sub_plan_of(node.as_str()), &**inner)
        {
            let column = source_column(id);
            let variables = variables.iter().chain([&column]).cloned().collect();
            let inner = Box::new(GraphPattern::Project {
                inner: inner.clone(),
                variables,
            });
            let service = GraphPattern::Service {
                name: node.clone().into(),
                inner,
                silent: *silent,
            };
            return (service, Columns::from([column]));
        }
        (pattern.clone(), Columns::new())
    }

    /// Rows that are one row name the sources of all of them; the order goes around the group, which has none.
    fn distinct(&mut self, inner: &GraphPattern) -> Result<(GraphPattern, Columns), TraceError> {
        let mut visible: Vec<Variable> = Vec::new();
        inner.on_in_scope_variable(|variable| {
            if !visible.contains(variable) {
                visible.push(variable.clone());
            }
        });
        let (unordered, order) = match inner {
            GraphPattern::Project { inner, variables } => match &**inner {
                GraphPattern::OrderBy { inner, expression } => {
                    let projected = GraphPattern::Project {
                        inner: inner.clone(),
                        variables: variables.clone(),
                    };
                    (projected, Some(expression.clone()))
                }
                _ => (inner_of(inner, variables), None),
            },
            GraphPattern::OrderBy { inner, expression } => ((**inner).clone(), Some(expression.clone())),
            other => (other.clone(), None),
        };
        let (traced, columns) = self.boxed(&unordered)?;
        if columns.is_empty() {
            let inner = Box::new(inner.clone());
            return Ok((GraphPattern::Distinct { inner }, columns));
        }
        let (grouped, columns) = self.grouped(traced, visible.clone(), Vec::new(), &columns);
        let Some(expression) = order else {
            return Ok((grouped, columns));
        };
        let hidden = expression.iter().any(|order| {
            let seen = super::expression::variables(super::expression::order_expression(order));
            seen.iter().any(|variable| !visible.contains(variable))
        });
        if hidden {
            return Err(TraceError::OrderedByHidden);
        }
        let inner = Box::new(grouped);
        Ok((GraphPattern::OrderBy { inner, expression }, columns))
    }

    /// A group that gathers the sources of its rows.
    fn grouped(
        &mut self,
        inner: Box<GraphPattern>,
        variables: Vec<Variable>,
        mut aggregates: Vec<(Variable, AggregateExpression)>,
        columns: &Columns,
    ) -> (GraphPattern, Columns) {
        let mut gathered = Columns::new();
        for column in columns {
            self.fresh += 1;
            let into = Variable::new_unchecked(format!("{}_{}", column.as_str(), self.fresh));
            let all = AggregateExpression::FunctionCall {
                name: AggregateFunction::GroupConcat {
                    separator: Some(" ".to_owned()),
                },
                // A row without a value, such as one of the other side of a `UNION`, would spoil the whole.
                expr: Expression::Coalesce(vec![
                    Expression::Variable(column.clone()),
                    Expression::Literal(Literal::from("")),
                ]),
                distinct: true,
            };
            aggregates.push((into.clone(), all));
            gathered.insert(into);
        }
        let group = GraphPattern::Group {
            inner,
            variables,
            aggregates,
        };
        (group, gathered)
    }
}

/// Whether an expression can hold because of triples that are there, which are merged ones; what is absent comes from nowhere.
fn needs_triples(expression: &Expression) -> bool {
    let (mut asked, mut absent) = (0_usize, 0_usize);
    super::expression::walk(expression, &mut |part| match part {
        Expression::Exists(_) => asked += 1,
        Expression::Not(inner) if matches!(**inner, Expression::Exists(_)) => absent += 1,
        _ => {}
    });
    asked > absent
}

fn inner_of(inner: &GraphPattern, variables: &[Variable]) -> GraphPattern {
    GraphPattern::Project {
        inner: Box::new(inner.clone()),
        variables: variables.to_vec(),
    }
}
