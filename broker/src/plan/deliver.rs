//! The planner's last step: parts become sub-plans with their bound joins, or triples to merge, and the residual query names them.

use super::expression;
use super::local::Local;
use super::replica;
use super::rewrite::{Node, Planner};
use super::{Bind, Duplicates, PhysicalPlan, PlanError, SubPlan, Wanted, Withheld, service_iri};
use crate::source::{Source, SourceId};
use spargebra::Query;
use spargebra::algebra::{Expression, GraphPattern};
use spargebra::term::{NamedNode, Variable};
use std::collections::{BTreeMap, BTreeSet};

/// How join keys go from one owner to another (ENF-34).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Travel {
    /// As they are.
    Plain,
    /// Behind a mask.
    Masked,
}

/// A point to which planning can return.
pub(super) struct Mark {
    shipped: usize,
    merged: usize,
    merges: bool,
    materialise: BTreeMap<SourceId, Wanted>,
}

impl Planner<'_> {
    /// Fetches what the patterns inside `EXISTS` need, since the broker itself will evaluate them.
    pub(super) fn materialise_exists(&mut self, filter: &Expression) {
        let mut inner = Vec::new();
        expression::walk(filter, &mut |part| {
            if let Expression::Exists(pattern) = part {
                inner.push((**pattern).clone());
            }
        });
        // Whether there is a solution does not depend on how often.
        let merges = self.merges;
        for pattern in inner {
            self.materialise_pattern(&pattern);
        }
        self.merges = merges;
    }

    /// Turns a node into a residual pattern; returns the sub-plans whose bindings hold in every solution of it.
    pub(super) fn deliver(&mut self, node: Node) -> (GraphPattern, Vec<usize>) {
        match node {
            Node::Const(pattern) | Node::Rest(pattern) => (pattern, Vec::new()),
            Node::Local(local) => self.ship(local, &[]),
            Node::Block { mut units, filters } => {
                units.sort_by(|a, b| a.estimate().total_cmp(&b.estimate()));
                let mut delivered: Option<GraphPattern> = None;
                let mut feeding: Vec<usize> = Vec::new();
                let mut bound: BTreeSet<Variable> = BTreeSet::new();
                while !units.is_empty() {
                    // Smallest first, then whatever is connected to what is already there: no cross products by accident.
                    let next = units
                        .iter()
                        .position(|unit| !unit.vars.is_disjoint(&bound))
                        .unwrap_or(0);
                    let unit = units.remove(next);
                    bound.extend(unit.vars.iter().cloned());
                    let (pattern, ids) = self.ship(unit, &feeding);
                    feeding.extend(ids);
                    delivered = Some(match delivered {
                        Some(before) => GraphPattern::Join {
                            left: Box::new(before),
                            right: Box::new(pattern),
                        },
                        None => pattern,
                    });
                }
                let mut pattern = delivered.unwrap_or(GraphPattern::Bgp { patterns: Vec::new() });
                for expr in filters {
                    pattern = GraphPattern::Filter {
                        expr,
                        inner: Box::new(pattern),
                    };
                }
                (pattern, feeding)
            }
        }
    }

    /// Delivers the right side of an operator that only looks at solutions compatible with the left side.
    pub(super) fn deliver_bound(&mut self, node: Node, feeding: &[usize]) -> GraphPattern {
        match node {
            Node::Local(local) => self.ship(local, feeding).0,
            other => self.deliver(other).0,
        }
    }

    /// Makes a part a sub-plan, or arranges for its triples to be merged.
    fn ship(&mut self, mut local: Local, feeding: &[usize]) -> (GraphPattern, Vec<usize>) {
        if !local.aggregated {
            let closed: Vec<(SourceId, u32)> = local
                .sources
                .keys()
                .filter_map(|id| {
                    self.sources
                        .get(*id)
                        .and_then(|source| source.aggregate_only)
                        .map(|min| (*id, min))
                })
                .collect();
            self.starved |= !closed.is_empty() && closed.len() == local.sources.len();
            for (id, subjects_min) in closed {
                local.sources.remove(&id);
                self.withheld
                    .entry(id)
                    .or_default()
                    .insert(Withheld::AggregateOnly { subjects_min });
            }
        }
        if local.sources.is_empty() {
            self.evidence
                .push("no source can answer a part: it is empty".to_owned());
            let variables = local.vars.into_iter().collect();
            return (
                GraphPattern::Values {
                    variables,
                    bindings: Vec::new(),
                },
                Vec::new(),
            );
        }
        let bind = self.bind(&local, feeding);
        // The rows of one triple pattern are triples: those that two sources hold are known by being equal.
        let copied = !local.unique && bind.is_some() && replica::is_one_triple(&local.pattern);
        if !local.unique && !copied {
            self.evidence
                .push("several sources may hold the same triples of a part: they are fetched and merged".to_owned());
            self.materialise_pattern(&local.pattern);
            return (local.pattern, Vec::new());
        }
        if copied {
            self.evidence
                .push("several sources may hold the same triples of a part: equal ones count once".to_owned());
        }
        let id = self.shipped.len();
        self.evidence.push(format!(
            "sub-plan {id} goes whole to {} sources{}",
            local.sources.len(),
            bind.as_ref()
                .map(|bind| format!(
                    ", narrowed by the {}bindings of sub-plan {}",
                    if bind.masked { "masked " } else { "" },
                    bind.from
                ))
                .unwrap_or_default()
        ));
        let anchors = bind.iter().flat_map(|bind| &bind.variables);
        let anchors = anchors.map(|variable| (variable.clone(), replica::anchors(&local.pattern, variable)));
        let part = SubPlan {
            anchors: anchors.collect(),
            copied,
            id,
            pattern: local.pattern.clone(),
            variables: Vec::new(),
            certain: Vec::new(),
            sources: local.sources.clone(),
            bind,
            aggregated: local.aggregated,
            values: local.values.clone(),
        };
        self.shipped.push((part, local));
        let service = GraphPattern::Service {
            name: NamedNode::new_unchecked(service_iri(id)).into(),
            inner: Box::new(GraphPattern::Bgp { patterns: Vec::new() }),
            silent: false,
        };
        (service, vec![id])
    }

    /// Chooses the sub-plan whose bindings narrow this part most, if that pays and may be disclosed.
    fn bind(&self, local: &Local, feeding: &[usize]) -> Option<Bind> {
        if !self.limits.bound_joins {
            return None;
        }
        let own = local.estimate();
        feeding
            .iter()
            .filter_map(|id| self.shipped.get(*id))
            .filter(|(_, other)| {
                let keys = other.estimate();
                keys <= self.limits.bind_keys_max as f64 && keys * 2.0 < own
            })
            .filter_map(|(part, other)| {
                let masked = self.keys_travel(&part.sources, &local.sources)? == Travel::Masked;
                let variables: Vec<Variable> = other
                    .certain
                    .intersection(&local.certain)
                    .filter(|variable| {
                        local
                            .values
                            .get(variable)
                            .is_some_and(|column| column.never_blank(&local.sources))
                    })
                    .cloned()
                    .collect();
                (!variables.is_empty()).then_some((
                    other.estimate(),
                    Bind {
                        from: part.id,
                        variables,
                        masked,
                    },
                ))
            })
            .min_by(|(a, _), (b, _)| a.total_cmp(b))
            .map(|(_, bind)| bind)
    }

    /// How values of these sources may be sent to all of those as join keys; `None` when some may not.
    fn keys_travel(&self, origins: &BTreeMap<SourceId, f64>, targets: &BTreeMap<SourceId, f64>) -> Option<Travel> {
        let known = |ids: &BTreeMap<SourceId, f64>| -> Option<Vec<(SourceId, &Source)>> {
            ids.keys().map(|id| Some((*id, self.sources.get(*id)?))).collect()
        };
        let (origins, targets) = (known(origins)?, known(targets)?);
        // Open data may be sent to anyone, and agreed data to whoever is asked under an agreement, unless it has to stay.
        let all_agreed = targets.iter().all(|(_, target)| target.agreement.is_some());
        let guarded = |source: &Source| source.stays || source.agreement.is_some() && !all_agreed;
        let mut guarded = origins.iter().filter(|(_, origin)| guarded(origin));
        let may_go = guarded.all(|(from, origin)| {
            let mut targets = targets.iter();
            targets.all(|(to, target)| from == to || target.may_receive_keys_of(origin))
        });
        let leaves = |origin: &Source| targets.iter().any(|(_, target)| target.member != origin.member);
        let masked = origins.iter().any(|(_, origin)| origin.masks && leaves(origin));
        match (may_go, masked) {
            (false, _) => None,
            (true, false) => Some(Travel::Plain),
            (true, true) => targets
                .iter()
                .all(|(_, target)| target.looks_through_masks())
                .then_some(Travel::Masked),
        }
    }

    /// Drops all sub-plans, to plan by merging alone.
    pub(super) fn restart_merging_everything(&mut self) {
        self.shipped.clear();
        self.starved = false;
        self.materialise.clear();
        self.merged.clear();
        self.merges = false;
    }

    pub(super) fn mark(&self) -> Mark {
        Mark {
            shipped: self.shipped.len(),
            merged: self.merged.len(),
            merges: self.merges,
            materialise: self.materialise.clone(),
        }
    }

    pub(super) fn reset(&mut self, mark: Mark) {
        self.shipped.truncate(mark.shipped);
        self.merged.truncate(mark.merged);
        self.merges = mark.merges;
        self.materialise = mark.materialise;
    }

    /// Puts the plan together: prunes columns nobody needs and fills in the services' shapes.
    pub(super) fn finish(
        self,
        query: &Query,
        delivered: GraphPattern,
        variables: Vec<Variable>,
    ) -> Result<PhysicalPlan, PlanError> {
        if self.duplicates == Duplicates::Kept && self.merges {
            return Err(PlanError::Merges);
        }
        if self.shipped.len() > self.limits.sub_plans_max {
            return Err(PlanError::TooManySubPlans(self.limits.sub_plans_max));
        }
        super::render::finish(self, query, delivered, variables)
    }
}
