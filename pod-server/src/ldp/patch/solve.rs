//! Finds the solutions of a patch's conditions in a graph, within a bound on the work (solid#39).
//!
//! Conditions are a conjunction of triple patterns. The solver backtracks, takes the most bound pattern next, and for
//! N3 Patch stops at the second solution: enumerating more would only cost time.

use std::collections::{BTreeMap, HashSet};

use oxrdf::{Graph, NamedNodeRef, NamedOrBlankNodeRef, Term, TermRef, TripleRef, Variable};

use super::{PatternTerm, TriplePattern};

/// What each variable stands for.
pub(super) type Binding = BTreeMap<Variable, Term>;

/// The solver was stopped by its bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooMuchWork;

/// The work that is left, in steps of about the same cost.
#[derive(Debug)]
pub(super) struct Steps(u64);

impl Steps {
    pub(super) const fn new(steps_max: u64) -> Self {
        Self(steps_max)
    }

    /// Takes steps off what is left.
    pub(super) fn take(&mut self, steps: usize) -> Result<(), TooMuchWork> {
        self.0 = self.0.checked_sub(steps as u64).ok_or(TooMuchWork)?;
        Ok(())
    }
}

/// Solutions that differ in some variable, at most `solutions_max`. Blank nodes in conditions stand for anything and
/// do not tell solutions apart.
pub(super) fn solve(
    graph: &Graph,
    conditions: &[TriplePattern],
    solutions_max: usize,
    steps: &mut Steps,
) -> Result<Vec<Binding>, TooMuchWork> {
    let mut search = Search {
        graph,
        solutions_max,
        steps,
        seen: HashSet::new(),
        solutions: Vec::new(),
    };
    let open: Vec<&TriplePattern> = conditions.iter().collect();
    search.descend(&open, &Assignment::default())?;
    Ok(search.solutions)
}

/// What variables and blank nodes stand for on the way down.
#[derive(Clone, Debug, Default)]
struct Assignment {
    variables: Binding,
    blanks: BTreeMap<String, Term>,
}

struct Search<'g> {
    graph: &'g Graph,
    solutions_max: usize,
    steps: &'g mut Steps,
    seen: HashSet<Vec<Term>>,
    solutions: Vec<Binding>,
}

impl Search<'_> {
    /// Returns false when enough solutions were found.
    fn descend(&mut self, open: &[&TriplePattern], assignment: &Assignment) -> Result<bool, TooMuchWork> {
        let Some((next, rest)) = most_bound(open, assignment) else {
            let key: Vec<Term> = assignment.variables.values().cloned().collect();
            if self.seen.insert(key) {
                self.solutions.push(assignment.variables.clone());
            }
            return Ok(self.solutions.len() < self.solutions_max);
        };
        let subject = assignment.value(&next.subject);
        let predicate = assignment.value(&next.predicate);
        let object = assignment.value(&next.object);
        let graph = self.graph;
        for triple in candidates(graph, subject.as_ref(), predicate.as_ref(), object.as_ref()) {
            // The conditions that are still open are looked through at each step.
            self.steps.take(1 + rest.len())?;
            let mut deeper = assignment.clone();
            let fits = deeper.bind(&next.subject, triple.subject.into())
                && deeper.bind(&next.predicate, triple.predicate.into())
                && deeper.bind(&next.object, triple.object);
            if fits && !self.descend(&rest, &deeper)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Splits off the pattern with the fewest free terms.
fn most_bound<'p>(
    open: &[&'p TriplePattern],
    assignment: &Assignment,
) -> Option<(&'p TriplePattern, Vec<&'p TriplePattern>)> {
    let weight = |term: &PatternTerm, weight: u32| if assignment.value(term).is_some() { weight } else { 0 };
    // A bound subject or object narrows more than a bound predicate.
    let (index, next) = open.iter().enumerate().max_by_key(|(index, pattern)| {
        let bound = weight(&pattern.subject, 4) + weight(&pattern.object, 3) + weight(&pattern.predicate, 1);
        (bound, std::cmp::Reverse(*index))
    })?;
    let rest = open
        .iter()
        .enumerate()
        .filter(|(other, _)| *other != index)
        .map(|(_, pattern)| *pattern)
        .collect();
    Some((next, rest))
}

/// Triples that match what is bound. Each case is a range of one of the graph's indexes, so that nothing is looked at
/// that does not count as a step.
fn candidates<'t>(
    graph: &'t Graph,
    subject: Option<&'t Term>,
    predicate: Option<&'t Term>,
    object: Option<&'t Term>,
) -> Vec<TripleRef<'t>> {
    let subject: Option<NamedOrBlankNodeRef<'t>> = match subject {
        None => None,
        Some(Term::NamedNode(node)) => Some(node.as_ref().into()),
        Some(Term::BlankNode(node)) => Some(node.as_ref().into()),
        Some(_) => return Vec::new(),
    };
    let predicate: Option<NamedNodeRef<'t>> = match predicate {
        None => None,
        Some(Term::NamedNode(node)) => Some(node.as_ref()),
        Some(_) => return Vec::new(),
    };
    match (subject, predicate, object.map(Term::as_ref)) {
        (Some(subject), Some(predicate), Some(object)) => {
            let triple = TripleRef::new(subject, predicate, object);
            if graph.contains(triple) {
                vec![triple]
            } else {
                Vec::new()
            }
        }
        (Some(subject), Some(predicate), None) => graph
            .objects_for_subject_predicate(subject, predicate)
            .map(|object| TripleRef::new(subject, predicate, object))
            .collect(),
        (Some(subject), None, Some(object)) => graph
            .predicates_for_subject_object(subject, object)
            .map(|predicate| TripleRef::new(subject, predicate, object))
            .collect(),
        (None, Some(predicate), Some(object)) => graph
            .subjects_for_predicate_object(predicate, object)
            .map(|subject| TripleRef::new(subject, predicate, object))
            .collect(),
        (Some(subject), None, None) => graph.triples_for_subject(subject).collect(),
        (None, Some(predicate), None) => graph.triples_for_predicate(predicate).collect(),
        (None, None, Some(object)) => graph.triples_for_object(object).collect(),
        (None, None, None) => graph.iter().collect(),
    }
}

impl Assignment {
    fn value(&self, term: &PatternTerm) -> Option<Term> {
        match term {
            PatternTerm::Constant(term) => Some(term.clone()),
            PatternTerm::Variable(variable) => self.variables.get(variable).cloned(),
            PatternTerm::Blank(node) => self.blanks.get(node.as_str()).cloned(),
        }
    }

    /// Binds a term to a value; false if it already stands for another.
    fn bind(&mut self, term: &PatternTerm, value: TermRef<'_>) -> bool {
        match self.value(term) {
            Some(bound) => bound.as_ref() == value,
            None => {
                match term {
                    PatternTerm::Variable(variable) => {
                        self.variables.insert(variable.clone(), value.into_owned());
                    }
                    PatternTerm::Blank(node) => {
                        self.blanks.insert(node.as_str().to_owned(), value.into_owned());
                    }
                    PatternTerm::Constant(_) => {}
                }
                true
            }
        }
    }
}
