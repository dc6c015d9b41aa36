//! What the terms of the index are called in one evaluation, and back.

use std::cell::RefCell;
use std::rc::Rc;

use policies::treatment::is_pseudonym;
use rustc_hash::FxHashMap;

use super::dataset::{Execution, ScanError};
use super::terms::UnknownTerm;
use super::treat::Treated;
use crate::index::{Bounds, DocumentId, Order, Quad, TermId};

/// What was named so far.
#[derive(Debug, Default)]
pub(super) struct Codes {
    /// The shown name of each name of the index.
    shown: FxHashMap<u32, TermId>,
    /// The name of the index behind a code.
    meant: FxHashMap<TermId, u32>,
    /// Changed values by predicate and value.
    values: FxHashMap<(u32, u32), Option<TermId>>,
    /// Which predicates are replaced.
    predicates: FxHashMap<u32, bool>,
    /// The storage that each name speaks of.
    places: FxHashMap<u32, Option<Rc<str>>>,
    /// Whether the codes of all names in the view are known.
    complete: bool,
}

pub(super) type CodesCell = RefCell<Codes>;

impl Execution<'_> {
    fn renaming(&self) -> Option<&Treated> {
        self.view.treated().filter(|treated| treated.renames())
    }

    /// What a name of the index is called here.
    pub(super) fn shown(&self, name: TermId) -> Result<TermId, ScanError> {
        let Some(treated) = self.renaming() else {
            return Ok(name);
        };
        if let Some(known) = self.codes.borrow().shown.get(&name.number()) {
            return Ok(*known);
        }
        let shown = match treated.code(self.view.snapshot().dictionary(), name) {
            None => name,
            Some(code) => {
                let code = self.terms.number(code)?;
                self.codes.borrow_mut().meant.insert(code, name.number());
                code
            }
        };
        self.codes.borrow_mut().shown.insert(name.number(), shown);
        self.bounded()?;
        Ok(shown)
    }

    /// Whether a predicate of the index has a code here.
    fn replaces_predicate(&self, predicate: u32) -> bool {
        let (Some(treated), Some(name)) = (self.renaming(), TermId::from_number(predicate)) else {
            return false;
        };
        let mut codes = self.codes.borrow_mut();
        let find = || treated.replaces_predicate(self.view.snapshot().dictionary(), name);
        *codes.predicates.entry(predicate).or_insert_with(find)
    }

    /// What a predicate of the index is called here.
    pub(super) fn shown_predicate(&self, predicate: TermId) -> Result<TermId, ScanError> {
        match self.replaces_predicate(predicate.number()) {
            true => self.shown(predicate),
            false => Ok(predicate),
        }
    }

    /// The predicate of the index that a term stands for here; none when it stands for nothing in the view.
    pub(super) fn meant_predicate(&self, term: TermId) -> Option<TermId> {
        if self.renaming().is_none() {
            return Some(term);
        }
        let coded = self.codes.borrow().meant.get(&term).copied();
        match coded {
            Some(number) if self.replaces_predicate(number) => TermId::from_number(number),
            Some(_) => None,
            None => (term.position().is_some() && !self.replaces_predicate(term.number())).then_some(term),
        }
    }

    /// Whether a row of a document is left out because it speaks of somebody else's names.
    pub(super) fn leaves_out(&self, quad: &Quad) -> bool {
        let Some(treated) = self.renaming() else {
            return false;
        };
        let Some(graph) = self.graph_of(quad.document) else {
            return true;
        };
        let place = |name: u32| {
            let mut codes = self.codes.borrow_mut();
            if codes.places.len() >= self.replaced_max {
                // Only remembered so as not to be worked out again.
                codes.places.clear();
            }
            let find = || {
                treated
                    .storage_meant(self.view.snapshot().dictionary(), name)
                    .map(Rc::from)
            };
            codes.places.entry(name).or_insert_with(find).clone()
        };
        let by = place(graph.number());
        [quad.subject, quad.object]
            .into_iter()
            .any(|name| treated.leaves_out(by.as_deref(), place(name).as_deref()))
    }

    /// Whether what is remembered stays within its bound.
    fn bounded(&self) -> Result<(), ScanError> {
        let codes = self.codes.borrow();
        if codes.shown.len() + codes.values.len() > self.replaced_max {
            return Err(self.stop(ScanError::Replaced(self.replaced_max)));
        }
        Ok(())
    }

    /// What a value of a predicate becomes; none when it is not shown.
    pub(super) fn shown_value(&self, predicate: u32, object: u32) -> Result<Option<TermId>, ScanError> {
        let name = TermId::from_number(object).ok_or(UnknownTerm)?;
        let Some((treated, change)) = self
            .view
            .treated()
            .and_then(|treated| Some((treated, treated.change(predicate)?)))
        else {
            return self.shown(name).map(Some);
        };
        if let Some(known) = self.codes.borrow().values.get(&(predicate, object)) {
            return Ok(*known);
        }
        // A name is replaced first: its fingerprint is then that of its code.
        let shown = self.shown(name)?;
        let value = treated.value(change, &self.terms.term(shown)?);
        let value = value.map(|value| self.terms.number(value)).transpose()?;
        self.codes.borrow_mut().values.insert((predicate, object), value);
        self.bounded()?;
        Ok(value)
    }

    /// The name of the index that a term stands for here; none when it stands for nothing in the view.
    pub(super) fn meant(&self, term: TermId) -> Option<TermId> {
        let Some(treated) = self.renaming() else {
            return Some(term);
        };
        if let Some(number) = self.codes.borrow().meant.get(&term) {
            return TermId::from_number(*number);
        }
        term.position()?;
        let hidden = treated.code(self.view.snapshot().dictionary(), term).is_some();
        (!hidden).then_some(term)
    }

    /// Makes sure that the code in a query, if it is one, is known for what it stands for.
    pub(super) fn recognise(&self, iri: &str) -> Result<(), ScanError> {
        if !is_pseudonym(iri) || self.renaming().is_none() || self.codes.borrow().complete {
            return Ok(());
        }
        let snapshot = self.view.snapshot();
        for document in self.view.visible().iter() {
            if let Some(graph) = self.graph_of(document) {
                self.shown(graph)?;
            }
            let bounds = Bounds::prefix(Order::Dspo, &[DocumentId(document).0]);
            for run in snapshot.runs() {
                let rows = run.range(bounds);
                self.count(rows.len() as u64)?;
                for row in rows {
                    let quad = Order::Dspo.quad(*row);
                    for number in [quad.subject, quad.object] {
                        self.shown(TermId::from_number(number).ok_or(UnknownTerm)?)?;
                    }
                    self.shown_predicate(TermId::from_number(quad.predicate).ok_or(UnknownTerm)?)?;
                }
            }
        }
        self.codes.borrow_mut().complete = true;
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use policies::treatment::{PseudonymKey, Treatment};

    use crate::origins::Origins;
    use crate::query::evaluate::EvaluationFailure;
    use crate::query::harness::{BASE, Source, answer, index_of, numbers, view_of};
    use crate::query::{Predicates, QueryLimits, Treated};

    #[test]
    fn what_is_replaced_is_bounded() {
        let sources = [Source::new("/a/d", 1, "<#a> ex:p <#b> . <#c> ex:p <#d> .")];
        let index = index_of(&sources, 1);
        let treatment = Treatment {
            names: true,
            ..Treatment::default()
        };
        let key = PseudonymKey::derive(&[1; 32], "agreement", "purpose", 0);
        let view = view_of(&index, numbers(&index, &sources), Predicates::default())
            .treated_by(|view| Treated::new(&treatment, key, &Origins::new(BASE), None, view));
        let ask = |replaced_max| {
            let limits = QueryLimits {
                replaced_max,
                ..QueryLimits::default()
            };
            answer(&view, "SELECT * { ?s ?p ?o }", None, &limits).map(|(bytes, _)| bytes.len())
        };
        assert!(ask(4).is_ok());
        assert!(matches!(ask(3), Err(EvaluationFailure::Replaced(3))));
    }
}
