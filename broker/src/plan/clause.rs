//! `FROM` and `FROM NAMED`: the data that a query says it is about (SPARQL 1.1 Query §13.2). A name is that of a dataset in the
//! catalogue, whose whole content is then meant, or of a graph that members hold. Pure; it never widens what a source shows.

use super::materialise::{self, ScanGraph};
use crate::source::{Source, SourceId};
use spargebra::Query;
use spargebra::algebra::{GraphPattern, QueryDataset};
use spargebra::term::{NamedNode, NamedNodePattern};
use std::collections::{BTreeMap, BTreeSet};

/// The dataset clause of a query beside the datasets of the sources; without a clause, everything that sources show.
#[derive(Debug, Clone, Default)]
pub(super) struct Clause {
    /// Names of the default graph and of the named graphs, when the query gives them.
    names: Option<(BTreeSet<NamedNode>, BTreeSet<NamedNode>)>,
    /// Datasets of the sources.
    datasets: BTreeMap<String, BTreeSet<SourceId>>,
}

impl Clause {
    /// The clause of a query.
    pub(super) fn of(query: &Query, sources: &[Source]) -> Self {
        let mut datasets: BTreeMap<String, BTreeSet<SourceId>> = BTreeMap::new();
        let named = if query.dataset().is_some() { sources } else { &[] };
        for (id, source) in named.iter().enumerate() {
            datasets.entry(source.dataset.clone()).or_default().insert(id);
        }
        let names = query.dataset().map(|clause| {
            let default = clause.default.iter().cloned().collect();
            let named = clause.named.iter().flatten().cloned().collect();
            (default, named)
        });
        Self { names, datasets }
    }

    /// The sources that alone are meant, when the query names whole datasets only and no graphs: it is then planned over those as
    /// if there were no others.
    pub(super) fn only(&self, pattern: &GraphPattern) -> Option<BTreeSet<SourceId>> {
        let (default, named) = self.names.as_ref()?;
        if !named.is_empty() || materialise::looks_into_graphs(pattern) {
            return None;
        }
        let found: Option<Vec<_>> = default.iter().map(|name| self.datasets.get(name.as_str())).collect();
        Some(found?.into_iter().flatten().copied().collect())
    }

    /// Whether graphs are named that have to be fetched as such.
    pub(super) fn is_given(&self) -> bool {
        self.names.is_some()
    }

    /// How many graphs are named.
    pub(super) fn len(&self) -> usize {
        self.names
            .as_ref()
            .map_or(0, |(default, named)| default.len().saturating_add(named.len()))
    }

    /// Where patterns outside `GRAPH` look.
    pub(super) fn default_graph(&self) -> Vec<ScanGraph> {
        match &self.names {
            None => vec![ScanGraph::Default],
            Some((default, _)) => default.iter().map(|name| self.graph(name)).collect(),
        }
    }

    /// Where patterns inside a `GRAPH` look.
    pub(super) fn named_graphs(&self, name: &NamedNodePattern) -> Vec<ScanGraph> {
        match (&self.names, name) {
            (None, NamedNodePattern::Variable(_)) => vec![ScanGraph::AnyNamed],
            (None, NamedNodePattern::NamedNode(name)) => vec![self.graph(name)],
            (Some((_, named)), NamedNodePattern::Variable(_)) => named.iter().map(|name| self.graph(name)).collect(),
            (Some((_, named)), NamedNodePattern::NamedNode(name)) => {
                named.get(name).into_iter().map(|name| self.graph(name)).collect()
            }
        }
    }

    /// The clause that the broker's own evaluator follows over the graphs that were fetched. Without `FROM NAMED` no graph is named.
    pub(super) fn residual(&self) -> Option<QueryDataset> {
        let (default, named) = self.names.as_ref()?;
        Some(QueryDataset {
            default: default.iter().cloned().collect(),
            named: Some(named.iter().cloned().collect()),
        })
    }

    fn graph(&self, name: &NamedNode) -> ScanGraph {
        match self.datasets.get(name.as_str()) {
            Some(sources) => ScanGraph::Whole(name.clone(), sources.clone()),
            None => ScanGraph::Named(name.clone()),
        }
    }
}

/// Whether a query is about this dataset as far as its clause tells: it has none, names it, or names a graph that is no dataset and
/// may lie in any.
pub(super) fn concerns(query: &Query, dataset: &str, known: &BTreeSet<String>) -> bool {
    let Some(clause) = query.dataset() else { return true };
    clause
        .default
        .iter()
        .chain(clause.named.iter().flatten())
        .any(|name| name.as_str() == dataset || !known.contains(name.as_str()))
}
