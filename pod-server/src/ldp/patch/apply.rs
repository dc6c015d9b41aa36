//! Applies a patch to a document: deletions first, then insertions, all or nothing (solid#39, solid#40).

use std::collections::{HashMap, HashSet};

use oxrdf::{BlankNode, Graph, GraphName, NamedOrBlankNode, Term, Triple};

use super::super::document::Document;
use super::solve::{Binding, Steps, TooMuchWork, solve};
use super::{Change, Patch, PatternTerm, Solutions, TriplePattern};

/// Solutions that a SPARQL Update may have; N3 Patch has one.
const SOLUTIONS_MAX: usize = 10_000;

/// Why a patch that is valid in itself cannot be applied to this document: 409.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatchConflict {
    /// The conditions match nothing.
    #[error("`solid:where` matches nothing in the document")]
    NoSolution,
    /// The conditions match in more than one way.
    #[error("`solid:where` matches the document in more than one way")]
    Ambiguous,
    /// A triple to delete is not there.
    #[error("the document does not hold `{0}`, which the patch deletes")]
    Absent(String),
    /// A variable stands for something that cannot stand in its place, such as a literal as subject.
    #[error("a variable stands for a term that cannot stand in its place")]
    Unfit,
    /// The bound on the work of one patch was reached.
    #[error("the patch takes too much work to carry out: send it in parts, or with conditions that say more")]
    TooMuchWork,
}

impl From<TooMuchWork> for PatchConflict {
    fn from(_: TooMuchWork) -> Self {
        Self::TooMuchWork
    }
}

/// Applies a patch; statements that stay keep their order, new ones follow. All changes of the patch share the steps.
///
/// # Errors
/// [`PatchConflict`]; the document is then to be thrown away.
pub fn apply(mut document: Document, patch: &Patch, steps_max: u64) -> Result<Document, PatchConflict> {
    let mut steps = Steps::new(steps_max);
    for change in &patch.changes {
        document = apply_change(document, change, &mut steps)?;
    }
    Ok(document)
}

fn apply_change(document: Document, change: &Change, steps: &mut Steps) -> Result<Document, PatchConflict> {
    // The whole document is looked at for every change, and every solution makes triples.
    steps.take(document.quads.len() + 1)?;
    let graph: Graph = document
        .quads
        .iter()
        .filter(|quad| quad.graph_name.is_default_graph())
        .map(|quad| oxrdf::TripleRef::from(quad.as_ref()))
        .collect();
    let solutions = solutions(&graph, change, steps)?;
    steps.take(solutions.len() * (change.deletions.len() + change.insertions.len()))?;
    let mut deletions = HashSet::new();
    for solution in &solutions {
        for pattern in &change.deletions {
            let triple = ground(pattern, solution, &mut Blanks::Kept)?;
            if change.deletions_must_exist && !graph.contains(&triple) {
                return Err(PatchConflict::Absent(triple.to_string()));
            }
            deletions.insert(triple);
        }
    }
    let mut result = Document {
        quads: Vec::with_capacity(document.quads.len()),
        prefixes: document.prefixes,
    };
    let mut present = HashSet::new();
    for quad in document.quads {
        if quad.graph_name.is_default_graph() {
            let triple = Triple::from(quad.clone());
            if deletions.contains(&triple) || !present.insert(triple) {
                continue;
            }
        }
        result.quads.push(quad);
    }
    for solution in &solutions {
        // One label is one fresh node within a solution.
        let mut blanks = Blanks::Fresh(HashMap::new());
        for pattern in &change.insertions {
            let triple = ground(pattern, solution, &mut blanks)?;
            if present.insert(triple.clone()) {
                result.quads.push(triple.in_graph(GraphName::DefaultGraph));
            }
        }
    }
    Ok(result)
}

fn solutions(graph: &Graph, change: &Change, steps: &mut Steps) -> Result<Vec<Binding>, PatchConflict> {
    if change.conditions.is_empty() {
        return Ok(vec![Binding::new()]);
    }
    // One more than allowed, to see that there is another.
    let wanted = if change.solutions == Solutions::One {
        2
    } else {
        SOLUTIONS_MAX + 1
    };
    let found = solve(graph, &change.conditions, wanted, steps)?;
    match (change.solutions, found.len()) {
        (Solutions::One, 0) => Err(PatchConflict::NoSolution),
        (Solutions::One, 1) => Ok(found),
        (Solutions::One, _) => Err(PatchConflict::Ambiguous),
        (Solutions::All, count) if count > SOLUTIONS_MAX => Err(PatchConflict::TooMuchWork),
        (Solutions::All, _) => Ok(found),
    }
}

enum Blanks {
    Kept,
    Fresh(HashMap<String, BlankNode>),
}

/// The triple that a pattern stands for under a solution.
fn ground(pattern: &TriplePattern, solution: &Binding, blanks: &mut Blanks) -> Result<Triple, PatchConflict> {
    let subject = match value(&pattern.subject, solution, blanks)? {
        Term::NamedNode(node) => NamedOrBlankNode::from(node),
        Term::BlankNode(node) => NamedOrBlankNode::from(node),
        _ => return Err(PatchConflict::Unfit),
    };
    let Term::NamedNode(predicate) = value(&pattern.predicate, solution, blanks)? else {
        return Err(PatchConflict::Unfit);
    };
    Ok(Triple {
        subject,
        predicate,
        object: value(&pattern.object, solution, blanks)?,
    })
}

fn value(term: &PatternTerm, solution: &Binding, blanks: &mut Blanks) -> Result<Term, PatchConflict> {
    match term {
        PatternTerm::Constant(term) => Ok(term.clone()),
        PatternTerm::Variable(variable) => solution.get(variable).cloned().ok_or(PatchConflict::Unfit),
        PatternTerm::Blank(node) => Ok(match blanks {
            Blanks::Kept => node.clone().into(),
            Blanks::Fresh(map) => map.entry(node.as_str().to_owned()).or_default().clone().into(),
        }),
    }
}
