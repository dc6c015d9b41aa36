//! The duty to answer with aggregates over at least *k* distinct data subjects only (ENF-10, ENF-11).
//!
//! Two parts. The *plan guard* accepts one closed form of query: a `SELECT` whose rows are groups over joined triple
//! patterns, filters, bindings and inline data, with `COUNT`, `SUM` and `AVG` of plain variables. The *enforcement*
//! counts, for each group and each triple pattern, the distinct data subjects whose documents hold the triples that the
//! pattern matched, and keeps a group only if every count reaches *k*; this happens directly above the grouping, below
//! `HAVING`, `ORDER BY` and `LIMIT`. No row at all counts as a small group, so that an empty answer tells nothing.
//!
//! A data subject is the storage that a document lies in. A triple that several storages hold counts for each of them.
//! Every pattern of a query counts for itself: fifty city documents joined to one person's document are one person.
//!
//! **What remains possible.** Each answer is safe by itself; several answers together may not be. Someone who asks for
//! the sum of a group and then for the same group less one person learns that person's value by subtraction
//! (differencing, T90, T95), and a total beside all its groups but one tells the suppressed group (T93). Within one
//! query, joins of a person's triples with each other or with other people's can give one person more weight than
//! another, so that a sum is dominated by one (T92). Against these stand only the agreement, the audit log in which
//! every query is kept for owner and data subject, and a *k* well above what one person more or less can move. And how long an
//! answer takes, up to the bound at which it is refused, may depend on rows that are not shown (T96): functions that make
//! texts longer are refused, because with them one row alone could reach a bound, but joins and filters cost what they
//! cost.

use std::collections::BTreeSet;

use oxrdf::{Literal, NamedNode, Term, Variable};
use rustc_hash::FxHashSet;
use spareval::AggregateFunctionAccumulator;
use spargebra::Query;
use spargebra::algebra::{AggregateExpression, AggregateFunction, Expression, Function, GraphPattern, OrderExpression};
use spargebra::term::{BlankNode, NamedNodePattern, TermPattern, TriplePattern};

use super::order::{single_distinct_values, variables_of_triple};
use super::terms::storages_of;

/// Name under which the evaluator knows the count of distinct data subjects. Queries cannot use it: custom functions
/// are refused when they are parsed.
const DISTINCT_SUBJECTS: &str = "https://w3id.org/meent/ns#distinctDataSubjects";

/// Why a query is not of the form that the duty allows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{clause}` is not allowed under this agreement, which permits aggregates over at least {subjects_min} data subjects only: {why}"
)]
pub struct AggregateRejection {
    /// The clause as it is written.
    pub clause: String,
    /// What to do instead.
    pub why: &'static str,
    /// The threshold.
    pub subjects_min: u32,
}

struct Fault(String, &'static str);

fn fault(clause: impl Into<String>, why: &'static str) -> Fault {
    Fault(clause.into(), why)
}

/// Checks a query and adds the counting of data subjects to its plan. Evaluate the result over an
/// [attributed](super::dataset::Execution::attributed) execution with [`DistinctSubjects`] registered.
///
/// # Errors
/// [`AggregateRejection`] names the clause.
pub fn guard(query: &Query, subjects_min: u32) -> Result<Query, AggregateRejection> {
    let rejection = |Fault(clause, why)| AggregateRejection {
        clause,
        why,
        subjects_min,
    };
    let mut query = query.clone();
    match &mut query {
        Query::Select { pattern, .. } => {
            *pattern = above(std::mem::take(pattern), subjects_min).map_err(rejection)?;
            Ok(query)
        }
        Query::Construct { .. } => Err(rejection(fault("CONSTRUCT", "it returns single triples"))),
        Query::Describe { .. } => Err(rejection(fault("DESCRIBE", "it returns single triples"))),
        Query::Ask { .. } => Err(rejection(fault("ASK", "it tells whether a single triple exists"))),
    }
}

/// The part of a query above its grouping.
fn above(pattern: GraphPattern, subjects_min: u32) -> Result<GraphPattern, Fault> {
    let inside = |inner: Box<GraphPattern>| above(*inner, subjects_min).map(Box::new);
    Ok(match pattern {
        GraphPattern::Group {
            inner,
            variables,
            aggregates,
        } => return grouping(*inner, variables, aggregates, subjects_min),
        GraphPattern::Project { inner, variables } => GraphPattern::Project {
            inner: inside(inner)?,
            variables,
        },
        GraphPattern::Distinct { inner } => GraphPattern::Distinct { inner: inside(inner)? },
        GraphPattern::Reduced { inner } => GraphPattern::Reduced { inner: inside(inner)? },
        GraphPattern::Slice { inner, start, length } => GraphPattern::Slice {
            inner: inside(inner)?,
            start,
            length,
        },
        GraphPattern::OrderBy { inner, expression } => {
            for part in &expression {
                let (OrderExpression::Asc(expression) | OrderExpression::Desc(expression)) = part;
                harmless(expression)?;
            }
            GraphPattern::OrderBy {
                inner: inside(inner)?,
                expression,
            }
        }
        GraphPattern::Filter { expr, inner } if has_group(&inner) => {
            harmless(&expr)?;
            GraphPattern::Filter {
                expr,
                inner: inside(inner)?,
            }
        }
        GraphPattern::Extend {
            inner,
            variable,
            expression,
        } if has_group(&inner) => {
            harmless(&expression)?;
            GraphPattern::Extend {
                inner: inside(inner)?,
                variable,
                expression,
            }
        }
        other if has_group(&other) => {
            return Err(fault(name_of(&other), "groups cannot be combined with anything else"));
        }
        _ => {
            return Err(fault(
                "SELECT without aggregates",
                "it returns single rows; use GROUP BY with COUNT, SUM or AVG",
            ));
        }
    })
}

fn has_group(pattern: &GraphPattern) -> bool {
    match pattern {
        GraphPattern::Group { .. } => true,
        GraphPattern::Filter { inner, .. }
        | GraphPattern::Extend { inner, .. }
        | GraphPattern::OrderBy { inner, .. }
        | GraphPattern::Project { inner, .. }
        | GraphPattern::Distinct { inner }
        | GraphPattern::Reduced { inner }
        | GraphPattern::Slice { inner, .. }
        | GraphPattern::Graph { inner, .. } => has_group(inner),
        GraphPattern::Join { left, right }
        | GraphPattern::LeftJoin { left, right, .. }
        | GraphPattern::Union { left, right }
        | GraphPattern::Minus { left, right } => has_group(left) || has_group(right),
        _ => false,
    }
}

fn grouping(
    inner: GraphPattern,
    variables: Vec<Variable>,
    mut aggregates: Vec<(Variable, AggregateExpression)>,
    subjects_min: u32,
) -> Result<GraphPattern, Fault> {
    let mut below = Below::default();
    let inner = below.rewrite(inner)?;
    if below.triples.is_empty() {
        return Err(fault("a pattern without triples", "there is nobody to count"));
    }
    if !below.connected() {
        return Err(fault(
            "a product of unconnected patterns",
            "every triple pattern must share a variable with the others",
        ));
    }
    let bound: FxHashSet<&String> = below.triples.iter().flatten().collect();
    if let Some(variable) = below.values.iter().find(|variable| !bound.contains(variable)) {
        return Err(fault(
            format!("VALUES ?{variable}"),
            "inline data may only restrict a variable of a triple pattern",
        ));
    }
    for (_, aggregate) in &aggregates {
        check_aggregate(aggregate, &bound)?;
    }
    let mut kept: Option<Expression> = None;
    for number in 0..below.triples.len() {
        let count = count_variable(number);
        aggregates.push((
            count.clone(),
            AggregateExpression::FunctionCall {
                name: AggregateFunction::Custom(NamedNode::new_unchecked(DISTINCT_SUBJECTS)),
                expr: Expression::Variable(subjects_variable(number)),
                distinct: false,
            },
        ));
        let enough = Expression::GreaterOrEqual(
            Box::new(Expression::Variable(count)),
            Box::new(Expression::Literal(Literal::from(i64::from(subjects_min)))),
        );
        kept = Some(match kept {
            None => enough,
            Some(others) => Expression::And(Box::new(others), Box::new(enough)),
        });
    }
    let group = GraphPattern::Group {
        inner: Box::new(inner),
        variables,
        aggregates,
    };
    Ok(match kept {
        Some(expr) => GraphPattern::Filter {
            expr,
            inner: Box::new(group),
        },
        None => group,
    })
}

fn check_aggregate(aggregate: &AggregateExpression, bound: &FxHashSet<&String>) -> Result<(), Fault> {
    let AggregateExpression::FunctionCall { name, expr, .. } = aggregate else {
        return Ok(());
    };
    match name {
        AggregateFunction::Count | AggregateFunction::Sum | AggregateFunction::Avg => {}
        AggregateFunction::Min => return Err(fault("MIN", "it is the value of a single person")),
        AggregateFunction::Max => return Err(fault("MAX", "it is the value of a single person")),
        AggregateFunction::Sample => return Err(fault("SAMPLE", "it is the value of a single person")),
        AggregateFunction::GroupConcat { .. } => return Err(fault("GROUP_CONCAT", "it lists single values")),
        AggregateFunction::Custom(name) => return Err(fault(name.as_str(), "it is not known")),
    }
    match expr {
        Expression::Variable(variable) if bound.contains(&variable.as_str().to_owned()) => Ok(()),
        other => Err(fault(
            format!("{name}({other})"),
            "aggregate a variable of a triple pattern as it is; an expression could single a person out",
        )),
    }
}

/// The part of a query below its grouping.
#[derive(Default)]
struct Below {
    /// Variables of each triple pattern.
    triples: Vec<FxHashSet<String>>,
    /// Variables of inline data.
    values: Vec<String>,
}

impl Below {
    fn rewrite(&mut self, pattern: GraphPattern) -> Result<GraphPattern, Fault> {
        Ok(match pattern {
            GraphPattern::Bgp { patterns } => {
                let mut parts = patterns.into_iter().map(|pattern| self.attribute(pattern));
                let first = parts.next().unwrap_or_default();
                parts.fold(first, |left, right| GraphPattern::Join {
                    left: Box::new(left),
                    right: Box::new(right),
                })
            }
            GraphPattern::Join { left, right } => GraphPattern::Join {
                left: Box::new(self.rewrite(*left)?),
                right: Box::new(self.rewrite(*right)?),
            },
            GraphPattern::Filter { expr, inner } => {
                harmless(&expr)?;
                GraphPattern::Filter {
                    expr,
                    inner: Box::new(self.rewrite(*inner)?),
                }
            }
            GraphPattern::Extend {
                inner,
                variable,
                expression,
            } => {
                harmless(&expression)?;
                GraphPattern::Extend {
                    inner: Box::new(self.rewrite(*inner)?),
                    variable,
                    expression,
                }
            }
            GraphPattern::Values { variables, bindings } => {
                let Some(variable) = single_distinct_values(&variables, &bindings) else {
                    return Err(fault(
                        "VALUES",
                        "inline data must give one variable distinct values, or it could weigh persons",
                    ));
                };
                self.values.push(variable.as_str().to_owned());
                GraphPattern::Values { variables, bindings }
            }
            other => {
                return Err(fault(
                    name_of(&other),
                    "only triple patterns, FILTER, BIND and VALUES can be counted",
                ));
            }
        })
    }

    /// Binds the data subjects of a pattern's triples to a variable that no query can write.
    fn attribute(&mut self, pattern: TriplePattern) -> GraphPattern {
        let pattern = TriplePattern {
            subject: without_blank(pattern.subject),
            predicate: pattern.predicate,
            object: without_blank(pattern.object),
        };
        let name = NamedNodePattern::Variable(subjects_variable(self.triples.len()));
        self.triples.push(variables_of_triple(&pattern));
        GraphPattern::Graph {
            name,
            inner: Box::new(GraphPattern::Bgp {
                patterns: vec![pattern],
            }),
        }
    }

    /// Whether all triple patterns hang together by their variables.
    fn connected(&self) -> bool {
        let mut rest: Vec<&FxHashSet<String>> = self.triples.iter().collect();
        let Some(first) = rest.pop() else {
            return true;
        };
        let mut reached = first.clone();
        while let Some(position) = rest.iter().position(|variables| !variables.is_disjoint(&reached)) {
            reached.extend(rest.swap_remove(position).iter().cloned());
        }
        rest.is_empty()
    }
}

/// Blank nodes are variables that belong to one basic graph pattern, which the rewriting takes apart.
fn without_blank(term: TermPattern) -> TermPattern {
    match term {
        TermPattern::BlankNode(node) => TermPattern::Variable(blank_variable(&node)),
        other => other,
    }
}

fn blank_variable(node: &BlankNode) -> Variable {
    Variable::new_unchecked(format!(" blank {}", node.as_str()))
}

fn subjects_variable(number: usize) -> Variable {
    Variable::new_unchecked(format!(" subjects {number}"))
}

fn count_variable(number: usize) -> Variable {
    Variable::new_unchecked(format!(" subject count {number}"))
}

const fn name_of(pattern: &GraphPattern) -> &'static str {
    match pattern {
        GraphPattern::Path { .. } => "a property path with `*`, `+`, `?`, `|` or `!`",
        GraphPattern::LeftJoin { .. } => "OPTIONAL",
        GraphPattern::Lateral { .. } => "LATERAL",
        GraphPattern::Union { .. } => "UNION",
        GraphPattern::Graph { .. } => "GRAPH",
        GraphPattern::Minus { .. } => "MINUS",
        GraphPattern::Service { .. } => "SERVICE",
        GraphPattern::Bgp { .. } => "a triple pattern",
        GraphPattern::Join { .. } => "a join",
        GraphPattern::Filter { .. } => "FILTER",
        GraphPattern::Extend { .. } => "BIND",
        GraphPattern::Values { .. } => "VALUES",
        GraphPattern::OrderBy { .. }
        | GraphPattern::Project { .. }
        | GraphPattern::Distinct { .. }
        | GraphPattern::Reduced { .. }
        | GraphPattern::Slice { .. }
        | GraphPattern::Group { .. } => "a sub-select",
    }
}

fn harmless(expression: &Expression) -> Result<(), Fault> {
    match expression {
        Expression::NamedNode(_) | Expression::Literal(_) | Expression::Variable(_) | Expression::Bound(_) => Ok(()),
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
        | Expression::Divide(a, b) => harmless(a).and_then(|()| harmless(b)),
        Expression::In(value, list) => harmless(value).and_then(|()| list.iter().try_for_each(harmless)),
        Expression::UnaryPlus(inner) | Expression::UnaryMinus(inner) | Expression::Not(inner) => harmless(inner),
        Expression::Exists(_) => Err(fault("EXISTS", "it tells about persons who are not counted")),
        Expression::If(a, b, c) => [a, b, c].into_iter().try_for_each(|part| harmless(part)),
        // With these a text can grow beyond its bound if, and only if, one person's value is this or that.
        Expression::FunctionCall(function @ (Function::Concat | Function::Replace | Function::EncodeForUri), _) => {
            Err(fault(
                function.to_string(),
                "whether it makes too long a text could tell about a single person",
            ))
        }
        Expression::Coalesce(list) | Expression::FunctionCall(_, list) => list.iter().try_for_each(harmless),
    }
}

/// Counts the distinct data subjects of a group.
#[derive(Debug, Default)]
pub struct DistinctSubjects(BTreeSet<i64>);

impl DistinctSubjects {
    /// The name to register it under.
    #[must_use]
    pub fn name() -> NamedNode {
        NamedNode::new_unchecked(DISTINCT_SUBJECTS)
    }
}

impl AggregateFunctionAccumulator for DistinctSubjects {
    fn accumulate(&mut self, element: Term) {
        self.0.extend(storages_of(&element));
    }

    fn finish(&mut self) -> Option<Term> {
        let count = i64::try_from(self.0.len()).ok()?;
        Some(Literal::from(count).into())
    }
}
