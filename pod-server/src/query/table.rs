//! The groups of a query under the duty of aggregates: computed, weighed, and put together again once it is decided
//! which of them leave.

use std::sync::Arc;

use oxrdf::{Literal, Term};
use oxsdatatypes::{Decimal, Double};
use spareval::{CancellationToken, QueryEvaluator, QueryResults};
use spargebra::Query;
use spargebra::term::GroundTerm;

use super::aggregate::Grouping;
use super::answers::Group;
use super::dataset::{Execution, ScopedDataset};
use super::evaluate::{EvaluationFailure, Fault};
use super::limits::QueryLimits;
use super::masks::with_masks;
use super::order::order;
use super::population::{Grain, Population, Populations, Sketches, telling};
use super::sketch::{Number, SketchKey};
use super::view::View;
use super::work::metered;

/// The groups of a query.
#[derive(Clone, Debug)]
pub struct Table {
    grouping: Arc<Grouping>,
    /// In the order of their keys, so that the order of an answer tells nothing else.
    pub groups: Vec<Group>,
}

/// How a table is computed.
#[derive(Clone, Debug)]
pub struct Tabulation {
    /// Smallest number of distinct data subjects.
    pub subjects_min: u32,
    /// Aggregates are rounded to multiples of this.
    pub rounding: Option<u32>,
    /// The secret of the sketches.
    pub key: SketchKey,
}

impl Table {
    /// Computes the groups of a query over a view.
    ///
    /// # Errors
    /// [`EvaluationFailure`].
    pub(crate) fn compute(
        grouping: Grouping,
        view: &View,
        how: &Tabulation,
        limits: &QueryLimits,
        token: &CancellationToken,
    ) -> Result<Self, EvaluationFailure> {
        let query = order(grouping.groups(), view.snapshot());
        let execution = Execution::new(view, None, token.clone(), limits).attributed();
        let populations = Populations::default();
        let gathering = populations.clone();
        let evaluator = with_masks(QueryEvaluator::new())
            .with_cancellation_token(token.clone())
            .with_custom_aggregate_function(Populations::name(), move || gathering.gathering());
        let rows = metered(token, limits.copies_max, || {
            evaluator
                .prepare(&query)
                .execute(ScopedDataset(&execution))
                .map_err(Fault::Evaluation)
                .and_then(|results| rows(results, &grouping, &populations, limits))
        });
        let rows = rows
            .unwrap_or_else(|cut_off| Err(Fault::CutOff(cut_off)))
            .map_err(|fault| fault.explain(&execution))?;
        // A scan that stopped early inside an expression makes an error there, which SPARQL drops: look here as well.
        if let Some(stopped) = execution.stopped() {
            return Err(stopped.into());
        }
        let groups = weighed(rows, &grouping, &execution, how, limits)?;
        Ok(Self {
            grouping: Arc::new(grouping),
            groups,
        })
    }

    /// The query over the groups that leave.
    #[must_use]
    pub fn query(&self, leaves: &[bool]) -> Query {
        let leaving = self.groups.iter().zip(leaves).filter(|(_, leaves)| **leaves);
        let bindings = leaving.map(|(group, _)| {
            let terms = group.keys.iter().chain(&group.values);
            terms.map(|term| term.clone().and_then(ground)).collect()
        });
        self.grouping.over(bindings.collect())
    }
}

fn ground(term: Term) -> Option<GroundTerm> {
    GroundTerm::try_from(term).ok()
}

/// A row of the evaluation.
struct Raw {
    keys: Vec<Option<Term>>,
    values: Vec<Option<Term>>,
    sums: Vec<Population>,
}

fn rows(
    results: QueryResults<'_>,
    grouping: &Grouping,
    populations: &Populations,
    limits: &QueryLimits,
) -> Result<Vec<(Raw, Vec<Population>)>, Fault> {
    let QueryResults::Solutions(solutions) = results else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for solution in solutions {
        let solution = solution.map_err(Fault::Evaluation)?;
        if found.len() >= limits.groups_max {
            return Err(Fault::Groups(limits.groups_max));
        }
        let terms = |variables: &[oxrdf::Variable]| {
            let terms = variables.iter().map(|variable| solution.get(variable).cloned());
            terms.collect::<Vec<_>>()
        };
        let patterns = grouping.patterns.iter();
        let behind = patterns.map(|(variable, _)| populations.take(solution.get(variable)));
        let behind = behind.collect();
        let sums = grouping.sums.iter();
        let raw = Raw {
            keys: terms(&grouping.keys),
            values: terms(&grouping.aggregates),
            sums: sums.map(|variable| populations.take(solution.get(variable))).collect(),
        };
        found.push((raw, behind));
    }
    Ok(found)
}

fn weighed(
    rows: Vec<(Raw, Vec<Population>)>,
    grouping: &Grouping,
    execution: &Execution<'_>,
    how: &Tabulation,
    limits: &QueryLimits,
) -> Result<Vec<Group>, EvaluationFailure> {
    let (rows, behind): (Vec<Raw>, Vec<Vec<Population>>) = rows.into_iter().unzip();
    // A sum over values of one person each tells of nobody but by these values; anything else counts rows.
    let telling = telling(&behind, execution);
    let mut valued = grouping.patterns.iter().zip(&telling);
    let counts = grouping.counted || !valued.any(|((_, valued), telling)| *valued && *telling);
    let telling: Vec<bool> = telling.iter().map(|telling| *telling && counts).collect();
    let mut sketches = Sketches::new(execution, &how.key);
    let mut groups = Vec::with_capacity(rows.len());
    for (raw, populations) in rows.into_iter().zip(&behind) {
        let subjects = populations.iter().map(|one| one.subjects(execution).len());
        let guarded = how.subjects_min > 1;
        let traced = match guarded {
            true => rests_on(populations, grouping, &telling, &mut sketches)?,
            false => Vec::new(),
        };
        let dominated = raw
            .sums
            .iter()
            .any(|sum| sum.dominated(execution, limits.dominance_percent));
        // A blank node names one thing of one document, and has no name that could leave.
        let nameless = raw.keys.iter().flatten().any(|key| ground(key.clone()).is_none());
        let round = |value: Option<Term>| match how.rounding {
            Some(base) => value.and_then(|value| rounded(&value, base)),
            None => value,
        };
        groups.push(Group {
            subjects: subjects.min().unwrap_or(0),
            dominated: nameless || (guarded && dominated),
            numbers: traced,
            values: raw.values.into_iter().map(round).collect(),
            keys: raw.keys,
        });
    }
    groups.sort_by_cached_key(|group| {
        let name = |term: &Option<Term>| term.as_ref().map(ToString::to_string);
        group.keys.iter().map(name).collect::<Vec<_>>()
    });
    Ok(groups)
}

/// What the numbers of a group rest on: the things whose rows were counted, and the triples whose values were added up.
fn rests_on(
    populations: &[Population],
    grouping: &Grouping,
    telling: &[bool],
    sketches: &mut Sketches<'_>,
) -> Result<Vec<Number>, EvaluationFailure> {
    let mut found = Vec::new();
    for ((population, (_, valued)), telling) in populations.iter().zip(&grouping.patterns).zip(telling) {
        let grains = [(*telling, Grain::Subject), (*valued, Grain::Triple)];
        for (_, grain) in grains.into_iter().filter(|(wanted, _)| *wanted) {
            let number = sketches.of(population, grain, grouping.distinct);
            let unknown = || EvaluationFailure::Evaluation("a matched term is not known".to_owned());
            let number = number.ok_or_else(unknown)?;
            if !found.contains(&number) {
                found.push(number);
            }
        }
    }
    Ok(found)
}

/// A number as the nearest multiple of a base; none for what is no number.
fn rounded(term: &Term, base: u32) -> Option<Term> {
    let Term::Literal(literal) = term else { return None };
    let base = base.max(1);
    if let Ok(number) = literal.value().parse::<Decimal>() {
        let steps = number.checked_div(Decimal::from(base))?.checked_round()?;
        let value = steps.checked_mul(Decimal::from(base))?;
        return Some(Literal::new_typed_literal(value.to_string(), literal.datatype().into_owned()).into());
    }
    let number: f64 = literal.value().parse().ok()?;
    let value = (number / f64::from(base)).round() * f64::from(base);
    let value = Double::from(value).to_string();
    Some(Literal::new_typed_literal(value, literal.datatype().into_owned()).into())
}
