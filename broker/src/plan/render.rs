//! Plans as SPARQL text: sub-queries with their `VALUES` blocks, the one request that fetches triples to merge, and the last pass
//! over a plan that prunes columns nobody needs.

use super::local::join_patterns;
use super::materialise::{Scan, ScanGraph, Wanted};
use super::rewrite::Planner;
use super::text::select;
use super::{PhysicalPlan, PlanError, SubPlan, expression, sub_plan_of};
use oxrdf::Term;
use server_kit::mask::{FUNCTION, Mask};
use spargebra::Query;
use spargebra::algebra::{Expression, Function, GraphPattern};
use spargebra::term::{GroundTerm, Literal, NamedNode, NamedNodePattern, Variable};
use std::collections::BTreeSet;

/// Puts a plan together.
pub(super) fn finish(
    planner: Planner<'_>,
    query: &Query,
    delivered: GraphPattern,
    variables: Vec<Variable>,
) -> Result<PhysicalPlan, PlanError> {
    let Planner {
        shipped,
        materialise,
        withheld,
        evidence,
        starved,
        clause,
        ..
    } = planner;
    let dataset = clause.residual();
    let mut outside = BTreeSet::new();
    expression::mentioned(&delivered, &mut outside);
    outside.extend(variables.iter().cloned());
    if let Query::Construct { template, .. } = query {
        expression::mentioned(
            &GraphPattern::Bgp {
                patterns: template.clone(),
            },
            &mut outside,
        );
    }
    let all: Vec<BTreeSet<Variable>> = shipped.iter().map(|(_, local)| local.vars.clone()).collect();
    let sub_plans: Vec<SubPlan> = shipped
        .into_iter()
        .map(|(mut part, local)| {
            let elsewhere = |variable: &Variable| {
                outside.contains(variable)
                    || all
                        .iter()
                        .enumerate()
                        .any(|(id, vars)| id != part.id && vars.contains(variable))
            };
            let mut needed: Vec<Variable> = local
                .vars
                .iter()
                .filter(|variable| part.copied || elsewhere(variable))
                .cloned()
                .collect();
            if needed.is_empty() {
                needed.extend(
                    local
                        .certain
                        .iter()
                        .next()
                        .or_else(|| local.vars.iter().next())
                        .cloned(),
                );
            }
            part.certain = needed
                .iter()
                .filter(|variable| local.certain.contains(variable))
                .cloned()
                .collect();
            part.variables = needed;
            part
        })
        .collect();
    let pattern = fill(delivered, &sub_plans);
    let residual = match query {
        Query::Select { base_iri, .. } => Query::Select {
            dataset,
            pattern: match pattern {
                // The columns and their order are the query's own, whatever was pushed.
                shaped
                @ (GraphPattern::Project { .. } | GraphPattern::Slice { .. } | GraphPattern::Distinct { .. }) => shaped,
                other => GraphPattern::Project {
                    inner: Box::new(other),
                    variables,
                },
            },
            base_iri: base_iri.clone(),
        },
        Query::Construct { template, base_iri, .. } => Query::Construct {
            template: template.clone(),
            dataset,
            pattern,
            base_iri: base_iri.clone(),
        },
        Query::Ask { base_iri, .. } => Query::Ask {
            dataset,
            pattern,
            base_iri: base_iri.clone(),
        },
        Query::Describe { base_iri, .. } => Query::Describe {
            dataset,
            pattern,
            base_iri: base_iri.clone(),
        },
    };
    Ok(PhysicalPlan {
        residual,
        sub_plans,
        materialise,
        withheld,
        starved,
        evidence,
    })
}

/// Gives every service its shape, so that the evaluator knows which columns it brings.
fn fill(pattern: GraphPattern, parts: &[SubPlan]) -> GraphPattern {
    let go = |inner: Box<GraphPattern>| Box::new(fill(*inner, parts));
    match pattern {
        GraphPattern::Service { name, inner, silent } => {
            let shape = match &name {
                NamedNodePattern::NamedNode(node) => sub_plan_of(node.as_str()).and_then(|id| parts.get(id)),
                NamedNodePattern::Variable(_) => None,
            };
            match shape {
                Some(part) => {
                    let inner = GraphPattern::Project {
                        inner: Box::new(part.pattern.clone()),
                        variables: part.variables.clone(),
                    };
                    GraphPattern::Service {
                        name,
                        inner: Box::new(inner),
                        silent,
                    }
                }
                None => GraphPattern::Service { name, inner, silent },
            }
        }
        GraphPattern::Join { left, right } => GraphPattern::Join {
            left: go(left),
            right: go(right),
        },
        GraphPattern::Lateral { left, right } => GraphPattern::Lateral {
            left: go(left),
            right: go(right),
        },
        GraphPattern::Union { left, right } => GraphPattern::Union {
            left: go(left),
            right: go(right),
        },
        GraphPattern::Minus { left, right } => GraphPattern::Minus {
            left: go(left),
            right: go(right),
        },
        GraphPattern::LeftJoin {
            left,
            right,
            expression,
        } => GraphPattern::LeftJoin {
            left: go(left),
            right: go(right),
            expression,
        },
        GraphPattern::Filter { expr, inner } => GraphPattern::Filter { expr, inner: go(inner) },
        GraphPattern::Graph { name, inner } => GraphPattern::Graph { name, inner: go(inner) },
        GraphPattern::Extend {
            inner,
            variable,
            expression,
        } => GraphPattern::Extend {
            inner: go(inner),
            variable,
            expression,
        },
        GraphPattern::OrderBy { inner, expression } => GraphPattern::OrderBy {
            inner: go(inner),
            expression,
        },
        GraphPattern::Project { inner, variables } => GraphPattern::Project {
            inner: go(inner),
            variables,
        },
        GraphPattern::Distinct { inner } => GraphPattern::Distinct { inner: go(inner) },
        GraphPattern::Reduced { inner } => GraphPattern::Reduced { inner: go(inner) },
        GraphPattern::Slice { inner, start, length } => GraphPattern::Slice {
            inner: go(inner),
            start,
            length,
        },
        GraphPattern::Group {
            inner,
            variables,
            aggregates,
        } => GraphPattern::Group {
            inner: go(inner),
            variables,
            aggregates,
        },
        leaf @ (GraphPattern::Bgp { .. } | GraphPattern::Path { .. } | GraphPattern::Values { .. }) => leaf,
    }
}

/// The texts of one sub-plan.
#[derive(Debug)]
pub struct SubPlanText;

impl SubPlanText {
    /// The sub-query without bindings.
    #[must_use]
    pub fn whole(part: &SubPlan) -> String {
        select(part.pattern.clone(), &part.variables)
    }

    /// The sub-query narrowed by one block of bindings.
    #[must_use]
    pub fn bound(part: &SubPlan, variables: &[Variable], rows: &[Vec<GroundTerm>]) -> String {
        let table = GraphPattern::Values {
            variables: variables.to_vec(),
            bindings: rows.iter().map(|row| row.iter().cloned().map(Some).collect()).collect(),
        };
        let join = |pattern| join_patterns(table.clone(), pattern);
        select(narrowed(part.pattern.clone(), &join, variables), &part.variables)
    }

    /// The sub-query narrowed to bindings that may be behind a mask.
    #[must_use]
    pub fn masked(part: &SubPlan, variables: &[Variable], mask: &Mask) -> String {
        let text = Expression::Literal(Literal::new_simple_literal(mask.to_text()));
        let asked = variables.iter().cloned().map(Expression::Variable);
        let may_be_among = Expression::FunctionCall(
            Function::Custom(NamedNode::new_unchecked(FUNCTION)),
            std::iter::once(text).chain(asked).collect(),
        );
        let filter = |inner| GraphPattern::Filter {
            expr: may_be_among.clone(),
            inner: Box::new(inner),
        };
        select(narrowed(part.pattern.clone(), &filter, variables), &part.variables)
    }
}

/// Narrows a pattern as deep as can be without changing the meaning: sources then use a table as an access path, and drop rows early.
fn narrowed(
    pattern: GraphPattern,
    narrow: &dyn Fn(GraphPattern) -> GraphPattern,
    variables: &[Variable],
) -> GraphPattern {
    let holds = |pattern: &GraphPattern| {
        let certain = super::shape::certain(pattern);
        variables.iter().all(|variable| certain.contains(variable))
    };
    match pattern {
        GraphPattern::Filter { expr, inner } if holds(&inner) => GraphPattern::Filter {
            expr,
            inner: Box::new(narrowed(*inner, narrow, variables)),
        },
        GraphPattern::Extend {
            inner,
            variable,
            expression,
        } if holds(&inner) => GraphPattern::Extend {
            inner: Box::new(narrowed(*inner, narrow, variables)),
            variable,
            expression,
        },
        GraphPattern::LeftJoin {
            left,
            right,
            expression,
        } if holds(&left) => GraphPattern::LeftJoin {
            left: Box::new(narrowed(*left, narrow, variables)),
            right,
            expression,
        },
        GraphPattern::Project {
            inner,
            variables: columns,
        } if holds(&inner) && variables.iter().all(|v| columns.contains(v)) => GraphPattern::Project {
            inner: Box::new(narrowed(*inner, narrow, variables)),
            variables: columns,
        },
        GraphPattern::Group {
            inner,
            variables: keys,
            aggregates,
        } if holds(&inner) && variables.iter().all(|variable| keys.contains(variable)) => GraphPattern::Group {
            inner: Box::new(narrowed(*inner, narrow, variables)),
            variables: keys,
            aggregates,
        },
        other => narrow(other),
    }
}

/// A term as a constant in a query; `None` for blank nodes, which mean something only to whoever named them.
#[must_use]
pub(crate) fn ground(term: &Term) -> Option<GroundTerm> {
    match term {
        Term::NamedNode(node) => Some(node.clone().into()),
        Term::Literal(literal) => Some(literal.clone().into()),
        Term::BlankNode(_) | Term::Triple(_) => None,
    }
}

/// The text of the request that fetches triples to merge.
#[derive(Debug)]
pub struct MaterialiseText;

impl MaterialiseText {
    /// One query with a branch per scan: `k` is the number of the scan in [`Wanted`], the other columns are what it leaves open.
    /// What a scan fixes is not asked back: some stores answer `1.0` where they were asked about `1.00`.
    #[must_use]
    pub fn of(wanted: &Wanted) -> String {
        let mut text = String::from("SELECT ?k ?g ?s ?p ?o WHERE {");
        for (at, scan) in wanted.scans.values().enumerate() {
            if at > 0 {
                text.push_str(" UNION");
            }
            text.push_str(&format!(" {{ {} BIND({at} AS ?k) }}", branch(scan)));
        }
        text.push_str(" }");
        text
    }
}

fn branch(scan: &Scan) -> String {
    let position = |fixed: Option<String>, name: &str| fixed.unwrap_or_else(|| format!("?{name}"));
    let triple = format!(
        "{} {} {}",
        position(scan.subject.as_ref().map(ToString::to_string), "s"),
        position(scan.predicate.as_ref().map(ToString::to_string), "p"),
        position(scan.object.as_ref().map(ToString::to_string), "o")
    );
    match &scan.graph {
        ScanGraph::Default | ScanGraph::Whole(..) => triple,
        ScanGraph::AnyNamed => format!("GRAPH ?g {{ {triple} }}"),
        ScanGraph::Named(graph) => format!("GRAPH {graph} {{ {triple} }}"),
    }
}
