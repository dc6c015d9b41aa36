//! Solution modifiers: projection, `DISTINCT` and `LIMIT`, as far down as they can go.

use super::expression;
use super::rewrite::{Node, Planner};
use super::shape;
use spargebra::algebra::GraphPattern;
use spargebra::term::Variable;
use std::collections::BTreeSet;

impl Planner<'_> {
    pub(super) fn project(&mut self, node: Node, variables: &[Variable]) -> Node {
        let project = |inner: GraphPattern| GraphPattern::Project {
            inner: Box::new(inner),
            variables: variables.to_vec(),
        };
        match node {
            Node::Const(inner) => Node::Const(project(inner)),
            Node::Local(mut local) => {
                local.pattern = project(local.pattern);
                local.vars = variables.iter().cloned().collect();
                local.certain.retain(|variable| variables.contains(variable));
                local.values.retain(|variable, _| variables.contains(variable));
                Node::Local(local)
            }
            other => Node::Rest(project(self.deliver(other).0)),
        }
    }

    pub(super) fn distinct(&mut self, node: Node) -> Node {
        match node {
            Node::Local(mut local) => {
                let owned = local.vars.iter().any(|variable| local.is_owner_key(variable)) || local.sources.len() <= 1;
                local.pattern = GraphPattern::Distinct {
                    inner: Box::new(local.pattern),
                };
                if owned && local.unique {
                    return Node::Local(local);
                }
                // Sets may be united from sets: each source removes its own duplicates, the broker those between sources.
                local.unique = true;
                let inner = Box::new(self.deliver(Node::Local(local)).0);
                Node::Rest(GraphPattern::Distinct { inner })
            }
            other => Node::Rest(GraphPattern::Distinct {
                inner: Box::new(self.deliver(other).0),
            }),
        }
    }

    /// `LIMIT`: each source needs to send no more than the limit, in the query's own order.
    pub(super) fn slice(&mut self, inner: &GraphPattern, start: usize, length: Option<usize>) -> Node {
        let slice = |inner: GraphPattern| GraphPattern::Slice {
            inner: Box::new(inner),
            start,
            length,
        };
        let (chain, body) = shape::modifiers(inner);
        let node = self.rewrite(body);
        let enough = length.and_then(|length| length.checked_add(start));
        let movable = shape::order_is_movable(&chain);
        let node = match (node, enough) {
            (Node::Local(mut local), Some(enough)) if movable && local.unique => {
                local.pattern = GraphPattern::Slice {
                    inner: Box::new(shape::rebuild(&chain, local.pattern)),
                    start: 0,
                    length: Some(enough),
                };
                for modifier in &chain {
                    if let shape::Modifier::Project(variables) = modifier {
                        // The order may need more columns than the result: they travel too.
                        let mut columns: BTreeSet<Variable> = variables.iter().cloned().collect();
                        columns.extend(
                            shape::order_variables(&chain)
                                .into_iter()
                                .filter(|variable| local.vars.contains(variable)),
                        );
                        local.pattern = shape::widen(local.pattern, &columns);
                        local.vars = columns;
                        let kept = local.vars.clone();
                        local.certain.retain(|variable| kept.contains(variable));
                    }
                }
                for rows in local.sources.values_mut() {
                    *rows = rows.min(enough as f64);
                }
                Node::Local(local)
            }
            (node, _) => node,
        };
        let (delivered, _) = self.deliver(node);
        for modifier in &chain {
            if let shape::Modifier::OrderBy(criteria) = modifier {
                for order in criteria {
                    self.materialise_exists(expression::order_expression(order));
                }
            }
        }
        Node::Rest(slice(shape::rebuild(&chain, delivered)))
    }
}
