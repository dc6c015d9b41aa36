//! Aggregates: computed whole at a source where groups belong to one source, as partial aggregates where they can be merged, over
//! distinct rows where only the set of values counts, and over fetched rows otherwise.

use super::expression::{self, has_exists, is_stable};
use super::local::Local;
use super::rewrite::{Node, Planner};
use spargebra::algebra::{AggregateExpression, AggregateFunction, Expression, GraphPattern};
use spargebra::term::{Literal, Variable};
use std::collections::{BTreeMap, BTreeSet};

type Aggregates = Vec<(Variable, AggregateExpression)>;

/// How aggregates are computed in two steps.
struct Partial {
    /// Computed by each source.
    at_source: Aggregates,
    /// Computed by the broker over what the sources sent.
    merged: Aggregates,
    /// Computed from the merged ones, last.
    finished: Vec<(Variable, Expression)>,
}

impl Planner<'_> {
    /// Plans `GROUP BY`.
    pub(super) fn group(&mut self, inner: &GraphPattern, keys: &[Variable], aggregates: &Aggregates) -> Node {
        let node = self.rewrite(inner);
        let movable = aggregates.iter().all(|(_, aggregate)| match aggregate {
            AggregateExpression::CountSolutions { .. } => true,
            AggregateExpression::FunctionCall { expr, .. } => is_stable(expr) && !has_exists(expr),
        });
        let node = match node {
            Node::Local(local)
                if movable && local.unique && !local.sources.is_empty() && self.limits.push_aggregates =>
            {
                match self.group_at_sources(local, keys, aggregates) {
                    Ok(node) => return node,
                    Err(local) => Node::Local(local),
                }
            }
            Node::Block { units, filters } if movable && self.limits.push_aggregates => {
                match self.group_before_join(units, filters, keys, aggregates) {
                    Ok(node) => return node,
                    Err((units, filters)) => Node::Block { units, filters },
                }
            }
            other => other,
        };
        for (_, aggregate) in aggregates {
            if let AggregateExpression::FunctionCall { expr, .. } = aggregate {
                self.materialise_exists(expr);
            }
        }
        let inner = Box::new(self.deliver(node).0);
        Node::Rest(GraphPattern::Group {
            inner,
            variables: keys.to_vec(),
            aggregates: aggregates.clone(),
        })
    }

    fn group_at_sources(
        &mut self,
        mut local: Local,
        keys: &[Variable],
        aggregates: &Aggregates,
    ) -> Result<Node, Local> {
        if local.sources.len() == 1 || keys.iter().any(|key| local.is_owner_key(key)) {
            self.evidence
                .push("each group belongs to one source: the aggregate is computed there".to_owned());
            return Ok(Node::Local(grouped(local, keys, aggregates)));
        }
        if let Some(partial) = self.partial(aggregates, Some(&local)) {
            self.evidence
                .push("partial aggregates are computed at the sources and merged here".to_owned());
            let (delivered, _) = {
                let part = with_partials(local, keys, &partial.at_source);
                self.deliver(Node::Local(part))
            };
            return Ok(Node::Rest(merge(delivered, keys, partial)));
        }
        if aggregates.iter().all(|(_, aggregate)| counts_values_once(aggregate)) {
            // Only the set of rows matters: each source removes its own duplicates first.
            let mut columns: BTreeSet<Variable> = keys.iter().cloned().collect();
            for (_, aggregate) in aggregates {
                if let AggregateExpression::FunctionCall { expr, .. } = aggregate {
                    columns.extend(expression::variables(expr));
                }
            }
            columns.retain(|variable| local.vars.contains(variable));
            local.pattern = GraphPattern::Distinct {
                inner: Box::new(GraphPattern::Project {
                    inner: Box::new(local.pattern),
                    variables: columns.iter().cloned().collect(),
                }),
            };
            local.certain.retain(|variable| columns.contains(variable));
            local.vars = columns;
        }
        Err(local)
    }

    /// Aggregates one side of a join before joining: each row of the other sides multiplies a partial group as it would multiply
    /// the group's rows, so sums of partial results are right as long as the join and filter columns are part of the group.
    fn group_before_join(
        &mut self,
        mut units: Vec<Local>,
        filters: Vec<Expression>,
        keys: &[Variable],
        aggregates: &Aggregates,
    ) -> Result<Node, (Vec<Local>, Vec<Expression>)> {
        let mut inputs: BTreeSet<Variable> = BTreeSet::new();
        for (_, aggregate) in aggregates {
            if let AggregateExpression::FunctionCall { expr, .. } = aggregate {
                inputs.extend(expression::variables(expr));
            }
        }
        let largest = units.iter().map(Local::estimate).fold(0.0, f64::max);
        let host = units.iter().enumerate().position(|(at, unit)| {
            let elsewhere = |variable: &Variable| {
                units
                    .iter()
                    .enumerate()
                    .any(|(other, unit)| other != at && unit.vars.contains(variable))
            };
            unit.unique
                && !unit.aggregated
                && if inputs.is_empty() {
                    unit.estimate() >= largest
                } else {
                    inputs
                        .iter()
                        .all(|v| unit.vars.contains(v) && (unit.certain.contains(v) || !elsewhere(v)))
                }
        });
        let Some(at) = host else { return Err((units, filters)) };
        let Some(partial) = self.partial(aggregates, None) else {
            return Err((units, filters));
        };
        let unit = units.remove(at);
        let mut wanted: BTreeSet<Variable> = keys.iter().cloned().collect();
        for filter in &filters {
            wanted.extend(expression::variables(filter));
        }
        for other in &units {
            wanted.extend(other.vars.iter().cloned());
        }
        let columns: Vec<Variable> = unit
            .vars
            .iter()
            .filter(|variable| wanted.contains(variable))
            .cloned()
            .collect();
        self.evidence
            .push("one side of a join is aggregated at its sources before joining".to_owned());
        units.push(with_partials(unit, &columns, &partial.at_source));
        let (delivered, _) = self.deliver(Node::Block { units, filters });
        Ok(Node::Rest(merge(delivered, keys, partial)))
    }

    /// Splits aggregates into two steps; `None` when one of them cannot be split.
    fn partial(&mut self, aggregates: &Aggregates, local: Option<&Local>) -> Option<Partial> {
        let mut partial = Partial {
            at_source: Vec::new(),
            merged: Vec::new(),
            finished: Vec::new(),
        };
        for (variable, aggregate) in aggregates {
            match aggregate {
                AggregateExpression::CountSolutions { distinct: true } => return None,
                AggregateExpression::CountSolutions { distinct: false } => {
                    let part = self.fresh("n");
                    partial.at_source.push((part.clone(), aggregate.clone()));
                    partial.merged.push((
                        variable.clone(),
                        call(AggregateFunction::Sum, Expression::Variable(part)),
                    ));
                }
                AggregateExpression::FunctionCall { name, expr, distinct } => {
                    // Distinct values of two sources may coincide, unless the values themselves tell the source.
                    let apart = match (expr, local) {
                        (Expression::Variable(value), Some(local)) => local.is_owner_key(value),
                        _ => false,
                    };
                    let extreme = matches!(
                        name,
                        AggregateFunction::Min | AggregateFunction::Max | AggregateFunction::Sample
                    );
                    if *distinct && !extreme && !apart {
                        return None;
                    }
                    let at_source = |name: AggregateFunction| AggregateExpression::FunctionCall {
                        name,
                        expr: expr.clone(),
                        distinct: *distinct,
                    };
                    let (function, merge) = match name {
                        AggregateFunction::Count => (AggregateFunction::Count, AggregateFunction::Sum),
                        AggregateFunction::Sum => (AggregateFunction::Sum, AggregateFunction::Sum),
                        AggregateFunction::Min => (AggregateFunction::Min, AggregateFunction::Min),
                        AggregateFunction::Max => (AggregateFunction::Max, AggregateFunction::Max),
                        AggregateFunction::Sample => (AggregateFunction::Sample, AggregateFunction::Sample),
                        AggregateFunction::Avg => {
                            let (sum, count) = (self.fresh("s"), self.fresh("n"));
                            let (all, number) = (self.fresh("s"), self.fresh("n"));
                            partial.at_source.push((sum.clone(), at_source(AggregateFunction::Sum)));
                            partial
                                .at_source
                                .push((count.clone(), at_source(AggregateFunction::Count)));
                            partial
                                .merged
                                .push((all.clone(), call(AggregateFunction::Sum, Expression::Variable(sum))));
                            partial.merged.push((
                                number.clone(),
                                call(AggregateFunction::Sum, Expression::Variable(count)),
                            ));
                            partial.finished.push((variable.clone(), average(all, number)));
                            continue;
                        }
                        AggregateFunction::GroupConcat { .. } | AggregateFunction::Custom(_) => return None,
                    };
                    let part = self.fresh("a");
                    partial.at_source.push((part.clone(), at_source(function)));
                    partial
                        .merged
                        .push((variable.clone(), call(merge, Expression::Variable(part))));
                }
            }
        }
        Some(partial)
    }
}

/// Average from a sum and a number; zero for nothing, as SPARQL says.
fn average(sum: Variable, number: Variable) -> Expression {
    Expression::If(
        Box::new(Expression::Equal(
            Box::new(Expression::Variable(number.clone())),
            Box::new(Expression::Literal(Literal::from(0))),
        )),
        Box::new(Expression::Literal(Literal::from(0))),
        Box::new(Expression::Divide(
            Box::new(Expression::Variable(sum)),
            Box::new(Expression::Variable(number)),
        )),
    )
}

fn call(name: AggregateFunction, expr: Expression) -> AggregateExpression {
    AggregateExpression::FunctionCall {
        name,
        expr,
        distinct: false,
    }
}

/// Whether duplicates of rows make no difference.
fn counts_values_once(aggregate: &AggregateExpression) -> bool {
    match aggregate {
        AggregateExpression::CountSolutions { .. } => false,
        AggregateExpression::FunctionCall { name, distinct, .. } => {
            *distinct
                || matches!(
                    name,
                    AggregateFunction::Min | AggregateFunction::Max | AggregateFunction::Sample
                )
        }
    }
}

/// A part that computes whole groups.
fn grouped(local: Local, keys: &[Variable], aggregates: &Aggregates) -> Local {
    let vars: BTreeSet<Variable> = keys
        .iter()
        .cloned()
        .chain(aggregates.iter().map(|(variable, _)| variable.clone()))
        .collect();
    let pattern = GraphPattern::Group {
        inner: Box::new(local.pattern),
        variables: keys.to_vec(),
        aggregates: aggregates.clone(),
    };
    let mut certain = super::shape::certain(&pattern);
    certain.extend(keys.iter().filter(|key| local.certain.contains(key)).cloned());
    let values: BTreeMap<_, _> = local
        .values
        .into_iter()
        .filter(|(variable, _)| keys.contains(variable))
        .collect();
    Local {
        pattern,
        sources: local
            .sources
            .into_iter()
            .map(|(id, rows)| (id, if keys.is_empty() { 1.0 } else { rows.sqrt() }))
            .collect(),
        values,
        certain,
        vars,
        unique: true,
        aggregated: true,
    }
}

/// A part that computes partial aggregates. Without keys, a source with no rows at all must stay silent: its "minimum of nothing"
/// would spoil the minimum of the others.
fn with_partials(local: Local, keys: &[Variable], at_source: &Aggregates) -> Local {
    if !keys.is_empty() {
        return grouped(local, keys, at_source);
    }
    let rows = Variable::new_unchecked("meent_rows");
    let mut all = at_source.clone();
    all.push((rows.clone(), AggregateExpression::CountSolutions { distinct: false }));
    let mut part = grouped(local, keys, &all);
    part.pattern = GraphPattern::Filter {
        expr: Expression::Greater(
            Box::new(Expression::Variable(rows)),
            Box::new(Expression::Literal(Literal::from(0))),
        ),
        inner: Box::new(part.pattern),
    };
    part
}

/// The broker's half: merge partial results per group, then finish.
fn merge(delivered: GraphPattern, keys: &[Variable], partial: Partial) -> GraphPattern {
    let group = GraphPattern::Group {
        inner: Box::new(delivered),
        variables: keys.to_vec(),
        aggregates: partial.merged,
    };
    partial
        .finished
        .into_iter()
        .fold(group, |inner, (variable, expression)| GraphPattern::Extend {
            inner: Box::new(inner),
            variable,
            expression,
        })
}
