//! Which sources each row rests on, by the names that the consumer knows from the manifest.

use crate::plan::{PhysicalPlan, TraceError, Traced, trace};
use crate::source::{Source, SourceId};
use oxrdf::{Term, Variable};
use sparesults::QuerySolution;
use std::collections::BTreeSet;

/// How rows are written: their columns, and how to tell their sources when that was asked for.
#[derive(Debug, Clone)]
pub struct Provenance {
    /// The query that is evaluated.
    pub traced: Traced,
    /// Datasets by number of the source.
    names: Vec<String>,
    /// Sources whose triples are merged: any row may rest on them.
    merged: BTreeSet<SourceId>,
}

impl Provenance {
    /// Prepares a plan to tell the sources of its rows.
    ///
    /// # Errors
    /// [`TraceError`].
    pub fn of(plan: &PhysicalPlan, sources: &[Source]) -> Result<Self, TraceError> {
        let traced = trace(plan)?;
        Ok(Self {
            names: sources.iter().map(|source| source.dataset.clone()).collect(),
            merged: if traced.merged {
                plan.materialise.keys().copied().collect()
            } else {
                BTreeSet::new()
            },
            traced,
        })
    }

    /// Keeps, of the sources whose triples are merged, those that delivered some.
    pub fn delivered_by(&mut self, answered: &BTreeSet<SourceId>) {
        self.merged.retain(|id| answered.contains(id));
    }

    /// Whether rows name no source that they do not rest on.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.merged.is_empty()
    }

    /// The sources of a row.
    #[must_use]
    pub fn sources(&self, solution: &QuerySolution) -> BTreeSet<SourceId> {
        let mut found = self.merged.clone();
        for column in &self.traced.columns {
            if let Some(Term::Literal(ids)) = solution.get(column) {
                found.extend(
                    ids.value()
                        .split_whitespace()
                        .filter_map(|id| id.parse::<SourceId>().ok()),
                );
            }
        }
        found
    }

    /// The dataset of a source.
    #[must_use]
    pub fn name(&self, id: SourceId) -> &str {
        self.names.get(id).map_or("", String::as_str)
    }

    /// The answer's own columns.
    #[must_use]
    pub fn variables(&self) -> &[Variable] {
        &self.traced.variables
    }
}
