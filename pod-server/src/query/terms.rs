//! The terms of one query: those of the index by their numbers, and those that the query itself computes.
//!
//! Two terms must get one number exactly when they are the same RDF term, or joins and groups would be wrong. The
//! dictionary grows while a query runs; a term that it learns meanwhile stays local to the query.

use std::cell::RefCell;
use std::collections::BTreeSet;

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
    local: Vec<(Term, ExpressionTerm)>,
    numbers: FxHashMap<Term, TermId>,
    computed: FxHashMap<ExpressionTerm, TermId>,
    subjects: FxHashMap<BTreeSet<i64>, TermId>,
    subject: FxHashMap<i64, TermId>,
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
        let number = state.add(term.clone())?;
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
            Some(position) => {
                let state = self.state.borrow();
                let (term, _) = state.local.get(position as usize).ok_or(UnknownTerm)?;
                Ok(term.clone())
            }
        }
    }

    /// The value of a number.
    ///
    /// # Errors
    /// As [`QueryTerms::term`].
    pub fn value(&self, id: TermId) -> Result<ExpressionTerm, UnknownTerm> {
        match id.local() {
            None => self.dictionary.expression_term(id).ok_or(UnknownTerm),
            Some(position) => {
                let state = self.state.borrow();
                let (_, value) = state.local.get(position as usize).ok_or(UnknownTerm)?;
                Ok(value.clone())
            }
        }
    }

    /// A term that stands for the data subjects of a triple. Never part of an answer.
    ///
    /// # Errors
    /// As [`QueryTerms::number`].
    pub fn subjects(&self, subjects: &[StorageId]) -> Result<TermId, UnknownTerm> {
        let mut state = self.state.borrow_mut();
        if let [StorageId(one)] = subjects {
            if let Some(known) = state.subject.get(one) {
                return Ok(*known);
            }
            let number = state.add(subjects_term(&BTreeSet::from([*one])))?;
            state.subject.insert(*one, number);
            return Ok(number);
        }
        let set: BTreeSet<i64> = subjects.iter().map(|storage| storage.0).collect();
        if let Some(known) = state.subjects.get(&set) {
            return Ok(*known);
        }
        let number = state.add(subjects_term(&set))?;
        state.subjects.insert(set, number);
        Ok(number)
    }
}

impl State {
    fn add(&mut self, term: Term) -> Result<TermId, UnknownTerm> {
        let position = u32::try_from(self.local.len()).map_err(|_| UnknownTerm)?;
        let number = TermId::from_local(position).ok_or(UnknownTerm)?;
        self.local.push((term.clone(), term.into()));
        Ok(number)
    }
}

fn subjects_term(storages: &BTreeSet<i64>) -> Term {
    let text: Vec<String> = storages.iter().map(ToString::to_string).collect();
    Literal::new_simple_literal(text.join(" ")).into()
}

/// The storages that a term of [`QueryTerms::subjects`] stands for.
pub fn storages_of(term: &Term) -> impl Iterator<Item = i64> + '_ {
    let text = match term {
        Term::Literal(literal) => literal.value(),
        _ => "",
    };
    text.split(' ').filter_map(|part| part.parse().ok())
}
