//! The duty to answer with aggregates over at least *k* distinct data subjects only (ENF-10, ENF-11).
//!
//! Two parts. The *plan guard* accepts one closed form of query: a `SELECT` whose rows are groups over joined triple
//! patterns, filters, bindings and inline data, with `COUNT`, `SUM` and `AVG` of plain variables. It takes the query
//! apart into its groups and what is done with them: [`table`](super::table) computes the groups with, for each group
//! and each triple pattern, whose documents hold the triples that the pattern matched; [`answers`](super::answers)
//! decides which of them leave; and only then `HAVING`, `ORDER BY` and `LIMIT` are done, over what leaves. No row at
//! all counts as a small group, so that an empty answer tells nothing.
//!
//! A data subject is the storage that a document lies in. A triple that several storages hold counts for each of them.
//! Every pattern of a query counts for itself: fifty city documents joined to one person's document are one person.
//!
//! How long an answer takes may depend on rows that are not shown (T96): answers leave at few fixed times, failures of
//! an evaluation are told alike, and functions that make texts longer are refused, because with them one row alone
//! could reach a bound.

use oxrdf::{Literal, Variable};
use rustc_hash::FxHashSet;
use spargebra::Query;
use spargebra::algebra::{AggregateExpression, AggregateFunction, Expression, Function, GraphPattern, OrderExpression};
use spargebra::term::{BlankNode, GroundTerm, NamedNodePattern, TermPattern, TriplePattern};

use super::order::{single_distinct_values, variables_of_triple};
use super::population::Populations;

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

/// A query of the allowed form, taken apart.
#[derive(Clone, Debug)]
pub struct Grouping {
    /// What is done with the groups; inline data without variables stands for them.
    outer: GraphPattern,
    /// The groups, with whose data stands behind them.
    group: GraphPattern,
    /// The grouping variables.
    pub(super) keys: Vec<Variable>,
    /// The variables of the query's aggregates.
    pub(super) aggregates: Vec<Variable>,
    /// The variable of each triple pattern's population, and whether an aggregate is over one of the pattern's variables.
    pub(super) patterns: Vec<(Variable, bool)>,
    /// The variables of populations with what each person contributes to a sum or an average.
    pub(super) sums: Vec<Variable>,
    /// Whether every aggregate counts different values only.
    pub(super) distinct: bool,
    /// Whether rows are counted, or nothing is asked but which groups there are.
    pub(super) counted: bool,
}

impl Grouping {
    /// The query for the groups. Evaluate it over an [attributed](super::dataset::Execution::attributed) execution with
    /// [`Populations`] registered.
    pub(super) fn groups(&self) -> Query {
        let populations = self.patterns.iter().map(|(variable, _)| variable).chain(&self.sums);
        let variables = self.keys.iter().chain(&self.aggregates).chain(populations);
        select(GraphPattern::Project {
            inner: Box::new(self.group.clone()),
            variables: variables.cloned().collect(),
        })
    }

    /// The query over groups that leave.
    pub(super) fn over(&self, bindings: Vec<Vec<Option<GroundTerm>>>) -> Query {
        let values = GraphPattern::Values {
            variables: self.keys.iter().chain(&self.aggregates).cloned().collect(),
            bindings,
        };
        select(filled(self.outer.clone(), &mut Some(values)))
    }
}

fn select(pattern: GraphPattern) -> Query {
    Query::Select {
        dataset: None,
        pattern,
        base_iri: None,
    }
}

/// Puts a pattern below everything that is done with groups.
fn filled(pattern: GraphPattern, values: &mut Option<GraphPattern>) -> GraphPattern {
    let mut inside = |inner: Box<GraphPattern>| Box::new(filled(*inner, values));
    match pattern {
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
        GraphPattern::OrderBy { inner, expression } => GraphPattern::OrderBy {
            inner: inside(inner),
            expression,
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
        other => values.take().unwrap_or(other),
    }
}

/// Checks a query and takes it apart.
///
/// # Errors
/// [`AggregateRejection`] names the clause.
pub fn guard(query: &Query, subjects_min: u32) -> Result<Grouping, AggregateRejection> {
    let rejection = |Fault(clause, why)| AggregateRejection {
        clause,
        why,
        subjects_min,
    };
    let fault = match query {
        Query::Select { pattern, .. } => {
            let mut found = None;
            match above(pattern.clone(), &mut found) {
                Err(fault) => fault,
                Ok(outer) => match found {
                    Some(found) => return Ok(Grouping { outer, ..found }),
                    None => single_rows(),
                },
            }
        }
        Query::Construct { .. } => fault("CONSTRUCT", "it returns single triples"),
        Query::Describe { .. } => fault("DESCRIBE", "it returns single triples"),
        Query::Ask { .. } => fault("ASK", "it tells whether a single triple exists"),
    };
    Err(rejection(fault))
}

fn single_rows() -> Fault {
    fault(
        "SELECT without aggregates",
        "it returns single rows; use GROUP BY with COUNT, SUM or AVG",
    )
}

/// The part of a query above its grouping; the grouping itself goes to `found`.
fn above(pattern: GraphPattern, found: &mut Option<Grouping>) -> Result<GraphPattern, Fault> {
    let mut inside = |inner: Box<GraphPattern>| above(*inner, found).map(Box::new);
    Ok(match pattern {
        GraphPattern::Group {
            inner,
            variables,
            aggregates,
        } => {
            *found = Some(grouping(*inner, variables, aggregates)?);
            GraphPattern::default()
        }
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
        _ => return Err(single_rows()),
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
    keys: Vec<Variable>,
    mut aggregates: Vec<(Variable, AggregateExpression)>,
) -> Result<Grouping, Fault> {
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
    let mut asked = Asked::default();
    for (_, aggregate) in &aggregates {
        check_aggregate(aggregate, &bound)?;
        asked.note(aggregate);
    }
    let named: Vec<Variable> = aggregates.iter().map(|(variable, _)| variable.clone()).collect();
    let mut patterns = Vec::new();
    for (number, variables) in below.triples.iter().enumerate() {
        let population = Variable::new_unchecked(format!(" population {number}"));
        let expression = Expression::Variable(subjects_variable(number));
        aggregates.push((population.clone(), gathered(expression)));
        let valued = asked.valued.iter().any(|variable| variables.contains(variable));
        patterns.push((population, valued));
    }
    let mut sums = Vec::new();
    for variable in &asked.summed {
        let holder = below.triples.iter().position(|variables| variables.contains(variable));
        let Some(holder) = holder else { continue };
        let sum = Variable::new_unchecked(format!(" contributions {}", sums.len()));
        aggregates.push((sum.clone(), gathered(told(holder, variable))));
        sums.push(sum);
    }
    Ok(Grouping {
        outer: GraphPattern::default(),
        group: GraphPattern::Group {
            inner: Box::new(inner),
            variables: keys.clone(),
            aggregates,
        },
        keys,
        aggregates: named,
        patterns,
        sums,
        distinct: asked.distinct && !asked.plain,
        counted: asked.counted || asked.valued.is_empty(),
    })
}

/// What the aggregates of a query are over.
#[derive(Default)]
struct Asked {
    /// Variables whose values are summed, or told apart.
    valued: Vec<String>,
    /// Variables of sums and averages.
    summed: Vec<String>,
    distinct: bool,
    plain: bool,
    counted: bool,
}

impl Asked {
    fn note(&mut self, aggregate: &AggregateExpression) {
        let (AggregateExpression::CountSolutions { distinct } | AggregateExpression::FunctionCall { distinct, .. }) =
            aggregate;
        if *distinct {
            self.distinct = true;
        } else {
            self.plain = true;
        }
        let AggregateExpression::FunctionCall { name, expr, .. } = aggregate else {
            self.counted = true;
            return;
        };
        self.counted |= *name == AggregateFunction::Count && !*distinct;
        let Expression::Variable(variable) = expr else { return };
        let summed = matches!(name, AggregateFunction::Sum | AggregateFunction::Avg);
        if summed && !self.summed.iter().any(|known| known == variable.as_str()) {
            self.summed.push(variable.as_str().to_owned());
        }
        if summed || *distinct {
            self.valued.push(variable.as_str().to_owned());
        }
    }
}

fn gathered(expr: Expression) -> AggregateExpression {
    AggregateExpression::FunctionCall {
        name: AggregateFunction::Custom(Populations::name()),
        expr,
        distinct: false,
    }
}

/// The number of a trace and a value, as one text.
fn told(pattern: usize, variable: &str) -> Expression {
    let text = |variable| Expression::FunctionCall(Function::Str, vec![Expression::Variable(variable)]);
    let parts = vec![
        text(subjects_variable(pattern)),
        Expression::Literal(Literal::new_simple_literal(" ")),
        text(Variable::new_unchecked(variable)),
    ];
    Expression::FunctionCall(Function::Concat, parts)
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
