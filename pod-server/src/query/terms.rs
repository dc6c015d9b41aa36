//! The terms of one query: those of the index by their numbers, and those that the query itself computes.
//!
//! Two terms must get one number exactly when they are the same RDF term, or joins and groups would be wrong. The
//! dictionary grows while a query runs; a term that it learns meanwhile stays local to the query.

use std::cell::RefCell;

use oxrdf::{Literal, Term};
use rustc_hash::FxHashMap;
use spareval::ExpressionTerm;

use crate::index::{Dictionary, TermId};
use crate::store::StorageId;

/// The terms of one query. Used by one thread.
#[derive(Debug)]
pub struct QueryTerms<'v> {
    dictionary: &'v Dictionary,
    known: u32,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    local: Vec<Local>,
    numbers: FxHashMap<Term, TermId>,
    computed: FxHashMap<ExpressionTerm, TermId>,
    traces: Vec<Trace>,
    traced: FxHashMap<(Traced, Box<[i64]>), TermId>,
}

/// A term that is not in the index.
enum Local {
    Term(Term, ExpressionTerm),
    /// Stands for a trace, by its number.
    Trace(i64),
}

/// What a matched triple is known by: the numbers of its terms. Of a changed value there is no number; then those of
/// subject and predicate are.
pub(super) type Traced = (u32, u32, Option<u32>);

/// A matched triple and whose documents hold it.
#[derive(Clone, Debug)]
pub(super) struct Trace {
    pub(super) triple: Traced,
    /// The storages.
    pub(super) subjects: Box<[i64]>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("local", &self.local.len()).finish()
    }
}

/// A query computed more distinct terms than there are numbers, or asked for a number that it never got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a term of the query has no number")]
pub struct UnknownTerm;

impl<'v> QueryTerms<'v> {
    /// Terms over a dictionary as it is now.
    #[must_use]
    pub fn new(dictionary: &'v Dictionary) -> Self {
        Self {
            dictionary,
            known: dictionary.len(),
            state: RefCell::default(),
        }
    }

    /// The number of a term, if the index held it when the query began.
    #[must_use]
    pub fn indexed(&self, term: oxrdf::TermRef<'_>) -> Option<TermId> {
        self.dictionary
            .find(term)
            .filter(|id| id.position().is_some_and(|position| position < self.known))
    }

    /// The number of a term.
    ///
    /// # Errors
    /// [`UnknownTerm`] after 2³¹ computed terms.
    pub fn number(&self, term: Term) -> Result<TermId, UnknownTerm> {
        if let Some(known) = self.indexed(term.as_ref()) {
            return Ok(known);
        }
        let mut state = self.state.borrow_mut();
        if let Some(known) = state.numbers.get(&term) {
            return Ok(*known);
        }
        let number = state.add(Local::Term(term.clone(), term.clone().into()))?;
        state.numbers.insert(term, number);
        Ok(number)
    }

    /// The number of a computed value.
    ///
    /// # Errors
    /// As [`QueryTerms::number`].
    pub fn number_of_value(&self, value: ExpressionTerm) -> Result<TermId, UnknownTerm> {
        // Only values whose equality is that of terms are remembered as values: two date-times of one instant in two
        // time zones are equal values and different terms.
        let memorable = matches!(
            value,
            ExpressionTerm::NamedNode(_)
                | ExpressionTerm::StringLiteral(_)
                | ExpressionTerm::BooleanLiteral(_)
                | ExpressionTerm::IntegerLiteral(_)
                | ExpressionTerm::DecimalLiteral(_)
                | ExpressionTerm::DoubleLiteral(_)
                | ExpressionTerm::FloatLiteral(_)
        );
        if !memorable {
            return self.number(value.into());
        }
        if let Some(known) = self.state.borrow().computed.get(&value) {
            return Ok(*known);
        }
        let number = self.number(value.clone().into())?;
        self.state.borrow_mut().computed.insert(value, number);
        Ok(number)
    }

    /// The term of a number.
    ///
    /// # Errors
    /// [`UnknownTerm`] for a number of elsewhere.
    pub fn term(&self, id: TermId) -> Result<Term, UnknownTerm> {
        match id.local() {
            None => self.dictionary.term(id).ok_or(UnknownTerm),
            Some(position) => match self.state.borrow().local.get(position as usize) {
                Some(Local::Term(term, _)) => Ok(term.clone()),
                Some(Local::Trace(number)) => Ok(Literal::from(*number).into()),
                None => Err(UnknownTerm),
            },
        }
    }

    /// The value of a number.
    ///
    /// # Errors
    /// As [`QueryTerms::term`].
    pub fn value(&self, id: TermId) -> Result<ExpressionTerm, UnknownTerm> {
        match id.local() {
            None => self.dictionary.expression_term(id).ok_or(UnknownTerm),
            Some(position) => match self.state.borrow().local.get(position as usize) {
                Some(Local::Term(_, value)) => Ok(value.clone()),
                Some(Local::Trace(number)) => Ok(ExpressionTerm::IntegerLiteral((*number).into())),
                None => Err(UnknownTerm),
            },
        }
    }

    /// A term that stands for a matched triple and the data subjects whose documents hold it. Never part of an answer.
    ///
    /// # Errors
    /// As [`QueryTerms::number`].
    pub(super) fn trace(&self, triple: Traced, storages: &[StorageId]) -> Result<TermId, UnknownTerm> {
        let mut subjects: Vec<i64> = storages.iter().map(|storage| storage.0).collect();
        subjects.sort_unstable();
        let key = (triple, subjects.into_boxed_slice());
        let mut state = self.state.borrow_mut();
        if let Some(known) = state.traced.get(&key) {
            return Ok(*known);
        }
        let number = i64::try_from(state.traces.len()).map_err(|_| UnknownTerm)?;
        let term = state.add(Local::Trace(number))?;
        state.traces.push(Trace {
            triple,
            subjects: key.1.clone(),
        });
        state.traced.insert(key, term);
        Ok(term)
    }

    /// How many traces there are.
    pub(super) fn traces(&self) -> usize {
        self.state.borrow().traces.len()
    }

    /// A trace by the number that its term tells.
    pub(super) fn trace_of(&self, number: u32) -> Option<Trace> {
        self.state.borrow().traces.get(number as usize).cloned()
    }
}

impl State {
    fn add(&mut self, local: Local) -> Result<TermId, UnknownTerm> {
        let position = u32::try_from(self.local.len()).map_err(|_| UnknownTerm)?;
        let number = TermId::from_local(position).ok_or(UnknownTerm)?;
        self.local.push(local);
        Ok(number)
    }
}
