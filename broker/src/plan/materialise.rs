//! The way that is always right: fetch every triple that the patterns of a part can match, once per source, merge them as sets, and
//! evaluate over the merge. Used for parts whose locality cannot be proved (replicated data, paths across owners, named graphs).

use super::clause::Clause;
use super::rewrite::Planner;
use super::{Withheld, expression};
use crate::source::SourceId;
use oxrdf::{GraphName, NamedOrBlankNode, Quad, Term};
use spargebra::algebra::{AggregateExpression, Expression, GraphPattern, PropertyPathExpression};
use spargebra::term::{GroundTerm, NamedNode, NamedNodePattern, TermPattern, TriplePattern, Variable};
use std::collections::{BTreeMap, BTreeSet};

/// Triples to fetch: constants stay, everything else is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scan {
    /// Subject, when fixed.
    pub subject: Option<NamedNode>,
    /// Predicate, when fixed.
    pub predicate: Option<NamedNode>,
    /// Object, when fixed.
    pub object: Option<GroundTerm>,
    /// Where to look.
    pub graph: ScanGraph,
}

/// The graph position of a scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScanGraph {
    /// The source's default graph.
    Default,
    /// Every named graph.
    AnyNamed,
    /// One named graph.
    Named(NamedNode),
    /// The default graphs of the sources that hold this dataset, as a graph of the dataset's name.
    Whole(NamedNode, BTreeSet<SourceId>),
}

impl Scan {
    /// The quad behind a row of what the scan leaves open: graph, subject, predicate, object. `None` when the row does not fit.
    #[must_use]
    pub fn quad(&self, row: [Option<Term>; 4]) -> Option<Quad> {
        let [graph, subject, predicate, object] = row;
        let graph = match (&self.graph, graph) {
            (ScanGraph::Default, _) => GraphName::DefaultGraph,
            (ScanGraph::Named(name) | ScanGraph::Whole(name, _), _) => name.clone().into(),
            (ScanGraph::AnyNamed, Some(Term::NamedNode(name))) => name.into(),
            (ScanGraph::AnyNamed, Some(Term::BlankNode(name))) => name.into(),
            (ScanGraph::AnyNamed, _) => return None,
        };
        let subject: NamedOrBlankNode = match (&self.subject, subject) {
            (Some(fixed), _) => fixed.clone().into(),
            (None, Some(Term::NamedNode(node))) => node.into(),
            (None, Some(Term::BlankNode(node))) => node.into(),
            (None, _) => return None,
        };
        let predicate = match (&self.predicate, predicate) {
            (Some(fixed), _) => fixed.clone(),
            (None, Some(Term::NamedNode(node))) => node,
            (None, _) => return None,
        };
        let object = match (&self.object, object) {
            (Some(fixed), _) => Term::from(fixed.clone()),
            (None, object) => object?,
        };
        Some(Quad::new(subject, predicate, object, graph))
    }
}

/// What one source is asked for in a single request, so that its blank node labels hang together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// All scans, each once, by their text.
    pub scans: BTreeMap<String, Scan>,
}

impl Planner<'_> {
    /// Plans the fetching of everything that a pattern can match.
    pub(super) fn materialise_pattern(&mut self, pattern: &GraphPattern) {
        for (scan, probe) in Collector::of(pattern, &self.clause) {
            let mut local = self.scan(&probe);
            if let ScanGraph::Whole(_, holders) = &scan.graph {
                local.sources.retain(|id, _| holders.contains(id));
            }
            self.starved |= !local.sources.is_empty()
                && local.sources.keys().all(|id| {
                    self.sources
                        .get(*id)
                        .is_some_and(|source| source.aggregate_only.is_some())
                });
            let text = format!("{scan:?}");
            for source in local.sources.keys() {
                self.want(*source, &text, &scan);
            }
            self.merges |= !local.unique;
            self.merged.push(local);
        }
    }

    /// How many triple patterns the pattern and the graphs named by the query come to.
    pub(super) fn graph_scans(&self, pattern: &GraphPattern) -> usize {
        self.clause.len().saturating_mul(Self::probes(pattern).len())
    }

    fn want(&mut self, id: SourceId, text: &str, scan: &Scan) {
        let Some(source) = self.sources.get(id) else { return };
        if let Some(subjects_min) = source.aggregate_only {
            self.withheld
                .entry(id)
                .or_default()
                .insert(Withheld::AggregateOnly { subjects_min });
            return;
        }
        let scans = &mut self.materialise.entry(id).or_default().scans;
        if !scans.contains_key(text) {
            scans.insert(text.to_owned(), scan.clone());
        }
    }

    /// All triple patterns below a pattern, for finding out who could answer any part of it.
    pub(super) fn probes(pattern: &GraphPattern) -> Vec<TriplePattern> {
        Collector::of(pattern, &Clause::default())
            .into_iter()
            .map(|(_, probe)| probe)
            .collect()
    }
}

/// Whether a pattern asks about named graphs anywhere, also inside an `EXISTS`.
pub(super) fn looks_into_graphs(pattern: &GraphPattern) -> bool {
    Collector::of(pattern, &Clause::default())
        .iter()
        .any(|(scan, _)| scan.graph != ScanGraph::Default)
}

struct Collector<'a> {
    clause: &'a Clause,
    scans: Vec<(Scan, TriplePattern)>,
    graphs: Vec<ScanGraph>,
}

impl<'a> Collector<'a> {
    /// Everything that a pattern can match, where the query looks for it.
    fn of(pattern: &GraphPattern, clause: &'a Clause) -> Vec<(Scan, TriplePattern)> {
        let mut collector = Collector {
            clause,
            scans: Vec::new(),
            graphs: clause.default_graph(),
        };
        collector.pattern(pattern);
        collector.scans
    }

    fn add(&mut self, probe: TriplePattern) {
        for graph in &self.graphs {
            let scan = Scan {
                subject: match &probe.subject {
                    TermPattern::NamedNode(node) => Some(node.clone()),
                    _ => None,
                },
                predicate: match &probe.predicate {
                    NamedNodePattern::NamedNode(node) => Some(node.clone()),
                    NamedNodePattern::Variable(_) => None,
                },
                object: match &probe.object {
                    TermPattern::NamedNode(node) => Some(node.clone().into()),
                    TermPattern::Literal(literal) => Some(literal.clone().into()),
                    _ => None,
                },
                graph: graph.clone(),
            };
            self.scans.push((scan, probe.clone()));
        }
    }

    fn everything(&mut self) {
        let open = |name: &str| TermPattern::Variable(Variable::new_unchecked(name));
        self.add(TriplePattern {
            subject: open("meent_s"),
            predicate: NamedNodePattern::Variable(Variable::new_unchecked("meent_p")),
            object: open("meent_o"),
        });
    }

    fn pattern(&mut self, pattern: &GraphPattern) {
        match pattern {
            GraphPattern::Bgp { patterns } => patterns.iter().cloned().for_each(|pattern| self.add(pattern)),
            GraphPattern::Path { subject, path, object } => self.path(subject, path, object),
            GraphPattern::Join { left, right }
            | GraphPattern::Lateral { left, right }
            | GraphPattern::Union { left, right }
            | GraphPattern::Minus { left, right } => {
                self.pattern(left);
                self.pattern(right);
            }
            GraphPattern::LeftJoin {
                left,
                right,
                expression,
            } => {
                self.pattern(left);
                self.pattern(right);
                if let Some(expression) = expression {
                    self.expression(expression);
                }
            }
            GraphPattern::Filter { expr, inner } => {
                self.expression(expr);
                self.pattern(inner);
            }
            GraphPattern::Graph { name, inner } => {
                let graphs = self.clause.named_graphs(name);
                let outer = std::mem::replace(&mut self.graphs, graphs);
                let before = self.scans.len();
                self.pattern(inner);
                if self.scans.len() == before {
                    // An empty `GRAPH` block still asks which graphs exist.
                    self.everything();
                }
                self.graphs = outer;
            }
            GraphPattern::Extend { inner, expression, .. } => {
                self.expression(expression);
                self.pattern(inner);
            }
            GraphPattern::Values { .. } | GraphPattern::Service { .. } => {}
            GraphPattern::OrderBy { inner, expression } => {
                for order in expression {
                    self.expression(expression::order_expression(order));
                }
                self.pattern(inner);
            }
            GraphPattern::Project { inner, .. }
            | GraphPattern::Distinct { inner }
            | GraphPattern::Reduced { inner }
            | GraphPattern::Slice { inner, .. } => self.pattern(inner),
            GraphPattern::Group { inner, aggregates, .. } => {
                for (_, aggregate) in aggregates {
                    if let AggregateExpression::FunctionCall { expr, .. } = aggregate {
                        self.expression(expr);
                    }
                }
                self.pattern(inner);
            }
        }
    }

    fn expression(&mut self, expression: &Expression) {
        expression::walk(expression, &mut |part| {
            if let Expression::Exists(pattern) = part {
                self.pattern(pattern);
            }
        });
    }

    /// A path needs all triples of its properties; one of length zero between two unknown ends needs every node there is.
    fn path(&mut self, subject: &TermPattern, path: &PropertyPathExpression, object: &TermPattern) {
        let open = |term: &TermPattern| matches!(term, TermPattern::Variable(_) | TermPattern::BlankNode(_));
        let mut properties = Vec::new();
        let bounded = steps(path, &mut properties);
        let predicates: Vec<NamedNodePattern> = if !bounded || (may_be_empty(path) && open(subject) && open(object)) {
            vec![NamedNodePattern::Variable(Variable::new_unchecked("meent_p"))]
        } else {
            properties.into_iter().map(NamedNodePattern::NamedNode).collect()
        };
        // A step can start or end at either end of the path: both directions are looked at, and the triples fetched are the same.
        let end = |term: &TermPattern, name: &str| {
            if open(term) {
                term.clone()
            } else {
                TermPattern::Variable(Variable::new_unchecked(name))
            }
        };
        let (start, stop) = (end(subject, "meent_s"), end(object, "meent_o"));
        for predicate in predicates {
            for (subject, object) in [(&start, &stop), (&stop, &start)] {
                self.add(TriplePattern {
                    subject: subject.clone(),
                    predicate: predicate.clone(),
                    object: object.clone(),
                });
            }
        }
    }
}

/// Collects the properties of a path; `false` when it can take any property.
fn steps(path: &PropertyPathExpression, found: &mut Vec<NamedNode>) -> bool {
    match path {
        PropertyPathExpression::NamedNode(node) => {
            found.push(node.clone());
            true
        }
        PropertyPathExpression::Reverse(inner)
        | PropertyPathExpression::ZeroOrMore(inner)
        | PropertyPathExpression::OneOrMore(inner)
        | PropertyPathExpression::ZeroOrOne(inner) => steps(inner, found),
        PropertyPathExpression::Sequence(a, b) | PropertyPathExpression::Alternative(a, b) => {
            let first = steps(a, found);
            steps(b, found) && first
        }
        PropertyPathExpression::NegatedPropertySet(_) => false,
    }
}

/// Whether a path can connect a node with itself by taking no step.
fn may_be_empty(path: &PropertyPathExpression) -> bool {
    match path {
        PropertyPathExpression::ZeroOrMore(_) | PropertyPathExpression::ZeroOrOne(_) => true,
        PropertyPathExpression::NamedNode(_) | PropertyPathExpression::NegatedPropertySet(_) => false,
        PropertyPathExpression::Reverse(inner) | PropertyPathExpression::OneOrMore(inner) => may_be_empty(inner),
        PropertyPathExpression::Sequence(a, b) => may_be_empty(a) && may_be_empty(b),
        PropertyPathExpression::Alternative(a, b) => may_be_empty(a) || may_be_empty(b),
    }
}
