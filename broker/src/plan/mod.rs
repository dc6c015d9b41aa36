//! From algebra to a physical plan: which parts of a query are shipped whole to which sources, how they feed each other, and what
//! remains for the broker's own evaluator. Pure: no I/O, no clock.
//!
//! Semantics: the answer equals the query over the RDF merge of what the sources let the consumer see. Parts whose solutions
//! provably never mix two sources are shipped whole ("unions over joins"); the rest is joined here; and what cannot be proved is
//! answered by fetching the triples that the patterns need and evaluating over their merge. Never a wrong answer for speed.

mod aggregate;
mod clause;
mod deliver;
mod expression;
mod grow;
mod labels;
mod local;
mod materialise;
mod modify;
mod normalise;
mod render;
mod replica;
mod rewrite;
mod scan;
mod shape;
mod text;
mod trace;

pub use crate::source::Anchor;
pub use materialise::{Scan, Wanted};
pub(crate) use render::ground;
pub use render::{MaterialiseText, SubPlanText};
pub use trace::{TraceError, Traced, trace};

use crate::source::{Column, Directories, Source, SourceId};
use server_kit::results::columns;
use spargebra::Query;
use spargebra::algebra::GraphPattern;
use spargebra::term::Variable;
use std::collections::{BTreeMap, BTreeSet};

/// Bounds of planning.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PlanLimits {
    /// Most sub-plans in one query.
    pub sub_plans_max: usize,
    /// Most estimated solutions of the side whose bindings are sent along in a bound join.
    pub bind_keys_max: usize,
    /// Most bytes of one `VALUES` block.
    pub values_block_bytes_max: usize,
    /// Most triple patterns that are asked for in the graphs that a query names: its patterns times those graphs.
    pub graph_scans_max: usize,
    /// Most lists of sources (who asks, under which agreements) whose descriptions are kept turned round for planning.
    pub directories_max: usize,
    /// Whether bound joins are used at all.
    pub bound_joins: bool,
    /// Whether aggregates are pushed to the sources.
    pub push_aggregates: bool,
}

impl Default for PlanLimits {
    fn default() -> Self {
        Self {
            sub_plans_max: 64,
            bind_keys_max: 20_000,
            values_block_bytes_max: 256 * 1024,
            graph_scans_max: 4_096,
            directories_max: 16,
            bound_joins: true,
            push_aggregates: true,
        }
    }
}

/// What becomes of a triple that several sources hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Duplicates {
    /// It counts once: the sources are merged as RDF graphs are.
    #[default]
    Merged,
    /// It counts once for each source that holds it.
    Kept,
}

/// Why planning stopped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A part of SPARQL that this endpoint refuses.
    #[error("{0}")]
    Unsupported(String),
    /// More sub-plans than allowed.
    #[error("the query needs more than {0} sub-queries")]
    TooManySubPlans(usize),
    /// Duplicates cannot be kept.
    #[error(
        "a triple cannot count as often as it is held: this query needs triples of several sources in one place, and more than one may hold the same"
    )]
    Merges,
    /// More patterns in named graphs than allowed.
    #[error("the query's patterns in the graphs that it names are more than {0}")]
    TooManyGraphScans(usize),
}

/// A part that goes to several sources in the same form.
#[derive(Debug, Clone)]
pub struct SubPlan {
    /// Its number in the plan; the residual query names it `urn:meent:subplan:{id}`.
    pub id: usize,
    /// What is asked.
    pub pattern: GraphPattern,
    /// What is returned.
    pub variables: Vec<Variable>,
    /// Those of them that hold a value in every row.
    pub certain: Vec<Variable>,
    /// Whom to ask, with the estimated number of rows.
    pub sources: BTreeMap<SourceId, f64>,
    /// Which earlier sub-plan's bindings narrow this one.
    pub bind: Option<Bind>,
    /// Whether every row aggregates a group.
    pub aggregated: bool,
    /// Values that the variables can take at each source: names the owners of a binding.
    pub values: BTreeMap<Variable, Column>,
    /// Where the variables of the bound join stand in triples that every solution matches: names the owners of a binding exactly.
    pub anchors: BTreeMap<Variable, Vec<Anchor>>,
    /// Whether every row is one triple, which several sources may hold: then it counts once.
    pub copied: bool,
}

/// A bound join: the distinct bindings of `variables` in sub-plan `from` are sent along, to their owners only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    /// The sub-plan whose answer comes first.
    pub from: usize,
    /// The shared variables.
    pub variables: Vec<Variable>,
    /// Whether the bindings go behind a mask, because somebody whose values they are asks for that (ENF-34).
    pub masked: bool,
}

/// Why a source that could answer was left out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum Withheld {
    /// The agreement does not cover a property that the query names.
    PropertyNotAgreed {
        /// The property.
        property: String,
    },
    /// Only aggregates over enough data subjects may be asked, and this query cannot be answered from such aggregates.
    AggregateOnly {
        /// The smallest group.
        subjects_min: u32,
    },
}

/// What will be done.
#[derive(Debug, Clone)]
pub struct PhysicalPlan {
    /// What the broker evaluates itself, with `SERVICE <urn:meent:subplan:N>` where sub-plans deliver.
    pub residual: Query,
    /// Parts shipped whole.
    pub sub_plans: Vec<SubPlan>,
    /// Triples to fetch and merge, per source.
    pub materialise: BTreeMap<SourceId, Wanted>,
    /// Sources that could have answered a part and were left out, with the reasons.
    pub withheld: BTreeMap<SourceId, BTreeSet<Withheld>>,
    /// Whether a part lost all its sources to the terms of agreements: then it is empty for that reason alone.
    pub starved: bool,
    /// What was decided and why, in the order of deciding, for `explain`.
    pub evidence: Vec<String>,
}

impl PhysicalPlan {
    /// What the broker evaluates itself, as text that is read as the same query again.
    #[must_use]
    pub fn residual_text(&self) -> String {
        text::whole(&self.residual)
    }

    /// All sources that will be asked.
    #[must_use]
    pub fn asked(&self) -> BTreeSet<SourceId> {
        self.sub_plans
            .iter()
            .flat_map(|part| part.sources.keys().copied())
            .chain(self.materialise.keys().copied())
            .collect()
    }
}

/// IRI under which the residual query asks for a sub-plan.
pub(crate) fn service_iri(id: usize) -> String {
    format!("urn:meent:subplan:{id}")
}

/// The column that names the source of each row of a sub-plan, in plans that were [traced](trace).
#[must_use]
pub fn source_column(id: usize) -> Variable {
    Variable::new_unchecked(format!("meent_source{id}"))
}

/// Number of the sub-plan behind a service IRI.
#[must_use]
pub fn sub_plan_of(service: &str) -> Option<usize> {
    service.strip_prefix("urn:meent:subplan:")?.parse().ok()
}

/// Plans a parsed query over the given sources, whose descriptions are looked up in their directory.
///
/// # Errors
/// [`PlanError::Unsupported`] for `SERVICE` and `DESCRIBE`; [`PlanError::TooManySubPlans`]; [`PlanError::TooManyGraphScans`].
pub fn plan(
    query: &Query,
    sources: &[Source],
    directories: &Directories,
    limits: &PlanLimits,
) -> Result<PhysicalPlan, PlanError> {
    plan_with(query, sources, directories, limits, Duplicates::Merged)
}

/// Plans a parsed query over the given sources, with duplicate triples merged or kept.
///
/// # Errors
/// As [`plan`]; [`PlanError::Merges`] when duplicates are to be kept and triples that several sources may hold must be merged.
pub fn plan_with(
    query: &Query,
    sources: &[Source],
    directories: &Directories,
    limits: &PlanLimits,
    duplicates: Duplicates,
) -> Result<PhysicalPlan, PlanError> {
    if matches!(query, Query::Describe { .. }) {
        return Err(PlanError::Unsupported(
            "`DESCRIBE` is planned as a `CONSTRUCT` of each resource's triples".to_owned(),
        ));
    }
    let pattern = normalise::normalise(pattern_of(query))?;
    let variables = columns(query);
    let directory = directories.of(sources);
    let mut planner = rewrite::Planner::new(sources, &directory, limits);
    planner.duplicates = duplicates;
    let clause = clause::Clause::of(query, sources);
    planner.only = clause.only(&pattern);
    if clause.is_given() && planner.only.is_none() {
        planner.clause = clause;
        if planner.graph_scans(&pattern) > limits.graph_scans_max {
            return Err(PlanError::TooManyGraphScans(limits.graph_scans_max));
        }
        planner.materialise_pattern(&pattern);
        return planner.finish(query, pattern, variables);
    }
    let delivered = planner.root(&pattern, matches!(query, Query::Ask { .. }));
    let delivered = if planner.must_merge_everything(&delivered) {
        planner.restart_merging_everything();
        planner.materialise_pattern(&pattern);
        pattern
    } else {
        delivered
    };
    planner.finish(query, delivered, variables)
}

/// Whether a query is about this dataset as far as its `FROM` and `FROM NAMED` tell: it has none, names the dataset, or names a graph
/// that is no dataset of `known` and may lie in any.
#[must_use]
pub fn concerns(query: &Query, dataset: &str, known: &BTreeSet<String>) -> bool {
    clause::concerns(query, dataset, known)
}

/// The pattern of a query of any form.
#[must_use]
pub fn pattern_of(query: &Query) -> &GraphPattern {
    match query {
        Query::Select { pattern, .. }
        | Query::Construct { pattern, .. }
        | Query::Describe { pattern, .. }
        | Query::Ask { pattern, .. } => pattern,
    }
}

/// All triple patterns of a query, wherever they stand: for finding out who could contribute to it.
#[must_use]
pub fn probes(query: &Query) -> Vec<spargebra::term::TriplePattern> {
    normalise::normalise(pattern_of(query))
        .map(|pattern| rewrite::Planner::probes(&pattern))
        .unwrap_or_default()
}

/// The triple patterns without which a query has no solution: those outside `OPTIONAL`, `UNION`, `MINUS` and `EXISTS`.
#[must_use]
pub fn required(query: &Query) -> Vec<spargebra::term::TriplePattern> {
    fn collect(pattern: &GraphPattern, found: &mut Vec<spargebra::term::TriplePattern>) {
        match pattern {
            GraphPattern::Bgp { patterns } => found.extend(patterns.iter().cloned()),
            GraphPattern::Join { left, right } | GraphPattern::Lateral { left, right } => {
                collect(left, found);
                collect(right, found);
            }
            GraphPattern::LeftJoin { left, .. } | GraphPattern::Minus { left, .. } => collect(left, found),
            GraphPattern::Filter { inner, .. }
            | GraphPattern::Extend { inner, .. }
            | GraphPattern::OrderBy { inner, .. }
            | GraphPattern::Project { inner, .. }
            | GraphPattern::Distinct { inner }
            | GraphPattern::Reduced { inner }
            | GraphPattern::Slice { inner, .. }
            | GraphPattern::Group { inner, .. } => collect(inner, found),
            GraphPattern::Path { .. }
            | GraphPattern::Union { .. }
            | GraphPattern::Graph { .. }
            | GraphPattern::Values { .. }
            | GraphPattern::Service { .. } => {}
        }
    }
    let mut found = Vec::new();
    if let Ok(pattern) = normalise::normalise(pattern_of(query)) {
        collect(&pattern, &mut found);
    }
    found
}
