//! The planner's recursion: every part of the query becomes a constant, a part that each source can answer alone, an inner join of
//! such parts, or a rest that the broker evaluates over what they deliver.

use super::clause::Clause;
use super::expression::{self, conjuncts, is_stable};
use super::local::{Local, join_patterns};
use super::shape::{self, extended, with_table};
use super::{Duplicates, PlanLimits, SubPlan, Wanted, Withheld};
use crate::source::{Column, Directory, Found, Source, SourceId, ValueSet};
use spargebra::algebra::{Expression, GraphPattern};
use spargebra::term::{GroundTerm, TriplePattern, Variable};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What a part of the query became.
#[derive(Debug)]
pub(super) enum Node {
    /// No data needed: `VALUES`, `BIND` of constants.
    Const(GraphPattern),
    /// Every source can answer it alone.
    Local(Local),
    /// Inner join of parts, and filters over it.
    Block {
        /// The parts.
        units: Vec<Local>,
        /// Filters that no part could take.
        filters: Vec<Expression>,
    },
    /// Already rewritten: delivered parts below, residual operators above.
    Rest(GraphPattern),
}

/// State of planning one query.
pub(super) struct Planner<'a> {
    pub(super) sources: &'a [Source],
    pub(super) directory: &'a Directory,
    pub(super) limits: &'a PlanLimits,
    pub(super) selected: HashMap<TriplePattern, Found>,
    pub(super) materialise: BTreeMap<SourceId, Wanted>,
    pub(super) withheld: BTreeMap<SourceId, BTreeSet<Withheld>>,
    pub(super) evidence: Vec<String>,
    pub(super) starved: bool,
    /// What becomes of triples that several sources hold.
    pub(super) duplicates: Duplicates,
    /// Whether triples are merged that several sources may hold.
    pub(super) merges: bool,
    /// Scans whose triples are merged: kept to see where blank nodes would have to survive two requests.
    pub(super) merged: Vec<Local>,
    pub(super) shipped: Vec<(SubPlan, Local)>,
    /// Graphs that the query names, which are fetched as such.
    pub(super) clause: Clause,
    /// The only sources that the query is about, when it says so.
    pub(super) only: Option<BTreeSet<SourceId>>,
    /// Whether an agreement covers some properties only.
    pub(super) restricted: bool,
    fresh: usize,
}

impl<'a> Planner<'a> {
    pub(super) fn new(sources: &'a [Source], directory: &'a Directory, limits: &'a PlanLimits) -> Self {
        let restricted = |source: &Source| source.properties.is_some() || !source.hidden.is_empty();
        Self {
            restricted: sources.iter().any(restricted),
            sources,
            directory,
            limits,
            selected: HashMap::new(),
            materialise: BTreeMap::new(),
            withheld: BTreeMap::new(),
            evidence: Vec::new(),
            starved: false,
            duplicates: Duplicates::default(),
            merges: false,
            merged: Vec::new(),
            shipped: Vec::new(),
            clause: Clause::default(),
            only: None,
            fresh: 0,
        }
    }

    pub(super) fn fresh(&mut self, name: &str) -> Variable {
        self.fresh += 1;
        Variable::new_unchecked(format!("meent_{name}{}", self.fresh))
    }

    /// Plans the root and delivers it.
    pub(super) fn root(&mut self, pattern: &GraphPattern, ask: bool) -> GraphPattern {
        let node = self.rewrite(pattern);
        let node = match node {
            Node::Local(mut local) if ask => {
                // One solution anywhere settles it; the same one twice does no harm.
                local.pattern = GraphPattern::Slice {
                    inner: Box::new(local.pattern),
                    start: 0,
                    length: Some(1),
                };
                local.unique = true;
                Node::Local(local)
            }
            other => other,
        };
        self.deliver(node).0
    }

    /// Plans one part.
    pub(super) fn rewrite(&mut self, pattern: &GraphPattern) -> Node {
        if shape::gains_at_one_source(pattern)
            && let Some(local) = self.at_one_source(pattern)
        {
            return Node::Local(local);
        }
        match pattern {
            GraphPattern::Bgp { patterns } => self.bgp(patterns),
            GraphPattern::Values { .. } => Node::Const(pattern.clone()),
            GraphPattern::Join { left, right } => {
                let (left, right) = (self.rewrite(left), self.rewrite(right));
                self.join(left, right)
            }
            GraphPattern::LeftJoin {
                left,
                right,
                expression,
            } => {
                let (left, right) = (self.rewrite(left), self.rewrite(right));
                self.left_join(left, right, expression.clone())
            }
            GraphPattern::Filter { expr, inner } => {
                let mut node = self.rewrite(inner);
                for part in conjuncts(expr.clone()) {
                    node = self.filter(node, part);
                }
                node
            }
            GraphPattern::Union { left, right } => {
                let (left, right) = (self.rewrite(left), self.rewrite(right));
                self.union(left, right)
            }
            GraphPattern::Minus { left, right } => {
                let (left, right) = (self.rewrite(left), self.rewrite(right));
                self.minus(left, right)
            }
            GraphPattern::Extend {
                inner,
                variable,
                expression,
            } => {
                let node = self.rewrite(inner);
                self.extend(node, variable, expression)
            }
            GraphPattern::Project { inner, variables } => {
                let node = self.rewrite(inner);
                self.project(node, variables)
            }
            GraphPattern::Distinct { inner } => {
                let node = self.rewrite(inner);
                self.distinct(node)
            }
            GraphPattern::Reduced { inner } => match self.rewrite(inner) {
                Node::Local(local) => Node::Local(local),
                other => Node::Rest(GraphPattern::Reduced {
                    inner: Box::new(self.deliver(other).0),
                }),
            },
            GraphPattern::OrderBy { inner, expression } => {
                let node = self.rewrite(inner);
                let inner = Box::new(self.deliver(node).0);
                for order in expression {
                    self.materialise_exists(expression::order_expression(order));
                }
                Node::Rest(GraphPattern::OrderBy {
                    inner,
                    expression: expression.clone(),
                })
            }
            GraphPattern::Slice { inner, start, length } => self.slice(inner, *start, *length),
            GraphPattern::Group {
                inner,
                variables,
                aggregates,
            } => self.group(inner, variables, aggregates),
            GraphPattern::Path { .. } | GraphPattern::Graph { .. } | GraphPattern::Lateral { .. } => {
                self.evidence
                    .push("a path or named graph over several sources: its triples are fetched and merged".to_owned());
                self.materialise_pattern(pattern);
                Node::Rest(pattern.clone())
            }
            GraphPattern::Service { .. } => Node::Const(pattern.clone()),
        }
    }

    /// A part of which only one source can answer anything is that source's, whatever its operators.
    fn at_one_source(&mut self, pattern: &GraphPattern) -> Option<Local> {
        if !shape::pushable(pattern) {
            return None;
        }
        let probes = Self::probes(pattern);
        if probes.is_empty() {
            return None;
        }
        let mut only = None;
        for probe in &probes {
            for source in self.candidates(probe).triples.keys() {
                if *only.get_or_insert(*source) != *source {
                    return None;
                }
            }
        }
        let source = only?;
        let mut vars = BTreeSet::new();
        pattern.on_in_scope_variable(|variable| {
            vars.insert(variable.clone());
        });
        let mut estimate: f64 = 1.0;
        let mut values: BTreeMap<Variable, ValueSet> = BTreeMap::new();
        let certain = shape::certain(pattern);
        let mut smallest = f64::MAX;
        for probe in &probes {
            let scan = self.scan(probe);
            smallest = smallest.min(scan.estimate().max(1.0));
            for (variable, column) in scan.values {
                // Only what holds in every solution may narrow; `certain` variables keep the pattern's own values.
                if certain.contains(&variable)
                    && vars.contains(&variable)
                    && let Some(set) = column.at(source)
                    && shape::flat(pattern)
                {
                    let known = values.entry(variable).or_insert(ValueSet::Any);
                    *known = known.narrow(set);
                }
            }
        }
        estimate = estimate.max(smallest);
        Some(Local {
            pattern: pattern.clone(),
            sources: BTreeMap::from([(source, estimate)]),
            values: values
                .into_iter()
                .map(|(variable, set)| (variable, Column::from_iter([(source, set)])))
                .collect(),
            certain,
            vars,
            unique: true,
            aggregated: shape::aggregates(pattern),
        })
    }

    /// Inner join.
    fn join(&mut self, left: Node, right: Node) -> Node {
        match (left, right) {
            (Node::Const(left), Node::Const(right)) => Node::Const(join_patterns(left, right)),
            (Node::Const(table), Node::Local(local)) | (Node::Local(local), Node::Const(table)) => {
                Node::Local(with_table(local, &table))
            }
            (Node::Const(table), Node::Block { mut units, filters })
            | (Node::Block { mut units, filters }, Node::Const(table)) => {
                let scope = shape::in_scope(&table);
                let within = |variable: &Variable| units.iter().any(|unit| unit.certain.contains(variable));
                let filters_see_it = filters.iter().any(|filter| {
                    let seen = expression::variables(filter);
                    seen.iter()
                        .any(|variable| scope.contains(variable) && !within(variable))
                });
                if filters_see_it {
                    let (delivered, _) = self.deliver(Node::Block { units, filters });
                    return Node::Rest(join_patterns(table, delivered));
                }
                match units.iter().position(|unit| !unit.vars.is_disjoint(&scope)) {
                    Some(at) => {
                        let unit = with_table(units.remove(at), &table);
                        units.insert(at, unit);
                        self.block(units, filters)
                    }
                    None => {
                        let (delivered, _) = self.deliver(Node::Block { units, filters });
                        Node::Rest(join_patterns(table, delivered))
                    }
                }
            }
            (Node::Rest(rest), other) | (other, Node::Rest(rest)) => {
                let (delivered, _) = self.deliver(other);
                Node::Rest(join_patterns(rest, delivered))
            }
            (left, right) => {
                let (mut units, mut filters) = parts(left);
                let (more, also) = parts(right);
                // A filter sees the bindings of its own group only: it may move up when the other side cannot bind more of it.
                let safe = |filters: &[Expression], own: &[Local], others: &[Local]| {
                    filters.iter().all(|filter| {
                        expression::variables(filter).iter().all(|variable| {
                            own.iter().any(|unit| unit.certain.contains(variable))
                                || others.iter().all(|unit| !unit.vars.contains(variable))
                        })
                    })
                };
                if safe(&filters, &units, &more) && safe(&also, &more, &units) {
                    units.extend(more);
                    filters.extend(also);
                    return self.block(units, filters);
                }
                let (left, _) = self.deliver(Node::Block { units, filters });
                let (right, _) = self.deliver(Node::Block {
                    units: more,
                    filters: also,
                });
                Node::Rest(join_patterns(left, right))
            }
        }
    }

    fn left_join(&mut self, left: Node, right: Node, expression: Option<Expression>) -> Node {
        let movable = expression
            .as_ref()
            .is_none_or(|e| is_stable(e) && !expression::has_exists(e));
        match (left, right) {
            (Node::Local(left), Node::Local(right))
                if movable && (left.joins_locally(&right) || self.refers_to_copies(&left, &right)) =>
            {
                if right.sources.is_empty() {
                    return Node::Local(left);
                }
                Node::Local(left.left_join(right, expression))
            }
            (Node::Block { mut units, filters }, Node::Local(right)) if movable => {
                let wanted: BTreeSet<Variable> = expression.as_ref().map(expression::variables).unwrap_or_default();
                let host = units.iter().enumerate().position(|(at, unit)| {
                    let elsewhere = |variable: &Variable| {
                        units
                            .iter()
                            .enumerate()
                            .any(|(other, unit)| other != at && unit.vars.contains(variable))
                    };
                    unit.joins_locally(&right)
                        && right
                            .vars
                            .iter()
                            .all(|variable| unit.certain.contains(variable) || !elsewhere(variable))
                        && wanted.iter().all(|variable| {
                            right.vars.contains(variable)
                                || unit.certain.contains(variable)
                                || (unit.vars.contains(variable) && !elsewhere(variable))
                        })
                        && filters.iter().all(|filter| {
                            expression::variables(filter)
                                .iter()
                                .all(|variable| !right.vars.contains(variable) || unit.certain.contains(variable))
                        })
                });
                match host {
                    Some(at) => {
                        let unit = units.remove(at).left_join(right, expression);
                        units.insert(at, unit);
                        Node::Block { units, filters }
                    }
                    None => self.residual_left_join(Node::Block { units, filters }, Node::Local(right), expression),
                }
            }
            (left, right) => self.residual_left_join(left, right, expression),
        }
    }

    fn residual_left_join(&mut self, left: Node, right: Node, expression: Option<Expression>) -> Node {
        if let Some(expression) = &expression {
            self.materialise_exists(expression);
        }
        let (left, feeding) = self.deliver(left);
        let right = self.deliver_bound(right, &feeding);
        Node::Rest(GraphPattern::LeftJoin {
            left: Box::new(left),
            right: Box::new(right),
            expression,
        })
    }

    fn minus(&mut self, left: Node, right: Node) -> Node {
        match (left, right) {
            (Node::Local(left), Node::Local(right)) if left.joins_locally(&right) => {
                if right.sources.is_empty() {
                    return Node::Local(left);
                }
                Node::Local(Local {
                    pattern: GraphPattern::Minus {
                        left: Box::new(left.pattern),
                        right: Box::new(right.pattern),
                    },
                    ..left
                })
            }
            (left, right) => {
                let (left, feeding) = self.deliver(left);
                let right = self.deliver_bound(right, &feeding);
                Node::Rest(GraphPattern::Minus {
                    left: Box::new(left),
                    right: Box::new(right),
                })
            }
        }
    }

    fn union(&mut self, left: Node, right: Node) -> Node {
        match (left, right) {
            (Node::Local(left), Node::Local(right))
                if left.unique == right.unique && left.aggregated == right.aggregated =>
            {
                Node::Local(left.union(right))
            }
            (left, right) => {
                let left = Box::new(self.deliver(left).0);
                let right = Box::new(self.deliver(right).0);
                Node::Rest(GraphPattern::Union { left, right })
            }
        }
    }

    pub(super) fn filter(&mut self, node: Node, filter: Expression) -> Node {
        match node {
            Node::Const(inner) if !expression::has_exists(&filter) => Node::Const(GraphPattern::Filter {
                expr: filter,
                inner: Box::new(inner),
            }),
            Node::Local(local) => match self.push_filter(local, filter) {
                Ok(local) => Node::Local(local),
                Err((local, filter)) => {
                    self.materialise_exists(&filter);
                    let inner = Box::new(self.deliver(Node::Local(local)).0);
                    Node::Rest(GraphPattern::Filter { expr: filter, inner })
                }
            },
            Node::Block { mut units, mut filters } => {
                let exists = expression::has_exists(&filter);
                let mentioned = expression::variables(&filter);
                let mut filter = filter;
                for at in 0..units.len() {
                    if !filter_fits(&units, at, &mentioned, exists) {
                        continue;
                    }
                    let unit = units.remove(at);
                    match self.push_filter(unit, filter) {
                        Ok(unit) => {
                            units.insert(at, unit);
                            return self.block(units, filters);
                        }
                        Err((unit, back)) => {
                            units.insert(at, unit);
                            filter = back;
                        }
                    }
                }
                if exists {
                    self.materialise_exists(&filter);
                    let inner = Box::new(self.deliver(Node::Block { units, filters }).0);
                    return Node::Rest(GraphPattern::Filter { expr: filter, inner });
                }
                filters.push(filter);
                Node::Block { units, filters }
            }
            other => {
                self.materialise_exists(&filter);
                let inner = Box::new(self.deliver(other).0);
                Node::Rest(GraphPattern::Filter { expr: filter, inner })
            }
        }
    }

    /// Puts a filter into a part, if the part can evaluate it alone.
    fn push_filter(&mut self, mut local: Local, filter: Expression) -> Result<Local, (Local, Expression)> {
        if !is_stable(&filter) {
            return Err((local, filter));
        }
        if expression::has_exists(&filter) && !self.exists_is_local(&local, &filter) {
            return Err((local, filter));
        }
        if let Some((variable, terms)) = expression::as_values(&filter)
            && local.certain.contains(&variable)
            && !local.aggregated
        {
            let bindings: Vec<Vec<Option<GroundTerm>>> = terms.into_iter().map(|term| vec![Some(term)]).collect();
            let variables = vec![variable];
            local.restrict(&variables, &bindings);
            local.pattern = join_patterns(GraphPattern::Values { variables, bindings }, local.pattern);
            return Ok(local);
        }
        local.pattern = match local.pattern {
            GraphPattern::Filter { expr, inner } => GraphPattern::Filter {
                expr: Expression::And(Box::new(expr), Box::new(filter)),
                inner,
            },
            other => GraphPattern::Filter {
                expr: filter,
                inner: Box::new(other),
            },
        };
        for rows in local.sources.values_mut() {
            *rows = (*rows * 0.5).max(1.0);
        }
        Ok(local)
    }

    /// Whether every `EXISTS` of a filter asks about the same source as the solution it filters.
    fn exists_is_local(&mut self, local: &Local, filter: &Expression) -> bool {
        let mut inner = Vec::new();
        expression::walk(filter, &mut |part| {
            if let Expression::Exists(pattern) = part {
                inner.push((**pattern).clone());
            }
        });
        inner.iter().all(|pattern| {
            let mark = self.mark();
            let node = self.rewrite(pattern);
            self.reset(mark);
            matches!(node, Node::Local(other) if local.joins_locally(&other))
        })
    }

    fn extend(&mut self, node: Node, variable: &Variable, expression: &Expression) -> Node {
        let movable = is_stable(expression) && !expression::has_exists(expression);
        let extend = |inner: GraphPattern| GraphPattern::Extend {
            inner: Box::new(inner),
            variable: variable.clone(),
            expression: expression.clone(),
        };
        match node {
            Node::Const(inner) if movable => Node::Const(extend(inner)),
            Node::Local(local) if movable => Node::Local(extended(local, variable, expression)),
            Node::Block { mut units, filters } if movable => {
                let wanted = expression::variables(expression);
                let host = units.iter().enumerate().position(|(at, unit)| {
                    wanted.iter().all(|variable| {
                        let elsewhere = units
                            .iter()
                            .enumerate()
                            .any(|(other, unit)| other != at && unit.vars.contains(variable));
                        unit.certain.contains(variable) || (unit.vars.contains(variable) && !elsewhere)
                    })
                });
                match host {
                    Some(at) => {
                        let unit = extended(units.remove(at), variable, expression);
                        units.insert(at, unit);
                        Node::Block { units, filters }
                    }
                    None => Node::Rest(extend(self.deliver(Node::Block { units, filters }).0)),
                }
            }
            other => {
                self.materialise_exists(expression);
                Node::Rest(extend(self.deliver(other).0))
            }
        }
    }
}

/// Whether a filter over a whole block says the same inside the unit at `at`: what another unit may bind, this unit must bind in every
/// solution. A variable that no unit binds belongs to the inside of an `EXISTS`; a filter without `EXISTS` has no use for such a unit.
fn filter_fits(units: &[Local], at: usize, mentioned: &BTreeSet<Variable>, exists: bool) -> bool {
    let Some(unit) = units.get(at) else { return false };
    let bound_elsewhere = |variable: &Variable| {
        units
            .iter()
            .enumerate()
            .any(|(other, unit)| other != at && unit.vars.contains(variable))
    };
    !mentioned.is_empty()
        && mentioned.iter().all(|variable| {
            unit.certain.contains(variable) || ((exists || unit.vars.contains(variable)) && !bound_elsewhere(variable))
        })
}

fn parts(node: Node) -> (Vec<Local>, Vec<Expression>) {
    match node {
        Node::Local(local) => (vec![local], Vec::new()),
        Node::Block { units, filters } => (units, filters),
        Node::Const(_) | Node::Rest(_) => (Vec::new(), Vec::new()),
    }
}
